package slack

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/clock"
	"gameday/internal/callrig"
	"gameday/report"
	"gameday/responders"
	"gameday/sources/web"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// newClient makes a client.
var newClient = web.New

// evening is a channel in which an alarm is posted, and a room that is opened because of it.
func evening(began time.Time) *fake {
	at := func(sec float64) time.Time { return began.Add(time.Duration(sec * float64(time.Second))) }
	f := &fake{channels: []channel{{ID: "C1", Name: "oncall", Created: 1, Member: true}, {ID: "C2", Name: "random", Created: 1},
		{ID: "C0", Name: "inc-6", Created: 1000, Creator: "UEVE", Member: true},
		{ID: "C3", Name: "inc-7", Created: at(60).Add(ahead).Unix(), Creator: "UANN", Member: true}},
		members: map[string][]string{"C3": {"UANN", "UBOB", "UCY", "UAPP"}}, bots: []string{"UAPP"}}
	f.say("C1", at(-3600), `{"ts":"TS","bot_id":"BALERT","text":"[FIRING:1] Old"}`)
	f.say("C1", at(30), `{"ts":"TS","bot_id":"BALERT","text":"","attachments":[{"title":"[FIRING:1] PaymentsDown (page)","text":"see the bridge"}],"reply_count":2,"latest_reply":%q}`, theirs(at(100)))
	f.say("C1", at(35), `{"ts":"TS","bot_id":"BOTHER","text":"[FIRING:1] PaymentsDown"}`)
	f.say("C1", at(40), `{"ts":"TS","user":"UDAN","text":"who has it?"}`)
	f.say("C1", at(90), `{"ts":"TS","bot_id":"BALERT","text":"[FIRING:1] PaymentsDown"}`)
	f.say("C1", at(95), `{"ts":"TS","subtype":"channel_novelty","user":"UDAN","text":"has set up a bridge"}`)
	f.say("C1", at(200), `{"ts":"TS","bot_id":"BALERT","text":"[RESOLVED] PaymentsDown"}`)
	f.say("C1", at(201), `{"ts":"TS","bot_id":"BALERT","text":"[RESOLVED] Elsewhere"}`)
	thread := "C1/" + theirs(at(30))
	f.say(thread, at(30), `{"ts":"TS","bot_id":"BALERT","text":"[FIRING:1] PaymentsDown"}`)
	f.say(thread, at(50), `{"ts":"TS","thread_ts":%q,"user":"UANN","text":"mine, ask ann@shop.example"}`, theirs(at(30)))
	f.say(thread, at(100), `{"ts":"TS","thread_ts":%q,"user":"UROBOT","text":"status page updated"}`, theirs(at(30)))
	f.say("C3", at(61), `{"ts":"TS","subtype":"channel_join","user":"UBOB","text":"<@UBOB> has joined"}`)
	f.say("C3", at(62), `{"ts":"TS","subtype":"channel_join","user":"UAPP","text":"<@UAPP> has joined"}`)
	f.say("C3", at(70), `{"ts":"TS","user":"UBOB","text":"join https://x.zoom.us/j/1?pwd=abcdefgh","edited":{"user":"UBOB","ts":%q}}`, theirs(at(110)))
	f.say("C3", at(80), `{"ts":"TS","subtype":"tombstone","user":"USLACKBOT","text":"This message was deleted."}`)
	f.pins = fmt.Sprintf(`{"type":"message","created":%d,"created_by":"UBOB","message":{"ts":"1.000000"}}`, at(120).Add(ahead).Unix())
	return f
}

// show writes an event on one line, with its time in seconds from an instant, as the middle and what it may be off.
func show(e responders.Event, began time.Time) string {
	l := e.At.Sub(clock.At(began))
	page := e.Labels["alertname"]
	if e.Page != "" {
		page = "page " + page
	}
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %s %s %q %s", l, e.Team, e.Kind, page, e.Actor.Kind, e.Actor.ID, e.Text, e.Grade)), " ")
}

