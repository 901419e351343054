package prometheus

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/internal/promrig"
	"gameday/sources/looks"
)

// watching runs Watch beside a test and keeps what it emits.
type watching struct {
	t    *testing.T
	mu   sync.Mutex
	seen []alarms.Observation
}

func watch(t *testing.T, s *Source) *watching {
	t.Helper()
	w := &watching{t: t}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- s.Watch(ctx, func(o alarms.Observation) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.seen = append(w.seen, o)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Watch: %v", err)
		}
	})
	return w
}

// count returns how often a state was seen, of one alarm when a name is given.
func (w *watching) count(name string, state alarms.State) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, o := range w.seen {
		if o.State == state && o.Labels[alertName] == name {
			n++
		}
	}
	return n
}

// health returns what was last told of the source itself.
func (w *watching) health() alarms.Observation {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range slices.Backward(w.seen) {
		if o.State == alarms.StateReachable || o.State == alarms.StateUnreachable || o.State == alarms.StateBroken {
			return o
		}
	}
	return alarms.Observation{State: alarms.StateReachable} // as every source begins
}

// until waits until a state was seen n times.
func (w *watching) until(name string, state alarms.State, n int) {
	w.t.Helper()
	promrig.Eventually(w.t, 25*time.Second, name+" "+string(state), func() bool { return w.count(name, state) >= n })
}

// expectation expects an alarm by name.
func expectation(name string) alarms.Expectation {
	return alarms.Expectation{Name: name, Match: map[string]string{alertName: name, "severity": "page"}}
}

