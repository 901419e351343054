package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/faults"
)

// scene is a folder in which a fault leaves its marks.
type scene struct {
	t      *testing.T
	dir    string
	config *Command
	place  faults.Place
}

// newScene returns a fault whose mark is the file "mark"; the scripts run in the scene's folder.
func newScene(t *testing.T) *scene {
	s := &scene{t: t, dir: t.TempDir(), place: faults.Place{Name: "here"}}
	s.config = &Command{Inject: script("touch mark; echo marked"), Effect: script("test -e mark && echo there"),
		Revert: script("rm -f mark"), Directory: s.dir, Timeout: enough}
	return s
}

func script(text string) []string { return []string{"sh", "-c", text} }

const testID = "run-1-own-1"

// enough is a limit for commands that are not to meet it.
const enough = "10s"

func (s *scene) owned(ctx context.Context) context.Context {
	return faults.WithOwner(ctx, faults.Owner{Run: "run-1", Injection: testID, Fault: "own"})
}

// settle does what the guard does before Inject, and returns the ledger's entry.
func (s *scene) settle(ctx context.Context) (faults.Injection, faults.Entry, error) {
	s.t.Helper()
	in, err := s.config.Bind(s.place)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := in.(faults.Checker).Check(ctx); err != nil {
		return nil, faults.Entry{}, err
	}
	u, err := in.Undo(ctx)
	if err != nil {
		return nil, faults.Entry{}, err
	}
	config, err := json.Marshal(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	return in, faults.Entry{ID: testID, Run: "run-1", Scenario: "s", Fault: "own", Kind: "command", Place: s.place, Config: config, Undo: u}, nil
}

// inject settles and injects, and must not fail.
func (s *scene) inject() (faults.Injection, faults.Entry) {
	s.t.Helper()
	ctx := s.owned(s.t.Context())
	in, e, err := s.settle(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := in.Inject(ctx, 10*time.Second); err != nil {
		s.t.Fatal(err)
	}
	return in, e
}

func (s *scene) revert(e faults.Entry) {
	s.t.Helper()
	if err := faults.RevertEntry(s.t.Context(), []faults.Kind{Kind()}, e); err != nil {
		s.t.Fatal(err)
	}
}

// limited returns the entry with another limit than its fault was injected under: one that a command is to meet is so short that others meet it too
// on a busy machine.
func (s *scene) limited(e faults.Entry, limit string) faults.Entry {
	s.t.Helper()
	c := *s.config
	c.Timeout = limit
	var err error
	if e.Config, err = json.Marshal(&c); err != nil {
		s.t.Fatal(err)
	}
	return e
}

func (s *scene) has(name string) bool {
	_, err := os.Stat(filepath.Join(s.dir, name))
	return err == nil
}

func (s *scene) read(name string) string {
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

func (s *scene) pid(name string) int {
	n, err := strconv.Atoi(strings.TrimSpace(s.read(name)))
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// marked lists live processes that carry the injection in their environment.
func marked(t *testing.T, id string) []int {
	t.Helper()
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		env, err := os.ReadFile("/proc/" + d.Name() + "/environ")
		if st, bad := readStat(pid); err != nil || bad != nil || st.state == 'Z' {
			continue
		}
		if strings.Contains("\x00"+string(env), "\x00"+injectionVariable+id+"\x00") {
			out = append(out, pid)
		}
	}
	return out
}

// within polls until ok, for at most ten seconds.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not within 10s: %s", what)
		}
	}
}

// TestLife injects, proves, and reverts twice.
func TestLife(t *testing.T) {
	s := newScene(t)
	in, e := s.inject()
	if !s.has("mark") {
		t.Fatal("the inject command has left no mark")
	}
	effect, err := in.Effect(t.Context())
	if err != nil || !effect.Proven || effect.Summary != "there" || effect.Details["proof"] != "effect (sh)" {
		t.Errorf("effect %+v, %v", effect, err)
	}
	s.revert(e)
	if s.has("mark") {
		t.Error("the mark stands after the revert")
	}
	s.revert(e)
	if left := marked(t, testID); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
}

