package killmatrix

import (
	"cmp"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/kinds"
)

var (
	full   = flag.Bool("full", os.Getenv("GAMEDAY_MATRIX") == "full", "run the whole matrix instead of a diagonal")
	update = flag.Bool("update", false, "with -full, write docs/kill-matrix.md")
	// machine is apart, because an emulated processor takes its time.
	machine = flag.Bool("machine", false, "with -full, also run in a virtual machine what needs one: netem, clocks, power")
	only    = flag.String("only", "", "run cells whose name, kind/point/victim, contains this")
	// workers are few, so that times to clean are those of the guard and not of a busy machine.
	workers = flag.Int("workers", 2, "sandboxes that run cells at the same time")
)

const pagePath = "../../docs/kill-matrix.md"

// kindNames are the kinds that a machine knows. What becomes of those that only clusters have is shown with real clusters, by the tests of
// faults/chaosmesh.
func kindNames() []string {
	elsewhere := func(name string) bool {
		return slices.ContainsFunc(cluster.Kinds(), func(k faults.Kind) bool { return k.Name == name })
	}
	var names []string
	for _, k := range kinds.All() {
		if !elsewhere(k.Name) {
			names = append(names, k.Name)
		}
	}
	return names
}

// fixtureNames are the kinds, and kinds with other parameters, in order.
func fixtureNames() []string {
	names := slices.Sorted(maps.Keys(fixtures()))
	return slices.DeleteFunc(names, func(name string) bool {
		kind, _, _ := strings.Cut(name, " ")
		return !slices.Contains(kindNames(), kind)
	})
}

// TestEveryKindHasAFixture holds the matrix to the list of kinds.
func TestEveryKindHasAFixture(t *testing.T) {
	for _, k := range kindNames() {
		if _, ok := fixtures()[k]; !ok {
			t.Errorf("%s has no fixture: add it to fixtures, so that it is proven what becomes of it", k)
		}
	}
}

// TestPageNamesEveryKind holds the page to the list of kinds.
func TestPageNamesEveryKind(t *testing.T) {
	page, err := os.ReadFile(filepath.FromSlash(pagePath))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kindNames() {
		if !strings.Contains(string(page), "\n## "+k+"\n") {
			t.Errorf("docs/kill-matrix.md says nothing of %s: run `make test-matrix`", k)
		}
	}
	for _, o := range []Outcome{Leaks, Late, Broken} {
		if strings.Contains(string(page), "| "+string(o)) {
			t.Errorf("docs/kill-matrix.md has a cell that says %s", o)
		}
	}
}

// TestMatrix runs a diagonal, or with -full everything, and asserts that nothing is left anywhere.
func TestMatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("it strikes real processes")
	}
	t.Parallel()
	cells := Diagonal(fixtureNames(), Victims(), 6)
	if *full {
		cells = Cells(fixtureNames(), Victims())
	}
	if *only != "" {
		all := Cells(append(fixtureNames(), string(flawless)), Victims())
		cells = slices.DeleteFunc(all, func(c Cell) bool { return !strings.Contains(c.String(), *only) })
	}
	began := time.Now()
	var here []*sandbox
	for range *workers {
		here = append(here, needSandbox(t))
	}
	results := runAll(t, here, cells)
	t.Logf("%d cells in %v", len(results), time.Since(began).Round(time.Second))
	if *full && *machine {
		t.Run("machine", func(t *testing.T) { results = merge(results, onMachine(t, results)) })
	}
	if *full && *update && *only == "" && !t.Failed() {
		results, old := withRecorded(t, results)
		var name unix.Utsname
		if err := unix.Uname(&name); err != nil {
			t.Fatal(err)
		}
		release, _, _ := strings.Cut(unix.ByteSliceToString(name.Release[:]), "-") // without whose build it is
		page := Page(results, release, old)
		if err := os.WriteFile(filepath.FromSlash(pagePath), []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// runAll shares the cells among the workers, all cells of a kind at the same one, which learns what is atomic.
func runAll(t *testing.T, where []*sandbox, cells []Cell) []Result {
	var mu sync.Mutex
	var results []Result
	next := make(chan []Cell)
	go func() {
		defer close(next)
		for len(cells) > 0 {
			n := slices.IndexFunc(cells, func(c Cell) bool { return c.Kind != cells[0].Kind })
			if n < 0 {
				n = len(cells)
			}
			next <- cells[:n]
			cells = cells[n:]
		}
	}()
	var group sync.WaitGroup
	for _, s := range where {
		group.Go(func() {
			for part := range next {
				for _, c := range part {
					r := runCell(t, s, c)
					mu.Lock()
					results = append(results, r)
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	slices.SortStableFunc(results, func(a, b Result) int { return cmp.Compare(a.Kind, b.Kind) })
	return results
}

// runCell runs a cell. One that is late gets two more chances, because the machine may have been busy; one that leaks
// does not.
func runCell(t *testing.T, s *sandbox, c Cell) Result {
	r := s.run(c)
	for range 2 {
		// An emulated processor may be too slow for the experiment itself, such as for renewing a lease.
		if r.Outcome == Late || r.Outcome == Broken && s.cmd == nil {
			t.Logf("%s: again, because %s", c, r.Why)
			r = s.run(c)
		}
	}
	report(t, r)
	return r
}

func report(t *testing.T, r Result) {
	if r.Outcome.Bad() {
		t.Errorf("%s: %s: %s", r.Cell, r.Outcome, r.Why)
		return
	}
	t.Logf("%s: %s, clean %v, spotless %v, entry %v %s", r.Cell, r.Outcome, r.Clean.Round(time.Millisecond),
		r.Spotless.Round(time.Millisecond), r.Entry, r.Why)
}
