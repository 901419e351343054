package crier

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"

	"gameday/announce"
	"gameday/announce/deliver"
	"gameday/announce/told"
	"gameday/schedules"
	"gameday/schedules/claims"
)

// chat plays a chat, and keeps what was posted to which path at what time of a simulated clock.
type chat struct {
	*httptest.Server
	mu   sync.Mutex
	now  time.Time
	said []said
	down bool
}

type said struct {
	at   time.Time
	path string
	body string
}

func startChat(t *testing.T) *chat {
	t.Helper()
	c := &chat{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		c.said = append(c.said, said{c.now, r.URL.Path, string(body)})
		fmt.Fprint(w, "ok")
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *chat) clock() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *chat) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// heard returns what was posted to a path before an instant.
func (c *chat) heard(path string, before time.Time) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for _, s := range c.said {
		if s.path == path && s.at.Before(before) {
			fmt.Fprintf(&b, "%s %s\n", s.at.UTC().Format(time.RFC3339), s.body)
		}
	}
	return b.String()
}

// crierTo returns a crier with two channels of a chat: one for everyone, one for facilitators.
func crierTo(t interface {
	Fatal(...any)
}, c *chat, dir string, say func(string)) *Crier {
	box, err := told.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var channels []*announce.Channel
	for _, to := range []announce.Audience{announce.Everyone, announce.Facilitators} {
		channels = append(channels, &announce.Channel{Kind: announce.Slack, Name: string(to), On: announce.Events, To: to, Ahead: announce.DefaultAhead,
			Address: announce.Secret{Env: strings.ToUpper(string(to))}})
	}
	return New(Config{Box: box, Channels: channels, By: "ann", Host: "here", Now: c.clock, Say: say,
		Sender: &deliver.Sender{Getenv: func(name string) string { return c.URL + "/" + strings.ToLower(name) }}})
}

// weekly is a blind schedule full of canaries: once a week, some time from Tuesday to Thursday.
func weekly(t interface{ Fatal(...any) }, moment schedules.Moment) *schedules.Schedule {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	every, err := schedules.ParseEvery("1w", schedules.DefaultAnchor)
	if err != nil {
		t.Fatal(err)
	}
	return &schedules.Schedule{Name: "canary-weekly", Every: every, Zone: zone, Moment: moment,
		Window: &schedules.Window{Days: []time.Weekday{2, 3, 4}, From: 10 * time.Hour, To: 16 * time.Hour},
		Items:  []schedules.Item{{Scenario: "canary-checkout", Length: 45 * time.Minute, Blind: true, Holds: []string{"scenario canary-checkout"}}}}
}

// play goes through a week, looking every hour as a timer or a server does, and returns when the occasion was over, or skipped.
func play(t interface{ Fatal(...any) }, c *chat, cr *Crier, s *schedules.Schedule, seed schedules.Seed, skip bool, from time.Time) (over, moment time.Time) {
	state := schedules.State{Since: map[string]time.Time{s.Name: from}}
	var running *schedules.Start
	for at := from; at.Before(from.AddDate(0, 0, 7)); at = at.Add(time.Hour) {
		if h := at.Hour(); h < 8 || h > 16 { // nobody calls at night
			continue
		}
		c.set(at)
		cr.Coming([]*schedules.Schedule{s}, state, seed, true)
		d := schedules.Decide([]*schedules.Schedule{s}, state, seed, at)
		for _, x := range d.Skip {
			over, moment = at, x.Occasion.Moment
			cr.NotHeld(s, &x.Occasion, x.Why, true)
			state.Settled = append(state.Settled, schedules.Settled{Schedule: s.Name, ID: x.Occasion.ID, Outcome: schedules.Skipped, At: at})
		}
		for _, x := range d.Start {
			moment = x.Occasion.Moment
			outcome := schedules.Begun
			if skip {
				outcome, over = schedules.Skipped, at
				cr.NotHeld(s, &x.Occasion, "an incident is open at canary-payments", false)
			} else {
				cr.Begun(s, &x.Occasion, "")
				running = &x
			}
			state.Settled = append(state.Settled, schedules.Settled{Schedule: s.Name, ID: x.Occasion.ID, Outcome: outcome, At: at, Running: !skip})
		}
		if running != nil && at.Sub(running.Occasion.Moment) >= s.Length() {
			state.Settled[len(state.Settled)-1].Running = false
			cr.Ended(s, &running.Occasion, announce.End{At: at, Results: []announce.Result{{Scenario: "canary-checkout", Judged: true, Verdict: "passed", Low: 90, High: 90, Coverage: 1}}})
			running, over = nil, at
		}
		cr.Flush(context.Background())
	}
	return over, moment
}

