package vm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"gameday/internal/bound"
	"gameday/internal/vm/wire"
)

// arguments are qemu's. The machine is emulated in software even where the processor could do better, so that it is the
// same everywhere.
func (m *Machine) arguments() []string {
	network := "user,id=net,restrict=on"
	for _, there := range slices.Sorted(maps.Keys(m.ports)) {
		network += fmt.Sprintf(",hostfwd=tcp:127.0.0.1:%d-:%d", m.ports[there], there)
	}
	args := []string{
		"-no-user-config", "-nodefaults", "-display", "none",
		"-machine", "q35,accel=tcg", "-cpu", "max",
		"-smp", strconv.Itoa(m.options.CPUs), "-m", strconv.Itoa(m.options.Memory),
		"-kernel", m.parts.kernel, "-initrd", m.path("initrd"),
		"-append", "console=ttyS0 quiet panic=1 mitigations=off tsc=reliable",
		"-chardev", "file,id=console,append=on,path=" + m.path("console"), "-serial", "chardev:console",
		"-no-reboot", // it ends instead, and another is started
		"-chardev", "socket,id=control,server=on,wait=off,path=" + m.path("control"),
		"-device", "virtio-serial-pci", "-device", "virtserialport,chardev=control,name=" + wire.Port,
		"-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile=",
	}
	if m.options.Steady {
		args = append(args, "-icount", "shift=2,sleep=on")
	}
	if m.options.Disk > 0 {
		args = append(args, "-drive", "if=virtio,format=raw,file="+m.path("disk"))
	}
	return args
}

// power is a machine's power: one qemu after another, for each ends when its machine reboots. A new one boots in half
// the time that one takes whose emulator has to forget what it had translated.
type power struct {
	machine *Machine
	on      context.Context
	off     context.CancelFunc
	gone    chan struct{} // closed when there is no qemu and will be none

	mu   sync.Mutex // one that is being started is not to be missed by cut
	qemu *exec.Cmd
}

// startQemu gives the machine power. fail is called if qemu ends otherwise than by a reboot.
func (m *Machine) startQemu(ctx context.Context, fail context.CancelCauseFunc) error {
	p := &power{machine: m, gone: make(chan struct{})}
	p.on, p.off = context.WithCancel(context.WithoutCancel(ctx))
	ended, err := p.start()
	if err != nil {
		p.off()
		return err
	}
	m.power = p
	go p.keep(ended, fail)
	go m.keepLine(p.on)
	return nil
}

// start starts a qemu, unless the power was cut, and returns a channel that gives its end.
func (p *power) start() (<-chan error, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.on.Err(); err != nil {
		return nil, err
	}
	m := p.machine
	if err := os.Remove(m.path("control")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	said, err := os.Create(m.path("qemu"))
	if err != nil {
		return nil, err
	}
	defer said.Close()
	qemu := exec.Command(m.parts.qemu, m.arguments()...)
	qemu.Stdout, qemu.Stderr = said, said
	qemu.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	m.set(func() { m.powered = time.Now() })
	if err := bound.Start(qemu, syscall.SIGKILL); err != nil {
		return nil, fmt.Errorf("starting qemu: %w", err)
	}
	p.qemu = qemu
	ended := make(chan error, 1)
	go func() {
		ended <- qemu.Wait()
		close(ended)
	}()
	return ended, nil
}

// keep starts a qemu for each that ended well, which it does when its machine reboots.
func (p *power) keep(ended <-chan error, fail context.CancelCauseFunc) {
	defer close(p.gone)
	defer p.off()
	for {
		err := <-ended
		p.machine.dropLine()
		if err == nil {
			ended, err = p.start()
		}
		if err != nil {
			said, _ := os.ReadFile(p.machine.path("qemu"))
			fail(fmt.Errorf("qemu ended: %w: %s", err, said))
			return
		}
	}
}

// cut takes the power away, and returns when there is none.
func (p *power) cut() {
	p.off()
	p.mu.Lock()
	_ = p.qemu.Process.Kill()
	p.mu.Unlock()
	<-p.gone
}

// dropLine ends the session, or the wait for one.
func (m *Machine) dropLine() {
	m.set(func() {
		if m.line != nil {
			m.line.Close()
		}
		m.session = nil
	})
}

// keepLine keeps a line to the machine, from boot to boot, for as long as it has power.
func (m *Machine) keepLine(on context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		// Until qemu has made its socket there is nothing to connect to.
		if conn, err := (&net.Dialer{}).DialContext(on, "unix", m.path("control")); err == nil {
			m.holdLine(on, conn)
		}
		select {
		case <-tick.C:
		case <-on.Done():
			return
		}
	}
}

// holdLine waits for a hello and serves the line until it is dropped.
func (m *Machine) holdLine(on context.Context, conn net.Conn) {
	m.set(func() { m.line = conn })
	defer conn.Close()
	defer context.AfterFunc(on, func() { conn.Close() })()
	s, err := openSession(conn)
	if err != nil {
		return
	}
	m.set(func() {
		m.session = s
		if m.boot.ID != s.hello.BootID {
			m.boot = Boot{ID: s.hello.BootID, Took: time.Since(m.powered),
				Kernel: time.Duration(s.hello.Seconds * float64(time.Second))}
		}
	})
	s.serve()
	m.set(func() {
		if m.session == s {
			m.session = nil
		}
	})
}
