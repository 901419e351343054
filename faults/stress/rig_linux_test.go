package stress

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/guard"
)

// roleVariable makes the test binary play another part: the sandbox of all tests, a guard, a conductor, a service.
const roleVariable = "GAMEDAY_STRESS_TEST_ROLE"

// Other variables of the roles.
const (
	requestVariable = "GAMEDAY_STRESS_TEST_REQUEST" // what the conductor injects
	killVariable    = "GAMEDAY_STRESS_TEST_KILL"    // the checkpoint at which the guard kills itself
	sandboxless     = "GAMEDAY_STRESS_TEST_NO_SANDBOX"
)

const patient = 10 * time.Second

func TestMain(m *testing.M) {
	if IsWorker() {
		RunWorker()
	}
	switch os.Getenv(roleVariable) {
	case "sandbox":
		os.Exit(m.Run())
	case "guard":
		os.Exit(playGuard())
	case "conductor":
		os.Exit(playConductor())
	case "service":
		os.Exit(playService())
	}
	os.Exit(inSandbox(m))
}

func allKinds() []faults.Kind {
	return []faults.Kind{CPUKind(), DiskKind(), FDKind(), IOKind(), MemoryKind(), PortsKind()}
}

// inSandbox runs the tests again in a mount namespace of their own, and without root in a user namespace too.
func inSandbox(m *testing.M) int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), roleVariable+"=sandbox")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	runtime.LockOSThread() // Pdeathsig is about the thread
	if err := cmd.Start(); err != nil {
		os.Setenv(sandboxless, err.Error())
		return m.Run()
	}
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return max(1, exit.ExitCode())
	}
	if err != nil {
		return 1
	}
	return 0
}