func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := evening(began)
		s, server := asked(t, f, func(c *Config) { c.KeepText = true })
		time.Sleep(400 * time.Second)
		// Busy, broken once, and then well.
		server.Next(callrig.Busy(5*time.Second), callrig.Status(http.StatusInternalServerError))
		span := clock.Span{Start: began, End: began.Add(300 * time.Second)}
		events, c, err := s.History(t.Context(), span)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range events {
			got = append(got, show(e, began))
			if e.Source != "slack.ops" || e.Channel != "chat" || e.ID == "" {
				t.Errorf("%+v", e)
			}
		}
		golden(t, "history", strings.Join(got, "\n")+"\n")
		if clock.Share(c.Spans, span) != 1 || len(c.Why) != 0 || c.Offset.Ahead.Round(time.Second) != ahead {
			t.Errorf("%+v", c)
		}
		if asked := strings.Join(server.Asked(), "\n"); strings.Contains(asked, "channel=C0") || strings.Contains(asked, "channel=C2") {
			t.Errorf("what is not to be read was:\n%s", asked)
		}
		// Without keep_text nothing of what was written is in the account.
		s, _ = asked(t, f)
		events, _, _ = s.History(t.Context(), span)
		for _, e := range events {
			if strings.Contains(e.Text, "who has it") || strings.Contains(e.Text, "zoom") {
				t.Errorf("%+v", e)
			}
		}
	})
}

// TestBadAnswers is an error, never an account without what could not be read.
func TestBadAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		time.Sleep(400 * time.Second)
		span := clock.Span{Start: began, End: began.Add(300 * time.Second)}
		no := func(f *fake) {}
		for name, c := range map[string]struct {
			change func(*fake)
			at     int // the answer that goes wrong
			how    callrig.Mishap
			says   string
		}{
			"no answer":     {no, 1, callrig.Gone, "connection refused"},
			"half of it":    {no, 4, callrig.Cut, "not whole"},
			"half, page 2":  {no, 5, callrig.Cut, "not whole"},
			"busy for long": {no, 4, callrig.Busy(2 * time.Minute), "requests_per_minute"},
			"missing scope": {func(f *fake) { f.lacks = "groups:history" }, 0, nil, "lacks the scope groups:history"},
		} {
			f := evening(began)
			c.change(f)
			s, server := asked(t, f)
			for range c.at {
				server.Next(nil)
			}
			server.Next(c.how)
			events, coverage, err := s.History(t.Context(), span)
			if err == nil || !strings.Contains(err.Error(), c.says) || len(events) > 0 || len(coverage.Spans) > 0 || strings.Contains(err.Error(), "xoxb") {
				t.Errorf("%s: %v; %d events, covered %v", name, err, len(events), coverage.Spans)
			}
		}
		for body, says := range map[string]string{
			`{"ok":true,"messages":[],"has_more":true,"response_metadata":{"next_cursor":""}}`:     "does not say where",
			`{"ok":true,"messages":[],"has_more":true,"response_metadata":{"next_cursor":"same"}}`: "go round",
			`{"ok":true}`: "no list",
			`{"ok":true,"messages":[{"ts":"soon","text":"x"}]}`: "no time",
			`{"ok":true,"messages":{}}`:                         "not as expected",
			`{"ok":false,"error":"fatal_error"}`:                "fatal_error",
			`<html>`:                                            "not whole",
		} {
			f := evening(began)
			s, server := asked(t, f)
			server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "conversations.history") {
					fmt.Fprint(w, body)
					return
				}
				f.ServeHTTP(w, r)
			})
			if _, _, err := s.History(t.Context(), span); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v", body, err)
			}
		}
	})
}

// TestRoomThatCannotBeRead is a gap from when it was made, with what to do about it.
func TestRoomThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := evening(began)
		f.channels[3].Member = false
		s, _ := asked(t, f)
		time.Sleep(400 * time.Second)
		span := clock.Span{Start: began, End: began.Add(300 * time.Second)}
		events, c, err := s.History(t.Context(), span)
		opened := slices.IndexFunc(events, func(e responders.Event) bool { return e.Kind == responders.RoomOpened })
		if err != nil || opened < 0 || events[opened].Grade != "A" {
			t.Fatalf("%+v, %v", events, err)
		}
		if got := clock.Share(c.Spans, span) * 300; got < 58 || got > 60 || !strings.Contains(strings.Join(c.Why, "\n"), "/invite") {
			t.Errorf("covered %v s, %q", got, c.Why)
		}
	})
}

