package scenarios

import (
	"errors"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"gameday/rehearsals"
	"gameday/report"
	"gameday/schedules"
)

type rehearsalBlock struct {
	Name        string            `hcl:"name,label"`
	Scenarios   []string          `hcl:"scenarios,optional"`
	Scenario    []rehearsedBlock  `hcl:"scenario,block"`
	Variables   map[string]string `hcl:"variables,optional"`
	StopOn      []string          `hcl:"stop_on,optional"`
	Require     []requireBlock    `hcl:"require,block"`
	SignOff     []string          `hcl:"sign_off,optional"`
	CompareWith *string           `hcl:"compare_with,optional"`
	Notify      []notifyBlock     `hcl:"notify,block"`
	DefRange    hcl.Range         `hcl:",def_range"`
	Body        hcl.Body          `hcl:",body"`
}

type rehearsedBlock struct {
	File      string            `hcl:"file,label"`
	Name      *string           `hcl:"name,optional"`
	Variables map[string]string `hcl:"variables,optional"`
	VarFiles  []string          `hcl:"var_files,optional"`
	Lane      string            `hcl:"lane,optional"`
	DefRange  hcl.Range         `hcl:",def_range"`
	Body      hcl.Body          `hcl:",body"`
}

type requireBlock struct {
	Score       *float64           `hcl:"score,optional"`
	Parts       map[string]float64 `hcl:"parts,optional"`
	Coverage    *float64           `hcl:"coverage,optional"`
	FreshWithin *string            `hcl:"fresh_within,optional"`
	DefRange    hcl.Range          `hcl:",def_range"`
	Body        hcl.Body           `hcl:",body"`
}

