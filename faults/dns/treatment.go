package dns

import (
	"fmt"
	"time"
)

// treatment says what befalls which queries.
type treatment struct {
	names nameSet
	rcode uint16 // of the answer; 0: none is given
	pass  bool   // the resolver answers, after the delay
	delay time.Duration
}

// decision is what befalls one query.
type decision struct {
	selected bool          // the query is hit
	wait     time.Duration // before anything else
	reply    []byte        // nil: none
	pass     bool          // it goes on to the resolver, as it came
}

// decide judges one message. One that cannot be read as a query has no name: it is hit only if all names are, and then
// gets no answer of ours.
func (p *treatment) decide(msg []byte) decision {
	q, ok := readQuestion(msg)
	if ok && !p.names.has(q.name) || !ok && !p.names.all() {
		return decision{pass: true}
	}
	d := decision{selected: true, wait: p.delay, pass: p.pass}
	if ok && p.rcode != 0 {
		d.reply = answer(msg, q, p.rcode)
	}
	return d
}

// outcome words what a selected query gets.
func (p treatment) outcome() string {
	what := map[uint16]string{0: "dropped", 2: "answered SERVFAIL", 3: "answered NXDOMAIN", 5: "answered REFUSED"}[p.rcode]
	switch {
	case p.pass:
		return fmt.Sprintf("answered %v late", p.delay)
	case p.delay > 0:
		return fmt.Sprintf("%s, %v late", what, p.delay)
	}
	return what
}
