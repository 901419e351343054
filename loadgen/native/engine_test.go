package native

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gameday/loadgen"
)

// traffic is a stream under test, from a child.
type traffic struct {
	commands chan loadgen.Command
	result   chan error
	mu       sync.Mutex
	windows  chan loadgen.Window // closed at its end
	all      []loadgen.Window    // those that were taken
	said     []string
}

func begin(t *testing.T, ctx context.Context, spec loadgen.Spec) *traffic {
	t.Helper()
	s := &traffic{commands: make(chan loadgen.Command, 4), result: make(chan error, 1),
		windows: make(chan loadgen.Window, 1000)}
	ready := make(chan struct{})
	spec.Stream, spec.Dir, spec.Commands = "shoppers", t.TempDir(), s.commands
	spec.Ready = func() { close(ready) }
	spec.Log = func(level, text string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.said = append(s.said, level+": "+text)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := (&Engine{}).Run(ctx, spec, func(w loadgen.Window) { s.windows <- w })
		close(s.windows)
		s.result <- err
	}()
	t.Cleanup(func() {
		cancel()
		<-ended // until then its child writes in the folder, which is about to be removed
		if log, err := os.ReadFile(filepath.Join(spec.Dir, "native.log")); err == nil && strings.Contains(string(log), "DATA RACE") {
			t.Errorf("the child has a data race:\n%s", log)
		}
	})
	select {
	case <-ready:
	case err := <-s.result:
		s.result <- err
	case <-time.After(30 * time.Second):
		t.Fatal("the traffic is not ready after 30 s")
	}
	return s
}

// seconds returns the sum of the next n windows.
func (s *traffic) seconds(t *testing.T, n int) loadgen.Window {
	t.Helper()
	var sum loadgen.Window
	for range n {
		select {
		case w, ok := <-s.windows:
			if !ok {
				t.Fatalf("the traffic ended: %v", <-s.result)
			}
			s.all = append(s.all, w)
			sum.Merge(w)
		case <-time.After(15 * time.Second):
			t.Fatal("no window for 15 s")
		}
	}
	return sum
}

// until takes windows up to the first at whose end the multiple is as asked for: the fifth at most of those that are still to come.
func (s *traffic) until(t *testing.T, is func(multiple float64) bool) {
	t.Helper()
	for range len(s.windows) + 5 {
		if is(s.seconds(t, 1).Multiple) {
			return
		}
	}
	t.Fatal("the multiple does not come")
}

// stop ends the traffic and returns all that it did.
func (s *traffic) stop(t *testing.T) loadgen.Window {
	t.Helper()
	s.commands <- loadgen.Command{Stop: true}
	select {
	case err := <-s.result:
		if err != nil {
			t.Errorf("it ended: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the traffic does not end")
	}
	for w := range s.windows { // those that came meanwhile
		s.all = append(s.all, w)
	}
	var sum loadgen.Window
	for _, w := range s.all {
		sum.Merge(w)
	}
	return sum
}

// TestTraffic follows the multiple, counts everything once, and mixes flows by weight.
func TestTraffic(t *testing.T) {
	t.Parallel()
	var home, buy atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/buy" {
			buy.Add(1)
			return
		}
		home.Add(1)
	}))
	t.Cleanup(s.Close)
	x := begin(t, t.Context(), loadgen.Spec{Rate: 100, PeakMultiple: 3, Flows: []loadgen.Flow{
		{Name: "home", Weight: 3, Requests: []loadgen.Request{get(s.URL + "/home")}},
		{Name: "buy", Weight: 1, Requests: []loadgen.Request{get(s.URL + "/buy")}},
	}})
	one := x.seconds(t, 2)
	x.commands <- loadgen.Command{To: 3}
	x.until(t, func(multiple float64) bool { return multiple == 3 })
	three := x.seconds(t, 2)
	x.commands <- loadgen.Command{To: 0}
	x.until(t, func(multiple float64) bool { return multiple == 0 })
	none := x.seconds(t, 1)
	all := x.stop(t)
	if one.Due != 200 || three.Due != 600 || none.Due != 0 {
		t.Errorf("due %d, %d, %d", one.Due, three.Due, none.Due)
	}
	if all.Due != all.Started+all.Dropped || all.Started != all.Completed || all.Completed != all.Requests || all.Failed.Count > 0 || all.Dropped > 0 {
		t.Errorf("%+v", all)
	}
	if n := home.Load() + buy.Load(); uint64(n) != all.Requests {
		t.Errorf("the server saw %d of %d", n, all.Requests)
	}
	if share := float64(buy.Load()) / float64(all.Requests); math.Abs(share-0.25) > 0.005 {
		t.Errorf("a quarter should buy, and %.3f did", share)
	}
	if all.Generator.CPU <= 0 || all.Generator.Memory == 0 || all.Generator.MaxVUs == 0 {
		t.Errorf("the generator's own load is not known: %+v", all.Generator)
	}
}

