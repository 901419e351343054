package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/snappy"
)

// handler lets a handler answer without a network, so that time can be that of the test.
type handler func(http.ResponseWriter, *http.Request)

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h(w, r)
	if w.Code == 0 || w.Header().Get("X-Hang-Up") != "" {
		return nil, errors.New("connection reset by peer")
	}
	answer := w.Result()
	if n, err := strconv.Atoi(w.Header().Get("X-Cut-At")); err == nil { // as when the connection breaks
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			return nil, err
		}
		answer.Body = io.NopCloser(io.MultiReader(strings.NewReader(string(body[:n])), broken{}))
	}
	return answer, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func at(h handler) Destination {
	return Destination{URL: "http://grafana.example", Transport: h, Token: "hush-hush", TokenFrom: "GAMEDAY_X_TOKEN",
		HeaderFrom: "GAMEDAY_X_HEADERS"}
}

// TestRetries checks what is sent again, how long it waits, and what is said when it is not.
func TestRetries(t *testing.T) {
	m := Of(drill(t, began))
	for _, c := range []struct {
		name   string
		answer handler
		tries  int
		waited time.Duration
		says   string // empty: it is accepted
	}{
		{"taken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, 1, 0, ""},
		{"busy for ever", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, 5,
			7500 * time.Millisecond, "after 5 tries: POST http://grafana.example: 503 Service Unavailable: empty answer"},
		{"asks to wait", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "12")
			w.WriteHeader(429)
		}, 5, 48 * time.Second, "429 Too Many Requests"},
		{"asks to wait too long", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(429)
		}, 1, 0, "it asks to wait for 1h0m0s, which is too long"},
		{"hangs up", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Hang-Up", "1") }, 5,
			7500 * time.Millisecond, "connection reset by peer"},
		{"refuses the token", func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "no: "+r.Header.Get("Authorization"), http.StatusUnauthorized)
		}, 1, 0, `401 Unauthorized: "no: Bearer ***". Is the token in GAMEDAY_X_TOKEN right`},
		{"login page", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }, 1, 0, "login page"},
		{"too old", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "out of bounds", http.StatusBadRequest) }, 1, 0,
			"the time of the run's end, 2026-11-20 13:03:18 UTC, and that is too old"},
		{"other values", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "duplicate sample for timestamp", http.StatusBadRequest)
		}, 1, 0, "from before it was judged anew"},
		{"other mistake", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "label limit", http.StatusBadRequest) }, 1, 0,
			`400 Bad Request: "label limit"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				begin := time.Now()
				err := RemoteWrite(t.Context(), at(func(w http.ResponseWriter, r *http.Request) {
					tries++
					if body, err := io.ReadAll(r.Body); err != nil || len(body) == 0 {
						t.Errorf("try %d has no body: %v", tries, err)
					} else if _, err := snappy.Decode(nil, body); err != nil {
						t.Errorf("try %d: %v", tries, err)
					}
					c.answer(w, r)
				}), m)
				if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
					t.Errorf("it says %v, want %q", err, c.says)
				}
				if err != nil && strings.Contains(err.Error(), "hush") {
					t.Errorf("the token is in %v", err)
				}
				if waited := time.Since(begin); tries != c.tries || waited != c.waited {
					t.Errorf("%d tries in %s, want %d in %s", tries, waited, c.tries, c.waited)
				}
			})
		})
	}
}

// TestGivesUp checks that a wait ends with the one who waits.
func TestGivesUp(t *testing.T) {
	m := Of(drill(t, began))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := RemoteWrite(ctx, at(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }), m)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "503") {
			t.Errorf("%v", err)
		}
	})
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"http://a.example":             "http://a.example/v1/metrics",
		"http://a.example/":            "http://a.example/v1/metrics",
		"http://a.example/v1/metrics":  "http://a.example/v1/metrics",
		"http://a.example/v1/metrics/": "http://a.example/v1/metrics",
		"http://a.example/api/v1/otlp": "http://a.example/api/v1/otlp/v1/metrics",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := metricsURL(u); got != want {
			t.Errorf("%s leads to %s", text, got)
		}
	}
	for _, bad := range []string{"", "a.example", "ftp://a.example", "http://user:hush@a.example", "http://a.example#x", "http://"} {
		if _, err := CheckURL(bad); err == nil {
			t.Errorf("%q is taken", bad)
		} else if strings.Contains(err.Error(), "hush") {
			t.Errorf("a password is in %v", err)
		}
	}
}

func TestParseHeader(t *testing.T) {
	h, err := ParseHeader("X-Scope-OrgID=team, Authorization=Basic%20YTpi,,")
	if err != nil || h.Get("X-Scope-Orgid") != "team" || h.Get("Authorization") != "Basic YTpi" || len(h) != 2 {
		t.Errorf("%v, %v", h, err)
	}
	for _, bad := range []string{"hush", "=hush", "a b=hush", "a=%zz-hush", "a=x%0d%0ahush"} {
		if _, err := ParseHeader(bad); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// fake is a Grafana with annotations, as far as they are used.
type fake struct {
	t        *testing.T
	list     []stored
	requests []string
	spoil    func(n int, w http.ResponseWriter, r *http.Request) bool // answers the n-th request, from 1, itself
}

func (f *fake) answer(w http.ResponseWriter, r *http.Request) {
	f.requests = append(f.requests, r.Method+" "+r.URL.Path)
	if r.Header.Get("Authorization") != "Bearer hush-hush" {
		f.t.Errorf("it signs in with %q", r.Header.Get("Authorization"))
	}
	if f.spoil != nil && f.spoil(len(f.requests), w, r) {
		return
	}
	f.do(w, r)
}

func (f *fake) do(w http.ResponseWriter, r *http.Request) {
	reply := func(v any) {
		if err := json.NewEncoder(w).Encode(v); err != nil {
			f.t.Error(err)
		}
	}
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/api/annotations":
		reply(f.find(r.URL.Query()))
	case r.Method == http.MethodPost && r.URL.Path == "/api/annotations":
		s := f.read(r)
		s.ID = int64(len(f.list) + 1)
		f.list = append(f.list, s)
		reply(map[string]any{"message": "Annotation added", "id": s.ID})
	case r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/api/annotations/"):
		id, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/api/annotations/"))
		if err != nil || id < 1 || id > len(f.list) {
			http.NotFound(w, r)
			return
		}
		s := f.read(r)
		s.ID = int64(id)
		f.list[id-1] = s
		reply(map[string]any{"message": "Annotation updated"})
	default:
		http.NotFound(w, r)
	}
}

func (f *fake) read(r *http.Request) stored {
	var s stored
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		f.t.Error(err)
	}
	if s.Time == 0 || s.TimeEnd < s.Time || s.Text == "" {
		f.t.Errorf("not an annotation: %+v", s)
	}
	return s
}

// find answers as the real one does: those that overlap the time, by their ends, the newest first.
func (f *fake) find(q url.Values) []stored {
	number := func(name string) int64 {
		n, err := strconv.ParseInt(q.Get(name), 10, 64)
		if err != nil {
			f.t.Errorf("%s: %v", name, err)
		}
		return n
	}
	out := []stored{}
	for _, s := range f.list {
		all := true
		for _, t := range q["tags"] {
			all = all && slices.Contains(s.Tags, t)
		}
		if all && s.Time <= number("to") && s.TimeEnd >= number("from") {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b stored) int { return int(b.TimeEnd - a.TimeEnd) })
	return out[:min(len(out), int(number("limit")))]
}

func export(t *testing.T, f *fake, list []Annotation) (Tally, error) {
	t.Helper()
	f.requests = nil
	return Grafana(t.Context(), at(f.answer), list)
}

// TestGrafana exports twice, then what was judged anew: nothing is doubled.
func TestGrafana(t *testing.T) {
	card := drill(t, began)
	list, left := Annotations(card)
	if left != 0 || len(list) < 7 {
		t.Fatalf("%d annotations, %d left out", len(list), left)
	}
	f := &fake{t: t, list: []stored{{ID: 1, Time: 5, TimeEnd: 5, Text: "somebody's", Tags: list[0].Tags[:2]}}}
	for i, want := range []Tally{{Added: len(list)}, {Kept: len(list)}} {
		if got, err := export(t, f, list); err != nil || got != want || len(f.list) != len(list)+1 {
			t.Fatalf("export %d: %+v, %v; %d are there", i+1, got, err, len(f.list))
		}
	}
	list[len(list)-1].Text = "PASSED after all"
	if got, err := export(t, f, list); err != nil || got != (Tally{Changed: 1, Kept: len(list) - 1}) {
		t.Errorf("judged anew: %+v, %v", got, err)
	}
	if f.list[len(f.list)-1].Text != "PASSED after all" || f.list[0].Text != "somebody's" {
		t.Error("the wrong one was changed")
	}
	other, _ := Annotations(scored(t, small().Drill("another-run", began)))
	if got, err := export(t, f, other); err != nil || got.Added != len(other) {
		t.Errorf("another run at the same time: %+v, %v", got, err)
	}
}

// TestGrafanaPages finds what is there although no single answer has it all.
func TestGrafanaPages(t *testing.T) {
	list := make([]Annotation, 3*pageLimit)
	for i := range list {
		key := fmt.Sprint(i)
		list[i] = Annotation{Key: key, At: began.Add(time.Duration(i/3) * time.Second), Text: "x",
			Tags: []string{tagAll, runTag("r"), tagKey + key}}
		if i%5 == 0 { // some regions reach past the pages
			list[i].End = list[i].At.Add(time.Hour)
		}
	}
	f := &fake{t: t}
	if got, err := export(t, f, list); err != nil || got.Added != len(list) {
		t.Fatalf("%+v, %v", got, err)
	}
	if got, err := export(t, f, list); err != nil || got.Kept != len(list) {
		t.Fatalf("again: %+v, %v", got, err)
	}
	if len(f.requests) < 3 {
		t.Errorf("asked %d times", len(f.requests))
	}
	// More at one instant than an answer holds cannot be told apart: nothing is posted on a guess.
	for i := range f.list {
		f.list[i].Time, f.list[i].TimeEnd = began.UnixMilli(), began.UnixMilli()
	}
	if _, err := export(t, f, list); err == nil || !strings.Contains(err.Error(), "more than can be looked through") ||
		slices.Contains(f.requests, "POST /api/annotations") {
		t.Errorf("%v after %v", err, f.requests)
	}
}

// refuse answers that something went wrong, with headers by name and value.
func refuse(w http.ResponseWriter, code int, headers ...string) {
	for i := 0; i+1 < len(headers); i += 2 {
		w.Header().Set(headers[i], headers[i+1])
	}
	http.Error(w, `{"message":"no"}`, code)
}

// badDays are those of a Grafana, and what an export says of them.
var badDays = []struct {
	name  string
	spoil func(f *fake, n int, w http.ResponseWriter, r *http.Request) bool
	says  string // empty: all are there in the end
}{
	{"401", func(_ *fake, _ int, w http.ResponseWriter, _ *http.Request) bool { refuse(w, 401); return true },
		"Is the token in GAMEDAY_X_TOKEN right"},
	{"500 once to the question", func(_ *fake, n int, w http.ResponseWriter, _ *http.Request) bool {
		if n == 1 {
			refuse(w, 500)
		}
		return n == 1
	}, ""},
	{"500 once to a posting that was kept", func(f *fake, n int, w http.ResponseWriter, r *http.Request) bool {
		if n == 3 {
			f.do(httptest.NewRecorder(), r)
			refuse(w, 500)
		}
		return n == 3
	}, ""},
	{"hangs up on a posting that was kept", func(f *fake, n int, w http.ResponseWriter, r *http.Request) bool {
		if n == 3 {
			f.do(httptest.NewRecorder(), r)
			w.Header().Set("X-Hang-Up", "1")
		}
		return n == 3
	}, ""},
	{"429 every third time", func(_ *fake, n int, w http.ResponseWriter, _ *http.Request) bool {
		if n%3 == 0 {
			refuse(w, 429, "Retry-After", "2")
		}
		return n%3 == 0
	}, ""},
	{"500 for ever", func(_ *fake, n int, w http.ResponseWriter, _ *http.Request) bool {
		if n > 4 {
			refuse(w, 500)
		}
		return n > 4
	}, "500 Internal Server Error"},
	{"a list that is cut off", func(f *fake, n int, w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			fmt.Fprint(w, `[{"id":1,"ti`)
		}
		return r.Method == http.MethodGet
	}, "not the JSON expected"},
	{"a connection that breaks in a list", func(f *fake, n int, w http.ResponseWriter, r *http.Request) bool {
		if n == 1 {
			w.Header().Set("X-Cut-At", "1")
		}
		return false
	}, ""},
	{"null", func(f *fake, n int, w http.ResponseWriter, r *http.Request) bool {
		fmt.Fprint(w, "null")
		return true
	}, "no list"},
	{"a page instead of JSON", func(f *fake, n int, w http.ResponseWriter, r *http.Request) bool {
		fmt.Fprint(w, "<html>welcome</html>")
		return true
	}, "not the JSON expected"},
	{"a posting answered with half a JSON", func(f *fake, n int, w http.ResponseWriter, r *http.Request) bool {
		if n == 2 {
			f.do(httptest.NewRecorder(), r)
			fmt.Fprint(w, `{"mess`)
		}
		return n == 2
	}, ""},
}

