package conductor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/internal/portrig"
	"gameday/loadgen"
	"gameday/loadgen/collector"
	"gameday/report"
	"gameday/scenarios"
)

func TestAddressesOfCollectors(t *testing.T) {
	for _, c := range []struct {
		name            string
		on              loadgen.RunOn
		host            string
		listen, address string
		err             string
	}{
		{"processes", loadgen.RunOn{Kind: loadgen.Processes}, "", "127.0.0.1:0", "127.0.0.1:0", ""},
		{"told", loadgen.RunOn{Kind: loadgen.Jobs, Collector: "10.0.0.5:7443"}, "", ":7443", "10.0.0.5:7443", ""},
		{"behind a gateway", loadgen.RunOn{Kind: loadgen.Jobs, Collector: "gw:443", Listen: "10.0.0.5:8443"}, "", "10.0.0.5:8443", "gw:443", ""},
		{"in the cluster", loadgen.RunOn{Kind: loadgen.K6Operator}, "127.0.0.1", ":0", "127.0.0.1:0", ""},
		{"nowhere", loadgen.RunOn{Kind: loadgen.Jobs}, "", "", "", "collector = \"host:port\""},
	} {
		listen, address, err := addresses(c.on, func(name string) string {
			return map[string]string{"KUBERNETES_SERVICE_HOST": c.host}[name]
		})
		if listen != c.listen || address != c.address || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %q, %v", c.name, listen, address, err)
		}
	}
}

// TestSharedCollectors checks that streams with one address share a collector, that others do not, and that it goes with its last stream.
func TestSharedCollectors(t *testing.T) {
	var c collectors
	use := func(address string) (*collector.Collector, func()) {
		t.Helper()
		got, release, err := c.use(address, "test", nil)
		if err != nil {
			t.Fatal(err)
		}
		return got, release
	}
	address := portrig.Address(t)
	one, releaseOne := use(address)
	two, releaseTwo := use(address)
	any1, release1 := use("127.0.0.1:0")
	any2, release2 := use("127.0.0.1:0")
	if one != two || any1 == any2 || any1 == one {
		t.Error("one is taken for another")
	}
	releaseOne()
	if _, err := net.Dial("tcp", address); err != nil {
		t.Errorf("it does not listen for its second stream: %v", err)
	}
	releaseTwo()
	release1()
	release2()
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("it listens for nobody")
	}
	again, release := use(address)
	defer release()
	if again == one {
		t.Error("a closed one is used")
	}
}

