// Package incidentio reads what people did about incidents of incident.io, from the log of each, and about its escalations. It
// only ever reads.
package incidentio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/follow"
	"gameday/responders/internal/page"
	"gameday/sources/looks"
	"gameday/sources/web"
)

const (
	// lookback is how much older than the time asked about an incident may be that was put right in it.
	lookback = 7 * 24 * time.Hour
	// mostPages bounds how many incidents' logs are read at once.
	mostPages = 300
	// blind is how wide a hole is that something leaves which is not understood.
	blind = 2 * time.Second
)

// Source is what one token sees of an organisation. Its methods may be called concurrently; Watch by one goroutine at a time.
type Source struct {
	name string
	settings
	api *web.Client

	mu       sync.Mutex
	expected []map[string]string
}

var (
	_ responders.Source   = (*Source)(nil)
	_ responders.Lasting  = (*Source)(nil)
	_ responders.Expecter = (*Source)(nil)
	_ responders.Real     = (*Source)(nil)
)

// New returns a source, named as in "incident_io.main". It contacts nobody.
func New(name string, c Config) (*Source, error) {
	s, err := c.parse()
	if err != nil {
		return nil, err
	}
	api, err := web.New(s.web)
	if err != nil {
		return nil, err
	}
	return &Source{name: name, settings: s, api: api}, nil
}

// Lasting says that incident.io tells the same after the run.
func (s *Source) Lasting() {}

// RealPages says whether escalations page people.
func (s *Source) RealPages() bool { return s.pages == page.RealPages }

// Expect says which alarms' pages matter. Other incidents are told of too: one of them may be a real one.
func (s *Source) Expect(match []map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected = slices.Clone(match)
}

// Stop lets go of idle connections.
func (s *Source) Stop() error {
	s.api.Close()
	return nil
}

