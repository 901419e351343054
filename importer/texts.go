package importer

import (
	"slices"
	"strconv"
	"strings"

	"gameday/loadgen"
)

// gap is a stretch of a text that is filled when the request is made.
type gap struct {
	from, to int
	ref      string
}

// overlaps reports whether a stretch of a text has a part in one of the gaps.
func overlaps(gaps []gap, from, to int) bool {
	return slices.ContainsFunc(gaps, func(g gap) bool { return from < g.to && g.from < to })
}

// fill cuts a text at its gaps. Of gaps that overlap the first given counts.
func fill(text string, gaps []gap) loadgen.Text {
	var taken []gap
	for _, g := range gaps {
		if !overlaps(taken, g.from, g.to) {
			taken = append(taken, g)
		}
	}
	slices.SortFunc(taken, func(a, b gap) int { return a.from - b.from })
	var out loadgen.Text
	at := 0
	for _, g := range taken {
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
			if strings.EqualFold(name, "Cookie") {
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