// cannot skips a test that lacks something here, and fails it where nothing may be lacking.
func cannot(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// smallDisk mounts a file system of 64 MB that nobody else sees.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Getenv(roleVariable) != "sandbox" {
		cannot(t, "no mount namespace can be made here: %s", os.Getenv(sandboxless))
	}
	dir := t.TempDir()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		cannot(t, "mounts cannot be made private here: %v", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		cannot(t, "nothing can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// playGuard is a guard that kills itself at a checkpoint, if it is to.
func playGuard() int {
	signal.Ignore(syscall.SIGPIPE) // as guard.Main does
	kill := faults.Checkpoint(os.Getenv(killVariable))
	l, err := faults.OpenLedger(os.Args[1])
	if err != nil {
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err = guard.Serve(ctx, os.Stdin, os.Stdout, guard.Options{Kinds: allKinds(), Ledger: l,
		Reach: func(_ string, at faults.Checkpoint) {
			if at == kill {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		}})
	if err != nil {
		return 1
	}
	return 0
}

// playConductor starts a guard, injects a fault, says the guard's pid, and renews until it dies.
func playConductor() int {
	var r guard.InjectRequest
	if err := json.Unmarshal([]byte(os.Getenv(requestVariable)), &r); err != nil {
		return 1
	}
	ctx := context.Background()
	c, err := guard.Start(ctx, selfAs("guard", os.Args[1]))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if _, err := c.Inject(ctx, r); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(c.PID())
	for tick := time.NewTicker(r.Lease / 5); ; <-tick.C {
		if errs, err := c.Renew(ctx, r.Lease, r.ID); err != nil || errs[r.ID] != nil {
			_, _ = io.Copy(io.Discard, os.Stdin)
			return 0
		}
	}
}

// playService answers the lines it is told: "open" opens a file, "connect" a connection to its own listener. It says
// "ok" or the error.
func playService() int {
	if err := loopbackUp(); err != nil && os.Getenv("GAMEDAY_STRESS_TEST_NET") != "" {
		fmt.Println(err)
		return 1
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	var keep []io.Closer
	fmt.Println("ready", l.Addr().(*net.TCPAddr).Port)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var c io.Closer
		var err error
		switch lines.Text() {
		case "open":
			c, err = os.Open("/dev/null")
		case "grow":
			b := make([]byte, 130<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			c = memoryCloser(b)
		case "connect":
			c, err = net.Dial("tcp", l.Addr().String())
		}
		if err != nil {
			fmt.Println(err)
			continue
		}
		keep = append(keep, c)
		fmt.Println("ok")
	}
	for _, c := range keep {
		c.Close()
	}
	return 0
}

// memoryCloser is memory that is kept.
type memoryCloser []byte

// Close does nothing.
func (memoryCloser) Close() error { return nil }

// loopbackUp switches the loopback interface of this network namespace on.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}

// service is a process to hit.
type service struct {
	process faults.Process
	network faults.Namespace
	port    string
	in      io.Writer
	out     *bufio.Reader
}

// startService starts one, in a network of its own if it is to have one.
func startService(t *testing.T, ownNetwork bool) *service {
	t.Helper()
	cmd := selfAs("service")
	if ownNetwork {
		cmd.Env = append(cmd.Env, "GAMEDAY_STRESS_TEST_NET=own")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	}
	in, errI := cmd.StdinPipe()
	out, errO := cmd.StdoutPipe()
	if err := errors.Join(errI, errO); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		cannot(t, "no network namespace can be made here: %v", err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	s := &service{in: in, out: bufio.NewReader(out)}
	line, err := s.out.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready ") {
		t.Fatalf("the service said %q, %v", line, err)
	}
	s.port = strings.TrimSpace(strings.TrimPrefix(line, "ready "))
	pid := cmd.Process.Pid
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, start, err := statIdentity(stat)
	if err != nil {
		t.Fatal(err)
	}
	s.process = faults.Process{PID: pid, Start: start}
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &st); err != nil {
		t.Fatal(err)
	}
	s.network = faults.Namespace{Inode: st.Ino, Device: uint64(st.Dev), PID: pid}
	return s
}

// tell has the service do something and returns what it said.
func (s *service) tell(t *testing.T, what string) string {
	t.Helper()
	fmt.Fprintln(s.in, what)
	line, err := s.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func selfAs(role string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// request asks for a fault on a place. The lease is long: tests that want it to run out choose their own.
func request(t *testing.T, kind string, config any, p faults.Place) guard.InjectRequest {
	t.Helper()
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return guard.InjectRequest{ID: "i1", Run: "r1", Scenario: "s", Fault: "f", Kind: kind, Config: raw, Place: p,
		Lease: 5 * time.Second, Deadline: time.Minute}
}

// startGuard runs a real guard on a ledger in dir.
func startGuard(t *testing.T, dir string, env ...string) *guard.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	cmd := selfAs("guard", dir)
	cmd.Env = append(cmd.Env, env...)
	c, err := guard.Start(ctx, cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// standing returns the ledger's only entry.
func standing(t *testing.T, dir string) faults.Entry {
	t.Helper()
	l, err := faults.OpenLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := l.Standing()
	if err != nil || len(all) != 1 || all[0].Err != nil {
		t.Fatalf("the ledger has %+v, %v", all, err)
	}
	return all[0].Entry
}

// traces says what is left of an injection in the kernel: workers, cgroup, file, limit.
func traces(e faults.Entry) error {
	var u struct {
		undo
		Process   faults.Process
		Soft, Set uint64
	}
	if err := json.Unmarshal(e.Undo, &u); err != nil {
		return err
	}
	pids, err := workersOf(u.Token)
	if err != nil || len(pids) > 0 {
		return fmt.Errorf("workers %v, %v", pids, err)
	}
	for _, path := range []string{u.Group, u.File} {
		if _, err := os.Lstat(path); path != "" && err == nil {
			return fmt.Errorf("%s is there", path)
		}
	}
	if u.Set > 0 {
		var now unix.Rlimit
		if err := unix.Prlimit(u.Process.PID, unix.RLIMIT_NOFILE, nil, &now); err != nil || now.Cur != u.Soft {
			return fmt.Errorf("the limit is %d and was %d, %v", now.Cur, u.Soft, err)
		}
	}
	return nil
}

// eventually asks until ask is nil, and returns how long that took.
func eventually(t *testing.T, limit time.Duration, ask func() error) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return time.Since(began)
		}
		if time.Since(began) > limit {
			t.Fatalf("not within %v: %v", limit, err)
		}
		<-tick.C
	}
}

// samples returns a small fault of every kind, with its place.
func samples(t *testing.T) map[string]guard.InjectRequest {
	t.Helper()
	s := startService(t, true)
	machine := faults.Place{Name: "here"}
	all := map[string]guard.InjectRequest{
		"cpu_stress":      request(t, "cpu_stress", CPU{Cores: 0.3}, machine),
		"memory_stress":   request(t, "memory_stress", Memory{Size: "64MB", Floor: "64MB"}, machine),
		"fd_exhaustion":   request(t, "fd_exhaustion", FD{}, faults.Place{Name: "s", Process: &s.process}),
		"port_exhaustion": request(t, "port_exhaustion", Ports{}, faults.Place{Name: "s", Network: &s.network}),
	}
	if os.Getenv(roleVariable) == "sandbox" {
		all["disk_fill"] = request(t, "disk_fill", Disk{Path: smallDisk(t), Size: "16MB", Reserve: "8MB"}, machine)
	}
	if dir := t.TempDir(); !onMemory(t, dir) {
		all["io_stress"] = request(t, "io_stress",
			IO{Path: dir, Workers: 2, Rate: "2MB", Size: "2MB", Reserve: "8MB"}, machine)
	}
	return all
}

func onMemory(t *testing.T, dir string) bool {
	t.Helper()
	s, err := readSpace(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s.inMemory
}

func sorted(all map[string]guard.InjectRequest) []string {
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func ledgerDir(t *testing.T) string { return filepath.Join(t.TempDir(), "ledger") }