// TestFreeze shows a frozen server in the response times of those who arrived meanwhile, and not in the service times.
func TestFreeze(t *testing.T) {
	t.Parallel()
	const rate, users = 200, 10
	var mu sync.Mutex                   // guards what follows
	var gate chan struct{}              // while it is frozen
	var start, thawed, caught time.Time // caught up with what was due
	seen, caughtUp := 0, make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		seen++
		now, wait := time.Now(), gate
		if !thawed.IsZero() && caught.IsZero() && float64(seen+users) >= rate*now.Sub(start).Seconds() {
			caught = now
			close(caughtUp)
		}
		mu.Unlock()
		if wait != nil {
			<-wait
		}
	}))
	t.Cleanup(s.Close)
	x := begin(t, t.Context(), loadgen.Spec{Rate: rate, MaxVUs: users, Flows: flows(get(s.URL,
		func(r *loadgen.Request) { r.Timeout = 10 * time.Second }))})
	first := x.seconds(t, 1).Start
	mu.Lock()
	gate, start = make(chan struct{}), first
	froze, oldest := time.Now(), first.Add(time.Duration(seen)*time.Second/rate) // when the next one was due
	mu.Unlock()
	time.AfterFunc(2*time.Second, func() {
		mu.Lock()
		defer mu.Unlock()
		thawed = time.Now()
		close(gate)
		gate = nil
	})
	select {
	case <-caughtUp:
	case <-time.After(30 * time.Second):
		t.Fatal("the server has not seen what was due 30 s after it froze")
	}
	sum := x.seconds(t, len(x.windows)+4) // those with the freeze in them, and more
	x.stop(t)
	if took := caught.Sub(thawed); took > 10*time.Second {
		t.Errorf("it took %s to make up for what was due while the server was frozen", took)
	}
	shortest, longest := thawed.Sub(froze), caught.Sub(oldest)
	if p99 := sum.OK.Response.Quantile(0.99); p99 < shortest-500*time.Millisecond || p99 > longest+500*time.Millisecond {
		t.Errorf("the p99 of response times is %s, and they waited for %s to %s", p99, shortest, longest)
	}
	if p98 := sum.OK.Service.Quantile(0.98); p98 > 500*time.Millisecond {
		t.Errorf("the p98 of service times is %s", p98)
	}
	if sum.Dropped > 0 || sum.Failed.Count > 0 {
		t.Errorf("%d dropped, %d failed", sum.Dropped, sum.Failed.Count)
	}
}

// TestStop gives what is under way its grace, and then interrupts it: that counts as neither right nor failed.
func TestStop(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(func() { close(hang); s.Close() })
	const grace = 200 * time.Millisecond
	for _, wire := range wired {
		x := begin(t, t.Context(), loadgen.Spec{Rate: 20, Grace: grace, Wire: wire,
			Flows: flows(get(s.URL, func(r *loadgen.Request) { r.Timeout = time.Minute }))})
		x.seconds(t, 1)
		began := time.Now()
		all := x.stop(t)
		if took := time.Since(began); took > 10*time.Second || took < grace && wire.HTTP == "" {
			t.Errorf("stopping took %s", took)
		}
		if wire.HTTP == "" && (all.Interrupted == 0 || all.Interrupted+all.Dropped != all.Due || all.Requests != 0) {
			t.Errorf("%+v", all)
		}
	}
}

// TestEnds says how a generator came to its end.
func TestEnds(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	ctx, cancel := context.WithCancelCause(t.Context())
	x := begin(t, ctx, loadgen.Spec{Rate: 10, Flows: flows(get(s.URL))})
	x.seconds(t, 1)
	why := errors.New("enough")
	cancel(why)
	if err := <-x.result; !errors.Is(err, why) {
		t.Errorf("cancelled: %v", err)
	}
	x = begin(t, t.Context(), loadgen.Spec{Rate: 10})
	if err := <-x.result; err == nil || !strings.Contains(err.Error(), "there is no flow") {
		t.Errorf("without flows: %v", err)
	}
	x = begin(t, t.Context(), loadgen.Spec{Rate: 0, Flows: flows(get(s.URL))})
	if err := <-x.result; err == nil || !strings.Contains(err.Error(), "sends nothing") {
		t.Errorf("without a rate: %v", err)
	}
}

