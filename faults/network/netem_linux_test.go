package network_test

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/network"
)

// insideVariable is set where the kernel is known to have netem: a test that finds none there fails.
const insideVariable = "GAMEDAY_VM_INSIDE"

// netemPair makes two nodes, one of them with a bystander, on a kernel with netem.
func netemPair(t *testing.T) (a, b *node) {
	t.Helper()
	a, b = pair(t)
	b.addBystander(t)
	if err := checked(t, &network.Delay{}, a.place(t, b)); err != nil {
		if os.Getenv(insideVariable) != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return a, b
}

// swaps counts the arrivals after one that was sent later.
func swaps(list []arrival) (n int) {
	var highest uint32
	for _, a := range list {
		if a.seq < highest {
			n++
		}
		highest = max(highest, a.seq)
	}
	return n
}

func part(v float64) *float64 { return &v }

// shaped injects a fault towards the other node's first address, streams to it and to the bystander at once, before and
// during, and reverts. It checks that the bystander is untouched and that the tree comes back.
func shaped(t *testing.T, k faults.Kind, c faults.Config, s stream) (quiet, during []arrival) {
	t.Helper()
	a, b := netemPair(t)
	before, tree := a.ruleset(t), a.tree(t)
	s.from, s.to, s.address, s.size = a, b, b.v4, max(s.size, 64)
	beside := s
	beside.address, beside.unchecked, beside.linger = bystander, false, 200*time.Millisecond
	first := s
	first.linger = 200 * time.Millisecond
	quiet = first.run(t)
	calm := latencies(beside.run(t))

	f := mustApply(t, k, "netem", c, a.place(t, &node{name: b.name, v4: b.v4, v6: b.v6}), 5*time.Minute)
	e := effect(t, f, patient)
	if !e.Proven {
		t.Fatalf("effect %+v", e)
	}
	t.Logf("effect: %s %v", e.Summary, e.Details)
	others := make(chan []arrival, 1)
	go func() { others <- beside.run(t) }()
	during = s.run(t)
	bystanders := <-others
	hit := latencies(bystanders)
	t.Logf("bystander: %d of %d arrived, median %v (alone %v), p99 %v (alone %v)", len(bystanders), s.count,
		quantile(hit, 0.5), quantile(calm, 0.5), quantile(hit, 0.99), quantile(calm, 0.99))
	if len(bystanders) != s.count || len(hit) != s.count || quantile(hit, 0.5) > quantile(calm, 0.5)+2*time.Millisecond {
		t.Errorf("the bystander is hit: %d of %d arrived, %d intact, median %v, alone %v", len(bystanders), s.count, len(hit),
			quantile(hit, 0.5), quantile(calm, 0.5))
	}
	// On several processors a sender that moves from one to another overtakes itself, now and then.
	if k := swaps(bystanders); k > s.count/20 {
		t.Errorf("%d of %d of the bystander's datagrams arrived after one that was sent later", k, s.count)
	}
	for range 2 {
		f.mustRevert(t)
	}
	if after := a.tree(t); after != tree || a.ruleset(t) != before {
		t.Errorf("qdiscs before:\n%s\nafter:\n%s", tree, after)
	}
	return quiet, during
}

// within3 reports whether the count is within three standard deviations of a binomial distribution.
func within3(t *testing.T, what string, got, n int, p float64) bool {
	t.Helper()
	want, deviation := float64(n)*p, math.Sqrt(float64(n)*p*(1-p))
	t.Logf("%s: %d of %d, want %.0f ± %.0f", what, got, n, want, 3*deviation)
	return math.Abs(float64(got)-want) <= 3*deviation
}

// byChance measures up to three times until the result is near enough: a fair coin is outside of three standard
// deviations once in 370 times, and an emulated processor stops now and then for longer than a delay's tolerance.
func byChance(t *testing.T, measure func() bool) {
	t.Helper()
	for range 3 {
		if measure() {
			return
		}
	}
	t.Error("off three times")
}

func TestNetemDelay(t *testing.T) {
	for _, delay := range []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, time.Second} {
		t.Run(delay.String(), func(t *testing.T) {
			byChance(t, func() bool {
				quiet, during := shaped(t, network.DelayKind(), &network.Delay{Delay: delay.String()},
					stream{count: 500, each: 1, linger: delay + 300*time.Millisecond})
				before, after := latencies(quiet), latencies(during)
				if len(after) != 500 {
					t.Errorf("%d of 500 arrived", len(after))
				}
				got := quantile(after, 0.5) - quantile(before, 0.5)
				t.Logf("asked for %v, got %v (p99 %v)", delay, got, quantile(after, 0.99))
				return math.Abs(float64(got-delay)) <= 0.05*float64(delay)
			})
		})
	}
}

