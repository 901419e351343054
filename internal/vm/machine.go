// Package vm boots a real Linux for tests: Debian's kernel for virtual machines under qemu, in software, with a file
// system made here of busybox, a few programs and kernel modules. It is for what the machine at hand cannot do or must
// not suffer: emulated networks, clocks that jump, reboots, power cuts, a root that fills up.
//
//	test ──frames over a virtual serial line──▶ agent ──▶ commands     (needs neither network nor clock)
//	test ──ssh to a forwarded loopback port──▶ sshd                    (a host as others have it)
//
// A machine has no way out: its network is qemu's user mode, restricted to the ports forwarded in. It dies with the
// test, also when the test is killed.
package vm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gameday/internal/portrig"
	"gameday/internal/vm/wire"
)

// Options of a machine. The zero value is a machine without disk and SSH.
type Options struct {
	Name     string            // host name, also for SSH; "machine" if empty
	Memory   int               // MiB; 512 if 0
	CPUs     int               // 2 if 0
	Disk     int               // MiB of an ext4 file system at /disk that outlives reboots and power cuts; 0 for none
	SSH      bool              // run sshd; see Machine.SSHConfig
	Forward  []int             // TCP ports to reach from here; see Machine.Address
	Modules  []string          // kernel modules beside Modules
	Programs []string          // programs of this machine to copy with their libraries into /usr/local/bin
	Files    map[string]string // files of this machine to copy: path there → path here
	// Steady has the machine's clocks count its own instructions, 4 ns each, and not the seconds of this machine: what
	// is timed inside then does not show that the processors here were busy with something else. Its time may fall
	// behind that of here, and its processors take turns. It is for what begins and ends inside.
	Steady    bool
	BootLimit time.Duration // from power to the first command; 90 s if 0
}

// Limits of the rig's own.
const (
	bootLimit    = 90 * time.Second
	commandLimit = 60 * time.Second // of a command whose context has no deadline
	killLimit    = 5 * time.Second  // until a killed command's end is heard of
)

// Machine is a running machine. Its methods are safe for concurrent use, but for those that cut and restore its power.
type Machine struct {
	t       testing.TB
	parts   parts
	options Options
	dir     string
	ports   map[int]int // there → here

	mu      sync.Mutex
	session *session // nil while the machine is down
	line    net.Conn // what session speaks over, or is about to
	boot    Boot
	powered time.Time     // when the present boot began
	changed chan struct{} // closed at each change of the above

	power *power // nil when it is off
}

// Boot is one boot of a machine.
type Boot struct {
	ID     string        // the kernel's own
	Took   time.Duration // from power, or from the reset, to the first command that could be run
	Kernel time.Duration // from the kernel's start to then
}

// Start boots a machine that ends with the test. It skips the test where there can be no machine, and fails it there
// if CI is set.
func Start(t testing.TB, o Options) *Machine {
	t.Helper()
	Need(t)
	m, err := prepare(t, o)
	if err != nil {
		t.Fatalf("making a machine: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), m.options.BootLimit)
	defer cancel()
	if err := m.RestorePower(ctx); err != nil {
		t.Fatalf("booting: %v\nconsole:\n%s", err, m.Console())
	}
	return m
}

// prepare makes all that a machine needs before it gets power.
func prepare(t testing.TB, o Options) (*Machine, error) {
	found, err := findParts()
	if err != nil {
		return nil, err
	}
	dir, release, err := makeFolder()
	if err != nil {
		return nil, err
	}
	m := &Machine{t: t, parts: found, options: o.withDefaults(), dir: dir, ports: map[int]int{},
		changed: make(chan struct{})}
	t.Cleanup(func() {
		m.CutPower()
		if t.Failed() {
			t.Logf("the machine's console:\n%s", m.Console())
		}
		release()
	})
	image, err := found.initial(m.options, dir)
	if err != nil {
		return nil, err
	}
	if err := image.writeImage(m.path("initrd")); err != nil {
		return nil, err
	}
	if err := m.makeDisk(); err != nil {
		return nil, err
	}
	forward := m.options.Forward
	if m.options.SSH {
		forward = append([]int{sshPort}, forward...)
	}
	for _, there := range forward {
		m.ports[there] = portrig.Keep(t) // the same over power cuts
	}
	if m.options.SSH {
		return m, m.writeSSHConfig()
	}
	return m, nil
}

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = "machine"
	}
	if o.Memory == 0 {
		o.Memory = 512
	}
	if o.CPUs == 0 {
		o.CPUs = 2
	}
	if o.BootLimit == 0 {
		o.BootLimit = bootLimit
	}
	return o
}

