package desk

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gameday/responders"
)

// The verbs, in the words of this package.
const (
	Acknowledge = responders.DoAcknowledge
	Escalate    = responders.DoEscalate
	Note        = responders.DoNote
	Mark        = responders.DoMark
	Bridge      = responders.DoBridge
	Resolve     = responders.DoResolve
)

// Verb is what somebody does about a page, and Action is one such thing.
type (
	Verb   = responders.Verb
	Action = responders.Action
)

// verbs lists them for messages.
var verbs = append(responders.Verbs(), Mark)

// BridgeOpened is the name of the mark that Bridge sets.
const BridgeOpened = "bridge opened"

// ActionError is an action that the desk refused; nothing was changed.
type ActionError struct {
	Status  int // as an HTTP status: 400, 404, 409
	Message string
}

// Error returns the message.
func (e *ActionError) Error() string { return e.Message }

// refuse makes an ActionError.
func refuse(status int, format string, args ...any) error {
	return &ActionError{Status: status, Message: fmt.Sprintf(format, args...)}
}

const (
	longestName = 100   // bytes of By
	longestText = 4_000 // bytes of Text
)

// Act does one thing about a page, and names it. The error is an *ActionError.
func (s *Source) Act(a Action) (string, error) {
	p, err := s.act(a)
	if err != nil {
		return "", err
	}
	if name := p.Labels["alertname"]; name != "" {
		return fmt.Sprintf("page %s (%s)", p.ID, name), nil
	}
	return "page " + p.ID, nil
}

// act does one thing about a page and returns the page as it is then.
func (s *Source) act(a Action) (Page, error) {
	if err := check(a); err != nil {
		return Page{}, err
	}
	a.By, a.Text = strings.TrimSpace(a.By), strings.TrimSpace(a.Text)
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.find(a.Page)
	if err != nil {
		return Page{}, err
	}
	if err := s.apply(p, a); err != nil {
		return Page{}, err
	}
	return p.snapshot(), nil
}

// check reports what is wrong with an action whatever the page.
func check(a Action) error {
	by, text := strings.TrimSpace(a.By), strings.TrimSpace(a.Text)
	switch {
	case !slices.Contains(verbs, a.Verb):
		return refuse(http.StatusNotFound, "there is no action %q; there are %s", a.Verb, words())
	case by == "":
		return refuse(http.StatusBadRequest, `by is empty: say who does it, as in {"by": "ann"}`)
	case len(by) > longestName || len(text) > longestText:
		return refuse(http.StatusBadRequest, "by may have %d bytes, text %d", longestName, longestText)
	case !printable(by) || !utf8.ValidString(text):
		return refuse(http.StatusBadRequest, "by and text must be text: no control characters in by, valid UTF-8 in both")
	case len(a.Channel) > longestName || !printable(a.Channel):
		return refuse(http.StatusBadRequest, "channel may have %d bytes, without control characters", longestName)
	case text == "" && (a.Verb == Note || a.Verb == Mark || a.Verb == responders.DoDiagnose):
		return refuse(http.StatusBadRequest, `%s needs text: what is there to say, as in {"by": "ann", "text": "customers told"} or gameday mark %[1]s "customers told"`, a.Verb)
	}
	return nil
}

// printable reports whether a name can be shown on one line as it is.
func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// words lists the verbs in a sentence.
func words() string {
	parts := make([]string, 0, len(verbs))
	for _, v := range verbs {
		parts = append(parts, string(v))
	}
	return strings.Join(parts, ", ")
}

// apply does an action. The desk's lock is held.
func (s *Source) apply(p *page, a Action) error {
	who := s.actor(a)
	event := responders.Event{Actor: who, Level: p.Level, Text: a.Text, Channel: a.Channel, Grade: gradeDeclared}
	if p.State == Resolved && (a.Verb == Acknowledge || a.Verb == Escalate || a.Verb == Resolve) {
		return refuse(http.StatusConflict, "page %s is resolved already, so it cannot be %s", p.ID, past(a.Verb))
	}
	switch a.Verb {
	case Acknowledge:
		if slices.Contains(p.AckedBy, who.ID) {
			return refuse(http.StatusConflict, "page %s is acknowledged by %s already", p.ID, who.ID)
		}
		p.State = Acknowledged
		p.AckedBy = append(p.AckedBy, who.ID)
		p.stop()
		event.Kind = responders.Acknowledged
	case Escalate:
		if p.Level == len(s.config.Levels) {
			return refuse(http.StatusConflict, "page %s is at level %d, and the policy has no higher one", p.ID, p.Level)
		}
		s.escalate(p, p.Level+1, who, gradeDeclared, a.Text)
		return nil
	case Note:
		event.Kind = responders.Noted
	case Mark:
		event.Kind = responders.Marked
	case responders.DoJoin:
		event.Kind = responders.Joined
	case responders.DoChannel:
		event.Kind = responders.RoomOpened
	case responders.DoRunbook:
		event.Kind = responders.RunbookOpened
	case responders.DoCustomers:
		event.Kind = responders.Told
	case responders.DoDiagnose:
		event.Kind = responders.Diagnosed
	case Bridge:
		event.Kind, event.Text = responders.Marked, BridgeOpened
	case Resolve:
		p.State = Resolved
		p.stop()
		event.Kind = responders.Resolved
	}
	s.record(p, event)
	if a.Verb == Bridge && a.Text != "" {
		event.Kind, event.Text = responders.Noted, a.Text
		s.record(p, event)
	}
	return nil
}

// past returns the participle of a verb.
func past(v Verb) string {
	if v == Acknowledge || v == Escalate || v == Resolve {
		return strings.TrimSuffix(string(v), "e") + "ed"
	}
	return string(v)
}

// actor tells people from machines, as far as a name can.
func (s *Source) actor(a Action) responders.Actor {
	kind := responders.Human
	if a.Bot || strings.HasPrefix(a.By, "bot:") || slices.Contains(s.config.Automation, a.By) {
		kind = responders.Bot
	}
	return responders.Actor{ID: a.By, Kind: kind}
}

// find returns a page by its id, the newest unresolved one for none. The desk's lock is held.
func (s *Source) find(id string) (*page, error) {
	if id != "" {
		for _, p := range s.pages {
			if p.ID == id {
				return p, nil
			}
		}
		return nil, refuse(http.StatusNotFound, "there is no page %q; %s", id, s.list(s.pages))
	}
	var open []*page
	for _, p := range s.pages {
		if p.State != Resolved {
			open = append(open, p)
		}
	}
	if len(open) == 0 {
		return nil, refuse(http.StatusNotFound, "no page is open; %s", s.list(s.pages))
	}
	newest := open[len(open)-1]
	for _, p := range open[:len(open)-1] {
		// Opened by one and the same webhook: neither is the newest.
		if p.OpenedAt.Equal(newest.OpenedAt) {
			return nil, refuse(http.StatusConflict, "several pages came at once, so say which one; %s", s.list(open))
		}
	}
	return newest, nil
}

// list names the newest of some pages for a message.
func (s *Source) list(pages []*page) string {
	if len(pages) == 0 {
		return "the desk has no pages"
	}
	parts := []string{}
	for _, p := range slices.Backward(pages) {
		if len(parts) == 10 {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, fmt.Sprintf("%s %s (%s)", p.ID, p.Labels["alertname"], p.State))
	}
	return "there are: " + strings.Join(parts, ", ")
}
