package importer

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/tidwall/gjson"

	"gameday/loadgen"
)

// found is a value in a JSON answer that a later request may have been made of.
type found struct {
	value string
	path  string // as in gjson
}

// Bounds on what one answer is searched for.
const (
	maxAnswer = 16 << 20 // bytes
	maxFound  = 5000     // values
	maxNested = 32       // levels
	maxPath   = 500      // bytes of the names that lead to a value
	maxTried  = 300      // paths that have to be tried, each of which goes through the answer
	// And of all answers together: a value takes some hundred bytes.
	maxValues = 300_000
)

// maxGaps is how many values of earlier answers are looked for in one text.
const maxGaps = 1000

// maxExtracts is how many values a flow takes out of its answers. More are no plan of anybody's.
const maxExtracts = 200

// answers returns the values in a recorded answer that look made by the service: ids, UUIDs, tokens.
func answers(r *harResponse) []found {
	if r == nil || r.Content == nil || len(r.Content.Text) > maxAnswer {
		return nil
	}
	text := r.Content.Text
	if strings.EqualFold(r.Content.Encoding, "base64") {
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil
		}
		text = string(b)
	}
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") || !gjson.Valid(text) {
		return nil
	}
	s := &search{text: text}
	s.look(gjson.Parse(text), "", 0)
	return s.out
}

type search struct {
	text  string
	out   []found
	tried int
}

// look goes through a value and all below it.
func (s *search) look(r gjson.Result, path string, depth int) {
	if depth > maxNested || len(path) > maxPath || len(s.out) >= maxFound {
		return
	}
	if r.IsObject() || r.IsArray() {
		i := 0
		seen := map[string]bool{}
		r.ForEach(func(key, value gjson.Result) bool {
			step := gjson.Escape(key.String())
			if r.IsArray() {
				step = strconv.Itoa(i)
				i++
			} else if seen[step] || step == "" { // a path leads to the first of a name, and to none without a name
				return true
			}
			seen[step] = true
			if path != "" {
				step = path + "." + step
			}
			s.look(value, step, depth+1)
			return len(s.out) < maxFound
		})
		return
	}
	// The text is not kept, nor may a part of it keep it.
	if v := r.String(); made(r) && (plainPath.MatchString(path) || s.leads(path, v)) {
		s.out = append(s.out, found{value: strings.Clone(v), path: strings.Clone(path)})
	}
}

// leads tries whether a path leads to a value.
func (s *search) leads(path, value string) bool {
	s.tried++
	return s.tried <= maxTried && gjson.Get(s.text, path).String() == value
}

// plainPath is a path that leads where it should; one with escapes in it is tried.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

var (
	plainValue = regexp.MustCompile(`^[A-Za-z0-9_.~+/=:-]+$`)
	dateValue  = regexp.MustCompile(`^\d{4}-\d\d(-\d\d)?([T_ :].*)?$|^\d\d:\d\d`)
	// Versions, sizes and prices have digits too, and are no ids.
	plainNumber = regexp.MustCompile(`^\d+$`)
)

// minMade is the length from which a value is taken for made by the service.
const minMade = 6

// made reports whether a value looks like one that the service made: long enough, one word, with a digit, no date.
func made(r gjson.Result) bool {
	v := r.String()
	if len(v) < minMade || len(v) > 4096 {
		return false
	}
	switch r.Type {
	case gjson.Number:
		return plainNumber.MatchString(r.Raw)
	case gjson.String:
		return plainValue.MatchString(v) && strings.ContainsFunc(v, unicode.IsDigit) && strings.ContainsFunc(v, isWord) &&
			!dateValue.MatchString(v) && !strings.Contains(v, "://") && !strings.HasPrefix(v, "/")
	}
	return false
}

func isWord(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }

// tokens are the words of a text that are compared with values: the widest first, as one may be part of another.
var tokens = []*regexp.Regexp{
	regexp.MustCompile(`[A-Za-z0-9_.~+/=:-]+`),
	regexp.MustCompile(`[A-Za-z0-9_.~-]+`),
	regexp.MustCompile(`[A-Za-z0-9_-]+`),
}

// words calls f for each word of a text, the widest first.
func words(text string, f func(from, to int)) {
	for _, p := range tokens {
		for _, at := range p.FindAllStringIndex(text, -1) {
			if at[1]-at[0] >= minMade {
				f(at[0], at[1])
			}
		}
	}
}

// source is where in a flow a value comes from.
type source struct {
	request int
	path    string
	several bool   // the answer has it at several places
	name    string // of the extract, once there is one
}

// stray is a value of an answer that no extract can take it from.
type stray struct {
	from *visit
	why  string // a clause
	do   string
}

// threads finds out which values of a flow come out of its own answers.
type threads struct {
	visits  []*visit
	values  map[string]*source
	strays  map[string]stray
	taken   names
	losses  []Loss
	extract map[int][]loadgen.Extract // by request
}

