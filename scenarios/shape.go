package scenarios

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"gameday/loadgen"
)

// withTheRun is the start of a stream that sends from the run's begin.
const withTheRun = -1

const (
	// maxMultiple bounds every multiple.
	maxMultiple = 1000
	// leastPeriod bounds waves from below: of one that is much shorter, windows of a second show nothing.
	leastPeriod = 10 * time.Second
	// maxSpeed is a day in less than a second.
	minSpeed, maxSpeed = 0.01, 100_000
	minScale           = 0.001
	// maxSeries bounds a replayed file, in bytes.
	maxSeries = 16 << 20
)

// The points of a series that is asked for: about so many, and not closer together than most systems measure.
const (
	seriesPoints = 1440
	leastStep    = 15 * time.Second
)

// Replay says where the rates of a stream come from.
type Replay struct {
	Source string        // "prometheus.main"
	Query  string        // yields one series, in arrivals per second
	Over   time.Duration // until now
	Step   time.Duration // from one point to the next
	Speed  float64       // how many times as fast as it was
	Scale  float64       // how many times as much as it was
}

// Multiples returns what the load phase asks for, in multiples of the baseline rate.
func (t Traffic) Multiples() loadgen.Program {
	if t.Absolute && t.Rate > 0 {
		return t.Program.Times(1 / t.Rate)
	}
	return t.Program
}

// Late reports whether the stream sends nothing before the load phase.
func (t Traffic) Late() bool { return t.Start != withTheRun }

// Pending reports whether the stream replays a series that was not asked for yet.
func (t Traffic) Pending() bool { return t.Replay != nil && !t.Absolute }

// Follow makes a replayed series what the load phase asks for, in arrivals per second.
func (t *Traffic) Follow(points []loadgen.Point) error {
	program := loadgen.Replay(points, t.Replay.Speed).Times(t.Replay.Scale)
	if program.Peak(loadgen.Never) == 0 {
		return errors.New("every rate is 0, so that nothing would be sent")
	}
	if err := t.TooMuch(program); err != nil {
		return err
	}
	t.Program, t.Absolute = program, true
	return nil
}

// TooMuch refuses a program, in arrivals per second, that goes beyond what may be asked of a stream in multiples of its baseline.
// As long as that is not known, nothing does.
func (t *Traffic) TooMuch(program loadgen.Program) error {
	if peak := program.Peak(loadgen.Never); t.Rate > 0 && peak > maxMultiple*t.Rate {
		return fmt.Errorf("the highest rate is %g a second, %.0f times the baseline's %g, and %d times are the most; one "+
			"of the two may be in another unit", peak, peak/t.Rate, t.Rate, maxMultiple)
	}
	return nil
}

// program reads when a stream starts, what it is asked for in the load phase, and how its arrivals come.
func (d *decoding) program(out *Traffic, t trafficBlock) {
	out.Program, out.Start = loadgen.Steady(out.Multiple), withTheRun
	if out.KeepExecutors {
		d.fixed(t)
		return
	}
	if t.Start != nil {
		out.Start = d.duration(*t.Start, t.Body, "start", t.DefRange, 0)
		if d.loadLasts > 0 && out.Start >= d.loadLasts {
			d.errorf(attrRange(t.Body, "start", t.DefRange), "Start after the load phase", "The stream would start %s into a "+
				"load phase of %s, and so send nothing. Start it earlier, or make the phase longer.",
				short(out.Start), short(d.loadLasts))
		}
	}
	if t.Arrivals != nil {
		out.Poisson = *t.Arrivals == "poisson"
		if !out.Poisson && *t.Arrivals != "even" {
			d.errorf(attrRange(t.Body, "arrivals", t.DefRange), "Invalid arrivals", "Arrivals come \"even\", at equal "+
				"distances, or \"poisson\", by chance.%s", suggest(*t.Arrivals, []string{"even", "poisson"}))
		}
	}
	if one(d.loader, t.Shapes, "shape", func(b shapeBlock) hcl.Range { return b.DefRange }) {
		d.shape(out, t)
	}
}

// fixed refuses what cannot be had with the script's own executors.
func (d *decoding) fixed(t trafficBlock) {
	why := "With keep_executors the script's own executors decide when iterations begin, and their scale is fixed. Take " +
		"%s out, or keep_executors and give a baseline."
	for _, name := range []string{"start", "arrivals"} {
		if present(t.Body, name) {
			d.errorf(attrRange(t.Body, name, t.DefRange), "Not with keep_executors", why, name)
		}
	}
	for _, b := range t.Shapes {
		d.errorf(b.DefRange, "Not with keep_executors", why, "the shape")
	}
}

