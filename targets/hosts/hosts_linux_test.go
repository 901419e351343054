package hosts_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/find"
	"gameday/faults/guard"
	"gameday/faults/kinds"
	"gameday/faults/stress"
	"gameday/internal/bound"
	"gameday/internal/scriptrig"
	"gameday/internal/sshrig"
	"gameday/targets/hosts"
)

// guardVariable makes the test binary a guard: the one that is copied.
const guardVariable = "GAMEDAY_HOSTS_TEST_GUARD"

func TestMain(m *testing.M) {
	if stress.IsWorker() {
		stress.RunWorker()
	}
	if os.Getenv(guardVariable) != "" {
		p := guard.Program{Kinds: kinds.All(), Find: find.Answer}
		os.Exit(p.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// rig is a host and a way to it.
type rig struct {
	*sshrig.Server
	pool     *hosts.Pool
	settings hosts.Settings
	guards   string // folder of the guard to copy
}

func newRig(t *testing.T, o sshrig.Options) *rig {
	t.Helper()
	o.Environment = append(o.Environment, guardVariable+"=1")
	r := &rig{Server: sshrig.Start(t, o), guards: t.TempDir()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(r.guards, "gameday-guard")); err != nil {
		t.Fatal(err)
	}
	r.settings = hosts.Settings{SSH: faults.SSH{Destination: sshrig.Host, Config: r.Config}}
	r.pool = &hosts.Pool{Programs: &hosts.Programs{Folder: r.guards}}
	t.Cleanup(func() { _ = r.pool.Close(context.Background()) })
	return r
}

func (r *rig) host() *hosts.Host { return r.pool.Host(r.settings) }

// seed puts the guard on the host, without a copy's time.
func (r *rig) seed(t *testing.T) {
	t.Helper()
	var system syscall.Utsname
	if err := syscall.Uname(&system); err != nil {
		t.Fatal(err)
	}
	var machine []byte
	for _, c := range system.Machine {
		if c != 0 {
			machine = append(machine, byte(c))
		}
	}
	p, err := r.pool.Programs.For(string(machine))
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(r.Home, ".cache", "gameday")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(p.Path, filepath.Join(folder, p.Name())); err != nil {
		t.Fatal(err)
	}
}

// installed lists what is in the folder on the host.
func (r *rig) installed(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(r.Home, ".cache", "gameday", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func minute(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// TestCopy copies the guard once, verifies it each time, replaces one that somebody changed, and removes it.
func TestCopy(t *testing.T) {
	r := newRig(t, sshrig.Options{})
	ctx := minute(t)
	if _, err := (&hosts.Pool{Programs: r.pool.Programs, ReadOnly: true}).Host(r.settings).Guard(ctx); !errors.Is(err, hosts.ErrNotInstalled) {
		t.Errorf("an onlooker gets %v", err)
	}
	if got := r.installed(t); len(got) != 0 {
		t.Fatalf("an onlooker left %q", got)
	}
	began := time.Now()
	path, copied, err := r.host().Install(ctx)
	if err != nil || !copied {
		t.Fatalf("the first time: %v, %v", copied, err)
	}
	first := time.Since(began)
	if got := r.installed(t); len(got) != 1 || got[0] != path {
		t.Fatalf("installed %q, want %q", got, path)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	before := info.ModTime()
	began = time.Now()
	if _, copied, err := r.host().Install(ctx); err != nil || copied {
		t.Errorf("the second time: %v, %v", copied, err)
	}
	t.Logf("copied %d bytes in %v; seen to be there in %v", info.Size(), first, time.Since(began))
	if info, err := os.Stat(path); err != nil || !info.ModTime().Equal(before) {
		t.Errorf("it was copied again: %v", err)
	}

	// Somebody puts another program in its place.
	scriptrig.Write(t, path, "#!/bin/sh\ntouch "+r.Home+"/pwned\n")
	c, err := r.host().Guard(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(r.Home, "pwned")); !errors.Is(err, os.ErrNotExist) {
		t.Error("the changed program was run")
	}
	if info, err := os.Stat(path); err != nil || info.Size() < 1000 {
		t.Errorf("the changed program was not replaced: %v", err)
	}
	w, err := c.Hello(ctx)
	if err != nil || w.Ledger != r.Ledger || w.User == "" {
		t.Errorf("welcome %+v, %v", w, err)
	}
	if again, err := r.host().Guard(ctx); err != nil || again != c {
		t.Errorf("a second guard stands beside the first: %v", err)
	}
	// A copy that was cut short is gameday's, what somebody else keeps there is not.
	folder := filepath.Dir(path)
	for _, name := range []string{".gameday-guard.4711", "notes of mine"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if stays, err := r.host().Remove(ctx); err != nil || len(stays) != 1 || stays[0] != "notes of mine" {
		t.Errorf("what stays: %q, %v", stays, err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
	if err := os.Remove(filepath.Join(folder, "notes of mine")); err != nil {
		t.Fatal(err)
	}
	if stays, err := r.host().Remove(ctx); err != nil || len(stays) != 0 {
		t.Errorf("what stays: %q, %v", stays, err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something is left: %q, %v", r.installed(t), err)
	}
}

// TestOpenFolder refuses a folder in which others could put another program in the guard's place, with the guard in it and without.
func TestOpenFolder(t *testing.T) {
	for _, mode := range []os.FileMode{0o777, 0o770, 0o722, 0o1777} {
		r := newRig(t, sshrig.Options{})
		r.seed(t)
		folder := filepath.Join(r.Home, ".cache", "gameday")
		if err := os.Chmod(folder, mode&0o777|(mode&0o1000)<<11); err != nil {
			t.Fatal(err)
		}
		_, err := r.host().Guard(minute(t))
		if err == nil || !strings.Contains(err.Error(), "host web1") || !strings.Contains(err.Error(), "chmod go-w "+folder) {
			t.Errorf("%o: %v", mode, err)
		}
	}
	r := newRig(t, sshrig.Options{})
	r.seed(t)
	if err := os.Chmod(filepath.Join(r.Home, ".cache", "gameday"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := r.host().Guard(minute(t)); err != nil {
		t.Errorf("one that others may only read: %v", err)
	}
}

// TestBadHosts meets hosts that cannot be used. Each error names the host, the cause and what to do, and nothing is left.
func TestBadHosts(t *testing.T) {
	t.Run("unknown key", func(t *testing.T) {
		r := newRig(t, sshrig.Options{NotKnown: true})
		r.refuses(t, "Host key verification failed", "connect once by hand")
	})
	t.Run("no entry", func(t *testing.T) {
		r := newRig(t, sshrig.Options{NoEntry: true})
		r.refuses(t, "Permission denied", "a key must open it without a password")
	})
	t.Run("down", func(t *testing.T) {
		r := newRig(t, sshrig.Options{})
		r.Stop()
		r.refuses(t, "Connection refused", "does sshd run there")
	})
	t.Run("unknown name", func(t *testing.T) {
		r := newRig(t, sshrig.Options{})
		r.settings.SSH.Destination = "nowhere.invalid"
		r.refuses(t, "nowhere.invalid", "Could not resolve", "~/.ssh/config")
	})
	t.Run("no configuration", func(t *testing.T) {
		r := newRig(t, sshrig.Options{})
		r.settings.SSH.Config = "/no/such/config"
		r.refuses(t, "Can't open user config file")
	})
	t.Run("no sudo", func(t *testing.T) {
		r := newRig(t, sshrig.Options{Environment: []string{"PATH=" + fakeSudo(t, `echo "sudo: a password is required" >&2; exit 1`)}})
		r.settings.SSH.Sudo = true
		r.seed(t) // what is there stays
		if _, err := r.host().Guard(minute(t)); err == nil || !strings.Contains(err.Error(), "a password is required") ||
			!strings.Contains(err.Error(), "sudoers") {
			t.Errorf("%v", err)
		}
	})
	t.Run("another machine", func(t *testing.T) {
		r := newRig(t, sshrig.Options{Environment: []string{"PATH=" + fake(t, "uname", `echo Linux aarch64`)}})
		r.refuses(t, "no guard for linux/arm64", "GOARCH=arm64 go build")
	})
	t.Run("another system", func(t *testing.T) {
		r := newRig(t, sshrig.Options{Environment: []string{"PATH=" + fake(t, "uname", `echo Darwin arm64`)}})
		r.refuses(t, "runs Darwin", "hosts with Linux only")
	})
	t.Run("broken on the way", func(t *testing.T) {
		r := newRig(t, sshrig.Options{Environment: []string{"PATH=" + fake(t, "cat", `head -c 1000`)}})
		r.refuses(t, "did not arrive whole")
	})
	t.Run("a file in the way", func(t *testing.T) {
		r := newRig(t, sshrig.Options{})
		r.settings.Install = filepath.Join(r.Home, "file")
		if err := os.WriteFile(r.settings.Install, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r.refuses(t, "cannot be made", "install")
	})
	t.Run("no guard there", func(t *testing.T) {
		r := newRig(t, sshrig.Options{})
		r.settings.Guard = "/no/such/guard"
		r.refuses(t, "not found", "Leave guard out")
	})
}

// fake puts a shell script in front of the programs of a name, and returns the path to look for programs.
func fake(t *testing.T, name, script string) string {
	t.Helper()
	dir := t.TempDir()
	scriptrig.Write(t, filepath.Join(dir, name), "#!/bin/sh\n"+script+"\n")
	return dir + ":/usr/local/bin:/usr/bin:/bin"
}

func fakeSudo(t *testing.T, script string) string { return fake(t, "sudo", script) }

// refuses asks for the guard and wants an error.
func (r *rig) refuses(t *testing.T, want ...string) {
	t.Helper()
	_, err := r.host().Guard(minute(t))
	if err == nil {
		t.Fatal("a guard stands there")
	}
	t.Log(err)
	for _, w := range append(want, r.settings.SSH.Destination) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
	if got := r.installed(t); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
}

// TestFullDisk copies to a file system without room, and to one that runs no programs.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("mounting a file system takes root")
		}
		t.Skip("mounting a file system takes root")
	}
	for name, c := range map[string]struct{ options, want string }{
		"full":   {"size=64k,mode=0700", "No space left on device"},
		"noexec": {"size=200m,mode=0700", "mounted noexec"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, sshrig.Options{})
			r.settings.Install = filepath.Join(r.Home, "small")
			if err := os.Mkdir(r.settings.Install, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mount("tmpfs", r.settings.Install, "tmpfs", syscall.MS_NOEXEC, c.options); err != nil {
				if os.Getenv("CI") != "" {
					t.Fatalf("mounting a tmpfs: %v", err)
				}
				t.Skipf("mounting a tmpfs: %v", err)
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(r.settings.Install, syscall.MNT_DETACH); err != nil {
					t.Error(err)
				}
			})
			_, err := r.host().Guard(minute(t))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "name another folder with install") {
				t.Errorf("%v", err)
			}
			if left, _ := os.ReadDir(r.settings.Install); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// TestSudo runs the guard through sudo, and tells it of the connection that it must not cut, which sudo takes away.
func TestSudo(t *testing.T) {
	r := newRig(t, sshrig.Options{Environment: []string{"PATH=" + fakeSudo(t, `[ "$1" = -n ] || exit 9; shift; `+
		`echo "$@" >"$HOME/sudone"; exec env -u SSH_CONNECTION "$@"`)}})
	r.seed(t)
	r.settings.SSH.Sudo = true
	c, err := r.host().Guard(minute(t))
	if err != nil {
		t.Fatal(err)
	}
	line, err := os.ReadFile(filepath.Join(r.Home, "sudone"))
	if err != nil || !strings.Contains(string(line), " --ssh 127.0.0.1 ") {
		t.Errorf("sudo ran %q, %v", line, err)
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", hello(t, c).PID))
	if err != nil || strings.Contains(string(env), "SSH_CONNECTION=") {
		t.Errorf("this sudo passes the variable on: %v", err)
	}
}

func hello(t *testing.T, c *guard.Client) guard.Welcome {
	t.Helper()
	w, err := c.Hello(minute(t))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// sleeper starts a process to disturb, which sleeps for longer than any test waits.
func sleeper(t *testing.T) (*exec.Cmd, find.Query) {
	t.Helper()
	length := fmt.Sprintf("3607.%07d%d", os.Getpid(), time.Now().Nanosecond())
	c := exec.Command("sleep", length)
	if err := bound.Start(c, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	return c, find.Query{Process: &find.Process{Command: "^sleep " + strings.ReplaceAll(length, ".", `\.`) + "$"}}
}

// state returns a process's state from the kernel: "S", "T".
func state(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return rest[:1]
}

// until polls the kernel, for at most a limit, and returns how long it took.
func until(t *testing.T, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Since(began) > limit {
			t.Fatalf("%s: not within %v", what, limit)
		}
		<-tick.C
	}
	return time.Since(began)
}

// pause pauses the process on the host, which is not renewed, and returns its id.
func (r *rig) pause(t *testing.T, q find.Query, lease time.Duration) (*guard.Client, string) {
	t.Helper()
	ctx := minute(t)
	found, err := r.host().Find(ctx, q)
	if err != nil || len(found.Found) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	c, err := r.host().Guard(ctx)
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprintf("host-test-%d", time.Now().UnixNano())
	where := found.Found[0].Place
	where.Name, where.Host = "web", sshrig.Host
	a, err := c.Inject(ctx, guard.InjectRequest{ID: id, Run: "host-test", Scenario: "s", Fault: "hang", Kind: "process_pause",
		Config: json.RawMessage(`{}`), Place: where, Lease: lease, Deadline: time.Minute})
	if err != nil || !a.Effect.Proven {
		t.Fatalf("%+v, %v", a, err)
	}
	return c, id
}

// TestCutConnection loses the connection under a standing fault in each of the ways it can be lost, and looks into the
// kernel when the fault is gone.
func TestCutConnection(t *testing.T) {
	const lease = 2 * time.Second
	for _, c := range []struct {
		name  string
		lease time.Duration
		limit time.Duration
		cut   func(t *testing.T, c *guard.Client)
	}{
		{"ssh killed", 30 * time.Second, time.Second, func(t *testing.T, c *guard.Client) { kill(t, c.PID(), syscall.SIGKILL) }},
		{"ssh hung", lease, lease + time.Second, func(t *testing.T, c *guard.Client) {
			kill(t, c.PID(), syscall.SIGSTOP)
			t.Cleanup(func() { kill(t, c.PID(), syscall.SIGKILL) })
		}},
		{"sshd's session killed", 30 * time.Second, time.Second, func(t *testing.T, c *guard.Client) {
			kill(t, parent(t, hello(t, c).PID), syscall.SIGKILL)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, sshrig.Options{})
			r.seed(t)
			target, q := sleeper(t)
			client, id := r.pause(t, q, c.lease)
			if s := state(t, target.Process.Pid); s != "T" {
				t.Fatalf("state %s", s)
			}
			standing, err := r.host().Standing(minute(t))
			if err != nil || len(standing) != 1 || standing[0].ID != id || standing[0].Orphaned {
				t.Fatalf("standing %+v, %v", standing, err)
			}
			c.cut(t, client)
			took := until(t, c.limit, "the process runs again", func() bool { return state(t, target.Process.Pid) == "S" })
			t.Logf("reverted after %v", took)
			until(t, c.limit, "the ledger is empty", func() bool {
				left, err := filepath.Glob(filepath.Join(r.Ledger, "*.json"))
				return err == nil && len(left) == 0
			})
		})
	}
}

func kill(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
}

func parent(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	var s string
	var ppid int
	if _, err := fmt.Sscan(rest, &s, &ppid); err != nil {
		t.Fatal(err)
	}
	return ppid
}

// TestGuardKilled kills the guard on the host: the fault stands as an orphan there, and a new guard reverts it.
func TestGuardKilled(t *testing.T) {
	r := newRig(t, sshrig.Options{})
	r.seed(t)
	target, q := sleeper(t)
	c, id := r.pause(t, q, 30*time.Second)
	kill(t, hello(t, c).PID, syscall.SIGKILL)
	<-c.Ended()
	ctx := minute(t)
	standing, err := r.host().Standing(ctx)
	if err != nil || len(standing) != 1 || standing[0].ID != id || !standing[0].Orphaned || standing[0].Entry.Place.Host != sshrig.Host {
		t.Fatalf("standing %+v, %v", standing, err)
	}
	if s := state(t, target.Process.Pid); s != "T" {
		t.Fatalf("state %s", s)
	}
	done, err := r.host().Clean(ctx, "another")
	if err != nil || len(done) != 0 {
		t.Errorf("cleaned %+v, %v", done, err)
	}
	done, err = r.host().Clean(ctx, id)
	if err != nil || len(done) != 1 || !done[0].Reverted {
		t.Fatalf("cleaned %+v, %v", done, err)
	}
	if s := state(t, target.Process.Pid); s == "T" {
		t.Errorf("state %s", s)
	}
	until(t, time.Second, "the process sleeps again", func() bool { return state(t, target.Process.Pid) == "S" })
	if done, err := r.host().Clean(ctx); err != nil || len(done) != 0 {
		t.Errorf("again %+v, %v", done, err)
	}
}

// TestFind finds the host itself, and nothing that gameday has brought there or came by.
func TestFind(t *testing.T) {
	r := newRig(t, sshrig.Options{})
	r.seed(t)
	ctx := minute(t)
	found, err := r.host().Find(ctx, find.Query{})
	if err != nil || len(found.Found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	own, err := find.Namespace(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	boot, err := find.BootID()
	if err != nil {
		t.Fatal(err)
	}
	if p := found.Found[0].Place; p.Network == nil || p.Network.Inode != own.Inode || p.Node == nil || p.Node.BootID != boot {
		t.Errorf("place %+v", p)
	}
	c, err := r.host().Guard(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w := hello(t, c)
	for name, q := range map[string]find.Process{
		"the guard": {Command: fmt.Sprintf(`--silence %s$`, "30s"), Exe: executable(t, w.PID)},
		"sshd":      {Exe: "sshd", Command: r.Config},
	} {
		if found, err := r.host().Find(ctx, find.Query{Process: &q}); err != nil || len(found.Found) != 0 {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	if _, err := r.host().Find(ctx, find.Query{Process: &find.Process{PIDFile: "/no/such/file"}}); err == nil || !strings.Contains(err.Error(), "host web1") {
		t.Errorf("a pidfile that is not there: %v", err)
	}
}

func executable(t *testing.T, pid int) string {
	t.Helper()
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		t.Fatal(err)
	}
	return exe
}
