package baseline

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"gameday/clock"
)

// Mix is what was asked for in the time that the rate was measured over.
type Mix struct {
	Requests uint64 `json:"requests"`
	// Routes are the most frequent ones, most frequent first, and Others what is left.
	Routes []Route `json:"routes,omitempty"`
	Others Others  `json:"others,omitzero"`
	// Statuses are the shares of the classes of status, "2xx" to "5xx", of the requests of which it is known.
	Statuses map[string]float64 `json:"statuses,omitempty"`
	// Lines are all those of the log, also of the time before, and Unread those of them that cannot be read.
	Lines  uint64 `json:"lines"`
	Unread uint64 `json:"unread,omitempty"`
}

// Route is a method with the template of a path.
type Route struct {
	Route    string             `json:"route"` // "GET /cart/:id"; "-" for what is no request of HTTP
	Requests uint64             `json:"requests"`
	Share    float64            `json:"share"`
	Statuses map[string]float64 `json:"statuses,omitempty"`
}

// Others are the routes that are not listed.
type Others struct {
	Routes int `json:"routes"` // how many
	// More says that there may be more of them: they were too many to be told apart.
	More     bool    `json:"more,omitempty"`
	Requests uint64  `json:"requests"`
	Share    float64 `json:"share"`
}

const (
	// pieces is into how many stretches of time the tally is cut.
	pieces = 60
	// maxRoutes bounds the routes that are told apart in each of them. One that makes up a share s of the requests is not among
	// them when a thousand others come first, which for 1 % has a probability of (1−s)¹⁰⁰⁰ < 0.0001.
	maxRoutes = 1000
	// listed is how many routes are listed.
	listed = 20
	// maxMethod is how long a method may be; what is longer was never one.
	maxMethod = 20
)

// classes are those of status: unknown, 1xx, and so on.
type classes [6]uint64

// piece is what was asked for in one stretch of time.
type piece struct {
	routes map[string]*classes
	others classes // requests of routes beyond maxRoutes
}

// tally counts the requests of the last stretch of a log while it is read: rings of steps and of longer pieces, the oldest of
// which make room for new ones. Both have the same edges, so that the rate and the mix are of the same time.
type tally struct {
	step   int64 // nanoseconds
	per    int64 // steps of a piece
	steps  []uint32
	pieces []piece
	newest int64 // number of the newest step, counted since the epoch
	last   int64 // time of the newest request
	first  int64 // time of the first one, in the order of the log; 0 before it
	key    []byte
}

// newTally returns a tally over at most so long.
func newTally(over, step time.Duration) *tally {
	per := max(1, (int64(over/step)+pieces-1)/pieces)
	n := max(1, int64(over/step)/per)
	return &tally{step: int64(step), per: per, steps: make([]uint32, n*per), pieces: make([]piece, n)}
}

// oldest returns the number of the oldest step that is kept: the first of the oldest piece.
func (t *tally) oldest() int64 { return max(0, t.newest/t.per-int64(len(t.pieces))+1) * t.per }

// add counts a request. One of a time that is over is not counted.
func (t *tally) add(e entry) {
	n := e.at / t.step
	if t.first == 0 {
		t.first, t.newest = e.at, n
	}
	t.advance(n)
	if n < t.oldest() {
		return
	}
	t.last = max(t.last, e.at)
	t.steps[n%int64(len(t.steps))]++
	t.pieces[n/t.per%int64(len(t.pieces))].add(t.route(e), e.status/100)
}

// advance makes room up to a step.
func (t *tally) advance(to int64) {
	if to <= t.newest {
		return
	}
	from, piecesFrom := t.newest+1, t.newest/t.per+1
	t.newest = to
	for n := max(from, to-int64(len(t.steps))+1); n <= to; n++ {
		t.steps[n%int64(len(t.steps))] = 0
	}
	last := to / t.per
	for n := max(piecesFrom, last-int64(len(t.pieces))+1); n <= last; n++ {
		t.pieces[n%int64(len(t.pieces))] = piece{}
	}
}

// route returns the key of a request's route, which is good until the next one.
func (t *tally) route(e entry) []byte {
	if len(e.method) > maxMethod {
		e.method = nil
	}
	t.key = append(t.key[:0], e.method...)
	if len(e.method) > 0 {
		t.key = append(t.key, ' ')
	}
	t.key = appendRoute(t.key, e.path)
	if len(e.path) == 0 {
		t.key = append(t.key, '-')
	}
	return t.key
}