// late refuses a steady state that is measured on streams which send nothing in the baseline phase, where it must hold.
func (d *decoding) late(c Condition) {
	if c.Expr == nil {
		return
	}
	late, sends := map[string]bool{}, false
	for _, t := range d.out.Traffic {
		late[t.Name] = t.Late()
		sends = sends || !late[t.Name]
	}
	for _, k := range c.Expr.SLIs() {
		switch {
		case late[k[0]]:
			d.errorf(c.Range, "Nothing to measure in the baseline phase", "The steady state must hold in the baseline phase, "+
				"where traffic %q sends nothing yet: it has a start. Measure another stream here, or take its start out.", k[0])
		case k[0] == "" && !sends && len(d.out.Traffic) > 0 && !slices.Contains(d.in.own, k[1]):
			d.errorf(c.Range, "Nothing to measure in the baseline phase", "The steady state must hold in the baseline phase, "+
				"where no traffic is sent yet: each stream has a start. Let one of them send from the run's begin.")
		default:
			continue
		}
		return
	}
}

// shaper decodes one shape.
type shaper struct {
	*decoding
	out      *Traffic
	block    shapeBlock
	multiple *float64 // of the traffic block, when it is given
	used     bool     // the shape makes use of it
}

// shapes are the kinds of shape. Each sets the program and its words.
var shapes = map[string]func(*shaper){
	"steady": (*shaper).steady, "ramp": (*shaper).ramp, "steps": (*shaper).steps, "spike": (*shaper).spike,
	"sine": (*shaper).sine, "replay": (*shaper).replay,
}

// The blocks of the kinds.
type (
	steadyShape struct{}
	rampShape   struct {
		From *float64 `hcl:"from,optional"`
		To   *float64 `hcl:"to,optional"`
		Over string   `hcl:"over"`
	}
	stepsShape struct {
		Multiples []float64 `hcl:"multiples"`
		Hold      string    `hcl:"hold"`
		Ramp      *string   `hcl:"ramp,optional"`
	}
	spikeShape struct {
		To   float64 `hcl:"to"`
		At   string  `hcl:"at"`
		Rise *string `hcl:"rise,optional"`
		Hold string  `hcl:"hold"`
		Fall *string `hcl:"fall,optional"`
	}
	sineShape struct {
		Low    *float64 `hcl:"low,optional"`
		High   *float64 `hcl:"high,optional"`
		From   *float64 `hcl:"from,optional"`
		Period string   `hcl:"period"`
	}
	replayShape struct {
		File       *string       `hcl:"file,optional"`
		Speed      *float64      `hcl:"speed,optional"`
		Scale      *float64      `hcl:"scale,optional"`
		Prometheus []seriesBlock `hcl:"prometheus,block"`
	}
	seriesBlock struct {
		Source   hcl.Expression `hcl:"source"`
		Query    string         `hcl:"query"`
		Over     string         `hcl:"over"`
		DefRange hcl.Range      `hcl:",def_range"`
		Body     hcl.Body       `hcl:",body"`
	}
)

// shape decodes the shape of a stream.
func (d *decoding) shape(out *Traffic, t trafficBlock) {
	s := &shaper{decoding: d, out: out, block: t.Shapes[0], multiple: t.Multiple}
	read, ok := shapes[s.block.Kind]
	if !ok {
		names := slices.Sorted(maps.Keys(shapes))
		d.errorf(s.block.KindRange, "Unknown shape", "There is no shape %q.%s There are %s.", s.block.Kind,
			suggest(s.block.Kind, names), list(names))
		return
	}
	before := len(d.diags.Errs())
	read(s)
	if len(d.diags.Errs()) > before {
		return
	}
	if t.Multiple != nil && !s.used {
		d.errorf(attrRange(t.Body, "multiple", t.DefRange), "Unused multiple", "The shape %q says what the load phase asks for, "+
			"and this multiple would have no effect. Take it out.", s.block.Kind)
	}
	if n := len(out.Program.Legs); n > loadgen.MaxLegs {
		d.errorf(s.block.DefRange, "Shape too fine", "The load phase would be drawn in %d straight lines, and %d are the most. A "+
			"sine has %d a period: make it longer.", n, loadgen.MaxLegs, loadgen.WaveLegs)
		return
	}
	if out.Program.Peak(loadgen.Never) == 0 && out.Replay == nil {
		d.errorf(s.block.DefRange, "Shape without traffic", "Every multiple is 0, so that the load phase would send nothing.")
	}
}