func source(t *testing.T, c Config, noise map[string]string) *Source {
	t.Helper()
	s, err := New("prometheus.main", c, noise)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// of returns the episodes of one alarm.
func of(episodes []alarms.Episode, name string) []alarms.Episode {
	var out []alarms.Episode
	for _, e := range episodes {
		if e.Labels[alertName] == name {
			out = append(out, e)
		}
	}
	return out
}

func history(t *testing.T, s *Source, span clock.Span) ([]alarms.Episode, alarms.Coverage) {
	t.Helper()
	episodes, coverage, err := s.History(t.Context(), span)
	if err != nil {
		t.Fatal(err)
	}
	return episodes, coverage
}

// TestRealPhases runs alarms of every class against a real Prometheus: one that the fault causes, one that fires
// already, one that was pending already, one that flaps, one that is noise.
func TestRealPhases(t *testing.T) {
	t.Parallel()
	promrig.Each(t, realPhases)
}

// realPhases causes the fault, and lifts it, and judges what is told of each alarm.
func realPhases(t *testing.T, program promrig.Program) {
	page := map[string]string{"severity": "page"}
	target := promrig.NewTarget(t)
	p := promrig.StartPrometheus(t, promrig.Options{Program: program, Targets: []string{target.Address()},
		Rules: promrig.Rule("Hit", "3s", page) + promrig.Rule("Already", "0s", page) + promrig.Rule("Primed", "5s", page) +
			promrig.Rule("Flappy", "0s", page) + promrig.Rule("Noise", "0s", page) + promrig.Rule("Ticket", "0s", nil)})
	for _, name := range []string{"Hit", "Primed", "Flappy", "Noise", "Ticket"} {
		target.Set(name, 0)
	}
	target.Set("Already", 1)
	s := source(t, Config{URL: p.URL, Poll: "250ms"}, page)
	w := watch(t, s)
	w.until("Already", alarms.StateFiring, 1)

	expected := []alarms.Expectation{expectation("Hit"), expectation("Already"), expectation("Primed"),
		expectation("Flappy"),
		expectation("Hitt"), {Name: "wrong", Match: map[string]string{alertName: "Hit", "severity": "ticket"}}}
	foretold(t, s, expected)
	s.Expect(expected[:4])

	target.Set("Primed", 1)
	w.until("Primed", alarms.StatePending, 1)
	late := p.Late()
	t0 := time.Now()
	target.Set("Hit", 1)
	target.Set("Noise", 1)
	target.Set("Ticket", 1)
	for n := 1; n <= 2; n++ {
		target.Set("Flappy", 1)
		w.until("Flappy", alarms.StateFiring, n)
		target.Set("Flappy", 0)
		w.until("Flappy", alarms.StateInactive, n)
	}
	w.until("Hit", alarms.StateFiring, 1)
	waited := late()
	w.until("Primed", alarms.StateFiring, 1)
	lateAgain := p.Late()
	t1 := time.Now()
	target.Set("Hit", 0)
	w.until("Hit", alarms.StateInactive, 1)
	stood := lateAgain()

	episodes, coverage := history(t, s, clock.Span{Start: t0.Add(-time.Second), End: time.Now()})
	watched(t, coverage, clock.Span{Start: t0, End: t1}, late())
	judgeHit(t, of(episodes, "Hit"), turn{t0, waited}, turn{t1, stood}, coverage.Offset)
	judgeOthers(t, episodes, t0)
	judgeLater(t, p.URL, t0)
}

// foretold asks a source beforehand, which tells of two alarms that no rule can raise, and of one that fires already.
func foretold(t *testing.T, s *Source, expected []alarms.Expectation) {
	findings, err := s.Preflight(t.Context(), expected)
	if err != nil {
		t.Fatal(err)
	}
	text := printed(findings)
	for _, want := range []string{"no rule is named Hitt", "Did you mean Hit?", "alarm Already is firing already",
		`The rule sets severity="page", the scenario expects severity="ticket"`} {
		if !strings.Contains(text, want) {
			t.Errorf("preflight lacks %q:\n%s", want, text)
		}
	}
	if len(findings) != 3 || blocking(findings) != 1 {
		t.Errorf("%d of %d findings block, want 1 of 3:\n%s", blocking(findings), len(findings), text)
	}
	for _, f := range findings {
		if f.Blocks == (f.Absent != "") {
			t.Errorf("%+v: what is absent does not block, and the other way round", f)
		}
	}
}

// watched holds a coverage to all of a span, but for the time in which the server stood still: late is what it says itself that it was late by.
func watched(t *testing.T, c alarms.Coverage, span clock.Span, late time.Duration) {
	t.Helper()
	share, holes := clock.Share(c.Spans, span), looks.Gaps(c.Spans, span)
	if share < 0.99 && !promrig.Proven(holes, late) {
		t.Errorf("coverage %.3f, want all but what a lateness of %s proves: %v, %v", share, late, holes, c.Why)
	}
}

// turn is when a condition turned. late is how much later than due its alarm may have done so, because a busy machine left out evaluations.
type turn struct {
	at   time.Time
	late time.Duration
}

// judgeHit judges the alarm that was caused and lifted.
func judgeHit(t *testing.T, hit []alarms.Episode, caused, lifted turn, offset clock.Offset) {
	if len(hit) != 1 {
		t.Fatalf("Hit has %d episodes, want 1: %+v", len(hit), hit)
	}
	h, t0, t1, late := hit[0], caused.at, lifted.at, caused.late
	if held := h.Firing.Hi.Sub(h.Pending.Hi).Round(time.Second); h.Pending.Lo.Before(t0) || held < 3*time.Second || held > 3*time.Second+late {
		t.Errorf("Hit pending %v, firing %v after t0; want pending after it, firing 3s later, or up to %s more",
			h.Pending.Lo.Sub(t0), h.Firing.Lo.Sub(t0), late)
	}
	known := 100 * time.Millisecond
	if late > time.Second { // it fired somewhere in a gap, which is told from where two evaluations are left out in a row
		known += late + time.Second
	}
	if width := h.Firing.Hi.Sub(h.Firing.Lo); width > known {
		t.Errorf("Hit's firing is known to %s only, want to %s", width, known)
	}
	if h.Ended.Lo.Before(t1.Add(-1100*time.Millisecond)) || h.Ended.Hi.After(t1.Add(4*time.Second+lifted.late)) {
		t.Errorf("Hit ended %v to %v after it was lifted, %s of which the server was late by", h.Ended.Lo.Sub(t1), h.Ended.Hi.Sub(t1), lifted.late)
	}
	if h.Notes["summary"] != "Hit is true" {
		t.Errorf("Hit's annotations are %v", h.Notes)
	}
	t.Logf("hit: pending %v firing %v after t0, ended %v..%v after t1, offset %v ± %v", h.Pending.Lo.Sub(t0),
		h.Firing.Lo.Sub(t0), h.Ended.Lo.Sub(t1), h.Ended.Hi.Sub(t1), offset.Ahead, offset.Err)
}

// judgeOthers judges the alarms that the fault did not cause, or not in one go.
func judgeOthers(t *testing.T, episodes []alarms.Episode, t0 time.Time) {
	if a := of(episodes, "Already"); len(a) != 1 || !a[0].Firing.Hi.Before(t0) || !a[0].Ended.IsZero() {
		t.Errorf("Already: %+v, want one episode that fires since before t0", a)
	}
	if p := of(episodes, "Primed"); len(p) != 1 || !p[0].Pending.Hi.Before(t0) || !p[0].Firing.Lo.After(t0) {
		t.Errorf("Primed: %+v, want pending before t0 and firing after it", p)
	}
	if f := of(episodes, "Flappy"); len(f) != 2 || f[0].Ended.IsZero() || f[0].Ended.Lo.After(f[1].Firing.Lo) {
		t.Errorf("Flappy: %+v, want two episodes", f)
	}
	if len(of(episodes, "Noise")) != 1 || len(of(episodes, "Ticket")) != 0 {
		t.Errorf("the noise watch found %v and %v", of(episodes, "Noise"), of(episodes, "Ticket"))
	}
}

// judgeLater asks as one who comes now: to them, all that is the past.
func judgeLater(t *testing.T, url string, t0 time.Time) {
	later := source(t, Config{URL: url}, nil)
	if _, err := later.Preflight(t.Context(), []alarms.Expectation{expectation("Flappy")}); err != nil {
		t.Fatal(err)
	}
	before := clock.Span{Start: t0.Add(-time.Hour), End: time.Now()}
	past, coverage, err := later.Past(t.Context(), before)
	if f := of(past, "Flappy"); err != nil || len(f) != 2 {
		t.Errorf("the past has %+v, %v; want two episodes of Flappy", past, err)
	}
	if share := clock.Share(coverage.Spans, before); share == 0 || share > 0.2 {
		t.Errorf("%.3f of an hour is covered, and the server is as old as this test", share)
	}
}

// cut is a way to a server that can be closed without touching the server.
type cut struct {
	closed atomic.Bool
	url    string
}

func newCut(t *testing.T, to string) *cut {
	t.Helper()
	behind, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	c := &cut{}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.closed.Load() {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serving: %v", err)
		}
	}()
	t.Cleanup(func() { server.Close(); <-done })
	c.url = "http://" + l.Addr().String()
	return c
}

