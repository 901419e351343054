package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/faults"
)

// roleVariable makes the test binary a process to be killed: one that sleeps, or one that ignores SIGTERM.
const roleVariable = "GAMEDAY_PROCESS_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "parent":
		parent()
		os.Exit(0)
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fallthrough
	case "victim":
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// victim starts a process that lives until its input ends. It is not reaped before the test's end.
func victim(t *testing.T, role string) (faults.Process, *exec.Cmd) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
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
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	if _, err := io.ReadFull(out, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	p, err := Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return p, cmd
}

func inject(t *testing.T, k Kill, p faults.Process) (faults.Injection, error) {
	t.Helper()
	i, err := k.Bind(faults.Place{Name: "payments", Process: &p})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Undo(t.Context()); err != nil {
		return i, err
	}
	return i, i.Inject(t.Context(), 0)
}

func TestKill(t *testing.T) {
	for _, name := range []string{"", "SIGTERM", "SIGINT", "SIGBUS"} {
		p, cmd := victim(t, "victim")
		if !Alive(p) || !strings.Contains(p.Exe, "process.test") && p.Exe == "" || p.Command == "" {
			t.Errorf("identified %+v", p)
		}
		i, err := inject(t, Kill{Signal: name}, p)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for range 2 { // asked again, the evidence is the same
			e, err := i.Effect(ctx)
			if err != nil || !e.Proven || !strings.Contains(e.Summary, fmt.Sprintf("pid %d ended", p.PID)) {
				t.Fatalf("%s: %+v, %v", name, e, err)
			}
		}
		if Alive(p) { // a zombie, not yet reaped
			t.Errorf("%s: a dead process counts as alive", name)
		}
		if _, err := inject(t, Kill{Signal: name}, p); err == nil {
			t.Errorf("%s: killed the dead", name)
		}
		_ = cmd.Wait()
	}
}

// TestStubbornProcess ignores the signal: nothing is proven.
func TestStubbornProcess(t *testing.T) {
	p, _ := victim(t, "stubborn")
	i, err := inject(t, Kill{Signal: "SIGTERM"}, p)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	e, err := i.Effect(ctx)
	if err != nil || e.Proven || !strings.Contains(e.Summary, "still runs") {
		t.Errorf("%+v, %v", e, err)
	}
	if !Alive(p) {
		t.Error("it died after all")
	}
	if i, err = inject(t, Kill{}, p); err != nil {
		t.Fatal(err)
	}
	if e, err := i.Effect(t.Context()); err != nil || !e.Proven {
		t.Errorf("%+v, %v", e, err)
	}
}

// TestRecycledPid gives a pid with the start time of another process: it is not hit, neither when it was replaced
// before the undo was written nor after.
func TestRecycledPid(t *testing.T) {
	p, _ := victim(t, "victim")
	forged := p
	forged.Start--
	if _, err := inject(t, Kill{}, forged); err == nil || !strings.Contains(err.Error(), "no longer the process") {
		t.Errorf("undo: %v", err)
	}
	i, err := (&Kill{}).Bind(faults.Place{Name: "payments", Process: &forged})
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Inject(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "no longer the process") {
		t.Errorf("inject: %v", err)
	}
	if !Alive(p) {
		t.Fatal("the wrong process was hit")
	}
}

func TestBindRefuses(t *testing.T) {
	for name, p := range map[string]*faults.Process{
		"nothing": nil, "init": {PID: 1, Start: 1}, "the guard": {PID: os.Getpid(), Start: 1}, "a group": {PID: -5, Start: 1},
		"everything": {PID: 0, Start: 1}, "no start": {PID: 4127},
	} {
		if _, err := (&Kill{}).Bind(faults.Place{Name: "x", Process: p}); err == nil {
			t.Errorf("%s can be killed", name)
		}
	}
}

func TestValidate(t *testing.T) {
	for signal, want := range map[string]string{
		"SIGKIL": `Did you mean "SIGKILL"?`, "term": `Did you mean "SIGTERM"?`,
		"SIGHUP": "not a signal that ends", "9": "Use one of SIGKILL",
	} {
		err := (&Kill{Signal: signal}).Validate()
		var field *faults.FieldError
		if !errors.As(err, &field) || field.Field != "signal" || !strings.Contains(field.Detail, want) {
			t.Errorf("%s: %v, want %q", signal, err, want)
		}
	}
	if err := (&Kill{}).Validate(); err != nil {
		t.Error(err)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("12 (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20"))
	f.Add([]byte("12 (a"))
	f.Add([]byte(")"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseStat(data)
		if err == nil && s.state == 0 {
			t.Errorf("a process without a state: %q", data)
		}
	})
}

func TestParseStat(t *testing.T) {
	s, err := parseStat([]byte("12 (a) Z b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20"))
	if err != nil || s != (stat{state: 'S', parent: 1, flags: 6, cpu: 11 + 12, start: 4711}) {
		t.Errorf("%+v, %v", s, err)
	}
}
