package stress

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/guard"
)

// hold injects a fault through a real guard, and returns the guard, the ledger's entry and the evidence.
func hold(t *testing.T, r guard.InjectRequest) (*guard.Client, faults.Entry, faults.Effect) {
	t.Helper()
	dir := ledgerDir(t)
	c := startGuard(t, dir)
	got, err := c.Inject(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	e := standing(t, dir)
	if err := traces(e); err == nil {
		t.Fatal("injected, and the kernel has nothing of it")
	}
	t.Logf("%s (inject %v, proof %v)", got.Effect.Summary, got.Inject.Round(time.Millisecond), got.Proof.Round(time.Millisecond))
	return c, e, got.Effect
}

// letGo reverts the fault, and looks that nothing is left.
func letGo(t *testing.T, c *guard.Client, e faults.Entry) {
	t.Helper()
	began := time.Now()
	if err := c.Revert(t.Context(), e.ID); err != nil {
		t.Fatal(err)
	}
	t.Logf("reverted in %v", time.Since(began).Round(time.Millisecond))
	if err := traces(e); err != nil {
		t.Error(err)
	}
	if err := faults.RevertEntry(t.Context(), allKinds(), e); err != nil {
		t.Errorf("reverting what is gone: %v", err)
	}
}

func detail(t *testing.T, e faults.Effect, name string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(e.Details[name], 64)
	if err != nil {
		t.Fatalf("%s: %v in %v", name, err, e.Details)
	}
	return n
}

// TestCPU measures with the processor clock of the worker's process, which the effect does not use.
func TestCPU(t *testing.T) {
	for name, config := range map[string]CPU{"cores": {Cores: 0.5}, "percent": {Percent: 20}} {
		t.Run(name, func(t *testing.T) {
			c, e, effect := hold(t, request(t, "cpu_stress", config, faults.Place{Name: "here"}))
			pid := mustWorkers(t, e)[0]
			before := mustSampleCPU(t, pid)
			began, used := time.Now(), processTime(t, pid)
			<-time.After(time.Second)
			over := time.Since(began).Seconds()
			got := (processTime(t, pid) - used).Seconds() / over
			waited := (mustSampleCPU(t, pid).waited - before.waited).Seconds() / over
			asked := detail(t, effect, "asked_cores")
			if got > asked*1.25+0.05 || got < asked*cpuEnough-waited-0.1 {
				t.Errorf("%.2f processors busy, asked for %.2f (waited %.2f)", got, asked, waited)
			}
			t.Logf("%.3f processors busy, of %.3f asked for (waited %.2f)", got, asked, waited)
			if score, _ := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid)); strings.TrimSpace(string(score)) != "1000" {
				t.Errorf("oom_score_adj is %q", score)
			}
			letGo(t, c, e)
		})
	}
}