// TestRealOutages cuts the way to a real Prometheus (its history repairs that), freezes it, and restarts it in the
// middle of an alarm (which must stay one episode).
func TestRealOutages(t *testing.T) {
	t.Parallel()
	promrig.Each(t, realOutages)
}

// realOutages has one alarm fire through all of that, and end.
func realOutages(t *testing.T, program promrig.Program) {
	page := map[string]string{"severity": "page"}
	target := promrig.NewTarget(t)
	target.Set("Held", 0)
	p := promrig.StartPrometheus(t, promrig.Options{Program: program, Targets: []string{target.Address()}, Rules: promrig.Rule("Held",
		"1s", page)})
	way := newCut(t, p.URL)
	s := source(t, Config{URL: way.url, Poll: "250ms", Timeout: "1s"}, nil)
	promrig.Eventually(t, 10*time.Second, "the rule is evaluated", func() bool {
		f, err := s.Preflight(t.Context(), []alarms.Expectation{expectation("Held")})
		return err == nil && len(f) == 0
	})
	start := time.Now()
	w := watch(t, s)
	target.Set("Held", 1)
	w.until("Held", alarms.StateFiring, 1)

	cutAt := cutAway(t, p, s, way, w)
	frozen := freeze(t, p, w)
	stopped := stop(t, p, s, w, start)
	judgeHeld(t, s, start, cutAt, map[string]clock.Span{"frozen": frozen, "stopped": stopped})
	// To the looks, a restart is one end of the alarm, or two: 2.42 forgets when it began, and 3 remembers a second later.
	before := w.count("Held", alarms.StateInactive)
	target.Set("Held", 0)
	w.until("Held", alarms.StateInactive, before+1)
	episodes, _ := history(t, s, clock.Span{Start: start, End: time.Now()})
	if held := of(episodes, "Held"); len(held) != 1 || held[0].Ended.IsZero() {
		t.Errorf("after it was lifted: %+v, want one episode that ended", held)
	}
	judgeQueries(t, s, start)
}

// cutAway cuts the way for three seconds, which the history repairs, and returns when that began.
func cutAway(t *testing.T, p *promrig.Prometheus, s *Source, way *cut, w *watching) time.Time {
	late := p.Late()
	cutAt := time.Now()
	way.closed.Store(true)
	w.until("", alarms.StateUnreachable, 1)
	wait(t, 3*time.Second)
	way.closed.Store(false)
	w.until("", alarms.StateReachable, 1)
	_, coverage := history(t, s, clock.Span{Start: cutAt, End: time.Now()})
	watched(t, coverage, clock.Span{Start: cutAt, End: cutAt.Add(3 * time.Second)}, late())
	return cutAt
}

