package remote_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gameday/faults"
	"gameday/internal/sshrig"
	"gameday/loadgen"
	"gameday/loadgen/k6"
	"gameday/loadgen/k6/program"
	"gameday/loadgen/native"
	"gameday/loadgen/remote"
	"gameday/targets/hosts"
)

const (
	version = "test"
	// farVariable makes the test binary the program on a host, and names the folder where it leaves its process id.
	farVariable = "GAMEDAY_REMOTE_TEST_FAR"
)

// The test binary is the program on hosts too, and its own traffic generators.
func TestMain(m *testing.M) {
	switch {
	case program.IsChild():
		program.RunChild()
	case native.IsChild():
		native.RunChild()
	}
	if dir := os.Getenv(farVariable); dir != "" {
		if len(os.Args) > 1 && os.Args[1] == "--version" {
			fmt.Println(version)
			os.Exit(0)
		}
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(os.Getpid())), nil, 0o600); err != nil {
			panic(err)
		}
		scripts := os.Args[0]
		if len(os.Args) == 4 && os.Args[2] == "--k6" { // generator --k6 PATH
			scripts = os.Args[3]
		}
		if err := remote.Serve(context.Background(), version, engines(scripts), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// engines are this program's, with another one for scripts.
func engines(scripts string) loadgen.Engines {
	return loadgen.Engines{Scripts: &k6.Engine{Program: scripts}, Flows: &native.Engine{}}
}

// machine is a host that generates traffic.
type machine struct {
	*sshrig.Server
	host *hosts.Host
	pids string // folder with the process ids of programs that ran there

	mu  sync.Mutex
	ssh []*exec.Cmd
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{pids: t.TempDir()}
	m.Server = sshrig.Start(t, sshrig.Options{Environment: []string{farVariable + "=" + m.pids}})
	m.host = (&hosts.Pool{}).Host(hosts.Settings{SSH: faults.SSH{Destination: sshrig.Host, Config: m.Config}})
	return m
}

// generator sends from the machine, by the program at a path or by a copy.
func (m *machine) generator(program string) *remote.Generator {
	return &remote.Generator{Version: version, Explain: m.host.Explain, Start: func(ctx context.Context, spec loadgen.Spec) (*exec.Cmd, error) {
		cmd, err := m.host.Generator(ctx, program, spec.Script != "")
		m.mu.Lock()
		defer m.mu.Unlock()
		m.ssh = append(m.ssh, cmd)
		return cmd, err
	}}
}

// pid returns the process of the one program that ran on the machine.
func (m *machine) pid(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir(m.pids)
	if err != nil || len(entries) != 1 {
		t.Fatalf("programs that ran: %v, %v", entries, err)
	}
	pid, err := strconv.Atoi(entries[0].Name())
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// family returns a process and those that come from it.
func family(t *testing.T, pid int) []int {
	t.Helper()
	out := []int{pid}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err != nil {
			continue
		}
		for _, word := range strings.Fields(string(b)) {
			child, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, family(t, child)...)
		}
	}
	return out
}

// gone waits until none of the processes is left.
func gone(t *testing.T, pids []int) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for _, pid := range pids {
		for alive(pid) {
			if time.Now().After(deadline) {
				t.Fatalf("process %d of %v is left", pid, pids)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// shop counts requests by path.
type shop struct {
	*httptest.Server
	mu    sync.Mutex
	paths []string
	last  time.Time // when the last one came
}

func newShop(t *testing.T) *shop {
	s := &shop{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.paths, s.last = append(s.paths, r.URL.Path), time.Now()
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shop) hits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.paths)
}

// latest returns when the last request came.
func (s *shop) latest() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// numbered fails unless the requests were to a first number, the next one and so on, each once.
func (s *shop) numbered(t *testing.T, from int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var got []int
	for _, p := range s.paths {
		n, err := strconv.Atoi(strings.TrimPrefix(p, "/"))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
	}
	slices.Sort(got)
	for i, n := range got {
		if n != from+i {
			t.Fatalf("iterations %v", got)
		}
	}
}

// stream is traffic under test, from several machines.
type stream struct {
	commands chan loadgen.Command
	result   chan error
	told     chan loadgen.Window // windows as they come
	due      uint64              // by the windows that were taken from told
	over     uint64              // those of them that have ended or were given up
	windows  []loadgen.Window    // read after result
	mu       sync.Mutex
	said     []string
}

// begin sends a stream from the machines, and returns when all of them send.
func begin(t *testing.T, spec loadgen.Spec, machines map[string]loadgen.Generator) *stream {
	t.Helper()
	s := &stream{commands: make(chan loadgen.Command, 4), result: make(chan error, 1), told: make(chan loadgen.Window, 1000)}
	ready := make(chan struct{})
	spec.Stream, spec.Dir, spec.Commands, spec.Ready = "shoppers", t.TempDir(), s.commands, func() { close(ready) }
	spec.Log = func(level, text string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.said = append(s.said, level+": "+text)
	}
	fleet := loadgen.Fleet{Generator: engines(os.Args[0]), There: func(n loadgen.Node) loadgen.Generator { return machines[n.SSH] }}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.result <- fleet.Run(ctx, spec, func(w loadgen.Window) {
			s.windows = append(s.windows, w)
			s.told <- w
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	select {
	case <-ready:
	case err := <-s.result:
		t.Fatalf("it did not begin: %v", err)
	case <-time.After(90 * time.Second):
		t.Fatal("it did not begin")
	}
	return s
}

// takes takes windows until they are enough.
func (s *stream) takes(t *testing.T, enough func(loadgen.Window) bool) {
	t.Helper()
	late := time.After(60 * time.Second)
	for {
		select {
		case w := <-s.told:
			s.due, s.over = s.due+w.Due, s.over+w.Completed+w.Dropped
			if enough(w) {
				return
			}
		case err := <-s.result:
			t.Fatalf("it ended: %v", err)
		case <-late:
			t.Fatalf("after a minute %d of %d that were due are over", s.over, s.due)
		}
	}
}

// stop ends a stream that was told when to send no more, once all that was due by then is over. A stop has no such instant: generators
// hear of it one after the other, and meanwhile some of them send.
func (s *stream) stop(t *testing.T) {
	t.Helper()
	s.takes(t, func(w loadgen.Window) bool { return w.Multiple == 0 && s.over == s.due })
	s.commands <- loadgen.Command{Stop: true}
	if err := s.ends(t); err != nil {
		t.Fatal(err)
	}
}

func (s *stream) ends(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.result:
		return err
	case <-time.After(60 * time.Second):
		t.Fatal("it does not end")
		return nil
	}
}

// whole fails unless there is one window a second, at whole seconds, and returns what was due, begun and given up in all.
func (s *stream) whole(t *testing.T) (due, started, dropped uint64) {
	t.Helper()
	for i, w := range s.windows {
		if want := s.windows[0].Start.Add(time.Duration(i) * time.Second); !w.Start.Equal(want) || w.Start.Nanosecond() != 0 {
			t.Errorf("window %d begins at %s, want %s", i, w.Start, want)
		}
		due, started, dropped = due+w.Due, started+w.Started, dropped+w.Dropped
	}
	return due, started, dropped
}
