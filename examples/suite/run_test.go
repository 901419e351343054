package suite_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	atOnce   = 3               // game days: they mostly wait, and each has hosts of its own
	dayLimit = 3 * time.Minute // of one game day, after which it is stopped and has failed
	grace    = 20 * time.Second
)

// runsVariable is set where the game days are to be run. SLICE then chooses a part of them, and ONLY those in whose names it is.
const runsVariable = "GAMEDAY_SUITE"

// part returns the k-th of n parts of the names, which text asks for as "k/n"; all of them without it.
func part(names []string, text string) ([]string, error) {
	if text == "" {
		return names, nil
	}
	first, second, _ := strings.Cut(text, "/")
	k, err1 := strconv.Atoi(first)
	n, err2 := strconv.Atoi(second)
	if err := errors.Join(err1, err2); err != nil || k < 1 || k > n {
		return nil, fmt.Errorf("SLICE=%s is no part such as 1/3", text)
	}
	var out []string
	for i, name := range names {
		if i%n == k-1 {
			out = append(out, name)
		}
	}
	return out, nil
}

// day is one game day: a scenario in one of its worlds.
type day struct {
	folder, world string
	ending

	record string // its folder
	code   int
	out    []byte // the scorecard
	told   []byte // what was said meanwhile
	took   time.Duration
	card   card
	err    error
	before []string // what was not known at the first try; nil when that was the only one
	done   chan struct{}
}

// name names the day in a test's output.
func (d *day) name() string { return d.folder + "/" + d.world }

// card is what a scorecard's JSON says, as far as it matters here.
type card struct {
	Why     []string   `json:"why"`
	Low     float64    `json:"low"`
	High    float64    `json:"high"`
	Parts   []cardPart `json:"parts"`
	Residue bool       `json:"residue"` // something was left standing
}

// cardPart is a part of the score, and item one judged promise in it.
type cardPart struct {
	Items []item `json:"items"`
}

type item struct {
	ID      string `json:"id"`
	Title   string `json:"title"`
	Outcome string `json:"outcome"`
	Why     string `json:"why"`
}

// with returns the items of an outcome.
func (c card) with(outcome string) (out []item) {
	for _, p := range c.Parts {
		for _, it := range p.Items {
			if it.Outcome == outcome {
				out = append(out, it)
			}
		}
	}
	return out
}

// TestGameDays runs every scenario, or a slice of them, in both worlds, three game days at a time.
func TestGameDays(t *testing.T) {
	if os.Getenv(runsVariable) == "" {
		t.Skip("set " + runsVariable + "=1 to run the game days, as make test-suite does: six minutes")
	}
	bin := programs(t)
	records, err := os.MkdirTemp("", "gameday-suite-")
	if err != nil {
		t.Fatal(err)
	}
	var days []*day
	for _, folder := range slice(t, folders(t), os.Getenv("SLICE")) {
		if !strings.Contains(folder, os.Getenv("ONLY")) {
			continue
		}
		e := readEnding(t, folder)
		for _, world := range []string{good, bad} {
			days = append(days, &day{folder: folder, world: world, ending: e, done: make(chan struct{}),
				record: filepath.Join(records, folder+"-"+world)})
		}
	}
	if len(days) == 0 {
		t.Fatal("no scenario is chosen: look at SLICE and ONLY")
	}
	begun := time.Now()
	ready := start(t.Context(), bin, days)
	kept := false
	for _, d := range days {
		t.Run(d.name(), func(t *testing.T) {
			d.installed(t)
			<-d.done
			if d.before != nil {
				t.Logf("run again, for at the first try it was not known what became of it:\n%s", strings.Join(d.before, "\n"))
			}
			if d.judge(t); t.Failed() {
				kept = true
				t.Logf("the record is kept in %s\n%s\n%s", d.record, d.told, d.out)
			}
		})
	}
	<-ready
	table(t, days, time.Since(begun))
	if !kept {
		if err := os.RemoveAll(records); err != nil {
			t.Error(err)
		}
	}
}

// installed passes a day over whose world needs a program that is not there; CI must have them all.
func (d *day) installed(t *testing.T) {
	t.Helper()
	for _, name := range d.Needs {
		if !found(name) {
			missing(t, "%s is not installed; tools/setup installs it", name)
		}
	}
}

// found reports whether a program can be found as the worlds find it.
func found(name string) bool {
	for _, dir := range filepath.SplitList(path()) {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode()&0o111 != 0 {
			return true
		}
	}
	return false
}

// path is where programs are looked for: servers are not in everybody's path.
func path() string { return os.Getenv("PATH") + ":/usr/sbin:/sbin" }

// start runs the days, atOnce at a time, then one by one those that are to be alone, and once more those that were unsure, and closes what it returns when all have
// ended. Days whose programs are not there are left out.
func start(ctx context.Context, bin string, days []*day) <-chan struct{} {
	all := make(chan struct{})
	go func() {
		defer close(all)
		var together, alone []*day
		for _, d := range days {
			switch {
			case slices.ContainsFunc(d.Needs, func(name string) bool { return !found(name) }):
				close(d.done)
			case d.Alone:
				alone = append(alone, d)
			default:
				together = append(together, d)
			}
		}
		unsure := inTurn(ctx, bin, together, atOnce)
		unsure = append(unsure, inTurn(ctx, bin, alone, 1)...)
		for _, d := range unsure {
			d.again(ctx, bin)
			close(d.done)
		}
	}()
	return all
}

