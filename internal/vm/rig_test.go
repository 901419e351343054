package vm

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/internal/vm/wire"
)

// eventually asks until ask is nil, at most for the limit.
func eventually(t *testing.T, limit time.Duration, ask func() error) {
	t.Helper()
	tick, end := time.NewTicker(50*time.Millisecond), time.Now().Add(limit)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %v: %v", limit, err)
		}
		<-tick.C
	}
}

func dial(address string) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", address, 2*time.Second)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(2 * time.Second))
	}
	return conn, err
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCpio has another program read an archive.
func TestCpio(t *testing.T) {
	busybox, err := lookPath("busybox")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	tr := tree{}
	tr.file("bin/a", 0o755, []byte("hello"))
	tr.file("etc/b/c", 0o600, nil)
	tr.link("bin", "usr/bin")
	tr.dir("tmp", 0o1777)
	path := filepath.Join(t.TempDir(), "archive")
	if err := tr.writeImage(path); err != nil {
		t.Fatal(err)
	}
	archive, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	dir := t.TempDir()
	cmd := exec.Command(busybox, "cpio", "-i", "-d")
	cmd.Stdin, cmd.Dir = archive, dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cpio: %v: %s", err, out)
	}
	for name, want := range map[string]os.FileMode{"usr/bin/a": 0o755, "etc/b/c": 0o600, "etc/b": os.ModeDir | 0o755,
		"tmp": os.ModeDir | os.ModeSticky | 0o777, "bin": os.ModeSymlink | 0o777} {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%s came out as %v, %v; want %v", name, info, err, want)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "bin", "a")); string(got) != "hello" {
		t.Errorf("through the link: %q, %v", got, err)
	}
}

// TestModules orders the real kernel's modules.
func TestModules(t *testing.T) {
	Need(t)
	p, err := findParts()
	if err != nil {
		t.Fatal(err)
	}
	set, err := readModules(p.modules)
	if err != nil {
		t.Fatal(err)
	}
	files, err := set.order(append(append([]string{}, hardware...), Modules...))
	if err != nil {
		t.Fatal(err)
	}
	place := map[string]int{}
	for i, f := range files {
		place[moduleName(f)] = i
	}
	if len(place) != len(files) {
		t.Errorf("of %d modules to load, %d are different", len(files), len(place))
	}
	for _, f := range files {
		needed, err := dependencies(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range needed {
			if at, ok := place[n]; !set.builtin[n] && (!ok || at >= place[moduleName(f)]) {
				t.Errorf("%s needs %s, which is not loaded before it", f, n)
			}
		}
	}
	if _, err := set.order([]string{"sch_no_such"}); err == nil || !strings.Contains(err.Error(), "sch_no_such") {
		t.Errorf("a module that is not there: %v", err)
	}
}

// TestMissing holds the rig to naming what it has not got.
func TestMissing(t *testing.T) {
	t.Setenv(cacheVariable, t.TempDir())
	t.Setenv("PATH", t.TempDir())
	_, err := findParts()
	for _, want := range []string{"qemu-system-x86_64", os.Getenv(cacheVariable), cacheVariable} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

// TestVerdict reads outcomes from what tests print.
func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name, said string
		want       Outcome
		ok         bool
	}{
		{"nothing ran", "testing: warning: no tests to run\nPASS\n", Outcome{}, false},
		{"only skipped", "--- SKIP: TestA (0.00s)\n    why\nPASS\n", Outcome{Skipped: 1}, false},
		{"passed", "--- PASS: TestA (0.00s)\n    --- PASS: TestA/b (0.00s)\n    --- SKIP: TestA/c (0.00s)\nPASS\n",
			Outcome{Passed: 2, Skipped: 1}, true},
		{"failed", "--- PASS: TestA (0.00s)\n--- FAIL: TestB (0.00s)\nFAIL\n", Outcome{Passed: 1, Failed: 1}, false},
	} {
		got := count(c.said)
		if got != c.want || (got.verdict() == nil) != c.ok {
			t.Errorf("%s: %+v, %v", c.name, got, got.verdict())
		}
	}
}

// TestTestsInside runs a package's tests in a machine, and none that are not there.
func TestTestsInside(t *testing.T) {
	m := Start(t, Options{})
	const pkg = "gameday/internal/vm/wire"
	if got, want := m.Test(t, pkg, "^TestFrames", time.Minute), (Outcome{Passed: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	o, said, err := m.test(t.Context(), pkg, "^TestNoSuch$", time.Minute)
	if err != nil || o.verdict() == nil {
		t.Errorf("no test: %+v, %v, %s", o, err, said)
	}
	if _, _, err := m.test(t.Context(), "gameday/internal/no/such", ".", time.Minute); err == nil {
		t.Error("a package that is not there was tested")
	}
}

// TestLineEnds gives the rig's end of a line rubbish and ends: commands must not wait for ever.
func TestLineEnds(t *testing.T) {
	for _, c := range []struct {
		name  string
		frame wire.Frame
	}{
		{"another hello: the agent was killed", wire.Frame{Kind: wire.KindHello, Data: []byte("{}")}},
		{"rubbish", wire.Frame{Kind: wire.KindExit + 1}},
	} {
		here, there := net.Pipe()
		defer there.Close()
		if err := here.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		go func() { _ = wire.WriteJSON(there, wire.KindHello, 0, wire.Hello{BootID: "x"}) }()
		s, err := openSession(here)
		if err != nil || s.hello.BootID != "x" {
			t.Fatalf("%s: %v", c.name, err)
		}
		go s.serve()
		go func() {
			_, _ = wire.Read(there) // the start
			_ = wire.Write(there, c.frame)
		}()
		id, running, err := s.begin(wire.Start{Args: []string{"x"}}, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if _, err := s.wait(t.Context(), id, running); err != ErrDown {
			t.Errorf("%s: %v, want %v", c.name, err, ErrDown)
		}
		if _, _, err := s.begin(wire.Start{}, nil, nil); err != ErrDown {
			t.Errorf("%s: a command after the end: %v, want %v", c.name, err, ErrDown)
		}
	}
}

// TestQemuFails gives qemu no kernel: the rig says what qemu says, and does not wait for a boot.
func TestQemuFails(t *testing.T) {
	Need(t)
	m, err := prepare(t, Options{})
	if err != nil {
		t.Fatal(err)
	}
	m.parts.kernel = "/no/such/kernel"
	if err := m.RestorePower(t.Context()); err == nil || !strings.Contains(err.Error(), m.parts.kernel) {
		t.Errorf("without a kernel: %v", err)
	}
	m.CutPower()
	_, err = prepare(t, Options{Modules: []string{"no_such"}})
	if err == nil || !strings.Contains(err.Error(), "no_such") {
		t.Errorf("with a module that is not there: %v", err)
	}
}
