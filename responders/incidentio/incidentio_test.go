package incidentio

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/follow"
)

// span is the last ten minutes.
func span() clock.Span {
	now := time.Now()
	return clock.Span{Start: now.Add(-10 * time.Minute), End: now}
}

func told(t *testing.T, s *Source) ([]responders.Event, responders.Coverage) {
	t.Helper()
	events, c, err := s.History(t.Context(), span())
	if err != nil {
		t.Fatal(err)
	}
	return events, c
}

// words prints an event without its time.
func words(e responders.Event) string {
	out := fmt.Sprintf("%s %s by %s %s", e.Page, e.Kind, e.Actor.Kind, e.Actor.ID)
	if e.Level != 0 {
		out += fmt.Sprintf(" L%d", e.Level)
	}
	if len(e.Targets) > 0 {
		out += " to " + strings.Join(e.Targets, "+")
	}
	for _, w := range []string{e.Delivered, e.Grade, e.Text} {
		if w != "" {
			out += " " + w
		}
	}
	return out
}

// holed checks that an instant is covered, or that it is not and why.
func holed(t *testing.T, c responders.Coverage, at time.Time, why string) {
	t.Helper()
	share := clock.Share(c.Spans, clock.Span{Start: at.Add(-100 * time.Millisecond), End: at.Add(100 * time.Millisecond)})
	if why == "" && share < 1 || why != "" && share > 0 {
		t.Errorf("%s is covered to %g: %+v", at, share, c)
	}
	if !strings.Contains(strings.Join(c.Why, "\n"), why) {
		t.Errorf("%q does not say %q", c.Why, why)
	}
}

// alertText is an alert as Alertmanager's templates describe it.
var alertText = object{"id": "A1", "title": "PaymentsDown", "description": "Labels:\n - alertname = PaymentsDown\n - severity = page\nAnnotations:\nSource: x\n"}

