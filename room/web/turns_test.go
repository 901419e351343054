package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"gameday/report"
	"gameday/room"
)

// begun returns a room of a run that has begun, of which the test tells by itself.
func begun(t *testing.T) *rig {
	t.Helper()
	g := &grow{t: t, dir: t.TempDir()}
	g.plan(small(false))
	g.add(0, report.RunStarted, report.Started{Run: "r1"})
	k := newRig(t, g.dir)
	k.hub.read()
	k.hub.publish(time.Now(), true)
	return k
}

// tells has something happen that all may see.
func (k *rig) tells(kind report.EventKind, data string) {
	k.hub.state.Take(report.Event{At: time.Now(), Kind: kind, Data: []byte(data)})
	k.hub.publish(time.Now(), false)
}

// TestObserversAreToldInTurn: of many who look on few are told in one moment, all before there is something newer, and whoever plays at once.
func TestObserversAreToldInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		g := &grow{t: t, dir: t.TempDir()}
		g.plan(small(false))
		g.add(0, report.RunStarted, report.Started{Run: "r1"})
		k := newRig(t, g.dir)
		k.hub.read()
		k.hub.publish(time.Now(), true)
		const many = 3 * turns
		began := time.Now()
		open := func(cookie string) *clocked {
			v := &clocked{viewer: viewer{header: http.Header{}}, began: began}
			q := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/stream?size=desk", nil)
			q.AddCookie(&http.Cookie{Name: k.cookie(), Value: cookie})
			go k.ServeHTTP(v, q)
			return v
		}
		var observers, players []*clocked
		for i := range many {
			observers = append(observers, open(k.observer(t, i)))
		}
		for _, r := range []room.Role{room.Facilitator, room.Responder} {
			players = append(players, open(k.cookies[r]))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for _, v := range append(players, observers...) {
			v.mu.Lock()
			if len(v.when) != 2 || !strings.HasPrefix(v.when[1], "0s: ") { // after how long to stay away
				t.Errorf("who comes in is told %.60q", v.when)
			}
			v.when = nil
			v.mu.Unlock()
		}
		k.hub.state.Take(report.Event{At: time.Now(), Kind: report.Noted, Data: []byte(`{"text": "the quoll is awake"}`)})
		k.hub.publish(time.Now(), true)
		time.Sleep(lookEvery - time.Millisecond)
		cancel()
		synctest.Wait()
		at := map[string]int{}
		for i, v := range observers {
			if len(v.when) != 1 || !strings.Contains(v.when[0], "quoll") {
				t.Fatalf("observer %d is told %q", i, v.when)
			}
			when, _, _ := strings.Cut(v.when[0], ": ")
			at[when]++
		}
		for when, n := range at {
			if n > 1+many/turns { // who plays has a turn too, and does not wait for it
				t.Errorf("%d of %d are told in one moment, after %s", n, many, when)
			}
		}
		for _, v := range players {
			if len(v.when) != 1 || !strings.HasPrefix(v.when[0], "1s: ") {
				t.Errorf("whoever plays is told %q", v.when)
			}
		}
	})
}

// TestObserversAreToldNowAndThen: while something is new all the time, who only looks on is told of it twice a second, whoever plays each time, and both
// of the last.
func TestObserversAreToldNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		g := &grow{t: t, dir: t.TempDir()}
		g.plan(small(false))
		g.add(0, report.RunStarted, report.Started{Run: "r1"})
		k := newRig(t, g.dir)
		k.hub.read()
		k.hub.publish(time.Now(), true)
		looks, plays := k.view(ctx, room.Observer, ""), k.view(ctx, room.Facilitator, "")
		time.Sleep(time.Second)
		looks.take()
		plays.take()
		const news = 40
		for i := range news {
			k.hub.state.Take(report.Event{At: time.Now(), Kind: report.Noted, Data: fmt.Appendf(nil, `{"text": "quoll %d is awake"}`, i)})
			k.hub.publish(time.Now(), false)
			time.Sleep(lookEvery)
		}
		time.Sleep(time.Second)
		cancel()
		synctest.Wait()
		last := fmt.Sprintf("quoll %d is awake", news-1)
		got, all := looks.take(), plays.take()
		if n := strings.Count(got, "event: now"); n < 18 || n > 22 || !strings.Contains(got, last) {
			t.Errorf("in ten seconds an observer is told %d times; of the last: %v", n, strings.Contains(got, last))
		}
		if n := strings.Count(all, "event: now"); n < news || !strings.Contains(all, last) {
			t.Errorf("of %d times a facilitator is told %d; of the last: %v", news, n, strings.Contains(all, last))
		}
	})
}

// TestAnAudienceTakesNoMore: the more look on, the more seldom each is told, down to once in two seconds when there are as many as may be.
func TestAnAudienceTakesNoMore(t *testing.T) {
	s := streams{people: map[string]int{}}
	last := time.Duration(0)
	for n := 1; n <= mostStreams; n++ {
		if _, done := s.open(fmt.Sprint("observer ", n)); done == nil {
			t.Fatalf("%d streams are too many", n)
		}
		every := s.every()
		if together := float64(n) / every.Seconds(); together > 501 || every < last {
			t.Fatalf("%d are told every %s, which is %.0f times a second together; one fewer every %s", n, every, together, last)
		}
		switch want := map[int]time.Duration{1: observedEvery, 250: observedEvery, 500: time.Second, mostStreams: 2 * time.Second}[n]; want {
		case 0, every:
		default:
			t.Errorf("%d are told every %s, want %s", n, every, want)
		}
		last = every
	}
}

