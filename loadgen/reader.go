package loadgen

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// Reader reads windows from their JSON, for those who read and keep very many: it leaves next to no garbage, and its
// windows are as small as they can be. Service times are checked and left out, for nothing is judged by them. What it
// returns and what it refuses is otherwise what encoding/json returns and refuses. The zero value is ready. It is not
// safe for concurrent use; the windows are.
type Reader struct {
	streams []string
	zone    *time.Location // of the last window
	text    decoder
	room    []byte      // for packed histograms
	heads   []Histogram // for what points to them
}

// The sizes in which a Reader makes room.
const (
	roomSize  = 256 << 10 // bytes
	headsSize = 4096      // histograms
)

// Read reads one window. It keeps nothing of data.
func (r *Reader) Read(data []byte) (Window, error) {
	if w, ok := r.written(data); ok {
		return w, nil
	}
	var w Window
	if err := json.Unmarshal(data, &w); err != nil {
		return Window{}, err
	}
	w.Stream, w.Start = r.stream([]byte(w.Stream)), r.near(w.Start)
	w.OK.Service, w.Failed.Service = nil, nil
	for _, h := range []**Histogram{&w.Queue, &w.OK.Response, &w.Failed.Response} {
		if *h != nil {
			*h = r.keep((*h).packed)
		}
	}
	return w, nil
}

// written reads a window as it is written by this version: every field in its place, plain numbers and no blanks. ok is
// false for any other, which may be as good, or not a window at all.
func (r *Reader) written(data []byte) (w Window, ok bool) {
	s := scan{rest: data}
	s.skip(`{"stream":`)
	w.Stream = r.stream(s.text())
	s.skip(`,"start":"`)
	if at := s.until('"'); s.bad || w.Start.UnmarshalText(at) != nil {
		return Window{}, false
	}
	w.Start = r.near(w.Start)
	w.Multiple = s.float(`,"multiple":`)
	w.Due = s.count(`,"due":`)
	w.Started = s.count(`,"started":`)
	w.Dropped = s.count(`,"dropped":`)
	w.Completed = s.count(`,"completed":`)
	w.Thrown = s.count(`,"thrown":`)
	w.Interrupted = s.count(`,"interrupted":`)
	w.Requests = s.count(`,"requests":`)
	r.outcome(&s, `,"ok":{`, &w.OK)
	r.outcome(&s, `,"failed":{`, &w.Failed)
	w.Queue = r.histogram(&s, `,"queue":"`, true)
	w.ChecksPassed = s.count(`,"checks_passed":`)
	w.ChecksFailed = s.count(`,"checks_failed":`)
	w.Generator = s.load(`,"generator":{`)
	s.skip(`}`)
	if !s.bad && s.has(`,"generators":[`) {
		w.Generators = r.generators(&s)
	}
	if !s.bad && s.has(`,"missing":[`) {
		w.Missing = r.names(&s)
		w.Of = int(s.duration(`,"of":`))
	}
	s.skip(`}`)
	return w, !s.bad && len(s.rest) == 0
}

// generators reads the loads of several generators, of which there is one at least, to the end of their list.
func (r *Reader) generators(s *scan) []NamedLoad {
	out := make([]NamedLoad, 0, 4)
	for !s.bad {
		s.skip(`{"name":`)
		name := r.stream(s.text())
		out = append(out, NamedLoad{Name: name, Load: s.load(`,`)})
		s.skip(`}`)
		if !s.has(`,`) {
			break
		}
	}
	s.skip(`]`)
	return out
}

// names reads the names of generators, of which there is one at least, to the end of their list.
func (r *Reader) names(s *scan) []string {
	out := make([]string, 0, 1)
	for !s.bad {
		out = append(out, r.stream(s.text()))
		if !s.has(`,`) {
			break
		}
	}
	s.skip(`]`)
	return out
}

func (r *Reader) outcome(s *scan, name string, c *Outcome) {
	s.skip(name)
	c.Count = s.count(`"count":`)
	c.Response = r.histogram(s, `,"response":"`, true)
	r.histogram(s, `,"service":"`, false)
	s.skip(`}`)
}

// histogram reads a histogram that may not be there, and returns it if it is wanted.
func (r *Reader) histogram(s *scan, name string, wanted bool) *Histogram {
	if s.bad || !s.has(name) {
		return nil
	}
	text := s.until('"')
	broken := bytes.IndexByte(text, '\n') >= 0 || bytes.IndexByte(text, '\r') >= 0 // which base64 overlooks, unlike JSON
	if s.bad = s.bad || broken || r.text.decode(text) != nil; s.bad {
		return nil
	}
	if !wanted {
		return nil
	}
	if cap(r.room)-len(r.room) < len(r.text.body)+16 {
		r.room = make([]byte, 0, max(roomSize, len(r.text.body)+16))
	}
	begin := len(r.room)
	r.room = r.text.appendTo(r.room)
	return r.head(r.room[begin:len(r.room):len(r.room)])
}

