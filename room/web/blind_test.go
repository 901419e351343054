package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gameday/alarms"
	"gameday/report"
	"gameday/responders"
	"gameday/room"
	"gameday/room/door"
)

// story has every kind of event in it but the end.
func story() []step {
	at := func(n int) time.Duration { return time.Duration(n) * time.Second }
	steps := []step{{kind: report.RunStarted}, {kind: report.PreflightFound, at: at(1)}, {kind: report.OnCallSeen, at: at(1)}, phase(at(2), report.Baseline),
		second(at(2)), phase(at(3), report.Ramp), second(at(3)), phase(at(4), report.Load)}
	n := 5
	for _, kind := range slices.Sorted(maps.Keys(shapes)) {
		switch kind {
		case report.RunStarted, report.PhaseStarted, report.WindowClosed, report.RunEnded, report.AlarmSeen, report.ResponseSeen:
			continue
		}
		steps = append(steps, step{kind: kind, at: at(n)}, second(at(n)))
		n++
	}
	for _, s := range []alarms.State{alarms.StatePending, alarms.StateFiring, alarms.StateSuppressed, alarms.StateInactive, alarms.StateUnreachable, alarms.StateFiring} {
		steps = append(steps, alarm(at(n), s))
	}
	steps = append(steps, paged(at(n), "QueueGrows"), phase(at(n), report.Recovery))
	for _, k := range responders.Kinds() {
		steps = append(steps, response(at(n), k, "", ""), machine(at(n), k))
	}
	return append(steps, response(at(n), responders.Noted, room.Channel, "looking at the queue"),
		response(at(n), responders.Diagnosed, room.Channel, "the disk is full"), elsewhere(at(n)), attachedBy(at(n), room.Facilitator, nil),
		attachedBy(at(n), room.Responder, &report.Attachment{Name: "what bob saw.png", Path: report.EvidenceFolder + "/" + strings.Repeat("7", 64) + ".png", Size: 5, SHA256: strings.Repeat("7", 64)}),
		signed(at(n), room.Signed("bob", room.Responder), "note", "bob wrote this"), second(at(n+1)))
}

// rig is a room over a record, with somebody of each role in it.
type rig struct {
	*Room
	asker   *fakeAsker
	cookies map[room.Role]string
}

// fakeAsker stands for the run. It says what it is told to, and keeps what it was asked.
type fakeAsker struct {
	said  string
	err   error
	asked []room.Request
}

func (a *fakeAsker) Ask(_ context.Context, r room.Request) (string, error) {
	a.asked = append(a.asked, r)
	return a.said, a.err
}

const run = "20261129-checkout"

