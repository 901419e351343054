package scenarios

import (
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"gameday/faults"
	"gameday/report"
	"gameday/targets"
)

// defaultLease is how long a fault stands after the last renewal. It is renewed five times in that time.
const defaultLease = 10 * time.Second

func (d *decoding) faults(b *scenarioBlock) {
	seen := map[string]hcl.Range{}
	var names []string
	for _, f := range b.Faults {
		if d.unique(seen, "fault", f.Name, f.DefRange) {
			d.identifier("fault", f.Name, f.DefRange)
			names = append(names, f.Name)
		}
	}
	d.faultNames = names
	done := map[string]bool{}
	for i := range b.Faults {
		f := &b.Faults[i]
		if done[f.Name] {
			continue
		}
		done[f.Name] = true
		d.fault(f, names)
	}
	d.order()
}

func (d *decoding) fault(f *faultBlock, names []string) {
	kind, ok := d.kind(f)
	if !ok {
		return
	}
	out := Fault{Name: f.Name, Kind: kind, Range: f.DefRange, At: -1}
	out.Config = kind.New()
	diags := decode(f.Rest, d.base, out.Config)
	d.add(diags)
	d.unsound[f.Name] = diags.HasErrors()
	if !diags.HasErrors() {
		d.manifested(out.Config, f)
	}
	if !d.unsound[f.Name] {
		err := out.Config.Validate()
		d.unsound[f.Name] = err != nil
		d.loader.fields(err, f.Rest, f.DefRange)
	}
	out.Kind = kind.For(out.Config)
	d.landing(&out, f)
	d.when(&out, f, names)
	before := len(d.diags)
	d.limits(&out, f)
	judged := span{out.Lasts(), "fault " + f.Name}
	if len(d.diags) > before {
		judged.length = 0
	}
	d.expectBlocks(f.Expects, report.PartFault, f.Name, judged)
	d.out.Faults = append(d.out.Faults, out)
}

func (d *decoding) kind(f *faultBlock) (faults.Kind, bool) {
	var names []string
	for _, k := range d.opts.Catalogue.Faults {
		if k.Name == f.Kind {
			return k, true
		}
		names = append(names, k.Name)
	}
	slices.Sort(names)
	d.errorf(f.KindRange, "Unknown fault kind", "This build has no fault kind %q.%s It has %s. `gameday kinds` says what each does.",
		f.Kind, suggest(f.Kind, names), list(names))
	return faults.Kind{}, false
}

// landing reads target or between, and checks that the kind can work there.
func (d *decoding) landing(out *Fault, f *faultBlock) {
	known := d.targetNames
	if out.Kind.Needs == faults.NeedCluster {
		d.anywhere(out, f)
		return
	}
	switch {
	case given(f.Target) && given(f.Between):
		d.errorf(f.DefRange, "Target and between", "A fault lands on one target or stands between two, not both.")
	case given(f.Target):
		if name := d.reference(f.Target, "target", "a target", known); name != "" {
			out.Targets = []string{name}
		}
	case given(f.Between):
		d.between(out, f, known)
	default:
		d.errorf(f.DefRange, "No target", "Say where the fault lands: target = target.<name>.")
	}
	for _, name := range out.Targets {
		t := d.out.Target(name)
		if t == nil {
			continue // its own mistakes are reported
		}
		sel := t.Selector
		if !slices.Contains(sel.Provides(), out.Kind.Needs) {
			d.errorf(f.DefRange, "Wrong kind of target", "%s needs a %s, and target %q is %s. Targets that have one: %s.",
				out.Kind.Name, out.Kind.Needs, name, article(sel.Kind()), list(d.providers(out.Kind.Needs)))
			d.unsound[f.Name] = true
		}
	}
	d.apart(out, f.DefRange)
}

// anywhere is landing for a fault that says by itself where it lands.
func (d *decoding) anywhere(out *Fault, f *faultBlock) {
	for field, e := range map[string]hcl.Expression{"target": f.Target, "between": f.Between} {
		if given(e) {
			d.errorf(attrRange(f.Whole, field, f.DefRange), "No target here", "%s says by itself where it lands. Take %s out.", out.Kind.Name, field)
		}
	}
	d.besideLab(f.DefRange)
}

func (d *decoding) between(out *Fault, f *faultBlock, known []string) {
	if !out.Kind.Between {
		d.errorf(f.Between.Range(), "Not between targets", "%s lands on one target: target = target.<name>.", out.Kind.Name)
		return
	}
	items, diags := hcl.ExprList(bare(f.Between))
	if diags.HasErrors() || len(items) != 2 {
		d.errorf(f.Between.Range(), "Two targets needed", "Write the two sides: between = [target.a, target.b].")
		return
	}
	var names []string
	for _, e := range items {
		name := d.reference(e, "target", "a target", known)
		if name == "" {
			return
		}
		names = append(names, name)
	}
	if names[0] == names[1] {
		d.errorf(f.Between.Range(), "Both sides are the same", "A fault between targets needs two different ones.")
		return
	}
	out.Targets, out.Between = names, true
}