func TestNetemJitter(t *testing.T) {
	const delay, jitter = 200 * time.Millisecond, 20 * time.Millisecond
	for _, distribution := range []string{"normal", "uniform", "pareto", "paretonormal"} {
		t.Run(distribution, func(t *testing.T) {
			byChance(t, func() bool {
				quiet, during := shaped(t, network.DelayKind(), &network.Delay{Delay: delay.String(), Jitter: jitter.String(),
					Distribution: distribution},
					stream{count: 3000, each: 3, linger: delay + 300*time.Millisecond})
				base := float64(quantile(latencies(quiet), 0.5))
				var sum, squares float64
				after := latencies(during)
				for _, d := range after {
					x := float64(d) - base
					sum += x
					squares += x * x
				}
				n := float64(len(after))
				mean := sum / n
				deviation := math.Sqrt(squares/n - mean*mean)
				want := float64(jitter)
				if distribution == "uniform" {
					want /= math.Sqrt(3) // from -jitter to jitter
				}
				t.Logf("asked for %v ± %v, got %v ± %v", delay, time.Duration(want), time.Duration(mean), time.Duration(deviation))
				return math.Abs(mean-float64(delay)) <= 0.05*float64(delay) && math.Abs(deviation-want) <= 0.15*want
			})
		})
	}
}

func TestNetemLoss(t *testing.T) {
	for _, p := range []float64{1, 10, 50} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			const n = 10000
			byChance(t, func() bool {
				quiet, during := shaped(t, network.LossKind(), &network.Loss{Percent: part(p)},
					stream{count: n, each: 5, linger: 300 * time.Millisecond})
				if len(quiet) != n {
					t.Errorf("before the fault %d of %d arrived", len(quiet), n)
				}
				return within3(t, "lost", n-len(during), n, p/100)
			})
		})
	}
}

// TestNetemLossOfAll proves a loss by what the class dropped, for nothing goes through.
func TestNetemLossOfAll(t *testing.T) {
	_, during := shaped(t, network.LossKind(), &network.Loss{Percent: part(100)},
		stream{count: 200, each: 1, linger: 300 * time.Millisecond})
	if len(during) > 0 {
		t.Errorf("%d arrived", len(during))
	}
}

func TestNetemDuplicate(t *testing.T) {
	const n = 5000
	byChance(t, func() bool {
		_, during := shaped(t, network.DuplicateKind(), &network.Duplicate{Percent: part(20)},
			stream{count: n, each: 5, linger: 300 * time.Millisecond})
		times := map[uint32]int{}
		for _, a := range during {
			times[a.seq]++
		}
		twice := 0
		for _, k := range times {
			if k == 2 {
				twice++
			}
		}
		if len(times) != n {
			t.Errorf("%d of %d arrived", len(times), n)
		}
		return within3(t, "arrived twice", twice, n, 0.2)
	})
}

func TestNetemCorrupt(t *testing.T) {
	const n = 5000
	_, during := shaped(t, network.CorruptKind(), &network.Corrupt{Percent: part(10)},
		stream{count: n, each: 5, size: 1200, linger: 300 * time.Millisecond, unchecked: true})
	bad := n - len(during) // a flip in a header
	flipped := 0
	for _, a := range during {
		if !a.intact {
			flipped++
		}
	}
	if flipped == 0 {
		t.Error("nothing arrived with a bit flipped")
	}
	t.Logf("%d arrived flipped, %d not at all", flipped, bad)
	// A flip in a header's field that nobody checks leaves the datagram as it was: at most 42 of 1242 bytes.
	const unseen = 42.0 / 1242
	got, want := float64(flipped+bad)/n, 0.1
	deviation := math.Sqrt(want * (1 - want) / n)
	if got > want+4*deviation || got < want*(1-unseen)-4*deviation {
		t.Errorf("%.4f were hit, want %.4f ± %.4f", got, want, 4*deviation)
	}
}

