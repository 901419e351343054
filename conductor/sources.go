package conductor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gameday/alarms"
	"gameday/alarms/builtin"
	"gameday/clock"
	"gameday/loadgen/sli"
	"gameday/report"
	"gameday/responders"
	"gameday/scenarios"
)

// sources holds the systems that raise alarms and page people, for the length of a run.
type sources struct {
	run        *run
	alarms     []namedAlarms
	responders []namedResponders
	stop       context.CancelFunc
	watching   sync.WaitGroup

	acting chan struct{} // whoever does something about a page has its only place
	told   atomic.Bool   // the whole run was asked for: what somebody does now is not in the answer any more
}

// namedAlarms is a source of alarms. beyond is the host at which it is asked, when that is out of reach.
type namedAlarms struct {
	id, beyond string
	alarms.Source
}

// namedResponders is a source of responses; beyond is as of namedAlarms.
type namedResponders struct {
	id, beyond string
	responders.Source
}

func newSources(r *run) *sources {
	return &sources{run: r, stop: func() {}, acting: make(chan struct{}, 1)}
}

// open makes every source. Responders that listen are started first: the addresses of those that take alarms are where alarms
// are sent.
func (s *sources) open() bool {
	webhooks := map[string]string{}
	for _, decl := range s.run.Scenario.Responders {
		src, err := decl.Kind.Open(decl.ID(), decl.Config)
		if err == nil {
			s.responders = append(s.responders, namedResponders{decl.ID(), beyond(s.run.Scenario, decl.Config), src})
			if e, ok := src.(responders.Expecter); ok {
				e.Expect(matches(s.run.Scenario, decl.ID()))
			}
			if server, ok := src.(responders.Server); ok {
				var address string
				address, err = server.Start(context.WithoutCancel(s.run.ctx))
				if _, ok := src.(responders.Receiver); ok {
					webhooks[decl.ID()] = webhook(address)
				}
			}
		}
		if err != nil {
			s.run.found("responders "+decl.ID(), true, "cannot be opened", err.Error())
			return false
		}
	}
	for _, decl := range s.run.Scenario.AlarmSources {
		if s.run.Lab != nil && onlyBefore(s.run.Scenario, decl.ID()) {
			continue // it was asked outside, and cannot be reached from in here
		}
		config := decl.Config
		if decl.Rules != nil {
			c := builtin.Config{Rules: decl.Rules, Repeat: decl.Repeat, Drill: drill(s.run.Scenario.Name, s.run.Run)}
			for _, to := range decl.Notify {
				if url, ok := webhooks[to]; ok {
					to = url
				}
				c.Notify = append(c.Notify, to)
			}
			config = &c
		}
		src, err := decl.Kind.Open(decl.ID(), config, besides(s.run.Scenario, decl.ID()))
		if err != nil {
			s.run.found("alarms "+decl.ID(), true, "cannot be opened", err.Error())
			return false
		}
		s.alarms = append(s.alarms, namedAlarms{decl.ID(), beyond(s.run.Scenario, decl.Config), src})
		if server, ok := src.(alarms.Server); ok {
			if _, err := server.Start(context.WithoutCancel(s.run.ctx)); err != nil {
				s.run.found("alarms "+decl.ID(), true, "cannot listen", err.Error())
				return false
			}
		}
	}
	return true
}

// webhook returns the URL of a listening responder as it is reached from here: an address that stands for all of the
// machine's is reached by loopback.
func webhook(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "http://" + address + responders.WebhookPath
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + responders.WebhookPath
}

// settleLimit is how long a source in a lab may be unready: a monitoring system that the lab has just started has not
// evaluated its rules yet. Elsewhere what is not ready at once is a finding at once.
const settleLimit = 20 * time.Second

