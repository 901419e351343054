package conductor

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"gameday/audit"
	"gameday/report"
)

// auditQueue is how many lines may wait for the disk. More are lost, which is said: reverting must not wait for a log.
const auditQueue = 4096

// auditor writes what happens to faults to the audit log, in order, without keeping anybody waiting but injections.
type auditor struct {
	log   *audit.Log
	base  audit.Line
	queue chan auditEntry
	done  chan struct{}

	mu     sync.Mutex
	closed bool
	err    error // the first one
}

type auditEntry struct {
	line  audit.Line
	write chan<- error // nil when nobody waits
}

// newAuditor returns an auditor, or nil for no log. A nil auditor writes nothing.
func newAuditor(o Options) *auditor {
	if o.Audit == nil {
		return nil
	}
	a := &auditor{log: o.Audit, base: audit.Line{Run: o.Run, Scenario: o.Scenario.Name},
		queue: make(chan auditEntry, auditQueue), done: make(chan struct{})}
	go func() {
		defer close(a.done)
		for e := range a.queue {
			err := a.log.Write(e.line)
			a.failed(err)
			if e.write != nil {
				e.write <- err
			}
		}
	}()
	return a
}

func (a *auditor) failed(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		a.err = err
	}
}

// send queues a line; false when there is no room.
func (a *auditor) send(e auditEntry) bool {
	e.line.Run, e.line.Scenario, e.line.At = a.base.Run, a.base.Scenario, time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	select {
	case a.queue <- e:
		return true
	default:
		return false
	}
}

// first writes a line and waits until it is on disk: an injection is in the log before it is on its target.
func (a *auditor) first(l audit.Line) error {
	if a == nil {
		return nil
	}
	written := make(chan error, 1)
	if !a.send(auditEntry{l, written}) {
		return fmt.Errorf("writing the audit log: it does not keep up")
	}
	return <-written
}

// lineKinds are the events of the record that are lines of the audit log.
var lineKinds = map[report.EventKind]string{
	report.Injected: audit.Injected, report.InjectFailed: audit.NotInjected, report.Reverted: audit.Reverted,
	report.RevertFailed: audit.NotReverted, report.Lapsed: audit.Lapsed, report.StopAsked: audit.Stopped, report.RunEnded: audit.RunEnded,
	report.HoldBegan: audit.Held, report.HoldEnded: audit.Released, report.WaitSkipped: audit.Skipped, report.InjectAsked: audit.InjectAsked,
}

// observe writes what an event tells, after whom nobody waits. Events come without secrets; the arguments of
// processes are left out.
func (a *auditor) observe(e report.Event) {
	what, told := lineKinds[e.Kind]
	if a == nil || !told {
		return
	}
	var d struct {
		ID, Fault, Kind, Place, Error, By, Why, Reason string
		Residue                                        []string
	}
	if json.Unmarshal(e.Data, &d) != nil {
		return
	}
	l := audit.Line{What: what, ID: d.ID, Fault: d.Fault, Kind: d.Kind, Place: d.Place, Why: d.Error}
	switch e.Kind {
	case report.StopAsked, report.HoldBegan, report.HoldEnded, report.WaitSkipped, report.InjectAsked:
		if l.Why = d.By; e.Kind == report.HoldEnded && d.By == "" {
			l.Why = "it lapsed"
		}
		if d.Why != "" {
			l.Why += ": " + d.Why
		}
	case report.RunEnded:
		l.Why, l.Places = d.Reason, d.Residue
		if d.Error != "" {
			l.Why += ": " + d.Error
		}
	}
	l.Why = withoutArguments(l.Why)
	if !a.send(auditEntry{line: l}) {
		a.failed(fmt.Errorf("writing the audit log: it did not keep up, and lacks lines"))
	}
}

// close writes what is left and returns the first error.
func (a *auditor) close() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	if !a.closed {
		a.closed = true
		close(a.queue)
	}
	a.mu.Unlock()
	<-a.done
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}
