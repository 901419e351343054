package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gameday/loadgen"
	"gameday/report"
	"gameday/room"
)

// viewer is the other end of a stream, which takes what comes.
type viewer struct {
	mu     sync.Mutex
	header http.Header
	status int
	got    bytes.Buffer
	stuck  chan struct{} // not nil: writes wait for it
}

func (v *viewer) Header() http.Header { return v.header }
func (v *viewer) WriteHeader(n int)   { v.status = n }
func (v *viewer) Flush()              {}
func (v *viewer) Write(b []byte) (int, error) {
	if v.stuck != nil {
		<-v.stuck
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.got.Write(b)
}

// take returns what came since it was last asked.
func (v *viewer) take() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := v.got.String()
	v.got.Reset()
	return out
}

// view opens a stream as somebody of a role, after an event they have seen. It ends with ctx.
func (k *rig) view(ctx context.Context, role room.Role, last string) *viewer {
	v := &viewer{header: http.Header{}}
	k.viewWith(ctx, v, role, last)
	return v
}

func (k *rig) viewWith(ctx context.Context, v *viewer, role room.Role, last string) {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/stream?size=desk", nil)
	r.AddCookie(&http.Cookie{Name: k.cookie(), Value: k.cookies[role]})
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	go k.ServeHTTP(v, r)
}

// parts returns the parts that a stream's text has, and the id of its last event.
func parts(text string) (names []string, id string) {
	for _, e := range strings.Split(text, "\n\n") {
		for line := range strings.Lines(e) {
			line = strings.TrimSuffix(line, "\n")
			if data, ok := strings.CutPrefix(line, "data: {"); ok {
				var p struct{ Part string }
				if json.Unmarshal([]byte("{"+data), &p) == nil {
					names = append(names, p.Part)
				}
			}
			if n, ok := strings.CutPrefix(line, "id: "); ok {
				id = n
			}
		}
	}
	return names, id
}

// grow adds events to a record, as a run writes them.
type grow struct {
	t   *testing.T
	dir string
	seq uint64
}

func (g *grow) add(at time.Duration, kind report.EventKind, data any) {
	g.t.Helper()
	raw, err := json.Marshal(data)
	if err != nil {
		g.t.Fatal(err)
	}
	g.seq++
	line, err := json.Marshal(report.Event{Seq: g.seq, At: time.Now(), T: at, Kind: kind, Data: raw})
	if err != nil {
		g.t.Fatal(err)
	}
	g.write(string(line) + "\n")
}

// windowAt adds the window of the second that is now.
func (g *grow) windowAt(start time.Time) {
	g.t.Helper()
	h := &loadgen.Histogram{}
	h.Record(20 * time.Millisecond)
	g.add(time.Since(start), report.WindowClosed, loadgen.Window{Stream: "shoppers", Start: time.Now().Add(-time.Second), Due: 1, Started: 1, Requests: 1,
		OK: loadgen.Outcome{Count: 1, Response: h}})
}

func (g *grow) write(text string) {
	g.t.Helper()
	f, err := os.OpenFile(filepath.Join(g.dir, report.EventsFile), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		g.t.Fatal(err)
	}
}

