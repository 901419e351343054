package scenarios

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"gameday/loadgen"
	"gameday/loadgen/baseline"
)

// Baseline is where a stream's 1x is to be measured: one of Metrics, Run and Log.
type Baseline struct {
	// Metrics are asked of Source, an alarm source ("prometheus.main").
	Metrics *baseline.Metrics
	Source  string
	// Run is LatestRun, the name of a run, or an absolute path of a record.
	Run string
	Log *baseline.Log
	// MaxAge is how old the newest data may be; 0 is what is usual for its kind.
	MaxAge time.Duration
	// PerIteration is how many of the requests measured one iteration makes, on average: as the file says, or as the flows do.
	// It is 1 for Run, which measures iterations.
	PerIteration float64
	// Assumed says that nobody said it, of a script.
	Assumed bool
	Range   hcl.Range
}

// LatestRun is the name of the newest run of the same scenario.
const LatestRun = "latest"

type baselineBlock struct {
	Rate         *float64         `hcl:"rate,optional"`
	Run          *string          `hcl:"run,optional"`
	MaxAge       *string          `hcl:"max_age,optional"`
	PerIteration *float64         `hcl:"requests_per_iteration,optional"`
	Prometheus   []metricsBlock   `hcl:"prometheus,block"`
	AccessLog    []accessLogBlock `hcl:"access_log,block"`
	DefRange     hcl.Range        `hcl:",def_range"`
	Body         hcl.Body         `hcl:",body"`
}

type metricsBlock struct {
	Source   hcl.Expression `hcl:"source"`
	Query    string         `hcl:"query"`
	Over     *string        `hcl:"over,optional"`
	Step     *string        `hcl:"step,optional"`
	Quantile *float64       `hcl:"quantile,optional"`
	At       *string        `hcl:"at,optional"`
	TimeZone *string        `hcl:"time_zone,optional"`
	DefRange hcl.Range      `hcl:",def_range"`
	Body     hcl.Body       `hcl:",body"`
}

type accessLogBlock struct {
	Path        string    `hcl:"path"`
	Format      *string   `hcl:"format,optional"`
	Pattern     *string   `hcl:"pattern,optional"`
	Over        *string   `hcl:"over,optional"`
	Step        *string   `hcl:"step,optional"`
	Quantile    *float64  `hcl:"quantile,optional"`
	MaxGap      *string   `hcl:"max_gap,optional"`
	TimeZone    *string   `hcl:"time_zone,optional"`
	TimeField   *string   `hcl:"time_field,optional"`
	MethodField *string   `hcl:"method_field,optional"`
	PathField   *string   `hcl:"path_field,optional"`
	StatusField *string   `hcl:"status_field,optional"`
	DefRange    hcl.Range `hcl:",def_range"`
	Body        hcl.Body  `hcl:",body"`
}

// Bounds of how far to look back, and how finely.
const (
	usualOver   = 14 * 24 * time.Hour
	maxLookBack = 400 * 24 * time.Hour
	maxStep     = 24 * time.Hour
	manySamples = 100_000
)

// MaxRate is the highest 1x, in iterations per second.
const MaxRate = 1_000_000

// baseline decodes where 1x comes from: given, or measured when the run is planned.
func (d *decoding) baseline(out *Traffic, b baselineBlock) {
	var ways []string
	for _, name := range []string{"rate", "run"} {
		if present(b.Body, name) {
			ways = append(ways, name)
		}
	}
	if one(d.loader, b.Prometheus, "prometheus", func(m metricsBlock) hcl.Range { return m.DefRange }) {
		ways = append(ways, "prometheus")
	}
	if one(d.loader, b.AccessLog, "access_log", func(l accessLogBlock) hcl.Range { return l.DefRange }) {
		ways = append(ways, "access_log")
	}
	switch {
	case out.KeepExecutors && len(ways) > 0:
		d.errorf(b.DefRange, "Two baselines", "With keep_executors the script's own rates are 1x. Take one of "+
			"the two out.")
	case len(ways) > 1:
		d.errorf(b.DefRange, "Two baselines", "1x is one rate, and this names %s. Take all but one out.", list(ways))
	case len(ways) == 0 && !out.KeepExecutors && !d.meant("prometheus") && !d.meant("access_log"):
		d.errorf(b.DefRange, "No baseline", "Say what 1x is: rate = 40, in iterations per second; or measure it: "+
			"prometheus { … }, "+
			"access_log { … }, or run = %q.", LatestRun)
	case len(ways) == 1 && ways[0] == "rate":
		d.rate(out, b)
	case len(ways) == 1:
		d.measured(out, b, ways[0])
	}
}