func TestNetemReorder(t *testing.T) {
	const n, delay = 3000, 50 * time.Millisecond
	byChance(t, func() bool {
		_, during := shaped(t, network.ReorderKind(), &network.Reorder{Percent: part(25), Delay: delay.String()},
			stream{count: n, each: 1, linger: delay + 300*time.Millisecond})
		if len(during) != n {
			t.Errorf("%d of %d arrived", len(during), n)
		}
		early, swapped := 0, swaps(during)
		for _, a := range during {
			if a.took < delay/2 {
				early++
			}
		}
		t.Logf("%d arrived after one that was sent later", swapped)
		if swapped < n/4 {
			t.Errorf("only %d changed order", swapped)
		}
		return within3(t, "overtook", early, n, 0.25)
	})
}

// TestNetemLapses lets a delay's lease run out with nobody there.
func TestNetemLapses(t *testing.T) {
	a, b := netemPair(t)
	tree := a.tree(t)
	const lease = 2 * time.Second
	sent := time.Now()
	f := mustApply(t, network.DelayKind(), "lapse", &network.Delay{Delay: "200ms"}, a.place(t, b), lease)
	began := time.Now()
	if err := a.hears(b.v4, 150*time.Millisecond); err == nil && time.Since(sent) < lease {
		t.Error("it is not delayed")
	}
	stood := lastFailure(t, patient, func() error { return a.hears(b.v4, 50*time.Millisecond) }).Sub(began)
	t.Logf("lease %v, traffic was slow for %v", lease, stood)
	if stood > 2*lease {
		t.Errorf("still slow after %v", stood)
	}
	f.mustRevert(t)
	if after := a.tree(t); after != tree {
		t.Errorf("qdiscs before:\n%s\nafter:\n%s", tree, after)
	}
}

// TestNetemBetween delays what one node sends to another: a round trip, begun by either, is later by one delay.
func TestNetemBetween(t *testing.T) {
	a, b := netemPair(t)
	f := mustApply(t, network.DelayKind(), "between", &network.Delay{Delay: "100ms"}, a.place(t, b), time.Minute)
	for _, c := range []struct {
		from *node
		to   string
	}{{a, "a to b"}, {b, "b to a"}} {
		other := b.v4
		if c.from == b {
			other = a.v4
		}
		byChance(t, func() bool {
			conn, err := c.from.dial(other, patient)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			began := time.Now()
			if err := talk(conn, patient); err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			t.Logf("%s and back took %v, want one delay of 100ms", c.to, took)
			if took < 95*time.Millisecond {
				t.Errorf("%s and back took only %v", c.to, took)
			}
			return took <= 150*time.Millisecond
		})
	}
	f.mustRevert(t)
}

// TestNetemTree compares what was asked for with what the system's own tc reads.
func TestNetemTree(t *testing.T) {
	a, b := netemPair(t)
	a.needTC(t)
	for want, f := range map[string]func() (faults.Kind, faults.Config){
		"delay 80ms  10ms 25%": func() (faults.Kind, faults.Config) {
			return network.DelayKind(), &network.Delay{Delay: "80ms", Jitter: "10ms", Correlation: 25}
		},
		"loss 12.5% 50%": func() (faults.Kind, faults.Config) {
			return network.LossKind(), &network.Loss{Percent: part(12.5), Correlation: 50}
		},
		"duplicate 5%": func() (faults.Kind, faults.Config) {
			return network.DuplicateKind(), &network.Duplicate{Percent: part(5)}
		},
		"corrupt 2%": func() (faults.Kind, faults.Config) {
			return network.CorruptKind(),
				&network.Corrupt{Percent: part(2)}
		},
		"delay 10ms reorder 25%": func() (faults.Kind, faults.Config) { return network.ReorderKind(), &network.Reorder{} },
		"reorder 25% gap 5": func() (faults.Kind, faults.Config) {
			return network.ReorderKind(),
				&network.Reorder{Gap: 5}
		},
		"limit 20000 delay 100ms": func() (faults.Kind, faults.Config) { return network.DelayKind(), &network.Delay{} },
	} {
		k, c := f()
		s := mustApply(t, k, "tc", c, a.place(t, b), time.Minute)
		squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
		if got := squeeze(a.tc(t, "qdisc", "show")); !strings.Contains(got, squeeze(want)) {
			t.Errorf("tc does not show %q: %s", want, got)
		}
		s.mustRevert(t)
	}
}