// TestTurnsStayApart: those who all have what there is are told in turns of what comes first, and of everything that follows, also when there is something new
// all the time.
func TestTurnsStayApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		k := begun(t)
		f, _ := k.hub.look(room.Observer)
		const many, news = 3 * turns, 40
		var observers []*clocked
		for i := range many {
			v := &clocked{viewer: viewer{header: http.Header{}}, began: time.Now()}
			q := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/stream?size=desk&since="+k.hub.id(f), nil)
			q.AddCookie(&http.Cookie{Name: k.cookie(), Value: k.observer(t, i)})
			go k.ServeHTTP(v, q)
			observers = append(observers, v)
		}
		time.Sleep(3 * time.Second)
		for i := range news {
			k.tells(report.Noted, fmt.Sprintf(`{"text": "quoll %d is awake"}`, i))
			time.Sleep(lookEvery)
		}
		cancel()
		synctest.Wait()
		at := map[string]int{}
		for i, v := range observers {
			told := 0
			for _, said := range v.when {
				if when, text, _ := strings.Cut(said, ": "); strings.Contains(text, "event: now") {
					at[when]++
					told++
				}
			}
			if told < 18 || told > 22 {
				t.Errorf("in ten seconds observer %d is told %d times", i, told)
			}
		}
		for when, n := range at {
			if n > many/turns {
				t.Errorf("%d of %d are told in one moment, after %s", n, many, when)
			}
		}
	})
}

// TestNextTurn: it is a turn of one's own, not before it may be, and in the round that begins then; also of somebody who was told late.
func TestNextTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := func(what string, most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, what))
		}
		v := view{after: time.Duration(rapid.IntRange(0, turns-1).Draw(t, "turn")) * turnEvery}
		now, told, every := some("now", time.Hour), some("told", time.Hour), some("every", 3*time.Second)
		at := v.next(now, told, every)
		if from := max(now, told+every); at < from || at >= from+round || at%round != v.after {
			t.Fatalf("the turn after %s in each %s is at %s; from %s on it may be", v.after, round, at, from)
		}
	})
}

// TestOverIsToldAtOnce: of as many as may look on each is told once in two seconds, but that the run is over within one round.
func TestOverIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		k := begun(t)
		k.streams.mu.Lock()
		k.streams.all = mostStreams - 1
		k.streams.mu.Unlock()
		v := k.view(ctx, room.Observer, "")
		time.Sleep(3 * time.Second)
		k.tells(report.Noted, `{"text": "the quoll is awake"}`)
		time.Sleep(round)
		synctest.Wait()
		if !strings.Contains(v.take(), "quoll") {
			t.Error("what is new after a while is not told in the round in which it comes")
		}
		k.tells(report.Noted, `{"text": "the wombat is awake"}`)
		time.Sleep(round)
		synctest.Wait()
		if text := v.take(); text != "" {
			t.Errorf("a round after the one in which something was told, %q is", text)
		}
		k.tells(report.RunEnded, `{"reason": "complete"}`)
		time.Sleep(round)
		synctest.Wait()
		if text := v.take(); !strings.Contains(text, "wombat") || !strings.Contains(text, "event: now") {
			t.Errorf("when the run is over, %q is told", text)
		}
		if f, _ := k.hub.look(room.Observer); f.view.Seen.Stage != room.Over {
			t.Errorf("the run is %v", f.view.Seen.Stage)
		}
		k.tells(report.Noted, `{"text": "the possum is awake"}`)
		time.Sleep(round)
		synctest.Wait()
		if !strings.Contains(v.take(), "possum") {
			t.Error("what comes when the run is over is not told within a round")
		}
		cancel()
		synctest.Wait()
	})
}

// TestSentAwayWhileWaiting: who is sent away before their turn comes is not told what they waited for.
func TestSentAwayWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		k := begun(t)
		v := k.view(ctx, room.Observer, "")
		time.Sleep(time.Second)
		k.tells(report.Noted, `{"text": "the quoll is awake"}`)
		time.Sleep(round)
		k.tells(report.Noted, `{"text": "the wombat is awake"}`) // and the turn for it is in half a second
		synctest.Wait()
		if text := v.take(); !strings.Contains(text, "quoll") || strings.Contains(text, "wombat") {
			t.Errorf("somebody is told %q", text)
		}
		if n, err := k.Door.Revoke("some observer", run); n != 2 || err != nil {
			t.Errorf("revoking returned %d, %v; want the link and the session", n, err)
		}
		time.Sleep(2 * observedEvery)
		synctest.Wait()
		if text := v.take(); text != "" {
			t.Errorf("who was sent away is told %q", text)
		}
	})
}
