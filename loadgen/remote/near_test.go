package remote

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
)

// clocks is the near end of a stream whose far end has another clock.
type clocks struct {
	*near
	t       *testing.T
	windows []loadgen.Window
	said    []string
}

func newClocks(t *testing.T) *clocks {
	c := &clocks{t: t}
	c.near = newNear(loadgen.Spec{Stream: "s", Log: func(_, text string) { c.said = append(c.said, text) }},
		func(w loadgen.Window) { c.windows = append(c.windows, w) })
	return c
}

// order returns the next line to the far end.
func (c *clocks) order() (l toFar) {
	c.t.Helper()
	if err := json.Unmarshal(<-c.orders, &l); err != nil {
		c.t.Fatal(err)
	}
	return l
}

// ahead answers as many questions as tell the clock, by one that is so far ahead.
func (c *clocks) ahead(by time.Duration) {
	c.t.Helper()
	for range clockProbes {
		if err := c.ask(); err != nil {
			c.t.Fatal(err)
		}
		p := c.order().Probe
		time.Sleep(10 * time.Millisecond)
		now := time.Now().Add(by).Round(0)
		time.Sleep(10 * time.Millisecond)
		if err := c.hear(toNear{Answer: &answer{Probe: p, Now: now}}); err != nil {
			c.t.Fatal(err)
		}
		for len(c.orders) > 0 {
			<-c.orders
			c.probe = 0
		}
	}
}

// TestOtherClock checks that the first instant is told by the other clock as it is then, and that a second which is told by a clock
// that has drifted since is counted with the one of ours that it fell in.
func TestOtherClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocks(t)
		c.ahead(time.Hour)
		c.ahead(time.Hour + 3*time.Second) // while the stream was being prepared
		at := time.Now().Add(time.Second)
		if err := c.fire(at); err != nil {
			t.Fatal(err)
		}
		theirs := at.Add(time.Hour + 3*time.Second)
		if got := c.order().Order.Begin; !got.Equal(theirs) {
			t.Fatalf("it is told to begin at %s, want %s", got, theirs)
		}
		for i, drift := range []time.Duration{0, 300 * time.Millisecond, 700 * time.Millisecond, 800 * time.Millisecond, 600 * time.Millisecond,
			200 * time.Millisecond} {
			c.ahead(time.Hour + 3*time.Second + drift)
			second := time.Duration(10*i) * time.Second
			w := loadgen.Window{Start: theirs.Add(second).Round(0)}
			if err := c.hear(toNear{Event: &child.Event{Window: &w}}); err != nil {
				t.Fatal(err)
			}
			want := at.Round(0).Add(second)
			if i == 3 || i == 4 { // by more than half a second, and not back at once
				want = want.Add(-time.Second)
			}
			if got := c.windows[i].Start; !got.Equal(want) {
				t.Errorf("a drift of %s: a second counts at %s, want %s", drift, got, want)
			}
			time.Sleep(9 * time.Second)
		}
		if len(c.said) != 1 || !strings.Contains(c.said[0], "come apart by 300ms") {
			t.Errorf("it says %q", c.said)
		}
		w := loadgen.Window{Start: theirs.Add(time.Hour)}
		if err := c.hear(toNear{Event: &child.Event{Window: &w}}); err == nil || len(c.windows) > 6 {
			t.Error("a second of the next hour is taken")
		}
	})
}

// TestHeldUp checks that a near end that cannot pass on what it hears, for a while, neither takes the far end for dead nor leaves it
// without a word.
func TestHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, toThere := io.Pipe()
		fromThere, out := io.Pipe()
		commands, begin := make(chan loadgen.Command, 1), make(chan time.Time, 1)
		n := newNear(loadgen.Spec{Stream: "s", Commands: commands, Begin: begin, Prepared: func() { begin <- time.Now() }},
			func(loadgen.Window) { time.Sleep(30 * time.Second) })
		done := make(chan struct{})
		go n.read(fromThere, done)
		go n.write(toThere, done)
		longest := time.Duration(0)
		var there sync.WaitGroup
		there.Go(func() {
			defer out.Close()
			defer in.Close()
			say := json.NewEncoder(out)
			last := time.Now()
			for lines := bufio.NewScanner(in); lines.Scan(); {
				longest = max(longest, time.Since(last))
				last = time.Now()
				var l toFar
				_ = json.Unmarshal(lines.Bytes(), &l)
				switch {
				case l.Stream != nil:
					_ = say.Encode(toNear{Event: &child.Event{Prepared: true}})
				case l.Probe > 0:
					_ = say.Encode(toNear{Answer: &answer{Probe: l.Probe, Now: time.Now().Round(0)}})
				case l.Order == nil:
				case l.Order.Begin != nil:
					_ = say.Encode(toNear{Event: &child.Event{Window: &loadgen.Window{Start: *l.Order.Begin}}})
					time.AfterFunc(time.Minute, func() { commands <- loadgen.Command{Stop: true} })
				case l.Order.Stop:
					_ = say.Encode(toNear{Event: &child.Event{End: &child.Ending{Reason: child.EndStopped}}})
					return
				}
			}
		})
		if err := n.follow(context.Background(), "test"); err != nil {
			t.Error(err)
		}
		close(done)
		there.Wait()
		if longest > 2*beat {
			t.Errorf("the far end heard nothing for %s", longest)
		}
	})
}

// TestSlowWay checks that a stream may take as long as it takes to get there, as long as it is on its way, and that nobody waits for
// ever.
func TestSlowWay(t *testing.T) {
	for _, chunks := range []int{200, 3} {
		synctest.Test(t, func(t *testing.T) {
			in, toThere := io.Pipe()
			fromThere, out := io.Pipe()
			n := newNear(loadgen.Spec{Files: map[string][]byte{"s.js": make([]byte, 200*chunk*3/4)}}, nil)
			done := make(chan struct{})
			go n.read(fromThere, done)
			go n.write(toThere, done)
			began := time.Now()
			go func() {
				b := make([]byte, chunk)
				for range chunks {
					time.Sleep(2 * time.Second)
					if _, err := io.ReadFull(in, b); err != nil {
						return
					}
				}
			}()
			err := n.follow(context.Background(), "test")
			if err == nil || !strings.Contains(err.Error(), "nothing was heard of it for 1m30s") {
				t.Errorf("error %v", err)
			}
			slack := time.Since(began) - time.Duration(chunks)*2*time.Second - firstWord
			if slack.Abs() > 3*time.Second {
				t.Errorf("of %d chunks: it waited %s after the last one", chunks, firstWord+slack)
			}
			close(done)
			in.Close()
			out.Close()
		})
	}
}
