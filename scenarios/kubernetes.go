package scenarios

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/targets"
)

// kubernetesBlock says how the scenario's cluster is reached.
type kubernetesBlock struct {
	Kubeconfig *string   `hcl:"kubeconfig,optional"`
	Context    *string   `hcl:"context,optional"`
	DefRange   hcl.Range `hcl:",def_range"`
	Body       hcl.Body  `hcl:",body"`
}

// kubernetes reads how the cluster is reached: as kubectl does where nothing is said.
func (d *decoding) kubernetes(b *scenarioBlock) {
	if !one(d.loader, b.Kubernetes, "kubernetes", func(k kubernetesBlock) hcl.Range { return k.DefRange }) {
		return
	}
	k := b.Kubernetes[0]
	for _, field := range []struct {
		name  string
		value *string
		to    *string
	}{{"kubeconfig", k.Kubeconfig, &d.out.Kubernetes.Kubeconfig}, {"context", k.Context, &d.out.Kubernetes.Context}} {
		if field.value == nil {
			continue
		}
		*field.to = *field.value
		if strings.TrimSpace(*field.value) == "" || strings.ContainsAny(*field.value, "\x00\n") {
			d.errorf(attrRange(k.Body, field.name, k.DefRange), "Invalid "+field.name, "%s is empty, or has a line of its own. Leave it out to do as "+
				"kubectl does: $KUBECONFIG or ~/.kube/config, with its current context.", field.name)
		}
	}
	d.out.Kubernetes.Kubeconfig = d.kubeconfig(d.out.Kubernetes.Kubeconfig)
}

// kubeconfig makes paths absolute that are relative to the scenario's folder, or to the user's home.
func (d *decoding) kubeconfig(list string) string {
	paths := filepath.SplitList(list)
	for i, p := range paths {
		rest, home := strings.CutPrefix(p, "~/")
		switch {
		case p == "":
		case home && d.opts.Getenv != nil && d.opts.Getenv("HOME") != "":
			paths[i] = filepath.Join(d.opts.Getenv("HOME"), filepath.FromSlash(rest))
		default:
			paths[i] = d.path(p)
		}
	}
	return strings.Join(paths, string(filepath.ListSeparator))
}

// inCluster finishes a target in the cluster.
func (d *decoding) inCluster(sel targets.InCluster, at hcl.Range) {
	sel.Reach(d.out.Kubernetes)
	d.besideLab(at)
}

func (d *decoding) besideLab(at hcl.Range) {
	if d.out.Lab != nil {
		d.errorf(at, "Kubernetes beside a lab", "A lab is a world of its own, and from inside it no cluster can be reached. Take the lab out of this "+
			"scenario, or choose one of its nodes.")
	}
}

// Reach sets how the cluster is reached, for all that is in it. It is not for use while others read the scenario.
func (s *Scenario) Reach(a faults.Access) {
	s.Kubernetes = a
	for _, t := range s.Targets {
		if in, is := t.Selector.(targets.InCluster); is {
			in.Reach(a)
		}
	}
}

// InCluster reports whether the fault lands in a Kubernetes cluster.
func (s *Scenario) InCluster(f *Fault) bool {
	if f.Kind.Needs == faults.NeedCluster {
		return true
	}
	return slices.ContainsFunc(f.Targets, func(name string) bool {
		t := s.Target(name)
		if t == nil {
			return false
		}
		_, is := t.Selector.(targets.InCluster)
		return is
	})
}

// TouchesCluster reports whether any fault lands in a Kubernetes cluster.
func (s *Scenario) TouchesCluster() bool {
	return slices.ContainsFunc(s.Faults, func(f Fault) bool { return s.InCluster(&f) })
}