// read fills v from the block, and reports whether it could.
func (s *shaper) read(v any) bool {
	diags := decode(s.block.Body, s.base, v)
	s.add(diags)
	return !diags.HasErrors()
}

// at returns where an attribute's value stands.
func (s *shaper) at(field string) hcl.Range { return attrRange(s.block.Body, field, s.block.DefRange) }

// span parses a duration of the block.
func (s *shaper) span(text, field string, least time.Duration) time.Duration {
	return s.duration(text, s.block.Body, field, s.block.DefRange, least)
}

// times checks a multiple of the block.
func (s *shaper) times(v float64, field string) float64 {
	if !(v >= 0 && v <= maxMultiple) {
		s.errorf(s.at(field), "Invalid multiple", "A multiple of the baseline in a shape is from 0 to %d.", maxMultiple)
		return 1
	}
	return v
}

// timesOr checks a multiple that may be absent.
func (s *shaper) timesOr(v *float64, field string, fallback float64) float64 {
	if v == nil {
		return fallback
	}
	return s.times(*v, field)
}

// own checks a multiple in whose place the traffic's own stands.
func (s *shaper) own(v *float64, field string) float64 {
	s.used = s.used || v == nil
	return s.timesOr(v, field, s.out.Multiple)
}

func (s *shaper) steady() {
	if s.read(&steadyShape{}) {
		s.used = true
	}
}

func (s *shaper) ramp() {
	var b rampShape
	if !s.read(&b) {
		return
	}
	from, to := s.timesOr(b.From, "from", 1), s.own(b.To, "to")
	over := s.span(b.Over, "over", time.Second)
	s.out.Program = loadgen.Program{From: from, Legs: []loadgen.Leg{{To: to, Over: over}}}
	s.out.Shape = fmt.Sprintf("ramp %g to %g over %s", from, to, short(over))
}

func (s *shaper) steps() {
	var b stepsShape
	if !s.read(&b) {
		return
	}
	var words []string
	for _, m := range b.Multiples {
		words = append(words, fmt.Sprintf("%g", s.times(m, "multiples")))
	}
	if len(words) == 0 {
		s.errorf(s.at("multiples"), "No steps", "A shape of steps has one multiple at least: multiples = [1, 2, 3].")
		return
	}
	hold, ramp := s.span(b.Hold, "hold", time.Second), s.optional(b.Ramp, s.block.Body, "ramp", s.block.DefRange, 0, 0)
	s.out.Program = loadgen.Steps(b.Multiples, hold, ramp)
	s.out.Shape = fmt.Sprintf("steps %s hold %s", strings.Join(words, " "), short(hold))
	if ramp > 0 {
		s.out.Shape += " ramp " + short(ramp)
	}
}

func (s *shaper) spike() {
	var b spikeShape
	if !s.read(&b) {
		return
	}
	base, to := s.own(nil, ""), s.times(b.To, "to")
	at, hold := s.span(b.At, "at", 0), s.span(b.Hold, "hold", 0)
	rise := s.optional(b.Rise, s.block.Body, "rise", s.block.DefRange, 0, 0)
	fall := s.optional(b.Fall, s.block.Body, "fall", s.block.DefRange, 0, 0)
	if rise+hold+fall == 0 {
		s.errorf(s.at("hold"), "No spike", "It takes no time to rise, to hold and to fall, and would not be seen.")
		return
	}
	s.out.Program = loadgen.Spike(base, to, at, rise, hold, fall)
	s.out.Shape = fmt.Sprintf("spike %g to %g at %s hold %s", base, to, short(at), short(hold))
}