// TestStory reads an incident with the page that was sent about it.
func TestStory(t *testing.T) {
	f, s := newFake(t)
	at := f.now().Add(-5 * time.Minute)
	after := func(sec int) time.Time { return at.Add(time.Duration(sec) * time.Second) }
	f.page("E1", at, alertText, []string{"I1"}, event("triggered", after(1)), event("notified_users", after(2), "UANN"), event("notified_users", after(3), "UANN"),
		event("notified_channels", after(4)), event("acked", after(10), "UANN"), event("resolved", after(200)))
	f.open("I1", after(20), "Payments are down", by("UANN"))
	f.log("I1", "incident_channel_created", after(21), nil)
	f.log("I1", "role_update", after(30), object{"new_assignee": user("UANN"), "role": object{"name": "Incident Lead"}, "updater": by("UANN")})
	f.log("I1", "role_update", after(31), object{"new_assignee": user("UBOB"), "role": object{"name": "Comms"}, "updater": by("UANN")})
	f.log("I1", "role_update", after(32), object{"previous_assignee": user("UBOB"), "role": object{"name": "Comms"}, "updater": by("UANN")})
	f.log("I1", "call_url_changed", after(40), nil)
	f.log("I1", "incident_call_started", after(50), nil)
	f.log("I1", "status_page_incident_updated", after(60), nil)
	f.log("I1", "incident_update", after(70), object{"message": "Name of UBOB has it, ring +44 20 7946 0958", "updater": by("UBOB"), "new_status": inStatus("live"), "previous_status": inStatus("live")})
	f.log("I1", "workflow_ran", after(71), nil)
	f.log("I1", "incident_update", after(80), object{"message": "auto", "updater": object{"workflow": object{"id": "W1", "name": "w"}}, "new_status": inStatus("live")})
	f.log("I1", "incident_update", after(81), object{"message": "key", "updater": object{"api_key": object{"id": "K1", "name": "k"}}, "new_status": inStatus("live")})
	f.log("I1", "status_change", after(90), object{"updater": by("UBOB"), "new_status": inStatus("learning"), "previous_status": inStatus("live")})
	f.log("I1", "postmortem_changed", after(100), nil)
	events, c := told(t, s)
	want := []string{
		"I1 opened by integration incident.io A",
		"I1 noted by integration incident.io A escalation triggered",
		"I1 notified by integration incident.io L1 to UANN unknown A",
		"I1 notified by integration incident.io L1 to UANN unknown A",
		"I1 noted by integration incident.io A escalation notified channels",
		"I1 acknowledged by human UANN L1 B",
		"I1 opened by human UANN A",
		"I1 room_opened by integration incident.io A inc-1-payments",
		"I1 joined by human UANN A Incident Lead",
		"I1 joined by human UBOB B Comms",
		"I1 noted by integration incident.io A nobody is Comms any more",
		"I1 bridge_opened by integration incident.io B",
		"I1 bridge_opened by integration incident.io A",
		"I1 told by integration incident.io B the status page",
		"I1 noted by human UBOB A UBOB has it, ring [phone]",
		"I1 noted by bot W1 A auto",
		"I1 noted by unknown K1 B key",
		"I1 noted by human UBOB A status: learning",
		"I1 resolved by human UBOB A",
		"I1 filed by integration incident.io B https://docs.example.org/1",
		"I1 resolved by unknown  B",
	}
	var got []string
	for _, e := range events {
		got = append(got, words(e))
		if e.Labels["alertname"] != "PaymentsDown" || e.Labels["title"] != "Payments are down" {
			t.Errorf("%+v", e.Labels)
		}
		if width := e.At.Hi.Sub(e.At.Lo); width > 2*time.Second {
			t.Errorf("%s is known to within %s", words(e), width)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n %s\nwant\n %s", strings.Join(got, "\n "), strings.Join(want, "\n "))
	}
	if len(c.Spans) != 1 || len(c.Why) != 1 {
		t.Errorf("%+v", c)
	}
}

// TestNotUnderstood keeps what is not understood, and counts nothing around it.
func TestNotUnderstood(t *testing.T) {
	f, s := newFake(t)
	s.Expect([]map[string]string{{"alertname": "PaymentsDown"}})
	at := f.now().Add(-9 * time.Minute)
	after := func(sec int) time.Time { return at.Add(time.Duration(sec) * time.Second) }
	f.page("E1", at, alertText, nil, event("notified_users", after(1), "UANN"), event("notified_users", after(60), "UBOB"), event("acked", after(120)),
		event("teleported", after(180)), event("acked", after(200), "UBOT"))
	f.open("I1", after(240), "by hand", by("UANN"))
	f.log("I1", "teleported", after(300), nil)
	f.log("I1", "role_update", after(360), nil)
	f.log("I1", "status_change", after(420), nil)
	events, c := told(t, s)
	holed(t, c, after(1), "")
	holed(t, c, after(60), "page E1 was passed on to others")
	holed(t, c, after(120), "page E1 was acknowledged, and by whom is not told")
	holed(t, c, after(180), `page E1 has an event "teleported"`)
	holed(t, c, after(240), "page I1 has no label alertname")
	holed(t, c, after(300), `page I1 has an entry of type "teleported"`)
	holed(t, c, after(360), "page I1 does not say whose role")
	holed(t, c, after(420), "page I1 does not say what was changed")
	kinds := map[responders.Kind]int{}
	for _, e := range events {
		kinds[e.Kind]++
		if e.Kind == responders.Acknowledged && e.Actor.Kind != responders.Bot || e.Kind == responders.Escalated && e.Level != 0 {
			t.Errorf("%+v", e)
		}
	}
	if kinds[responders.Acknowledged] != 1 || kinds[responders.Escalated] != 1 || kinds[responders.Noted] != 2 {
		t.Errorf("%+v", kinds)
	}
}

// TestBadDays: whatever incident.io does, what is told is whole, or is an error.
func TestBadDays(t *testing.T) {
	world := func(f *fake) {
		at := f.now().Add(-5 * time.Minute)
		for n := range 5 {
			id := fmt.Sprintf("I%d", n)
			f.open(id, at, "x", by("UANN"))
			for range 4 {
				f.log(id, "incident_call_started", at, nil)
			}
		}
		f.page("E1", at, nil, nil)
	}
	t.Run("busy and broken once, three pages", func(t *testing.T) {
		f, s := newFake(t)
		world(f)
		f.perPage, f.refuse = 2, []int{429, 500}
		if events, _ := told(t, s); len(events) != 26 {
			t.Errorf("%d events, want 26", len(events))
		}
	})
	for name, c := range map[string]struct {
		change func(*fake)
		want   string
	}{
		"busy beyond patience":  {func(f *fake) { f.refuse, f.after = slices.Repeat([]int{429}, 30), "60" }, "asked too often"},
		"half a JSON":           {func(f *fake) { f.only, f.body = "log_entries", `{"incident_activity_log_entries":[{"id":"L1","ty` }, "not the JSON expected"},
		"no list":               {func(f *fake) { f.only, f.body = "/incidents", `{"pagination_meta":{}}` }, "has no incidents"},
		"null for a list":       {func(f *fake) { f.only, f.body = "/escalations", `{"escalations":null,"pagination_meta":{}}` }, "it is null"},
		"not said whether more": {func(f *fake) { f.only, f.body = "log_entries", `{}` }, "whether there is more"},
		"round and round": {func(f *fake) {
			f.only, f.body = "log_entries", `{"incident_activity_log_entries":[{"id":"1","type":"scrub","occurred_at":"2026-01-01T00:00:00Z"}],"pagination_meta":{"after":"1"}}`
		}, "was read already"},
		"an entry without a time": {func(f *fake) {
			f.only, f.body = "log_entries", `{"incident_activity_log_entries":[{"id":"1","type":"scrub"}],"pagination_meta":{}}`
		}, "no time"},
		"an event without one": {func(f *fake) {
			f.only, f.body = "/escalations", `{"escalations":[{"id":"1","created_at":"2026-01-01T00:00:00Z","events":[{}]}],"pagination_meta":{}}`
		}, "no time"},
		"incidents it may not":   {func(f *fake) { f.forbidden = "/incidents" }, "403"},
		"escalations it may not": {func(f *fake) { f.forbidden = "/escalations" }, "403"},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := newFake(t)
			world(f)
			c.change(f)
			events, coverage, err := s.History(t.Context(), span())
			if err == nil || !strings.Contains(err.Error(), c.want) || len(events) > 0 || len(coverage.Spans) > 0 {
				t.Errorf("%v (%d events), want %q", err, len(events), c.want)
			}
			found, ferr := s.Preflight(t.Context())
			if ferr != nil || strings.Contains(fmt.Sprint(err, found), token) || !slices.ContainsFunc(found, func(x responders.Finding) bool { return x.Blocks }) {
				t.Errorf("%+v, %v", found, ferr)
			}
		})
	}
}