func TestUntold(t *testing.T) {
	window := func(stream string, missing ...string) loadgen.Window {
		return loadgen.Window{Stream: stream, Missing: missing, Of: 3}
	}
	for _, c := range []struct {
		name    string
		windows []loadgen.Window
		want    string
	}{
		{"nothing", nil, ""},
		{"all there", []loadgen.Window{window("a"), window("b")}, ""},
		{"one for a moment", append(manyOf(window("a"), 19), window("a", "runner-2")), ""},
		{"one for long", append(manyOf(window("a"), 5), window("a", "runner-2"), window("a", "runner-2"), window("b")), "of a only 90 % is known: nothing was heard of runner-2"},
		{"two", manyOf(window("b", "runner-1", "runner-3"), 2), "of b only 33 % is known: nothing was heard of runner-1, runner-3"},
	} {
		if got := untold(c.windows); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func manyOf(w loadgen.Window, n int) (out []loadgen.Window) {
	for range n {
		out = append(out, w)
	}
	return out
}

// starter notes what it is asked for.
type starter struct {
	order   collector.Order
	refuses error
	leaves  error // what stop returns
	stopped bool
}

func (s *starter) Start(_ context.Context, o collector.Order, _ func(int, error), _ func(string, string)) (func() error, error) {
	s.order = o
	if s.refuses != nil {
		return nil, s.refuses
	}
	return func() error { s.stopped = true; return s.leaves }, nil
}

// TestMuster checks what whoever starts runners is told, and that nothing is left open when he does not.
func TestMuster(t *testing.T) {
	s := &starter{}
	r := &run{Options: Options{Run: "run-1", Version: "test", Dir: t.TempDir(), Runners: map[string]collector.Starter{loadgen.Processes: s},
		Scenario: &scenarios.Scenario{Name: "day", Timeline: scenarios.Timeline{Load: time.Minute}}}}
	spec := loadgen.Spec{Stream: "shoppers", RunOn: &loadgen.RunOn{Kind: loadgen.Processes, Parallelism: 3}}
	all, dismiss, err := r.muster(t.Context(), spec)
	if err != nil || len(all) != 3 || all[2].Name != "runner-3" {
		t.Fatalf("%d runners, %v", len(all), err)
	}
	o := s.order
	if o.Run != "run-1" || o.Scenario != "day" || o.Stream != "shoppers" || o.RunOn.Parallelism != 3 || o.Token == "" || o.Lasts < 6*time.Minute ||
		strings.HasSuffix(o.Collector, ":0") {
		t.Errorf("the order is for run %s of %s, stream %s, at %s, for %s", o.Run, o.Scenario, o.Stream, o.Collector, o.Lasts)
	}
	if info, err := os.Stat(o.Dir); err != nil || !info.IsDir() {
		t.Errorf("there is no room for logs: %v", err)
	}
	dismiss()
	if _, err := net.Dial("tcp", o.Collector); err == nil || !s.stopped {
		t.Error("the collector or the runners stay")
	}
	s.refuses = errors.New("no more processes")
	if _, _, err := r.muster(t.Context(), spec); err == nil || err.Error() != `running traffic "shoppers" on 3 processes here: no more processes` {
		t.Errorf("error %v", err)
	}
	if _, err := net.Dial("tcp", s.order.Collector); err == nil {
		t.Error("the collector of runners that were not started stays")
	}
	if len(r.mayBeLeft) > 0 {
		t.Errorf("something may be left of %q", r.mayBeLeft)
	}
	s.refuses = fmt.Errorf("they are being made still: %w", collector.ErrLeft)
	_, _, _ = r.muster(t.Context(), spec)
	s.refuses, s.leaves = nil, collector.ErrLeft
	spec.Stream = "buyers"
	_, dismiss, err = r.muster(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	dismiss()
	if !slices.Equal(r.mayBeLeft, []string{"shoppers", "buyers"}) {
		t.Errorf("something may be left of %q", r.mayBeLeft)
	}
	spec.RunOn.Kind = loadgen.Jobs
	if _, _, err := r.muster(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "cannot start them") {
		t.Errorf("error %v", err)
	}
}

// TestRunnerMissingInTheBaseline checks that nothing is injected when what was seen of the baseline phase is not all of it.
func TestRunnerMissingInTheBaseline(t *testing.T) {
	for from, want := range map[int]report.EndReason{1: report.EndUnsteady, 4: report.EndComplete} {
		play(t, "", steadyBlock, func(d *day) { d.sender.lost = func(n int) bool { return n >= from } }, func(d *day, rec *report.Record) {
			e := wantEnd(d.t, rec, want)
			if unknown := strings.Contains(e.Error, "is not known: of shop only"); unknown != (want == report.EndUnsteady) {
				d.t.Errorf("a runner missing from second %d on: it ended with %q", from, e.Error)
			}
		})
	}
}

// TestSearchWithoutARunner checks that a search ends with what it knew when a runner is lost: no rate is one that the system did not carry
// because nobody sent it.
func TestSearchWithoutARunner(t *testing.T) {
	searched(t, "", usual, func(d *day) { d.sender.lost = func(n int) bool { return n >= 30 } },
		func(d *day, _ *report.Record, found loadgen.Found, steps []report.CapacityStep) {
			last := steps[len(steps)-1]
			if found.Confirmed || found.Broke > 0 || last.Outcome != loadgen.Untold || !strings.Contains(last.Why, "nothing was heard of runner-2") {
				d.t.Errorf("found %+v, last %+v", found, last)
			}
		})
}
