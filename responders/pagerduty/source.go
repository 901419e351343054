// Package pagerduty reads what people did about incidents of PagerDuty. The logs of the incidents are the truth; a webhook
// only makes what is watched faster and its times finer. It only ever reads.
package pagerduty

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/follow"
	"gameday/responders/internal/page"
	"gameday/sources/hook"
	"gameday/sources/looks"
	"gameday/sources/web"
)

const (
	// lookback is how much older than the time asked about an incident may be that was resolved in it.
	lookback = 7 * 24 * time.Hour
	// mostIncidents bounds how many incidents' logs are read at once.
	mostIncidents = 500
	// blind is how wide a hole is that an entry leaves which is not understood.
	blind = 2 * time.Second
)

// Source is what one token sees of some services. Its methods may be called concurrently; Watch by one goroutine at a time.
type Source struct {
	name string
	settings
	api *web.Client

	mu       sync.Mutex
	expected []map[string]string
	labels   map[string]map[string]string // by incident
	met      map[string]incident          // incidents seen while they were open
	posted   posted
	server   *hook.Server
	nudge    chan struct{}
}

var (
	_ responders.Source   = (*Source)(nil)
	_ responders.Lasting  = (*Source)(nil)
	_ responders.Expecter = (*Source)(nil)
	_ responders.Roster   = (*Source)(nil)
	_ responders.Real     = (*Source)(nil)
)

// New returns a source, named as in "pagerduty.ops". It contacts nobody.
func New(name string, c Config) (*Source, error) {
	s, err := c.parse()
	if err != nil {
		return nil, err
	}
	api, err := web.New(s.web)
	if err != nil {
		return nil, err
	}
	return &Source{name: name, settings: s, api: api, labels: map[string]map[string]string{}, met: map[string]incident{},
		nudge: make(chan struct{}, 1)}, nil
}

// Lasting says that PagerDuty tells the same after the run.
func (s *Source) Lasting() {}

// RealPages says whether the block's services page people.
func (s *Source) RealPages() bool { return s.pages == page.RealPages }

// Expect says which alarms' pages matter. Other incidents are told of too: one of them may be a real one.
func (s *Source) Expect(match []map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected = slices.Clone(match)
}

// Stop ends listening for webhooks and lets go of idle connections.
func (s *Source) Stop() error {
	s.mu.Lock()
	server := s.server
	s.server = nil
	s.mu.Unlock()
	s.api.Close()
	if server == nil {
		return nil
	}
	return server.Stop()
}

// automatic reports whether a user is one of those who never count as human.
func (s *Source) automatic(r reference) bool {
	return slices.Contains(s.automation, r.ID) || r.Summary != "" && slices.Contains(s.automation, r.Summary)
}

// OnCall returns who is on call now for the block's escalation policy, else for that of its first service.
func (s *Source) OnCall(ctx context.Context) ([]responders.Duty, error) {
	a := &follow.Asking{API: s.api}
	id, err := s.policyID(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("asking %s who is on call: %w", s.name, err)
	}
	turns, err := s.turns(ctx, a, id, clock.Span{})
	if err != nil {
		return nil, fmt.Errorf("asking %s who is on call: %w", s.name, err)
	}
	if len(turns) == 0 {
		return nil, fmt.Errorf("asking %s who is on call: nobody is for %s, or the token may not see who", s.name, id)
	}
	out := []responders.Duty{}
	for _, t := range turns {
		d := responders.Duty{Who: t.User.ID, Level: t.Level, Team: id}
		if t.End != nil {
			d.Until = *t.End
		}
		// Somebody may have the same level by several schedules: the longer turn counts.
		i := slices.IndexFunc(out, func(x responders.Duty) bool { return x.Who == d.Who && x.Level == d.Level })
		switch {
		case i < 0:
			out = append(out, d)
		case out[i].Until != "" && (d.Until == "" || d.Until > out[i].Until):
			out[i].Until = d.Until
		}
	}
	slices.SortFunc(out, func(x, y responders.Duty) int {
		if x.Level != y.Level {
			return x.Level - y.Level
		}
		return slices.Compare([]byte(x.Who), []byte(y.Who))
	})
	return out, nil
}

