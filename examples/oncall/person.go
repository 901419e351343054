package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"
)

// person answers pages by a script.
type person struct {
	script
	desk *paging
	log  *slog.Logger
	// due holds what is still to be done about each page that notified this person.
	due  map[string][]step
	deaf bool // the desk did not answer the last time
}

// step is one thing to do about a page, and when.
type step struct {
	at   time.Time
	verb string
	text string
}

func newPerson(s script, d *paging, log *slog.Logger) *person {
	return &person{script: s, desk: d, log: log, due: map[string][]step{}}
}

// watch looks at the desk again and again until ctx ends. A desk that does not answer is asked again: the person may
// well be there before the desk.
func (p *person) watch(ctx context.Context) {
	tick := time.NewTicker(p.poll)
	defer tick.Stop()
	for {
		p.look(ctx, time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look lists the pages once and does what is due by now.
func (p *person) look(ctx context.Context, now time.Time) {
	pages, err := p.desk.pages(ctx)
	if err != nil {
		if !p.deaf && ctx.Err() == nil {
			p.log.Warn("the desk does not answer, trying on", "error", err)
		}
		p.deaf = true
		return
	}
	p.deaf = false
	p.forget(pages)
	for _, g := range pages {
		if !g.notified(p.person) || g.State == stateResolved {
			continue
		}
		if _, known := p.due[g.ID]; !known {
			p.due[g.ID] = p.plan(g, now)
			p.log.Info("paged", "page", g.ID, "level", g.Level, "asleep", p.never)
		}
		p.answer(ctx, g.ID, now)
	}
}

// forget drops pages that the desk no longer lists, so that memory is bounded by the desk's own list.
func (p *person) forget(pages []page) {
	listed := map[string]bool{}
	for _, g := range pages {
		listed[g.ID] = true
	}
	for id := range p.due {
		if !listed[id] {
			delete(p.due, id)
		}
	}
}

// plan says what to do about a page that was first seen now. A page that somebody else has acknowledged needs nobody
// more.
func (p *person) plan(g page, now time.Time) []step {
	steps := []step{}
	if p.never || g.State != stateOpen {
		return steps
	}
	at := now.Add(p.after)
	steps = append(steps, step{at, "acknowledge", ""})
	if p.bridge {
		steps = append(steps, step{at, "bridge", ""})
	}
	if p.note != "" {
		steps = append(steps, step{at, "note", p.note})
	}
	for _, text := range p.then {
		verb, what, _ := strings.Cut(text, "=")
		steps = append(steps, step{at, verb, what})
	}
	if p.resolve > 0 {
		steps = append(steps, step{at.Add(p.resolve), "resolve", ""})
	}
	return steps
}

// answer takes the steps about one page that are due. A step that the desk refuses is dropped; one that did not get
// through is tried again at the next look.
func (p *person) answer(ctx context.Context, id string, now time.Time) {
	for len(p.due[id]) > 0 {
		next := p.due[id][0]
		if now.Before(next.at) {
			return
		}
		err := p.desk.act(ctx, id, next.verb, p.person, next.text)
		var no *refusal
		switch {
		case err == nil:
			p.log.Info("done", "page", id, "what", next.verb)
		case errors.As(err, &no) && no.final():
			p.log.Warn("the desk declined", "page", id, "error", err)
		default:
			p.log.Warn("could not get through", "page", id, "error", err)
			return
		}
		p.due[id] = p.due[id][1:]
	}
}
