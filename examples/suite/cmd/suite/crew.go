package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// crew are two people who need each other: the lead is on call and hears of what breaks, the expert knows the remedy and hears of
// nothing unless somebody says it where both are. That is the chat, or a call, if they have agreed on one.
type crew struct {
	desk, chat string // URLs
	remedy     string // URL to POST to, which helps the service
	lead       string
	expert     string
	bridge     bool          // they open a call when the chat does not answer
	pace       time.Duration // between two things that one of them does
	client     *http.Client
	log        *slog.Logger

	mu     sync.Mutex
	called map[string]bool     // pages about which the lead has called the expert
	met    map[string]bool     // pages that the expert has come to
	done   map[string]crewStep // pages that the lead has seen, and how far the lead is
}

// crewStep is how far a lead is with a page.
type crewStep int

const (
	crewPaged        crewStep = iota // to be acknowledged
	crewAcknowledged                 // the expert is still to be found
	crewGathered                     // the expert was told
)

// crewRole plays both until ctx ends.
func crewRole(ctx context.Context, args []string, log io.Writer) error {
	c, err := parseCrew(args, log)
	if err != nil {
		return err
	}
	var both sync.WaitGroup
	both.Go(func() { c.every(ctx, c.look) })
	both.Go(func() { c.every(ctx, c.listen) })
	both.Wait()
	return nil
}

func parseCrew(args []string, log io.Writer) (*crew, error) {
	c := &crew{client: &http.Client{Timeout: time.Second}, log: slog.New(slog.NewTextHandler(log, nil)),
		called: map[string]bool{}, met: map[string]bool{}, done: map[string]crewStep{}}
	flags := flag.NewFlagSet("crew", flag.ContinueOnError)
	flags.StringVar(&c.desk, "desk", "http://gameday:9911", "URL of the paging desk")
	flags.StringVar(&c.chat, "chat", "http://chat:9404", "URL of the chat")
	flags.StringVar(&c.remedy, "remedy", "http://shelf:9401/later", "URL that the expert posts to, to help the service")
	flags.StringVar(&c.lead, "lead", "ann", "who is on call")
	flags.StringVar(&c.expert, "expert", "bob", "who knows what to do")
	without := flags.String("without-chat", "wait", "what they do when the chat does not answer: bridge opens a call, wait tries the chat again")
	flags.DurationVar(&c.pace, "pace", 400*time.Millisecond, "time between two things that one of them does")
	if err := parse(flags, args, log); err != nil {
		return nil, err
	}
	for _, text := range []string{c.desk, c.chat, c.remedy} {
		if u, err := url.Parse(text); err != nil || u.Scheme != "http" || u.Host == "" {
			return nil, &usageError{fmt.Sprintf("%q is not an http URL", text)}
		}
	}
	c.bridge = *without == "bridge"
	switch {
	case !c.bridge && *without != "wait":
		return nil, &usageError{fmt.Sprintf("-without-chat is bridge or wait, not %q", *without)}
	case c.lead == "" || c.expert == "" || c.lead == c.expert:
		return nil, &usageError{"-lead and -expert are two names"}
	case c.pace < 10*time.Millisecond:
		return nil, &usageError{"-pace must be at least 10ms, to leave the desk in peace"}
	}
	return c, nil
}

// every does something again and again until ctx ends.
func (c *crew) every(ctx context.Context, do func(context.Context)) {
	tick := time.NewTicker(c.pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do(ctx)
		}
	}
}

// deskPage is a page as the desk lists it.
type deskPage struct {
	ID     string `json:"id"`
	State  string `json:"state"` // open, acknowledged, resolved
	Events []struct {
		Kind    string   `json:"kind"`
		Targets []string `json:"targets"`
	} `json:"events"`
}

// told reports whether the desk has told somebody of the page.
func (p deskPage) told(who string) bool {
	for _, e := range p.Events {
		if e.Kind == "notified" && slices.Contains(e.Targets, who) {
			return true
		}
	}
	return false
}

// look is the lead's: one step for each page that is theirs.
func (c *crew) look(ctx context.Context) {
	var pages []deskPage
	if err := c.read(ctx, c.desk+"/pages", &pages); err != nil {
		return // the desk may come later
	}
	for _, p := range pages {
		if p.State != "resolved" && p.told(c.lead) {
			c.proceed(ctx, p.ID)
		}
	}
}

