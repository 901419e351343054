package collector

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gameday/loadgen"
)

// numbered is a service whose answers take what their number says: 20 ms ten times in sixteen, 60 ms four times, 120 ms and 240 ms once each.
type numbered struct {
	*httptest.Server
	mu   sync.Mutex
	seen []int
}

func newNumbered(t *testing.T) *numbered {
	s := &numbered{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		n, err := strconv.Atoi(strings.TrimPrefix(q.URL.Path, "/"))
		if err != nil {
			return
		}
		s.mu.Lock()
		s.seen = append(s.seen, n)
		s.mu.Unlock()
		took := 20 * time.Millisecond
		switch r := n % 16; {
		case r == 15:
			took = 240 * time.Millisecond
		case r == 14:
			took = 120 * time.Millisecond
		case r >= 10:
			took = 60 * time.Millisecond
		}
		<-time.After(took)
	}))
	t.Cleanup(s.Close)
	return s
}

const script = `import http from "k6/http";
import exec from "k6/execution";
export default function () { http.get(__ENV.URL + "/" + exec.scenario.iterationInTest); }
`

// sent is what became of a stream.
type sent struct {
	loadgen.Window
	windows []loadgen.Window
}

// send sends a stream for so many seconds at 64 a second, by a fleet.
func send(t *testing.T, f loadgen.Fleet, spec loadgen.Spec, seconds int) sent {
	t.Helper()
	commands, ready, result := make(chan loadgen.Command, 1), make(chan struct{}), make(chan error, 1)
	spec.Stream, spec.Rate, spec.Commands, spec.Dir, spec.Ready = "numbered", 64, commands, t.TempDir(), func() { close(ready) }
	spec.Log = func(level, text string) { t.Errorf("%s: %s", level, text) }
	var out sent
	enough := make(chan struct{})
	go func() {
		result <- f.Run(context.Background(), spec, func(w loadgen.Window) {
			out.windows = append(out.windows, w)
			if len(out.windows) == seconds {
				close(enough)
			}
		})
	}()
	select {
	case <-enough:
	case err := <-result:
		t.Fatalf("it ended with %v", err)
	case <-time.After(2 * time.Minute):
		t.Fatal("it does not send")
	}
	<-ready
	commands <- loadgen.Command{Stop: true}
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	for _, w := range out.windows {
		out.Merge(w)
	}
	return out
}

// TestThreeRunnersAreOne checks that three k6 runners, processes that dial in, give the percentiles of one runner that does all the work:
// of a service whose answers take what the request's number says.
func TestThreeRunnersAreOne(t *testing.T) {
	if testing.Short() {
		t.Skip("it sends traffic for a while")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	service := newNumbered(t)
	path := filepath.Join(t.TempDir(), "script.js")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	spec := loadgen.Spec{Script: path, Env: map[string]string{"URL": service.URL}, MaxVUs: 90}
	one := send(t, loadgen.Fleet{Generator: engines()}, spec, 8)
	alone := service.take()

	c, err := Listen("127.0.0.1:0", version, nil)
	if err != nil {
		t.Fatal(err)
	}
	on := loadgen.RunOn{Kind: loadgen.Processes, Parallelism: 3}
	spec.RunOn = &on
	logs := t.TempDir()
	three := send(t, loadgen.Fleet{Generator: engines(), Muster: func(ctx context.Context, s loadgen.Spec) ([]loadgen.Runner, func(), error) {
		stream, err := c.Stream(s.Stream, 3, time.Minute)
		if err != nil {
			return nil, nil, err
		}
		stop, err := Processes{Self: self, Args: []string{"runner"}}.Start(ctx, Order{RunOn: on, Collector: c.Addr().String(), Token: stream.Token(), Dir: logs},
			stream.Lost, s.Log)
		return stream.Runners(), func() { stream.Close(); stop() }, err
	}}, spec, 8)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	together := service.take()

	// Each number was sent once, by whichever runner, as by one; but for a few at the end, because runners hear of a stop one after the other.
	for who, seen := range map[string][]int{"one": alone, "three": together} {
		if n := len(seen); n < 64*8 || len(slices.Compact(slices.Clone(seen))) != n || seen[n-10] != n-10 {
			t.Fatalf("%s: iterations %v", who, seen)
		}
	}
	if n := uint64(len(together)); three.OK.Count != n || three.OK.Response.Count() != n {
		t.Errorf("%d requests, and %d in the windows, %d in the histogram", n, three.OK.Count, three.OK.Response.Count())
	}
	for _, w := range three.windows[:8] {
		if len(w.Generators) != 3 || w.Missing != nil || w.Due != 64 {
			t.Errorf("a second of %d generators without %v, in which %d were due", len(w.Generators), w.Missing, w.Due)
		}
	}
	// What is left between them is the moment that a request takes beside its 20 to 240 ms: 2 % of error of histograms, and the machine's noise.
	const noise = 12 * time.Millisecond
	for q, want := range map[float64]time.Duration{0.5: 20, 0.75: 60, 0.9: 120, 0.95: 240, 0.99: 240} {
		a, b := one.OK.Service.Quantile(q), three.OK.Service.Quantile(q)
		t.Logf("p%g: one %s, three %s", 100*q, a, b)
		if d := (a - b).Abs(); d > noise+a/50 || (b-want*time.Millisecond).Abs() > noise+a/50 {
			t.Errorf("p%g of one is %s, of three %s, and the service took %s", 100*q, a, b, want*time.Millisecond)
		}
	}
}

// take returns the numbers that were asked for, in order, and forgets them.
func (s *numbered) take() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.seen
	s.seen = nil
	slices.Sort(out)
	return out
}

// TestMergedIsExact checks that windows which were dealt to runners, went over the wire and were merged are, to the last bucket, the windows of
// one runner that did all the work.
func TestMergedIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		runners := rapid.IntRange(1, 7).Draw(t, "runners")
		at := time.Unix(1_800_000_000, 0).UTC()
		whole := loadgen.Window{Stream: "s", Start: at}
		parts := make([]loadgen.Window, runners)
		for i := range parts {
			parts[i] = loadgen.Window{Stream: "s", Start: at}
		}
		times := rapid.SliceOf(rapid.Int64Range(1, int64(2*time.Minute))).Draw(t, "times")
		for k, ns := range times {
			d := time.Duration(ns)
			for _, w := range []*loadgen.Window{&whole, &parts[k%runners]} {
				w.Begin(d / 7)
				o := &w.OK
				if ns%5 == 0 {
					o = &w.Failed
				}
				o.Record(d, d/2)
			}
		}
		var merged loadgen.Window
		for _, p := range parts {
			line, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			var back loadgen.Window
			if err := json.Unmarshal(line, &back); err != nil {
				t.Fatal(err)
			}
			merged.Merge(back)
		}
		for q := 0.0; q <= 1; q += 0.01 {
			if a, b := whole.OK.Response.Quantile(q), merged.OK.Response.Quantile(q); a != b {
				t.Fatalf("p%g of one is %s, of %d runners %s", 100*q, a, runners, b)
			}
		}
		a, err1 := json.Marshal(whole)
		b, err2 := json.Marshal(merged)
		if err1 != nil || err2 != nil || string(a) != string(b) {
			t.Fatalf("%s\n%s", a, b)
		}
	})
}
