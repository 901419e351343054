package conductor

import (
	"encoding/json"
	"fmt"

	"gameday/report"
	"gameday/scenarios"
	"gameday/targets"
	"gameday/targets/lab"
)

// host is where a target stands in a lab that is not up yet, as far as its declaration tells.
type host struct{ node, process string }

// String returns "node ledger", or "process api on node ledger".
func (h host) String() string {
	if h.process == "" {
		return "node " + h.node
	}
	return "process " + h.process + " on node " + h.node
}

// hosts returns what a selector selects in a lab by its declaration: the node of that name, or the processes that declare the
// port. Whatever else selects processes can be told only once they run.
func hosts(c *lab.Config, sel targets.Selector) []host {
	var out []host
	for _, n := range c.Nodes {
		switch s := sel.(type) {
		case *targets.Node:
			if s.Name == n.Name {
				out = append(out, host{node: n.Name})
			}
		case *targets.Process:
			for _, p := range n.Processes {
				if s.Listen != 0 && int(p.Listen) == s.Listen {
					out = append(out, host{n.Name, p.Name})
				}
			}
		}
	}
	return out
}

// blast says how much the faults may touch: so many of the lab's nodes, or so many targets where there is no lab, or where
// the lab's declaration does not tell on which node one of them stands.
func blast(s *scenarios.Scenario) string {
	touched, nodes, told := map[string]bool{}, map[string]bool{}, s.Lab != nil
	for _, f := range s.Faults {
		for _, name := range f.Targets {
			touched[name] = true
			if s.Lab == nil {
				continue
			}
			at := hosts(s.Lab, s.Target(name).Selector)
			told = told && len(at) > 0
			for _, h := range at {
				nodes[h.node] = true
			}
		}
	}
	switch {
	case len(touched) == 0:
		return ""
	case told:
		return fmt.Sprintf("%d of %s", len(nodes), counted(len(s.Lab.Nodes), "node"))
	default:
		return counted(len(touched), "target")
	}
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// redacted returns a copy of the plan without the values of secrets. A plan that cannot be copied is a mistake in its types,
// and gives away nothing either.
func redacted(s *scenarios.Scenario, p *report.Plan) *report.Plan {
	out := &report.Plan{}
	raw, err := json.Marshal(p)
	if err == nil {
		err = json.Unmarshal(redactStrings(raw, s.Redact), out)
	}
	if err != nil {
		panic(fmt.Sprintf("copying the plan: %v", err))
	}
	return out
}