// proceed takes the lead's next step about a page.
func (c *crew) proceed(ctx context.Context, id string) {
	c.mu.Lock()
	at := c.done[id]
	c.mu.Unlock()
	switch at {
	case crewPaged:
		if c.act(ctx, id, "acknowledge", c.lead, "", "") {
			c.reach(id, crewAcknowledged)
		}
	case crewAcknowledged:
		if c.write(ctx, id) {
			c.act(ctx, id, "channel", c.lead, channelOf(id), "chat")
			c.reach(id, crewGathered)
			return
		}
		if !c.bridge {
			return // and tries again, for there is nothing else
		}
		if c.act(ctx, id, "bridge", c.lead, "", "phone") {
			c.mu.Lock()
			c.called[id] = true
			c.mu.Unlock()
			c.reach(id, crewGathered)
		}
	}
}

func (c *crew) reach(id string, s crewStep) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done[id] = s
}

// channelOf names the channel about a page.
func channelOf(id string) string { return "incident-" + id }

// write asks for the expert in the chat.
func (c *crew) write(ctx context.Context, id string) bool {
	err := c.send(ctx, c.chat+"/channels/"+channelOf(id), said{By: c.lead, Text: "@" + c.expert + ": prices do not come"})
	if err != nil {
		c.log.Warn("the chat does not answer", "person", c.lead, "error", err)
	}
	return err == nil
}

// listen is the expert's: whoever calls, or asks in the chat, is helped.
func (c *crew) listen(ctx context.Context) {
	c.mu.Lock()
	called := []string{}
	for id := range c.called {
		if !c.met[id] {
			called = append(called, id)
		}
	}
	c.mu.Unlock()
	for _, id := range called {
		c.help(ctx, id, "bridge")
	}
	var channels []string
	if c.read(ctx, c.chat+"/channels", &channels) != nil {
		return
	}
	for _, name := range channels {
		id, incident := strings.CutPrefix(name, channelOf(""))
		c.mu.Lock()
		met := c.met[id]
		c.mu.Unlock()
		var messages []said
		if !incident || met || c.read(ctx, c.chat+"/channels/"+name, &messages) != nil {
			continue
		}
		if slices.ContainsFunc(messages, func(m said) bool { return strings.Contains(m.Text, "@"+c.expert) }) {
			c.help(ctx, id, "chat")
		}
	}
}

// help is what the expert does about a page: joins, and applies the remedy.
func (c *crew) help(ctx context.Context, id, by string) {
	if !c.act(ctx, id, "join", c.expert, "expert", by) {
		return
	}
	if err := c.send(ctx, c.remedy, struct{}{}); err != nil {
		c.log.Warn("the remedy did not get through", "person", c.expert, "error", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.met[id] = true
}

// act does something about a page at the desk. It returns false when that did not work.
func (c *crew) act(ctx context.Context, id, verb, by, text, channel string) bool {
	err := c.send(ctx, c.desk+"/pages/"+url.PathEscape(id)+"/"+verb, map[string]string{"by": by, "text": text, "channel": channel})
	if err != nil {
		c.log.Warn("the desk did not take it", "person", by, "what", verb, "error", err)
		return false
	}
	c.log.Info("done", "person", by, "page", id, "what", verb)
	return true
}

// read asks for JSON.
func (c *crew) read(ctx context.Context, from string, v any) error {
	return c.do(ctx, http.MethodGet, from, nil, v)
}

// send posts JSON.
func (c *crew) send(ctx context.Context, to string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, to, body, nil)
}

// do makes one request, and decodes a good answer into v unless it is nil.
func (c *crew) do(ctx context.Context, method, where string, body []byte, v any) error {
	code, got, err := ask(ctx, c.client, method, where, body)
	switch {
	case err != nil:
		return err
	case code/100 != 2:
		return fmt.Errorf("status %d: %s", code, bytes.TrimSpace(got[:min(len(got), 200)]))
	case v == nil:
		return nil
	}
	return json.Unmarshal(got, v)
}
