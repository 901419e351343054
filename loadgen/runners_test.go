package loadgen

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestStreamGoesOnWithoutARunner checks that the stream outlives a runner that dies, that every second from then on says who is missing,
// and that what it owed stays due.
func TestStreamGoesOnWithoutARunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := begin(t, Spec{Rate: 90, RunOn: &RunOn{}}, &paced{}, &paced{dies: 3500 * time.Millisecond}, &paced{})
		<-f.ready
		time.Sleep(10005 * time.Millisecond)
		f.commands <- Command{Stop: true}
		if err := <-f.result; err != nil || !f.dismissed {
			t.Fatalf("error %v, dismissed %t", err, f.dismissed)
		}
		f.inOrder(t)
		for i, w := range f.windows[:10] {
			if w.Due != 90 {
				t.Errorf("second %d: %d were due", i, w.Due)
			}
			if i < 3 {
				if w.Missing != nil || w.Seen() != 1 {
					t.Errorf("second %d: missing are %v", i, w.Missing)
				}
				continue
			}
			if w.Started != 60 || !slices.Equal(w.Missing, []string{"runner-2"}) || w.Of != 3 || w.Seen() < 0.66 || w.Seen() > 0.67 {
				t.Errorf("second %d: %d were begun, missing are %v of %d", i, w.Started, w.Missing, w.Of)
			}
		}
		if len(f.notes) != 1 || !strings.Contains(f.notes[0], "warning: generator runner-2: it was killed. From ") ||
			!strings.Contains(f.notes[0], "1/3 of the traffic") {
			t.Errorf("it says %q", f.notes)
		}
	})
}

// TestStreamEndsWithItsLastRunner checks that a stream nobody sends any more has not ended well.
func TestStreamEndsWithItsLastRunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := begin(t, Spec{Rate: 90, RunOn: &RunOn{}}, &paced{dies: 2 * time.Second}, &paced{dies: 4 * time.Second})
		if err := <-f.result; err == nil || !strings.Contains(err.Error(), "generator runner-2: it was killed") {
			t.Errorf("error %v", err)
		}
		if n := len(f.windows); n < 3 || f.windows[n-1].Missing == nil {
			t.Errorf("windows %+v", f.windows)
		}
	})
}

// TestStreamDoesNotBeginWithoutARunner checks that one that is lost before the stream began keeps it from beginning.
func TestStreamDoesNotBeginWithoutARunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := begin(t, Spec{Rate: 90, RunOn: &RunOn{}}, &paced{prepare: time.Hour}, &paced{refuses: errors.New("it never came")})
		if err := <-f.result; err == nil || !strings.Contains(err.Error(), "generator runner-2: ") || len(f.windows) > 0 {
			t.Errorf("error %v, %d windows", err, len(f.windows))
		}
	})
}

// TestSecondInWhichARunnerIsStopped checks that a second counts as told of in part when a runner was terminated in it and had time to tell what
// it did up to then: the rest of its share was due, and is missing.
func TestSecondInWhichARunnerIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := begin(t, Spec{Rate: 90, RunOn: &RunOn{}}, &paced{}, &paced{dies: 3505 * time.Millisecond, flushes: true, hangs: 900 * time.Millisecond}, &paced{})
		<-f.ready
		time.Sleep(6005 * time.Millisecond)
		f.commands <- Command{Stop: true}
		if err := <-f.result; err != nil {
			t.Fatal(err)
		}
		f.inOrder(t)
		for i, w := range f.windows[:6] {
			if w.Due != 90 {
				t.Errorf("second %d: %d were due", i, w.Due)
			}
			if missing := i >= 3; missing != slices.Equal(w.Missing, []string{"runner-2"}) {
				t.Errorf("second %d: missing are %v", i, w.Missing)
			}
		}
		if w := f.windows[3]; w.Started != 75 {
			t.Errorf("%d were begun in the second in which it was stopped", w.Started)
		}
	})
}

// TestRunnerLostAroundTheStop checks that seconds before the stop of which a runner has not told are not taken for told of when
// that it is dead is heard only after the stop.
func TestRunnerLostAroundTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := begin(t, Spec{Rate: 90, RunOn: &RunOn{}}, &paced{}, &paced{dies: 6500 * time.Millisecond, hangs: 3700 * time.Millisecond}, &paced{})
		<-f.ready
		time.Sleep(10005 * time.Millisecond)
		f.commands <- Command{Stop: true}
		if err := <-f.result; err != nil {
			t.Fatal(err)
		}
		for i, w := range f.windows[:10] {
			if missing := i >= 6; w.Due != 90 || missing != slices.Equal(w.Missing, []string{"runner-2"}) {
				t.Errorf("second %d: %d were due, missing are %v", i, w.Due, w.Missing)
			}
		}
	})
}

// TestRunnerThatLeaves checks that a runner which ends as if it had been told to, and was not, is one that is lost.
func TestRunnerThatLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := begin(t, Spec{Rate: 90, RunOn: &RunOn{}}, &paced{}, &paced{leaves: 3500 * time.Millisecond}, &paced{})
		<-f.ready
		time.Sleep(6005 * time.Millisecond)
		f.commands <- Command{Stop: true}
		if err := <-f.result; err != nil {
			t.Fatal(err)
		}
		for i, w := range f.windows[:6] {
			if missing := i >= 3; w.Due != 90 || missing != slices.Equal(w.Missing, []string{"runner-2"}) {
				t.Errorf("second %d: %d were due, missing are %v", i, w.Due, w.Missing)
			}
		}
		if len(f.notes) != 1 || !strings.Contains(f.notes[0], "generator runner-2: it ended by itself. From ") {
			t.Errorf("it says %q", f.notes)
		}
	})
}
