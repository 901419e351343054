package scenarios

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"gameday/faults"
	"gameday/loadgen"
	"gameday/report"
	"gameday/sizes"
	"gameday/targets"
	"gameday/targets/lab"
)

// decoding carries what the parts of one scenario share while it is decoded.
type decoding struct {
	*loader
	out *Scenario
	at  hcl.Range // of the scenario's head
	in  indicators

	// Names that are declared, whether or not the block could be decoded: a reference to a faulty one is no second mistake.
	targetNames, faultNames []string

	unsound map[string]bool   // faults whose settings are wrong
	read    map[string]string // by fault, the last file that its settings name

	misspelt hcl.Diagnostics // what was said of the scenario's own blocks

	// How long the phases last; 0 when the file does not say it rightly.
	baselineLasts, loadLasts time.Duration
}

// scenario decodes one scenario block.
func (l *loader) scenario(named *namedBlock, labs map[string]*lab.Config, own []OwnSLI) *Scenario {
	b := &scenarioBlock{}
	diags := decode(named.Body, l.base, b)
	l.add(diags)
	s := &Scenario{
		Name: named.Name, Dir: l.dir, Summary: b.Summary, Owner: b.Owner, Blind: b.Blind, Named: b.Names,
		Responders: l.responderSources,
	}
	d := &decoding{loader: l, out: s, at: named.DefRange, misspelt: diags, unsound: map[string]bool{}}
	l.title("scenario", s.Name, d.at)
	s.Lab = d.lab(b, labs)
	s.SLIs = append(slices.Clone(own), l.ownSLIs(b.SLIs)...)
	d.kubernetes(b)
	d.timeline(b)
	d.traffic(b)
	d.indicators()
	s.AlarmSources = l.rules(l.sources, d.in)
	d.expects(b)
	d.targets(b)
	d.faults(b)
	d.checkClusters(b.Faults)
	d.alarms(b)
	d.control(b)
	d.noise(b)
	d.responses(b)
	d.aborts(b)
	d.score(b)
	d.regression(b)
	return s
}

// lab finds the scenario's lab: the one it names, or the file's only one.
func (d *decoding) lab(b *scenarioBlock, labs map[string]*lab.Config) *lab.Config {
	names := slices.Sorted(maps.Keys(labs))
	if given(b.Lab) {
		return labs[d.reference(b.Lab, "lab", "a lab", names)]
	}
	switch len(names) {
	case 0:
		return nil
	case 1:
		return labs[names[0]]
	}
	d.errorf(d.at, "Which lab?", "The file declares several labs. Say which one this scenario uses: lab = "+
		"lab.%s.", names[0])
	return nil
}

// meant reports whether a block of the scenario is there under a misspelt name, which is reported.
func (d *decoding) meant(kind string) bool {
	return slices.ContainsFunc(d.misspelt, func(g *hcl.Diagnostic) bool {
		return strings.Contains(g.Detail, fmt.Sprintf("Did you mean %q?", kind))
	})
}

func (d *decoding) timeline(b *scenarioBlock) {
	if !one(d.loader, b.Timeline, "timeline", func(t timelineBlock) hcl.Range { return t.DefRange }) {
		if d.meant("timeline") {
			return
		}
		d.errorf(d.at, "No timeline", "Say how long each phase lasts: "+
			"timeline { baseline = \"30s\", ramp = \"10s\", load = \"3m\", recovery = \"60s\" }, one attribute a line.")
		return
	}
	t, before := b.Timeline[0], len(d.diags)
	d.out.Timeline = Timeline{
		Baseline: d.duration(t.Baseline, t.Body, "baseline", t.DefRange, time.Second),
		Load:     d.duration(t.Load, t.Body, "load", t.DefRange, time.Second),
		Recovery: d.duration(t.Recovery, t.Body, "recovery", t.DefRange, 0),
	}
	if t.Ramp != "" {
		d.out.Timeline.Ramp = d.duration(t.Ramp, t.Body, "ramp", t.DefRange, 0)
	}
	if len(d.diags) == before {
		d.baselineLasts, d.loadLasts = d.out.Timeline.Baseline, d.out.Timeline.Load
	}
}

