package k6

import (
	"net"
	"testing"
	"time"

	"gameday/loadgen"
)

const plain = `
import http from 'k6/http';
export default function () { http.get(__ENV.TARGET + '/'); }
`

func withTarget(s *target) func(*loadgen.Spec) {
	return func(spec *loadgen.Spec) { spec.Env = map[string]string{"TARGET": s.URL} }
}

func TestReachesTheMultiple(t *testing.T) {
	t.Parallel()
	server := newTarget(t)
	s := begin(t, write(t, "s.js", plain), withTarget(server))
	within(t, "rate at 1x", get(t, s.next(2), "rate"), 40, 60)
	s.commands <- loadgen.Command{To: 3}
	s.next(1)
	three := s.next(2)
	within(t, "rate at 3x", get(t, three, "rate"), 120, 180)
	within(t, "reached at 3x", get(t, three, "reached_ratio"), 0.8, 1.2)
	s.commands <- loadgen.Command{To: 0}
	s.next(1)
	if v := get(t, s.next(1), "rate"); v != 0 {
		t.Errorf("on hold the rate is %g", v)
	}
	s.commands <- loadgen.Command{To: 1, Over: 2 * time.Second}
	s.next(3)
	within(t, "rate after the ramp", get(t, s.next(1), "rate"), 40, 60)
	sum, err := s.stop()
	if err != nil {
		t.Fatal(err)
	}
	balanced(t, sum)
	// The rates above leave room for a busy machine; what was due does not.
	for i, want := range []uint64{50, 50} {
		if got := s.all[i].Due; got != want {
			t.Errorf("in second %d %d were due, want %d", i, got, want)
		}
	}
	if got := s.all[3].Due; got != 150 {
		t.Errorf("at 3x %d were due in a second, want 150", got)
	}
	if hits := uint64(server.hits.Load()); sum.OK.Count != hits || hits != sum.Completed {
		t.Errorf("the server saw %d requests, windows count %d for %d iterations", hits, sum.OK.Count, sum.Completed)
	}
	for i, w := range s.all {
		if i > 0 && w.Start.Sub(s.all[i-1].Start) != time.Second {
			t.Errorf("window %d is not the next second: %s after %s", i, w.Start, s.all[i-1].Start)
		}
		if w.Stream != "shoppers" {
			t.Errorf("window %d is of stream %q", i, w.Stream)
		}
	}
	for i, want := range []float64{1, 3, 0, 1} {
		if got := s.all[[]int{0, 3, 6, 10}[i]].Multiple; got != want {
			t.Errorf("the multiple is %g, want %g", got, want)
		}
	}
	if l := s.all[1].Generator; l.CPU <= 0 || l.Memory < 1<<20 || l.MaxVUs < 2 {
		t.Errorf("the generator's own load is %+v", l)
	}
}

// balanced checks that no arrival is lost.
func balanced(t *testing.T, w loadgen.Window) {
	t.Helper()
	if w.Due != w.Started+w.Dropped || w.Started != w.Completed+w.Interrupted {
		t.Errorf("arrivals do not add up: due %d, started %d, dropped %d, completed %d, interrupted %d",
			w.Due, w.Started, w.Dropped, w.Completed, w.Interrupted)
	}
}

// A frozen server must show in the response time of everything that waited for it, not only of the few requests that
// were on their way: those that wait in the queue are served quickly once they are sent.
func TestFreezeShowsInResponseTime(t *testing.T) {
	t.Parallel()
	server := newTarget(t)
	s := begin(t, write(t, "s.js", plain), func(spec *loadgen.Spec) {
		withTarget(server)(spec)
		spec.Rate, spec.MaxVUs = 100, 4
	})
	s.next(1)
	server.freeze(time.Second)
	s.next(3)
	sum, err := s.stop()
	if err != nil {
		t.Fatal(err)
	}
	balanced(t, sum)
	late, slow := above(sum.OK.Response, 300*time.Millisecond), above(sum.OK.Service, 300*time.Millisecond)
	if late < 50 {
		t.Errorf("%d responses took over 300 ms; about 70 arrivals waited that long", late)
	}
	if slow > late/2 {
		t.Errorf("%d of %d slow responses were slow in service, with 4 virtual users", slow, late)
	}
	if r := sum.OK.Response.Max(); r < 900*time.Millisecond {
		t.Errorf("the longest response took %s, and the server stood still for 1 s", r)
	}
}

