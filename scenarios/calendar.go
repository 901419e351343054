package scenarios

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"

	"gameday/announce"
	"gameday/rehearsals"
	"gameday/schedules"
	"gameday/schedules/ical"
)

// Calendar is one calendar file, decoded and checked: its scenarios load, its freezes are read.
type Calendar struct {
	Name      string // names what is kept of its schedules
	File      string // path as given to LoadCalendar
	Schedules []*schedules.Schedule
	// Rehearsals are those of the file, in its order.
	Rehearsals []*rehearsals.Rehearsal
	// Notify are where people are told: channels of the whole calendar, and of single schedules and rehearsals.
	Notify []*announce.Channel
}

// Schedule returns the schedule of that name, or nil.
func (c *Calendar) Schedule(name string) *schedules.Schedule {
	for _, s := range c.Schedules {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// The blocks of a calendar. As in a policy, expressions in it have no variables and no functions.

type calendarBlocks struct {
	Name       *string          `hcl:"name,optional"`
	TimeZone   *string          `hcl:"time_zone,optional"`
	Freeze     []string         `hcl:"freeze,optional"`
	Holidays   []string         `hcl:"holidays,optional"`
	Schedules  []scheduleBlock  `hcl:"schedule,block"`
	Rehearsals []rehearsalBlock `hcl:"rehearsal,block"`
	Notify     []notifyBlock    `hcl:"notify,block"`
	Body       hcl.Body         `hcl:",body"`
}

type scheduleBlock struct {
	Name      string            `hcl:"name,label"`
	Scenarios []string          `hcl:"scenarios,optional"`
	Scenario  []plannedBlock    `hcl:"scenario,block"`
	Variables map[string]string `hcl:"variables,optional"`
	Cron      *string           `hcl:"cron,optional"`
	Every     *string           `hcl:"every,optional"`
	Anchor    *string           `hcl:"anchor,optional"`
	TimeZone  *string           `hcl:"time_zone,optional"`
	Window    []windowBlock     `hcl:"window,block"`
	Moment    *string           `hcl:"moment,optional"`
	Freeze    []string          `hcl:"freeze,optional"`
	Holidays  []string          `hcl:"holidays,optional"`
	CatchUp   *string           `hcl:"catch_up,optional"`
	SkipIf    []skipIfBlock     `hcl:"skip_if,block"`
	Notify    []notifyBlock     `hcl:"notify,block"`
	DefRange  hcl.Range         `hcl:",def_range"`
	Body      hcl.Body          `hcl:",body"`
}

type plannedBlock struct {
	File      string            `hcl:"file,label"`
	Name      *string           `hcl:"name,optional"`
	Variables map[string]string `hcl:"variables,optional"`
	VarFiles  []string          `hcl:"var_files,optional"`
	DefRange  hcl.Range         `hcl:",def_range"`
	Body      hcl.Body          `hcl:",body"`
}

type windowBlock struct {
	Days     []string  `hcl:"days,optional"`
	From     *string   `hcl:"from,optional"`
	To       string    `hcl:"to"`
	DefRange hcl.Range `hcl:",def_range"`
	Body     hcl.Body  `hcl:",body"`
}

type skipIfBlock struct {
	Incident bool          `hcl:"incident_open,optional"`
	Budgets  []budgetBlock `hcl:"error_budget,block"`
	DefRange hcl.Range     `hcl:",def_range"`
	Body     hcl.Body      `hcl:",body"`
}

type budgetBlock struct {
	Name     string    `hcl:"name,label"`
	Source   string    `hcl:"source"`
	Query    string    `hcl:"query"`
	Below    float64   `hcl:"below"`
	DefRange hcl.Range `hcl:",def_range"`
	Body     hcl.Body  `hcl:",body"`
}

// LoadCalendar reads a calendar, the scenarios that it names, and its freezes. The calendar is nil when something has errors,
// which are in File.Diags.
func LoadCalendar(path string, o Options) (*Calendar, *File) {
	l := &loader{parser: hclparse.NewParser(), file: &File{Path: path}, kept: map[string]*hcl.File{}}
	d := &calendarDecoding{loader: l, opts: o, out: &Calendar{File: path}, frozen: map[string]*ical.Calendar{}}
	d.load(path)
	sources := l.snippets()
	for name, f := range sources {
		sources[name] = maskNotify(f, name)
	}
	maps.Copy(sources, d.sources)
	l.file.Sources = sources
	l.file.Diags = tidy(l.diags)
	if l.file.Diags.HasErrors() {
		return nil, l.file
	}
	return d.out, l.file
}

// calendarDecoding carries what the schedules of one calendar share while they are decoded.
type calendarDecoding struct {
	*loader
	opts    Options
	out     *Calendar
	dir     string
	zone    *string
	freeze  []string
	holiday []string
	body    hcl.Body
	frozen  map[string]*ical.Calendar // by file and zone; nil is one with a mistake, which was told of
	sources map[string]*hcl.File      // of scenarios that do not load
	loaded  *File                     // the scenario file that was loaded last

	channelNames map[string]hcl.Range
}

// scheduleName is what also names files and units.
var scheduleName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,47}$`)

func (d *calendarDecoding) load(path string) {
	body := d.read(path)
	if body == nil {
		return
	}
	var b calendarBlocks
	d.add(decode(body, nil, &b))
	d.dir, d.zone, d.freeze, d.holiday, d.body = filepath.Dir(path), b.TimeZone, b.Freeze, b.Holidays, b.Body
	if b.TimeZone != nil {
		d.timeZone(b.TimeZone, b.Body, body.MissingItemRange())
	}
	d.out.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	at := body.MissingItemRange()
	if b.Name != nil {
		d.out.Name, at = *b.Name, attrRange(b.Body, "name", at)
	}
	if !schedules.CalendarName(d.out.Name) {
		d.errorf(at, "Invalid calendar name", "%q cannot name the folder in which is kept what ran. Write name = \"game-days\": small letters, digits, dashes and underscores, at most 48.", cutName(d.out.Name))
	}
	d.notify(b.Notify, "")
	if len(b.Schedules)+len(b.Rehearsals)+len(b.Notify) == 0 && !d.diags.HasErrors() {
		d.errorf(body.MissingItemRange(), "No schedule in this file", "A calendar has schedules: schedule \"weekly\" { … }. A scenario is run from one, and does not stand in it.")
	}
	seen := map[string]hcl.Range{}
	for i := range b.Schedules {
		s := &b.Schedules[i]
		if !d.unique(seen, "schedule", s.Name, s.DefRange) {
			continue
		}
		if !scheduleName.MatchString(s.Name) {
			d.errorf(s.DefRange, "Invalid schedule name", "%q also names files and units. It has small letters, digits and dashes, at most 48.", cutName(s.Name))
		}
		if d.opts.Schedule == "" || s.Name == d.opts.Schedule {
			d.schedule(s)
		}
	}
	if d.opts.Schedule == "" {
		d.rehearsals(b.Rehearsals)
	}
}

// read reads and parses the file, or reports why it is no calendar.
func (d *calendarDecoding) read(path string) hcl.Body {
	src, err := d.opts.Text, error(nil)
	if src == nil {
		src, err = readBounded(path)
	}
	switch {
	case err != nil:
		d.plain("Cannot read the calendar", err.Error()+".")
		return nil
	case len(bytes.TrimSpace(bytes.TrimPrefix(src, []byte("\xef\xbb\xbf")))) == 0:
		d.plain("The calendar is empty", path+" has nothing in it. A calendar has schedules: schedule \"weekly\" { … }.")
		return nil
	case !utf8.Valid(src):
		d.plain("The file is not UTF-8", notUTF8(src, path))
		return nil
	}
	if deep := tooDeep(src, path); deep != nil {
		d.parser.AddFile(path, &hcl.File{Bytes: src})
		d.diags = append(d.diags, deep)
		return nil
	}
	f, diags := d.parser.ParseHCL(src, path)
	d.diags = append(d.diags, diags...)
	if diags.HasErrors() || f == nil {
		return nil
	}
	return f.Body
}

// schedule decodes one schedule, and checks it as a whole if its parts are well.
func (d *calendarDecoding) schedule(b *scheduleBlock) {
	before := len(d.diags.Errs())
	s := &schedules.Schedule{Name: b.Name}
	s.Zone = d.timeZone(cmpOr(b.TimeZone, d.zone), b.Body, b.DefRange)
	if b.TimeZone == nil && d.zone == nil {
		d.errorf(b.DefRange, "No time zone", "By which clock? Write time_zone = \"Europe/Berlin\" here, or at the top of the file for all schedules; \"UTC\" is one as well.")
	}
	d.often(s, b)
	d.window(s, b)
	s.Moment = choice(d.loader, b.Moment, b.Body, "moment", b.DefRange, map[string]schedules.Moment{"start": schedules.AtStart, "random": schedules.AtRandom}, schedules.AtStart)
	s.CatchUp = choice(d.loader, b.CatchUp, b.Body, "catch_up", b.DefRange, map[string]schedules.CatchUp{"skip": schedules.CatchUpSkip, "once": schedules.CatchUpOnce}, schedules.CatchUpSkip)
	d.freezes(s, b)
	d.notify(b.Notify, b.Name)
	loaded := d.planned(s, b)
	d.skipIf(s, b, loaded)
	if len(d.diags.Errs()) > before {
		return
	}
	for _, err := range flatten(s.Validate()) {
		var m *schedules.Mistake
		if !errors.As(err, &m) {
			d.errorf(b.DefRange, "Invalid schedule", "%s.", err)
			continue
		}
		at := b.DefRange
		switch field, inWindow := strings.CutPrefix(m.Field, "window"); {
		case inWindow && len(b.Window) > 0:
			at = attrRange(b.Window[0].Body, strings.TrimPrefix(field, "."), b.Window[0].DefRange)
		case m.Field != "":
			at = attrRange(b.Body, m.Field, b.DefRange)
		}
		d.errorf(at, m.Summary, "%s", m.Detail)
	}
	d.out.Schedules = append(d.out.Schedules, s)
}

func cmpOr(a, b *string) *string {
	if a != nil {
		return a
	}
	return b
}

// choice reads an attribute that is one of some words.
func choice[T any](l *loader, text *string, body hcl.Body, field string, at hcl.Range, words map[string]T, fallback T) T {
	if text == nil {
		return fallback
	}
	if v, ok := words[*text]; ok {
		return v
	}
	names := slices.Sorted(maps.Keys(words))
	l.errorf(attrRange(body, field, at), "Unknown "+field, "%s = %q means nothing here.%s It may be %s.", field, cutName(*text), suggest(*text, names), strings.Join(names, " or "))
	return fallback
}

// often decodes cron and every.
func (d *calendarDecoding) often(s *schedules.Schedule, b *scheduleBlock) {
	anchor := schedules.DefaultAnchor
	if b.Anchor != nil {
		at := attrRange(b.Body, "anchor", b.DefRange)
		t, err := time.Parse(time.DateOnly, *b.Anchor)
		switch {
		case err != nil || t.Year() < 1970 || t.Year() > 2200:
			d.errorf(at, "Invalid date", "anchor = %q is not a date such as \"2026-01-05\".", cutName(*b.Anchor))
		case b.Every == nil:
			d.errorf(at, "An anchor without every", "Periods are counted from an anchor, and there is no every. Take it out.")
		default:
			anchor = t
		}
	}
	if b.Cron != nil {
		c, err := schedules.ParseCron(*b.Cron)
		if err != nil {
			d.errorf(attrRange(b.Body, "cron", b.DefRange), "Invalid cron expression", "%q: %s. It has five fields, minute, hour, day of the month, month and day of the week: \"0 10 * * tue\" is "+
				"every Tuesday at 10:00.", cutName(*b.Cron), err)
		}
		s.Cron = c
	}
	if b.Every != nil {
		e, err := schedules.ParseEvery(*b.Every, anchor)
		if err != nil {
			d.errorf(attrRange(b.Body, "every", b.DefRange), "Invalid period", "%s. For times within a day use cron.", err)
		}
		s.Every = e
	}
}

// window decodes the hours. With cron, they may begin when it says.
func (d *calendarDecoding) window(s *schedules.Schedule, b *scheduleBlock) {
	if !one(d.loader, b.Window, "window", func(w windowBlock) hcl.Range { return w.DefRange }) {
		return
	}
	w := b.Window[0]
	p := &policyDecoding{loader: d.loader}
	h := hoursBlock{Days: w.Days, To: w.To, DefRange: w.DefRange, Body: w.Body}
	out := &schedules.Window{Days: p.days(h)}
	ok := true
	if w.From != nil {
		out.From, ok = p.clock(*w.From, h, "from")
		if ok && out.From == 24*time.Hour {
			d.errorf(attrRange(w.Body, "from", w.DefRange), "Invalid time of day", "A day begins at \"00:00\"; \"24:00\" is its end.")
		}
	} else if s.Cron != nil {
		out.From, _ = s.Cron.Once() // Validate says what is wrong with another one
	} else if b.Cron == nil {
		d.errorf(w.DefRange, "A window without a begin", "Say when it opens: from = \"10:00\".")
	}
	out.To, _ = p.clock(w.To, h, "to")
	s.Window = out
}

// planned loads the scenarios.
func (d *calendarDecoding) planned(s *schedules.Schedule, b *scheduleBlock) []*Scenario {
	at := attrRange(b.Body, "scenarios", b.DefRange)
	if len(b.Scenarios) > 0 && len(b.Scenario) > 0 {
		d.errorf(at, "Two lists of scenarios", "They are run one after the other, and nobody knows whether those of scenarios come before the blocks. Write all of them one way.")
		return nil
	}
	type item struct {
		plannedBlock
		at hcl.Range
	}
	var items []item
	for _, file := range b.Scenarios {
		items = append(items, item{plannedBlock{File: file}, at})
	}
	for _, p := range b.Scenario {
		items = append(items, item{p, p.DefRange})
	}
	var out []*Scenario
	for _, p := range items {
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
		loaded := d.scenarioOf(&x, p.Name, p.at)
		if loaded == nil {
			continue
		}
		x.Scenario, x.Length, x.Blind, x.Holds = loaded.Name, loaded.Timeline.Length(), loaded.Blind, holds(loaded)
		s.Items = append(s.Items, x)
		out = append(out, loaded)
	}
	return out
}

func (d *calendarDecoding) path(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(d.dir, file)
}

// scenarioOf loads one scenario, or reports why there is none.
func (d *calendarDecoding) scenarioOf(x *schedules.Item, name *string, at hcl.Range) *Scenario {
	o := d.opts
	o.Vars, o.VarFiles = append(slices.Clone(o.Vars), x.Vars...), append(slices.Clone(o.VarFiles), x.VarFiles...)
	f := Load(x.File, o)
	d.loaded = f
	if f.Diags.HasErrors() {
		n := len(f.Diags.Errs())
		d.errorf(at, "A scenario does not load", "%s has %s, told of here as well. `gameday validate %s` tells of nothing else.", x.File, counted(n, "mistake"), x.File)
		d.diags = append(d.diags, f.Diags...)
		if d.sources == nil {
			d.sources = map[string]*hcl.File{}
		}
		maps.Copy(d.sources, f.Sources)
		return nil
	}
	var names []string
	for _, s := range f.Scenarios {
		if name != nil && s.Name == *name || name == nil && len(f.Scenarios) == 1 {
			return s
		}
		names = append(names, s.Name)
	}
	if name == nil {
		d.errorf(at, "Which scenario", "%s has %d scenarios: %s. Write scenario %q { name = %q }.", x.File, len(names), list(names), filepath.Base(x.File), names[0])
	} else {
		d.errorf(at, "Unknown scenario", "%s has no scenario %q.%s It has %s.", x.File, *name, suggest(*name, names), list(names))
	}
	return nil
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// skipIf decodes the reasons to skip. Somebody must be there to tell of each.
func (d *calendarDecoding) skipIf(s *schedules.Schedule, b *scheduleBlock, loaded []*Scenario) {
	if !one(d.loader, b.SkipIf, "skip_if", func(x skipIfBlock) hcl.Range { return x.DefRange }) {
		return
	}
	x := b.SkipIf[0]
	s.SkipIf.Incident = x.Incident
	alarmIDs, asked := []string{}, false
	for _, sc := range loaded {
		asked = asked || len(sc.Responders)+len(sc.AlarmSources) > 0
		for _, a := range sc.AlarmSources {
			if !slices.Contains(alarmIDs, a.ID()) {
				alarmIDs = append(alarmIDs, a.ID())
			}
		}
	}
	if x.Incident && !asked && len(loaded) > 0 {
		d.errorf(attrRange(x.Body, "incident_open", x.DefRange), "Nobody tells of incidents", "No scenario of this schedule has a source of alarms or responses, so that every occasion would be skipped. "+
			"Declare one in a scenario, or leave incident_open out.")
	}
	seen := map[string]hcl.Range{}
	for _, e := range x.Budgets {
		if !d.unique(seen, "error_budget", e.Name, e.DefRange) {
			continue
		}
		d.title("error_budget", e.Name, e.DefRange)
		if len(loaded) > 0 && !slices.Contains(alarmIDs, e.Source) {
			d.errorf(attrRange(e.Body, "source", e.DefRange), "Unknown source", "No scenario of this schedule declares the alarm source %q.%s They declare %s.", cutName(e.Source), suggest(e.Source, alarmIDs), list(alarmIDs))
		}
		if strings.TrimSpace(e.Query) == "" {
			d.errorf(attrRange(e.Body, "query", e.DefRange), "Empty query", "Write a query whose one value says how much of the budget is left.")
		}
		s.SkipIf.Budgets = append(s.SkipIf.Budgets, schedules.Budget{Name: e.Name, Source: e.Source, Query: e.Query, Least: e.Below})
	}
}
