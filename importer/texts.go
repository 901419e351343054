package importer

import (
	"slices"
	"sort"
	"strconv"
	"strings"

	"gameday/loadgen"
)

// gap is a stretch of a text that is filled when the request is made.
type gap struct {
	from, to int
	ref      string
}

// spans are gaps in the order of the text, of which none has a part in another.
type spans []gap

// first returns the number of the first that ends behind a place.
func (s spans) first(from int) int {
	return sort.Search(len(s), func(i int) bool { return s[i].to > from })
}

// hit reports whether a stretch of the text has a part in one of them.
func (s spans) hit(from, to int) bool {
	i := s.first(from)
	return i < len(s) && s[i].from < to
}

// cut reports whether a stretch of the text has a part of one of them, and not all of it.
func (s spans) cut(from, to int) bool {
	for i := s.first(from); i < len(s) && s[i].from < to; i++ {
		if s[i].from < from || s[i].to > to {
			return true
		}
	}
	return false
}

// add adds a gap, unless it has a part in one that is there.
func (s *spans) add(g gap) {
	if !s.hit(g.from, g.to) {
		*s = slices.Insert(*s, s.first(g.from), g)
	}
}

// fill cuts a text at its gaps.
func fill(text string, gaps spans) loadgen.Text {
	var out loadgen.Text
	at := 0
	for _, g := range gaps {
		if g.from > at {
			out = append(out, loadgen.Part{Text: text[at:g.from]})
		}
		out = append(out, loadgen.Part{Ref: g.ref})
		at = g.to
	}
	if at < len(text) {
		out = append(out, loadgen.Part{Text: text[at:]})
	}
	return out
}

// replaced puts a gap wherever a string stands in the literal parts of a text.
func replaced(t loadgen.Text, old, ref string) loadgen.Text {
	var out loadgen.Text
	for _, p := range t {
		if p.Ref != "" || !strings.Contains(p.Text, old) {
			out = append(out, p)
			continue
		}
		pieces := strings.Split(p.Text, old)
		for i, piece := range pieces {
			if piece != "" {
				out = append(out, loadgen.Part{Text: piece})
			}
			if i < len(pieces)-1 {
				out = append(out, loadgen.Part{Ref: ref})
			}
		}
	}
	return out
}

// everyText calls f for each text of the flows that may hold one.
func everyText(flows []loadgen.Flow, f func(*loadgen.Text)) {
	for i := range flows {
		for j := range flows[i].Requests {
			q := &flows[i].Requests[j]
			f(&q.URL)
			f(&q.Body)
			for k := range q.Headers {
				f(&q.Headers[k].Value)
			}
		}
	}
}

// eachPart calls f for each part of a request's texts.
func eachPart(q loadgen.Request, f func(loadgen.Part)) {
	everyText([]loadgen.Flow{{Requests: []loadgen.Request{q}}}, func(t *loadgen.Text) {
		for _, p := range *t {
			f(p)
		}
	})
}

// setHeader sets a header, unless the request has it.
func setHeader(q *loadgen.Request, name string, value loadgen.Text) {
	if header(q, name) == nil {
		q.Headers = append(q.Headers, loadgen.Header{Name: name, Value: value})
	}
}

// header returns the value of a header, or nil.
func header(q *loadgen.Request, name string) loadgen.Text {
	for _, h := range q.Headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return nil
}

// addHeader adds a header line. The language has each name once, and lines of one name may be joined (RFC 9110, 5.3).
func addHeader(q *loadgen.Request, name string, value loadgen.Text) {
	for i, h := range q.Headers {
		if strings.EqualFold(h.Name, name) {
			sep := ", "
			switch {
			case strings.EqualFold(name, "Authorization"): // there is one, and a header that is written wins over a URL
				q.Headers[i].Value = value
				return
			case strings.EqualFold(name, "Cookie"):
				sep = "; "
			}
			q.Headers[i].Value = append(append(h.Value, loadgen.Part{Text: sep}), value...)
			return
		}
	}
	q.Headers = append(q.Headers, loadgen.Header{Name: name, Value: value})
}

// safe reports whether a method changes nothing (RFC 9110, 9.2.1).
func safe(method string) bool {
	switch strings.ToUpper(method) {
	case "", "GET", "HEAD", "OPTIONS", "TRACE", "QUERY":
		return true
	}
	return false
}

// Counted says how many there are of something.
func Counted(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + one + "s"
}
