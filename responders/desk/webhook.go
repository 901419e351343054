package desk

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"gameday/clock"
	"gameday/responders"
)

const (
	mostAlerts = 1_000  // of one webhook
	mostPages  = 10_000 // of one desk
	mostKnown  = 50_000 // alarms remembered, so that a repetition opens no page
)

// webhook is what the desk reads of an Alertmanager webhook, version 4.
type webhook struct {
	Version string  `json:"version"`
	Alerts  []alarm `json:"alerts"`
}

// alarm is one alarm of a webhook.
type alarm struct {
	Status      string            `json:"status"` // firing or resolved
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	Fingerprint string            `json:"fingerprint"`
}

// decode reads and checks a webhook; its errors are for the sender.
func decode(body []byte) (*webhook, error) {
	var w webhook
	if err := json.Unmarshal(body, &w); err != nil {
		return nil, fmt.Errorf("the body is not an Alertmanager webhook: %w", err)
	}
	if w.Version != "4" {
		return nil, fmt.Errorf(`the desk reads Alertmanager webhooks of version "4", not %q`, w.Version)
	}
	if len(w.Alerts) == 0 {
		return nil, errors.New("the webhook has no alerts")
	}
	if len(w.Alerts) > mostAlerts {
		return nil, fmt.Errorf("the webhook has %d alerts, at most %d are read", len(w.Alerts), mostAlerts)
	}
	for i := range w.Alerts {
		a := &w.Alerts[i]
		if a.Status != "firing" && a.Status != "resolved" {
			return nil, fmt.Errorf(`alert %d has the status %q, not "firing" or "resolved"`, i, a.Status)
		}
		if len(a.Labels) == 0 {
			return nil, fmt.Errorf("alert %d has no labels", i)
		}
		if a.Fingerprint == "" {
			a.Fingerprint = fingerprint(a.Labels)
		}
	}
	return &w, nil
}

// fingerprint stands in for that of a sender that gives none.
func fingerprint(labels map[string]string) string {
	h := fnv.New64a()
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		h.Write([]byte(name + "\xff" + labels[name] + "\xff"))
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// identity is one firing of one alarm: repetitions and duplicates of a webhook share it.
type identity struct {
	fingerprint string
	starts      int64
}

// errFull says that the desk takes no more pages.
var errFull = fmt.Errorf("the desk has %d pages and takes no more", mostPages)

// receive opens and resolves pages. All pages of one webhook are opened at the same instant.
func (s *Source) receive(w *webhook) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var errs []error
	for _, a := range w.Alerts {
		who := identity{a.Fingerprint, a.StartsAt.UnixNano()}
		_, seen := s.known[who]
		open := s.openPage(a.Fingerprint)
		if len(s.known) < mostKnown {
			s.known[who] = struct{}{}
		}
		switch {
		case a.Status == "resolved" && open != nil:
			open.State = Resolved
			open.stop()
			s.record(open, responders.Event{Kind: responders.Resolved, At: clock.At(now), Level: open.Level,
				Actor: responders.Actor{ID: "webhook", Kind: responders.Integration}, Text: "the alarm is quiet again"})
		case a.Status == "resolved" || seen:
		case open != nil:
			// The alarm came back, or its sender was restarted, before anybody closed the page: it is the same page.
			s.record(open, responders.Event{Kind: responders.Noted, At: clock.At(now), Level: open.Level,
				Actor: responders.Actor{ID: "webhook", Kind: responders.Integration},
				Text:  "raised again, firing since " + a.StartsAt.Format(time.RFC3339)})
		case len(s.pages) == mostPages:
			delete(s.known, who)
			errs = append(errs, errFull)
		default:
			s.open(a, now)
		}
	}
	if len(errs) > 0 {
		s.refused += len(errs)
		return errs[0]
	}
	return nil
}

// open opens a page and tells the first level. The desk's lock is held.
func (s *Source) open(a alarm, now time.Time) {
	p := &page{Page: Page{ID: fmt.Sprint(len(s.pages) + 1), State: Open, Level: 1, OpenedAt: now, Labels: a.Labels,
		Notes: a.Annotations, Fingerprint: a.Fingerprint, StartsAt: a.StartsAt}}
	s.pages = append(s.pages, p)
	s.record(p, responders.Event{Kind: responders.Opened, At: clock.At(now), Level: 1,
		Actor: responders.Actor{ID: "webhook", Kind: responders.Integration}, Text: a.Annotations["summary"]})
	s.notify(p)
}

// openPage returns the unresolved page of an alarm. The desk's lock is held.
func (s *Source) openPage(fingerprint string) *page {
	for _, p := range slices.Backward(s.pages) {
		if p.Fingerprint == fingerprint && p.State != Resolved {
			return p
		}
	}
	return nil
}