func (s *shaper) sine() {
	var b sineShape
	if !s.read(&b) {
		return
	}
	low, high := s.timesOr(b.Low, "low", 1), s.own(b.High, "high")
	from := s.timesOr(b.From, "from", low)
	period := s.span(b.Period, "period", leastPeriod)
	switch {
	case low >= high:
		s.errorf(s.at("low"), "No wave", "low is %g and high is %g: high must be more. high is the traffic's multiple unless "+
			"it is given.", low, high)
		return
	case from < low || from > high:
		s.errorf(s.at("from"), "Begin outside the wave", "from is %g, and the wave goes from %g to %g.", from, low, high)
		return
	}
	length := s.loadLasts - max(s.out.Start, 0)
	if length <= 0 { // one of the two is wrong, which is reported
		length = period
	}
	s.out.Program = loadgen.Sine(low, high, from, period, length)
	s.out.Shape = fmt.Sprintf("sine %g to %g every %s", low, high, short(period))
	if from != low {
		s.out.Shape += fmt.Sprintf(" from %g", from)
	}
}

func (s *shaper) replay() {
	var b replayShape
	if !s.read(&b) {
		return
	}
	r := &Replay{
		Speed: s.factor(b.Speed, "speed", minSpeed, maxSpeed),
		Scale: s.factor(b.Scale, "scale", minScale, maxMultiple),
	}
	asked := one(s.loader, b.Prometheus, "prometheus", func(b seriesBlock) hcl.Range { return b.DefRange })
	if asked == (b.File != nil) {
		s.errorf(s.block.DefRange, "What is replayed?", "A shape \"replay\" has either a file = \"rates.csv\" or a prometheus block.")
		return
	}
	words := ""
	if r.Speed != 1 {
		words += fmt.Sprintf(" %g times as fast", r.Speed)
	}
	if r.Scale != 1 {
		words += fmt.Sprintf(" %g times as much", r.Scale)
	}
	s.out.Replay = r
	if asked {
		s.asked(r, b.Prometheus[0])
		s.out.Shape = fmt.Sprintf("replay of %s over the last %s%s", r.Source, short(r.Over), words)
		return
	}
	s.out.Shape = fmt.Sprintf("replay of %s%s", *b.File, words)
	path := s.path(*b.File)
	points, err := series(path)
	var placed *loadgen.SeriesError
	switch {
	case errors.As(err, &placed):
		p := loadgen.Problem{File: path, Line: placed.Line, Summary: "Invalid series", Detail: sentence(placed.Text)}
		s.scriptProblem(p, s.at("file"))
	case errors.Is(err, fs.ErrNotExist):
		s.errorf(s.at("file"), "No such series", "There is no file %q; paths are relative to the scenario's folder.%s",
			*b.File, nearby(path))
	case err != nil:
		s.errorf(s.at("file"), "Cannot read the series", "%s", sentence(err.Error()))
	default:
		if err := s.out.Follow(points); err != nil {
			s.errorf(s.at("file"), "Invalid series", "In %s %s.", *b.File, err)
		}
	}
}

// factor checks a positive number that is 1 by default.
func (s *shaper) factor(v *float64, field string, least, most float64) float64 {
	if v == nil {
		return 1
	}
	if !(*v >= least && *v <= most) {
		s.errorf(s.at(field), "Invalid "+field, "How many times is from %g to %g; 1 leaves the series as it was.", least, most)
		return 1
	}
	return *v
}

// asked reads what a source is asked for before the run.
func (s *shaper) asked(r *Replay, b seriesBlock) {
	r.Source, r.Query = s.sourceReference(b.Source, "alarms"), b.Query
	if strings.TrimSpace(b.Query) == "" {
		s.errorf(attrRange(b.Body, "query", b.DefRange), "No query", "A query yields the rate per second, such as "+
			"\"sum(rate(http_requests_total[1m]))\".")
	}
	r.Over = s.duration(b.Over, b.Body, "over", b.DefRange, 2*leastStep)
	r.Step = max(leastStep, (r.Over / seriesPoints).Round(time.Second))
}

// path returns the absolute path of a file that is named in the scenario.
func (d *decoding) path(name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(d.dir, filepath.FromSlash(name))
}

// series reads the rates of a file.
func series(path string) ([]loadgen.Point, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	case info.Size() > maxSeries:
		return nil, fmt.Errorf("it has %d bytes, and a series may have %d", info.Size(), maxSeries)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return loadgen.ReadSeries(f)
}

// Steady returns the stream without its shape and its start: it sends from the run's begin on, at whatever multiple it is told.
func (t Traffic) Steady() Traffic {
	t.Start, t.Program, t.Absolute, t.Shape, t.Replay = withTheRun, loadgen.Program{}, false, "", nil
	return t
}