// policyID returns the escalation policy that matters.
func (s *Source) policyID(ctx context.Context, a *follow.Asking) (string, error) {
	if s.configuredPolicy {
		return s.policy, nil
	}
	if len(s.services) == 0 {
		return "", fmt.Errorf("its block names teams alone: give escalation_policy as well")
	}
	one, err := s.service(ctx, a, s.services[0])
	if err != nil {
		return "", err
	}
	return one.Policy.ID, nil
}

// turns returns the on-calls of a policy, now or at any time of a span of PagerDuty's clock.
func (s *Source) turns(ctx context.Context, a *follow.Asking, policy string, span clock.Span) ([]oncall, error) {
	q := map[string][]string{"escalation_policy_ids[]": {policy}, "time_zone": {"UTC"}}
	if span.Length() > 0 {
		q["since"], q["until"] = []string{stamp(span.Start)}, []string{stamp(span.End)}
	}
	return list(ctx, a, "/oncalls", "oncalls", q, func(oncall) string { return "" })
}

// service asks for a service. Who may not read it sees no incidents of it either, and is told of none.
func (s *Source) service(ctx context.Context, a *follow.Asking, id string) (service, error) {
	var body struct {
		Service *service `json:"service"`
	}
	err := a.Get(ctx, "/services/"+id, nil, &body)
	if err == nil && (body.Service == nil || body.Service.ID != id) {
		err = fmt.Errorf("GET /services/%s: the answer is about no such service", id)
	}
	if err != nil {
		return service{}, err
	}
	return *body.Service, nil
}