// TestMomentStaysHidden plays the same week with two moments. What those hear who are no facilitators, and when, is the same until the first of the two is over; and
// it has no canary in it.
func TestMomentStaysHidden(t *testing.T) {
	monday := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(rt *rapid.T) {
		s := weekly(rt, schedules.AtRandom)
		var heard [2]*chat
		var over, moments [2]time.Time
		for i := range heard {
			heard[i] = startChat(t)
			seed := schedules.Seed(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(rt, "seed"))
			over[i], moments[i] = play(rt, heard[i], crierTo(rt, heard[i], t.TempDir(), nil), s, seed, rapid.Bool().Draw(rt, "skipped"), monday)
			heard[i].Close()
		}
		first := over[0]
		if over[1].Before(first) {
			first = over[1]
		}
		one, two := heard[0].heard("/everyone", first), heard[1].heard("/everyone", first)
		if one != two {
			rt.Fatalf("with the moments %s and %s people hear\n%s\nand\n%s", moments[0], moments[1], one, two)
		}
		if strings.Contains(one, "canary") || !strings.Contains(one, "between 10:00 and 16:00 (Europe/Berlin)") || strings.Count(one, "\n") != 1 {
			rt.Fatalf("people hear %s", one)
		}
		for i := range heard {
			if leads := heard[i].heard("/facilitators", first.Add(time.Minute)); !strings.Contains(leads, moments[i].In(s.Zone).Format("15:04:05")) {
				rt.Fatalf("facilitators hear %s", leads)
			}
		}
	})
}

// TestSkippedIsToldLate tells everyone that a blind game day was skipped when its hours have closed, and no reason.
func TestSkippedIsToldLate(t *testing.T) {
	c := startChat(t)
	s := weekly(t, schedules.AtStart)
	monday := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	play(t, c, crierTo(t, c, t.TempDir(), nil), s, schedules.Seed("0123456789abcdef"), true, monday)
	closes := time.Date(2026, 12, 3, 16, 0, 0, 0, s.Zone)
	before, all := c.heard("/everyone", closes), c.heard("/everyone", closes.AddDate(0, 0, 7))
	if strings.Contains(before, "did not take place") || !strings.Contains(all, "did not take place") || strings.Count(all, "\n") != 2 || strings.Contains(all, "canary") {
		t.Errorf("before its hours close everyone hears\n%s\nand in all\n%s", before, all)
	}
	if leads := c.heard("/facilitators", time.Date(2026, 12, 1, 11, 0, 0, 0, s.Zone)); !strings.Contains(leads, "an incident is open at canary-payments") {
		t.Errorf("facilitators hear at once %s", leads)
	}
}

// TestCollisionTellsNothing skips a game day that is not blind because one holds its scenario that may be. Everyone hears that it was skipped when its hours have
// closed, and never why: that would tell that the other one goes on. Facilitators hear it all at once.
func TestCollisionTellsNothing(t *testing.T) {
	for _, why := range []string{`schedule "payments-blind", 2026-12-01, is in progress and holds scenario payments`,
		`schedule "payments-blind", 2026-12-01, begins first and holds this machine`, "run 20261201-payments of ann is in progress and holds this machine"} {
		c := startChat(t)
		s := weekly(t, schedules.AtStart)
		s.Items[0].Blind = false
		o, _ := s.Next(time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), nil)
		c.set(o.Moment)
		cr := crierTo(t, c, t.TempDir(), nil)
		cr.NotHeld(s, &o, why, false)
		for _, at := range []time.Time{o.Moment, o.Closes().Add(-time.Second), o.Closes()} {
			c.set(at)
			cr.Flush(t.Context())
		}
		before, all := c.heard("/everyone", o.Closes()), c.heard("/everyone", o.Closes().AddDate(0, 0, 1))
		if before != "" || !strings.Contains(all, "Game day canary-weekly is skipped") || strings.Contains(all, "payments") || strings.Contains(all, "holds") {
			t.Errorf("before its hours close everyone hears %q, and in all %q", before, all)
		}
		if leads := c.heard("/facilitators", o.Moment.Add(time.Second)); !strings.Contains(leads, "payments") {
			t.Errorf("facilitators hear at once %s", leads)
		}
	}
}