func (g *grow) plan(p report.Plan) {
	g.t.Helper()
	raw, err := json.Marshal(p)
	if err == nil {
		err = os.WriteFile(filepath.Join(g.dir, report.PlanFile), raw, 0o600)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

func small(blind bool) report.Plan {
	return report.Plan{Scenario: "checkout", Blind: blind, Phases: []report.PhasePlan{{Phase: report.Load, Length: 3 * time.Minute}},
		Faults: []report.FaultPlan{{Name: "cut", Kind: "network_partition", At: time.Minute, Duration: time.Minute, Reversible: true}}}
}

func cut(kind string) report.Injection {
	return report.Injection{ID: "i-" + kind, Fault: "cut", Kind: "network_partition", Place: "payments"}
}

// TestStreamGoesOnWhereItBroke follows a record that grows, loses the stream, and comes back with the id of the last event: it gets
// what changed meanwhile, each part as it is now and no other.
func TestStreamGoesOnWhereItBroke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		g := &grow{t: t, dir: t.TempDir()}
		k := newRig(t, g.dir)
		go k.Follow(ctx)
		v := k.view(ctx, room.Facilitator, "")
		synctest.Wait()
		if first, _ := parts(v.take()); len(first) != len(partsOf())-2 { // of the pictures there is one
			t.Errorf("before there is a record the page gets %v", first)
		}
		g.plan(small(true))
		start := time.Now()
		g.add(0, report.RunStarted, report.Started{Run: "r1"})
		g.add(0, report.PhaseStarted, report.PhaseChange{Phase: report.Load})
		time.Sleep(time.Second)
		synctest.Wait()
		if text := v.take(); !strings.Contains(text, "load") || !strings.Contains(text, `next: cut in`) {
			t.Errorf("the run's begin is told as %s", text)
		}
		short, leave := context.WithCancel(ctx)
		v2 := k.view(short, room.Facilitator, "")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		_, id := parts(v2.take())
		leave()
		synctest.Wait()
		g.add(time.Since(start), report.Injected, cut("1"))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		v3 := k.view(ctx, room.Facilitator, id)
		synctest.Wait()
		names, id3 := parts(v3.take())
		has := fmt.Sprint(names)
		for _, want := range []string{"clock", "faults", "inject", "log"} {
			if !strings.Contains(has, want) {
				t.Errorf("who comes back with %s is told of %v, want %s too", id, names, want)
			}
		}
		for _, same := range []string{"people", "said", "diagnosis", "pages"} {
			if strings.Contains(has, same) {
				t.Errorf("who comes back with %s is told of %v, and %s is as it was", id, names, same)
			}
		}
		v4 := k.view(ctx, room.Facilitator, "of-another-room")
		synctest.Wait()
		if all, id4 := parts(v4.take()); len(all) != len(partsOf())-2 || id4 != id3 {
			t.Errorf("who comes with an id of another room gets %v and %s, want all and %s", all, id4, id3)
		}
		v5 := k.view(ctx, room.Facilitator, id3)
		synctest.Wait()
		if none, _ := parts(v5.take()); len(none) != 0 {
			t.Errorf("who has seen everything is told of %v", none)
		}
		cancel()
		synctest.Wait()
	})
}

// TestHiddenEventsMakeNoFrame: that something happened which is hidden does not show in when, or how often, blind roles are told
// something, nor in the ids of what they are told.
func TestHiddenEventsMakeNoFrame(t *testing.T) {
	g := &grow{t: t, dir: t.TempDir()}
	k := newRig(t, g.dir)
	g.plan(small(true))
	g.add(0, report.RunStarted, report.Started{Run: "r1"})
	k.hub.read()
	at := k.hub.state.View(room.Facilitator, time.Now()).Start.Add(10 * time.Second)
	k.hub.publish(at, true)
	before := k.hub.frames
	for n, e := range []report.EventKind{report.Injecting, report.Injected, report.Reverting, report.Reverted, report.Recovered} {
		g.add(time.Duration(n)*time.Millisecond, e, cut("1"))
	}
	g.add(time.Second, report.Noted, report.Note{Text: "the disk of payments"})
	k.hub.read()
	k.hub.publish(at.Add(300*time.Millisecond), true)
	if k.hub.frames[room.Facilitator] == before[room.Facilitator] {
		t.Error("the facilitator is not told of what happened")
	}
	for _, r := range []room.Role{room.Responder, room.Observer} {
		if k.hub.frames[r] != before[r] {
			t.Errorf("the %s is told that something happened", r)
		}
	}
}

// clocked is a viewer that keeps when it was told what.
type clocked struct {
	viewer
	began time.Time
	when  []string
}

func (c *clocked) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.when = append(c.when, fmt.Sprintf("%s: %s", time.Since(c.began), b))
	return len(b), nil
}