// TestReactions have no time of their own: they happened between two looks, or since the message where nobody looked.
func TestReactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		at := func(sec int) time.Time { return began.Add(time.Duration(sec) * time.Second) }
		post := func(f *fake, from, to int, reactions string) {
			m := f.say("C1", at(30), `{"ts":"TS","bot_id":"BALERT","text":"[FIRING:1] PaymentsDown"%s}`, reactions)
			m.told, m.gone = at(from), at(to)
		}
		f := &fake{channels: []channel{{ID: "C1", Name: "oncall", Member: true}}, short: true}
		post(f, 30, 72, "")
		post(f, 72, 200, `,"reactions":[{"name":"eyes::skin-tone-2","users":["UANN","UBOB"],"count":2},{"name":"wave","users":["UCY"],"count":1}]`)
		post(f, 200, 220, `,"reactions":[{"name":"eyes","users":["UBOB"],"count":1}]`)
		post(f, 220, 9999, `,"reactions":[{"name":"eyes","users":["UBOB","UANN"],"count":2}]`) // after all
		s, _ := asked(t, f)
		ctx, cancel := context.WithCancel(t.Context())
		var seen []string
		go s.Watch(ctx, func(e responders.Event) { seen = append(seen, show(e, began)) })
		time.Sleep(300 * time.Second)
		cancel()
		synctest.Wait()
		span := clock.Span{Start: began, End: at(240)}
		want := []string{"29.5s ± 0.5 #oncall opened page PaymentsDown integration BALERT \"\" B",
			"67.5s ± 7.5 #oncall acknowledged page PaymentsDown human UANN \":eyes:\" C", "67.5s ± 7.5 #oncall acknowledged page PaymentsDown human UBOB \":eyes:\" C",
			"202.5s ± 7.5 #oncall unacknowledged page PaymentsDown human UANN \":eyes: was taken back\" C",
			"217.5s ± 7.5 #oncall acknowledged page PaymentsDown human UANN \":eyes:\" C"}
		shown := func(s *Source) (out []string) {
			events, _, err := s.History(t.Context(), span)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				out = append(out, show(e, began))
			}
			return out
		}
		if got := shown(s); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if !slices.Equal(seen, want) {
			t.Errorf("live: %q", seen)
		}
		s, _ = asked(t, f) // nobody looked
		f.messages["C1"][3].json = strings.ReplaceAll(f.messages["C1"][3].json, `"UBOB","UANN"`, `"UBOB"`)
		want = []string{"29.6s ± 0.5 #oncall opened page PaymentsDown integration BALERT \"\" B", "164.6s ± 135.5 #oncall acknowledged page PaymentsDown human UBOB \":eyes:\" C"}
		if got := shown(s); !slices.Equal(got, want) {
			t.Errorf("afterwards: %q, want %q", got, want)
		}
	})
}

// TestDeleted tells of a message that was seen, with less weight, although Slack does not any more; and of one that came late.
func TestDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := &fake{channels: []channel{{ID: "C1", Name: "oncall", Member: true}}}
		f.say("C1", began.Add(20*time.Second), `{"ts":"TS","user":"UANN","text":"bridge is up"}`).gone = began.Add(100 * time.Second)
		f.say("C1", began.Add(40*time.Second), `{"ts":"TS","user":"UBOB","text":"late"}`).told = began.Add(70 * time.Second)
		s, _ := asked(t, f)
		ctx, cancel := context.WithCancel(t.Context())
		var seen []string
		go s.Watch(ctx, func(e responders.Event) { seen = append(seen, e.ID+" "+string(e.Kind)) })
		time.Sleep(200 * time.Second)
		cancel()
		synctest.Wait()
		if len(seen) != 4 || !slices.Contains(seen, "C1:"+theirs(began.Add(40*time.Second))+" noted") {
			t.Errorf("live: %q", seen)
		}
		events, _, err := s.History(t.Context(), clock.Span{Start: began, End: began.Add(130 * time.Second)})
		if err != nil || len(events) != 4 {
			t.Fatalf("%+v, %v", events, err)
		}
		for _, e := range events[:3] {
			if e.Grade != "D" || !strings.HasSuffix(e.Text, "(deleted afterwards)") {
				t.Errorf("%+v", e)
			}
		}
	})
}