func (d *decoding) traffic(b *scenarioBlock) {
	if len(b.Traffic) == 0 && !d.meant("traffic") {
		d.errorf(d.at, "No traffic", "Without traffic nothing can be measured. Add: "+
			"traffic \"shoppers\" { … } with a k6 script and its baseline rate.")
	}
	seen := map[string]hcl.Range{}
	for _, t := range b.Traffic {
		if !d.unique(seen, "traffic", t.Name, t.DefRange) {
			continue
		}
		d.identifier("traffic", t.Name, t.DefRange)
		if slices.Contains(sliNames(), t.Name) || slices.ContainsFunc(d.out.SLIs, func(o OwnSLI) bool { return o.Name == t.Name }) {
			d.errorf(t.DefRange, "Ambiguous traffic name", "%q is also the name of an indicator, so sli.%s would "+
				"mean two things. Rename the traffic.",
				t.Name, t.Name)
		}
		d.out.Traffic = append(d.out.Traffic, d.stream(t))
	}
}

func (d *decoding) stream(t trafficBlock) Traffic {
	out := Traffic{Name: t.Name, Multiple: 3, KeepExecutors: t.KeepExecutors, MaxVUs: t.MaxVUs, Env: t.Env,
		Range: t.DefRange}
	if t.Multiple != nil {
		out.Multiple = *t.Multiple
	}
	if t.Multiple != nil && !d.decodes(t.Body, "multiple", cty.Number) {
		out.Multiple = 1
	}
	if out.Multiple <= 0 || out.Multiple > maxMultiple {
		d.errorf(attrRange(t.Body, "multiple", t.DefRange), "Invalid multiple", "The load phase's multiple of "+
			"the baseline is "+
			"more than 0 and at most 1000; 3 is usual.")
		out.Multiple = 1
	}
	if t.MaxVUs < 0 || t.MaxVUs > 100_000 {
		d.errorf(attrRange(t.Body, "max_vus", t.DefRange), "Invalid max_vus", "The bound on virtual users is "+
			"from 1 to 100000.")
	}
	d.memory(&out, t)
	if one(d.loader, t.Baseline, "baseline", func(b baselineBlock) hcl.Range { return b.DefRange }) {
		d.baseline(&out, t.Baseline[0])
	} else if !t.KeepExecutors {
		d.errorf(t.DefRange, "No baseline", "Say what 1x is: baseline { rate = 40 }, in iterations of the script "+
			"per second; or "+
			"keep the script's own executors with keep_executors = true.")
	}
	switch {
	case len(t.Requests)+len(t.Flows) == 0:
		d.script(&out, t)
		d.onlyForRequests(t)
	case t.Script != nil:
		d.errorf(attrRange(t.Body, "script", t.DefRange), "Two kinds of traffic", "This traffic has a script and "+
			"requests of its own. Take one of them out, "+
			"or make two traffic blocks of it.")
	default:
		d.requests(&out, &t)
		d.onlyForScripts(t)
	}
	out.Baseline.perIteration(out.Flows)
	d.program(&out, t)
	d.generators(&out, t)
	d.runOn(&out, t)
	return out
}

// leastMemory is what a generator cannot do without, before it has sent anything.
const leastMemory = 64e6

// memory reads the bound on what the stream's generator may hold.
func (d *decoding) memory(out *Traffic, t trafficBlock) {
	if t.Memory == "" {
		return
	}
	at := attrRange(t.Body, "memory", t.DefRange)
	n, err := sizes.Parse(t.Memory)
	switch {
	case err != nil:
		d.errorf(at, "Invalid memory", "%s", sentence(err.Error()))
	case n < leastMemory:
		d.errorf(at, "Invalid memory", "memory is what the generator may hold at most, and with less than %s it cannot begin.", sizes.Show(leastMemory))
	}
	out.Memory = n
}

// onlyForScripts complains of attributes that do nothing without a script.
func (d *decoding) onlyForScripts(t trafficBlock) {
	for _, name := range []string{"env", "keep_executors"} {
		if present(t.Body, name) {
			d.errorf(attrRange(t.Body, name, t.DefRange), "Only for scripts", "%s is for k6 scripts, and this "+
				"traffic has requests of its own. Take it out.", name)
		}
	}
}

// onlyForRequests complains of attributes that a script has in itself.
func (d *decoding) onlyForRequests(t trafficBlock) {
	for _, name := range []string{"base", "headers", "timeout", "http", "unix", "connections"} {
		if present(t.Body, name) {
			d.errorf(attrRange(t.Body, name, t.DefRange), "Only for requests", "%s is for request and flow "+
				"blocks. A k6 script says that itself; env = { … } can tell it.", name)
		}
	}
	for _, b := range t.TLS {
		d.errorf(b.DefRange, "Only for requests", "tls is for request and flow blocks. A k6 script has that "+
			"among its options.")
	}
	for _, b := range t.Data {
		d.errorf(b.DefRange, "Only for requests", "data is for request and flow blocks. A k6 script reads its own.")
	}
}