// keep copies a packed histogram to the others.
func (r *Reader) keep(p packed) *Histogram {
	if cap(r.room)-len(r.room) < len(p) {
		r.room = make([]byte, 0, max(roomSize, len(p)))
	}
	begin := len(r.room)
	r.room = append(r.room, p...)
	return r.head(r.room[begin:len(r.room):len(r.room)])
}

func (r *Reader) head(p packed) *Histogram {
	if len(r.heads) == 0 {
		r.heads = make([]Histogram, headsSize)
	}
	h := &r.heads[0]
	r.heads = r.heads[1:]
	h.packed = p
	return h
}

// stream returns the name of a stream, or of a generator, as a string, the same one for all windows.
func (r *Reader) stream(name []byte) string {
	for _, s := range r.streams {
		if s == string(name) {
			return s
		}
	}
	s := string(name)
	if len(r.streams) < 100 { // more are somebody's nonsense, and are not searched
		r.streams = append(r.streams, s)
	}
	return s
}

// near returns the instant in the zone of the last one, if they are the same: a zone of its own for each takes memory.
func (r *Reader) near(t time.Time) time.Time {
	if r.zone != nil {
		name, offset := t.Zone()
		if n, o := t.In(r.zone).Zone(); n == name && o == offset {
			return t.In(r.zone)
		}
	}
	r.zone = t.Location()
	return t
}

// scan goes through JSON that is expected to be of one shape. It is bad from the first surprise on.
type scan struct {
	rest []byte
	bad  bool
}

// has goes past a text if it comes next.
func (s *scan) has(text string) bool {
	if len(s.rest) < len(text) || string(s.rest[:len(text)]) != text {
		return false
	}
	s.rest = s.rest[len(text):]
	return true
}

// skip goes past a text that must come next.
func (s *scan) skip(text string) {
	if !s.bad && !s.has(text) {
		s.bad = true
	}
}

// until returns what comes before the next c, and goes past both.
func (s *scan) until(c byte) []byte {
	i := bytes.IndexByte(s.rest, c)
	if s.bad || i < 0 {
		s.bad = true
		return nil
	}
	text := s.rest[:i]
	s.rest = s.rest[i+1:]
	return text
}

// text reads a string in which nothing is escaped.
func (s *scan) text() []byte {
	s.skip(`"`)
	text := s.until('"')
	for _, c := range text {
		if c < ' ' || c == '\\' {
			s.bad = true
		}
	}
	if !utf8.Valid(text) {
		s.bad = true
	}
	return text
}

// load reads what a generator used, after what begins it.
func (s *scan) load(begin string) (g Load) {
	s.skip(begin)
	g.CPU = s.duration(`"cpu":`)
	g.RunQueue = s.duration(`,"run_queue":`)
	g.GCPause = s.duration(`,"gc_pause":`)
	g.Lateness = s.duration(`,"lateness":`)
	g.VUs = int(s.duration(`,"vus":`))
	g.MaxVUs = int(s.duration(`,"max_vus":`))
	g.Memory = s.count(`,"memory":`)
	if !s.bad && s.has(`,"cores":`) {
		g.Cores = s.float("")
	}
	return g
}

// count reads a whole number after its name.
func (s *scan) count(name string) uint64 {
	s.skip(name)
	var n uint64
	i := 0
	for ; i < len(s.rest) && '0' <= s.rest[i] && s.rest[i] <= '9'; i++ {
		n = 10*n + uint64(s.rest[i]-'0')
	}
	// Nineteen digits always fit. A number that begins with 0 is 0.
	if i == 0 || i > 19 || i > 1 && s.rest[0] == '0' {
		s.bad = true
		return 0
	}
	s.rest = s.rest[i:]
	return n
}

// duration reads a whole number that fits a signed one.
func (s *scan) duration(name string) time.Duration {
	n := s.count(name)
	if n > math.MaxInt64 {
		s.bad = true
	}
	return time.Duration(n)
}

// float reads a number without an exponent.
func (s *scan) float(name string) float64 {
	s.skip(name)
	i := 0
	for i < len(s.rest) && ('0' <= s.rest[i] && s.rest[i] <= '9' || s.rest[i] == '.') {
		i++
	}
	text := s.rest[:i]
	s.rest = s.rest[i:]
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || text[0] == '.' || text[i-1] == '.' || text[0] == '0' && i > 1 && text[1] != '.' {
		s.bad = true
	}
	return v
}
