package vm

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMachine boots one machine and has its power, its disk, its clock, its network and its commands tried in turn.
func TestMachine(t *testing.T) {
	m := Start(t, Options{Name: "ledger", SSH: true, Disk: 64, Forward: []int{8080}})
	t.Logf("booted in %v, of which the kernel counts %v; after it: %v", m.Boot().Took.Round(10*time.Millisecond),
		m.Boot().Kernel, m.Phases())
	for _, step := range []struct {
		name string
		try  func(*testing.T, *Machine)
	}{
		{"commands", tryCommands}, {"files", tryFiles}, {"kernel", tryKernel}, {"network", tryNetwork}, {"clock", tryClock},
		{"ssh", trySSH}, {"reboot", tryReboot}, {"power cut", tryPowerCut}, {"reboot over ssh", trySSHReboot},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.try(t, m) }) {
			t.Fatalf("the machine's console:\n%s", m.Console())
		}
	}
}

// tryCommands looks at exit codes, streams, signals, limits, and many at once.
func tryCommands(t *testing.T, m *Machine) {
	for _, c := range []struct {
		script, out, errs string
		code              int
	}{
		{"echo out; echo err >&2; exit 3", "out\n", "err\n", 3},
		{"kill -9 $$", "", "", 137},
		{"true", "", "", 0},
		{"sleep 100 & echo left", "left\n", "", 0}, // a child that keeps the output open holds nobody up
	} {
		r, err := m.Run(t.Context(), "sh", "-c", c.script)
		if want := (Result{Stdout: c.out, Stderr: c.errs, Code: c.code}); err != nil || r != want {
			t.Errorf("%q gave %+v, %v; want %+v", c.script, r, err, want)
		}
	}
	if _, err := m.Run(t.Context(), "no-such-program"); err == nil || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("a program that is not there: %v", err)
	}
	var out bytes.Buffer
	code, err := m.Exec(t.Context(), Command{Args: []string{"sh", "-c", "cat; pwd; echo $WORD"}, Env: []string{"WORD=hey"},
		Dir: "/tmp", Stdin: strings.NewReader("in\n"), Stdout: &out})
	if err != nil || code != 0 || out.String() != "in\n/tmp\nhey\n" {
		t.Errorf("with input, folder and environment: %q, %d, %v", out.String(), code, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := m.Run(ctx, "sh", "-c", "sleep 4321 & sleep 4321"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a command beyond its limit: %v", err)
	}
	if left := m.Must(t, "sh", "-c", "ps | grep -c '[s]leep 4321' || true"); left != "0" {
		t.Errorf("%s processes are left of a command that was killed", left)
	}
	tryMany(t, m)
}

// tryMany runs commands at once, and sees that none hears of another.
func tryMany(t *testing.T, m *Machine) {
	answers := make(chan error)
	for i := range 20 {
		go func() {
			r, err := m.Run(t.Context(), "sh", "-c", fmt.Sprintf("echo %d; exit %d", i, i))
			if want := (Result{Stdout: strconv.Itoa(i) + "\n", Code: i}); err == nil && r != want {
				err = fmt.Errorf("command %d gave %+v", i, r)
			}
			answers <- err
		}()
	}
	for range 20 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
}

// tryFiles copies 4 MiB there and back, and a folder.
func tryFiles(t *testing.T, m *Machine) {
	want, dir := make([]byte, 4<<20), t.TempDir()
	_, _ = rand.Read(want)
	write(t, filepath.Join(dir, "sub", "file"), want)
	if err := os.Chmod(filepath.Join(dir, "sub", "file"), 0o750); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := m.Copy(t.Context(), filepath.Join(dir, "sub", "file"), "/tmp/some/where"); err != nil {
		t.Fatal(err)
	}
	there := time.Since(began)
	if mode := m.Must(t, "stat", "-c", "%a", "/tmp/some/where"); mode != "750" {
		t.Errorf("the file came with mode %s", mode)
	}
	began = time.Now()
	r, err := m.Run(t.Context(), "cat", "/tmp/some/where")
	if err != nil || r.Stdout != string(want) {
		t.Errorf("another file came back: %d bytes, %v", len(r.Stdout), err)
	}
	t.Logf("4 MiB went in %v and came back in %v", there, time.Since(began))
	if err := m.CopyFolder(t.Context(), dir, "/tmp/folder"); err != nil {
		t.Fatal(err)
	}
	m.Must(t, "cmp", "/tmp/some/where", "/tmp/folder/sub/file")
	m.Must(t, "rm", "-r", "/tmp/some", "/tmp/folder")
	if err := m.Copy(t.Context(), dir, "/tmp/folder"); err == nil {
		t.Error("a folder was copied as a file")
	}
	if err := m.CopyFolder(t.Context(), filepath.Join(dir, "none"), "/tmp/folder"); err == nil {
		t.Error("a folder that is not there was copied")
	}
}

// tryKernel holds the kernel to what the machine is there for.
func tryKernel(t *testing.T, m *Machine) {
	m.Must(t, "sh", "-ec", `
		ip link add va type veth peer name vb && ip link add vd type dummy && ip link set va up
		tc qdisc add dev va root handle 1: prio bands 4
		tc qdisc add dev va parent 1:4 netem delay 10ms 2ms 25% distribution normal loss 1% duplicate 1% corrupt 1% reorder 1%
		tc qdisc add dev vb root handle 1: htb default 1
		tc class add dev vb parent 1: classid 1:1 htb rate 1mbit
		tc qdisc add dev vb parent 1:1 tbf rate 1mbit burst 10k latency 10ms
		tc qdisc add dev vd clsact
		nft 'add table inet t; add set inet t s { type ipv4_addr; flags timeout; }'
		nft 'add chain inet t c { type filter hook output priority 0; }'
		nft 'add rule inet t c ip daddr @s meta priority set 0x00010004'
		nft 'add rule inet t c tcp dport 9 limit rate 1/second reject with tcp reset'
		nft 'add rule inet t c numgen random mod 2 0 drop'
		nft 'add chain inet t n { type nat hook output priority -100; }; add rule inet t n tcp dport 7 redirect to :8'
		nft delete table inet t && ip link del va && ip link del vd`)
	if has := m.Must(t, "cat", "/sys/fs/cgroup/cgroup.controllers"); !strings.Contains(has, "memory") {
		t.Errorf("no control over memory: %q", has)
	}
}

// tryNetwork looks that the machine reaches nobody, is reached where that was asked for, and that netem delays.
func tryNetwork(t *testing.T, m *Machine) {
	if r, err := m.Run(t.Context(), "ping", "-c", "1", "-W", "2", "192.0.2.1"); err != nil || r.Code == 0 {
		t.Errorf("the machine has a way out: %+v, %v", r, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	served := make(chan error, 1)
	go func() {
		_, err := m.Exec(ctx, Command{Args: []string{"nc", "-ll", "-p", "8080", "-e", "/bin/echo", "hello"}})
		served <- err
	}()
	eventually(t, 10*time.Second, func() error {
		conn, err := dial(m.Address(8080))
		if err != nil {
			return err
		}
		defer conn.Close()
		if said, err := io.ReadAll(conn); string(said) != "hello\n" {
			return fmt.Errorf("port 8080 said %q, %v", said, err)
		}
		return nil
	})
	cancel()
	<-served
	const half = 50 // ms, on the way there and on the way back
	m.Must(t, "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", fmt.Sprintf("%dms", half))
	out := m.Must(t, "ping", "-q", "-c", "20", "-i", "0.2", "127.0.0.1")
	m.Must(t, "tc", "qdisc", "del", "dev", "lo", "root")
	_, figures, _ := strings.Cut(out, "min/avg/max = ")
	least, _, _ := strings.Cut(figures, "/")
	got, err := strconv.ParseFloat(least, 64)
	if err != nil || got < 2*half*0.99 || got > 2*half*1.05 {
		t.Errorf("a round trip over 2 × %d ms took at least %v ms (%v): %s", half, got, err, out)
	}
	t.Logf("round trips over 2 × %d ms: %s", half, figures)
}

// tryClock moves the wall clock an hour on and back; nothing else may notice.
func tryClock(t *testing.T, m *Machine) {
	read := func() time.Time {
		seconds, err := strconv.ParseInt(m.Must(t, "date", "+%s"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return time.Unix(seconds, 0)
	}
	for _, by := range []time.Duration{time.Hour, -2 * time.Hour, time.Hour} {
		before, began := read(), time.Now()
		if err := m.ShiftClock(t.Context(), by); err != nil {
			t.Fatal(err)
		}
		shift, took := read().Sub(before), time.Since(began)
		if shift < by-time.Second || shift > by+took+2*time.Second {
			t.Errorf("moved by %v, the clock moved by %v in %v", by, shift, took)
		}
	}
}

// ssh runs a command in the machine as a user would.
func ssh(t *testing.T, m *Machine, script string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ssh", "-F", m.SSHConfig(), m.Name(), script).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func trySSH(t *testing.T, m *Machine) {
	began := time.Now()
	out, err := ssh(t, m, "cat /proc/sys/kernel/random/boot_id; hostname; id -u; exit 4")
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 4 {
		t.Errorf("ssh ended with %v, want 4", err)
	}
	if want := m.BootID() + "\nledger\n0"; out != want {
		t.Errorf("over ssh: %q, want %q", out, want)
	}
	t.Logf("ssh answered in %v", time.Since(began))
}

// tryReboot looks that a reboot is one, and that the disk comes through it.
func tryReboot(t *testing.T, m *Machine) {
	old := m.BootID()
	m.Must(t, "sh", "-c", "echo kept >/disk/reboot; echo gone >/tmp/reboot")
	mustBoot(t, m, old, "reboot", m.Reboot)
	if got := m.Must(t, "cat", "/disk/reboot"); got != "kept" {
		t.Errorf("after the reboot the disk says %q", got)
	}
	m.Must(t, "test", "!", "-e", "/tmp/reboot")
}

// tryPowerCut looks that what was forced to the disk comes through, and that a command hears of its machine's end.
func tryPowerCut(t *testing.T, m *Machine) {
	old := m.BootID()
	m.Must(t, "sh", "-c", "echo kept | dd of=/disk/cut conv=fsync && touch /tmp/cut")
	failed := make(chan error, 1)
	go func() {
		_, err := m.Run(t.Context(), "sleep", "1000")
		failed <- err
	}()
	eventually(t, 10*time.Second, func() error {
		r, err := m.Run(t.Context(), "sh", "-c", "ps | grep '[s]leep 1000'")
		if err == nil && r.Code != 0 {
			err = errors.New("no command is under way")
		}
		return err
	})
	mustBoot(t, m, old, "power cut", m.PowerCut)
	if err := <-failed; !errors.Is(err, ErrDown) {
		t.Errorf("the command under way: %v, want %v", err, ErrDown)
	}
	if got := m.Must(t, "cat", "/disk/cut"); got != "kept" {
		t.Errorf("after the power cut the disk says %q", got)
	}
	m.Must(t, "test", "!", "-e", "/tmp/cut")
}

// trySSHReboot has the machine rebooted from outside, by request and as if by a hardware reset.
func trySSHReboot(t *testing.T, m *Machine) {
	for _, script := range []string{"reboot", "echo 1 >/proc/sys/kernel/sysrq; echo b >/proc/sysrq-trigger"} {
		mustBoot(t, m, m.BootID(), script, func(ctx context.Context) error {
			old := m.BootID()
			ctx, cancel := context.WithTimeout(ctx, bootLimit)
			defer cancel()
			quit := make(chan struct{})
			go func() {
				defer close(quit)
				out, err := ssh(t, m, script) // ends with the connection, or by its limit
				t.Logf("ssh said %q and ended: %v", out, err)
			}()
			_, err := m.AwaitBoot(ctx, old)
			<-quit
			return err
		})
	}
	eventually(t, 20*time.Second, func() error {
		out, err := ssh(t, m, "cat /proc/sys/kernel/random/boot_id")
		if err == nil && out != m.BootID() {
			err = fmt.Errorf("ssh reached boot %s, the machine is in %s", out, m.BootID())
		}
		return err
	})
}

// mustBoot has something boot the machine anew.
func mustBoot(t *testing.T, m *Machine, old, how string, boot func(context.Context) error) {
	t.Helper()
	began := time.Now()
	if err := boot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m.BootID() == old {
		t.Fatalf("%s: the boot id is still %s", how, old)
	}
	if got := m.Must(t, "cat", "/proc/sys/kernel/random/boot_id"); got != m.BootID() {
		t.Fatalf("%s: the kernel says boot %s, the rig says %s", how, got, m.BootID())
	}
	t.Logf("%s: up again after %v, of which the boot took %v (%v by the kernel's clock)", how,
		time.Since(began).Round(10*time.Millisecond), m.Boot().Took.Round(10*time.Millisecond), m.Boot().Kernel)
}