// Preflight checks that the token may read what is read, and incident.io's clock. A server that does not answer is a finding;
// the error is only that of ctx.
func (s *Source) Preflight(ctx context.Context) ([]responders.Finding, error) {
	a := &follow.Asking{API: s.api}
	out := []responders.Finding{{Summary: s.name + " is said to page nobody outside of drills", Detail: `Its block says pages = "dry". That cannot be checked.`}}
	if s.RealPages() {
		out[0] = responders.Finding{Summary: s.name + " pages real people", Detail: `Its block says pages = "real". Whoever its escalations are for will be woken.`}
	}
	open, err := s.incidents(ctx, a, time.Now())
	if err == nil {
		_, err = s.escalations(ctx, a, time.Now())
	}
	live := 0
	for _, i := range open {
		if err == nil && !i.Status.over() {
			if live == 0 {
				_, err = s.log(ctx, a, i.ID)
			}
			live++
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return append(out, responders.Finding{Blocks: true, Summary: s.name + " cannot be read", Detail: err.Error() + hint(err)}), nil
	}
	offset, told := a.Offset()
	out = append(out, follow.Skew(s.name, offset, told)...)
	if live > 0 {
		out = append(out, responders.Finding{Summary: fmt.Sprintf("%s has %d open already", s.name, live),
			Detail: "What is done about them is told from the drill's by their labels. If one of them is a real one, this is no time for a game day."})
	}
	return out, nil
}

// hint says what to do about an answer.
func hint(err error) string {
	var status *web.StatusError
	if errors.As(err, &status) && (status.Code == http.StatusUnauthorized || status.Code == http.StatusForbidden) {
		return `. The API key needs the permission "View data", and that to view escalations.`
	}
	return ". Is the network up, and is the url right?"
}

// Watch reads what is new at every poll, and emits it, until ctx ends. A look that fails is made up for by the next one, and
// by History.
func (s *Source) Watch(ctx context.Context, emit func(responders.Event)) error {
	began, sent := time.Now(), map[string]bool{}
	ticker := time.NewTicker(s.poll)
	defer ticker.Stop()
	for {
		s.look(ctx, began, sent, emit)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// look asks once and emits what happened since, and was not emitted yet.
func (s *Source) look(ctx context.Context, began time.Time, sent map[string]bool, emit func(responders.Event)) {
	events, _, _, err := s.tell(ctx, clock.Span{Start: began, End: time.Now().Add(time.Minute)})
	if err != nil || ctx.Err() != nil {
		return
	}
	for _, e := range events {
		if key := e.ID + " " + string(e.Kind) + " " + e.Page; !sent[key] {
			sent[key] = true
			emit(e)
		}
	}
}

// History returns what happened in the span. It is covered up to a while before the question was asked, for entries may
// appear late, less the moments of what was not understood. A list that is not whole is an error.
func (s *Source) History(ctx context.Context, span clock.Span) ([]responders.Event, responders.Coverage, error) {
	asked := time.Now()
	events, gaps, offset, err := s.tell(ctx, span)
	if err != nil {
		return nil, responders.Coverage{}, fmt.Errorf("reading what %s tells: %w", s.name, err)
	}
	var faults []looks.Fault
	if settled := asked.Add(-s.settle); settled.Before(span.End) {
		faults = append(faults, looks.Fault{Span: clock.Span{Start: settled, End: span.End},
			Why: fmt.Sprintf("it was asked at %s, and entries of the last %s may not have been there yet", asked.Format(time.TimeOnly), s.settle)})
	}
	for _, g := range gaps {
		faults = append(faults, looks.Fault{Span: clock.Span{Start: g.at.Lo.Add(-blind / 2), End: g.at.Hi.Add(blind / 2)}, Why: g.why})
	}
	cut := make([]clock.Span, len(faults))
	for i, f := range faults {
		cut[i] = f.Span
	}
	c := responders.Coverage{Offset: offset, Spans: looks.Without([]clock.Span{span}, cut)}
	c.Why = looks.Explain(c.Spans, span, faults, time.Second, "it was not asked about")
	return events, c, nil
}

// pageOf is what is told of one page.
type pageOf struct {
	incident    *incident
	log         []activity
	escalations []escalation
}

// tell reads the incidents with their logs, and the escalations.
func (s *Source) tell(ctx context.Context, span clock.Span) ([]responders.Event, []gap, clock.Offset, error) {
	a := &follow.Asking{API: s.api}
	since := span.Start.Add(-lookback)
	escalations, err := s.escalations(ctx, a, since)
	if err != nil {
		return nil, nil, clock.Offset{}, err
	}
	incidents, err := s.incidents(ctx, a, since)
	if err != nil {
		return nil, nil, clock.Offset{}, err
	}
	pages := map[string]*pageOf{}
	for _, i := range incidents {
		// It is of no use to compare the clocks for this: a minute either way is more than they may differ.
		if i.Status.over() && !i.Active.IsZero() && i.Active.Before(span.Start.Add(-2*time.Minute)) {
			continue
		}
		log, err := s.log(ctx, a, i.ID)
		if err != nil {
			return nil, nil, clock.Offset{}, err
		}
		pages[i.ID] = &pageOf{incident: &i, log: log}
		if len(pages) > mostPages {
			return nil, nil, clock.Offset{}, fmt.Errorf("there are more than %d incidents: name incident_types", mostPages)
		}
	}
	for _, e := range escalations {
		id := e.ID
		if len(e.Incidents) == 1 && pages[e.Incidents[0].ID] != nil {
			id = e.Incidents[0].ID
		}
		if pages[id] == nil {
			pages[id] = &pageOf{}
		}
		pages[id].escalations = append(pages[id].escalations, e)
	}
	offset, _ := a.Offset()
	events, gaps := s.read(pages, offset)
	events = slices.DeleteFunc(events, func(e responders.Event) bool { return e.At.Hi.Before(span.Start) || e.At.Lo.After(span.End) })
	return events, gaps, offset, nil
}

// read makes events of pages, by time.
func (s *Source) read(pages map[string]*pageOf, offset clock.Offset) ([]responders.Event, []gap) {
	s.mu.Lock()
	expected := s.expected
	s.mu.Unlock()
	events, gaps := []responders.Event{}, []gap(nil)
	for _, id := range slices.Sorted(maps.Keys(pages)) {
		p := pages[id]
		w := &walk{source: s, page: id, labels: s.labelsOf(p), names: page.Names{}, ours: func(t time.Time) clock.Interval {
			return offset.Ours(t.Local(), time.Millisecond)
		}}
		began := time.Time{}
		if p.incident != nil {
			began = p.incident.Created
			w.declared(*p.incident)
			for _, x := range p.log {
				w.entry(x, *p.incident)
			}
		}
		for _, e := range p.escalations {
			if began.IsZero() || e.Created.Before(began) {
				began = e.Created
			}
			w.paged(e)
		}
		if label := page.Lacking(w.labels, expected); label != "" {
			w.gap(began, "has no label %s, so which alarm it is about cannot be told: say where it is with labels", label)
		}
		inOrder(w.events)
		events, gaps = append(events, w.events...), append(gaps, w.gaps...)
	}
	slices.SortStableFunc(events, func(x, y responders.Event) int { return x.At.Lo.Compare(y.At.Lo) })
	return events, gaps
}

// inOrder puts a page's events in order, and keeps those of one instant in it: what opened the page before all else.
func inOrder(events []responders.Event) {
	opened := func(e responders.Event) int {
		if e.Kind == responders.Opened {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(events, func(x, y responders.Event) int {
		if c := x.At.Lo.Compare(y.At.Lo); c != 0 {
			return c
		}
		return opened(x) - opened(y)
	})
	for i := 1; i < len(events); i++ {
		if before := events[i-1].At.Lo.Add(1); events[i].At.Lo.Before(before) {
			events[i].At.Lo = before
			if events[i].At.Hi.Before(before) {
				events[i].At.Hi = before
			}
		}
	}
}

// labelsOf reads the labels of the alarm behind a page: those that stand in an alert's description as Alertmanager's
// templates write them, and those that the paths lead to. The title is one.
func (s *Source) labelsOf(p *pageOf) map[string]string {
	known := map[string]json.RawMessage{}
	title := ""
	var texts []string
	if len(p.escalations) > 0 {
		e := p.escalations[0]
		known["escalation"], title = e.raw, e.Title
		if len(e.Alerts) > 0 {
			known["alert"] = e.Alerts[0]
			var alert struct {
				Description string `json:"description"`
			}
			if json.Unmarshal(e.Alerts[0], &alert) == nil {
				texts = append(texts, alert.Description)
			}
		}
	}
	if p.incident != nil {
		known["incident"], title = p.incident.raw, p.incident.Name
	}
	document, err := json.Marshal(known)
	if err != nil {
		document = []byte("{}")
	}
	labels := page.Labels(document, s.settings.labels, texts...)
	if _, has := labels["title"]; !has && title != "" {
		labels["title"] = page.Title(title)
	}
	return labels
}