func TestPreflight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			fake   func(*fake)
			config func(*Config)
			says   string
			blocks bool
		}{
			"all well":          {func(*fake) {}, func(*Config) {}, "", false},
			"no channel":        {func(*fake) {}, func(c *Config) { c.Channels = []string{"oncal"} }, "has no channel oncal", true},
			"not invited":       {func(f *fake) { f.channels[0].Member = false }, func(*Config) {}, "/invite", true},
			"scopes":            {func(f *fake) { f.scopes = "channels:read,users:read,pins:read" }, func(*Config) {}, "channels:history, groups:read, groups:history, reactions:read", true},
			"no list of scopes": {func(f *fake) { f.scopes, f.lacks = " ", "channels:history" }, func(*Config) {}, "lacks", true},
			"token":             {func(*fake) {}, func(c *Config) { c.Token = "wrong" }, "invalid_auth", true},
		} {
			f := evening(time.Now())
			c.fake(f)
			s, server := asked(t, f, c.config)
			server.Ahead = 0
			found, err := s.Preflight(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			text := fmt.Sprintf("%+v", found)
			if (c.says == "") != (len(found) == 0) || !strings.Contains(text, c.says) || len(found) > 0 && found[0].Blocks != c.blocks || strings.Contains(text, "secret-token") {
				t.Errorf("%s: %s", name, text)
			}
		}
		s, server := asked(t, evening(time.Now()))
		if found, err := s.Preflight(t.Context()); err != nil || len(found) != 1 || !found[0].Blocks || !strings.Contains(found[0].Summary, "1m30s off") {
			t.Errorf("a clock that is 90 s ahead: %+v, %v", found, err)
		}
		server.Next(callrig.Gone)
		if found, err := s.Preflight(t.Context()); err != nil || len(found) != 1 || !found[0].Blocks {
			t.Errorf("no answer: %+v, %v", found, err)
		}
	})
}

