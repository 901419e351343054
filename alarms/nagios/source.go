// Package nagios takes alarms from a Nagios 4 by its JSON CGIs: what happened from the archive of its log, to the second, and what
// the log does not tell from looks at its status. The CGIs' answers were measured with version 4.4.6.
package nagios

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/sources/looks"
	"gameday/sources/web"
)

// Source is one Nagios. Its methods may be called concurrently; Watch by one goroutine at a time.
type Source struct {
	name         string
	noise        map[string]string
	labels       map[string]string
	poll, update time.Duration
	api          *web.Client
	account      *looks.Account

	mu       sync.Mutex
	expected []alarms.Expectation
	offset   clock.Offset
	known    map[string]map[string]string // key → labels
	notes    map[string]map[string]string // key → annotations
	started  int64                        // of Nagios' program, as it says
	updated  clock.Interval               // when it wrote its status last
	cuts     []looks.Fault                // restarts, at which the log has holes
	begun    map[string][]clock.Interval  // key → when problems began, by looks
	held     []holding
}

// holding is something that a look found a page held back by.
type holding struct {
	key, why string
	at       clock.Interval
}

var _ alarms.Source = (*Source)(nil)

// New returns a source, named as in "nagios.main". noise are the labels of the alarms to report although nobody expects
// them; nil for none.
func New(name string, c Config, noise map[string]string) (*Source, error) {
	o, poll, update, err := c.parse()
	if err != nil {
		return nil, err
	}
	api, err := web.New(o)
	if err != nil {
		return nil, err
	}
	return &Source{name: name, noise: maps.Clone(noise), labels: maps.Clone(c.Labels), poll: poll, update: update, api: api,
		account: looks.New(max(poll, update)), begun: map[string][]clock.Interval{}}, nil
}

// Close lets go of idle connections.
func (s *Source) Close() { s.api.Close() }

// wanted returns the labels of a host or service; nil when it is neither expected nor noise. Without either, every one is wanted.
func (s *Source) wanted(key string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	labels := s.known[key]
	if labels == nil {
		return nil
	}
	for _, e := range s.expected {
		if e.Matches(labels) {
			return labels
		}
	}
	if len(s.expected) == 0 && len(s.noise) == 0 || alarms.Match(s.noise, labels) {
		return labels
	}
	return nil
}

const (
	skewWorthSaying = 2 * time.Second
	skewTooLarge    = 60 * time.Second
)

// Preflight checks that the CGIs answer, the clock, that the status is fresh, and that what each expected alarm is about is there, is checked,
// is well, and would page somebody.
func (s *Source) Preflight(ctx context.Context, expected []alarms.Expectation) ([]alarms.Finding, error) {
	s.mu.Lock()
	s.expected = slices.Clone(expected)
	s.mu.Unlock()
	offset, err := s.measure(ctx)
	var all map[string]thing
	var m meta
	if err == nil {
		err = s.configured(ctx)
	}
	if err == nil {
		all, m, err = s.status(ctx)
	}
	if err == nil {
		_, _, err = s.archive(ctx, clock.Span{Start: time.Now().Add(-time.Minute), End: time.Now()})
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return []alarms.Finding{{Blocks: true, Summary: s.name + " does not answer", Detail: fmt.Sprintf("%v. Is url the folder of archivejson.cgi?", err)}}, nil
	}
	var out []alarms.Finding
	if by := offset.Ahead.Abs(); by-offset.Err > skewWorthSaying {
		out = append(out, alarms.Finding{Blocks: by > skewTooLarge, Summary: fmt.Sprintf("the clock of %s is %s off this machine's", s.name, by.Round(time.Second)),
			Detail: "Synchronise both clocks with NTP."})
	}
	if age := moment(m.Now).Sub(moment(m.Updated)); age > 3*s.update {
		out = append(out, alarms.Finding{Blocks: true, Summary: fmt.Sprintf("%s has not written its status for %s", s.name, age),
			Detail: "Is Nagios running? If its status_update_interval is longer than " + s.update.String() + ", say so in the block."})
	}
	for _, e := range expected {
		found := false
		for _, k := range slices.Sorted(maps.Keys(all)) {
			if labels := s.wanted(k); labels != nil && e.Matches(labels) {
				found = true
				out = append(out, stands(e.Name, k, all[k])...)
			}
		}
		if !found {
			out = append(out, alarms.Finding{Blocks: true, Summary: fmt.Sprintf("no host or service of %s has the labels of alarm %s", s.name, e.Name),
				Detail: "Either there is none, or the user may not see it: Nagios answers both alike, so whether it is missed could not be told. The labels are " +
					"alertname (the display name), host, service, type and those of the block's labels; authorized_for_all_services and authorized_for_all_hosts in cgi.cfg let the user see all."})
		}
	}
	return out, nil
}

// stands reports what makes a host or service unfit for a run.
func stands(alarm, key string, t thing) []alarms.Finding {
	var out []alarms.Finding
	add := func(blocks bool, summary, detail string) {
		out = append(out, alarms.Finding{Blocks: blocks, Summary: "alarm " + alarm + ": " + key + " " + summary, Detail: detail})
	}
	if !t.well() {
		add(true, "is "+t.Status+" already", "What this run does could not be told from it: wait until it is well.")
	}
	if t.Status == "pending" {
		add(true, "was never checked", "Its state is not known yet: wait for its first check.")
	}
	if t.Depth > 0 || t.Acked || t.Flaps {
		add(true, "would page nobody", "It is held back by "+t.held()+".")
	} else if !t.Tells {
		add(false, "would page nobody", "Its notifications are disabled.")
	}
	if !t.Active && !t.Passive {
		add(true, "is not checked", "Both active and passive checks of it are disabled.")
	} else if !t.Active {
		add(false, "is checked by others alone", "Active checks of it are disabled: it changes when somebody submits a result.")
	}
	return out
}
