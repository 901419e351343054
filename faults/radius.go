package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Radius is what a fault that says by itself where it lands would hit, as things were when somebody looked. It is plain data.
type Radius struct {
	Selections []Selection `json:"selections,omitempty"`
	// Networks and Paths are what it reaches beside that, as Touched has them.
	Networks []netip.Prefix `json:"networks,omitempty"`
	Paths    []string       `json:"paths,omitempty"`
	// Unknown says of what cannot be told what it hits, and why, in words that follow a colon. None means that all of it is known.
	Unknown []string `json:"unknown,omitempty"`
}

// Selection is one selector of such a fault and what it finds.
type Selection struct {
	At    string `json:"at"`             // where it stands: "spec.target"
	Kind  string `json:"kind"`           // of the object that it belongs to: "NetworkChaos"
	Mode  string `json:"mode"`           // in words: "all", "one", "at most 50 %"
	Finds []Peer `json:"finds"`          // every place that it may hit
	Most  int    `json:"most"`           // how many of them it hits at once at most
	Takes bool   `json:"takes,omitzero"` // it takes down what it hits
}

// Lander is implemented by configs of faults that say by themselves where they land, where that can be found out.
type Lander interface {
	// Lands asks what the fault would hit now, and touches nothing. An error is that nobody could be asked.
	Lands(ctx context.Context, p Place) (*Radius, error)
}

// RadiusOf returns what asks for a fault's radius, from its settings as JSON, or nil for one that lands at its place. It never fails: what
// cannot be found out is unknown.
func RadiusOf(k Kind, config json.RawMessage) func(ctx context.Context, p Place) *Radius {
	c := k.New()
	own, ok := c.(Lander)
	if !ok || len(config) > 0 && json.Unmarshal(config, c) != nil {
		return nil
	}
	return func(ctx context.Context, p Place) *Radius {
		r, err := own.Lands(ctx, p)
		if err != nil {
			return &Radius{Unknown: []string{err.Error()}}
		}
		return r
	}
}

// Finds returns everything that may be hit, each place once.
func (r *Radius) Finds() []Peer {
	var out []Peer
	seen := map[string]bool{}
	for _, s := range r.Selections {
		for _, p := range s.Finds {
			if i := p.Individual(); !seen[i] {
				seen[i] = true
				out = append(out, p)
			}
		}
	}
	return out
}

// Labels returns those that every place has that may be hit, with the same values; none where nothing is found.
func (r *Radius) Labels() map[string]string {
	out := map[string]string{}
	for i, p := range r.Finds() {
		var own map[string]string
		if p.Cluster != nil {
			own = p.Cluster.Labels
		}
		for key, value := range own {
			if i == 0 {
				out[key] = value
			}
		}
		for key, value := range out {
			if have, there := own[key]; !there || have != value {
				delete(out, key)
			}
		}
	}
	return out
}

// mostNamed is how many places a selection names.
const mostNamed = 6

// String says what a selection hits: "PodChaos hits 1 of 3 pods: shop/web-1, shop/web-2, shop/web-3".
func (s Selection) String() string {
	what := s.Kind
	if strings.HasSuffix(s.At, "target") {
		what += "'s other side"
	}
	switch n := len(s.Finds); {
	case n == 0:
		return what + " finds no pod now"
	case s.Most >= n:
		return fmt.Sprintf("%s hits %s: %s", what, pods(n), s.names())
	default:
		return fmt.Sprintf("%s hits %d of %s at most (%s), nobody knows which: %s", what, s.Most, pods(n), s.Mode, s.names())
	}
}

func pods(n int) string {
	if n == 1 {
		return "1 pod"
	}
	return fmt.Sprintf("%d pods", n)
}

func (s Selection) names() string {
	var names []string
	for _, p := range s.Finds {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	if len(names) > mostNamed {
		return strings.Join(names[:mostNamed], ", ") + fmt.Sprintf(" and %d more", len(names)-mostNamed)
	}
	return strings.Join(names, ", ")
}