func mustSampleCPU(t *testing.T, pid int) cpuSample {
	t.Helper()
	s, err := sampleCPU(pid)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// processTime reads the processor clock of another process.
func processTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// TestMemory finds the memory in the worker's address space, locked and not to be dumped, and gone with it.
func TestMemory(t *testing.T) {
	c, e, effect := hold(t, request(t, "memory_stress", Memory{Size: "128MiB"}, faults.Place{Name: "here"}))
	pid := mustWorkers(t, e)[0]
	resident, err := statusBytes(pid, "RssAnon")
	if err != nil || resident < 128<<20 || resident > 200<<20 {
		t.Errorf("%d bytes are resident, %v", resident, err)
	}
	if locked, err := statusBytes(pid, "VmLck"); err != nil || effect.Details["locked"] == "true" && locked < 128<<20 {
		t.Errorf("%d bytes are locked, %v", locked, err)
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil || strings.Count(string(maps), " dd ") == 0 {
		t.Errorf("nothing is left out of core dumps, %v", err)
	}
	if dir := effect.Details["cgroup"]; dir != "" {
		inside, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil || strings.TrimSpace(string(inside)) != strconv.Itoa(pid) {
			t.Errorf("the cgroup has %q, %v", inside, err)
		}
	}
	letGo(t, c, e)
}

// TestMemoryLetsGo takes the floor away from under a load: in a cgroup whose limit comes near, because a neighbour
// grows. The load lets go at once, and it is reported.
func TestMemoryLetsGo(t *testing.T) {
	own, err := ownGroup("memory")
	if err != nil {
		cannot(t, "%v", err)
	}
	dir := filepath.Join(own.dir, fmt.Sprintf("gameday-stress-test-%d", os.Getpid()))
	limit := map[bool]string{false: "memory.limit_in_bytes", true: "memory.max"}[own.unified]
	if err := os.Mkdir(dir, 0o755); err != nil {
		cannot(t, "no cgroup can be made here: %v", err)
	}
	t.Cleanup(func() {
		eventually(t, patient, func() error { return unix.Rmdir(dir) })
	})
	if err := os.WriteFile(filepath.Join(dir, limit), []byte("300000000"), 0); err != nil {
		cannot(t, "no limit can be set here: %v", err)
	}
	ledger := ledgerDir(t)
	c := startGuard(t, ledger)
	join := func(pid int) {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			t.Fatal(err)
		}
	}
	join(c.PID())
	t.Cleanup(func() { _ = c.Close(context.Background()) }) // before the folder goes
	ask := func(size string) error {
		_, err := c.Inject(t.Context(), request(t, "memory_stress", Memory{Size: size, Floor: "100MB"}, faults.Place{Name: "here"}))
		return err
	}
	if err := ask("260MB"); err == nil || !strings.Contains(err.Error(), "the floor of 100 MB must be left") {
		t.Fatalf("more than fits: %v", err)
	}
	if err := ask("100MB"); err != nil {
		t.Fatal(err)
	}
	e := standing(t, ledger)
	neighbour := startService(t, false)
	join(neighbour.process.PID)
	began := time.Now()
	if got := neighbour.tell(t, "grow"); got != "ok" {
		t.Fatal(got)
	}
	event := awaitEvent(t, c)
	t.Logf("%v after %v: %s", event.Type, time.Since(began).Round(time.Millisecond), event.Why)
	if !strings.Contains(event.Why, "the floor is 100 MB") || event.Type == guard.EventResidue {
		t.Errorf("%+v", event)
	}
	if err := traces(e); err != nil {
		t.Error(err)
	}
	if neighbour.tell(t, "open") != "ok" {
		t.Error("the neighbour suffered")
	}
}

func awaitEvent(t *testing.T, c *guard.Client) guard.Event {
	t.Helper()
	limit := time.NewTimer(patient)
	defer limit.Stop()
	select {
	case e := <-c.Events():
		return e
	case <-limit.C:
		t.Fatal("nothing was reported")
	}
	panic("unreachable")
}

// TestDisk fills a small file system, whose free space falls by as much and comes back; below the reserve the load lets
// go.
func TestDisk(t *testing.T) {
	dir := smallDisk(t)
	free := func() uint64 {
		s, err := readSpace(dir)
		if err != nil {
			t.Fatal(err)
		}
		return s.free
	}
	before := free()
	for _, config := range []Disk{{Size: "20MB"}, {Percent: 50}, {Leave: "30%"}, {}} {
		config.Path, config.Reserve = dir, "8MB"
		c, e, effect := hold(t, request(t, "disk_fill", config, faults.Place{Name: "here"}))
		if asked := uint64(detail(t, effect, "asked")); before-free() < asked || before-free() > asked+1<<20 {
			t.Errorf("%+v: %d bytes were asked for, %d are gone", config, asked, before-free())
		}
		if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
			t.Errorf("%+v: the folder has %v, %v", config, names, err)
		}
		letGo(t, c, e)
		eventually(t, time.Second, func() error {
			if free() != before {
				return fmt.Errorf("%d bytes are free, %d were", free(), before)
			}
			return nil
		})
	}
	c, e, _ := hold(t, request(t, "disk_fill", Disk{Path: dir, Leave: "16MB", Reserve: "8MB"}, faults.Place{Name: "here"}))
	began := time.Now()
	if err := os.WriteFile(filepath.Join(dir, "log"), make([]byte, 12<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	event := awaitEvent(t, c)
	t.Logf("%v after %v: %s", event.Type, time.Since(began).Round(time.Millisecond), event.Why)
	if !strings.Contains(event.Why, "less than the reserve of 8.00 MB") {
		t.Errorf("%+v", event)
	}
	if err := traces(e); err != nil || free() < before-13<<20 {
		t.Errorf("%d bytes are free, %v", free(), err)
	}
}

// TestDiskWithoutNamelessFiles uses the way of file systems that cannot make a file without a name.
func TestDiskWithoutNamelessFiles(t *testing.T) {
	dir := t.TempDir()
	name := fileIn(dir, "0123456789abcdef")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// A worker that was killed between making the file and removing its name leaves this.
	e := faults.Entry{Kind: "disk_fill", Undo: json.RawMessage(fmt.Sprintf(`{"token":"0123456789abcdef","file":%q}`, name))}
	for range 2 {
		if err := revert(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(name); err == nil {
		t.Error("the file is still there")
	}
	if err := os.Mkdir(name, 0o700); err != nil { // somebody else's
		t.Fatal(err)
	}
	if err := revert(t.Context(), e); !errors.Is(err, faults.ErrForeign) {
		t.Errorf("a folder in the way: %v", err)
	}
}

// TestIO reads what the kernel counted for the worker.
func TestIO(t *testing.T) {
	dir := t.TempDir()
	if onMemory(t, dir) {
		cannot(t, "the temporary folder lives in memory")
	}
	for _, mode := range []string{ioWrite, ioBoth} {
		c, e, effect := hold(t, request(t, "io_stress", IO{Path: dir, Mode: mode, Workers: 2, Rate: "4MB", Size: "4MB",
			Block: "16KiB", Reserve: "8MB"}, faults.Place{Name: "here"}))
		if detail(t, effect, "written_bytes") == 0 || mode == ioBoth && detail(t, effect, "read_bytes") == 0 {
			t.Errorf("%s: %v", mode, effect.Details)
		}
		s, err := sampleIO(mustWorkers(t, e)[0])
		if err != nil || s.written > 40e6 {
			t.Errorf("%s: %+v, %v", mode, s, err)
		}
		if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
			t.Errorf("%s: the folder has %v, %v", mode, names, err)
		}
		letGo(t, c, e)
	}
}

// TestFD lets a real process run out of descriptors, and get them back.
func TestFD(t *testing.T) {
	for _, leave := range []int{0, 3} {
		s := startService(t, false)
		c, e, effect := hold(t, request(t, "fd_exhaustion", FD{Leave: leave}, faults.Place{Name: "s", Process: &s.process}))
		if int(detail(t, effect, "free")) != leave {
			t.Errorf("leave %d: %v", leave, effect.Details)
		}
		for range leave {
			if got := s.tell(t, "open"); got != "ok" {
				t.Errorf("leave %d: %s", leave, got)
			}
		}
		if got := s.tell(t, "open"); !strings.Contains(got, "too many open files") {
			t.Errorf("leave %d: %s", leave, got)
		}
		letGo(t, c, e)
		if got := s.tell(t, "open"); got != "ok" {
			t.Errorf("after the revert: %s", got)
		}
	}
}

// TestFDOfChildren gives a descendant back what it inherited, and leaves alone those that were there before and those whose
// limit somebody set.
func TestFDOfChildren(t *testing.T) {
	shell := exec.Command("sh", "-c", `while read -r line; do eval "$line"; done`)
	in, errI := shell.StdinPipe()
	out, errO := shell.StdoutPipe()
	if err := errors.Join(errI, errO, shell.Start()); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(out)
	spawn := func(line string) int {
		t.Helper()
		fmt.Fprintln(in, line)
		text, err := said.ReadString('\n')
		pid, errNumber := strconv.Atoi(strings.TrimSpace(text))
		if err = errors.Join(err, errNumber); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Kill(pid, unix.SIGKILL) })
		return pid
	}
	t.Cleanup(func() {
		in.Close()
		_ = shell.Wait()
	})
	soft := func(pid int) uint64 {
		t.Helper()
		var now unix.Rlimit
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &now); err != nil {
			t.Fatal(err)
		}
		return now.Cur
	}
	const sleep = "sleep 60 </dev/null >/dev/null 2>&1"
	limited := func(n int) string { // says its pid when it has its limit
		return fmt.Sprintf(`sh -c 'ulimit -S -n %d; echo $$; exec %s' &`, n, sleep)
	}
	before := spawn(limited(40))
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", shell.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, start, err := statIdentity(stat)
	if err != nil {
		t.Fatal(err)
	}
	place := faults.Place{Name: "s", Process: &faults.Process{PID: shell.Process.Pid, Start: start}}
	c, e, effect := hold(t, request(t, "fd_exhaustion", FD{Leave: 20}, place))
	low, was := uint64(detail(t, effect, "limit")), uint64(detail(t, effect, "limit_before"))
	child := spawn(sleep + " & echo $!")
	grandchild := spawn("(" + sleep + " & echo $!; wait) &")
	foreign := spawn(limited(15))
	for _, pid := range []int{shell.Process.Pid, child, grandchild} {
		if got := soft(pid); got != low {
			t.Errorf("while it stands pid %d has %d, want %d", pid, got, low)
		}
	}
	letGo(t, c, e)
	for _, pid := range []int{shell.Process.Pid, child, grandchild} {
		if got := soft(pid); got != was {
			t.Errorf("afterwards pid %d has %d, want %d", pid, got, was)
		}
	}
	for pid, want := range map[int]uint64{before: 40, foreign: 15} {
		if got := soft(pid); got != want {
			t.Errorf("pid %d has %d, which is not what it was given: %d", pid, got, want)
		}
	}
}