// Rehearsal returns the rehearsal of that name, or nil.
func (c *Calendar) Rehearsal(name string) *rehearsals.Rehearsal {
	for _, r := range c.Rehearsals {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// rehearsals decodes the rehearsals of a calendar.
func (d *calendarDecoding) rehearsals(blocks []rehearsalBlock) {
	seen := map[string]hcl.Range{}
	for i := range blocks {
		b := &blocks[i]
		if !d.unique(seen, "rehearsal", b.Name, b.DefRange) {
			continue
		}
		if !scheduleName.MatchString(b.Name) {
			d.errorf(b.DefRange, "Invalid rehearsal name", "%q is also written into records and names files. It has small letters, digits and dashes, at most 48.", cutName(b.Name))
		}
		d.rehearsal(b)
	}
}

// rehearsal decodes one rehearsal, and checks it as a whole if its parts are well.
func (d *calendarDecoding) rehearsal(b *rehearsalBlock) {
	before := len(d.diags.Errs())
	r := &rehearsals.Rehearsal{Name: b.Name, File: d.out.File, StopOn: rehearsals.DefaultStops, SignOff: b.SignOff}
	if b.CompareWith != nil {
		r.CompareWith = *b.CompareWith
	}
	d.stops(r, b)
	d.require(r, b)
	d.notify(b.Notify, RehearsalScope(b.Name))
	for _, role := range b.SignOff {
		d.title("sign_off", role, attrRange(b.Body, "sign_off", b.DefRange))
	}
	ranges := d.steps(r, b)
	if len(d.diags.Errs()) > before {
		return
	}
	for _, err := range flatten(r.Validate()) {
		var m *rehearsals.Mistake
		if !errors.As(err, &m) {
			d.errorf(b.DefRange, "Invalid rehearsal", "%s.", err)
			continue
		}
		at := b.DefRange
		switch field, inRequire := strings.CutPrefix(m.Field, "require."); {
		case m.Step >= 0:
			at = ranges[m.Step]
		case inRequire && len(b.Require) > 0:
			at = attrRange(b.Require[0].Body, field, b.Require[0].DefRange)
		case m.Field != "":
			at = attrRange(b.Body, m.Field, b.DefRange)
		}
		d.errorf(at, m.Summary, "%s", m.Detail)
	}
	d.out.Rehearsals = append(d.out.Rehearsals, r)
}

// stops decodes after which verdicts nothing further is begun.
func (d *calendarDecoding) stops(r *rehearsals.Rehearsal, b *rehearsalBlock) {
	if b.StopOn == nil {
		return
	}
	words := map[string]report.Verdict{"failed": report.Failed, "aborted": report.Aborted, "inconclusive": report.Inconclusive}
	r.StopOn = rehearsals.Stops{}
	for _, word := range b.StopOn {
		v, ok := words[word]
		if !ok {
			names := slices.Sorted(maps.Keys(words))
			d.errorf(attrRange(b.Body, "stop_on", b.DefRange), "Unknown verdict", "%q is none after which a rehearsal can stop.%s There are %s; a fault that is left standing always stops.",
				cutName(word), suggest(word, names), list(names))
			continue
		}
		if !slices.Contains(r.StopOn, v) {
			r.StopOn = append(r.StopOn, v)
		}
	}
}

// require decodes what every scenario must reach.
func (d *calendarDecoding) require(r *rehearsals.Rehearsal, b *rehearsalBlock) {
	if !one(d.loader, b.Require, "require", func(x requireBlock) hcl.Range { return x.DefRange }) {
		return
	}
	x := b.Require[0]
	r.Require = rehearsals.Limits{Score: x.Score, Coverage: x.Coverage}
	parts := []string{string(report.Service), string(report.Recover), string(report.Detection), string(report.Response), string(report.Capacity)}
	for _, name := range slices.Sorted(maps.Keys(x.Parts)) {
		if !slices.Contains(parts, name) {
			d.errorf(attrRange(x.Body, "parts", x.DefRange), "Unknown part", "A score has no part %q.%s It has %s.", cutName(name), suggest(name, parts), list(parts))
			continue
		}
		if r.Require.Parts == nil {
			r.Require.Parts = map[report.Part]float64{}
		}
		r.Require.Parts[report.Part(name)] = x.Parts[name]
	}
	if x.FreshWithin != nil {
		age, ok := ageOf(*x.FreshWithin)
		if !ok {
			d.errorf(attrRange(x.Body, "fresh_within", x.DefRange), "Invalid age", "fresh_within = %q is not a number of hours, days or weeks, such as \"36h\", \"14d\" or \"4w\". A day has 24 hours here.",
				cutName(*x.FreshWithin))
		}
		r.Require.FreshWithin = age
	}
}

var ageForm = regexp.MustCompile(`^([1-9][0-9]{0,3})([hdw])$`)

// ageOf reads how old something may be, as `gameday fresh` does.
func ageOf(text string) (time.Duration, bool) {
	m := ageForm.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	n, _ := strconv.Atoi(m[1]) // digits, by the form
	return time.Duration(n) * map[string]time.Duration{"h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}[m[2]], true
}

// steps loads the scenarios, and returns where each stands.
func (d *calendarDecoding) steps(r *rehearsals.Rehearsal, b *rehearsalBlock) []hcl.Range {
	at := attrRange(b.Body, "scenarios", b.DefRange)
	if len(b.Scenarios) > 0 && len(b.Scenario) > 0 {
		d.errorf(at, "Two lists of scenarios", "Nobody knows whether those of scenarios come before the blocks. Write all of them one way.")
		return nil
	}
	blocks, ranges := b.Scenario, []hcl.Range{}
	for _, file := range b.Scenarios {
		blocks = append(blocks, rehearsedBlock{File: file, DefRange: at})
	}
	for _, p := range blocks {
		if p.Lane != "" {
			d.identifier("lane", p.Lane, attrRange(p.Body, "lane", p.DefRange))
		}
		variables := maps.Clone(b.Variables)
		if variables == nil {
			variables = map[string]string{}
		}
		maps.Copy(variables, p.Variables)
		x := schedules.Item{File: d.path(p.File)}
		for _, name := range slices.Sorted(maps.Keys(variables)) {
			x.Vars = append(x.Vars, name+"="+variables[name])
		}
		for _, f := range p.VarFiles {
			x.VarFiles = append(x.VarFiles, d.path(f))
		}
		loaded := d.scenarioOf(&x, p.Name, p.DefRange)
		if loaded == nil {
			continue
		}
		x.Scenario, x.Length, x.Blind, x.Holds = loaded.Name, loaded.Timeline.Length(), loaded.Blind, holds(loaded)
		r.Steps = append(r.Steps, rehearsals.Step{Item: x, Lane: p.Lane, Fingerprint: d.fingerprint(x, loaded, p.DefRange)})
		ranges = append(ranges, p.DefRange)
	}
	return ranges
}

// fingerprint stands for what a scenario means: its file, those that it names, its scripts, and its variables. What a script imports is not
// in it. Names are as seen from the scenario's folder, so that it is the same wherever the folder is.
func (d *calendarDecoding) fingerprint(x schedules.Item, s *Scenario, at hcl.Range) string {
	files := rehearsals.Files{}
	dir, err := filepath.Abs(filepath.Dir(x.File))
	if err != nil {
		dir = filepath.Dir(x.File)
	}
	add := func(path string, text []byte) {
		name := filepath.Base(path)
		if abs, err := filepath.Abs(path); err == nil {
			if rel, err := filepath.Rel(dir, abs); err == nil {
				name = rel
			}
		}
		files[filepath.ToSlash(name)] = text
	}
	for path, f := range d.loaded.Sources {
		add(path, f.Bytes)
	}
	for name, sum := range d.loaded.Reads {
		files["file("+name+")"] = []byte(sum)
	}
	for _, t := range s.Traffic {
		if t.Script == "" {
			continue
		}
		text, err := readBounded(t.Script)
		if err != nil {
			d.errorf(at, "Cannot read a script", "%s. Nobody could tell later whether it was changed.", err)
			continue
		}
		add(t.Script, text)
	}
	return rehearsals.Fingerprint(s.Name, x.Vars, files)
}