// TestEndWins tells how a game day ended to whoever has it posted, although what became of it is not kept, and that it did not end to those who have not.
func TestEndWins(t *testing.T) {
	c := startChat(t)
	s := weekly(t, schedules.AtStart)
	s.Items[0].Blind = false
	o, _ := s.Next(time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), nil)
	c.set(o.Moment.Add(time.Hour))
	dir := t.TempDir()
	first := crierTo(t, c, dir, nil)
	first.Channels = first.Channels[:1] // and then it is killed
	first.Ended(s, &o, announce.End{At: c.clock(), Results: []announce.Result{{Scenario: "a", Judged: true, Verdict: "passed"}}})
	next := crierTo(t, c, dir, nil)
	next.Unfinished([]*schedules.Schedule{s}, []claims.Claim{{Schedule: s.Name, Occasion: o.ID, Outcome: schedules.Begun, At: o.Moment, Opens: o.Opens(), Closes: o.Closes()}}, nil)
	next.Flush(t.Context())
	all, leads := c.heard("/everyone", o.Closes()), c.heard("/facilitators", o.Closes())
	if !strings.Contains(all, "passed") || strings.Contains(all, "did not come to its end") || !strings.Contains(leads, "did not come to its end") {
		t.Errorf("everyone hears %q, facilitators hear %q", all, leads)
	}
}

// TestUnfinished tells that whoever had begun a game day died, and names the machine where it was begun. Of a blind one, whose run may go on, everyone hears that when
// its hours have closed.
func TestUnfinished(t *testing.T) {
	for host, where := range map[string]string{"there": "Run `gameday revert` on there:", "": "Run `gameday revert` on the machine on which it was begun:"} {
		for _, in := range []string{"", "the calendar", "the claim"} {
			c := startChat(t)
			s := weekly(t, schedules.AtStart)
			blind := in != ""
			s.Items[0].Blind = in == "the calendar"
			o, _ := s.Next(time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), nil)
			died := claims.Claim{Blind: in == "the claim", Schedule: s.Name, Occasion: o.ID, Outcome: schedules.Begun, At: o.Moment, By: "ann", Host: host, Opens: o.Opens(), Closes: o.Closes()}
			cr := crierTo(t, c, t.TempDir(), nil)
			for _, at := range []time.Time{o.Moment, o.Closes().Add(-time.Second), o.Closes()} {
				c.set(at)
				cr.Unfinished([]*schedules.Schedule{s}, []claims.Claim{died}, nil)
				cr.Flush(t.Context())
			}
			before, all := c.heard("/everyone", o.Closes()), c.heard("/everyone", o.Closes().AddDate(0, 0, 1))
			if (before == "") != blind || !strings.Contains(all, "did not come to its end") || !strings.Contains(all, where) || strings.Count(all, "\n") != 1 {
				t.Errorf("blind %v, begun on %q: before its hours close everyone hears %q, and in all %q", blind, host, before, all)
			}
			if leads := c.heard("/facilitators", o.Moment.Add(time.Second)); !strings.Contains(leads, where) {
				t.Errorf("facilitators hear at once %s", leads)
			}
		}
	}
}

