package targets

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/process"
)

// roleVariable makes the test binary a process to be found: it listens on a port of its own and waits for the end of its
// input.
const roleVariable = "GAMEDAY_TARGETS_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(l.Addr().(*net.TCPAddr).Port)
		_, _ = io.Copy(io.Discard, os.Stdin)
		l.Close() // not before: one that nothing refers to any more would be closed by the garbage collector
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// sought is a process that tests look for.
type sought struct {
	pid, port int
	mark      string // only its command line has this
	end       func()
}

func newSought(t *testing.T) sought {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	mark := fmt.Sprintf("sought-by-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-"))
	cmd := exec.Command(self, mark)
	cmd.Env = append(os.Environ(), roleVariable+"=sought")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := sought{pid: cmd.Process.Pid, mark: mark}
	s.end = func() {
		in.Close()
		_ = cmd.Wait()
	}
	t.Cleanup(s.end)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if s.port, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		t.Fatal(err)
	}
	return s
}

// found resolves a selector on this machine, with everything it finds.
func found(t *testing.T, s Process) ([]Place, error) {
	t.Helper()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return (&Machine{}).Target("web", &s, Choice{}).Places(ctx)
}

// TestSelectors finds one running process by each of the ways, and by none that is a little off.
func TestSelectors(t *testing.T) {
	p := newSought(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	pidfile := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(pidfile, []byte(fmt.Sprintf(" %d\n", p.pid)), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]Process{
		"listen": {Listen: p.port}, "command": {Command: p.mark + "$"}, "pidfile": {PIDFile: pidfile},
		"exe and command": {Exe: exe, Command: p.mark}, "last part of exe": {Exe: filepath.Base(exe), Command: p.mark},
		"user": {User: me.Uid, Command: p.mark}, "user's name": {User: me.Username, Listen: p.port},
	} {
		places, err := found(t, s)
		if err != nil || len(places) != 1 || places[0].Where().Process.PID != p.pid || places[0].Where().Name != "web" {
			t.Errorf("%s: %+v, %v", name, places, err)
			continue
		}
		if q, err := process.Identify(p.pid); err != nil || q.Start != places[0].Where().Process.Start {
			t.Errorf("%s: started at %d, not %d: %v", name, places[0].Where().Process.Start, q.Start, err)
		}
	}
	for name, s := range map[string]Process{
		"another exe": {Listen: p.port, Exe: "/bin/nothing"}, "another command": {Listen: p.port, Command: "nothing like that"},
		"another user": {Listen: p.port, User: "65533"}, "another unit": {Listen: p.port, Unit: "no-such-unit"},
		"another cgroup": {Listen: p.port, Cgroup: "/no/such/cgroup"}, "another pidfile": {Listen: 1, PIDFile: pidfile},
	} {
		var empty *EmptyError
		if places, err := found(t, s); !errors.As(err, &empty) {
			t.Errorf("%s: %+v, %v", name, places, err)
		}
	}
	p.end()
	if places, err := found(t, Process{PIDFile: pidfile}); err == nil {
		t.Errorf("a stale pidfile selects %+v", places)
	}
}

func TestBadPIDFiles(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "no number": "nginx", "negative": "-5", "everything": "0"} {
		path := filepath.Join(t.TempDir(), "pid")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := found(t, Process{PIDFile: path}); err == nil || !strings.Contains(err.Error(), "holds no pid") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := found(t, Process{PIDFile: filepath.Join(t.TempDir(), "none")}); err == nil || !strings.Contains(err.Error(), "reading the pidfile") {
		t.Errorf("missing: %v", err)
	}
}

// TestRealCgroup finds a process by a cgroup that the test makes for it, in whatever hierarchy systemd would use.
func TestRealCgroup(t *testing.T) {
	p := newSought(t)
	made := ""
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"} {
		folder := filepath.Join(mount, fmt.Sprintf("gameday-test-%d", os.Getpid()), "payments.service")
		if _, err := os.Stat(filepath.Join(mount, "cgroup.procs")); err != nil || os.MkdirAll(folder, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			p.end()
			for _, f := range []string{folder, filepath.Dir(folder)} {
				for tries := 0; tries < 1000 && errors.Is(os.Remove(f), os.ErrExist); tries++ {
				}
				_ = os.Remove(f)
			}
		})
		if err := os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte(strconv.Itoa(p.pid)), 0o644); err == nil {
			made = "/" + filepath.Base(filepath.Dir(folder))
			break
		}
	}
	if made == "" {
		if os.Getenv("CI") != "" && os.Geteuid() == 0 {
			t.Fatal("root can make no cgroup")
		}
		t.Skip("no cgroup can be made here: it needs root")
	}
	for name, s := range map[string]Process{
		"unit": {Unit: "payments.service", Command: p.mark}, "cgroup": {Cgroup: made + "/payments.service"}, "one above": {Cgroup: made},
	} {
		places, err := found(t, s)
		if err != nil || len(places) != 1 || places[0].Where().Process.PID != p.pid {
			t.Errorf("%s: %+v, %v", name, places, err)
		}
	}
}

// TestVanishes resolves a process that is gone when the fault comes: nothing is touched, and the error says so.
func TestVanishes(t *testing.T) {
	p := newSought(t)
	places, err := found(t, Process{Listen: p.port})
	if err != nil {
		t.Fatal(err)
	}
	p.end()
	for name, c := range map[string]faults.Config{"pause": &process.Pause{}, "kill": &process.Kill{}} {
		i, err := c.Bind(places[0].Where())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := i.Undo(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing was touched") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSelectorMistakes(t *testing.T) {
	for field, s := range map[string]Process{
		"listen": {Listen: 70000}, "command": {Command: "("}, "unit": {Unit: "system.slice/payments.service"}, "cgroup": {Cgroup: "/"},
	} {
		var fe *faults.FieldError
		if err := s.Validate(); !errors.As(err, &fe) || fe.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, s := range []Process{{}, {Unit: "pay*"}, {Cgroup: "system.slice"}, {Cgroup: "/../"}} {
		if s.Validate() == nil {
			t.Errorf("%+v is valid", s)
		}
	}
}
