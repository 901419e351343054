// Package icinga2 takes alarms from an Icinga 2: a host or service that is not well, pending while its state is soft and
// firing once it is hard. Acknowledgements and most of the story are forgotten at recovery, so what is reported is what the
// stream of events told while Watch followed it.
package icinga2

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/clock"
	source "gameday/sources/icinga2"
)

// Source is one Icinga 2. Its methods may be called concurrently; Watch by one goroutine at a time.
type Source struct {
	name    string
	noise   map[string]string
	client  *source.Client
	watcher *source.Watcher
	options source.Options
	memory  fold.Memory

	mu       sync.Mutex
	expected []alarms.Expectation
	notes    map[string]map[string]string // key → annotations
}

var _ alarms.Source = (*Source)(nil)

// New returns a source, named as in "icinga2.main". noise are the labels of the alarms to report although nobody expects
// them; nil for none.
func New(name string, c Config, noise map[string]string) (*Source, error) {
	options, err := c.settings().Parse()
	if err != nil {
		return nil, err
	}
	client, err := source.NewClient(options)
	if err != nil {
		return nil, err
	}
	return &Source{name: name, noise: maps.Clone(noise), client: client, watcher: source.NewWatcher(client, false), options: options,
		notes: map[string]map[string]string{}}, nil
}

// selection returns what is of interest.
func (s *Source) selection() source.Selection {
	s.mu.Lock()
	defer s.mu.Unlock()
	matches := []map[string]string{s.noise}
	for _, e := range s.expected {
		matches = append(matches, e.Match)
	}
	return source.Select(matches...)
}

// wanted reports whether an alarm with these labels is expected or is noise. Without either, every alarm is wanted.
func (s *Source) wanted(labels map[string]string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.expected {
		if e.Matches(labels) {
			return true
		}
	}
	return len(s.expected) == 0 && len(s.noise) == 0 || alarms.Match(s.noise, labels)
}

// Preflight checks that the server answers and may be read, its clock, that its stream can be opened, and that what each
// expected alarm is about is there, is checked, is well, and would page somebody.
func (s *Source) Preflight(ctx context.Context, expected []alarms.Expectation) ([]alarms.Finding, error) {
	s.mu.Lock()
	s.expected = slices.Clone(expected)
	s.mu.Unlock()
	read, found, err := s.watcher.Check(ctx, s.name)
	if err != nil {
		return nil, err
	}
	out := convert(found)
	if read == nil {
		return out, nil
	}
	for _, e := range expected {
		all := read.Find(e.Match)
		if len(all) == 0 {
			out = append(out, absent(s.name, e, read))
		}
		for _, c := range all {
			out = append(out, convert(read.Stands(e.Name, c, e.Match))...)
			if why := read.Pages(c); why != "" {
				out = append(out, alarms.Finding{Summary: fmt.Sprintf("alarm %s would page nobody", e.Name), Detail: c.Name + ": " + why + "."})
			}
		}
	}
	if read.Notifications == nil {
		out = append(out, alarms.Finding{Summary: "whether " + s.name + " would tell anybody was not looked at",
			Detail: "Its API user may not read notifications: add objects/query/Notification and objects/query/User to its permissions."})
	}
	return out, nil
}

func convert(found []source.Finding) []alarms.Finding {
	var out []alarms.Finding
	for _, f := range found {
		out = append(out, alarms.Finding{Blocks: f.Blocks, Summary: f.Summary, Detail: f.Detail})
	}
	return out
}

// absent reports an alarm that nothing can raise. Where something is hidden from the API user, nobody knows.
func absent(name string, e alarms.Expectation, read *source.Checked) alarms.Finding {
	f := alarms.Finding{Summary: fmt.Sprintf("no host or service of %s has the labels of alarm %s", name, e.Name), Absent: e.Name,
		Detail: "The labels are alertname (the display name), host, service, type (host or service), and those of the block's labels. " +
			"Correct match in the scenario, or add the object."}
	for _, label := range slices.Sorted(maps.Keys(e.Match)) {
		if len(read.Find(map[string]string{label: e.Match[label]})) == 0 && label != source.LabelState {
			f.Detail = fmt.Sprintf("None has %s = %q. ", label, e.Match[label]) + f.Detail
			break
		}
	}
	if read.Hidden {
		f.Absent, f.Blocks = "", true
		f.Detail = "The API user may see only some hosts and services, so it may be hidden. " + f.Detail
	}
	return f
}

// Watch follows the event stream until ctx ends.
func (s *Source) Watch(ctx context.Context, emit func(alarms.Observation)) error {
	f := &follower{source: s, selection: s.selection(), held: map[string]*held{}, emit: func(o alarms.Observation) {
		s.memory.Add(o)
		emit(o)
	}}
	s.watcher.Follow(ctx, f.selection, f)
	return nil
}

// History returns the episodes that the stream told of, and when it was there and nothing can have been missed.
func (s *Source) History(ctx context.Context, span clock.Span) ([]alarms.Episode, alarms.Coverage, error) {
	c := alarms.Coverage{Resolution: s.options.Poll(), Offset: s.watcher.Offset()}
	c.Spans, c.Why = s.watcher.Covered(ctx, span)
	s.mu.Lock()
	notes := maps.Clone(s.notes)
	s.mu.Unlock()
	episodes := []alarms.Episode{}
	for _, e := range s.memory.Episodes(s.name) {
		if fold.Overlaps(e, span) {
			e.Notes = notes[e.Key]
			episodes = append(episodes, e)
		}
	}
	if s.memory.Lost() > 0 {
		c.Spans = []clock.Span{}
		c.Why = append(c.Why, "more changes were seen than are kept: expect or watch for less")
	}
	return episodes, c, nil
}

// Close lets go of idle connections.
func (s *Source) Close() { s.client.Close() }