// TestEndIsTold tells everyone how a blind game day ended once it is over.
func TestEndIsTold(t *testing.T) {
	c := startChat(t)
	s := weekly(t, schedules.AtStart)
	monday := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	over, _ := play(t, c, crierTo(t, c, t.TempDir(), nil), s, schedules.Seed("0123456789abcdef"), false, monday)
	all := c.heard("/everyone", monday.AddDate(0, 0, 8))
	if !strings.Contains(all, "canary-checkout: PASSED, 90 of 100, 100 % of it could be judged") || strings.Count(all, "\n") != 2 {
		t.Errorf("everyone hears\n%s", all)
	}
	if early := c.heard("/everyone", over); strings.Contains(early, "PASSED") {
		t.Errorf("before it is over everyone hears\n%s", early)
	}
}

// TestOutage keeps what a chat does not take, says so, and tells it once when the chat is back, in the order in which it was due.
func TestOutage(t *testing.T) {
	c := startChat(t)
	var complaints []string
	s := weekly(t, schedules.AtStart)
	s.Items[0].Blind = false
	cr := crierTo(t, c, t.TempDir(), func(text string) { complaints = append(complaints, text) })
	c.now, c.down = time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC), true
	o, _ := s.Next(c.now.AddDate(0, 0, -1), nil)
	cr.Begun(s, &o, "")
	next := cr.Flush(t.Context())
	cr.Ended(s, &o, announce.End{At: c.now, Results: []announce.Result{{Scenario: "a", Judged: true, Verdict: "passed"}}})
	if len(complaints) != 2 || !strings.Contains(complaints[0], "502 Bad Gateway") || !strings.Contains(complaints[0], "tried again") || !next.Equal(c.now.Add(time.Minute)) {
		t.Errorf("it says %q, and the next is at %s", complaints, next)
	}
	c.set(next)
	c.down = false
	for range 3 {
		cr.Flush(t.Context())
	}
	leads := c.heard("/facilitators", next.Add(time.Hour))
	begun, ended := strings.Index(leads, "has begun"), strings.Index(leads, "passed")
	if strings.Count(leads, "\n") != 2 || begun < 0 || ended < begun {
		t.Errorf("they hear\n%s", leads)
	}
}

// TestCalledAtTheMoment holds that one who is called when the moment has come does not tell everyone that there is a game day today: when that is heard would
// tell the moment. Before the hours have opened it does.
func TestCalledAtTheMoment(t *testing.T) {
	s := weekly(t, schedules.AtRandom)
	monday := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	for _, early := range []bool{false, true} {
		c := startChat(t)
		cr := crierTo(t, c, t.TempDir(), nil)
		o, _ := s.Next(monday, schedules.Seed("0123456789abcdef"))
		if c.set(o.Moment); early {
			c.set(o.Opens().Add(-time.Second))
		}
		cr.Coming([]*schedules.Schedule{s}, schedules.State{}, schedules.Seed("0123456789abcdef"), false)
		cr.Flush(t.Context())
		everyone, leads := c.heard("/everyone", monday.AddDate(0, 0, 8)), c.heard("/facilitators", monday.AddDate(0, 0, 8))
		if (everyone != "") != early || leads == "" {
			t.Errorf("called early %v everyone hears %q, and facilitators %q", early, everyone, leads)
		}
	}
}

// TestSettledIsComing looks for the first time in the hours of a blind game day, before its moment and after it: everyone hears the same.
func TestSettledIsComing(t *testing.T) {
	s := weekly(t, schedules.AtStart)
	o, _ := s.Next(time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), nil)
	heard := func(settled []schedules.Settled, blind bool) (everyone, leads string) {
		c := startChat(t)
		s.Items[0].Blind = blind
		cr := crierTo(t, c, t.TempDir(), nil)
		c.set(o.Opens().Add(time.Hour))
		cr.Coming([]*schedules.Schedule{s}, schedules.State{Settled: settled}, nil, true)
		cr.Flush(t.Context())
		return c.heard("/everyone", o.Closes()), c.heard("/facilitators", o.Closes())
	}
	none, _ := heard(nil, true)
	for _, outcome := range []schedules.Outcome{schedules.Begun, schedules.Skipped} {
		settled := []schedules.Settled{{Schedule: s.Name, ID: o.ID, Outcome: outcome, At: o.Moment}}
		if all, leads := heard(settled, true); all != none || !strings.Contains(all, "Game day on") || leads != "" {
			t.Errorf("of one that is %s everyone hears %q, of one that is not %q; facilitators hear %q", outcome, all, none, leads)
		}
		if all, leads := heard(settled, false); all != "" || leads != "" {
			t.Errorf("of one that is %s and not blind people hear %q and %q", outcome, all, leads)
		}
	}
}