// TestTimingTellsNothing: what blind roles are told, and when, is the same whether hidden things happen or not.
func TestTimingTellsNothing(t *testing.T) {
	var told [2]map[room.Role][]string
	for i := range told {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			g := &grow{t: t, dir: t.TempDir()}
			g.plan(small(true))
			k := newRig(t, g.dir)
			start := time.Now()
			g.add(0, report.RunStarted, report.Started{Run: "r1"})
			g.add(0, report.PhaseStarted, report.PhaseChange{Phase: report.Load})
			go k.Follow(ctx)
			synctest.Wait()
			viewers := map[room.Role]*clocked{}
			for _, r := range room.Roles() {
				v := &clocked{viewer: viewer{header: http.Header{}}, began: start}
				viewers[r] = v
				q := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/stream?size=phone", nil)
				q.AddCookie(&http.Cookie{Name: k.cookie(), Value: k.cookies[r]})
				go k.ServeHTTP(v, q)
				synctest.Wait() // so that each has the same turn in both
			}
			time.Sleep(100 * time.Millisecond)
			for n := range 20 {
				time.Sleep(310 * time.Millisecond)
				if n < 12 { // then the traffic breaks off
					g.windowAt(start)
				}
				for j, e := range []report.EventKind{report.Injecting, report.Injected, report.Reverted} {
					time.Sleep(130 * time.Millisecond)
					if i == 1 {
						g.add(time.Since(start), e, cut(fmt.Sprint(n, j)))
					}
				}
				time.Sleep(300 * time.Millisecond)
			}
			cancel()
			synctest.Wait()
			told[i] = map[room.Role][]string{}
			for r, v := range viewers {
				told[i][r] = v.when
			}
		})
	}
	for _, r := range room.Roles() {
		same := strings.Join(told[0][r], "") == strings.Join(told[1][r], "")
		if same == (r == room.Facilitator) || len(told[0][r]) < 15 {
			t.Errorf("with and without hidden events the %s is told the same: %v, of %d", r, same, len(told[0][r]))
		}
	}
}

// TestMissedIsShared: what is made for one who has missed some frames is sent to all who have, and is made anew for those who have missed many.
func TestMissedIsShared(t *testing.T) {
	g := &grow{t: t, dir: t.TempDir()}
	g.plan(small(false))
	g.add(0, report.RunStarted, report.Started{Run: "r1"})
	k := newRig(t, g.dir)
	k.hub.read()
	for i := range fewFrames + 2 {
		k.hub.state.Take(report.Event{At: time.Now(), Kind: report.Noted, Data: fmt.Appendf(nil, `{"text": "quoll %d is awake"}`, i)})
		k.hub.publish(time.Now(), false)
	}
	f, _ := k.hub.look(room.Observer)
	for missed, shared := range map[uint64]bool{1: true, 2: true, fewFrames: true, fewFrames + 1: false} {
		one, two := k.hub.since(f, f.number-missed, "desk"), k.hub.since(f, f.number-missed, "desk")
		if !bytes.Equal(one, two) || !bytes.Equal(one, k.hub.collect(f, f.number-missed, "desk")) || (&one[0] == &two[0]) != shared {
			t.Errorf("after %d frames that were missed it is shared: %v", missed, &one[0] == &two[0])
		}
	}
	if desk, phone := k.hub.since(f, f.number-2, "desk"), k.hub.since(f, f.number-2, "phone"); &desk[0] == &phone[0] {
		t.Error("two sizes are sent the same")
	}
}

// TestStreamEnds: a stream ends when its guest is sent away, and one that nobody reads holds up no other.
func TestStreamEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		g := &grow{t: t, dir: t.TempDir()}
		g.plan(small(false))
		g.add(0, report.RunStarted, report.Started{Run: "r1"})
		k := newRig(t, g.dir)
		go k.Follow(ctx)
		slow := &viewer{header: http.Header{}, stuck: make(chan struct{})}
		k.viewWith(ctx, slow, room.Observer, "")
		v := k.view(ctx, room.Responder, "")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if text := v.take(); !strings.Contains(text, "0:04") {
			t.Errorf("beside a stream that is stuck, one is told %d bytes", len(text))
		}
		close(slow.stuck)
		synctest.Wait()
		if text := slow.take(); strings.Count(text, "event: now") > 2 {
			t.Errorf("who was stuck is told of every second that has passed")
		}
		if n, err := k.Door.Revoke("some responder", run); n != 2 || err != nil {
			t.Errorf("revoking returned %d, %v; want the link and the session", n, err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		v.take()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if text := v.take(); text != "" {
			t.Errorf("who was sent away is told %q", text)
		}
		k.streams.mu.Lock()
		defer k.streams.mu.Unlock()
		if k.streams.all != 1 || len(k.streams.people) != 1 {
			t.Errorf("%d streams of %d people are open, want the observer's", k.streams.all, len(k.streams.people))
		}
	})
}

