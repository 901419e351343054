package sli

import (
	"time"

	"gameday/loadgen"
)

// Recent answers for the last seconds only. Adding a window costs about three merges of histograms however long the
// span is, and reading one. It is not safe for concurrent use.
type Recent struct {
	span    time.Duration
	newest  time.Time
	streams map[string]*queue
	read    map[string]*sum // what was merged since the last Add
}

// NewRecent returns indicators over the seconds that begin less than span before the end of the newest window of any
// stream. The span is at least a second.
func NewRecent(span time.Duration) *Recent {
	return &Recent{span: max(span, time.Second), streams: map[string]*queue{}}
}

// Add counts one window and forgets those that are too old now. The windows of one stream must come in order.
func (r *Recent) Add(w loadgen.Window) {
	q := r.streams[w.Stream]
	if q == nil {
		q = &queue{}
		r.streams[w.Stream] = q
	}
	q.push(w)
	if w.Start.After(r.newest) {
		r.newest = w.Start
	}
	oldest := r.newest.Add(time.Second - r.span)
	for _, q := range r.streams {
		q.evict(oldest)
	}
	r.read = nil
}

// Read answers what an indicator of a stream is over the span, as Aggregate.Read does.
func (r *Recent) Read(stream, name string) (value float64, ok bool) {
	s := r.read[stream]
	if s == nil {
		s = r.merge(stream)
		if r.read == nil {
			r.read = map[string]*sum{}
		}
		r.read[stream] = s
	}
	return s.read(name)
}

func (r *Recent) merge(stream string) *sum {
	s := &sum{}
	if stream != "" {
		if q := r.streams[stream]; q != nil {
			q.addTo(s)
		}
		return s
	}
	for _, q := range r.streams {
		q.addTo(s)
	}
	return s
}

// queue is a first-in first-out of windows that knows its sum, made of two stacks: histograms can be merged but not
// taken apart again. New windows go on back, whose sum is kept. The old end is front, where every entry holds the sum of
// itself and all newer ones in front; when it runs empty, back is turned over into it.
type queue struct {
	front []aged // the oldest last
	back  []loadgen.Window
	sum   sum // of back
}

type aged struct {
	start time.Time
	sum   *sum
}

func (q *queue) push(w loadgen.Window) {
	q.back = append(q.back, w)
	q.sum.addWindow(&w)
}

func (q *queue) evict(oldest time.Time) {
	for {
		if len(q.front) == 0 {
			if len(q.back) == 0 || !q.back[0].Start.Before(oldest) {
				return
			}
			q.turn()
		}
		last := len(q.front) - 1
		if !q.front[last].start.Before(oldest) {
			return
		}
		q.front = q.front[:last]
	}
}

func (q *queue) turn() {
	for i := len(q.back) - 1; i >= 0; i-- {
		s := &sum{}
		if len(q.front) > 0 {
			s.add(q.front[len(q.front)-1].sum)
		}
		s.addWindow(&q.back[i])
		s.response.Compact() // there are as many of these as seconds in the span
		q.front = append(q.front, aged{start: q.back[i].Start, sum: s})
	}
	q.back, q.sum = nil, sum{}
}

func (q *queue) addTo(s *sum) {
	if len(q.front) > 0 {
		s.add(q.front[len(q.front)-1].sum)
	}
	s.add(&q.sum)
}

var _ Readings = (*Recent)(nil)