// TestTimes: a clock that is ahead, what may come late, and what began before.
func TestTimes(t *testing.T) {
	f, s := newFake(t)
	f.ahead = 90 * time.Second
	at := time.Now().Add(-5 * time.Minute)
	f.open("I1", at.Add(f.ahead), "x", by("UANN"))
	f.open("IOLD", at.Add(f.ahead-30*24*time.Hour), "x", by("UANN"))
	f.log("IOLD", "incident_call_started", at.Add(f.ahead), nil)
	f.open("IOVER", at.Add(f.ahead-time.Hour), "x", by("UANN"))
	f.incidents[2]["incident_status"] = inStatus("closed")
	events, c := told(t, s)
	if len(events) != 2 || events[0].At.Lo.After(at) || events[0].At.Hi.Before(at) || c.Offset.Ahead < 88*time.Second {
		t.Errorf("%+v, %+v", events, c.Offset)
	}
	if late := clock.Share(c.Spans, clock.Span{Start: time.Now().Add(-20 * time.Second), End: time.Now()}); late > 0 {
		t.Errorf("the last 20 seconds are covered to %g", late)
	}
	if slices.ContainsFunc(f.asked, func(p string) bool { return strings.Contains(p, "incident_id=IOVER") }) {
		t.Error("the log of an incident was read that was over before the span")
	}
	found, err := s.Preflight(t.Context())
	if err != nil || !slices.ContainsFunc(found, func(x responders.Finding) bool { return x.Blocks && strings.Contains(x.Summary, "off") }) {
		t.Errorf("%+v, %v", found, err)
	}
	f.ahead, f.noDate = 0, true
	if _, c := told(t, s); c.Offset.Err != follow.Unmeasured {
		t.Errorf("%+v", c.Offset)
	}
}

