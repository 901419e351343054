package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/internal/runrig"
	"gameday/schedules"
	"gameday/schedules/claims"
	"gameday/serve/store"
	"gameday/serve/web"
)

// The test binary is also a server, and the process that it starts for what is due.
const (
	roleVariable = "GAMEDAY_SERVE_TEST" // "server" or "child"
	planVariable = "GAMEDAY_SERVE_PLAN" // the file of a killPlan
)

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(roleVariable) {
	case "server":
		err = killServer()
	case "child":
		err = killChild(os.Args[1], os.Args[2], os.Args[3])
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// killPlan is what servers and processes of the test have in common.
type killPlan struct {
	Dir   string    // state, runs
	Begin time.Time // from when occasions come
	Span  time.Duration
	Many  int
	East  int // seconds that the schedules' clock is ahead of UTC: it is noon there, far from midnight
}

func readPlan() (killPlan, error) {
	var p killPlan
	text, err := os.ReadFile(os.Getenv(planVariable))
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	return p, err
}

// hears is a file that is there when a server hears when it is told to end.
func (p killPlan) hears(pid int) string { return filepath.Join(p.Dir, fmt.Sprint("hears-", pid)) }

// write begins a plan soon, and returns where it is.
func (p *killPlan) write(t *testing.T) string {
	t.Helper()
	p.Begin = time.Now().Add(2 * time.Second).Truncate(time.Second)
	p.East = (12*3600 - int(p.Begin.Unix()%86400))
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	plan := filepath.Join(p.Dir, "plan.json")
	if err := errors.Join(os.WriteFile(plan, text, 0o600), os.WriteFile(filepath.Join(p.Dir, "days.hcl"), []byte("days"), 0o600), os.Mkdir(p.runs(), 0o755)); err != nil {
		t.Fatal(err)
	}
	return plan
}

// firstLook returns what a server takes to look for the first time, on a machine as busy as it is now: the longest of some.
func firstLook(t *testing.T) time.Duration {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	var longest time.Duration
	for range 5 {
		p := killPlan{Dir: t.TempDir(), Span: time.Hour, Many: 1}
		plan, began := p.write(t), time.Now()
		server := startServer(t, plan)
		for looked := false; !looked; <-tick.C { // then it knows of its schedule
			_, err := os.Stat(filepath.Join(p.state(), "days", "since.json"))
			if looked = err == nil; !looked && time.Since(began) > time.Minute {
				t.Fatalf("a server does not look: %v; it says %s", err, server.said())
			}
		}
		longest = max(longest, time.Since(began))
		server.kill()
	}
	return longest
}

func (p killPlan) state() string { return filepath.Join(p.Dir, "state") }
func (p killPlan) runs() string  { return filepath.Join(p.Dir, "runs") }

// ran is the length of a run, and planned what its schedule says.
const (
	ran     = 300 * time.Millisecond
	planned = time.Second
)

// schedules are many that come once, in a window of the whole span or of some seconds in it, at its start or at a random second; some
// are in each other's way, some are frozen. Each is due within the span.
func (p killPlan) schedules() []*schedules.Schedule {
	zone := time.FixedZone("noon", p.East)
	local := p.Begin.In(zone)
	midnight := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, zone)
	from := p.Begin.Sub(midnight)
	frozen := freezes{{Name: "rest", File: "f.ics", From: p.Begin.Add(-time.Hour), To: p.Begin.Add(p.Span + time.Hour)}}
	var out []*schedules.Schedule
	for n := range p.Many {
		s := &schedules.Schedule{Name: fmt.Sprintf("s%03d", n), Zone: zone, Every: &schedules.Every{N: 1, Unit: schedules.Days, Anchor: schedules.DefaultAnchor}, Moment: schedules.AtRandom,
			Items: []schedules.Item{{File: "x.hcl", Scenario: fmt.Sprintf("x%03d", n), Length: planned}}, Window: &schedules.Window{From: from, To: from + p.Span}}
		switch n % 6 {
		case 1: // a few seconds at some time
			s.Moment = schedules.AtStart
			s.Window.From += time.Duration(n) * (p.Span - 10*time.Second) / time.Duration(p.Many)
			s.Window.To = s.Window.From + 5*time.Second
		case 2:
			s.CatchUp = schedules.CatchUpOnce
		case 3: // ten of them hold the same
			s.Items[0].Holds = []string{fmt.Sprint("host ", n/60)}
		}
		if n%30 == 5 {
			s.Freezes = []schedules.Freezer{frozen}
		}
		out = append(out, s)
	}
	return out
}