// TestFDLeavesForeignLimitsAlone changes the limit while the fault stands: that is not ours to undo.
func TestFDLeavesForeignLimitsAlone(t *testing.T) {
	s := startService(t, false)
	c, e, _ := hold(t, request(t, "fd_exhaustion", FD{}, faults.Place{Name: "s", Process: &s.process}))
	var now unix.Rlimit
	if err := unix.Prlimit(s.process.PID, unix.RLIMIT_NOFILE, nil, &now); err != nil {
		t.Fatal(err)
	}
	now.Cur = 77
	if err := unix.Prlimit(s.process.PID, unix.RLIMIT_NOFILE, &now, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Revert(t.Context(), e.ID); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(s.process.PID, unix.RLIMIT_NOFILE, nil, &now); err != nil || now.Cur != 77 {
		t.Errorf("the limit is %d, %v", now.Cur, err)
	}
}

// TestPorts lets a real process run out of ports, in a network of its own, and get them back.
func TestPorts(t *testing.T) {
	for _, leave := range []int{0, 2} {
		s := startService(t, true)
		if got := s.tell(t, "connect"); got != "ok" {
			t.Fatal(got)
		}
		c, e, effect := hold(t, request(t, "port_exhaustion", Ports{Leave: leave}, faults.Place{Name: "s", Network: &s.network}))
		if held := detail(t, effect, "held"); held < 20000 || detail(t, effect, "left") != float64(leave) {
			t.Errorf("leave %d: %v", leave, effect.Details)
		}
		for range leave {
			if got := s.tell(t, "connect"); got != "ok" {
				t.Errorf("leave %d: %s", leave, got)
			}
		}
		if got := s.tell(t, "connect"); !strings.Contains(got, "cannot assign requested address") {
			t.Errorf("leave %d: %s", leave, got)
		}
		letGo(t, c, e)
		eventually(t, time.Second, func() error {
			if got := s.tell(t, "connect"); got != "ok" {
				return errors.New(got)
			}
			return nil
		})
	}
}

// TestPortsInOwnNetwork refuses to starve gameday itself.
func TestPortsInOwnNetwork(t *testing.T) {
	s := startService(t, false)
	c := startGuard(t, ledgerDir(t))
	r := request(t, "port_exhaustion", Ports{}, faults.Place{Name: "s", Network: &s.network})
	if err := c.Check(t.Context(), r); err == nil || !strings.Contains(err.Error(), "allow_self_cut") {
		t.Errorf("%v", err)
	}
}

// TestRefusals asks for what cannot be had: a clear error, and nothing in the ledger.
func TestRefusals(t *testing.T) {
	disk := smallDisk(t)
	s := startService(t, false)
	forged := s.process
	forged.Start--
	here := faults.Place{Name: "here"}
	c := startGuard(t, ledgerDir(t))
	for _, row := range []struct {
		name string
		r    guard.InjectRequest
		want string
	}{
		{"more cores than there are", request(t, "cpu_stress", CPU{Cores: 4000}, here), "the guard may use"},
		{"more memory than there is", request(t, "memory_stress", Memory{Size: "900TB"}, here), "must be left"},
		{"more space than there is", request(t, "disk_fill", Disk{Path: disk, Size: "70MB", Reserve: "1MB"}, here), "must be left"},
		{"the default reserve", request(t, "disk_fill", Disk{Path: disk}, here), "reserve of 1.00 GB"},
		{"no such folder", request(t, "disk_fill", Disk{Path: "/no/such"}, here), "no such file"},
		{"a file", request(t, "disk_fill", Disk{Path: "/proc/self/stat"}, here), "name a folder"},
		{"a disk in memory", request(t, "io_stress", IO{Path: disk}, here), "lives in memory"},
		{"a pid that changed hands", request(t, "fd_exhaustion", FD{}, faults.Place{Name: "s", Process: &forged}), "no longer the one"},
		{"more than may be opened", request(t, "fd_exhaustion", FD{Leave: 1 << 20}, faults.Place{Name: "s", Process: &s.process}), "leave fewer"},
		{"a network that is gone", request(t, "port_exhaustion", Ports{},
			faults.Place{Name: "s", Network: &faults.Namespace{Inode: 1, Device: 1}}), "gone"},
	} {
		if _, err := c.Inject(t.Context(), row.r); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.name, err, row.want)
		}
		if held, err := c.List(t.Context()); err != nil || len(held) != 0 {
			t.Errorf("%s: %v held, %v", row.name, held, err)
		}
	}
}

