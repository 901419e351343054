package stress

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"gameday/faults"
	"gameday/faults/internal/netns"
)

// Limits of port_exhaustion.
const (
	maxHolders    = 16
	bytesPerPort  = 5000 // of kernel memory, for a socket with its file; measured, rounded up
	spareFDs      = 64   // descriptors of a holder that are no ports
	firstUserPort = 1024
)

// PortsKind returns port_exhaustion: a network namespace has no ports left for outgoing TCP connections.
func PortsKind() faults.Kind {
	return faults.Kind{
		Name:       "port_exhaustion",
		Summary:    "leave no ports for outgoing TCP connections",
		Needs:      faults.NeedNetwork,
		Undoing:    "its workers are ended, and their sockets with them; the kernel ends both with the guard or the lease",
		Reversible: true,
		New:        func() faults.Config { return &Ports{} },
		Revert:     revert,
	}
}

// Ports holds the parameters of port_exhaustion.
type Ports struct {
	// Leave is how many of the ports that are free now stay free.
	Leave int `hcl:"leave,optional" json:"leave,omitempty"`
	// Except lists ports that are never held: those on which something is to listen while the fault stands.
	Except []int `hcl:"except,optional" json:"except,omitempty"`
	// AllowSelfCut allows the fault in the network that gameday itself is in, whose own connections then fail too.
	AllowSelfCut bool `hcl:"allow_self_cut,optional" json:"allow_self_cut,omitempty"`
}

// Validate checks the ranges.
func (p *Ports) Validate() error {
	errs := []error{numberField("leave", p.Leave, 0, 65535)}
	for _, port := range p.Except {
		if port < 1 || port > 65535 {
			errs = append(errs, &faults.FieldError{Field: "except", Summary: "Invalid port",
				Detail: fmt.Sprintf("A TCP port is a number from 1 to 65535, not %d.", port)})
		}
	}
	return errors.Join(errs...)
}

// Bind returns the exhaustion of the place's network.
func (p *Ports) Bind(place faults.Place) (faults.Injection, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if place.Network == nil || place.Network.Inode == 0 {
		return nil, fmt.Errorf("port_exhaustion needs a network namespace, and %s names none", place.Name)
	}
	return portsPlan{network: *place.Network, seen: netns.See(place), leave: p.Leave, except: p.Except, selfCut: p.AllowSelfCut}.bind()
}

// Preview returns "all but 10 free ports of its network".
func (p *Ports) Preview(faults.Place) string {
	if p.Leave == 0 {
		return "every free port of its network"
	}
	return fmt.Sprintf("all but %s of its network", plural(p.Leave, "free port"))
}

// portsPlan is an exhaustion computed without a machine.
type portsPlan struct {
	network faults.Namespace
	seen    netns.Seen
	leave   int
	except  []int
	selfCut bool
}

// portsJob is one holder's part: it goes through its ports from the first on.
type portsJob struct {
	Ports []portRange `json:"ports"`
	Leave int         `json:"leave"` // of its free ports, to be left so
}

// probeJob asks once whether a connection gets a port, when so many that were left are taken.
type probeJob struct {
	Leave int `json:"leave"`
}

// portRange is from First to Last, both included.
type portRange struct {
	First int `json:"first"`
	Last  int `json:"last"`
}

func (r portRange) size() int { return r.Last - r.First + 1 }

// parsePorts reads the form of net.ipv4.ip_local_reserved_ports: "8080,9000-9010".
func parsePorts(text string) ([]portRange, error) {
	var out []portRange
	for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		if part == "" {
			continue
		}
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		a, errA := strconv.Atoi(first)
		b, errB := strconv.Atoi(last)
		if errA != nil || errB != nil || a < 0 || b < a || b > 65535 {
			return nil, fmt.Errorf("%q is no list of ports", text)
		}
		out = append(out, portRange{a, b})
	}
	return out, nil
}

// without takes ports out of a range.
func without(whole portRange, spared []portRange) []portRange {
	var out []portRange
	start := -1
	for port := whole.First; port <= whole.Last+1; port++ {
		hold := port <= whole.Last
		for _, s := range spared {
			hold = hold && (port < s.First || port > s.Last)
		}
		switch {
		case hold && start < 0:
			start = port
		case !hold && start >= 0:
			out = append(out, portRange{start, port - 1})
			start = -1
		}
	}
	return out
}

// count is how many ports there are.
func count(ranges []portRange) int {
	n := 0
	for _, r := range ranges {
		n += r.size()
	}
	return n
}

// share cuts ranges into portions of at most n ports.
func share(ranges []portRange, n int) [][]portRange {
	var out [][]portRange
	var now []portRange
	room := n
	for _, r := range ranges {
		for r.size() > 0 {
			take := min(room, r.size())
			now = append(now, portRange{r.First, r.First + take - 1})
			r.First += take
			if room -= take; room == 0 {
				out, now, room = append(out, now), nil, n
			}
		}
	}
	if len(now) > 0 {
		out = append(out, now)
	}
	return out
}