// script checks that the stream's script is there and parses, and shows its line when it does not.
func (d *decoding) script(out *Traffic, t trafficBlock) {
	at := attrRange(t.Body, "script", t.DefRange)
	if present(t.Body, "script") && !d.decodes(t.Body, "script", cty.String) {
		return
	}
	if t.Script == nil || *t.Script == "" {
		d.errorf(t.DefRange, "No script", "Say what is sent: a k6 script, script = \"shoppers.js\", or requests "+
			"without one, request \"home\" { url = \"http://shop:8080/\" }.")
		return
	}
	out.ScriptShown = *t.Script
	out.Script = d.path(*t.Script)
	if info, err := os.Stat(out.Script); err != nil || !info.Mode().IsRegular() {
		d.errorf(at, "No such script", "There is no file %q; paths are relative to the scenario's folder.%s",
			*t.Script, nearby(out.Script))
		return
	}
	d.runsScripts(at)
	if d.opts.Catalogue.CheckScript == nil {
		return
	}
	for _, p := range d.opts.Catalogue.CheckScript(loadgen.Spec{Stream: out.Name, Script: out.Script}) {
		d.scriptProblem(p, at)
	}
}

// runsScripts says, once, when no script can be run here.
func (d *decoding) runsScripts(at hcl.Range) {
	runs := d.opts.Catalogue.RunsScripts
	if runs == nil || d.scriptless {
		return
	}
	if err := runs(); err != nil {
		d.scriptless = true
		d.errorf(at, "No program for scripts", "This traffic is a k6 script's, and %s.", strings.TrimSuffix(err.Error(), "."))
	}
}

// nearby suggests a file of a similar name in the same folder.
func nearby(path string) string { return suggest(filepath.Base(path), around(path)) }

// neighbour returns the name of such a file, or nothing.
func neighbour(path string) string { return faults.Nearest(filepath.Base(path), around(path)) }