// Namespaces lists the cluster's namespaces that the scenario puts objects into, in order. It returns false when a fault says by itself,
// in its manifest, where it lands: then there may be others.
func (s *Scenario) Namespaces() (names []string, all bool) {
	all = true
	for _, f := range s.Faults {
		all = all && f.Kind.Needs != faults.NeedCluster
		for _, name := range f.Targets {
			t := s.Target(name)
			if t == nil {
				continue
			}
			in, is := t.Selector.(targets.InCluster)
			if !is {
				continue
			}
			switch k := in.Known(); {
			case k.Pod != nil:
				names = append(names, k.Pod.Namespace)
			case k.Instance != nil:
				names = append(names, k.Instance.Namespace)
			case k.Machine != nil:
				names = append(names, k.Machine.Namespace)
			}
		}
	}
	for _, t := range s.Traffic {
		if t.RunOn.InCluster() {
			names = append(names, t.RunOn.Namespace)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), all
}

// apart reports a fault that stands between the cluster and something elsewhere: neither side could tell the other's traffic.
func (d *decoding) apart(out *Fault, at hcl.Range) {
	if !out.Between || len(out.Targets) != 2 {
		return
	}
	var in []string
	for _, name := range out.Targets {
		t := d.out.Target(name)
		if t == nil {
			return
		}
		if _, is := t.Selector.(targets.InCluster); is {
			in = append(in, name)
		}
	}
	if len(in) == 1 {
		d.errorf(at, "Between a cluster and elsewhere", "Target %q is in the cluster and the other one is not. Cut one side by the addresses of the "+
			"other: target = target.%s, with to = [\"…\"].", in[0], in[0])
	}
}

// manifested reads the files that a fault's settings name. They are kept for the record, and for what is said of their lines.
func (d *decoding) manifested(config faults.Config, f *faultBlock) {
	reader, reads := config.(faults.FileReader)
	if !reads {
		return
	}
	err := reader.ReadFiles(func(path string) ([]byte, error) {
		text, err := readBelow(d.dir, path, "gameday")
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%q is not in the scenario's folder", path)
			if meant := neighbour(filepath.Join(d.dir, filepath.FromSlash(path))); meant != "" {
				err = fmt.Errorf("%w, but %q is", err, filepath.ToSlash(filepath.Join(filepath.Dir(filepath.FromSlash(path)), meant)))
			}
		}
		if err != nil {
			return nil, err
		}
		name := filepath.Join(filepath.Dir(d.file.Path), filepath.FromSlash(path))
		if d.kept == nil {
			d.kept = map[string]*hcl.File{}
		}
		d.kept[name] = &hcl.File{Bytes: []byte(text)}
		if d.read == nil {
			d.read = map[string]string{}
		}
		d.read[f.Name] = name
		return []byte(text), nil
	})
	if err == nil {
		return
	}
	d.unsound[f.Name] = true
	d.loader.fields(err, f.Whole, f.DefRange)
}

// checkClusters has gameday-kubernetes look for what cannot be done in a cluster. Faults whose settings are wrong already wait for
// those to be mended.
func (d *decoding) checkClusters(blocks []faultBlock) {
	var ask []cluster.Fault
	at := map[string]*faultBlock{}
	for i := range d.out.Faults {
		f := &d.out.Faults[i]
		if !d.out.InCluster(f) || d.unsound[f.Name] || d.opts.Catalogue.CheckInCluster == nil {
			continue
		}
		config, err := json.Marshal(f.Config)
		if err != nil {
			d.errorf(f.Range, "Invalid settings", "%s.", sentence(err.Error()))
			continue
		}
		q := cluster.Fault{Name: f.Name, Kind: f.Kind.Name, Config: config, Between: f.Between, Duration: f.Duration}
		for _, name := range f.Targets {
			if t := d.out.Target(name); t != nil {
				q.Targets = append(q.Targets, t.Selector.Kind())
			}
		}
		if len(q.Targets) < len(f.Targets) {
			continue // the target's own mistakes are reported
		}
		b := slices.IndexFunc(blocks, func(b faultBlock) bool { return b.Name == f.Name })
		ask, at[f.Name] = append(ask, q), &blocks[b]
	}
	if len(ask) == 0 {
		return
	}
	found, err := d.opts.Catalogue.CheckInCluster(d.out.Kubernetes, ask)
	if err != nil {
		d.errorf(at[ask[0].Name].DefRange, "Kubernetes cannot be checked", "This fault lands in a cluster, and what can be done there is not known: %s.",
			strings.TrimSuffix(err.Error(), "."))
		return
	}
	for _, m := range found {
		if b := at[m.Fault]; b != nil {
			d.cannot(m, b)
		}
	}
}

// cannot reports what cannot be done: at the line of the fault's manifest, or at the field in the scenario.
func (d *decoding) cannot(m cluster.Mistake, b *faultBlock) {
	name := d.read[m.Fault]
	src := d.kept[name]
	if m.Line <= 0 || src == nil {
		d.errorf(attrRange(b.Whole, m.Field, b.DefRange), m.Summary, "%s", m.Detail)
		return
	}
	pos := hcl.Pos{Line: m.Line, Column: max(1, m.Column)}
	pos.Byte = offset(src.Bytes, pos)
	end := pos
	for end.Byte < len(src.Bytes) && !strings.ContainsRune(": \t\r\n,}", rune(src.Bytes[end.Byte])) {
		end.Byte++
		end.Column++
	}
	if end == pos {
		end.Byte, end.Column = end.Byte+1, end.Column+1
	}
	d.errorf(hcl.Range{Filename: name, Start: pos, End: end}, m.Summary, "%s", m.Detail)
}