// rate decodes a rate that is given.
func (d *decoding) rate(out *Traffic, b baselineBlock) {
	for _, name := range []string{"max_age", "requests_per_iteration"} {
		if present(b.Body, name) {
			d.errorf(attrRange(b.Body, name, b.DefRange), "Unsupported argument", "An argument named %q is for a "+
				"baseline that is measured, "+
				"and this one is given.", name)
		}
	}
	switch {
	case !d.decodes(b.Body, "rate", cty.Number): // reported
	case b.Rate == nil || *b.Rate <= 0 || *b.Rate > MaxRate:
		d.errorf(attrRange(b.Body, "rate", b.DefRange), "Invalid rate", "A rate is more than 0 and at most "+
			"%d iterations a second.", MaxRate)
	default:
		out.Rate = *b.Rate
	}
}

// measured decodes a baseline that is measured.
func (d *decoding) measured(out *Traffic, b baselineBlock, way string) {
	m := &Baseline{Range: b.DefRange, MaxAge: d.lookBack(b.MaxAge, 0, b.Body, "max_age", b.DefRange, time.Second,
		maxLookBack)}
	if b.PerIteration != nil && d.decodes(b.Body, "requests_per_iteration", cty.Number) {
		m.PerIteration = *b.PerIteration
		if m.PerIteration <= 0 || m.PerIteration > 1e6 {
			d.errorf(attrRange(b.Body, "requests_per_iteration", b.DefRange), "Invalid requests_per_iteration",
				"One iteration makes more than 0 and at "+
					"most 1000000 requests, on average.")
		}
	}
	switch way {
	case "run":
		if b.PerIteration != nil {
			d.errorf(attrRange(b.Body, "requests_per_iteration", b.DefRange), "Unsupported argument", "An "+
				"argument named \"requests_per_iteration\" is not "+
				"expected with run: what a run measured are iterations.")
		}
		m.Run, m.PerIteration = d.runName(b), 1
	case "prometheus":
		d.metrics(m, b.Prometheus[0])
	case "access_log":
		d.accessLog(m, b.AccessLog[0])
	}
	out.Baseline = m
}

// perIteration fills in how many requests an iteration makes where the file does not say it: as many as the flows have, by
// their weights. One iteration of a script is taken for one request.
func (b *Baseline) perIteration(flows []loadgen.Flow) {
	if b == nil || b.PerIteration > 0 {
		return
	}
	requests, weights := 0.0, 0.0
	for _, f := range flows {
		requests += f.Weight * float64(len(f.Requests))
		weights += f.Weight
	}
	b.PerIteration, b.Assumed = 1, len(flows) == 0
	if requests > 0 && weights > 0 {
		b.PerIteration = requests / weights
	}
}

// runName reads which run: the latest, one by its name, or one by its path, relative to the scenario's folder.
func (d *decoding) runName(b baselineBlock) string {
	if b.Run == nil || *b.Run == "" {
		if b.Run != nil || d.decodes(b.Body, "run", cty.String) {
			d.errorf(attrRange(b.Body, "run", b.DefRange), "No run", "Name a run: run = %q for the newest one of "+
				"this scenario, or the path of "+
				"its record.", LatestRun)
		}
		return ""
	}
	name := filepath.FromSlash(*b.Run)
	if !strings.ContainsRune(name, filepath.Separator) {
		return name
	}
	return d.path(name)
}

