package clock

import (
	"testing"
	"time"
)

// TestLasted looks at what ticks a moment early or late have seen.
func TestLasted(t *testing.T) {
	for _, c := range []struct {
		seen, wanted time.Duration
		want         bool
	}{
		{0, 0, true}, {0, time.Second, false}, {0, 50 * time.Millisecond, false}, // one tick alone has seen nothing last
		{time.Second, time.Second, true}, {999980 * time.Microsecond, time.Second, true}, {1001 * time.Millisecond, time.Second, true},
		{time.Second, 1500 * time.Millisecond, false}, {899 * time.Millisecond, time.Second, false},
		{4999 * time.Millisecond, 5 * time.Second, true}, {4001 * time.Millisecond, 5 * time.Second, false},
	} {
		if got := Lasted(c.seen, c.wanted); got != c.want {
			t.Errorf("%s seen of %s: %v", c.seen, c.wanted, got)
		}
	}
}