// TestEnvironment reads what the commands are given, and what they are not.
func TestEnvironment(t *testing.T) {
	t.Setenv("UNNAMED", "must not be passed on")
	s := newScene(t)
	self, err := readStat(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	s.place.Process = &faults.Process{PID: os.Getpid(), Start: self.start}
	s.config.Environment = map[string]string{"QUEUE": "jobs", "LANG": "C"}
	s.config.Inject, s.config.Revert = script("env > inject; pwd > mark"), script("env > revert; rm -f mark")
	_, e := s.inject()
	if got := strings.TrimSpace(s.read("mark")); got != s.dir {
		t.Errorf("it ran in %s, want %s", got, s.dir)
	}
	e.Place.Process.Start++ // as if the number had gone to somebody else
	s.revert(e)
	for name, wants := range map[string][]string{
		"inject": {"GAMEDAY_RUN=run-1", "GAMEDAY_INJECTION=" + testID, "GAMEDAY_FAULT=own", "GAMEDAY_PLACE=here", "GAMEDAY_ADDRESSES=",
			fmt.Sprintf("GAMEDAY_PID=%d", os.Getpid()), "GAMEDAY_LEASE=10", "GAMEDAY_COMMAND=inject", "QUEUE=jobs", "LANG=C", "PATH=" + os.Getenv("PATH")},
		"revert": {"GAMEDAY_RUN=run-1", "GAMEDAY_FAULT=own", "GAMEDAY_COMMAND=revert", "QUEUE=jobs", "PATH=" + os.Getenv("PATH")},
	} {
		got := "\n" + s.read(name)
		for _, w := range wants {
			if !strings.Contains(got, "\n"+w+"\n") {
				t.Errorf("%s was not given %s", name, w)
			}
		}
		if strings.Contains(got, "UNNAMED") {
			t.Errorf("%s was given the guard's whole environment", name)
		}
		if name == "revert" && strings.Contains(got, "GAMEDAY_PID") {
			t.Error("revert was given the number of somebody else's process")
		}
	}
}

// TestRefusals checks what is found before anything is touched.
func TestRefusals(t *testing.T) {
	for want, change := range map[string]func(*scene){
		"no such program in PATH": func(s *scene) { s.config.Revert = []string{"no-such-program"} },
		"no such program at /no":  func(s *scene) { s.config.Renew = []string{"/no/such/program"} },
		"that is no folder there": func(s *scene) { s.config.Directory = filepath.Join(s.dir, "gone") },
		"check (sh) ended with exit status 1; it said: the queue is not empty": func(s *scene) {
			s.config.Check = script("echo the queue is not empty >&2; exit 1")
		},
		"succeeds before anything was injected": func(s *scene) { s.config.Effect = script("true") },
		"was not done after":                    func(s *scene) { s.config.Effect, s.config.Timeout = script("sleep 60"), "100ms" },
		"no longer the process that was chosen": func(s *scene) { s.place.Process = &faults.Process{PID: os.Getpid(), Start: 1} },
	} {
		s := newScene(t)
		change(s)
		_, _, err := s.settle(s.owned(t.Context()))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if strings.Contains(want, "before") && !errors.Is(err, faults.ErrForeign) {
			t.Errorf("not told as foreign state: %v", err)
		}
		if left := marked(t, testID); len(left) > 0 || s.has("mark") {
			t.Errorf("%s: left %v, mark %v", want, left, s.has("mark"))
		}
	}
}

// TestHalfApplied fails in the middle of an inject: the error says why, and the revert clears away the half.
func TestHalfApplied(t *testing.T) {
	s := newScene(t)
	s.config.Inject = script("touch mark; echo no room >&2; exit 3")
	ctx := s.owned(t.Context())
	in, e, err := s.settle(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Inject(ctx, time.Minute); err == nil || err.Error() != "inject (sh) ended with exit status 3; it said: no room" {
		t.Errorf("injecting: %v", err)
	}
	if !s.has("mark") {
		t.Fatal("nothing was applied, so nothing is tested")
	}
	s.revert(e)
	if s.has("mark") {
		t.Error("the mark stands after the revert")
	}
}

// TestStuck lets commands hang, with children in the background: the time limit and the end of the context kill the whole
// group, and a process of somebody else lives on.
func TestStuck(t *testing.T) {
	for name, limit := range map[string]string{"time limit": "300ms", "cancelled": "1m"} {
		s := newScene(t)
		s.config.Effect, s.config.Timeout = nil, limit
		s.config.Inject = script("sleep 300 & sleep 301 & echo ready > mark; sleep 302")
		other, err := os.StartProcess("/bin/sleep", []string{"sleep", "300"}, &os.ProcAttr{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(s.owned(t.Context()))
		in, e, err := s.settle(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if name == "cancelled" {
			go func() {
				within(t, "the command has begun", func() bool { return s.has("mark") })
				cancel()
			}()
		}
		began := time.Now()
		err = in.Inject(ctx, time.Minute)
		if err == nil || !strings.Contains(err.Error(), "killed with its process group") {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %v", name, took)
		}
		within(t, name+": all are gone", func() bool { return len(marked(t, testID)) == 0 })
		if err := other.Signal(syscall.Signal(0)); err != nil {
			t.Errorf("%s: somebody else's process is gone: %v", name, err)
		}
		s.revert(s.limited(e, enough))
		cancel()
		_ = other.Kill()
		_, _ = other.Wait()
	}
}

// TestBackground leaves a process in the background, which goes on and writes until the revert ends it.
func TestBackground(t *testing.T) {
	s := newScene(t)
	s.config.Inject = script("(while :; do date; sleep 0.05; done) & echo $! > mark; echo started")
	s.config.Effect = script(`kill -0 "$(cat mark 2>/dev/null)" 2>/dev/null`)
	s.config.Revert = script(`test ! -e mark || { kill "$(cat mark)" 2>/dev/null; rm -f mark; }`)
	in, e := s.inject()
	pid := s.pid("mark")
	if effect, err := in.Effect(t.Context()); err != nil || !effect.Proven || effect.Summary != "effect (sh) exited 0" {
		t.Errorf("effect %+v, %v", effect, err)
	}
	wrote := func() string { // CPU time moves on only while it writes
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	before := wrote()
	within(t, "it goes on writing", func() bool { return wrote() != before })
	s.revert(e)
	within(t, "it is gone", func() bool { return syscall.Kill(pid, 0) != nil })
	s.revert(e)
}

// TestSlowEffect looks in slices shorter than the effect command takes: it runs once, not once a slice.
func TestSlowEffect(t *testing.T) {
	s := newScene(t)
	s.config.Effect = script("test -e mark || exit 1; echo run >> runs; until test -e seen; do sleep 0.02; done; echo slowly")
	in, e := s.inject()
	look := func(limit time.Duration) faults.Effect {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		effect, err := in.Effect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return effect
	}
	for range 3 {
		if effect := look(50 * time.Millisecond); effect.Proven {
			t.Errorf("proven before its command had ended: %+v", effect)
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, "seen"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if effect := look(30 * time.Second); !effect.Proven || effect.Summary != "slowly" {
		t.Errorf("effect %+v", effect)
	}
	if runs := s.read("runs"); runs != "run\n" {
		t.Errorf("runs %q", runs)
	}
	s.revert(e)
}

// TestEffectEndsWithFault gives a fault up while its effect command hangs: nothing of it goes on.
func TestEffectEndsWithFault(t *testing.T) {
	s := newScene(t)
	s.config.Effect = script("test -e mark || exit 1; sleep 300")
	life, end := context.WithCancel(s.owned(t.Context()))
	in, e, err := s.settle(life)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Inject(life, time.Minute); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(life, 50*time.Millisecond)
	defer cancel()
	if effect, err := in.Effect(ctx); err != nil || effect.Proven {
		t.Errorf("effect %+v, %v", effect, err)
	}
	if len(marked(t, testID)) == 0 {
		t.Fatal("the effect command does not run, so nothing is tested")
	}
	end()
	within(t, "the effect command is gone", func() bool { return len(marked(t, testID)) == 0 })
	s.revert(e)
}

// TestUnproven returns what the effect command said.
func TestUnproven(t *testing.T) {
	s := newScene(t)
	s.config.Effect = script("echo still 12 jobs; exit 1")
	in, e := s.inject()
	if got := unproven(t, in); got != "effect (sh) ended with exit status 1; it said: still 12 jobs" {
		t.Errorf("it said %q", got)
	}
	s.revert(e)
}

// unproven looks at an effect, for longer each time, until its command has ended, and returns what is told of it. It is never proven.
func unproven(t *testing.T, in faults.Injection) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for limit := 300 * time.Millisecond; ; limit *= 2 {
		look, giveUp := context.WithTimeout(ctx, limit)
		effect, err := in.Effect(look)
		giveUp()
		if err != nil || effect.Proven || ctx.Err() != nil {
			t.Fatalf("%+v, %v, want it unproven", effect, err)
		}
		if effect.Summary != "" {
			return effect.Summary
		}
	}
}

// TestAtItsWord says so when nothing but inject vouches for the effect.
func TestAtItsWord(t *testing.T) {
	s := newScene(t)
	s.config.Effect = nil
	in, e := s.inject()
	effect, err := in.Effect(t.Context())
	if err != nil || !effect.Proven || effect.Details["proof"] != "inject's exit code alone" || effect.Details["output"] != "marked" {
		t.Errorf("%+v, %v", effect, err)
	}
	s.revert(e)
}

// TestResidue reverts in vain, in two ways.
func TestResidue(t *testing.T) {
	for want, revert := range map[string]struct {
		script []string
		limit  string
	}{
		"goes on succeeding (\"there\")":               {script("true"), "3s"}, // for so long it is looked at, and no look may meet it
		"revert (sh) ended with exit status 4":         {script("exit 4"), enough},
		"killed with its process group; raise timeout": {script("sleep 60"), "500ms"},
	} {
		s := newScene(t)
		s.config.Revert = revert.script
		_, e := s.inject()
		err := faults.RevertEntry(t.Context(), []faults.Kind{Kind()}, s.limited(e, revert.limit))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "reverting own on here: ") {
			t.Errorf("%v, want %q", err, want)
		}
		if left := marked(t, testID); len(left) > 0 {
			t.Errorf("%s: left %v", want, left)
		}
	}
}

// TestSecrets lets every command print a secret of the scenario, and fail.
func TestSecrets(t *testing.T) {
	const secret = "hunter2-and-more"
	leak := script(`echo "login with $TOKEN failed" >&2; exit 1`)
	var said []string
	note := func(err error) {
		t.Helper()
		if err == nil {
			t.Error("no error")
			return
		}
		said = append(said, err.Error())
	}
	s := newScene(t)
	s.config.Environment = map[string]string{"TOKEN": secret}
	s.config.Check = leak
	_, _, err := s.settle(s.owned(t.Context()))
	note(err)
	s.config.Check, s.config.Effect, s.config.Revert = nil, leak, leak
	s.config.Inject = script(`echo "using $TOKEN"`)
	in, e := s.inject()
	said = append(said, unproven(t, in))
	note(faults.RevertEntry(t.Context(), []faults.Kind{Kind()}, e))
	s.config.Effect = nil
	in, _ = s.inject()
	effect, _ := in.Effect(t.Context())
	said = append(said, fmt.Sprint(effect))
	if len(said) != 4 {
		t.Fatalf("%q", said)
	}
	for _, text := range said {
		if strings.Contains(text, secret) || !strings.Contains(text, "[hidden]") {
			t.Errorf("said: %s", text)
		}
	}
}

// TestMuchOutput bounds what is kept.
func TestMuchOutput(t *testing.T) {
	s := newScene(t)
	s.config.Inject = script("touch mark; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo the end")
	in, e := s.inject()
	if n := len(in.(*injection).applied.stdout); n != outputSize {
		t.Errorf("%d bytes kept, want %d", n, outputSize)
	}
	if got := in.(*injection).applied.evidence(); got != "the end" {
		t.Errorf("evidence %q", got)
	}
	s.revert(e)
}

// TestRenew counts renewals, and takes one that fails for the end of the fault.
func TestRenew(t *testing.T) {
	s := newScene(t)
	s.config.Renew = script(`test -e mark && echo "$GAMEDAY_LEASE" >> renewals`)
	in, e := s.inject()
	r := in.(faults.Renewer)
	if err := r.Renew(s.owned(t.Context()), time.Hour); err != nil || s.has("renewals") {
		t.Errorf("renewed a moment after the injection: %v", err)
	}
	for range 2 {
		in.(*injection).renewed = time.Now().Add(-time.Minute)
		if err := r.Renew(s.owned(t.Context()), 2500*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.read("renewals"); got != "3\n3\n" {
		t.Errorf("leases %q", got)
	}
	s.revert(e)
	in.(*injection).renewed = time.Time{}
	if err := r.Renew(s.owned(t.Context()), time.Second); !errors.Is(err, faults.ErrLapsed) {
		t.Errorf("renewing what is gone: %v", err)
	}
}

// TestBrokenEntries reverts what no guard wrote.
func TestBrokenEntries(t *testing.T) {
	for _, e := range []faults.Entry{
		{Config: json.RawMessage(`{}`), Undo: json.RawMessage(`{}`)},
		{Config: json.RawMessage(`[`), Undo: json.RawMessage(`{}`)},
		{Config: json.RawMessage(`{"inject":["true"],"revert":["true"]}`)},
	} {
		if err := faults.RevertEntry(t.Context(), []faults.Kind{Kind()}, faults.Entry{ID: "x", Kind: "command", Config: e.Config, Undo: e.Undo}); err == nil {
			t.Errorf("reverted %s, %s", e.Config, e.Undo)
		}
	}
}