// newThreads goes through a flow in order: an answer gives a value only if no request had it before.
func newThreads(visits []*visit, bodies []string, strays map[string]stray) *threads {
	t := &threads{visits: visits, values: map[string]*source{}, strays: strays, taken: names{}, extract: map[int][]loadgen.Extract{}}
	sent := map[string]bool{}
	for i, v := range visits {
		for _, text := range v.texts(bodies[i]) {
			words(text, func(from, to int) { sent[text[from:to]] = true })
		}
		fresh := map[string]bool{}
		for _, f := range v.found {
			switch have := t.values[f.value]; {
			case sent[f.value]:
			case have == nil:
				t.values[f.value] = &source{request: i, path: f.path}
				fresh[f.value] = true
			case fresh[f.value]:
				have.several = true
			}
		}
	}
	return t
}

// texts are what a visit sent: its URL first, then the body, then the headers.
func (v *visit) texts(body string) []string {
	out := []string{v.url, body}
	for _, h := range v.headers {
		if !strings.EqualFold(h.Name, "Cookie") {
			out = append(out, h.Value)
		}
	}
	return out
}

// gaps returns where a text of a request has values of earlier answers, and makes their extracts. No value comes from a later
// answer: then the request would have had it first. Of a secret it takes all or nothing: the rest would stand there in clear.
func (t *threads) gaps(request int, text, where string, secret spans) spans {
	var out spans
	noted, more := 0, false
	words(text, func(from, to int) {
		s, v := t.values[text[from:to]], t.visits[request]
		if b, ok := t.strays[text[from:to]]; s == nil && ok && v.start.After(b.from.start) && !secret.hit(from, to) && noted < maxGaps {
			noted++
			t.losses = append(t.losses, Loss{Class: Guess, Where: v.where() + ".request", Line: v.line,
				What: fmt.Sprintf("a value in the %s, out of the answer to %s", where, b.from.where()),
				Why:  b.why + ", so it was left as it was recorded", Do: b.do})
		}
		if s == nil || out.hit(from, to) || secret.cut(from, to) {
			return
		}
		if len(out)+noted >= maxGaps {
			more = true
			return
		}
		if s.several {
			noted++
			t.losses = append(t.losses, Loss{Class: Guess, Where: v.where() + ".request", Line: v.line,
				What: fmt.Sprintf("a value in the %s, out of the answer to %s", where, t.visits[s.request].where()),
				Why:  "that has it at several places, so it was left as it was recorded",
				Do:   "take it from the right one with an extract block"})
			return
		}
		if s.name == "" && len(t.taken) >= maxExtracts {
			noted++
			t.losses = append(t.losses, Loss{Class: Guess, Where: v.where() + ".request", Line: v.line, What: "a value in the " + where,
				Why: fmt.Sprintf("the flow takes %d values already, so it was left as it was recorded", maxExtracts),
				Do:  "take it with an extract block if it must be a new one each time"})
			return
		}
		if s.name == "" {
			s.name = t.taken.identifier(t.nameOf(s))
			t.extract[s.request] = append(t.extract[s.request], loadgen.Extract{Name: s.name, JSON: s.path})
		}
		t.losses = append(t.losses, Loss{Class: Guess, Where: v.where() + ".request", Line: v.line,
			What: fmt.Sprintf("${value.%s} in the %s, out of %q of the answer to %s", s.name, where, s.path, t.visits[s.request].where()),
			Why:  "the same text was at both places", Do: "check that the one is made of the other"})
		out.add(gap{from, to, "value." + s.name})
	})
	if v := t.visits[request]; more {
		t.losses = append(t.losses, Loss{Class: Guess, Where: v.where() + ".request", Line: v.line,
			What: fmt.Sprintf("values in the %s beyond the first %d", where, maxGaps), Why: "that is how many are looked for, so they were left as they were recorded",
			Do: "take them with an extract block if they must be new ones each time"})
	}
	return out
}

// nameOf names a value after the key that holds it, and for an id what it is the id of: "cart_id".
func (t *threads) nameOf(s *source) string {
	var keys []string
	for key := range strings.SplitSeq(s.path, ".") {
		if !plainNumber.MatchString(key) && key != "" {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		keys = []string{"item"}
	}
	name := keys[len(keys)-1]
	if short := strings.ToLower(name); short == "id" || short == "uuid" || short == "key" {
		if len(keys) > 1 {
			name = keys[len(keys)-2] + "_" + name
		} else if last := lastWord(t.visits[s.request]); last != "" {
			name = last + "_" + name
		}
	}
	return identifier(name, "value")
}

// lastWord returns the last part of a URL's path that names a kind of thing.
func lastWord(v *visit) string {
	_, rest := v.origin()
	rest, _, _ = strings.Cut(rest, "?")
	parts := strings.Split(rest, "/")
	for _, p := range slices.Backward(parts) {
		if p != "" && !opaque(p) {
			return p
		}
	}
	return ""
}