// inTurn runs the days, so many at a time, and returns when all have ended: with those that are to be run again.
func inTurn(ctx context.Context, bin string, days []*day, many int) (unsure []*day) {
	todo := make(chan *day)
	var running sync.WaitGroup
	var mu sync.Mutex
	for range many {
		running.Go(func() {
			for d := range todo {
				d.run(ctx, bin)
				if d.unsure() {
					mu.Lock()
					unsure = append(unsure, d)
					mu.Unlock()
					continue
				}
				close(d.done)
			}
		})
	}
	for _, d := range days {
		todo <- d
	}
	close(todo)
	running.Wait()
	return unsure
}

// unsure reports whether a day came out otherwise than it was to, and only in that something is not known which was to be: the
// machine had no time for the game day, or for what it measured with. Nothing that was met and was not to be, and nothing missed,
// gets a second chance.
func (d *day) unsure() bool {
	if d.err != nil || d.card.Residue {
		return false
	}
	missed, unknown := d.unmet(d.world)
	off := false
	for _, p := range d.card.Parts {
		for _, it := range p.Items {
			want := "met"
			switch {
			case slices.Contains(missed, it.ID):
				want = "missed"
			case slices.Contains(unknown, it.ID):
				want = "unknown"
			}
			if it.Outcome == want {
				continue
			}
			if it.Outcome != "unknown" {
				return false
			}
			off = true
		}
	}
	return off
}

// again runs a day once more, with nothing beside it.
func (d *day) again(ctx context.Context, bin string) {
	for _, it := range d.card.with("unknown") {
		d.before = append(d.before, it.ID+": "+it.Why)
	}
	d.record += "-again"
	d.card = card{}
	d.run(ctx, bin)
}

// run holds the game day, and reads its scorecard.
func (d *day) run(ctx context.Context, bin string) {
	ctx, cancel := context.WithTimeout(ctx, dayLimit)
	defer cancel()
	gameday := func(args ...string) (out, told []byte, code int, err error) {
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "gameday"), args...)
		cmd.Env = append(os.Environ(), "PATH="+path())
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // so that it undoes what it did
		cmd.WaitDelay = grace
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err = cmd.Run()
		var exit *exec.ExitError
		if errors.As(err, &exit) && ctx.Err() == nil {
			err = nil
		}
		return stdout.Bytes(), stderr.Bytes(), cmd.ProcessState.ExitCode(), err
	}
	begun := time.Now()
	d.out, d.told, d.code, d.err = gameday("run", "--record", d.record, "-var", "world="+d.world, filepath.Join(d.folder, gameDay))
	d.took = time.Since(begun)
	if d.err == nil && d.code == 2 {
		d.err = errors.New("nothing was run")
	}
	if d.err != nil {
		return
	}
	text, told, _, err := gameday("report", "--json", d.record)
	if err == nil {
		err = json.Unmarshal(text, &d.card)
	}
	if err != nil {
		d.err = fmt.Errorf("reading the scorecard: %w: %s", err, told)
	}
}

// judge holds what came out to what was to come out.
func (d *day) judge(t *testing.T) {
	t.Helper()
	if d.err != nil {
		t.Errorf("the game day did not come to its end: %v", d.err)
		return
	}
	want := 1
	if d.world == good {
		want = 0
	}
	if d.code != want {
		t.Errorf("exit %d, want %d: %s", d.code, want, strings.Join(d.card.Why, "; "))
	}
	missed, unknown := d.unmet(d.world)
	compare(t, "missed", d.card.with("missed"), missed)
	compare(t, "unknown", d.card.with("unknown"), unknown)
	if len(d.card.with("met")) == 0 {
		t.Error("nothing was met, so hardly anything was looked at")
	}
	if d.card.Residue {
		t.Error("a fault was left standing")
	}
	if d.world == bad {
		d.shown(t)
	}
}

// shown holds the page to what is missed: it shows the score of the bad world, so it names what has no points there. Its words
// need not stand side by side, for the scorecard breaks lines.
func (d *day) shown(t *testing.T) {
	t.Helper()
	text := readPage(t, filepath.Join(d.folder, readme))
	for _, it := range d.card.with("missed") {
		for _, word := range strings.Fields(it.Title) {
			if !strings.Contains(text, word) {
				t.Errorf("the page does not show %q, which is missed in the bad world: there is no %q", it.Title, word)
			}
		}
	}
}

// compare holds the items of one outcome to those that were to have it.
func compare(t *testing.T, outcome string, got []item, want []string) {
	t.Helper()
	for _, it := range got {
		if !slices.Contains(want, it.ID) {
			t.Errorf("%s (%s) is %s: %s", it.ID, it.Title, outcome, it.Why)
		}
	}
	for _, id := range want {
		if !slices.ContainsFunc(got, func(it item) bool { return it.ID == id }) {
			t.Errorf("%s is not %s", id, outcome)
		}
	}
}

// table prints how long each took, the longest first.
func table(t *testing.T, days []*day, all time.Duration) {
	t.Helper()
	sorted := slices.Clone(days)
	slices.SortStableFunc(sorted, func(a, b *day) int { return cmp.Compare(b.took, a.took) })
	var b strings.Builder
	fmt.Fprintf(&b, "%d game days, %d at a time, took %.0f s\n", len(days), atOnce, all.Seconds())
	for _, d := range sorted {
		fmt.Fprintf(&b, "%-30s %-5s exit %d  %5.1f to %5.1f points  %5.1f s%s\n", d.folder, d.world, d.code, d.card.Low, d.card.High, d.took.Seconds(),
			map[bool]string{true: ", at the second try"}[d.before != nil])
	}
	t.Log(b.String())
}
