// Package slack reads what people did in Slack: the rooms they opened, who joined, that and, if it is wanted, what they wrote, and
// how they reacted to an alarm's message. Slack pages nobody, and what it shows can be edited and deleted.
package slack

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/responders/internal/follow"
	"gameday/sources/web"
)

// Source is one workspace. Its methods may be called concurrently; Watch by one goroutine at a time.
type Source struct {
	name string
	settings
	api    *web.Client
	follow *follow.Follower
	memory *memory

	one   sync.Mutex // held by a look
	mu    sync.Mutex
	kinds map[string]responders.ActorKind // by user
	since time.Time                       // the earliest instant that was asked about
}

var (
	_ responders.Source  = (*Source)(nil)
	_ responders.Lasting = (*Source)(nil)
)

// New returns a source, named as in "slack.ops". It contacts nobody.
func New(name string, c Config) (*Source, error) {
	s, err := c.parse()
	if err != nil {
		return nil, err
	}
	api, err := web.New(s.options)
	if err != nil {
		return nil, err
	}
	src := &Source{name: name, settings: s, api: api, memory: newMemory(), kinds: map[string]responders.ActorKind{"USLACKBOT": responders.Bot}}
	src.follow = &follow.Follower{Name: name, Every: s.poll, Settle: s.settle, Read: src.read, Ask: func(ctx context.Context) (web.Reply, error) {
		_, reply, err := src.call(ctx, "auth.test", nil, nil)
		return reply, err
	}}
	return src, nil
}

// Watch emits what happens, as soon as it is seen, until ctx ends.
func (s *Source) Watch(ctx context.Context, emit func(responders.Event)) error {
	return s.follow.Watch(ctx, emit)
}

// History asks Slack for what happened in the span. Reactions have no time: they happened between two looks, or at any time since
// the message where nobody looked.
func (s *Source) History(ctx context.Context, span clock.Span) ([]responders.Event, responders.Coverage, error) {
	return s.follow.History(ctx, span)
}

// Lasting says that it tells the same after the run, and wherever it is asked.
func (s *Source) Lasting() {}

// Close lets go of idle connections.
func (s *Source) Close() { s.api.Close() }

const next = "Is the token that of the bot, and are its scopes those of docs/responders/slack.md?"

// Preflight checks the token, its scopes, the clock, and that each channel is there and can be read.
func (s *Source) Preflight(ctx context.Context) ([]responders.Finding, error) {
	offset, ok, err := s.follow.Measure(ctx)
	if err != nil {
		return s.follow.Failed(ctx, nil, err, next)
	}
	found := s.follow.Skew(offset, ok)
	var me struct {
		User string `json:"user_id"`
	}
	_, reply, err := s.call(ctx, "auth.test", nil, &me)
	if err != nil {
		return s.follow.Failed(ctx, found, err, next)
	}
	if lacks := s.lacking(reply.Header.Get("X-OAuth-Scopes")); len(lacks) > 0 {
		return append(found, responders.Finding{Blocks: true, Summary: s.name + " may not read what it must",
			Detail: "The token lacks " + strings.Join(lacks, ", ") + ". Add them under OAuth & Permissions, and install the app again."}), nil
	}
	if _, err := s.who(ctx, me.User); err != nil {
		return s.follow.Failed(ctx, found, err, next)
	}
	list, err := s.list(ctx)
	if err != nil {
		return s.follow.Failed(ctx, found, err, next)
	}
	return s.checkChannels(ctx, found, list)
}

// lacking returns the scopes that are needed and not in a list of those that the token has; nil when there is no list.
func (s *Source) lacking(has string) []string {
	if has == "" {
		return nil
	}
	var given []string
	for one := range strings.SplitSeq(has, ",") {
		given = append(given, strings.TrimSpace(one))
	}
	need := []string{"channels:read", "channels:history", "users:read"}
	if s.private {
		need = append(need, "groups:read", "groups:history")
	}
	if s.alarm != nil {
		need = append(need, "reactions:read")
	}
	if s.pins {
		need = append(need, "pins:read")
	}
	return slices.DeleteFunc(need, func(n string) bool { return slices.Contains(given, n) })
}

// checkChannels checks the channels that are read already before the run.
func (s *Source) checkChannels(ctx context.Context, found []responders.Finding, list []channel) ([]responders.Finding, error) {
	for _, pattern := range s.channels {
		if !slices.ContainsFunc(list, func(c channel) bool { return named(c.Name, []string{pattern}) }) {
			found = append(found, responders.Finding{Blocks: true, Summary: fmt.Sprintf("%s has no channel %s", s.name, pattern),
				Detail: "Is the name right? A private one is seen once the bot was invited to it."})
		}
	}
	read := 0
	for _, c := range list {
		if !named(c.Name, s.channels) {
			continue
		}
		if read++; read > mostChannels {
			return append(found, responders.Finding{Blocks: true, Summary: fmt.Sprintf("%s would read more than %d channels", s.name, mostChannels),
				Detail: "Name those alone that matter in this game day."}), nil
		}
		_, _, err := s.call(ctx, "conversations.history", url.Values{"channel": {c.ID}, "limit": {"1"}}, nil)
		if isCode(err, "not_in_channel", "channel_not_found") {
			found = append(found, responders.Finding{Blocks: true, Summary: "#" + c.Name + " cannot be read", Detail: err.Error() + "."})
			continue
		}
		if err != nil {
			return s.follow.Failed(ctx, found, err, next)
		}
	}
	return found, nil
}

// named reports whether a name is one of a list, or matches a pattern of it.
func named(name string, list []string) bool {
	return slices.ContainsFunc(list, func(p string) bool { ok, err := path.Match(p, name); return ok && err == nil })
}

// who says what a user is: a person, or a bot, which has a user too.
func (s *Source) who(ctx context.Context, user string) (responders.Actor, error) {
	a := responders.Actor{ID: user, Kind: responders.UnknownKind}
	if user == "" {
		return a, nil
	}
	if slices.Contains(s.automation, user) {
		a.Kind = responders.Bot
		return a, nil
	}
	s.mu.Lock()
	kind, known := s.kinds[user]
	s.mu.Unlock()
	if known {
		a.Kind = kind
		return a, nil
	}
	var u struct {
		User *struct {
			Bot *bool `json:"is_bot"`
		} `json:"user"`
	}
	_, _, err := s.call(ctx, "users.info", url.Values{"user": {user}}, &u)
	switch {
	case isCode(err, "user_not_found", "user_not_visible", "users_not_found"):
	case err != nil:
		return a, err
	case u.User != nil && u.User.Bot != nil && *u.User.Bot:
		a.Kind = responders.Bot
	case u.User != nil && u.User.Bot != nil:
		a.Kind = responders.Human
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kinds[user] = a.Kind
	return a, nil
}