// TestWhoIsHere: facilitators see who has the room open, so that a link that somebody else used shows; and nobody else does.
func TestWhoIsHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		k := newRig(t, t.TempDir())
		go k.Follow(ctx)
		looks, leave := context.WithCancel(ctx)
		k.view(looks, room.Responder, "")
		k.view(looks, room.Responder, "")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		shown := func(r room.Role) string {
			f, _ := k.hub.look(r)
			return string(f.html("guests"))
		}
		if text := shown(room.Facilitator); !strings.Contains(text, "open with: some responder (responder).") {
			t.Errorf("the facilitator is told %s", text)
		}
		if text := shown(room.Responder) + shown(room.Observer); strings.Contains(text, "some responder") {
			t.Errorf("others are told %s", text)
		}
		leave()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if text := shown(room.Facilitator); !strings.Contains(text, "Nobody has the room open") {
			t.Errorf("when they have left the facilitator is told %s", text)
		}
		cancel()
		synctest.Wait()
	})
}

// TestStreamsAreBounded: nobody opens more streams than they may.
func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		k := newRig(t, t.TempDir())
		for range personLimit {
			k.view(ctx, room.Observer, "")
		}
		synctest.Wait()
		over := k.view(ctx, room.Observer, "")
		synctest.Wait()
		if over.status != http.StatusTooManyRequests || over.header.Get("Retry-After") == "" {
			t.Errorf("one stream too many is answered %d, %v", over.status, over.header)
		}
		cancel()
		synctest.Wait()
		again, stop := context.WithCancel(t.Context())
		defer stop()
		if v := k.view(again, room.Observer, ""); v.status != 0 {
			t.Errorf("after the others are closed a stream is answered %d", v.status)
		}
		synctest.Wait()
	})
}

// TestSilenceAndTrouble: no data never looks like nothing happened.
func TestSilenceAndTrouble(t *testing.T) {
	g := &grow{t: t, dir: t.TempDir()}
	k := newRig(t, g.dir)
	g.plan(small(true))
	g.add(0, report.RunStarted, report.Started{Run: "r1"})
	k.hub.read()
	k.hub.publish(time.Now().Add(10*time.Second), true)
	for _, r := range room.Roles() {
		if text := string(k.hub.frames[r].html("banner")); !strings.Contains(text, "Nothing was heard of the run") {
			t.Errorf("the %s is told %q of a run that says nothing", r, text)
		}
	}
	g.write("{\"seq\":9,\"at\":\"2026-11-29T10:00:00Z\",\"t\":1,\"kind\":\"note\",\"data\":{\"text\":\"lost\"}}\n")
	k.hub.read()
	k.hub.publish(time.Now(), true)
	for _, r := range room.Roles() {
		text := string(k.hub.frames[r].html("banner"))
		if !strings.Contains(text, "cannot read the game day&#39;s record") {
			t.Errorf("the %s is told %q of a record that is damaged", r, text)
		}
		if told := strings.Contains(text, "record.jsonl:2"); told != (r == room.Facilitator) {
			t.Errorf("the %s is told %q", r, text)
		}
	}
}

// TestDamagedPlan: a plan that is being written is waited for, and one that stays as it is is told of.
func TestDamagedPlan(t *testing.T) {
	dir := t.TempDir()
	k := newRig(t, dir)
	path := filepath.Join(dir, report.PlanFile)
	if err := os.WriteFile(path, []byte(`{"scenario": "che`), 0o600); err != nil {
		t.Fatal(err)
	}
	for range looksUnread - 1 {
		k.hub.read()
	}
	if k.hub.trouble != nil {
		t.Errorf("half a plan is %v at once", k.hub.trouble)
	}
	k.hub.read()
	k.hub.publish(time.Now(), true)
	for _, r := range room.Roles() {
		text := string(k.hub.frames[r].html("banner"))
		if !strings.Contains(text, "Trouble") || strings.Contains(text, path) != (r == room.Facilitator) {
			t.Errorf("the %s is told %q of half a plan", r, text)
		}
	}
}