// readable asks for what the block names: a list of incidents is empty for what the token may not read.
func (s *Source) readable(ctx context.Context, a *follow.Asking) ([]service, error) {
	var out []service
	for _, id := range s.services {
		one, err := s.service(ctx, a, id)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	for _, id := range s.teams {
		var body struct {
			Team *reference `json:"team"`
		}
		if err := a.Get(ctx, "/teams/"+id, nil, &body); err != nil {
			return nil, err
		}
		if body.Team == nil || body.Team.ID != id {
			return nil, fmt.Errorf("GET /teams/%s: the answer is about no such team", id)
		}
	}
	return out, nil
}

// History returns what the incidents' logs tell of the span. It is covered up to a while before the question was asked, for
// entries may appear late, less the moments of what was not understood. A list that is not whole is an error.
func (s *Source) History(ctx context.Context, span clock.Span) ([]responders.Event, responders.Coverage, error) {
	asked := time.Now()
	a := &follow.Asking{API: s.api}
	events, gaps, offset, err := s.tell(ctx, a, span)
	if err != nil {
		return nil, responders.Coverage{}, fmt.Errorf("reading what %s tells: %w", s.name, err)
	}
	c := responders.Coverage{Offset: offset}
	whole := clock.Span{Start: span.Start, End: asked.Add(-s.settle)}.Overlap(span)
	faults := []looks.Fault{{Span: clock.Span{Start: whole.End, End: laterOf(asked, span.End)},
		Why: fmt.Sprintf("it was asked at %s, and entries of the last %s may not have been there yet", asked.Format(time.TimeOnly), s.settle)}}
	var cut []clock.Span
	for _, g := range gaps {
		f := looks.Fault{Span: clock.Span{Start: g.at.Lo.Add(-blind / 2), End: g.at.Hi.Add(blind / 2)}, Why: g.why}
		cut, faults = append(cut, f.Span), append(faults, f)
	}
	c.Spans = looks.Without(looks.Clip([]clock.Span{whole}, span), cut)
	c.Why = looks.Explain(c.Spans, span, faults, time.Second, "it was not asked about")
	return events, c, nil
}

// tell reads the incidents and their logs.
func (s *Source) tell(ctx context.Context, a *follow.Asking, span clock.Span) ([]responders.Event, []gap, clock.Offset, error) {
	none := clock.Offset{}
	if _, err := s.readable(ctx, a); err != nil {
		return nil, nil, none, err
	}
	offset, _ := a.Offset()
	theirs := clock.Span{Start: span.Start.Add(offset.Ahead - offset.Err), End: span.End.Add(offset.Ahead + offset.Err + time.Second)}
	incidents, err := s.incidents(ctx, a, theirs)
	if err != nil {
		return nil, nil, none, err
	}
	type told struct {
		incident
		log  []entry
		duty map[string][]int
	}
	var all []told
	duties := map[string]map[string][]int{}
	for _, i := range incidents {
		if i.Status == "resolved" && !i.Changed.IsZero() && i.Changed.Before(theirs.Start.Add(-time.Minute)) {
			continue // nothing was done about it in the span
		}
		if len(all) == mostIncidents {
			return nil, nil, none, fmt.Errorf("there are more than %d incidents: name fewer services", mostIncidents)
		}
		duty, err := s.duty(ctx, a, i.Policy.ID, theirs, duties)
		if err != nil {
			return nil, nil, none, err
		}
		log, err := s.log(ctx, a, i.ID)
		if err != nil {
			return nil, nil, none, err
		}
		all = append(all, told{i, log, duty})
	}
	offset, _ = a.Offset() // by all answers
	events, gaps := []responders.Event{}, []gap(nil)
	for _, t := range all {
		one, err := s.read(ctx, a, t.incident, t.log, t.duty, offset)
		if err != nil {
			return nil, nil, none, err
		}
		events, gaps = append(events, one.events...), append(gaps, one.gaps...)
	}
	more, unsure := s.unmatched(offset, events)
	events, gaps = append(events, more...), append(gaps, unsure...)
	events = slices.DeleteFunc(events, func(e responders.Event) bool { return e.At.Hi.Before(span.Start) || e.At.Lo.After(span.End) })
	return events, gaps, offset, nil
}

// incidents returns those that were open at some time of a span of PagerDuty's clock. What is open is asked for first: an
// old incident that is resolved meanwhile would else be in neither list.
func (s *Source) incidents(ctx context.Context, a *follow.Asking, span clock.Span) ([]incident, error) {
	open, err := s.open(ctx, a)
	if err != nil {
		return nil, err
	}
	recent, err := s.between(ctx, a, span.Start.Add(-lookback), span.End)
	if err != nil {
		return nil, err
	}
	s.meet(open)
	by := map[string]incident{}
	for _, i := range append(open, recent...) { // the later answer is the newer one
		if i.Created.After(span.End) {
			continue
		}
		by[i.ID] = i
	}
	s.mu.Lock()
	met := maps.Clone(s.met)
	s.mu.Unlock()
	for id := range met {
		if _, listed := by[id]; listed {
			continue
		}
		var body struct {
			Incident *incident `json:"incident"`
		}
		if err := a.Get(ctx, "/incidents/"+id, nil, &body); err != nil {
			return nil, err
		}
		if body.Incident == nil {
			return nil, fmt.Errorf("GET /incidents/%s: the answer has no incident", id)
		}
		by[id] = *body.Incident
	}
	out := slices.Collect(maps.Values(by))
	slices.SortFunc(out, func(x, y incident) int {
		if c := x.Created.Compare(y.Created); c != 0 {
			return c
		}
		return slices.Compare([]byte(x.ID), []byte(y.ID))
	})
	return out, nil
}

// meet remembers incidents that were open, so that they are told of even when they are too old to be listed.
func (s *Source) meet(open []incident) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range open {
		if len(s.met) < mostIncidents {
			s.met[i.ID] = i
		}
	}
}

// duty returns the levels at which users are on call for a policy in a span of PagerDuty's clock. seen holds what was asked
// for already.
func (s *Source) duty(ctx context.Context, a *follow.Asking, policy string, span clock.Span, seen map[string]map[string][]int) (map[string][]int, error) {
	if levels, ok := seen[policy]; ok || policy == "" {
		return levels, nil
	}
	turns, err := s.turns(ctx, a, policy, span)
	if err != nil {
		return nil, err
	}
	levels := map[string][]int{}
	for _, t := range turns {
		if t.Level > 0 && t.Policy.ID == policy && !slices.Contains(levels[t.User.ID], t.Level) {
			levels[t.User.ID] = append(levels[t.User.ID], t.Level)
		}
	}
	seen[policy] = levels
	return levels, nil
}