// around lists the names in the folder that a path is in.
func around(path string) []string {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// scriptProblem shows a mistake in a script at the script's own line.
func (d *decoding) scriptProblem(p loadgen.Problem, at hcl.Range) {
	name := p.File
	if rel, err := filepath.Rel(d.dir, p.File); err == nil {
		name = filepath.Join(filepath.Dir(d.file.Path), rel)
	}
	if p.Line == 0 {
		d.errorf(at, p.Summary, "%s", p.Detail)
		return
	}
	pos := hcl.Pos{Line: p.Line, Column: max(1, p.Column)}
	if src, err := os.ReadFile(p.File); err == nil {
		if d.scripts == nil {
			d.scripts = map[string]*hcl.File{}
		}
		d.scripts[name] = &hcl.File{Bytes: src}
		pos.Byte = offset(src, pos)
	}
	end := pos
	end.Column++
	end.Byte++
	d.errorf(hcl.Range{Filename: name, Start: pos, End: end}, p.Summary, "%s", p.Detail)
}

// offset returns the byte at which a line and column stand.
func offset(src []byte, p hcl.Pos) int {
	line := 1
	for i, c := range src {
		if line == p.Line {
			return min(len(src), i+p.Column-1)
		}
		if c == '\n' {
			line++
		}
	}
	return len(src)
}

func (d *decoding) indicators() {
	for _, t := range d.out.Traffic {
		d.in.streams = append(d.in.streams, t.Name)
	}
	seen := map[string]hcl.Range{}
	for _, o := range d.out.SLIs {
		if slices.Contains(sliNames(), o.Name) {
			d.errorf(o.Range, "Name taken", "sli.%s is measured by gameday itself. Give this one another name.", o.Name)
			continue
		}
		d.identifier("sli", o.Name, o.Range)
		if d.unique(seen, "sli", o.Name, o.Range) {
			d.in.own = append(d.in.own, o.Name)
		}
	}
}

func (d *decoding) expects(b *scenarioBlock) {
	at := func(b expectsBlock) hcl.Range { return b.DefRange }
	if one(d.loader, b.Steady, "steady_state", at) {
		d.expectBlocks(b.Steady[0].Expects, report.PartSteady, "", span{d.baselineLasts, "the baseline phase"})
	}
	if one(d.loader, b.Capacity, "capacity", func(b capacityBlock) hcl.Range { return b.DefRange }) {
		d.search(b.Capacity[0])
		d.expectBlocks(b.Capacity[0].Expects, report.PartCapacity, "", span{d.loadLasts, "the load phase"})
	}
}

// span is what an expectation is judged over.
type span struct {
	length time.Duration // 0 when it is not known beforehand
	what   string
}

func (d *decoding) expectBlocks(blocks []expectBlock, part report.ExpectPart, fault string, judged span) {
	seen := map[string]hcl.Range{}
	for _, b := range blocks {
		if !d.unique(seen, "expect", b.Name, b.DefRange) {
			continue
		}
		d.title("expect", b.Name, b.DefRange)
		c := d.condition(b.That, d.in)
		if part == report.PartSteady {
			d.late(c)
		}
		c.Over = d.over(b.Over, b.Body, b.DefRange)
		if b.Over != "" && judged.length > 0 && c.Over > judged.length {
			d.errorf(attrRange(b.Body, "over", b.DefRange), "Window too long", "over is %s, and %s, over which "+
				"this is judged, lasts %s: no "+
				"window would ever be full. Make one shorter or the other longer.", short(c.Over), judged.what,
				short(judged.length))
		}
		d.out.Expects = append(d.out.Expects, Expect{
			Name: b.Name, Part: part, Fault: fault, That: c,
			Weight: d.weight(b.Weight, b.Body, b.DefRange), Required: b.Required, Range: b.DefRange,
		})
	}
}

func (d *decoding) targets(b *scenarioBlock) {
	kinds := targets.Selectors()
	names := slices.Sorted(maps.Keys(kinds))
	seen := map[string]hcl.Range{}
	for _, t := range b.Targets {
		if !d.unique(seen, "target", t.Name, t.DefRange) {
			continue
		}
		d.identifier("target", t.Name, t.DefRange)
		d.targetNames = append(d.targetNames, t.Name)
		sel := d.selector(t, kinds, names)
		if sel == nil {
			continue
		}
		out := Target{Name: t.Name, Selector: sel, Range: t.DefRange}
		d.choice(&out, t)
		out.Labels = d.labels(t)
		if n, ok := sel.(*targets.Node); ok {
			d.labNode(n, t.DefRange)
		}
		if in, ok := sel.(targets.InCluster); ok {
			d.inCluster(in, t.DefRange)
		}
		if _, ok := sel.(*targets.Container); ok && d.out.Lab != nil {
			d.errorf(t.DefRange, "Containers beside a lab", "A lab is a world of its own, and from inside it "+
				"this machine's containers cannot be "+
				"reached. Take the lab out of this scenario, or choose one of its nodes.")
		}
		d.out.Targets = append(d.out.Targets, out)
	}
}

// selector decodes the inner block of a target, and the host block beside it.
func (d *decoding) selector(t targetBlock, kinds map[string]func() targets.Selector, names []string) targets.Selector {
	schema := &hcl.BodySchema{}
	for _, n := range names {
		schema.Blocks = append(schema.Blocks, hcl.BlockHeaderSchema{Type: n})
	}
	content, diags := t.Body.Content(schema)
	for _, diag := range diags {
		if diag.Summary == "Unsupported block type" {
			diag.Summary = "Unknown target kind"
			diag.Detail += " In this build a target is one of: " + list(names) + "."
		}
	}
	d.add(diags)
	if diags.HasErrors() {
		return nil
	}
	if host, inner, ok := beside(content.Blocks); ok {
		onHost := d.host(host)
		process, ok := d.inner(inner, kinds).(*targets.Process)
		if onHost == nil || !ok {
			return nil
		}
		onHost.Process = process
		return onHost
	}
	if len(content.Blocks) != 1 {
		d.errorf(t.DefRange, "One selector needed", "A target holds exactly one of %s; a process may stand "+
			"beside a host.", list(names))
		return nil
	}
	return d.inner(content.Blocks[0], kinds)
}

// inner decodes one block of a target.
func (d *decoding) inner(block *hcl.Block, kinds map[string]func() targets.Selector) targets.Selector {
	if block.Type == "host" {
		if h := d.host(block); h != nil {
			return h
		}
		return nil
	}
	sel := kinds[block.Type]()
	into := any(sel)
	if in, ok := sel.(targets.InCluster); ok {
		into = in.Block()
	}
	diags := decode(block.Body, d.base, into)
	d.add(diags)
	if diags.HasErrors() {
		return nil
	}
	d.fields(sel.Validate(), block.Body, block.DefRange)
	return sel
}

func (d *decoding) labNode(n *targets.Node, at hcl.Range) {
	if d.out.Lab == nil {
		d.errorf(at, "No lab", "A node target names a node of the scenario's lab, and this file has no lab block.")
		return
	}
	var names []string
	for _, c := range d.out.Lab.Nodes {
		names = append(names, c.Name)
	}
	if !slices.Contains(names, n.Name) {
		sort.Strings(names)
		d.errorf(at, "Unknown node", "The lab has no node %q.%s It has %s.", n.Name, suggest(n.Name, names),
			list(names))
	}
}
