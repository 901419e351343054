package native

import (
	"bufio"
	"context"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
)

// sluggish is a server in memory whose n-th request, counted in order of arrival from 0, is answered after a while, and no
// request between two instants before the second.
type sluggish struct {
	after        func(n int) time.Duration
	frozen, thaw time.Time
	turn         chan int
}

func (s *sluggish) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	go s.serve(there)
	return here, nil
}

func (s *sluggish) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		n := <-s.turn
		s.turn <- n + 1
		time.Sleep(s.after(n))
		if now := time.Now(); !now.Before(s.frozen) && now.Before(s.thaw) {
			time.Sleep(s.thaw.Sub(now))
		}
		if _, err := io.WriteString(c, ok); err != nil {
			return
		}
	}
}

// truth are the response times that users who arrive evenly must have: each begins to be served when it arrives, or, with a
// bound on how many are served at once, when one before it is done.
func truth(rate float64, length time.Duration, users int, serve func(n int, from time.Duration) time.Duration) (response []time.Duration) {
	free := make([]time.Duration, users)
	for n := range int(rate * length.Seconds()) {
		due := time.Duration(float64(n+1) / rate * float64(time.Second))
		slices.Sort(free)
		begin := max(due, free[0])
		free[0] = serve(n, begin)
		response = append(response, free[0]-due)
	}
	slices.Sort(response)
	return response
}

// TestAccuracy sends to servers whose latency is known, on a clock of its own: every quantile that is measured is within 1 % of the truth.
func TestAccuracy(t *testing.T) {
	const rate, length = 200, 20 * time.Second
	constant := func(int) time.Duration { return 120 * time.Millisecond }
	bimodal := func(n int) time.Duration {
		if n%10 == 7 {
			return 900 * time.Millisecond
		}
		return 35 * time.Millisecond
	}
	for _, tt := range []struct {
		name  string
		after func(int) time.Duration
		users int
		// freeze is from when on, since the first instant, nothing is answered for two seconds; 0 is never.
		freeze time.Duration
	}{
		{"constant", constant, 500, 0},
		{"bimodal", bimodal, 500, 0},
		{"freeze", constant, 500, 9 * time.Second},
		{"freeze, and few users", constant, 40, 9 * time.Second},
		{"more than the users carry", func(int) time.Duration { return 220 * time.Millisecond }, 40, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now().Add(time.Second)
				s := &sluggish{after: tt.after, turn: make(chan int, 1)}
				s.turn <- 0
				if tt.freeze > 0 {
					s.frozen, s.thaw = start.Add(tt.freeze), start.Add(tt.freeze+2*time.Second)
				}
				want := truth(rate, length, tt.users, func(n int, from time.Duration) time.Duration {
					end := from + tt.after(n)
					if f := tt.freeze; f > 0 && end >= f && end < f+2*time.Second {
						end = f + 2*time.Second
					}
					return end
				})
				got := sendFor(t, s, start, rate, length, tt.users)
				if int(got.OK.Count) != len(want) || got.Failed.Count+got.Dropped+got.Interrupted > 0 {
					t.Fatalf("%d answers of %d: %+v", got.OK.Count, len(want), got)
				}
				for _, q := range []float64{0.01, 0.1, 0.25, 0.5, 0.75, 0.85, 0.9, 0.925, 0.95, 0.99, 0.999, 1} {
					truth := want[max(int(math.Round(q*float64(len(want)))), 1)-1]
					if seen := got.OK.Response.Quantile(q); (seen - truth).Abs() > truth/100 {
						t.Errorf("the %g-quantile is %s, and measured as %s", q, truth, seen)
					}
				}
			})
		})
	}
}

// sendFor runs a crew against a server in memory.
func sendFor(t *testing.T, s *sluggish, start time.Time, rate float64, length time.Duration, users int) loadgen.Window {
	t.Helper()
	spec := loadgen.Spec{Rate: rate, MaxVUs: users, Flows: flows(get("http://server/",
		func(r *loadgen.Request) { r.Timeout = time.Minute }))}
	p, err := compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWire(spec.Wire)
	if err != nil {
		t.Fatal(err)
	}
	w.dial = s.dial
	tally := child.NewTally()
	c, err := newCrew(p, w, sizeOf(spec), tally)
	if err != nil {
		t.Fatal(err)
	}
	schedule := loadgen.NewSchedule(loadgen.Arrivals{Rate: rate}, start)
	time.Sleep(time.Until(start))
	tally.Open(start)
	time.AfterFunc(length+time.Millisecond, func() { schedule.Ramp(0, 0) })
	time.AfterFunc(length+time.Minute, schedule.Stop) // what waits when the arrivals end is served too
	c.run(schedule, time.Minute)
	tally.Close(time.Now())
	var sum loadgen.Window
	for {
		w, _, more := tally.Take(time.Now(), 0, true)
		if !more {
			return sum
		}
		sum.Merge(*w)
	}
}
