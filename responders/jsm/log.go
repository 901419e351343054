package jsm

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/follow"
	"gameday/sources/looks"
)

// known is what lines of logs are known to mean. Anything else may be what is asked for, and is a gap.
var known = []rule{
	{what: regexp.MustCompile(`^Alert created(?: via (?P<channel>.+))?$`)}, // the alert itself says when
	{what: regexp.MustCompile(`^Alert acknowledged(?: via (?P<channel>.+))?$`), kind: responders.Acknowledged},
	{what: regexp.MustCompile(`^Alert unacknowledged(?: via (?P<channel>.+))?$`), kind: responders.Unacknowledged},
	{what: regexp.MustCompile(`^Alert closed(?: via (?P<channel>.+))?$`), kind: responders.Resolved},
	{what: regexp.MustCompile(`^Alert ownership assigned to \[(?P<who>[^\]]+)\](?: via (?P<channel>.+))?$`), kind: responders.Noted, text: "assigned"},
	{what: regexp.MustCompile(`^Viewed on \[(?P<channel>[^\]]+)\]$`), kind: responders.Noted, text: "viewed"},
}

// grade is that of everything here: the owner of a line is a name, which an API call can give as well.
const grade = "B"

// gradeUnread is that of a line that nobody understands.
const gradeUnread = "D"

// ways are the words for how something was done, and what they stand for.
var ways = map[string]string{"web": "website", "jsm": "website", "jira": "website", "mobile": "mobile", "mobile app": "mobile", "ios": "mobile", "android": "mobile",
	"iphone": "mobile", "sms": "sms", "voice": "phone", "phone": "phone", "voice call": "phone", "email": "e-mail", "e-mail": "e-mail", "slack": "chat", "slack app": "chat",
	"microsoft teams": "chat", "ms teams": "chat", "api": "api", "rest api": "api", "integration": "api"}

// actor says who the owner of a line is, who did something in some way.
func (s *settings) actor(owner, way string) responders.Actor {
	a := responders.Actor{ID: owner, Kind: responders.Human}
	lower := strings.ToLower(owner)
	switch {
	case owner == "":
		a.Kind = responders.UnknownKind
	case slices.Contains(s.automation, owner):
		a.Kind = responders.Bot
	case lower == "system" || strings.HasSuffix(lower, " api") || way == "api":
		a.Kind = responders.Integration
	case way != "" && !slices.Contains([]string{"website", "mobile", "sms", "phone", "e-mail", "chat"}, way):
		a.Kind = responders.UnknownKind // in a way of which nobody knows whether people have it
	}
	return a
}

// line is one line of an alert's log.
type line struct {
	id, text, owner string
	at              clock.Interval
}

// read says what a line of an alert's log shows; a gap when nobody understands it.
func (s *Source) event(a *alert, l line) (e responders.Event, ok bool, gap *looks.Fault) {
	e = responders.Event{Source: s.name, ID: a.ID + ":" + l.id, Page: a.ID, Labels: a.labels, At: l.at, Team: a.team, Grade: grade}
	for _, r := range s.rules {
		found := r.what.FindStringSubmatch(l.text)
		if found == nil {
			continue
		}
		if r.kind == "" {
			return e, false, nil
		}
		group := func(name string) string {
			if i := r.what.SubexpIndex(name); i >= 0 {
				return found[i]
			}
			return ""
		}
		e.Kind, e.Level, e.Text = r.kind, r.level, r.text
		if n, err := strconv.Atoi(group("level")); err == nil && n > 0 && n <= 100 {
			e.Level = n
		}
		way := strings.ToLower(strings.Trim(strings.TrimSpace(group("channel")), "[]"))
		if known, ok := ways[way]; ok {
			way = known
		}
		e.Channel, e.Actor = way, s.actor(l.owner, way)
		if who := group("who"); who != "" {
			e.Targets = []string{who}
		}
		switch r.kind {
		case responders.Notified, responders.Escalated: // the system itself does
			e.Actor = responders.Actor{ID: "jsm", Kind: responders.Integration}
			e.Delivered = r.delivered
		case responders.Noted:
			if e.Text == "" {
				e.Text = follow.Scrub(l.text)
			}
		}
		if r.kind == responders.Notified && e.Delivered == "" {
			e.Delivered = "unknown"
		}
		if r.kind == responders.Escalated && e.Level == 0 {
			break // to a level that is none
		}
		return e, true, nil
	}
	e.Kind, e.Grade, e.Text, e.Level, e.Targets, e.Channel = responders.Noted, gradeUnread, follow.Scrub(l.text), 0, nil, ""
	e.Actor = responders.Actor{ID: l.owner, Kind: responders.UnknownKind}
	return e, true, &looks.Fault{Span: clock.Span{Start: l.at.Lo.Add(-time.Second), End: l.at.Hi.Add(time.Second)},
		Why: fmt.Sprintf("the log of alert %s says what is not understood here: %.120q; a log block can say what it means", a.Tiny, e.Text)}
}