// killServer is the server that is killed.
func killServer() error {
	p, err := readPlan()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	say := func(text string) { fmt.Fprintln(os.Stderr, text) }
	if err := os.Setenv(roleVariable, "child"); err != nil {
		return err
	}
	e, err := New(Config{Files: []string{filepath.Join(p.Dir, "days.hcl")}, Runs: p.runs(), State: p.state(), Say: say,
		Load: func(file string, _ []byte) (*Calendar, error) {
			return &Calendar{Name: "days", File: file, Schedules: p.schedules()}, nil
		},
		Seed:    func(string) (schedules.Seed, error) { return schedules.Seed("a seed of the tests"), nil },
		Running: func() ([]Running, error) { return nil, nil },
		Halt:    func() (*web.Halt, error) { return nil, nil },
		Begin:   Program(self, func(c Call) []string { return []string{c.Schedule, c.State, c.Asked.Format(time.RFC3339)} }),
	})
	if err != nil {
		return err
	}
	if e.Store, err = store.Open(context.Background(), store.Options{Path: filepath.Join(OwnDir(p.state()), "serve.db"), Version: "1", Say: say}); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := os.WriteFile(p.hears(os.Getpid()), nil, 0o600); err != nil {
		return err
	}
	e.Run(ctx)
	return errors.Join(e.Store.Close(), e.Close())
}

// killChild is the process that decides about a schedule and runs what is due: it leaves a record, and a line in a list of all that ran.
func killChild(schedule, state, at string) error {
	asked, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return err
	}
	p, err := readPlan()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(p.schedules(), func(s *schedules.Schedule) bool { return s.Name == schedule })
	if i < 0 {
		return fmt.Errorf("no schedule %q", schedule)
	}
	s := p.schedules()[i]
	held, id, err := decideOnce(s, filepath.Join(state, "days"), asked)
	if held == nil || err != nil {
		return err
	}
	list, err := os.OpenFile(filepath.Join(p.Dir, "ran"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(list, "%s %s\n", s.Name, id); err != nil {
		return err
	}
	time.Sleep(ran)
	record := filepath.Join(p.runs(), time.Now().Format("20060102-150405")+"-"+s.Name)
	w := runrig.New(uint64(i))
	w.Baseline, w.Load, w.Recovery = 1, 1, 1
	rec := w.Run(filepath.Base(record), time.Now(), 1)
	rec.Plan.Scenario = s.Items[0].Scenario
	if err := runrig.Write(record, rec); err != nil {
		return err
	}
	return errors.Join(list.Close(), held.Close(claims.End{At: time.Now().UTC(), Runs: []claims.Run{{Scenario: s.Items[0].Scenario, Record: record}}}))
}

// TestKilled kills a server at random moments, two hundred times, and starts another at once, while some hundred and fifty occasions come due. In
// the end each was begun once or is settled as skipped, each that was begun has its record, and the database is whole and holds what is
// derived anew.
func TestKilled(t *testing.T) {
	t.Parallel()
	kills, p := 200, killPlan{Dir: t.TempDir(), Span: 75 * time.Second, Many: 180}
	if testing.Short() {
		kills, p.Span, p.Many = 20, 12*time.Second, 40
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("GAMEDAY_SERVE_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("the moments are those of GAMEDAY_SERVE_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	look := firstLook(t)
	mean := min(max(p.Span/time.Duration(kills), 4*look), 5*time.Minute/time.Duration(kills)) // most servers are to look before they are killed
	p.Span = time.Duration(kills) * mean
	t.Logf("a server takes up to %s to look, and is killed after %s on average", look.Round(time.Millisecond), mean.Round(time.Millisecond))
	plan := p.write(t)
	for range kills {
		server := startServer(t, plan)
		time.Sleep(time.Duration(random.Int64N(int64(2 * mean)))) // that is the moment, and what the test is about
		server.kill()
	}
	t.Logf("the last was killed %s after the first occasion could come", time.Since(p.Begin).Round(time.Second))
	server := startServer(t, plan)
	all := p.schedules()
	settled := server.until(t, p, func(k []claims.Kept) bool {
		return len(k) >= len(all) && !slices.ContainsFunc(k, func(x claims.Kept) bool { return x.Running })
	})
	var want []string
	database := func() []string {
		s, err := store.Open(t.Context(), store.Options{Path: filepath.Join(OwnDir(p.state()), "serve.db"), Version: "1", Say: func(text string) { t.Error(text) }})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		lines, err := s.Dump(t.Context())
		if err := errors.Join(err, s.Sound(t.Context())); err != nil {
			t.Fatal(err)
		}
		return lines
	}
	anew, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "anew.db"), Version: "1"})
	if err == nil {
		err = anew.Sync(t.Context(), store.Source{Runs: p.runs(), Occasions: map[string][]claims.Kept{"days": settled}})
	}
	if err == nil {
		want, err = anew.Dump(t.Context())
	}
	if err = errors.Join(err, anew.Close()); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(20 * time.Second); !slices.Equal(database(), want) && time.Now().Before(limit); {
		time.Sleep(100 * time.Millisecond) // the last record is derived a moment after its end
	}
	server.end(t, p)
	if text := server.said(); strings.TrimSpace(text) != "" {
		t.Errorf("the last server says:\n%s", text)
	}
	accountFor(t, p, all, settled)
	if diff := cmp.Diff(want, database()); diff != "" {
		t.Errorf("the database is not what is derived anew (-anew +this):\n%s", diff[:min(len(diff), 4000)])
	}
}

