package jsm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/page"
	"gameday/sources/hook"
)

const (
	pageSize   = 100
	leastSize  = 20    // of a page that may be followed by another, whatever size was asked for
	mostAlerts = 1_000 // that are looked through
	mostRead   = 200   // whose logs are read
	mostPages  = 50    // of one log
)

// alert is one alert, as lists have it, with its labels once they are known.
type alert struct {
	ID      string `json:"id"`
	Tiny    string `json:"tinyId"`
	Message string `json:"message"`
	Created string `json:"createdAt"`
	By      string `json:"integrationName"`
	Status  string `json:"status"` // open or closed

	made   time.Time // theirs
	labels map[string]string
	team   string
}

// envelope is what lists come in: JSM writes values, and wrote data when it was Opsgenie.
type envelope[T any] struct {
	Values *[]T `json:"values"`
	Data   *[]T `json:"data"`
	Links  struct {
		Next string `json:"next"`
	} `json:"links"`
	Paging struct {
		Next string `json:"next"`
	} `json:"paging"`
}

// open decodes a list. An answer without one is an error.
func open[T any](body []byte, path string) (list []T, next string, err error) {
	var e envelope[T]
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, "", fmt.Errorf("GET %s: the answer is not whole, or not as expected: %w", path, err)
	}
	next = e.Links.Next
	if next == "" {
		next = e.Paging.Next
	}
	switch {
	case e.Values != nil:
		return *e.Values, next, nil
	case e.Data != nil:
		return *e.Data, next, nil
	}
	return nil, "", fmt.Errorf("GET %s: the answer has no list", path)
}

// errMoved says that a list changed while it was read.
var errMoved = errors.New("the list of alerts changed while it was read: ask again")

// alerts returns those that were created in a span of JSM's time.
func (s *Source) alerts(ctx context.Context, span clock.Span) ([]*alert, error) {
	list, err := s.walk(ctx, span)
	if errors.Is(err, errMoved) { // something was deleted; once that is no reason to give up
		list, err = s.walk(ctx, span)
	}
	return list, err
}

// walk reads the pages of the list, newest first. Each begins with the last alert of the page before, so that none is lost between
// them.
func (s *Source) walk(ctx context.Context, span clock.Span) ([]*alert, error) {
	var out []*alert
	seen := map[string]bool{}
	last := ""
	sorted, before := true, time.Time{}
	for {
		q := url.Values{"size": {strconv.Itoa(pageSize)}, "sort": {"createdAt"}, "order": {"desc"}, "offset": {strconv.Itoa(max(0, len(seen)-1))}}
		if s.query != "" {
			q.Set("query", s.query)
		}
		reply, err := s.api.Get(ctx, s.base+"/alerts", q)
		if err != nil {
			return nil, err
		}
		list, next, err := open[alert](reply.Body, s.base+"/alerts")
		if err != nil {
			return nil, err
		}
		if last != "" && !slices.ContainsFunc(list, func(a alert) bool { return a.ID == last }) {
			return nil, errMoved
		}
		fresh := 0
		for _, a := range list {
			if a.ID == "" {
				return nil, errors.New("an alert has no id")
			}
			if a.made, err = instant(a.Created); err != nil {
				return nil, fmt.Errorf("alert %s: %w", a.ID, err)
			}
			sorted = sorted && (before.IsZero() || !a.made.After(before))
			before = a.made
			if last = a.ID; seen[a.ID] {
				continue
			}
			seen[a.ID] = true
			fresh++
			if !a.made.Before(span.Start) && !a.made.After(span.End) {
				out = append(out, &a)
			}
		}
		switch {
		case len(list) < leastSize && next == "", fresh == 0 && next == "":
			return out, nil
		case sorted && before.Before(span.Start):
			return out, nil
		case fresh == 0:
			return nil, errors.New("the pages of the list of alerts go round")
		case len(seen) >= mostAlerts:
			return nil, fmt.Errorf("there are more than %d alerts: narrow them with query, or set lookback shorter", mostAlerts)
		}
	}
}

// detail completes an alert by its labels, once.
func (s *Source) detail(ctx context.Context, a *alert) error {
	s.mu.Lock()
	labels, ok := s.labels[a.ID]
	s.mu.Unlock()
	if ok {
		a.labels = labels
		return nil
	}
	reply, err := s.api.Get(ctx, s.base+"/alerts/"+url.PathEscape(a.ID), nil)
	if err != nil {
		return err
	}
	var d struct {
		ID          string         `json:"id"`
		Description string         `json:"description"`
		Extra       map[string]any `json:"extraProperties"`
		Details     map[string]any `json:"details"`
	}
	if err := json.Unmarshal(reply.Body, &d); err != nil || d.ID != a.ID {
		return fmt.Errorf("alert %s: the answer is not whole, or not as expected: %w", a.ID, errors.Join(err))
	}
	a.labels = map[string]string{}
	for _, from := range []map[string]any{d.Details, d.Extra} {
		for name, value := range from {
			if text, ok := value.(string); ok {
				a.labels[name] = text
			}
		}
	}
	for name, value := range page.Labels(reply.Body, s.paths, d.Description) {
		a.labels[name] = value
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.labels) < 10*mostAlerts {
		s.labels[a.ID] = a.labels
	}
	return nil
}

