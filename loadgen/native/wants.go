package native

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"gameday/loadgen"
)

// answer is what came back: over HTTP a status, headers and the body if it is wanted; over gRPC a code and JSON.
type answer struct {
	status int
	header func(name string) string // "" when it is not there; several joined by ", "
	body   []byte                   // decompressed; only when wanted
	note   string                   // what the server says to its status, over gRPC
}

// wants are the conditions on an answer.
type wants struct {
	status  []int
	below   int // without status: what is right is below this
	body    []bodyWant
	json    []loadgen.JSONCheck
	headers []headerWant
}

type bodyWant struct {
	contains string
	matches  *regexp.Regexp
}

type headerWant struct {
	name    string
	matches *regexp.Regexp
}

func compileWants(e loadgen.Expect, grpc bool) (wants, error) {
	w := wants{status: e.Status, below: 400, json: e.JSON}
	if grpc {
		w.below = 1
	}
	var errs []error
	for _, s := range e.Status {
		if !grpc && (s < 100 || s > 599) || grpc && (s < 0 || s > 16) {
			errs = append(errs, fmt.Errorf("%d is not a status", s))
		}
	}
	for _, c := range e.Body {
		want := bodyWant{contains: c.Contains}
		if c.Matches != "" {
			re, err := regexp.Compile(c.Matches)
			errs = append(errs, err)
			want.matches = re
		}
		w.body = append(w.body, want)
	}
	for _, c := range e.JSON {
		if c.Path == "" {
			errs = append(errs, errors.New("a condition on JSON has no path"))
		}
	}
	for _, c := range e.Headers {
		re, err := regexp.Compile(c.Matches)
		errs = append(errs, err)
		w.headers = append(w.headers, headerWant{c.Name, re})
	}
	return w, errors.Join(errs...)
}

// readsBody reports whether the conditions look at the body.
func (w wants) readsBody() bool { return len(w.body) > 0 || len(w.json) > 0 }

// check counts the conditions that hold and those that do not, and tells the first of these. Without conditions an answer is
// still right or wrong by its status, which is then no check.
func (w wants) check(a *answer) (passed, failed uint64, why string) {
	if len(w.status) == 0 {
		if a.status >= w.below {
			why = "status " + strconv.Itoa(a.status) + a.remark()
		}
	} else if slices.Contains(w.status, a.status) {
		passed++
	} else {
		failed++
		why = fmt.Sprintf("status %d%s, expected %s", a.status, a.remark(), orList(w.status))
	}
	note := func(holds bool, say func() string) {
		if holds {
			passed++
			return
		}
		if failed++; why == "" {
			why = say()
		}
	}
	for _, c := range w.headers {
		got := a.header(c.name)
		note(got != "" && c.matches.MatchString(got), func() string {
			return fmt.Sprintf("header %s is %q, "+
				"expected %s", c.name, got, c.matches)
		})
	}
	for _, c := range w.body {
		if c.matches != nil {
			note(c.matches.Match(a.body), func() string {
				return fmt.Sprintf("the body does not match %s: %s",
					c.matches, short(a.body))
			})
			continue
		}
		note(strings.Contains(string(a.body), c.contains), func() string {
			return fmt.Sprintf("the body does not "+
				"contain %q: %s", c.contains, short(a.body))
		})
	}
	if len(w.json) > 0 {
		w.checkJSON(a.body, note)
	}
	return passed, failed, why
}

func (w wants) checkJSON(body []byte, note func(bool, func() string)) {
	valid := gjson.ValidBytes(body)
	for _, c := range w.json {
		if !valid {
			note(false, func() string { return "the body is not JSON: " + short(body) })
			continue
		}
		got := gjson.GetBytes(body, c.Path)
		holds := got.Exists() && (c.Equals == nil || equal(got, *c.Equals))
		note(holds, func() string {
			switch {
			case !got.Exists():
				return fmt.Sprintf("there is no %s in the body: %s", c.Path, short(body))
			default:
				return fmt.Sprintf("%s is %s, expected %s", c.Path, short([]byte(got.Raw)), *c.Equals)
			}
		})
	}
}

// equal compares a JSON value with a text: numbers by their value.
func equal(r gjson.Result, text string) bool {
	if r.Type == gjson.Number {
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			return r.Num == n
		}
	}
	return textOf(r) == text
}

// textOf returns a JSON value as conditions and extracted values have it: a text without quotes, anything else as it stands.
func textOf(r gjson.Result) string {
	if r.Type == gjson.String {
		return r.Str
	}
	return strings.TrimSpace(r.Raw)
}

// remark is the note in brackets.
func (a *answer) remark() string {
	if a.note == "" {
		return ""
	}
	return " (" + a.note + ")"
}

func orList(list []int) string {
	var words []string
	for _, n := range list {
		words = append(words, strconv.Itoa(n))
	}
	return strings.Join(words, " or ")
}

// kind is what a message says without what the answer said: one that is said once is not said again for each request id.
func kind(why string) string {
	head, _, _ := strings.Cut(why, `: "`)
	return head
}

// short quotes the beginning of a body.
func short(b []byte) string {
	const most = 120
	if len(b) > most {
		return strconv.Quote(string(b[:most])) + "…"
	}
	return strconv.Quote(string(b))
}

// extract takes a value out of an answer.
type extract struct {
	loadgen.Extract
	slot   int
	regexp *regexp.Regexp
}

func compileExtract(f *flow, e loadgen.Extract) (extract, error) {
	out := extract{Extract: e}
	given := 0
	for _, s := range []string{e.JSON, e.Header, e.Regexp} {
		if s != "" {
			given++
		}
	}
	if e.Name == "" || given != 1 {
		return out, fmt.Errorf("extract %q wants one of json, header and regexp", e.Name)
	}
	var err error
	if e.Regexp != "" {
		if out.regexp, err = regexp.Compile(e.Regexp); err != nil {
			return out, fmt.Errorf("extract %s: %w", e.Name, err)
		}
	}
	out.Header = http.CanonicalHeaderKey(e.Header)
	out.slot, err = f.extracts(e.Name)
	return out, err
}

func (e extract) readsBody() bool { return e.JSON != "" || e.regexp != nil }

// from returns the value, or why it is not there.
func (e extract) from(a *answer) (value, why string) {
	switch {
	case e.JSON != "":
		if !gjson.ValidBytes(a.body) {
			return "", fmt.Sprintf("%s is not to be had: the body is not JSON: %s", e.Name, short(a.body))
		}
		if got := gjson.GetBytes(a.body, e.JSON); got.Exists() {
			return textOf(got), ""
		}
		return "", fmt.Sprintf("%s is not to be had: there is no %s in the body: %s", e.Name, e.JSON, short(a.body))
	case e.Header != "":
		if got := a.header(e.Header); got != "" {
			return got, ""
		}
		return "", fmt.Sprintf("%s is not to be had: the answer has no header %s", e.Name, e.Header)
	}
	found := e.regexp.FindSubmatch(a.body)
	switch {
	case found == nil:
		return "", fmt.Sprintf("%s is not to be had: the body does not match %s: %s", e.Name, e.regexp, short(a.body))
	case len(found) > 1:
		return string(found[1]), ""
	}
	return string(found[0]), ""
}