// TestForeignGroup finds a process that somebody put into the load's cgroup: it is named, and not touched.
func TestForeignGroup(t *testing.T) {
	own, err := ownGroup("cpu")
	if err != nil {
		cannot(t, "%v", err)
	}
	const token = "fedcba9876543210"
	dir := newGroup("cpu", token)
	if dir == "" {
		cannot(t, "no cgroup can be made here")
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := startService(t, false)
	pid := []byte(strconv.Itoa(s.process.PID))
	t.Cleanup(func() {
		_ = os.WriteFile(filepath.Join(own.dir, "cgroup.procs"), pid, 0)
		_ = unix.Rmdir(dir)
	})
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), pid, 0); err != nil {
		t.Fatal(err)
	}
	e := faults.Entry{Kind: "cpu_stress", Undo: json.RawMessage(fmt.Sprintf(`{"token":%q,"group":%q}`, token, dir))}
	if err := revert(t.Context(), e); !errors.Is(err, faults.ErrForeign) || !strings.Contains(err.Error(), string(pid)) {
		t.Errorf("%v", err)
	}
	if !alive(s.process) || s.tell(t, "open") != "ok" {
		t.Error("the process was touched")
	}
	if err := makeGroup(dir, nil); err == nil {
		t.Error("a cgroup that exists was used")
	}
}

// TestWorkerThatIsKilled is reported as a fault that is gone, whoever did it.
func TestWorkerThatIsKilled(t *testing.T) {
	c, e, _ := hold(t, request(t, "cpu_stress", CPU{Cores: 0.1}, faults.Place{Name: "here"}))
	kill(syscall.SIGKILL, mustWorkers(t, e)...)
	event := awaitEvent(t, c)
	if !strings.Contains(event.Why, "killed by signal 9") {
		t.Errorf("%+v", event)
	}
	if err := traces(e); err != nil {
		t.Error(err)
	}
}

// TestNoHook refuses to start a program again that does not know of workers.
func TestNoHook(t *testing.T) {
	hooked = false
	defer func() { hooked = true }()
	i, err := (&CPU{}).Bind(faults.Place{Name: "here"})
	if err != nil {
		t.Fatal(err)
	}
	if err := i.(faults.Checker).Check(t.Context()); !errors.Is(err, errNoHook) {
		t.Errorf("%v", err)
	}
}