// preflight asks every source what can be asked before the first request. It returns false when a finding blocks.
func (s *sources) preflight() bool {
	ok := true
	for _, src := range s.alarms {
		found := s.settled(func(ctx context.Context) ([]report.Found, error) {
			findings, err := src.Preflight(ctx, s.expected(src.id))
			var out []report.Found
			for _, f := range findings {
				out = append(out, report.Found{What: "alarms " + src.id, Blocks: f.Blocks, Summary: f.Summary, Detail: f.Detail, Absent: f.Absent})
			}
			return out, err
		}, "alarms "+src.id, src.beyond)
		ok = s.note(found) && ok
	}
	for _, src := range s.responders {
		found := s.settled(func(ctx context.Context) ([]report.Found, error) {
			findings, err := src.Preflight(ctx)
			var out []report.Found
			for _, f := range findings {
				out = append(out, report.Found{What: "responders " + src.id, Blocks: f.Blocks, Summary: f.Summary, Detail: f.Detail})
			}
			return out, err
		}, "responders "+src.id, src.beyond)
		ok = s.note(found) && ok
	}
	if ok {
		s.note(s.tell())
		s.onCall()
	}
	return ok
}

// settled asks once, and in a lab again each second until nothing blocks or the time to settle is over. What is beyond the lab will
// not answer however long it is asked.
func (s *sources) settled(ask func(context.Context) ([]report.Found, error), what, beyond string) []report.Found {
	began := time.Now()
	for {
		ctx, cancel := context.WithTimeout(s.run.ctx, askLimit)
		found, err := ask(ctx)
		cancel()
		if err != nil {
			found = append(found, report.Found{What: what, Blocks: true, Summary: "does not answer", Detail: err.Error()})
		}
		blocked := slices.ContainsFunc(found, func(f report.Found) bool { return f.Blocks })
		if blocked && beyond != "" {
			return append(found, report.Found{What: what, Blocks: true, Summary: "cannot be reached from inside of the lab",
				Detail: beyond + " is no node of it, and a lab has no way out. Leave the source out, or have the lab bring up what stands for it."})
		}
		if !blocked || s.run.Lab == nil || time.Since(began) > settleLimit || s.run.sleep(time.Second) != nil {
			return found
		}
	}
}

// note records findings and returns false when one blocks.
func (s *sources) note(found []report.Found) bool {
	ok := true
	for _, f := range found {
		s.run.rec.add(report.PreflightFound, f)
		ok = ok && !f.Blocks
	}
	return ok
}

// expected lists the alarms that the scenario waits for from one source.
func (s *sources) expected(id string) []alarms.Expectation { return expectedOf(s.run.Scenario, id) }

// expectedOf lists the alarms that a scenario waits for from one source.
func expectedOf(s *scenarios.Scenario, id string) []alarms.Expectation {
	var out []alarms.Expectation
	for _, a := range s.Alarms {
		if a.Source == id || a.PagesVia == id {
			out = append(out, alarms.Expectation{Name: a.Name, Match: a.Match})
		}
	}
	return out
}

// watch follows every source until close.
func (s *sources) watch() {
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.run.ctx))
	s.stop = cancel
	for _, src := range s.alarms {
		s.watching.Go(func() {
			err := src.Watch(ctx, func(o alarms.Observation) {
				s.run.rec.add(report.AlarmSeen, report.AlarmSighting{Source: src.id, Observation: o})
				s.incidentAlarm(src.id, o)
			})
			s.gaveUp(src.id, err)
		})
	}
	for _, src := range s.responders {
		s.watching.Go(func() {
			err := src.Watch(ctx, func(e responders.Event) {
				s.run.rec.add(report.ResponseSeen, e)
				s.incidentPage(src.id, e)
			})
			s.gaveUp(src.id, err)
		})
	}
}

func (s *sources) gaveUp(id string, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		s.run.rec.add(report.Noted, report.Note{Text: fmt.Sprintf("source %s cannot be watched: %v", id, err)})
	}
}

// evaluator is a source whose rules the conductor evaluates.
type evaluator interface {
	Evaluate(now time.Time, over func(*sli.Expr, time.Duration) sli.Readings)
}

// evaluate evaluates the rules of the builtin sources.
func (s *sources) evaluate(now time.Time, over func(*sli.Expr, time.Duration) sli.Readings) {
	for _, src := range s.alarms {
		if e, ok := src.Source.(evaluator); ok {
			e.Evaluate(now, over)
		}
	}
}

