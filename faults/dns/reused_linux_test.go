package dns_test

import (
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/dns"
)

// TestReusedNumber has the client's namespace carry the number of one that is gone with its process: nothing is injected.
func TestReusedNumber(t *testing.T) {
	w := newWorld(t)
	before, sockets := w.client.ruleset(t), w.client.sockets(t)
	gone := faults.Process{PID: 1 << 22, Start: 1}
	for name, change := range map[string]func(*faults.Place){
		"its process": func(p *faults.Place) { p.Process, p.Network.PID = &gone, gone.PID },
		"a member":    func(p *faults.Place) { p.Network.PID = gone.PID },
		"moved":       func(p *faults.Place) { p.Network.PID = w.server.pid },
	} {
		place := w.client.place(t)
		change(&place)
		i, err := (&dns.Outage{Resolvers: all(w)}).Bind(place)
		if err != nil {
			t.Fatal(err)
		}
		_, errUndo := i.Undo(t.Context())
		for step, err := range map[string]error{
			"check": i.(faults.Checker).Check(t.Context()), "undo": errUndo, "inject": i.Inject(t.Context(), time.Minute),
		} {
			if err == nil || !strings.Contains(err.Error(), "nothing was touched") {
				t.Errorf("%s: %s says %v", name, step, err)
			}
		}
	}
	if after := w.client.ruleset(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	mustHaveSockets(t, w.client, sockets)
}
