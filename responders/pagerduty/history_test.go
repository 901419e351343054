package pagerduty

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/follow"
)

var down = map[string]string{"alertname": "PaymentsDown", "severity": "page"}

// span is the last minutes, up to now.
func span(minutes int) clock.Span {
	now := time.Now()
	return clock.Span{Start: now.Add(-time.Duration(minutes) * time.Minute), End: now}
}

// told asks for the last ten minutes.
func told(t *testing.T, s *Source) ([]responders.Event, responders.Coverage) {
	t.Helper()
	events, c, err := s.History(t.Context(), span(10))
	if err != nil {
		t.Fatal(err)
	}
	return events, c
}

// words prints an event without its time.
func words(e responders.Event) string {
	out := fmt.Sprintf("%s by %s %s", e.Kind, e.Actor.Kind, e.Actor.ID)
	if e.Level != 0 {
		out += fmt.Sprintf(" L%d", e.Level)
	}
	if len(e.Targets) > 0 {
		out += " to " + strings.Join(e.Targets, "+")
	}
	for _, w := range []string{e.Delivered, e.Channel, e.Grade, e.Text} {
		if w != "" {
			out += " " + w
		}
	}
	return out
}

// TestStory reads a page that was notified, taken, let go, escalated, and closed.
func TestStory(t *testing.T) {
	f, s := newFake(t)
	at := f.now().Add(-5 * time.Minute)
	after := func(sec int) time.Time { return at.Add(time.Duration(sec) * time.Second) }
	f.open("PI1", at, down).assign(at, ann).notify(after(2), ann, "phone_notification", "success").notify(after(3), ann, "email_notification", "bounced").
		notify(after(3), ann, "push_notification", "in_progress").
		by("acknowledge_log_entry", after(20), machine, "website").by("acknowledge_log_entry", after(40), ann, "mobile").
		add("unacknowledge_log_entry", after(60), object{"channel": object{"type": "timeout"}}).
		escalate(after(61), bob).notify(after(62), bob, "sms_notification", "success").by("acknowledge_log_entry", after(70), bob, "sms").
		add("annotate_log_entry", after(80), object{"agent": user(bob), "channel": object{"type": "note", "summary": "Ann Lee, call me: +44 20 7946 0958 or bob@acme.example"}}).
		add("status_update_log_entry", after(90), object{"agent": user(bob), "channel": object{"type": "website"}, "message": "we know"}).
		by("resolve_log_entry", after(100), bob, "website")
	f.incidents[0].object["incidents_responders"] = []any{object{"state": "joined", "user": user(machine), "updated_at": stamp(after(65))},
		object{"state": "pending", "user": user(ann), "updated_at": stamp(after(65))}}
	f.undescribed("status_update_log_entry")
	events, c := told(t, s)
	want := []string{
		"opened by integration PSVC1 api A",
		"noted by integration PSVC1 L1 to PANN1 A assigned",
		"notified by integration PSVC1 L1 to PANN1 yes phone A",
		"notified by integration PSVC1 L1 to PANN1 no e-mail A",
		"notified by integration PSVC1 L1 to PANN1 unknown mobile A",
		"acknowledged by bot PBOT1 website B",
		"acknowledged by human PANN1 L1 mobile A",
		"unacknowledged by timeout policy A",
		"escalated by timeout policy L2 to PBOB1 A",
		"notified by integration PSVC1 L2 to PBOB1 yes sms A",
		"acknowledged by human PBOB1 L2 sms A",
		"noted by human PBOB1 website A PANN1, call me: [phone] or [e-mail]",
		"told by human PBOB1 website A we know",
		"resolved by human PBOB1 website A",
		"joined by bot PBOT1 A",
	}
	var got []string
	for _, e := range events {
		got = append(got, words(e))
		if e.Page != "PI1" || e.Labels["alertname"] != "PaymentsDown" || e.Labels["severity"] != "page" || e.Team != svc && e.Team != pol {
			t.Errorf("%+v", e)
		}
		if width := e.At.Hi.Sub(e.At.Lo); width < 999*time.Millisecond || width > 3*time.Second {
			t.Errorf("%s is known to within %s", words(e), width)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n %s\nwant\n %s", strings.Join(got, "\n "), strings.Join(want, "\n "))
	}
	f.ascending = true
	again, _ := told(t, s)
	for i := range again {
		if words(again[i]) != got[i] {
			t.Errorf("the oldest first: %q, want %q", words(again[i]), got[i])
		}
	}
	if ack := events[6].At; ack.Lo.After(after(41)) || ack.Hi.Before(after(40)) {
		t.Errorf("acknowledged %+v, which was at %s", ack, after(40))
	}
	if len(c.Spans) != 1 || len(c.Why) != 1 || !strings.Contains(c.Why[0], "may not have been there yet") {
		t.Errorf("covered %+v, %q", c.Spans, c.Why)
	}
}

// TestLevels finds out which level an escalation reached, and says when it cannot.
func TestLevels(t *testing.T) {
	cy := "PCY1"
	people1[cy] = "Cy"
	for name, c := range map[string]struct {
		oncalls []object
		log     func(*fakeIncident, time.Time)
		level   int
		why     string
	}{
		"by the timeout, of people who are not on call now": {nil, func(i *fakeIncident, at time.Time) { i.assign(at, ann).escalate(at, bob) }, 2, ""},
		"past a level by hand": {[]object{turn(1, ann), turn(2, bob), turn(3, cy)}, func(i *fakeIncident, at time.Time) {
			i.assign(at, ann).add("escalate_log_entry", at, object{"agent": user(ann), "channel": object{"type": "website"}, "assignees": []any{user(cy)}})
		}, 3, ""},
		"by hand to whom nobody knows": {[]object{turn(1, ann)}, func(i *fakeIncident, at time.Time) {
			i.assign(at, ann).add("escalate_log_entry", at, object{"agent": user(ann), "channel": object{"type": "website"}, "assignees": []any{user(cy)}})
		}, 0, "to which level cannot be told"},
		"somebody at two levels": {[]object{turn(1, ann), turn(2, bob), turn(3, bob)}, func(i *fakeIncident, at time.Time) { i.assign(at, ann).escalate(at, bob) }, 2, ""},
		"round again": {[]object{turn(1, ann), turn(2, bob)}, func(i *fakeIncident, at time.Time) {
			i.assign(at, ann).escalate(at, bob).add("repeat_escalation_path_log_entry", at, nil).escalate(at, ann)
		}, 1, ""},
		"round again, to whom nobody knows": {nil, func(i *fakeIncident, at time.Time) {
			i.assign(at, ann).escalate(at, bob).add("repeat_escalation_path_log_entry", at, nil).escalate(at, cy)
		}, 0, "to which level cannot be told"},
		"in another policy, whose people are known": {[]object{turn(1, cy), turn(2, bob)}, func(i *fakeIncident, at time.Time) {
			i.assign(at, ann).add("delegate_log_entry", at, object{"agent": user(ann), "assignees": []any{user(cy)}}).escalate(at, bob)
		}, 2, ""},
		"in another policy, whose people are not": {nil, func(i *fakeIncident, at time.Time) {
			i.assign(at, ann).add("delegate_log_entry", at, object{"agent": user(ann), "assignees": []any{user(cy)}}).escalate(at, bob)
		}, 0, "to which level cannot be told"},
		"by hand, in a policy that it has left since": {[]object{turn(1, cy), turn(3, bob)}, func(i *fakeIncident, at time.Time) {
			i.assign(at, ann).add("escalate_log_entry", at, object{"agent": user(ann), "channel": object{"type": "website"}, "assignees": []any{user(bob)}}).
				add("delegate_log_entry", at, object{"agent": user(ann), "assignees": []any{user(cy)}})
		}, 0, "to which level cannot be told"},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := newFake(t)
			f.oncalls = c.oncalls
			at := f.now().Add(-5 * time.Minute)
			c.log(f.open("PI1", at, down), at)
			events, coverage := told(t, s)
			var last responders.Event
			for _, e := range events {
				if e.Kind == responders.Escalated {
					last = e
				}
			}
			if last.Level != c.level {
				t.Errorf("level %d, want %d", last.Level, c.level)
			}
			holed(t, coverage, at, c.why)
		})
	}
}