// TestGrafanaBadDays: whatever goes wrong, none is doubled, and none is missing when it says that all are there.
func TestGrafanaBadDays(t *testing.T) {
	list, _ := Annotations(drill(t, began))
	for _, c := range badDays {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{t: t}
				f.spoil = func(n int, w http.ResponseWriter, r *http.Request) bool { return c.spoil(f, n, w, r) }
				got, err := export(t, f, list)
				keys := map[string]int{}
				for _, s := range f.list {
					keys[s.key()]++
				}
				for k, n := range keys {
					if n > 1 {
						t.Errorf("%s is there %d times", k, n)
					}
				}
				if c.says == "" && (err != nil || got.Added != len(list) || len(f.list) != len(list)) {
					t.Errorf("%+v, %v; %d of %d are there", got, err, len(f.list), len(list))
				}
				if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
					t.Errorf("it says %v, want %q", err, c.says)
				}
				if len(f.requests) > 100 {
					t.Errorf("%d requests", len(f.requests))
				}
			})
		})
	}
}

// TestAnnotations checks that what others wrote is no markup where Grafana shows it, and that tags are as short as it keeps
// them.
func TestAnnotations(t *testing.T) {
	rec := small().Drill(strings.Repeat("run", 60), began)
	rec.Plan.Scenario = strings.Repeat("é", 200)
	list, _ := Annotations(scored(t, rec))
	other, _ := Annotations(scored(t, small().Drill(strings.Repeat("run", 60)+"-2", began)))
	if list[0].Tags[1] == other[0].Tags[1] {
		t.Error("two runs have the same tag")
	}
	keys := map[string]bool{}
	hostile := false
	for _, a := range list {
		if strings.ContainsAny(a.Text, "<>\"'") {
			t.Errorf("markup in %q", a.Text)
		}
		hostile = hostile || strings.Contains(a.Text, "&lt;b&gt;")
		all := 0
		for _, tag := range a.Tags {
			all += len(tag) + len(`"",`)
			if len(tag) > 100 || tag != strings.ToValidUTF8(tag, "") {
				t.Errorf("tag %q", tag)
			}
		}
		if all > 500 || keys[a.Key] {
			t.Errorf("%d bytes of tags, or a key twice: %+v", all, a)
		}
		keys[a.Key] = true
	}
	if !hostile {
		t.Error("the hostile name is in no annotation, so the test tests nothing")
	}
}

