package k6

import (
	"testing"
	"time"

	"gameday/loadgen"
)

// due returns how many arrivals were due in each second.
func due(ws []loadgen.Window) []uint64 {
	var out []uint64
	for _, w := range ws {
		out = append(out, w.Due)
	}
	return out
}

// An idle stream sends nothing; told a program once, it follows it to the end by itself.
func TestFollowsAProgram(t *testing.T) {
	t.Parallel()
	server := newTarget(t)
	s := begin(t, write(t, "s.js", plain), func(spec *loadgen.Spec) {
		withTarget(server)(spec)
		spec.Idle = true
	})
	s.next(2)
	if hits := server.hits.Load(); hits != 0 {
		t.Errorf("an idle stream has sent %d requests", hits)
	}
	// More legs than fit into a line of a scanner's own size.
	program := []loadgen.Leg{{To: 1}, {To: 1, Over: time.Second}, {To: 3}}
	for range 2000 {
		program = append(program, loadgen.Leg{To: 3, Over: time.Millisecond / 2})
	}
	program = append(program, loadgen.Leg{To: 1, Over: time.Second}, loadgen.Leg{To: 0})
	s.commands <- loadgen.Command{To: 0, Over: 500 * time.Millisecond, Then: program}
	s.next(5)
	sum, err := s.stop()
	if err != nil {
		t.Fatal(err)
	}
	balanced(t, sum)
	// The last one is due at the very end, and may be lost to rounding.
	if want := uint64(50 + 150 + 100); sum.Due != want && sum.Due != want-1 {
		t.Errorf("%d were due, want %d: %v", sum.Due, want, due(s.all))
	}
	for _, w := range []loadgen.Window{s.all[1], s.all[len(s.all)-1]} {
		if w.Due != 0 || w.Multiple != 0 {
			t.Errorf("it is not silent before and after: %v", due(s.all))
		}
	}
}

// What is due by chance is known beforehand from the seed, for each function of a script on its own.
func TestArrivalsByChance(t *testing.T) {
	t.Parallel()
	server := newTarget(t)
	script := `
import http from 'k6/http';
export const options = { scenarios: {
  look: { executor: 'constant-arrival-rate', rate: 30, duration: '1m', preAllocatedVUs: 1, exec: 'look' },
  buy: { executor: 'constant-arrival-rate', rate: 10, duration: '1m', preAllocatedVUs: 1, exec: 'buy' },
} };
export function look() { http.get(__ENV.TARGET + '/look'); }
export function buy() { http.get(__ENV.TARGET + '/buy'); }
`
	const seed = 1<<63 + 12345 // more than a float holds exactly
	s := begin(t, write(t, "s.js", script), func(spec *loadgen.Spec) {
		withTarget(server)(spec)
		spec.Rate, spec.Poisson, spec.Seed = 80, true, seed
	})
	s.next(4)
	sum, err := s.stop()
	if err != nil {
		t.Fatal(err)
	}
	balanced(t, sum)
	total := func(at time.Duration) (n uint64) {
		for name, rate := range map[string]float64{"look": 60, "buy": 20} {
			a := loadgen.Arrivals{Rate: rate, Poisson: true, Seed: loadgen.SeedFor(seed, name)}
			n += loadgen.NewPacer(a).Due(at)
		}
		return n
	}
	for i, w := range s.all[:4] {
		end := time.Duration(i+1) * time.Second
		if want := total(end) - total(end-time.Second); w.Due != want {
			t.Errorf("in second %d %d were due, and the seed says %d", i, w.Due, want)
		}
	}
	if d := due(s.all); d[0] == d[1] && d[1] == d[2] {
		t.Errorf("by chance the same number is due each second: %v", d)
	}
}