// holed checks that an instant is covered, or that it is not and why.
func holed(t *testing.T, c responders.Coverage, at time.Time, why string) {
	t.Helper()
	around := clock.Span{Start: at, End: at.Add(time.Second)}
	share := clock.Share(c.Spans, around)
	if why == "" && share < 1 || why != "" && share > 0 {
		t.Errorf("%s is covered to %g: %+v", at, share, c)
	}
	if why != "" && !strings.Contains(strings.Join(c.Why, "\n"), why) {
		t.Errorf("%q does not say %q", c.Why, why)
	}
}

// TestWhoAcknowledged tells people from what may be one, and from what is none.
func TestWhoAcknowledged(t *testing.T) {
	bot := object{"id": "PB", "type": "bot_user_reference", "summary": "bot", "self": nil, "html_url": nil}
	for name, c := range map[string]struct {
		agent   object
		channel string
		want    string
		why     string
	}{
		"the website":        {user(ann), "website", "human PANN1 L1 website A", ""},
		"a telephone":        {user(ann), "phone", "human PANN1 L1 phone A", ""},
		"a mail":             {user(ann), "email", "human PANN1 L1 e-mail B", ""},
		"a chat":             {user(ann), "slack", "human PANN1 L1 chat B", ""},
		"somebody else":      {user(bob), "mobile", "human PBOB1 L2 mobile A", ""},
		"somebody unknown":   {user("PX"), "mobile", "human PX mobile A", ""},
		"an API key":         {user(ann), "api", "unknown PANN1 L1 api B", "whether that was a person cannot be told"},
		"by an unknown way":  {user(ann), "telegraph", "unknown PANN1 L1 B", `through "telegraph": whether`},
		"by no way":          {user(ann), "", "unknown PANN1 L1 B", "whether that was a person cannot be told"},
		"automation":         {user(machine), "mobile", "bot PBOT1 mobile B", ""},
		"an automatic rule":  {user(ann), "auto", "bot PANN1 L1 B", ""},
		"a bot":              {bot, "website", "bot PB website B", ""},
		"an integration":     {serviceRef(), "api", "integration PSVC1 api A", ""},
		"a timeout":          {serviceRef(), "timeout", "timeout policy A", ""},
		"an agent of no use": {object{"id": "P9", "type": "robot_dog"}, "mobile", "unknown P9 mobile B", "by a robot_dog"},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := newFake(t)
			at := f.now().Add(-5 * time.Minute)
			f.open("PI1", at, down).assign(at, ann).add("acknowledge_log_entry", at, object{"agent": c.agent, "channel": object{"type": c.channel}})
			if t := c.agent["type"]; t == "robot_dog" || t == "bot_user_reference" {
				f.undescribed("acknowledge_log_entry")
			}
			events, coverage := told(t, s)
			if got := words(events[len(events)-1]); got != "acknowledged by "+c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			holed(t, coverage, at, c.why)
		})
	}
}