func TestPreflight(t *testing.T) {
	f, s := newFake(t, func(c *Config) { c.Pages, c.Types, c.Paths = "real", []string{"T1", "T2"}, []string{"P1"} })
	f.open("I1", f.now(), "x", by("UANN"))
	found, err := s.Preflight(t.Context())
	if text := fmt.Sprint(found); err != nil || !s.RealPages() || !strings.Contains(text, "will be woken") || !strings.Contains(text, "1 open already") || strings.Contains(text, "true") {
		t.Errorf("%+v, %v", found, err)
	}
	all := strings.Join(f.asked, "\n")
	for _, want := range []string{"incident_type%5Bone_of%5D=T1&incident_type%5Bone_of%5D=T2", "escalation_path%5Bone_of%5D=P1"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s was not asked for in %s", want, all)
		}
	}
	_, wrong := newFake(t, func(c *Config) { c.Token = "another" })
	if found, err := wrong.Preflight(t.Context()); err != nil || !strings.Contains(fmt.Sprint(found), "View data") {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := s.Preflight(canceled(t)); err == nil {
		t.Error("it was not told to stop")
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// TestWatch emits what is new, once, whatever fails in between.
func TestWatch(t *testing.T) {
	f, s := newFake(t)
	f.open("IOLD", f.now().Add(-time.Hour), "x", by("UANN"))
	var got []string
	began, sent := time.Now(), map[string]bool{}
	look := func(want ...string) {
		t.Helper()
		got = nil
		s.look(t.Context(), began, sent, func(e responders.Event) { got = append(got, e.Page+" "+string(e.Kind)) })
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	look()
	f.log("IOLD", "incident_call_started", f.now().Add(2*time.Second), nil)
	look("IOLD bridge_opened")
	f.forbidden = "/escalations"
	f.log("IOLD", "postmortem_changed", f.now().Add(2*time.Second), nil)
	look()
	f.forbidden = ""
	look("IOLD filed")
	look()
	if err := s.Watch(canceled(t), func(responders.Event) { t.Error("emitted after the end") }); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	good := Config{Token: token, Pages: "dry"}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Config){
		"Real pages, or not": func(c *Config) { c.Pages = "" },
		"Not an id":          func(c *Config) { c.Types = []string{"Production outage"} },
		"is no id":           func(c *Config) { c.Paths = []string{""} },
		"Invalid address":    func(c *Config) { c.URL = "api.incident.io" },
		"Invalid duration":   func(c *Config) { c.Poll = "often" },
		"asked in a minute":  func(c *Config) { c.PerMinute = -1 },
		"Empty path":         func(c *Config) { c.Labels = map[string]string{"a": ""} },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(fmt.Sprintf("%v", err), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v", good, good, good); strings.Contains(text, token) {
		t.Error(text)
	}
}

// TestPaths reads labels from where the block says.
func TestPaths(t *testing.T) {
	f, s := newFake(t, func(c *Config) {
		c.Labels = map[string]string{"alertname": "alert.title", "severity": "incident.severity.name"}
	})
	f.page("E1", f.now().Add(-time.Minute), alertText, []string{"I1"})
	f.open("I1", f.now().Add(-time.Minute), "x", by("UANN"))
	f.incidents[0]["severity"] = object{"name": "Major"}
	events, _ := told(t, s)
	if l := events[0].Labels; l["alertname"] != "PaymentsDown" || l["severity"] != "Major" {
		t.Errorf("%+v", l)
	}
}