func (p *piece) add(route []byte, class int) {
	c := p.routes[string(route)]
	switch {
	case c != nil:
		c[class]++
	case len(p.routes) >= maxRoutes:
		p.others[class]++
	default:
		if p.routes == nil {
			p.routes = map[string]*classes{}
		}
		c = &classes{}
		c[class]++
		p.routes[string(route)] = c
	}
}

// span returns what is covered: from the first request, or the begin of the oldest piece, to the newest one.
func (t *tally) span() clock.Span {
	return clock.Span{Start: time.Unix(0, max(t.first, t.oldest()*t.step)).UTC(), End: time.Unix(0, t.last).UTC()}
}

// edges returns the numbers of the first and the last step that are covered from begin to end.
func (t *tally) edges() (from, to int64) {
	s := t.span()
	return (s.Start.UnixNano() + t.step - 1) / t.step, s.End.UnixNano()/t.step - 1
}

// samples returns the rate of each step that is covered, also of those without a request.
func (t *tally) samples() []Sample {
	var out []Sample
	from, to := t.edges()
	for n := from; n <= to; n++ {
		out = append(out, Sample{At: time.Unix(0, (n+1)*t.step).UTC(),
			Value: float64(t.steps[n%int64(len(t.steps))]) / time.Duration(t.step).Seconds()})
	}
	return out
}

// gap returns the longest stretch without a request.
func (t *tally) gap() clock.Span {
	var longest clock.Span
	from, to := t.edges()
	empty := from
	for n := from; n <= to+1; n++ {
		if n <= to && t.steps[n%int64(len(t.steps))] == 0 {
			continue
		}
		if d := time.Duration((n - empty) * t.step); d > longest.Length() {
			longest = clock.Span{Start: time.Unix(0, empty*t.step).UTC(), End: time.Unix(0, n*t.step).UTC()}
		}
		empty = n + 1
	}
	return longest
}

// requests returns how many requests were counted.
func (t *tally) requests() uint64 {
	sum := uint64(0)
	for n := t.oldest(); n <= t.newest; n++ {
		sum += uint64(t.steps[n%int64(len(t.steps))])
	}
	return sum
}

// mix returns what was asked for.
func (t *tally) mix() *Mix {
	routes, others := map[string]*classes{}, classes{}
	for _, p := range t.pieces {
		for name, c := range p.routes {
			if routes[name] == nil {
				routes[name] = &classes{}
			}
			routes[name].add(c)
		}
		others.add(&p.others)
	}
	more := others.sum() > 0
	names := slices.SortedFunc(maps.Keys(routes), func(a, b string) int {
		return cmp.Or(-cmp.Compare(routes[a].sum(), routes[b].sum()), cmp.Compare(a, b))
	})
	all := others
	for _, c := range routes {
		all.add(c)
	}
	m := &Mix{Requests: all.sum(), Statuses: all.shares()}
	for i, name := range names {
		c := routes[name]
		if i >= listed {
			others.add(c)
			continue
		}
		m.Routes = append(m.Routes, Route{Route: printable(name), Requests: c.sum(), Share: float64(c.sum()) / float64(m.Requests), Statuses: c.shares()})
	}
	m.Others = Others{Routes: len(names) - len(m.Routes), More: more, Requests: others.sum(),
		Share: float64(others.sum()) / float64(m.Requests)}
	return m
}

// printable makes a route fit for a terminal and a record: others wrote it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

func (c *classes) add(o *classes) {
	for i, n := range o {
		c[i] += n
	}
}

func (c *classes) sum() uint64 {
	sum := uint64(0)
	for _, n := range c {
		sum += n
	}
	return sum
}

// shares returns the share of each class, of the requests whose status is known; nil when it is known of none.
func (c *classes) shares() map[string]float64 {
	known := c.sum() - c[0]
	if known == 0 {
		return nil
	}
	out := map[string]float64{}
	for i, n := range c {
		if i > 0 && n > 0 {
			out[string(rune('0'+i))+"xx"] = float64(n) / float64(known)
		}
	}
	return out
}