// TestLabelsOf finds an alarm's labels wherever they are, and says where they are not.
func TestLabelsOf(t *testing.T) {
	alerts := []object{{"id": "A1", "body": object{"details": object{"firing": `[{"labels":{"alertname":"PaymentsDown","pod":"a"}},{"labels":{"alertname":"PaymentsDown","pod":"b"}}]`}}}}
	for name, c := range map[string]struct {
		labels map[string]string
		alerts []object
		config map[string]string
		want   map[string]string
		why    string
	}{
		"Alertmanager's text":  {down, nil, nil, map[string]string{"alertname": "PaymentsDown", "severity": "page"}, ""},
		"its JSON, in alerts":  {nil, alerts, nil, map[string]string{"alertname": "PaymentsDown", "pod": ""}, "has no label severity"},
		"a path to the title":  {nil, nil, map[string]string{"alertname": "incident.title", "severity": "incident.urgency"}, map[string]string{"alertname": "[FIRING:1] Payments (page)"}, ""},
		"a path to the event":  {nil, nil, map[string]string{"alertname": "trigger.summary"}, map[string]string{"alertname": "Payments"}, ""},
		"a path to the alert":  {nil, alerts, map[string]string{"id": "alert.id"}, map[string]string{"id": "A1"}, "has no label severity"},
		"none at all":          {nil, nil, nil, map[string]string{"title": "[FIRING:1] Payments (page)"}, "has no label alertname"},
		"another alarm's page": {map[string]string{"alertname": "Another"}, nil, nil, map[string]string{"alertname": "Another"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := newFake(t, func(x *Config) { x.Labels = c.config })
			s.Expect([]map[string]string{down})
			at := f.now().Add(-5 * time.Minute)
			f.open("PI1", at, c.labels).alerts = c.alerts
			events, coverage := told(t, s)
			for name, want := range c.want {
				if got := events[0].Labels[name]; got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			holed(t, coverage, at, c.why)
		})
	}
}

// TestBadDays: whatever PagerDuty does, what is told is whole, or is an error.
func TestBadDays(t *testing.T) {
	t.Run("busy, and broken once", func(t *testing.T) {
		f, s := newFake(t)
		f.open("PI1", f.now().Add(-5*time.Minute), down)
		f.refuse = []int{429, 500, 429}
		if events, _ := told(t, s); len(events) != 1 {
			t.Errorf("%d events", len(events))
		}
	})
	t.Run("three pages", func(t *testing.T) {
		f, s := newFake(t)
		f.perPage = 2
		at := f.now().Add(-5 * time.Minute)
		for n := range 5 {
			i := f.open(fmt.Sprintf("PI%d", n), at, down)
			for range 4 {
				i.notify(at, ann, "sms_notification", "success")
			}
		}
		if events, _ := told(t, s); len(events) != 25 {
			t.Errorf("%d events, want 25", len(events))
		}
	})
	for name, c := range map[string]struct {
		change func(*fake)
		want   string
	}{
		"busy beyond patience":        {func(f *fake) { f.refuse, f.after = slices.Repeat([]int{429}, 30), "60" }, "asked too often"},
		"broken":                      {func(f *fake) { f.refuse, f.after = slices.Repeat([]int{500}, 30), "60" }, "500"},
		"half a JSON":                 {func(f *fake) { f.only, f.body = "log_entries", `{"log_entries":[{"id":"L1","ty` }, "not the JSON expected"},
		"no list":                     {func(f *fake) { f.only, f.body = "log_entries", `{"more":false}` }, "has no log_entries"},
		"null for a list":             {func(f *fake) { f.only, f.body = "log_entries", `{"log_entries":null}` }, "whether there is more"},
		"not said whether more":       {func(f *fake) { f.only, f.body = "log_entries", `{"log_entries":[]}` }, "whether there is more"},
		"more that never comes":       {func(f *fake) { f.only, f.body = "log_entries", `{"log_entries":[],"more":true}` }, "it is not given"},
		"an entry without a time":     {func(f *fake) { f.only, f.body = "log_entries", `{"log_entries":[{"id":"L1","type":"x"}],"more":false}` }, "no time"},
		"a time that is none":         {func(f *fake) { f.only, f.body = "log_entries", `{"log_entries":[{"created_at":"noon"}],"more":false}` }, "not of the form"},
		"an incident without an id":   {func(f *fake) { f.only, f.body = "/incidents", `{"incidents":[{}],"more":false}` }, "no id"},
		"a list that keeps changing":  {func(f *fake) { f.perPage, f.moving = 1, 1000 }, "changed each time"},
		"a service that it may not":   {func(f *fake) { f.forbidden = "/services" }, "403"},
		"logs that it may not":        {func(f *fake) { f.forbidden = "/incidents/PI1/log_entries" }, "403"},
		"turns that it may not":       {func(f *fake) { f.forbidden = "/oncalls" }, "403"},
		"a service that is not there": {func(f *fake) { f.only, f.body = "/services", `{}` }, "no such service"},
	} {
		t.Run(name, func(t *testing.T) {
			f, s := newFake(t, func(c *Config) { c.Patience = "1s" })
			for n := range 3 {
				f.open(fmt.Sprintf("PI%d", n), f.now().Add(-5*time.Minute), down)
			}
			f.undescribed("")
			c.change(f)
			events, coverage, err := s.History(t.Context(), span(10))
			if err == nil || !strings.Contains(err.Error(), c.want) || len(events) > 0 || len(coverage.Spans) > 0 {
				t.Errorf("%v (%d events, %+v), want %q", err, len(events), coverage.Spans, c.want)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("the error has the token: %v", err)
			}
			found, err := s.Preflight(t.Context())
			if err != nil || strings.Contains(fmt.Sprint(found), token) {
				t.Errorf("%+v, %v", found, err)
			}
		})
	}
}

// TestUnknownEntry keeps what is not understood, and counts nothing around it.
func TestUnknownEntry(t *testing.T) {
	f, s := newFake(t)
	at := f.now().Add(-5 * time.Minute)
	f.open("PI1", at, down).add("teleport_log_entry", at.Add(time.Minute), object{"channel": 7, "assignees": nil, "note": 7, "message": []any{}, "notification": "x", "agent": nil,
		"event_details": object{"n": 7}})
	f.incidents[0].object["incidents_responders"] = []any{object{"state": "joined", "user": user(ann), "updated_at": ""}}
	f.undescribed("incident")
	f.undescribed("teleport_log_entry")
	events, c := told(t, s)
	if got := words(events[1]); got != `noted by integration pagerduty A an entry of type "teleport_log_entry", which is not understood` {
		t.Error(got)
	}
	holed(t, c, at.Add(time.Minute), "teleport_log_entry")
	holed(t, c, at, "")
}

// TestNotes reads a note's text from where it is: the log, else the notes.
func TestNotes(t *testing.T) {
	f, s := newFake(t)
	at := f.now().Add(-5 * time.Minute)
	i := f.open("PI1", at, down).by("annotate_log_entry", at.Add(time.Minute), ann, "note").
		add("annotate_log_entry", at.Add(2*time.Minute), object{"agent": user(bob), "channel": object{"type": "note", "summary": "in the log"}})
	i.notes = []object{{"id": "N1", "content": "in the notes", "created_at": stamp(at.Add(time.Minute)), "user": user(ann)},
		{"id": "N2", "content": "another's", "created_at": stamp(at.Add(time.Minute)), "user": user(bob)}}
	events, _ := told(t, s)
	if len(events) != 3 || events[1].Text != "in the notes" || events[2].Text != "in the log" {
		t.Errorf("%+v", events)
	}
	f.forbidden = "/incidents/PI1/notes"
	if _, _, err := s.History(t.Context(), span(10)); err == nil {
		t.Error("notes that may not be read are no error")
	}
}

// TestClockAhead corrects a clock that is 90 seconds ahead, and takes one that is not told as not known.
func TestClockAhead(t *testing.T) {
	f, s := newFake(t)
	f.ahead = 90 * time.Second
	at := time.Now().Add(-5 * time.Minute)
	f.open("PI1", at.Add(f.ahead), down)
	fresh := time.Now().Add(-40 * time.Second)
	f.open("PI2", fresh.Add(f.ahead), down) // in what PagerDuty takes for the future
	events, c := told(t, s)
	if len(events) != 2 || events[0].At.Lo.After(at) || events[0].At.Hi.Before(at) || c.Offset.Ahead < 88*time.Second {
		t.Errorf("%+v, %+v", events, c.Offset)
	}
	found, err := s.Preflight(t.Context())
	if err != nil || !blocked(found, "is 1m30s ahead of") && !blocked(found, "ahead of this machine's") {
		t.Errorf("%+v, %v", found, err)
	}
	f.ahead, f.noDate = 0, true
	if _, c := told(t, s); c.Offset.Err != follow.Unmeasured {
		t.Errorf("%+v", c.Offset)
	}
	if found, _ := s.Preflight(t.Context()); !slices.ContainsFunc(found, func(x responders.Finding) bool { return strings.Contains(x.Summary, "cannot be compared") }) {
		t.Errorf("%+v", found)
	}
}

// TestLate leaves out of the coverage what may not be there yet, and has it when it is.
func TestLate(t *testing.T) {
	f, s := newFake(t)
	at := f.now().Add(-20 * time.Second)
	i := f.open("PI1", f.now().Add(-5*time.Minute), down)
	if events, c := told(t, s); len(events) != 1 || clock.Share(c.Spans, clock.Span{Start: at, End: at.Add(time.Second)}) > 0 {
		t.Errorf("%+v, %+v", events, c)
	}
	f.mu.Lock()
	i.by("acknowledge_log_entry", at, ann, "mobile")
	f.mu.Unlock()
	if events, _ := told(t, s); len(events) != 2 {
		t.Errorf("%+v", events)
	}
	later := span(10)
	later.End = time.Now().Add(-time.Minute)
	if _, c, err := s.History(t.Context(), later); err != nil || clock.Share(c.Spans, later) < 1 || len(c.Why) > 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestOldIncidents tells of incidents that began before the span: of what was done about them in it.
func TestOldIncidents(t *testing.T) {
	f, s := newFake(t)
	long := f.now().Add(-30 * 24 * time.Hour)
	at := f.now().Add(-5 * time.Minute)
	f.open("PI1", long, down).by("acknowledge_log_entry", at, ann, "mobile")                                  // open still
	f.open("PI2", f.now().Add(-time.Hour), down).by("resolve_log_entry", at, ann, "website")                  // resolved in the span
	f.open("PI3", f.now().Add(-time.Hour), down).by("resolve_log_entry", at.Add(-20*time.Minute), ann, "sms") // before it
	met := f.open("PI4", long, down)
	s.meet([]incident{{ID: "PI4"}}) // as Preflight does, or Watch
	f.mu.Lock()
	met.by("resolve_log_entry", at, ann, "website")
	f.mu.Unlock()
	events, _ := told(t, s)
	var got []string
	for _, e := range events {
		got = append(got, e.Page+" "+string(e.Kind))
	}
	slices.Sort(got)
	if want := []string{"PI1 acknowledged", "PI2 resolved", "PI4 resolved"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if slices.ContainsFunc(f.asked, func(p string) bool { return strings.Contains(p, "/PI3/") }) {
		t.Error("the log of an incident was read that was over before the span")
	}
}