// FuzzGrafanaList: whatever answers the question what is there, nothing is posted unless it is a whole list.
func FuzzGrafanaList(f *testing.F) {
	for _, seed := range []string{"[]", "null", "[{", "{}", `[{"id":1,"tags":null}]`, `[][]`, "", `[{"id":"x"}]`, "[] x", `[{"timeEnd":-1}]`} {
		f.Add([]byte(seed))
	}
	list := []Annotation{{Key: "k", At: began, Text: "x", Tags: []string{tagAll, runTag("r"), tagKey + "k"}}}
	f.Fuzz(func(t *testing.T, answer []byte) {
		posted := false
		_, err := Grafana(t.Context(), at(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				posted = true
				fmt.Fprint(w, `{"message":"ok"}`)
				return
			}
			if _, err := w.Write(answer); err != nil {
				t.Error(err)
			}
		}), list)
		var whole []map[string]any
		if isList := json.Unmarshal(answer, &whole) == nil && whole != nil; !isList && (err == nil || posted) {
			t.Errorf("%q is taken for a list: posted %v, %v", answer, posted, err)
		}
	})
}

// FuzzParseHeader: what is taken can be sent, and what is not is not repeated.
func FuzzParseHeader(f *testing.F) {
	for _, seed := range []string{"a=b", "X-Scope-OrgID=team,Authorization=Basic%20x", "=", "a", "a=%0a", "\x00=1", "é=1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ParseHeader(text)
		if err != nil {
			return
		}
		r, err := http.NewRequest(http.MethodGet, "http://a.example", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = h
		if err := r.Write(io.Discard); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// FuzzRejected: an answer that is not understood is never taken for one that says that all is well.
func FuzzRejected(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"partialSuccess":{"rejectedDataPoints":"1"}}`, `{"partialSuccess":null}`, "[", "null", "1"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		if err := rejected(answer, http.Header{}); err == nil && len(strings.TrimSpace(string(answer))) > 0 && !json.Valid(answer) {
			t.Errorf("%q is taken for an answer", answer)
		}
	})
}
