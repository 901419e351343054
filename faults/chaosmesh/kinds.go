package chaosmesh

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/dns"
	"gameday/faults/network"
	"gameday/faults/node"
	"gameday/faults/process"
	"gameday/faults/stress"
)

// Kinds lists what a guard of clusters can inject: every kind that has a counterpart in Chaos Mesh somewhere, by the same name and with
// the same settings as on machines.
func Kinds() []faults.Kind {
	var out []faults.Kind
	for _, k := range []faults.Kind{
		cluster.ChaosMeshKind(),
		stress.CPUKind(),
		dns.OutageKind(),
		cluster.IOErrorKind(),
		cluster.IOLatencyKind(),
		stress.MemoryKind(),
		network.CorruptKind(),
		network.DelayKind(),
		network.DuplicateKind(),
		network.LossKind(),
		network.PartitionKind(),
		network.RateKind(),
		network.ReorderKind(),
		node.RestartKind(),
		process.KillKind(),
		cluster.TimeSkewKind(),
	} {
		out = append(out, inCluster(k))
	}
	return out
}

// inCluster returns a kind as it is in a cluster: what it needs, and how it goes away, is another matter there.
func inCluster(k faults.Kind) faults.Kind {
	made := k.New
	own := k
	k.New = func() faults.Config { return &settings{Config: made(), kind: own} }
	if k.Reversible {
		k.Undoing, k.Revert = undoing, revert
	}
	k.RevertInCluster = revert
	return k
}

// undoing is what plan prints of kinds that can be reverted.
const undoing = "Chaos Mesh lifts it when its duration is over; the guard deletes its object"

// settings are those of a kind, to be bound to a place in a cluster.
type settings struct {
	faults.Config
	kind faults.Kind
}

// UnmarshalJSON reads the settings of the kind, and refuses fields that it does not have.
func (s *settings) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(s.Config)
}

// MarshalJSON writes the settings of the kind.
func (s *settings) MarshalJSON() ([]byte, error) { return json.Marshal(s.Config) }

// Final reports whether the fault cannot be undone.
func (s *settings) Final() bool {
	f, may := s.Config.(faults.Final)
	return may && f.Final()
}

// Patience returns how long injecting and proving may take.
func (s *settings) Patience() (inject, proof time.Duration) {
	if p, may := s.Config.(faults.Patient); may {
		return p.Patience()
	}
	return 0, 0
}

// Touches returns the networks that a fault of the network hits beside its peers. Chaos Mesh looks host names up where nobody here can
// see it, so one of them may stand for any address.
func (s *settings) Touches(faults.Place) (faults.Touched, error) {
	a, ours, err := network.AskedOf(s.Config)
	if err != nil || !ours {
		return faults.Touched{}, err
	}
	t := faults.Touched{Networks: a.Blocks}
	if len(a.Hosts) > 0 {
		t.Networks = append(t.Networks, netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0))
	}
	return t, nil
}

// Preview returns what becomes of the fault at a place: "NetworkChaos in shop, lapses by itself".
func (s *settings) Preview(p faults.Place) string {
	o, err := planFor(s.kind.Name, s.Config, p, 0)
	if err != nil {
		return "not possible: " + err.Error()
	}
	if o.lapses {
		return fmt.Sprintf("%s in %s, lapses by itself", o.kind, o.namespace())
	}
	return fmt.Sprintf("%s in %s, does not lapse", o.kind, o.namespace())
}

// Bind returns the injection of the object that the fault becomes at a place.
func (s *settings) Bind(p faults.Place) (faults.Injection, error) {
	if _, err := planFor(s.kind.Name, s.Config, p, 0); err != nil {
		return nil, err
	}
	return newInjection(s.kind.Name, s.Config, p)
}

// kindsOfAPI lists the kinds of Chaos Mesh that this build knows, in order.
func kindsOfAPI() []string { return slices.Sorted(maps.Keys(v1alpha1.AllKinds())) }