func (m *Machine) path(name string) string { return filepath.Join(m.dir, name) }

// makeDisk makes the file of a disk, with an empty file system on it.
func (m *Machine) makeDisk() error {
	if m.options.Disk == 0 {
		return nil
	}
	cmd := exec.Command(m.parts.mke2fs, "-q", "-F", "-t", "ext4", m.path("disk"), fmt.Sprintf("%dM", m.options.Disk))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making a file system: %w: %s", err, out)
	}
	return nil
}

// Address returns where a port of the machine's is reached from here, which Options.Forward must name.
func (m *Machine) Address(port int) string {
	here, ok := m.ports[port]
	if !ok {
		m.t.Fatalf("port %d of the machine is not forwarded", port)
	}
	return fmt.Sprintf("127.0.0.1:%d", here)
}

// Boot returns what is known of the present boot, or of the last one if the machine is down.
func (m *Machine) Boot() Boot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boot
}

// BootID returns the kernel's id of the present boot, or of the last one if the machine is down.
func (m *Machine) BootID() string { return m.Boot().ID }

// Console returns the last of what the kernel, the first process and sshd have printed, at most 8 KiB.
func (m *Machine) Console() string {
	text, err := os.ReadFile(m.path("console"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-8<<10):])
}

// set changes the machine's state and wakes who waits for a change.
func (m *Machine) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
	close(m.changed)
	m.changed = make(chan struct{})
}

// await waits until the machine is up with a boot id other than old.
func (m *Machine) await(ctx context.Context, old string) (*session, error) {
	for {
		m.mu.Lock()
		s, id, changed := m.session, m.boot.ID, m.changed
		m.mu.Unlock()
		if s != nil && id != old {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the machine to be up: %w", context.Cause(ctx))
		}
	}
}

// AwaitBoot waits until the machine is up with a boot id other than old: for a reboot that somebody else caused.
func (m *Machine) AwaitBoot(ctx context.Context, old string) (Boot, error) {
	s, err := m.await(ctx, old)
	if err == nil && len(s.hello.Faults) > 0 {
		err = fmt.Errorf("the machine is up, but not whole: %q", s.hello.Faults)
	}
	return m.Boot(), err
}

// Reboot has the machine go down in order, as the command of that name does, and waits until it is up again.
func (m *Machine) Reboot(ctx context.Context) error {
	old := m.BootID()
	if _, err := m.Exec(ctx, Command{Args: []string{"reboot"}}); err != nil && !errors.Is(err, ErrDown) {
		return fmt.Errorf("rebooting: %w", err)
	}
	if _, err := m.AwaitBoot(ctx, old); err != nil {
		return fmt.Errorf("rebooting: %w", err)
	}
	return nil
}

// PowerCut takes the power away and gives it back: what was not written to the disk is lost. It waits until the machine
// is up again.
func (m *Machine) PowerCut(ctx context.Context) error {
	m.CutPower()
	return m.RestorePower(ctx)
}

// CutPower ends the machine at once, in whatever it does. It does nothing if the power is off.
func (m *Machine) CutPower() {
	if m.power != nil {
		m.power.cut()
		m.power = nil
	}
}

// RestorePower starts the machine and waits until it is up.
func (m *Machine) RestorePower(ctx context.Context) error {
	if m.power != nil {
		return errors.New("the machine has power already")
	}
	ctx, cancel := context.WithTimeout(ctx, m.options.BootLimit)
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	old := m.BootID()
	if err := m.startQemu(ctx, fail); err != nil {
		return err
	}
	_, err := m.AwaitBoot(ctx, old)
	return err
}

// Phases returns where the present boot's time went after the kernel had started the first process.
func (m *Machine) Phases() []wire.PhaseLength {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session == nil {
		return nil
	}
	return m.session.hello.Phases
}
