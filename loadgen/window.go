package loadgen

import (
	"slices"
	"strings"
	"time"
)

// Window is what one traffic stream did in one second. Windows of one stream, of several streams or of several
// machines merge exactly: counts add up and histograms have the same buckets.
type Window struct {
	Stream string    `json:"stream"`
	Start  time.Time `json:"start"` // begin of the second, by the clock of this machine

	Multiple float64 `json:"multiple"` // the multiple asked for at the end of the window

	// Iterations of the script.
	Due         uint64 `json:"due"`         // arrivals the schedule owed in this second
	Started     uint64 `json:"started"`     // those that were begun
	Dropped     uint64 `json:"dropped"`     // those given up because the backlog was full
	Completed   uint64 `json:"completed"`   // those that ended, well or not
	Thrown      uint64 `json:"thrown"`      // those that ended in an exception
	Interrupted uint64 `json:"interrupted"` // those cut off by a stop

	// Requests counts those that the script really made. While a script has made none, its iterations stand for
	// requests in the outcomes below.
	Requests uint64 `json:"requests"`

	// Requests, by what became of them.
	OK     Outcome `json:"ok"`
	Failed Outcome `json:"failed"`

	// Queue is how long iterations waited for a virtual user: from the intended to the actual start, of those begun. It is in
	// the response times of their requests and in no service time.
	Queue *Histogram `json:"queue,omitempty"`

	ChecksPassed uint64 `json:"checks_passed"`
	ChecksFailed uint64 `json:"checks_failed"`

	Generator Load `json:"generator"`
	// Generators are the parts of that of each generator, by name, when there were several.
	Generators []NamedLoad `json:"generators,omitempty"`

	// Missing are those of several generators, of Of in all, that had not told of this second when it was closed. What they owed is
	// in Due; all else, times included, is of the others alone.
	Missing []string `json:"missing,omitempty"`
	Of      int      `json:"of,omitempty"`
}

// Seen returns the share of the stream that the window tells of: 1, unless generators are missing.
func (w *Window) Seen() float64 {
	if len(w.Missing) == 0 || w.Of < len(w.Missing) {
		return 1
	}
	return 1 - float64(len(w.Missing))/float64(w.Of)
}

// NamedLoad is what one of several generators used.
type NamedLoad struct {
	Name string `json:"name"`
	Load
}

// Outcome counts the requests with one outcome and how long they took.
type Outcome struct {
	Count    uint64     `json:"count"`
	Response *Histogram `json:"response,omitempty"` // from the intended start
	Service  *Histogram `json:"service,omitempty"`  // from the send
}

// Load is what the generator itself used in the second, to tell its own limits from the system's.
type Load struct {
	CPU      time.Duration `json:"cpu"`       // processor time, user and system, nanoseconds
	RunQueue time.Duration `json:"run_queue"` // time its threads were ready but not running, nanoseconds
	GCPause  time.Duration `json:"gc_pause"`  // nanoseconds
	Lateness time.Duration `json:"lateness"`  // largest delay from intended to actual start, nanoseconds
	VUs      int           `json:"vus"`       // virtual users busy at the end of the window
	MaxVUs   int           `json:"max_vus"`
	Memory   uint64        `json:"memory"`          // resident, bytes
	Cores    float64       `json:"cores,omitempty"` // how many it may use at once; 0 in records of before that was said
}

// Merge adds o, of the same second, to w, exactly: counts and times add up and histograms merge. Of the multiple and
// the lateness the larger stays. The stream and the second stay w's own, unless w has none yet.
func (w *Window) Merge(o Window) {
	if w.Stream == "" {
		w.Stream = o.Stream
	}
	if w.Start.IsZero() {
		w.Start = o.Start
	}
	w.Multiple = max(w.Multiple, o.Multiple)
	w.Due += o.Due
	w.Started += o.Started
	w.Dropped += o.Dropped
	w.Completed += o.Completed
	w.Thrown += o.Thrown
	w.Interrupted += o.Interrupted
	w.Requests += o.Requests
	w.OK.Merge(o.OK)
	w.Failed.Merge(o.Failed)
	w.Queue = merged(w.Queue, o.Queue)
	w.ChecksPassed += o.ChecksPassed
	w.ChecksFailed += o.ChecksFailed
	w.Generator.Merge(o.Generator)
	for _, l := range o.Generators {
		w.used(l)
	}
	if len(o.Missing) > 0 {
		w.Missing, w.Of = slices.Sorted(slices.Values(append(w.Missing, o.Missing...))), w.Of+o.Of
	}
}

// used adds what one of several generators used.
func (w *Window) used(l NamedLoad) {
	byName := func(n NamedLoad, name string) int { return strings.Compare(n.Name, name) }
	i, known := slices.BinarySearchFunc(w.Generators, l.Name, byName)
	if known {
		w.Generators[i].Merge(l.Load)
		return
	}
	w.Generators = slices.Insert(w.Generators, i, l)
}

// Begin counts an iteration that began a while after its intended start.
func (w *Window) Begin(delay time.Duration) {
	w.Started++
	w.Generator.Lateness = max(w.Generator.Lateness, delay)
	if w.Queue == nil {
		w.Queue = &Histogram{}
	}
	w.Queue.Record(delay)
}

// Merge adds o's requests. It never writes to o's histograms, and keeps none of them.
func (c *Outcome) Merge(o Outcome) {
	c.Count += o.Count
	c.Response = merged(c.Response, o.Response)
	c.Service = merged(c.Service, o.Service)
}

// Record counts one request.
func (c *Outcome) Record(response, service time.Duration) {
	if c.Response == nil {
		c.Response, c.Service = &Histogram{}, &Histogram{}
	}
	c.Count++
	c.Response.Record(response)
	c.Service.Record(service)
}

func merged(h, o *Histogram) *Histogram {
	if o.Count() == 0 {
		return h
	}
	if h == nil {
		return o.Clone()
	}
	h.Merge(o)
	return h
}

// Merge adds what another generator used in the same second. The lateness is the larger of the two.
func (l *Load) Merge(o Load) {
	l.CPU += o.CPU
	l.RunQueue += o.RunQueue
	l.GCPause += o.GCPause
	l.Lateness = max(l.Lateness, o.Lateness)
	l.VUs += o.VUs
	l.MaxVUs += o.MaxVUs
	l.Memory += o.Memory
	l.Cores += o.Cores
}