// above counts durations over a limit, by bisecting quantiles.
func above(h *loadgen.Histogram, limit time.Duration) int {
	n := int(h.Count())
	for i := n; i > 0; i-- {
		if h.Quantile(float64(i)/float64(n)) <= limit {
			return n - i
		}
	}
	return n
}

func TestFullQueueDrops(t *testing.T) {
	t.Parallel()
	server := newTarget(t)
	server.freeze(5 * time.Second)
	s := begin(t, write(t, "s.js", plain), func(spec *loadgen.Spec) {
		withTarget(server)(spec)
		spec.Rate, spec.MaxVUs, spec.PeakMultiple = 10, 1, 1
	})
	s.commands <- loadgen.Command{To: 20} // more than was planned for: the queue holds 100
	s.next(3)
	sum, err := s.stop()
	if err != nil {
		t.Fatal(err)
	}
	balanced(t, sum)
	if sum.Dropped < 100 || sum.Started > 5 {
		t.Errorf("with one virtual user that stands still, %d started and %d were dropped", sum.Started, sum.Dropped)
	}
}

func TestFailuresCount(t *testing.T) {
	t.Parallel()
	server := newTarget(t)
	s := begin(t, write(t, "s.js", plain), withTarget(server))
	if v := get(t, s.next(1), "error_ratio"); v != 0 {
		t.Errorf("a sound server has an error ratio of %g", v)
	}
	server.status.Store(503)
	s.next(2)
	if v := get(t, s.next(1), "error_ratio"); v != 1 {
		t.Errorf("a server that answers 503 has an error ratio of %g", v)
	}
	server.CloseClientConnections()
	server.Close() // refuses from now on
	s.next(2)
	refused := s.next(1)
	if v := get(t, refused, "error_ratio"); v != 1 {
		t.Errorf("a server that is gone has an error ratio of %g", v)
	}
	if _, err := s.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestLeft ends a test in the middle of its traffic, which goes first: its child writes in the test's folder.
func TestLeft(t *testing.T) {
	server := newTarget(t)
	var s *stream
	t.Run("left", func(t *testing.T) { s = begin(t, write(t, "s.js", plain), withTarget(server)) })
	select {
	case <-s.result:
	default:
		t.Error("the traffic goes on after its test")
	}
}

func TestStopInterruptsAfterGrace(t *testing.T) {
	t.Parallel()
	server := newTarget(t)
	s := begin(t, write(t, "s.js", `
import http from 'k6/http';
import { sleep } from 'k6';
export default function () { sleep(60); }
export function teardown() { http.get(__ENV.TARGET + '/teardown'); }
`), func(spec *loadgen.Spec) {
		withTarget(server)(spec)
		spec.Rate, spec.MaxVUs, spec.Grace = 20, 10, 300*time.Millisecond
	})
	s.next(1)
	began := time.Now()
	sum, err := s.stop()
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 300*time.Millisecond || took > 10*time.Second {
		t.Errorf("the stop took %s with a grace of 300 ms", took)
	}
	balanced(t, sum)
	if sum.Interrupted != 10 || sum.Completed != 0 {
		t.Errorf("%d interrupted and %d completed, of 10 virtual users asleep", sum.Interrupted, sum.Completed)
	}
	if server.hits.Load() != 1 {
		t.Error("the teardown did not run")
	}
	if sum.OK.Count+sum.Failed.Count != 0 {
		t.Error("the teardown's request was counted as traffic")
	}
}

// Requests that run out of time before there is a connection took as long as they did, also side by side.
func TestNoConnectionTakesItsTime(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	s := begin(t, write(t, "s.js", `
import http from 'k6/http';
export default function () {
  const late = ['GET', __ENV.TARGET, null, { timeout: '300ms' }];
  http.batch([late, late, late]);
  http.get(__ENV.TARGET, { timeout: '300ms' });
}
`), func(spec *loadgen.Spec) {
		spec.Rate, spec.Env = 5, map[string]string{"TARGET": "https://" + silent.Addr().String() + "/"}
	})
	s.next(2)
	sum, err := s.stop()
	if err != nil {
		t.Fatal(err)
	}
	if sum.Failed.Count == 0 || sum.Failed.Count != sum.Requests || sum.Failed.Count != 4*sum.Completed {
		t.Errorf("%d failed of %d requests in %d iterations", sum.Failed.Count, sum.Requests, sum.Completed)
	}
	within(t, "the quickest", sum.Failed.Service.Quantile(0).Seconds(), 0.29, 0.6)
	within(t, "the slowest", sum.Failed.Service.Max().Seconds(), 0.29, 0.6)
}