// providers lists the kinds of target that have a part.
func (d *decoding) providers(need faults.Need) []string {
	var out []string
	for name, f := range targets.Selectors() {
		if slices.Contains(f().Provides(), need) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// when reads at, or after and wait.
func (d *decoding) when(out *Fault, f *faultBlock, names []string) {
	switch {
	case f.At != nil && given(f.After):
		d.errorf(f.DefRange, "At and after", "A fault begins at an instant of the load phase (at) or after another one has ended (after), not both.")
	case f.At != nil:
		out.At = d.duration(*f.At, f.Whole, "at", f.DefRange, 0)
		if f.Wait != nil {
			d.errorf(attrRange(f.Whole, "wait", f.DefRange), "Wait without after", "wait counts from the end of another fault: "+
				"it goes with after = fault.<name>.")
		}
	case given(f.After):
		others := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == f.Name })
		if name := d.reference(f.After, "fault", "another fault", others); name != "" {
			out.After = name
		}
		out.Wait = d.optional(f.Wait, f.Whole, "wait", f.DefRange, 0, 0)
	case present(f.Whole, "at"): // reported
	default:
		d.errorf(f.DefRange, "No beginning", "Say when: at = \"20s\" counts from the begin of the load phase, after = fault.<name> from "+
			"the end of another fault.")
		out.At = 0
	}
}

// limits reads how long the fault stands and what is expected of its target afterwards.
func (d *decoding) limits(out *Fault, f *faultBlock) {
	lasting := out.Kind.Reversible && !selfEnding(out.Config)
	if f.Duration != nil {
		out.Duration = d.duration(*f.Duration, f.Whole, "duration", f.DefRange, time.Second)
		if !lasting {
			d.errorf(attrRange(f.Whole, "duration", f.DefRange), "No duration here", "%s %s: it has no duration.",
				out.Kind.Name, ends(out.Kind))
		}
	} else if lasting && !present(f.Whole, "duration") {
		d.errorf(f.DefRange, "No duration", "%s stands until it is reverted. Say for how long: duration = \"45s\".", out.Kind.Name)
		out.Duration = time.Second
	}
	out.Lease = d.optional(f.Lease, f.Whole, "lease", f.DefRange, 2*time.Second, defaultLease)
	out.RestartsWithin = d.optional(f.RestartsWithin, f.Whole, "restarts_within", f.DefRange, 0, 0)
	out.SteadyWithin = d.optional(f.SteadyWithin, f.Whole, "steady_within", f.DefRange, 0, 0)
	if f.RestartsWithin != nil && (lasting && out.Kind.Needs == faults.NeedProcess || out.Kind.Needs == faults.NeedNetwork || out.Kind.Needs == faults.NeedMachine || out.Kind.Needs == faults.NeedPod) {
		d.errorf(attrRange(f.Whole, "restarts_within", f.DefRange), "Nothing restarts", "%s leaves its target running, so nothing can restart. "+
			"Use steady_within for the return to steady state.", out.Kind.Name)
	}
}

func selfEnding(c faults.Config) bool {
	_, ok := c.(faults.SelfEnding)
	return ok
}

func ends(k faults.Kind) string {
	if k.Reversible {
		return "ends by itself"
	}
	return "cannot be undone"
}

// Lasts returns how long a fault stands, as far as the scenario says: its duration, or the time after which its kind ends by
// itself, or 0.
func (f *Fault) Lasts() time.Duration {
	if s, ok := f.Config.(faults.SelfEnding); ok {
		return s.Ends()
	}
	return f.Duration
}

// order checks that no fault waits for itself, and computes nothing else: At of faults with After stays -1.
func (d *decoding) order() {
	var names []string
	for _, f := range d.out.Faults {
		names = append(names, f.Name)
	}
	_, cycle := dependencyOrder(names, func(n string) []string {
		if f := d.out.Fault(n); f.After != "" {
			return []string{f.After}
		}
		return nil
	})
	if len(cycle) > 0 {
		d.errorf(d.out.Fault(cycle[0]).Range, "Cycle of faults", "Each of these waits for another to end, so none ever begins: %s.", list(cycle))
		for _, n := range cycle {
			d.out.Fault(n).After = ""
			d.out.Fault(n).At = 0
		}
	}
}

// Begins returns when a fault begins, counted from the begin of the load phase: exact for `at`, and for `after` the
// earliest instant.
func (s *Scenario) Begins(name string) time.Duration {
	f := s.Fault(name)
	total := time.Duration(0)
	for range len(s.Faults) + 1 {
		if f == nil {
			return total
		}
		if f.After == "" {
			return total + max(0, f.At)
		}
		total += f.Wait
		if f = s.Fault(f.After); f != nil {
			total += f.Lasts()
		}
	}
	return total
}

// checkSourcesUsed reports source names that would be ambiguous in the record.
func (l *loader) checkSourcesUsed() {
	seen := map[string]bool{}
	for _, s := range l.alarmSources {
		seen[s.ID()] = true
	}
	for _, r := range l.responderSources {
		if seen[r.ID()] {
			l.errorf(r.Range, "Ambiguous source name", "An alarms source is called %s too. Rename one of them.", r.ID())
		}
	}
	slices.SortFunc(l.secrets, func(a, b Secret) int { return strings.Compare(a.Name, b.Name) })
}