// query asks a source for the value of an own SLI.
func (s *sources) query(ctx context.Context, id, query string) (float64, bool, error) {
	for _, src := range s.alarms {
		if src.id != id {
			continue
		}
		q, ok := src.Source.(alarms.Querier)
		if !ok {
			return 0, false, fmt.Errorf("%s cannot be queried", id)
		}
		return q.Query(ctx, query)
	}
	return 0, false, fmt.Errorf("there is no source %s", id)
}

// act carries out what somebody does about a page. An error is errOver when it came too late for the record.
func (s *sources) act(a responders.Action) (string, error) {
	s.acting <- struct{}{}
	defer func() { <-s.acting }()
	var errs []error
	for _, src := range s.responders {
		d, ok := src.Source.(responders.Desk)
		if !ok {
			continue
		}
		if s.told.Load() {
			return "", errOver
		}
		page, err := d.Act(a)
		if err == nil { // which page it was is said first: the newest one may not be the one that was meant
			said := fmt.Sprintf("%s: %s by %s", page, a.Verb, a.By)
			if a.Text != "" {
				said += ": " + a.Text
			}
			return said, nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return "", errors.New("this scenario has no paging desk that takes acknowledgements here; use your paging system")
	}
	return "", errors.Join(errs...)
}

// accounts asks every source for the whole run and records its answer: the truth that the score is made from.
func (s *sources) accounts() {
	select {
	case s.acting <- struct{}{}: // what is being done is done by then
		s.told.Store(true)
		<-s.acting
	case <-time.After(lastAnswers):
		s.told.Store(true)
	}
	span := clock.Span{Start: s.run.rec.start, End: s.run.rec.now()}
	// Each has its own time: one that is busy takes none of the others'.
	limited := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.WithoutCancel(s.run.ctx), tellLimit)
	}
	for _, src := range s.alarms {
		ctx, cancel := limited()
		episodes, coverage, err := src.History(ctx, span)
		cancel()
		rec := report.AlarmRecord{Source: src.id, Span: span, Episodes: episodes, Coverage: coverage}
		if err != nil {
			rec.Error = err.Error()
		}
		if tooLong(rec) {
			rec.Episodes, rec.Coverage, rec.Error = nil, alarms.Coverage{}, errTooLong.Error()
		}
		s.run.rec.add(report.AlarmHistory, rec)
		s.askLinks(context.WithoutCancel(s.run.ctx), src.id, rec.Episodes)
	}
	for _, src := range s.responders {
		ctx, cancel := limited()
		events, coverage, err := src.History(ctx, span)
		cancel()
		rec := report.ResponseAccount{Source: src.id, Span: span, Events: events, Coverage: coverage}
		if err != nil {
			rec.Error = err.Error()
		}
		if tooLong(rec) {
			rec.Events, rec.Coverage, rec.Error = nil, responders.Coverage{}, errTooLong.Error()
		}
		s.run.rec.add(report.ResponseRecord, rec)
	}
	s.study(span)
	s.before()
}

// mostAccount bounds what one source tells, in bytes: it is one line of the record, which is read up to 16 MB.
const mostAccount = 12 << 20

var errTooLong = errors.New("it tells more than a record can hold: expect less of it, or watch for fewer alarms")

// tooLong reports whether an account would make the record unreadable.
func tooLong(account any) bool {
	b, err := json.Marshal(account)
	return err == nil && len(b) > mostAccount
}

// close ends the watching, what listens, and every connection.
func (s *sources) close() {
	s.stop()
	s.watching.Wait()
	stop := func(id string, source any) {
		if err := release(source); err != nil {
			s.run.rec.add(report.Noted, report.Note{Text: fmt.Sprintf("stopping %s: %v", id, err)})
		}
	}
	for _, src := range s.alarms {
		stop(src.id, src.Source)
	}
	for _, src := range s.responders {
		stop(src.id, src.Source)
	}
}

// release ends a source: what listens stops, and idle connections are let go of.
func release(source any) error {
	switch s := source.(type) {
	case interface{ Stop() error }:
		return s.Stop()
	case interface{ Close() }:
		s.Close()
	}
	return nil
}
