package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/announce"
	"gameday/announce/told"
	"gameday/conductor"
	"gameday/rehearsals"
	"gameday/scenarios"
	"gameday/schedules"
	"gameday/schedules/claims"
	"gameday/serve"
)

// chatPosts are the messages that come to a channel, whose address is in CHAT_URL.
func chatPosts(t *testing.T) chan string {
	t.Helper()
	posts := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		posts <- string(body)
		fmt.Fprint(w, "ok")
	}))
	t.Cleanup(server.Close)
	t.Setenv("CHAT_URL", server.URL+"/"+channelToken)
	return posts
}

// TestServedSaysOnce looks again and again, as a server does every minute: what cannot be read is said once, and what has become of occasions is not read from the
// beginning each time.
func TestServedSaysOnce(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GAMEDAY_LEDGER", filepath.Join(dir, "ledger"))
	var said bytes.Buffer
	c := (&app{errw: &said}).newCriers(filepath.Join(dir, "audit.jsonl"))
	c.state = filepath.Join(dir, "state")
	cal := &scenarios.Calendar{Name: "game-days", Notify: []*announce.Channel{{Kind: announce.Slack, Name: "a", On: announce.Events, Address: announce.Secret{Env: "NOT_SET"}}}}
	s := &servedCrier{calendar: cal}
	var first *claims.Reader
	for i := range 3 {
		tells, err := c.due(s, cal)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = s.reader
			if err := os.WriteFile(filepath.Join(announcementsDir(filepath.Join(c.state, cal.Name)), "torn.jsonl"), []byte("{\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		tells.Flush(t.Context())
		if s.reader != first {
			t.Error("it reads from the beginning")
		}
	}
	if n := strings.Count(said.String(), "torn.jsonl has no message"); n != 1 {
		t.Errorf("it says %d times: %s", n, said.String())
	}
}

// TestToldInSpiteOfClaims has a claim that cannot be read, of which nobody knows what is ahead: what was kept before is delivered all the same, by a server and by
// `gameday announce`, which says that it could not look.
func TestToldInSpiteOfClaims(t *testing.T) {
	posts := chatPosts(t)
	dir := t.TempDir()
	t.Setenv("GAMEDAY_LEDGER", filepath.Join(dir, "ledger"))
	channel := &announce.Channel{Kind: announce.Slack, Name: "a", On: announce.Events, Address: announce.Secret{Env: "CHAT_URL"}}
	audited := filepath.Join(dir, "audit.jsonl")
	for name, tell := range map[string]func(*app, *scenarios.Calendar){
		"serve": func(a *app, cal *scenarios.Calendar) {
			c := a.newCriers(audited)
			c.state, c.runs = dir, filepath.Join(dir, "runs")
			c.use(cal)
			defer c.Close()
			select {
			case got := <-posts:
				posts <- got
			case <-time.After(20 * time.Second):
			}
		},
		"announce": func(a *app, cal *scenarios.Calendar) {
			if err := a.announceDue(&announceFlags{state: dir, audit: audited}, cal); err == nil || asCode(err).code != exitUsage {
				t.Errorf("announce: %v", err)
			}
		},
	} {
		var out, said bytes.Buffer
		a := &app{out: &out, errw: &said}
		cal := &scenarios.Calendar{Name: name, File: name + ".hcl", Notify: []*announce.Channel{channel}}
		state := filepath.Join(dir, name)
		box, err := told.Open(announcementsDir(state))
		if err == nil {
			err = os.WriteFile(filepath.Join(state, "weekly@2026-12-01.json"), []byte("{"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		d, _ := channel.Ended(&announce.Day{Schedule: "weekly", Occasion: "x", Scenarios: []string{"a"}}, announce.End{At: time.Now(), Results: []announce.Result{{Scenario: "a", Left: true, Why: "it was killed"}}})
		if _, err := box.Post(d, time.Now()); err != nil {
			t.Fatal(err)
		}
		tell(a, cal)
		select {
		case got := <-posts:
			if !strings.Contains(got, "RESIDUE") {
				t.Errorf("%s: people hear %s", name, got)
			}
		default:
			t.Errorf("%s: nobody hears that something is left standing", name)
		}
		if name == "serve" && !strings.Contains(said.String(), "weekly@2026-12-01.json") || strings.Contains(out.String(), "nothing is to be told") {
			t.Errorf("%s says %s and prints %s", name, said.String(), out.String())
		}
	}
}

// TestAheadInSpiteOfRuns announces what is ahead also while nobody can tell which runs go on.
func TestAheadInSpiteOfRuns(t *testing.T) {
	dir := t.TempDir()
	ledger := filepath.Join(dir, "ledger")
	t.Setenv("GAMEDAY_LEDGER", ledger)
	if err := os.WriteFile(conductor.RegistryDir(ledger), nil, 0o600); err != nil { // no folder
		t.Fatal(err)
	}
	every, err := schedules.ParseEvery("1d", schedules.DefaultAnchor)
	if err != nil {
		t.Fatal(err)
	}
	s := &schedules.Schedule{Name: "daily", Every: every, Zone: noonAt(time.Now()).location(t), Window: &schedules.Window{To: 24 * time.Hour}, Items: []schedules.Item{{Scenario: "a", Length: time.Minute}}}
	cal := &scenarios.Calendar{Name: "days", File: "days.hcl", Schedules: []*schedules.Schedule{s},
		Notify: []*announce.Channel{{Kind: announce.Slack, Name: "a", On: announce.Events, Ahead: announce.DefaultAhead}}}
	c := (&app{errw: io.Discard}).newCriers(filepath.Join(dir, "audit.jsonl"))
	c.state = dir
	tells, err := c.due(&servedCrier{calendar: cal}, cal)
	if err == nil || tells == nil {
		t.Fatalf("%v %v", tells, err)
	}
	posted, err := tells.Box.List()
	if err != nil || len(posted) == 0 || posted[0].Draft.Message.Event != announce.Coming {
		t.Errorf("%+v, %v", posted, err)
	}
}

// TestServedSignOffs has people told what a rehearsal has come to when somebody has signed for it on a page, and those of another calendar told nothing.
func TestServedSignOffs(t *testing.T) {
	posts := chatPosts(t)
	dir := t.TempDir()
	t.Setenv("GAMEDAY_LEDGER", filepath.Join(dir, "ledger"))
	if err := os.Mkdir(filepath.Join(dir, "runs"), 0o700); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	c := (&app{errw: &said}).newCriers(filepath.Join(dir, "audit.jsonl"))
	c.state, c.runs = dir, filepath.Join(dir, "runs")
	for _, name := range []string{"launches", "others"} {
		what := &rehearsals.Rehearsal{Name: "launch", File: name + ".hcl", SignOff: []string{"sre"}, Steps: []rehearsals.Step{{Item: schedules.Item{Scenario: "checkout"}, Fingerprint: "f"}}}
		c.use(&scenarios.Calendar{Name: name, File: what.File, Rehearsals: []*rehearsals.Rehearsal{what},
			Notify: []*announce.Channel{{Kind: announce.Slack, Name: "a", Scope: scenarios.RehearsalScope("launch"), On: announce.Events, Address: announce.Secret{Env: "CHAT_URL"}}}})
	}
	c.signed(&rehearsals.Rehearsal{Name: "launch", File: "launches.hcl"})
	select {
	case got := <-posts:
		if !strings.Contains(got, "Rehearsal launch: NOT YET KNOWN") || !strings.Contains(got, "rehearse launches.hcl launch --show") {
			t.Errorf("people hear %s", got)
		}
	case <-time.After(20 * time.Second):
		t.Error("nobody hears it")
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	last := &servedCrier{calendar: c.all["others.hcl"].calendar, signed: []string{"launch"}}
	tells, err := c.due(last, last.calendar)
	if err != nil {
		t.Fatal(err)
	}
	c.tell(ended, last) // somebody signs, and the server ends
	if kept, err := tells.Box.List(); err != nil || len(kept) != 1 || kept[0].Draft.Message.Event != announce.Rehearsal {
		t.Errorf("of what was signed last is kept %+v, %v", kept, err)
	}
	c.Close()
	if len(posts) > 0 || said.Len() > 0 {
		t.Errorf("then people hear %d more; it says %s", len(posts), said.String())
	}
}

// TestSignOffsOnFullDisk has somebody sign while nothing can be kept: from when the server began, while it cannot be read what was rehearsed, and while the message finds no space.
// When it can, people are told; until then the server says so once, and keeps the name.
func TestSignOffsOnFullDisk(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GAMEDAY_LEDGER", filepath.Join(dir, "ledger"))
	var said bytes.Buffer
	c := (&app{errw: &said}).newCriers(filepath.Join(dir, "audit.jsonl"))
	c.state, c.runs = dir, filepath.Join(dir, "runs")
	what := &rehearsals.Rehearsal{Name: "launch", File: "days.hcl", SignOff: []string{"sre"}, Steps: []rehearsals.Step{{Item: schedules.Item{Scenario: "checkout"}, Fingerprint: "f"}}}
	cal := &scenarios.Calendar{Name: "days", File: what.File, Rehearsals: []*rehearsals.Rehearsal{what},
		Notify: []*announce.Channel{{Kind: announce.Slack, Name: "a", On: announce.Events, Address: announce.Secret{Env: "NOT_SET"}}}}
	s := &servedCrier{calendar: cal, poke: make(chan struct{}, 1)}
	c.all[cal.File] = s
	keeps := func(when string, want bool) {
		t.Helper()
		if got := len(s.signed) == 1 && s.signed[0] == "launch"; got != want {
			t.Errorf("%s: it keeps %q", when, s.signed)
		}
	}
	write := func(path string) {
		t.Helper()
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	away := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	c.signed(what)
	c.signed(&rehearsals.Rehearsal{Name: "removed", File: what.File})
	c.tellSigned(s, cal, nil)
	if len(s.signed) != 2 {
		t.Errorf("without a box it keeps %q", s.signed)
	}
	write(c.runs) // no folder
	tells, err := c.due(s, cal)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c.tellSigned(s, cal, tells)
		keeps("what was rehearsed cannot be read", true)
	}
	if n := strings.Count(said.String(), "nobody is told what rehearsal launch has come to"); n != 1 {
		t.Errorf("it says %d times: %s", n, said.String())
	}
	away(c.runs, c.runs+"-broken")
	if err := os.Mkdir(c.runs, 0o700); err != nil {
		t.Fatal(err)
	}
	box := announcementsDir(filepath.Join(dir, "days"))
	away(box, box+"-away")
	c.tellSigned(s, cal, tells)
	keeps("nothing can be kept", true)
	away(box+"-away", box)
	c.tellSigned(s, cal, tells)
	keeps("it is kept", false)
	if kept, err := tells.Box.List(); err != nil || len(kept) != 1 || kept[0].Draft.Message.Event != announce.Rehearsal {
		t.Errorf("people are to hear %+v, %v", kept, err)
	}
	c.signed(what)
	c.tellSigned(s, &scenarios.Calendar{Name: "days", File: what.File, Rehearsals: cal.Rehearsals}, nil)
	keeps("the calendar tells nobody any more", false)
}

// nobodysDay is a game day of five seconds that sends next to nothing to nobody.
const nobodysDay = `scenario "tiny" {
  timeline {
    baseline = "2s"
    load     = "2s"
    recovery = "1s"
  }
  traffic "nobody" {
    request "get" { url = "http://127.0.0.1:9/" }
    baseline { rate = 1 }
  }
  steady_state {
    expect "is sent" {
      that = sli.rate < 100
      over = "1s"
    }
  }
}
`

// yearlyDays is a calendar of one game day a year, which it tells of. Its zone and anchor are to be filled in.
const yearlyDays = `time_zone = "$NOON_ZONE"
notify "slack" "chat" { url_env = "CHAT_URL" }
schedule "yearly" {
  scenarios = ["tiny.hcl"]
  every     = "12mo"
  anchor    = "$ANCHOR"
  window {
    from = "00:00"
    to   = "24:00"
  }
}
`

// hears waits for the next message, which says what it should.
func hears(t *testing.T, posts <-chan string, want string) {
	t.Helper()
	select {
	case got := <-posts:
		if !strings.Contains(got, want) {
			t.Fatalf("people hear %s, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("nobody hears %q", want)
	}
}

// abandon leaves a claim as the death of its holder does: a copy of its file, which nobody has locked.
func abandon(t *testing.T, dir string, c claims.Claim) {
	t.Helper()
	folder, err := claims.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := folder.Claim(c); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder.Dir(), c.Schedule+"@"+c.Occasion+".json")
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

// TestServedAnnouncements has a server's criers tell what is ahead, and, when they are told to look, what did not come to its end: each once, also after the calendar was
// read again and after the server was started again.
func TestServedAnnouncements(t *testing.T) {
	posts := chatPosts(t)
	dir := t.TempDir()
	t.Setenv("GAMEDAY_LEDGER", filepath.Join(dir, "ledger"))
	n := noonAt(time.Now())
	for name, text := range map[string]string{"tiny.hcl": nobodysDay, "game-days.hcl": n.fill(yearlyDays)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func() *scenarios.Calendar {
		t.Helper()
		cal, f := scenarios.LoadCalendar(filepath.Join(dir, "game-days.hcl"), calendarOptions())
		if cal == nil {
			t.Fatal(f.Diags)
		}
		return cal
	}
	var said bytes.Buffer
	state := filepath.Join(dir, "state")
	fresh := func() *criers {
		c := (&app{errw: &said}).newCriers(filepath.Join(dir, "audit.jsonl"))
		c.state, c.runs = state, filepath.Join(dir, "runs")
		return c
	}
	c := fresh()
	c.use(load())
	hears(t, posts, fmt.Sprintf("Game day on one of %d days", n.days()))
	abandon(t, filepath.Join(state, "game-days"), claims.Claim{Schedule: "yearly", Occasion: n.date(), Outcome: schedules.Begun, At: time.Now(), By: "ann"})
	c.hear(serve.Event{What: serve.Ended, Calendar: &serve.Calendar{Name: "game-days"}})
	c.look("another")
	hears(t, posts, "did not come to its end")
	c.use(load())
	c.Close()
	again := fresh()
	again.use(load())
	again.look("game-days")
	again.Close()
	select {
	case got := <-posts:
		t.Errorf("people hear again %s", got)
	default:
	}
	if said.Len() > 0 {
		t.Errorf("it says %s", said.String())
	}
}