// letGo takes every lock off a folder's messages, as the death of whoever holds them does: copies take their places.
func letGo(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d messages: %v", len(files), err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.Remove(path)
		}
		if err == nil {
			err = os.WriteFile(path, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestEndIsToldByItsTeller has others look again and again while a run by hand ends, and until whoever ran it has told that: it is told once, and nobody says that they
// were killed. If they die after the first of two channels, the other one hears it from whoever comes next.
func TestEndIsToldByItsTeller(t *testing.T) {
	for _, dies := range []bool{false, true} {
		c := startChat(t)
		began := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
		c.set(began)
		dir := t.TempDir()
		teller, other := crierTo(t, c, dir, nil), crierTo(t, c, dir, nil)
		other.Box.Fate = func(string) told.Fate { return told.FateEnded }
		other.Result = func(string) announce.Result {
			return announce.Result{Scenario: "checkout", Judged: true, Verdict: "passed"}
		}
		day := &announce.Day{Scenarios: []string{"checkout"}, Run: "here:/runs/checkout", Zone: time.UTC}
		teller.RunBegun(day, began)
		c.set(began.Add(time.Hour))
		other.Flush(t.Context())
		if heard := c.heard("/everyone", began.Add(2*time.Hour)); strings.Contains(heard, "killed") || strings.Count(heard, "\n") != 1 {
			t.Errorf("while whoever ran it is at its end, everyone hears %q", heard)
		}
		end := announce.End{At: c.clock(), Results: []announce.Result{{Scenario: "checkout", Judged: true, Verdict: "passed"}}}
		if dies {
			teller.Channels = teller.Channels[:1]
			teller.end(day, "", end)
			letGo(t, dir)
		} else {
			teller.RunEnded(day, began, end)
		}
		for range 2 {
			other.Flush(t.Context())
		}
		everyone, leads := c.heard("/everyone", began.Add(2*time.Hour)), c.heard("/facilitators", began.Add(2*time.Hour))
		for path, heard := range map[string]string{"everyone": everyone, "facilitators": leads} {
			if killed := dies && path == "facilitators"; strings.Contains(heard, "was killed") != killed || strings.Count(heard, "passed") == 0 || strings.Count(heard, "\n") != 2 {
				t.Errorf("dies %v: %s hear %q", dies, path, heard)
			}
		}
	}
}

// TestEndedUnseen tells of a run by hand, whose teller was killed, how it ended if it ended after all, and that it did not otherwise.
func TestEndedUnseen(t *testing.T) {
	for fate, want := range map[told.Fate]string{told.FateGoesOn: "", told.FateUnknown: "", told.FateEnded: "checkout: FAILED, 40 of 100", told.FateDied: "did not come to its end"} {
		c := startChat(t)
		c.set(time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC))
		dir := t.TempDir()
		cr := crierTo(t, c, dir, nil)
		cr.Box.Fate = func(string) told.Fate { return fate }
		cr.Result = func(string) announce.Result {
			return announce.Result{Scenario: "checkout", Judged: true, Verdict: "failed", Low: 40, High: 40, Coverage: 1}
		}
		began := c.clock()
		cr.RunBegun(&announce.Day{Scenarios: []string{"checkout"}, Blind: true, Run: "here:/runs/checkout", Zone: time.UTC}, began)
		letGo(t, dir)
		cr.Flush(t.Context())
		if heard := c.heard("/everyone", began.Add(time.Second)); heard != "" {
			t.Errorf("when a blind one begins everyone hears %s", heard)
		}
		c.set(began.Add(time.Hour))
		for range 2 {
			cr.Flush(t.Context())
		}
		heard := c.heard("/everyone", began.Add(2*time.Hour))
		if !strings.Contains(heard, want) || strings.Count(heard, "\n") != min(1, len(want)) {
			t.Errorf("when its fate is %d everyone hears %q, want %q", fate, heard, want)
		}
	}
}