// entry is a line of a log, or a note, by the names that JSM and Opsgenie have for their parts.
type entry struct {
	Log     *string `json:"log"`
	Note    *string `json:"note"`
	Owner   string  `json:"owner"`
	Time    string  `json:"logTime"`
	Created string  `json:"createdAt"`
	ID      string  `json:"id"`
	Offset  string  `json:"offset"`
}

// entries returns all of an alert's logs, or notes, in order.
func (s *Source) entries(ctx context.Context, a *alert, what string) ([]line, error) {
	path := s.base + "/alerts/" + url.PathEscape(a.ID) + "/" + what
	var out []line
	seen := map[string]bool{}
	ask := func(next, offset string) ([]entry, string, error) {
		if next != "" {
			reply, err := s.api.Follow(ctx, next)
			if err != nil {
				return nil, "", err
			}
			return open[entry](reply.Body, path)
		}
		q := url.Values{"size": {strconv.Itoa(pageSize)}, "order": {"asc"}}
		if offset != "" {
			q.Set("offset", offset)
		}
		reply, err := s.api.Get(ctx, path, q)
		if err != nil {
			return nil, "", err
		}
		return open[entry](reply.Body, path)
	}
	next, offset := "", ""
	for range mostPages {
		list, further, err := ask(next, offset)
		if err != nil {
			return nil, err
		}
		fresh := 0
		for _, e := range list {
			l, err := s.line(e)
			if err != nil {
				return nil, fmt.Errorf("%s of alert %s: %w", what, a.ID, err)
			}
			if !seen[l.id] {
				seen[l.id] = true
				out = append(out, l)
				fresh++
			}
			offset = e.Offset
		}
		switch {
		case fresh == 0, further == "" && len(list) < leastSize:
			return sorted(out), nil
		case further == "" && offset == "":
			return nil, fmt.Errorf("%s of alert %s: there may be more, and the answer does not say where", what, a.ID)
		}
		next = further
	}
	return nil, fmt.Errorf("%s of alert %s: there are more than %d pages", what, a.ID, mostPages)
}

func sorted(list []line) []line {
	slices.SortStableFunc(list, func(a, b line) int { return a.at.Lo.Compare(b.at.Lo) })
	return list
}

// line reads one entry.
func (s *Source) line(e entry) (line, error) {
	text, stamp, id := e.Log, e.Time, e.ID
	if text == nil {
		text = e.Note
	}
	if stamp == "" {
		stamp = e.Created
	}
	if text == nil {
		return line{}, errors.New("a line has no text")
	}
	at, err := instant(stamp)
	if err != nil {
		return line{}, err
	}
	if id == "" {
		id = e.Offset
	}
	if id == "" {
		id = stamp + " " + e.Owner + " " + *text
	}
	return line{id: id, text: *text, owner: e.Owner, at: s.follow.Ours(at, time.Millisecond)}, nil
}

// instant reads a time of JSM's.
func instant(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return hook.Instant(text)
}

// onCall returns the account ids of who is on call in a schedule.
func (s *Source) onCall(ctx context.Context, schedule string) ([]string, error) {
	path := s.base + "/schedules/" + url.PathEscape(schedule) + "/on-calls"
	reply, err := s.api.Get(ctx, path, url.Values{"flat": {"true"}})
	if err != nil {
		return nil, err
	}
	type answer struct {
		Users      *[]string `json:"onCallUsers"`
		Recipients *[]string `json:"onCallRecipients"` // as it was in Opsgenie
	}
	var a struct {
		answer
		Data *answer `json:"data"`
	}
	if err := json.Unmarshal(reply.Body, &a); err != nil {
		return nil, fmt.Errorf("GET %s: the answer is not whole, or not as expected: %w", path, err)
	}
	for _, one := range []*answer{&a.answer, a.Data} {
		switch {
		case one == nil:
		case one.Users != nil:
			return *one.Users, nil
		case one.Recipients != nil:
			return *one.Recipients, nil
		}
	}
	return nil, fmt.Errorf("GET %s: the answer does not say who is on call", path)
}

var _ responders.Roster = (*Source)(nil)