// read makes events of one incident's log.
func (s *Source) read(ctx context.Context, a *follow.Asking, i incident, log []entry, duty map[string][]int, offset clock.Offset) (story, error) {
	labels, err := s.labelled(ctx, a, i, log)
	if err != nil {
		return story{}, err
	}
	if err := s.annotate(ctx, a, i.ID, log); err != nil {
		return story{}, err
	}
	w := &walk{source: s, incident: i, labels: labels, duty: duty, users: page.Names{}, placed: map[string]int{}, ours: func(t time.Time) clock.Interval {
		return offset.Ours(t.Local(), grain(t))
	}}
	for _, r := range i.Responders {
		w.know(r.User)
	}
	w.all(log)
	s.sharpen(w.out.events, offset)
	inOrder(w.out.events)
	w.joined()
	s.mu.Lock()
	expected := s.expected
	s.mu.Unlock()
	if label := page.Lacking(labels, expected); label != "" {
		w.out.gaps = append(w.out.gaps, gap{w.ours(i.Created),
			fmt.Sprintf("page %s has no label %s, so which alarm it is about cannot be told: say where it is with labels", i.ID, label)})
	}
	if !w.opened {
		w.out.gaps = append(w.out.gaps, gap{w.ours(i.Created), fmt.Sprintf("the log of page %s does not say how it was opened", i.ID)})
	}
	return w.out, nil
}

// inOrder makes use of the order of a log: nothing in it happened before what stands before it, however wide the seconds
// are, nor after what stands behind it.
func inOrder(events []responders.Event) {
	for i := 1; i < len(events); i++ {
		if before := events[i-1].At.Lo.Add(1); events[i].At.Lo.Before(before) {
			events[i].At.Lo = before
		}
	}
	for i := len(events) - 2; i >= 0; i-- {
		if after := events[i+1].At.Hi.Add(-1); events[i].At.Hi.After(after) {
			events[i].At.Hi = after
		}
	}
	for i := range events {
		events[i].At.Hi = laterOf(events[i].At.Hi, events[i].At.Lo) // two of one instant by a webhook
	}
}

// joined tells of those who were asked to join and did.
func (w *walk) joined() {
	for _, r := range w.incident.Responders {
		if r.State != "joined" || r.Updated.v.IsZero() || r.User.ID == "" {
			continue
		}
		kind := responders.Human
		if w.source.automatic(r.User) {
			kind = responders.Bot
		}
		w.out.events = append(w.out.events, responders.Event{Source: w.source.name, ID: "joined " + r.User.ID + " " + stamp(r.Updated.v), Page: w.incident.ID,
			Labels: w.labels, Kind: responders.Joined, At: w.ours(r.Updated.v), Actor: responders.Actor{ID: r.User.ID, Kind: kind},
			Team: w.incident.Service.ID, Grade: "A"})
	}
}

// labelled returns the labels of an incident's alarm. They do not change, so they are found once.
func (s *Source) labelled(ctx context.Context, a *follow.Asking, i incident, log []entry) (map[string]string, error) {
	s.mu.Lock()
	labels, ok := s.labels[i.ID]
	s.mu.Unlock()
	if ok {
		return labels, nil
	}
	k := known{Incident: i.raw}
	if n := slices.IndexFunc(log, func(e entry) bool { return e.Type == "trigger_log_entry" }); n >= 0 {
		k.Trigger = log[n].Channel
	}
	labels = labelsOf(k, i.Title, s.settings.labels)
	if len(labels) <= 1 { // the title alone
		alert, err := s.firstAlert(ctx, a, i.ID)
		if err != nil {
			return nil, err
		}
		k.Alert = alert
		labels = labelsOf(k, i.Title, s.settings.labels)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.labels) < 2*mostIncidents && k.Trigger != nil {
		s.labels[i.ID] = labels
	}
	return labels, nil
}

// firstAlert returns an incident's oldest alert; nil when it has none, as one that a person opened.
func (s *Source) firstAlert(ctx context.Context, a *follow.Asking, id string) ([]byte, error) {
	var body struct {
		Alerts *[]json.RawMessage `json:"alerts"`
	}
	err := a.Get(ctx, "/incidents/"+id+"/alerts", map[string][]string{"limit": {"1"}, "sort_by": {"created_at:asc"}}, &body)
	if err == nil && body.Alerts == nil {
		err = fmt.Errorf("GET /incidents/%s/alerts: the answer has no alerts", id)
	}
	if err != nil || len(*body.Alerts) == 0 {
		return nil, err
	}
	return (*body.Alerts)[0], nil
}

// grain is how finely a stamp is cut: whole seconds, unless it has more.
func grain(t time.Time) time.Duration {
	if t.Nanosecond() != 0 {
		return time.Millisecond
	}
	return time.Second
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