// freeze freezes a server for four seconds, in which no alarm ends, and returns when nothing can have been seen.
func freeze(t *testing.T, p *promrig.Prometheus, w *watching) clock.Span {
	frozenAt := time.Now()
	p.Freeze()
	w.until("", alarms.StateUnreachable, 2)
	wait(t, 4*time.Second)
	p.Thaw()
	frozen := clock.Span{Start: frozenAt.Add(time.Second), End: time.Now()}
	w.until("", alarms.StateReachable, 2)
	if n := w.count("Held", alarms.StateInactive); n != 0 {
		t.Errorf("a frozen server was taken for %d quiet alarms", n)
	}
	wait(t, 2500*time.Millisecond)
	return frozen
}

// stop ends a server and starts it four seconds later, and returns when it was down: meanwhile there is what was seen, and an error.
func stop(t *testing.T, p *promrig.Prometheus, s *Source, w *watching, start time.Time) clock.Span {
	p.Stop()
	downAt := time.Now()
	episodes, during, err := s.History(t.Context(), clock.Span{Start: start, End: time.Now()})
	if err == nil || len(of(episodes, "Held")) != 1 || len(during.Why) == 0 {
		t.Errorf("with the server down: error %v, %d episodes, why %v; want an error and what was seen",
			err, len(episodes), during.Why)
	}
	wait(t, 4*time.Second)
	p.Start()
	stopped := clock.Span{Start: downAt, End: time.Now()}
	w.until("Held", alarms.StateFiring, 2)
	wait(t, 1500*time.Millisecond)
	return stopped
}

// judgeHeld judges the alarm that still fires: it has one episode, and gaps are no coverage.
func judgeHeld(t *testing.T, s *Source, start, cutAt time.Time, gaps map[string]clock.Span) {
	episodes, coverage := history(t, s, clock.Span{Start: start, End: time.Now()})
	held := of(episodes, "Held")
	if len(held) != 1 || !held[0].Firing.Hi.Before(cutAt.Add(time.Second)) || !held[0].Ended.IsZero() {
		t.Errorf("Held: %+v, want one episode that fired before %v and still fires", held, cutAt)
	}
	for name, gap := range gaps {
		if share := clock.Share(coverage.Spans, gap); share > 0.3 {
			t.Errorf("coverage while %s is %.2f, want a gap: %v", name, share, coverage.Spans)
		}
	}
	if len(coverage.Why) < 2 || !strings.Contains(strings.Join(coverage.Why, "\n"), "unreachable") {
		t.Errorf("the gaps are explained by %q", coverage.Why)
	}
	t.Logf("coverage %.2f: %q", clock.Share(coverage.Spans, clock.Span{Start: start, End: time.Now()}), coverage.Why)
}

// judgeQueries asks for the value that the alarm fired by, as it is now and as it was.
func judgeQueries(t *testing.T, s *Source, start time.Time) {
	value, ok, err := s.Query(t.Context(), `max(condition{name="Held"})`)
	if err != nil || !ok || value != 0 {
		t.Errorf("Query gave %v, %v, %v; want 0", value, ok, err)
	}
	if _, ok, err := s.Query(t.Context(), "no_such_metric"); ok || err != nil {
		t.Errorf("a query without a result gave %v, %v", ok, err)
	}
	span := clock.Span{Start: start, End: time.Now()}
	past, err := s.Range(t.Context(), `max(condition{name="Held"})`, span, time.Second)
	if err != nil || len(past) != 1 || len(past[0].Samples) < 2 {
		t.Fatalf("Range gave %+v, %v", past, err)
	}
	samples := past[0].Samples
	rose := slices.ContainsFunc(samples, func(x alarms.Sample) bool { return x.Value == 1 })
	if !rose || samples[len(samples)-1].Value != 0 {
		t.Errorf("Range gave %+v, want a 1 that came and went", samples)
	}
}

// wait lets real time pass in a program under test.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func printed(findings []alarms.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		b.WriteString(f.Summary + "\n  " + f.Detail + "\n")
	}
	return b.String()
}

func blocking(findings []alarms.Finding) int {
	n := 0
	for _, f := range findings {
		if f.Blocks {
			n++
		}
	}
	return n
}
