package chaosmesh

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
	"gameday/faults/network"
)

// leastBucket is the smallest burst of a token bucket, in bytes: it drops every packet that is larger.
const leastBucket = 2000

// others is the other side of a fault of the network.
type others struct {
	pods     map[string][]string // names by namespace
	external []string            // addresses, CIDR blocks and host names
}

// othersOf returns the other side: the peers, or else what is asked for.
func othersOf(kind string, a network.Asked, p faults.Place) (others, error) {
	var o others
	given := len(a.Blocks)+len(a.Hosts) > 0
	switch {
	case len(p.Peers) > 0 && given:
		return o, &faults.FieldError{Field: "to", Summary: "Conflicting targets",
			Detail: "The fault stands between targets, so it is known what to hit. Use either between or to."}
	case len(p.Peers) == 0 && !given:
		return o, &faults.FieldError{Field: "to", Summary: "Nothing to hit",
			Detail: fmt.Sprintf("The %s of %s has no other side. Put it between two targets, or list addresses in to.", kind, p.Name)}
	}
	for _, b := range a.Blocks {
		if !b.Addr().Is4() {
			return o, notHere("to", fmt.Sprintf("Chaos Mesh reads addresses outside the cluster as IPv4 alone, so %v would not be hit. Leave it out.", b))
		}
		o.external = append(o.external, blockText(b))
	}
	o.external = append(o.external, a.Hosts...)
	for _, peer := range p.Peers {
		if c := peer.Cluster; c != nil && c.Pod != nil {
			if o.pods == nil {
				o.pods = map[string][]string{}
			}
			o.pods[c.Pod.Namespace] = append(o.pods[c.Pod.Namespace], c.Pod.Name)
			continue
		}
		four, err := peerAddresses(kind, p, peer)
		if err != nil {
			return o, err
		}
		o.external = append(o.external, four...)
	}
	for namespace, names := range o.pods {
		slices.Sort(names)
		o.pods[namespace] = slices.Compact(names)
	}
	return o, nil
}

// peerAddresses returns the IPv4 addresses of a peer that is no pod.
func peerAddresses(kind string, p faults.Place, peer faults.Peer) ([]string, error) {
	var four []string
	for _, addr := range peer.Addresses {
		if addr = addr.Unmap(); addr.Is4() {
			four = append(four, blockText(netip.PrefixFrom(addr, 32)))
		}
	}
	if len(four) == 0 {
		return nil, fmt.Errorf("%s on %s: no IPv4 address of %s is known, and Chaos Mesh knows others by nothing else", kind, p.Name, peer.Name)
	}
	return four, nil
}

// blockText writes a block as it is written by hand: a single address without its length.
func blockText(b netip.Prefix) string {
	if b.IsSingleIP() {
		return b.Addr().String()
	}
	return b.String()
}

// noNetwork refuses what no fault of the network in Chaos Mesh can do.
func noNetwork(a network.Asked) error {
	return refuse(
		unsupported{len(a.Ports) > 0, "ports", "Chaos Mesh selects no ports of either end, only whole addresses. Leave ports out. A manifest of your own " +
			"can name the port that packets go to at addresses outside the cluster: externalTargets: [\"10.0.0.5:5432\"]."},
		unsupported{a.Reject, "action", "Chaos Mesh drops packets and answers none. Write action = \"drop\". What comes after 2.8 may know partitionBehavior: reject, " +
			"in a manifest of your own."},
		unsupported{a.Jitter > 0 && a.Shape != "", "distribution", "Chaos Mesh spreads delays evenly over the jitter. Write distribution = \"uniform\"."},
		unsupported{a.Rate > 0 && a.Burst < leastBucket, "burst", fmt.Sprintf("Chaos Mesh's token bucket drops each packet that is larger than its burst. Write at least %d bytes.", leastBucket)})
}

// podNetwork returns the fault of the network that a pod gets.
func podNetwork(kind string, a network.Asked, p faults.Place) (*object, error) {
	if err := noNetwork(a); err != nil {
		return nil, err
	}
	other, err := othersOf(kind, a, p)
	if err != nil {
		return nil, err
	}
	pod := *p.Cluster.Pod
	spec := v1alpha1.NetworkChaosSpec{PodSelector: pin(pod), Direction: directionOf(a), ExternalTargets: other.external}
	if len(other.pods) > 0 {
		spec.Target = &v1alpha1.PodSelector{Mode: v1alpha1.AllMode, Selector: v1alpha1.PodSelectorSpec{Pods: other.pods}}
	}
	act(&spec, a)
	o := &object{kind: v1alpha1.KindNetworkChaos, made: &v1alpha1.NetworkChaos{ObjectMeta: metaOf(pod), Spec: spec}, lapses: true}
	if len(a.Hosts) > 0 {
		o.note = "Chaos Mesh looks the host names up once, when it injects, from where its controller runs."
	}
	return o, nil
}

// directionOf says which packets are hit, as seen from the pod.
func directionOf(a network.Asked) v1alpha1.Direction {
	switch {
	case a.In && a.Out:
		return v1alpha1.Both
	case a.In:
		return v1alpha1.From
	}
	return v1alpha1.To
}

// act writes what befalls the packets. What a webhook of Chaos Mesh would add is written too, so that the object is the same without.
func act(spec *v1alpha1.NetworkChaosSpec, a network.Asked) {
	switch {
	case a.Rate > 0:
		spec.Action = v1alpha1.BandwidthAction
		spec.Bandwidth = &v1alpha1.BandwidthSpec{Rate: bits(a.Rate), Limit: limitOf(a), Buffer: uint32(a.Burst)}
	case a.Reorder > 0:
		spec.Action = v1alpha1.DelayAction
		spec.Delay = delayOf(a)
		spec.Delay.Reorder = &v1alpha1.ReorderSpec{Reorder: number(a.Reorder), Correlation: number(a.ReorderCorrelation), Gap: a.Gap}
	case a.Delay > 0:
		spec.Action = v1alpha1.DelayAction
		spec.Delay = delayOf(a)
	case a.Loss > 0:
		spec.Action = v1alpha1.LossAction
		spec.Loss = &v1alpha1.LossSpec{Loss: number(a.Loss), Correlation: number(a.LossCorrelation)}
	case a.Duplicate > 0:
		spec.Action = v1alpha1.DuplicateAction
		spec.Duplicate = &v1alpha1.DuplicateSpec{Duplicate: number(a.Duplicate), Correlation: number(a.DuplicateCorrelation)}
	case a.Corrupt > 0:
		spec.Action = v1alpha1.CorruptAction
		spec.Corrupt = &v1alpha1.CorruptSpec{Corrupt: number(a.Corrupt), Correlation: number(a.CorruptCorrelation)}
	default:
		spec.Action = v1alpha1.PartitionAction
	}
}

func delayOf(a network.Asked) *v1alpha1.DelaySpec {
	d := &v1alpha1.DelaySpec{Latency: seconds(a.Delay), Correlation: number(a.DelayCorrelation), Jitter: "0ms"}
	if a.Jitter > 0 {
		d.Jitter = seconds(a.Jitter)
	}
	return d
}

// bits writes a rate as traffic control reads it.
func bits(rate uint64) string { return strconv.FormatUint(rate, 10) + "bit" }

// limitOf is how many bytes wait for a rate: as many as on a machine, and no fewer than may be sent at once.
func limitOf(a network.Asked) uint32 { return uint32(max(a.Queue, a.Burst)) }

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