func (d *decoding) metrics(out *Baseline, b metricsBlock) {
	m := &baseline.Metrics{Query: b.Query, MaxAge: out.MaxAge, Zone: d.timeZone(b.TimeZone, b.Body, b.DefRange),
		Quantile: d.quantile(b.Quantile, b.Body, b.DefRange), At: baseline.SameHour}
	out.Metrics, out.Source = m, d.sourceReference(b.Source, "alarms")
	if kind, _, _ := strings.Cut(out.Source, "."); kind != "" && kind != "prometheus" {
		d.errorf(b.Source.Range(), "Not a Prometheus", "A metric is asked of an alarms source of the kind "+
			"prometheus; this refers to %s.", article(kind))
	}
	if strings.TrimSpace(b.Query) == "" && d.decodes(b.Body, "query", cty.String) {
		d.errorf(attrRange(b.Body, "query", b.DefRange), "No query", "Write a query that yields requests per "+
			"second, as one series: "+
			"sum(rate(http_requests_total[5m])).")
	}
	if b.At != nil {
		m.At = baseline.At(*b.At)
		if all := []string{string(baseline.SameHour), string(baseline.Peak), string(baseline.Any)}; !slices.Contains(all, *b.At) {
			d.errorf(attrRange(b.Body, "at", b.DefRange), "Unknown time", "at = %q is no part of the past.%s It "+
				"is one of %q, %q and %q.",
				*b.At, suggest(*b.At, all), baseline.SameHour, baseline.Peak, baseline.Any)
		}
	}
	before := len(d.diags)
	m.Over = d.lookBack(b.Over, usualOver, b.Body, "over", b.DefRange, time.Minute, maxLookBack)
	m.Step = cmp.Or(d.lookBack(b.Step, 0, b.Body, "step", b.DefRange, time.Second, maxStep),
		baseline.DefaultStep(b.Query))
	if len(d.diags) == before {
		d.reaches(m, b)
	}
}

// reaches reports a look back that cannot hold what it is to be measured from.
func (d *decoding) reaches(m *baseline.Metrics, b metricsBlock) {
	at := attrRange(b.Body, "over", b.DefRange)
	switch {
	case m.At == baseline.SameHour && m.Over < 7*24*time.Hour:
		d.errorf(at, "Look back too short", "over is %s, and the same hour of the week was a week ago. Look back "+
			"a week at least, or choose at = %q.",
			baseline.Span(m.Over), baseline.Any)
	case m.At == baseline.Peak && m.Over < 24*time.Hour:
		d.errorf(at, "Look back too short", "over is %s, and a peak is the busiest hour of a day. Look back a "+
			"day at least, or choose at = %q.",
			baseline.Span(m.Over), baseline.Any)
	case m.At != baseline.Any && m.Step > time.Hour:
		d.errorf(attrRange(b.Body, "step", attrRange(b.Body, "query", b.DefRange)), "Step too long", "One sample "+
			"stands for %s, so hours cannot be told "+
			"apart. Take a shorter range in the query, a shorter step, or at = %q.", baseline.Span(m.Step),
			baseline.Any)
	default:
		d.samples(m.Over, m.Step, baseline.MinSamples, b.Body, at)
	}
}

// samples reports a look back that has too few or too many samples.
func (d *decoding) samples(over, step time.Duration, few int, body hcl.Body, at hcl.Range) {
	switch {
	case over < time.Duration(few)*step:
		d.errorf(at, "Look back too short", "over is %s, and one sample stands for %s: %d samples at least are "+
			"needed. Look back further, or more finely (step).",
			baseline.Span(over), baseline.Span(step), few)
	case over/step > manySamples:
		d.errorf(attrRange(body, "step", at), "Step too short", "over is %s and step %s: these are %d samples, "+
			"and %d are the most.",
			baseline.Span(over), baseline.Span(step), over/step, manySamples)
	}
}

func (d *decoding) accessLog(out *Baseline, b accessLogBlock) {
	usual := baseline.DefaultLog()
	l := &usual
	l.Path, l.MaxAge = d.path(b.Path), out.MaxAge
	l.Zone, l.Quantile = d.timeZone(b.TimeZone, b.Body, b.DefRange), d.quantile(b.Quantile, b.Body, b.DefRange)
	out.Log = l
	if b.Path == "" && d.decodes(b.Body, "path", cty.String) {
		d.errorf(attrRange(b.Body, "path", b.DefRange), "No log", "Name an access log: path "+
			"= \"/var/log/nginx/access.log\".")
	}
	before := len(d.diags)
	l.Over = d.lookBack(b.Over, l.Over, b.Body, "over", b.DefRange, time.Second, baseline.MaxLogOver)
	l.Step = d.lookBack(b.Step, l.Step, b.Body, "step", b.DefRange, time.Second, baseline.MaxLogOver)
	l.MaxGap = d.lookBack(b.MaxGap, 0, b.Body, "max_gap", b.DefRange, time.Second, baseline.MaxLogOver)
	if l.Step%time.Second != 0 {
		d.errorf(attrRange(b.Body, "step", b.DefRange), "Step not whole", "The times of most logs are whole seconds, of "+
			"which a step of %s has now more and now fewer. Take whole seconds.", baseline.Span(l.Step))
	}
	if len(d.diags) == before {
		d.samples(l.Over, l.Step, baseline.MinLogSteps, b.Body, attrRange(b.Body, "over", b.DefRange))
	}
	d.format(l, b)
}