// TestScore asks of people what Slack can show.
func TestScore(t *testing.T) {
	for name, c := range map[string]struct {
		acked, bridge int // at which second; 0 is never
		failure       callrig.Mishap
		blind         bool
		early         bool // it is asked right at the end
		ack, mark     clock.Outcome
	}{
		"both in time":       {60, 70, nil, false, false, clock.Met, clock.Met},
		"the bridge is late": {60, 200, nil, false, false, clock.Met, clock.Missed},
		"no bridge":          {60, 0, nil, false, false, clock.Met, clock.Missed},
		"nobody reacts":      {0, 0, nil, false, false, clock.Missed, clock.Missed},
		"Slack is away":      {60, 70, callrig.Gone, false, false, clock.Unknown, clock.Unknown},
		"half an answer":     {60, 70, callrig.Cut, false, false, clock.Unknown, clock.Unknown},
		"a room of others":   {60, 0, nil, true, false, clock.Met, clock.Unknown},
		"nobody reacts, yet": {0, 0, nil, false, true, clock.Unknown, clock.Unknown},
	} {
		synctest.Test(t, func(t *testing.T) {
			run := callrig.Run{Began: time.Now(), Length: 10 * time.Minute, Asks: report.ResponsePlan{
				Acknowledge: &report.AckPlan{DeadlinePlan: report.DeadlinePlan{Within: 2 * time.Minute, Weight: 1}},
				Marks:       []report.MarkPlan{{Name: "bridge opened", DeadlinePlan: report.DeadlinePlan{Within: 2 * time.Minute, Weight: 1}}}}}
			at := func(sec int) time.Time { return run.Began.Add(time.Duration(sec) * time.Second) }
			f := &fake{channels: []channel{{ID: "C1", Name: "oncall", Member: true}}}
			if c.blind {
				f.channels = append(f.channels, channel{ID: "C9", Name: "inc-9", Created: at(50).Add(ahead).Unix(), Creator: "UANN"})
			}
			if c.acked > 0 {
				f.say("C1", at(35), `{"ts":"TS","bot_id":"BALERT","text":"[FIRING:1] PaymentsDown"}`).gone = at(c.acked)
				f.say("C1", at(35), `{"ts":"TS","bot_id":"BALERT","text":"[FIRING:1] PaymentsDown","reactions":[{"name":"eyes","users":["UANN"],"count":1}]}`).told = at(c.acked)
			} else {
				f.say("C1", at(35), `{"ts":"TS","bot_id":"BALERT","text":"[FIRING:1] PaymentsDown"}`)
			}
			if c.bridge > 0 {
				f.say("C1", at(c.bridge), `{"ts":"TS","user":"UANN","text":"bridge is up"}`)
			}
			s, server := asked(t, f)
			if _, err := s.Preflight(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			go s.Watch(ctx, func(responders.Event) {})
			time.Sleep(run.Length)
			if !c.early {
				time.Sleep(2 * time.Minute)
			}
			cancel()
			synctest.Wait()
			if c.failure != nil {
				server.Next(nil, nil, nil, nil, c.failure)
			}
			events, coverage, err := s.History(t.Context(), run.Span())
			card := run.Score(t, "slack.ops", events, coverage, err)
			for id, want := range map[string]clock.Outcome{"acknowledge": c.ack, "mark.bridge opened": c.mark} {
				if it := callrig.Item(t, card, id); it.Outcome != want {
					t.Errorf("%s: %s is %v: %s", name, id, it.Outcome, it.Why)
				}
			}
		})
	}
}

func TestConfig(t *testing.T) {
	good := Config{Token: "xoxb-1", Channels: []string{"oncall"}}
	for want, change := range map[string]func(*Config){
		"which channels":         func(c *Config) { c.Channels = nil },
		"without #":              func(c *Config) { c.Channels = []string{"#oncall"} },
		"or a pattern":           func(c *Config) { c.Rooms = []string{"[a"} },
		"begin with http":        func(c *Config) { c.URL = "slack.com" },
		"longer than nothing":    func(c *Config) { c.Poll = "0s" },
		"more than nothing":      func(c *Config) { c.PerMinute = -1 },
		"a regular expression":   func(c *Config) { c.Marks = []Mark{{Name: "x", Matches: "("}} },
		"may show bridge_opened": func(c *Config) { c.Marks = []Mark{{Name: "x", Matches: "x", Kind: "opened"}} },
		"keep_text = true":       func(c *Config) { c.Marks = []Mark{{Name: "x", Matches: "x", Kind: "diagnosed"}} },
		"without colons":         func(c *Config) { c.Reactions = map[string]string{":eyes:": "acknowledged"} },
		"or \"resolved\"":        func(c *Config) { c.Reactions = map[string]string{"eyes": "marked"} },
		"Give one":               func(c *Config) { c.Alarm = make([]Alarm, 2) },
		"with one group":         func(c *Config) { c.Alarm = []Alarm{{Matches: map[string]string{"alertname": "x"}}} },
		"names for each label":   func(c *Config) { c.Alarm = []Alarm{{Labels: map[string]string{"alertname": ""}}} },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	if got := good.Tells(); len(got) != 0 {
		t.Errorf("without rooms it tells of %v", got)
	}
	good.Rooms = []string{"inc-*"}
	if got := good.Tells(); len(got) != 0 {
		t.Errorf("of rooms that may be private it tells of %v", got)
	}
	public := false
	good.Private = &public
	if got := good.Tells(); !slices.Equal(got, []responders.Kind{responders.Joined, responders.RoomOpened}) {
		t.Errorf("it tells of %v", got)
	}
}

func TestStamp(t *testing.T) {
	at := time.Unix(1732115045, 123456000)
	if got, err := parseStamp(stamp(at)); err != nil || !got.Equal(at) {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"", "1", "1.2", "1.0000001", "x.000000", "-1.000000", "1.-00001", "1e9.000000"} {
		if got, err := parseStamp(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// FuzzMessages reads any answer: what it takes for an event has an id, an actor, a grade and an instant, and of a page, labels.
func FuzzMessages(f *testing.F) {
	f.Add([]byte(`{"ok":true,"messages":[{"ts":"946684810.000100","bot_id":"BALERT","text":"[FIRING:1] X","reactions":[{"name":"eyes","users":["U"],"count":1}]},{"ts":"946684811.000100","user":"U","text":"bridge","edited":{"ts":"9"}}]}`))
	f.Add([]byte(`{"ok":true,"messages":[{"ts":"946684810.000100","subtype":"tombstone"}],"has_more":false}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		fake := &fake{channels: []channel{{ID: "C1", Name: "oncall", Member: true}}}
		s, server := asked(t, fake, func(c *Config) { c.Patience, c.PerMinute = "1ms", 1_000_000 })
		server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "conversations.history") {
				w.Write(body)
				return
			}
			fake.ServeHTTP(w, r)
		})
		told, err := s.read(t.Context(), clock.Span{Start: time.Unix(946684800, 0), End: time.Unix(946684900, 0)})
		if err != nil {
			return
		}
		for _, e := range told.Events {
			if e.ID == "" || e.Kind == "" || e.Actor.Kind == "" || e.Grade == "" || e.At.IsZero() || e.At.Hi.Before(e.At.Lo) ||
				e.Page != "" && e.Labels["alertname"] == "" || e.Kind.OfPage() && e.Page == "" {
				t.Errorf("%+v", e)
			}
		}
	})
}

// golden compares a text with a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant\n%s", path, got, want)
	}
}
