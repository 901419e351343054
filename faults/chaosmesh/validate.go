package chaosmesh

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"gameday/faults"
	"gameday/faults/cluster"
)

// validateFault reports what in a fault Chaos Mesh cannot do. It contacts nobody.
func validateFault(f cluster.Fault) []cluster.Mistake {
	kind, known := kindNamed(f.Kind)
	if !known {
		return nowhere(f)
	}
	config := kind.New()
	if err := readConfig(f.Config, config); err != nil {
		return []cluster.Mistake{{Fault: f.Name, Summary: "Unreadable settings", Detail: fmt.Sprintf("The fault's settings cannot be read: %v.", err)}}
	}
	if m, is := config.(*settings).Config.(*cluster.ChaosMesh); is {
		return fromManifest(f, m)
	}
	var out []cluster.Mistake
	for _, target := range f.Targets {
		for _, m := range onTarget(f, kind.Name, config, target) {
			if !slices.Contains(out, m) {
				out = append(out, m)
			}
		}
	}
	return out
}

// nowhere are the mistakes of a fault whose kind no target of a cluster knows.
func nowhere(f cluster.Fault) []cluster.Mistake {
	var out []cluster.Mistake
	for _, target := range f.Targets {
		no := &impossible{kind: f.Kind, where: placeWord(target), why: noKind(f.Kind, target)}
		out = append(out, fromErrors(f, target, no)...)
	}
	if len(out) == 0 {
		out = fromErrors(f, "", &impossible{kind: f.Kind, where: "a cluster", why: noKind(f.Kind, "")})
	}
	return out
}

// placeWord says what a kind of target is.
func placeWord(target string) string {
	switch target {
	case "machine":
		return onMachines
	case "instance":
		return onInstances
	}
	return target
}

// noKind says why a kind is in none of this program's lists.
func noKind(kind, target string) string {
	if target == "instance" {
		return notInside
	}
	reasons := notOnPods
	if target == "machine" {
		reasons = notOnMachines
	}
	if why, known := reasons[kind]; known {
		return why
	}
	return "Chaos Mesh has nothing that does it"
}

// kindNamed returns the kind of a name.
func kindNamed(name string) (faults.Kind, bool) {
	for _, k := range Kinds() {
		if k.Name == name {
			return k, true
		}
	}
	return faults.Kind{}, false
}

// readConfig decodes a fault's settings strictly.
func readConfig(raw json.RawMessage, into faults.Config) error {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// fromManifest are the mistakes of a fault with a manifest, each at its line there.
func fromManifest(f cluster.Fault, m *cluster.ChaosMesh) []cluster.Mistake {
	if err := m.Validate(); err != nil {
		return fromErrors(f, "", err)
	}
	var out []cluster.Mistake
	for _, one := range manifestMistakes(m, f.Duration) {
		field := one.field
		if field == "" {
			field = "manifest"
		}
		out = append(out, cluster.Mistake{Fault: f.Name, Field: field, Summary: one.summary, Detail: one.detail, Line: one.line, Column: one.column})
	}
	return out
}

// onTarget are the mistakes of a fault on one kind of target. What only some clouds cannot do is seen once the target is known.
func onTarget(f cluster.Fault, kind string, config faults.Config, target string) []cluster.Mistake {
	var common []cluster.Mistake
	for i, p := range samples(f, target) {
		_, err := planFor(kind, config, p, 0)
		found := fromErrors(f, target, err)
		if i == 0 {
			common = found
			continue
		}
		common = slices.DeleteFunc(common, func(m cluster.Mistake) bool {
			return !slices.ContainsFunc(found, func(other cluster.Mistake) bool { return other.Field == m.Field && other.Summary == m.Summary })
		})
	}
	return common
}

// samples are places such as a kind of target has: what is wrong on all of them is wrong with the fault.
func samples(f cluster.Fault, target string) []faults.Place {
	pod := func(name string) *faults.Cluster {
		return &faults.Cluster{Pod: &faults.Pod{Namespace: "sample", Name: name, AllContainers: []string{"main"}}}
	}
	address := []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, 1})}
	var places []faults.Place
	switch target {
	case "pods":
		places = []faults.Place{{Cluster: pod("sample")}}
	case "machine":
		places = []faults.Place{{Cluster: &faults.Cluster{Machine: &faults.PhysicalMachine{Namespace: "sample", Name: "sample", Device: "eth0"}}}}
	case "instance":
		for _, i := range []faults.Instance{{AWS: &faults.AWSInstance{}}, {GCP: &faults.GCPInstance{}}, {Azure: &faults.AzureInstance{}}} {
			i.Namespace = "sample"
			places = append(places, faults.Place{Cluster: &faults.Cluster{Instance: &i}})
		}
	}
	for i := range places {
		places[i].Name = "the target"
		if f.Between {
			places[i].Peers = []faults.Peer{{Name: "the other side", Addresses: address, Cluster: pod("other")}}
		}
	}
	return places
}

// fromErrors makes mistakes of an error of planFor.
func fromErrors(f cluster.Fault, target string, err error) []cluster.Mistake {
	var out []cluster.Mistake
	var field *faults.FieldError
	var joined interface{ Unwrap() []error }
	var no *impossible
	switch {
	case err == nil:
	case errors.As(err, &joined):
		for _, e := range joined.Unwrap() {
			out = append(out, fromErrors(f, target, e)...)
		}
	case errors.As(err, &field):
		out = append(out, cluster.Mistake{Fault: f.Name, Field: field.Field, Summary: field.Summary, Detail: field.Detail})
	case errors.As(err, &no):
		out = append(out, cluster.Mistake{Fault: f.Name, Summary: "Not possible on " + no.where, Detail: sentence(no.why)})
	default:
		out = append(out, cluster.Mistake{Fault: f.Name, Summary: "Not possible on " + target, Detail: sentence(err.Error())})
	}
	return out
}