// accountFor holds what became of occasions to what ran.
func accountFor(t *testing.T, p killPlan, all []*schedules.Schedule, settled []claims.Kept) {
	t.Helper()
	list, err := os.ReadFile(filepath.Join(p.Dir, "ran"))
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for line := range strings.Lines(string(list)) {
		times[strings.TrimSpace(line)]++
	}
	of := map[string]int{}
	begun, skipped, missed := 0, 0, 0
	for _, k := range settled {
		of[k.Schedule]++
		n := times[k.Schedule+" "+k.Occasion]
		if k.Outcome == schedules.Skipped {
			if skipped++; k.Why == "" || n != 0 {
				t.Errorf("%s of %s is skipped, because of %q, and ran %d times", k.Occasion, k.Schedule, k.Why, n)
			}
			if strings.HasPrefix(k.Why, "missed") {
				missed++
			}
			continue
		}
		begun++
		if n != 1 || k.End == nil || len(k.End.Runs) != 1 {
			t.Errorf("%s of %s ran %d times, and ended with %+v", k.Occasion, k.Schedule, n, k.End)
			continue
		}
		if _, err := os.Stat(filepath.Join(k.End.Runs[0].Record, "record.jsonl")); err != nil {
			t.Errorf("%s of %s has no record: %v", k.Occasion, k.Schedule, err)
		}
	}
	for _, s := range all {
		if of[s.Name] != 1 {
			t.Errorf("schedule %s has %d occasions that are settled", s.Name, of[s.Name])
		}
	}
	records, err := os.ReadDir(p.runs())
	if err != nil || len(records) != begun {
		t.Errorf("%d were begun, and there are %d records: %v", begun, len(records), err)
	}
	t.Logf("%d begun, %d skipped, of which %d were missed", begun, skipped, missed)
	if begun < len(all)/2 || missed > len(all)/10 {
		t.Errorf("%d begun and %d missed of %d: the test shows little, or servers take long to look", begun, missed, len(all))
	}
}

// server is a server in a process of its own.
type server struct {
	cmd  *exec.Cmd
	text *bytes.Buffer
}

func startServer(t *testing.T, plan string) *server {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{exec.Command(self), &bytes.Buffer{}}
	s.cmd.Env = append(os.Environ(), roleVariable+"=server", planVariable+"="+plan)
	s.cmd.Stderr = s.text
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	return s
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // it was killed
}

func (s *server) said() string { return s.text.String() }

// end ends it as systemd does, as soon as it hears.
func (s *server) end(t *testing.T, p killPlan) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(time.Minute); ; <-tick.C {
		if _, err := os.Stat(p.hears(s.cmd.Process.Pid)); err == nil {
			break
		} else if time.Now().After(limit) {
			t.Fatalf("the server does not hear: %v; it says %s", err, s.said())
		}
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the server ends with %v: %s", err, s.said())
	}
}

// until waits until what became of occasions is so.
func (s *server) until(t *testing.T, p killPlan, ok func([]claims.Kept) bool) []claims.Kept {
	t.Helper()
	folder, err := claims.Open(filepath.Join(p.state(), "days"))
	if err != nil {
		t.Fatal(err)
	}
	reader := folder.Reader()
	limit := time.Now().Add(p.Span + 60*time.Second)
	for {
		all, _, err := reader.Read()
		if err == nil && ok(all) {
			return all
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) || time.Now().After(limit) {
			t.Fatalf("%d occasions are settled, %v; the server says %s", len(all), err, s.said())
		}
		time.Sleep(50 * time.Millisecond)
	}
}
