// Package cloudwatch reads alarms from Amazon CloudWatch: what happened and which actions were carried out from their history, what
// stands now from their state. It alone imports AWS's SDK, which signs what it asks.
package cloudwatch

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"

	"gameday/alarms"
	"gameday/alarms/internal/fold"
	"gameday/alarms/internal/poll"
	"gameday/clock"
	"gameday/sources/looks"
)

// Source is the alarms of one region of an account. Its methods may be called concurrently; Watch by one goroutine at a time.
type Source struct {
	name   string
	config Config
	settings
	backoff time.Duration // between two tries, instead of the SDK's own; for tests

	wanted  poll.Wanted
	clock   poll.Clock
	account *looks.Account
	memory  fold.Memory

	mu     sync.Mutex
	sdk    *cloudwatch.Client
	probes []clock.Probe // since the clock was measured last
}

var _ alarms.Source = (*Source)(nil)

// New returns a source, named as in "cloudwatch.main". It contacts nobody, and reads no file yet. noise are the labels of the alarms
// to report although nobody expects them; nil for none.
func New(name string, c Config, noise map[string]string) (*Source, error) {
	set, err := c.parse()
	if err != nil {
		return nil, err
	}
	c.Pages, c.NoDataIsQuiet = slices.Clone(c.Pages), slices.Clone(c.NoDataIsQuiet)
	s := &Source{name: name, config: c, settings: set, account: looks.New(set.poll)}
	s.wanted.Noise = noise
	return s, nil
}

// measure takes the clock from the answers since it was measured last.
func (s *Source) measure() (o clock.Offset, told bool) {
	s.mu.Lock()
	probes := s.probes
	s.probes = nil
	s.mu.Unlock()
	return s.clock.Take(probes, time.Second)
}

// quietWithoutData reports whether an alarm has no data when all is well.
func (s *Source) quietWithoutData(name string) bool {
	return slices.Contains(s.config.NoDataIsQuiet, name)
}

// names returns the names of the expected alarms; nil when all alarms matter.
func (s *Source) names() []string {
	if len(s.wanted.Noise) > 0 {
		return nil
	}
	var out []string
	for _, e := range s.wanted.Expected() {
		name := e.Match[alertName]
		if name == "" {
			return nil
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// Watch looks at the alarms until ctx ends, and emits what changed.
func (s *Source) Watch(ctx context.Context, emit func(alarms.Observation)) error {
	w := poll.Watch{Every: s.poll, Account: s.account, Memory: &s.memory, Look: s.look}
	return w.Run(ctx, emit)
}

// look looks once.
func (s *Source) look(ctx context.Context) (poll.Look, error) {
	list, err := s.alarms(ctx, s.names())
	if err != nil {
		return poll.Look{}, err
	}
	if len(s.clockProbes()) > 100 { // one for each look
		s.measure()
	}
	l := poll.Look{Received: time.Now()}
	unseen := map[string]bool{}
	for _, e := range s.wanted.Expected() {
		if mine, wrong := s.judge(e, list); wrong != nil {
			l.Wrong = wrong.String()
			unseen[e.Match[alertName]] = true
			for _, a := range mine {
				unseen[a.name] = true
			}
		}
	}
	l.Holds = func(labels map[string]string) bool { return unseen[labels[alertName]] }
	l.Standing = s.standing(list)
	return l, nil
}

func (s *Source) clockProbes() []clock.Probe {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.probes
}

// standing returns the alarms that stand now.
func (s *Source) standing(list []alarm) []poll.Standing {
	var out []poll.Standing
	for _, a := range list {
		state, _ := s.parseState(a.state, a.name)
		if state != alarms.StateFiring || !s.wanted.Wants(a.labels) {
			continue
		}
		one := poll.Standing{Key: fold.Key(a.labels), Labels: a.labels, Notes: a.notes(), State: state}
		if !a.since.IsZero() {
			one.Fired = s.clock.Offset().Ours(a.since, time.Millisecond)
		}
		if why := a.held(); why != "" {
			one.State, one.Why = alarms.StateSuppressed, why
		}
		out = append(out, one)
	}
	return out
}

// notes returns what an alarm says of itself.
func (a alarm) notes() map[string]string {
	if a.description == "" {
		return nil
	}
	return map[string]string{"description": a.description}
}

// held says why an alarm's actions are not carried out; empty when they are.
func (a alarm) held() string {
	switch {
	case a.actionsOff:
		return "its actions are switched off"
	case a.suppressed != "":
		return "its actions are held back by " + a.suppressed
	}
	return ""
}

// problem says why an expected alarm could not be seen.
type problem struct {
	summary, detail string
	missing         bool
}

func (p *problem) String() string { return p.summary + ". " + p.detail }

// judge says what is wrong with an expected alarm, nil when nothing is, and returns the alarms that it may be.
func (s *Source) judge(e alarms.Expectation, list []alarm) ([]alarm, *problem) {
	var mine []alarm
	named := false
	for _, a := range list {
		if e.Match[alertName] == "" || e.Match[alertName] == a.name {
			named = true
			if e.Matches(a.labels) {
				mine = append(mine, a)
			}
		}
	}
	switch {
	case len(mine) == 0 && named:
		return nil, &problem{missing: true, summary: fmt.Sprintf("the alarm %s can never have the labels expected", e.Match[alertName]),
			detail: "Its labels are its name, its region, its account and its dimensions. Change match in the scenario."}
	case len(mine) == 0:
		return nil, &problem{missing: true, summary: fmt.Sprintf("no alarm is named %s", e.Match[alertName]),
			detail: "A composite alarm is shown only to those who have cloudwatch:DescribeAlarms on *. Is the region right?"}
	}
	for _, a := range mine {
		if a.evaluation != "" {
			return mine, &problem{summary: fmt.Sprintf("the alarm %s is not evaluated well", a.name),
				detail: fmt.Sprintf("CloudWatch says %s: mend its query.", a.evaluation)}
		}
		if state, why := s.parseState(a.state, a.name); state == alarms.StateBroken {
			return mine, &problem{summary: fmt.Sprintf("the alarm %s cannot tell: %s", a.name, why),
				detail: fmt.Sprintf("That is no sign that all is well. Does its metric come in? If no data means that all is well, say no_data_is_quiet = [%q].", a.name)}
		}
	}
	return mine, nil
}