// format decodes how the log's lines are written.
func (d *decoding) format(l *baseline.Log, b accessLogBlock) {
	if b.Format != nil {
		l.Format = baseline.Format(*b.Format)
	}
	if known := baseline.Formats(); !slices.Contains(known, string(l.Format)) {
		d.errorf(attrRange(b.Body, "format", b.DefRange), "Unknown format", "There is no format %q.%s It is one of %s.",
			l.Format, suggest(string(l.Format), known), list(known))
		return
	}
	for _, f := range []struct {
		name  string
		value *string
		into  *string
	}{{"time_field", b.TimeField, &l.Fields.Time}, {"method_field", b.MethodField, &l.Fields.Method},
		{"path_field", b.PathField, &l.Fields.Path},
		{"status_field", b.StatusField, &l.Fields.Status}} {
		if f.value == nil {
			continue
		}
		*f.into = *f.value
		if l.Format != baseline.JSON {
			d.errorf(attrRange(b.Body, f.name, b.DefRange), "Unsupported argument", "An argument named %q is for "+
				"format = %q.", f.name, baseline.JSON)
		} else if *f.value == "" {
			d.errorf(attrRange(b.Body, f.name, b.DefRange), "No field", "A field has a name: %s "+
				"= \"request.uri\".", f.name)
		}
	}
	at := attrRange(b.Body, "pattern", b.DefRange)
	switch {
	case l.Format != baseline.Regexp && b.Pattern != nil:
		d.errorf(at, "Unsupported argument", "An argument named \"pattern\" is for format = %q.", baseline.Regexp)
	case l.Format != baseline.Regexp:
	case b.Pattern == nil && !present(b.Body, "pattern"):
		d.errorf(b.DefRange, "No pattern", "Say how a line is written, with a group for the time: "+
			"pattern = \"^(?P<time>\\\\S+) (?P<method>\\\\S+) (?P<path>\\\\S+) (?P<status>\\\\d+)\".")
	case b.Pattern != nil:
		l.Pattern = *b.Pattern
		if _, err := baseline.CompilePattern(l.Pattern); err != nil {
			d.errorf(at, "Invalid pattern", "The pattern cannot be used: %s.", err)
		}
	}
}

// lookBack reads how far to look back, in which days and weeks have a length: of the past it is known how long they were.
func (d *decoding) lookBack(text *string, usual time.Duration, body hcl.Body, field string, at hcl.Range, least, most time.Duration) time.Duration {
	if text == nil || *text == "" && !d.decodes(body, field, cty.String) {
		return usual // not there, or reported
	}
	span, err := baseline.ParseSpan(*text)
	r := attrRange(body, field, at)
	switch {
	case err != nil:
		d.errorf(r, "Invalid duration", "%s = %q is not a duration. Write numbers with "+
			"units: \"10s\", \"1h\", \"14d\".", field, *text)
	case span < least || span > most:
		d.errorf(r, "Invalid duration", "%s = %q is out of bounds: it is from %s to %s.", field, *text,
			baseline.Span(least), baseline.Span(most))
	}
	return span
}

func (d *decoding) quantile(q *float64, body hcl.Body, at hcl.Range) float64 {
	if q == nil || !d.decodes(body, "quantile", cty.Number) {
		return baseline.DefaultQuantile
	}
	if !(*q > 0 && *q < 1) {
		d.errorf(attrRange(body, "quantile", at), "Invalid quantile", "A quantile lies between 0 and 1: 0.95 is "+
			"the rate that is not passed in 95 of 100 samples.")
	}
	return *q
}

// timeZone reads a time zone; UTC where none is named.
func (l *loader) timeZone(name *string, body hcl.Body, at hcl.Range) *time.Location {
	if name == nil {
		return time.UTC
	}
	zone, err := time.LoadLocation(*name)
	if err != nil || *name == "" || *name == "Local" {
		l.errorf(attrRange(body, "time_zone", at), "Unknown time zone", "%q is not a name of the tz database. "+
			"Write it as \"Europe/Berlin\" or \"UTC\"; "+
			"abbreviations such as CET say nothing of summer time.", *name)
		return time.UTC
	}
	return zone
}