func newRig(t fataler, dir string) *rig {
	t.Helper()
	k := &rig{asker: &fakeAsker{}, cookies: map[room.Role]string{}}
	k.Room = New(Config{Run: run, Dir: dir, Asker: k.asker, Door: door.New()})
	k.hub.born = "b"
	k.people.Burst, k.doors.Burst = 1e6, 1e6
	for _, r := range room.Roles() {
		token, err := k.Door.Link(door.Guest{Name: "some " + string(r), Role: r, Run: run}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		cookie, _, err := k.Door.Enter(token, run, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		k.cookies[r] = cookie
	}
	return k
}

// look has the room read the record, and see it at a time of the run.
func (k *rig) look(t fataler, at time.Duration) {
	t.Helper()
	k.hub.read()
	if k.hub.trouble != nil {
		t.Fatal(k.hub.trouble)
	}
	k.hub.publish(began.Add(at), true)
}

// ask asks the room for something as somebody of a role, or as nobody.
func (k *rig) ask(role room.Role, method, path string, form url.Values) *httptest.ResponseRecorder {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, method, "http://localhost"+path, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c, ok := k.cookies[role]; ok {
		r.AddCookie(&http.Cookie{Name: k.cookie(), Value: c})
	}
	w := httptest.NewRecorder()
	if strings.HasPrefix(path, "/stream") {
		cancel() // what there is is sent, and then it ends
	}
	k.ServeHTTP(w, r)
	return w
}

// everything is all that can be asked of a room: whatever it serves, by every method, and what it does not.
func (k *rig) everything() [][2]string {
	values := map[string][]string{"{$}": {""}, "{token}": {"abc"}, "{what}": append(slices.Sorted(maps.Keys(deeds)), "nothing"), "{file}": {strings.Repeat("0", 64)}}
	for _, e := range k.hub.frames[room.Facilitator].view.Told.Evidence {
		if e.File != nil {
			values["{file}"] = append(values["{file}"], path.Base(e.File.Path))
		}
	}
	out := [][2]string{{"GET", "/nothing"}, {"GET", "/stream?size=huge"}}
	for _, size := range report.LiveSizes() {
		for _, more := range []string{"", "&since=b-1", "&wall"} {
			out = append(out, [2]string{"GET", "/stream?size=" + size + more})
		}
	}
	for _, pattern := range k.patterns {
		_, where, ok := strings.Cut(pattern, " ")
		if !ok {
			where = pattern
		}
		paths := []string{where}
		for name, list := range values {
			if strings.Contains(where, name) {
				paths = nil
				for _, v := range list {
					paths = append(paths, strings.ReplaceAll(where, name, v))
				}
			}
		}
		for _, p := range paths {
			for _, method := range []string{"GET", "POST", "PUT"} {
				out = append(out, [2]string{method, p})
			}
		}
	}
	leaving := func(e [2]string) bool { return e[1] == "/out" }
	return append(slices.DeleteFunc(slices.Clone(out), leaving), [2]string{"GET", "/out"}, [2]string{"POST", "/out"}) // whoever has left is nobody
}

// TestEverythingIsAsked: no part of a pattern is asked for as it stands.
func TestEverythingIsAsked(t *testing.T) {
	k := newRig(t, t.TempDir())
	all := k.everything()
	for _, e := range all {
		if strings.ContainsAny(e[1], "{}") {
			t.Errorf("%s is no path", e[1])
		}
	}
	if len(all) < 100 || len(k.patterns) < 10 {
		t.Errorf("only %d things are asked for, of %d patterns", len(all), len(k.patterns))
	}
}

// fetched returns all that a role is told by everything that it can ask.
func (k *rig) fetched(role room.Role) string {
	var b bytes.Buffer
	form := url.Values{"text": {"hm"}, "page": {"2"}, "fault": {"x"}, "mark": {"x"}, "judge": {"right"}, "name": {"x"}, "role": {"observer"}}
	for _, e := range k.everything() {
		for _, err := range []error{nil, errors.New(k.asker.said)} {
			k.asker.err = err
			w := k.ask(role, e[0], e[1], form)
			fmt.Fprintln(&b, w.Code, w.Header())
			_, _ = io.Copy(&b, w.Body)
		}
	}
	return b.String()
}

var blindRoles = []room.Role{room.Responder, room.Observer, "nobody"}

// TestBlindRolesSeeNoHiddenWord fills every field of the plan and of every kind of event with a word of its own, and looks for
// each in all that those who play blind can fetch: and that it is all shown when the run is over.
func TestBlindRolesSeeNoHiddenWord(t *testing.T) {
	dir, f := t.TempDir(), &filler{salt: "a"}
	steps := story()
	write(t, dir, f, steps)
	k := newRig(t, dir)
	k.asker.said = f.word("answer")
	k.look(t, time.Minute)
	for _, role := range blindRoles {
		all := k.fetched(role)
		for _, w := range append(f.words, run) {
			if i := strings.Index(all, w); i >= 0 {
				t.Fatalf("%s is told a word that is hidden: …%q", role, all[max(0, i-200):i+20])
			}
		}
		if role == "nobody" {
			continue
		}
		for _, want := range []string{"PaymentsDown", "QueueGrows", "ann", "bob", "looking at the queue", "the disk is full", "bob wrote this", "what bob saw.png", "under load"} {
			if !strings.Contains(all, want) {
				t.Errorf("%s is not told %q, which everybody may know", role, want)
			}
		}
	}
	if seen := count(k.fetched(room.Facilitator), f.words); seen < 30 {
		t.Errorf("the facilitator is told %d of the words, want far more", seen)
	}
	end := t.TempDir()
	f = &filler{salt: "a"}
	write(t, end, f, append(steps, step{kind: report.RunEnded, at: time.Minute}))
	k = newRig(t, end)
	k.look(t, time.Hour)
	for _, role := range []room.Role{room.Responder, room.Observer} {
		if seen := count(k.fetched(role), f.words); seen < 20 {
			t.Errorf("%s is told %d of the words when all is over, want far more", role, seen)
		}
	}
}

func count(text string, words []string) int {
	n := 0
	for _, w := range words {
		if strings.Contains(text, w) {
			n++
		}
	}
	return n
}

// hidden are kinds of event of which nothing at all may show.
var hidden = []report.EventKind{report.Injecting, report.Injected, report.InjectFailed, report.Lapsed, report.Reverting, report.Reverted, report.Recovered,
	report.PodsReady, report.PreflightFound, report.Noted, report.OnCallSeen, report.ExpectSeen, report.ReadingTaken, report.GeneratorSaid, report.LinkAsked,
	report.AlarmHistory, report.ResponseRecord, report.RulesStudied, report.CapacityStepped, report.WaitSkipped, report.InjectAsked, "of_a_later_version"}

// TestWhatIsHiddenChangesNothing tells stories of any order twice: the second time with all that is hidden different, words, numbers
// and times, and with more of it in between. What those who play blind can fetch is the same to the byte.
func TestWhatIsHiddenChangesNothing(t *testing.T) {
	base := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		var steps []step
		at := time.Duration(0)
		for _, s := range rapid.Permutation(story()).Draw(t, "order")[:rapid.IntRange(1, 60).Draw(t, "events")] {
			at += time.Duration(rapid.IntRange(0, 900).Draw(t, "ms")) * time.Millisecond
			s.at = at
			steps = append(steps, s)
		}
		quiet := time.Duration(rapid.IntRange(0, 10_000).Draw(t, "quiet")) * time.Millisecond
		more := slices.Clone(steps)
		for range rapid.IntRange(0, 20).Draw(t, "more") {
			i := rapid.IntRange(1, len(more)).Draw(t, "where")
			more = slices.Insert(more, i, step{kind: rapid.SampledFrom(hidden).Draw(t, "kind"), at: more[i-1].at + time.Duration(rapid.IntRange(0, 1).Draw(t, "ns"))})
		}
		if rapid.Bool().Draw(t, "last") {
			more = append(more, step{kind: rapid.SampledFrom(hidden).Draw(t, "last kind"), at: at + quiet})
		}
		var told [2]string
		for i, salt := range []string{"a", "bb"} {
			dir, err := os.MkdirTemp(base, "")
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, &filler{salt: salt}, [][]step{steps, more}[i])
			k := newRig(t, dir)
			k.asker.said = salt
			k.look(t, at+quiet)
			for _, role := range blindRoles {
				f, _ := k.hub.look(role)
				if f != nil {
					for _, size := range report.LiveSizes() {
						told[i] += string(k.hub.collect(f, 0, size))
					}
				}
				told[i] += k.ask(role, "GET", "/", nil).Body.String()
			}
		}
		if told[0] != told[1] {
			i := 0
			for i < min(len(told[0]), len(told[1])) && told[0][i] == told[1][i] {
				i++
			}
			t.Fatalf("what is hidden shows:\n…%s\n…%s", told[0][max(0, i-200):min(len(told[0]), i+60)], told[1][max(0, i-200):min(len(told[1]), i+60)])
		}
	})
}
