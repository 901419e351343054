package program

import (
	"testing"
	"time"
)

func TestUserTellsIterationsApart(t *testing.T) {
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	u := new(user)
	if it := u.at(at(0)); !it.began.IsZero() {
		t.Fatalf("before its first iteration a user runs %+v", it)
	}
	for i := range 4 {
		u.begin(&iteration{began: at(100 * i), delay: time.Duration(i)})
	}
	for _, c := range []struct {
		ms   int
		want time.Duration
	}{
		{50, 0}, {99, 0}, {80, 0}, {100, 1}, {150, 1}, {399, 3},
		{50, 3}, // what is passed is forgotten
	} {
		if it := u.at(at(c.ms)); it.delay != c.want {
			t.Errorf("at %d ms iteration %d was under way, want %d", c.ms, it.delay, c.want)
		}
	}
	if len(u.iterations) != 1 {
		t.Errorf("%d iterations are kept, want the last", len(u.iterations))
	}
}

func TestUserThatMakesNoSamplesIsLookedAt(t *testing.T) {
	u, long := new(user), false
	for i := range manyIterations + 1 {
		if long {
			t.Fatalf("the output is told after %d iterations", i)
		}
		long = u.begin(&iteration{began: time.Now()})
	}
	if !long {
		t.Fatal("the output is never told")
	}
	u.at(time.Now())
	if len(u.iterations) != 1 {
		t.Fatalf("%d iterations are kept", len(u.iterations))
	}
}
