package scenarios

import (
	"time"

	"github.com/hashicorp/hcl/v2"
)

// defaultHistory is how long before a run sources are asked about, when the scenario does not say: what fires once a day
// shows, and the answer is short.
const defaultHistory = 24 * time.Hour

// control reads what shows whether the alarms would have fired without the faults: a phase of the same traffic without any,
// and how far back the sources' own history is read.
func (d *decoding) control(b *scenarioBlock) {
	if len(d.out.Alarms) > 0 {
		d.out.History = defaultHistory
	}
	if !one(d.loader, b.Control, "control", func(c controlBlock) hcl.Range { return c.DefRange }) {
		return
	}
	c := b.Control[0]
	d.out.History = d.optional(c.History, c.Body, "history", c.DefRange, 0, d.out.History)
	if !present(c.Body, "for") {
		if !present(c.Body, "history") {
			d.errorf(c.DefRange, "Nothing to control", "Say how long the same traffic is sent without a fault, for = \"5m\"; or how long before "+
				"the run sources are asked about, history = \"48h\".")
		}
		return
	}
	at, length := attrRange(c.Body, "for", c.DefRange), d.optional(c.For, c.Body, "for", c.DefRange, time.Second, 0)
	if len(d.faultNames) == 0 {
		d.errorf(at, "No fault to leave out", "A control phase is the load phase without its faults, and this scenario has none: all of it is one. Take the block out.")
		return
	}
	longest, of := time.Duration(0), ""
	for _, a := range d.out.Alarms {
		if limit := max(a.FiresWithin, a.PagesWithin); limit > longest {
			longest, of = limit, a.Name
		}
	}
	switch {
	case of == "":
		d.errorf(at, "No alarm to watch", "A control phase shows which expected alarms fire without a fault, and the scenario expects none that fires within a "+
			"limit. Take it out, or expect an alarm: fires_within = \"30s\".")
	case length < longest:
		d.errorf(at, "Control too short", "The phase lasts %s, and %s may take %s: that it is quiet for less than that shows nothing. Let it last %s or more.",
			short(length), of, short(longest), short(longest))
	}
	d.out.Timeline.Control = length
}