// TestLeft ends a test in the middle of its traffic, which goes first: its child writes in the test's folder.
func TestLeft(t *testing.T) {
	url := quiet(t)
	var x *traffic
	t.Run("left", func(t *testing.T) { x = begin(t, t.Context(), loadgen.Spec{Rate: 10, Flows: flows(get(url))}) })
	select {
	case <-x.result:
	default:
		t.Error("the traffic goes on after its test")
	}
}

// TestUnreachable says once what is wrong, and counts every request as failed.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	x := begin(t, t.Context(), loadgen.Spec{Rate: 50, Flows: flows(get("http://127.0.0.1:1/"))})
	x.seconds(t, 2)
	all := x.stop(t)
	if all.Requests == 0 || all.Failed.Count != all.Requests {
		t.Errorf("%d of %d failed", all.Failed.Count, all.Requests)
	}
	if len(x.said) != 1 || !strings.Contains(x.said[0], "flow/get: connecting to 127.0.0.1:1: connection refused") {
		t.Errorf("said %q", x.said)
	}
}

// TestDeal deals rows in turn or shuffled, each as often as the others.
func TestDeal(t *testing.T) {
	set := loadgen.DataSet{Name: "n", Columns: []string{"n"}}
	for i := range 10 {
		set.Rows = append(set.Rows, []string{fmt.Sprint(i)})
	}
	for _, shuffled := range []bool{false, true} {
		set.Shuffle = shuffled
		d, err := newDealer(set, 3)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := newDealer(set, 3)
		orders := map[string]bool{}
		for round := range uint64(5) {
			order, seen := "", map[string]bool{}
			for i := range uint64(10) {
				row := d.row(round*10 + i + 1)[0]
				if row != again.row(round*10 + i + 1)[0] {
					t.Fatal("the same seed deals otherwise")
				}
				order += row
				seen[row] = true
			}
			if len(seen) != 10 {
				t.Errorf("round %d deals %s", round, order)
			}
			orders[order] = true
		}
		if want := map[bool]int{false: 1, true: 5}[shuffled]; len(orders) != want {
			t.Errorf("shuffled %v: %d orders", shuffled, len(orders))
		}
	}
}

// Answers that pile up end the generator alone, soon, and it says what of.
func TestMemoryIsBounded(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(make([]byte, keptBody-1))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	x := begin(t, t.Context(), loadgen.Spec{Rate: 40, Memory: 100e6, Flows: flows(get(s.URL+"/", func(r *loadgen.Request) {
		r.Timeout = 20 * time.Second
		r.Expect.Body = []loadgen.BodyCheck{{Contains: "all of it"}}
	}))})
	select {
	case err := <-x.result:
		if err == nil || !strings.Contains(err.Error(), "of memory, and may have 100 MB") || !strings.Contains(err.Error(), "native.log") {
			t.Errorf("it ended: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
}

// TestSize has a user for each iteration that may be under way, and counts the pauses of its flow.
func TestSize(t *testing.T) {
	pausing := func(weight float64, pauses ...time.Duration) loadgen.Flow {
		f := loadgen.Flow{Name: "f", Weight: weight}
		for _, p := range pauses {
			f.Requests = append(f.Requests, loadgen.Request{Think: loadgen.Pause{Max: p}})
		}
		return f
	}
	for _, c := range []struct {
		name  string
		rate  float64
		flows []loadgen.Flow
		want  int
	}{
		{"a few at least", 1, []loadgen.Flow{pausing(1, 0)}, 50},
		{"no pauses", 100, []loadgen.Flow{pausing(1, 0)}, 800},
		{"the longest flow's pauses", 10, []loadgen.Flow{pausing(1, time.Minute, 12*time.Second, 0), pausing(1, time.Second, 0)}, 800},
		{"none behind the last request", 10, []loadgen.Flow{pausing(1, 2*time.Second, time.Hour)}, 100},
		{"a flow that is not run", 10, []loadgen.Flow{pausing(0, time.Hour, 0), pausing(1, 0)}, 80},
		{"within reason", 1, []loadgen.Flow{pausing(1, math.MaxInt64, math.MaxInt64, 0)}, 3608},
		{"and the bound", 1000, []loadgen.Flow{pausing(1, time.Hour, 0)}, 10_000},
	} {
		if got := sizeOf(loadgen.Spec{Rate: c.rate, Flows: c.flows}).MaxVUs; got != c.want {
			t.Errorf("%s: %d users, want %d", c.name, got, c.want)
		}
	}
}
