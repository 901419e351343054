package prometheus

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
)

// scripted is a server with one rule, whose answers to ranges are written by the test.
type scripted struct {
	rule   string                                   // fields of the rule, as JSON
	ranges func(query string, start float64) string // series of a range, as JSON
	more   string                                   // beside the data of a range
	number string                                   // what any other query yields
	asked  atomic.Int64
	hang   bool // ranges do not answer
}

func (f *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.asked.Add(1)
	query := r.URL.Query().Get("query")
	switch {
	case strings.HasSuffix(r.URL.Path, "/rules"):
		fmt.Fprintf(w, `{"status":"success","data":{"groups":[{"interval":15,"rules":[{"type":"alerting","health":"ok","lastEvaluation":%q,%s}]}]}}`,
			time.Now().Format(time.RFC3339Nano), f.rule)
	case strings.HasSuffix(r.URL.Path, "/query_range"):
		if f.hang {
			<-r.Context().Done()
			return
		}
		var start float64
		_, _ = fmt.Sscan(r.URL.Query().Get("start"), &start)
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[%s]}%s}`, f.ranges(query, start), f.more)
	case strings.HasSuffix(r.URL.Path, "/config"):
		fmt.Fprint(w, `{"status":"success","data":{"yaml":"global:\n  scrape_interval: 15s\n"}}`)
	case query == "time()":
		now := float64(time.Now().UnixMilli()) / 1000
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"scalar","result":[%.3f,"%.3f"]}}`, now, now)
	default:
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"scalar","result":[1,%q]}}`, f.number)
	}
}

// values writes a series of values, a step apart from a start.
func values(labels string, start, step float64, list ...string) string {
	var b strings.Builder
	for i, v := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "[%.3f,%q]", start+float64(i)*step, v)
	}
	return fmt.Sprintf(`{"metric":{%s},"values":[%s]}`, labels, b.String())
}

const slow = `"name":"Slow","query":"latency > 10","duration":30,"labels":{"severity":"page"}`

// studyOf asks a scripted server about one run of a minute, with the fault at its half.
func studyOf(t *testing.T, f *scripted, ctx context.Context, match map[string]string) (alarms.Advice, clock.Span, error) {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	s := source(t, Config{URL: server.URL, Timeout: "100ms"}, nil)
	run := clock.Span{Start: time.Now().Add(-time.Minute), End: time.Now()}
	want := map[string]string{alertName: "Slow"}
	for k, v := range match {
		want[k] = v
	}
	advice, err := s.Advise(ctx, alarms.Inquiry{Run: run, Calm: clock.Span{Start: run.Start, End: run.Start.Add(30 * time.Second)},
		Alarms: []alarms.Expectation{{Name: "slow", Match: want}}})
	if _, jsonErr := json.Marshal(advice); jsonErr != nil {
		t.Errorf("it cannot be recorded: %v", jsonErr)
	}
	return advice, run, err
}

// studyCase is a server and an alarm that is expected of it, and what the study of its rule is to say.
type studyCase struct {
	server *scripted
	match  map[string]string
	check  func(s alarms.RuleStudy) string // what is wrong
}

// isStudied has the rule studied, with few questions.
func (c studyCase) isStudied(t *testing.T) {
	advice, run, err := studyOf(t, c.server, t.Context(), c.match)
	if err != nil || len(advice.Studies) != 1 {
		t.Fatalf("%+v, %v", advice, err)
	}
	s := advice.Studies[0]
	if wrong := c.check(s); wrong != "" {
		t.Errorf("%s: %+v", wrong, s)
	}
	if s.Interval != 15*time.Second || s.Scrape != 15*time.Second || !s.Looks.Start.Equal(run.Start) && s.Looks.Length() > 0 {
		t.Errorf("%+v", s)
	}
	if n := c.server.asked.Load(); n > 16 {
		t.Errorf("it asked %d questions", n)
	}
}

// TestStudies asks servers of all sorts about a rule: what they do not tell is not made up.
func TestStudies(t *testing.T) {
	nothing := func(string, float64) string { return "" }
	for name, c := range map[string]studyCase{
		"nothing measured": {&scripted{rule: slow, ranges: nothing}, nil, func(s alarms.RuleStudy) string {
			if s.Limit == nil || len(s.Held)+len(s.Values) > 0 || s.Past == nil || s.Past.Data != 0 || len(s.Levels) != 1 || s.Looks.Length() == 0 || len(s.Why) > 0 {
				return "want a past without data"
			}
			return ""
		}},
		"no expression": {&scripted{rule: `"name":"Slow"`, ranges: nothing}, nil, func(s alarms.RuleStudy) string {
			if s.Limit != nil || s.Looks.Length() != 0 || !strings.Contains(strings.Join(s.Why, ""), "the rules API does not tell it") {
				return "want no study"
			}
			return ""
		}},
		"incomplete": {&scripted{rule: slow, ranges: nothing, more: `,"warnings":["store eu-1 is away"]`}, nil, func(s alarms.RuleStudy) string {
			if s.Looks.Length() != 0 || s.Past != nil || len(s.Why) != 2 || !strings.Contains(s.Why[0], "eu-1") {
				return "want two complaints"
			}
			return ""
		}},
		"arithmetic": {&scripted{rule: strings.Replace(slow, "10", "2 * 5", 1), number: "10", ranges: nothing}, nil, func(s alarms.RuleStudy) string {
			if s.Limit == nil || s.Limit.Threshold != 10 {
				return "want 10"
			}
			return ""
		}},
		"no number": {&scripted{rule: strings.Replace(slow, "10", "1 / 0", 1), number: "+Inf", ranges: nothing}, nil, func(s alarms.RuleStudy) string {
			if s.Limit != nil || s.NoLimit == "" {
				return "want no limit"
			}
			return ""
		}},
		"templated label": {&scripted{rule: `"name":"Slow","query":"latency > 10","duration":30,"labels":{"severity":"{{ $labels.level }}"}`, ranges: func(_ string, start float64) string {
			return values("", start+40, 1, "11")
		}}, map[string]string{"severity": "page"}, func(s alarms.RuleStudy) string {
			if len(s.Held) != 1 {
				return "want it counted: the template may become anything"
			}
			return ""
		}},
	} {
		t.Run(name, c.isStudied)
	}
}

// TestStudiesOfSeries asks about rules that look at much: the series of the alarm count, and so many of them and no more.
func TestStudiesOfSeries(t *testing.T) {
	for name, c := range map[string]studyCase{
		"a past that is often bad": {&scripted{rule: slow, ranges: func(_ string, start float64) string {
			return values("", start, 31, "1", "12", "12", "1", "1", "12", "1", "12", "12")
		}}, nil, func(s alarms.RuleStudy) string {
			// Three stretches in each of the four answers; a single look counts, for it may stand for half a minute.
			if s.Past.Worst != 12 || s.Past.Data != 36*31*time.Second || s.Levels[len(s.Levels)-1].Fired != 12 {
				return fmt.Sprintf("want 12 times: %+v %+v", s.Past, s.Levels)
			}
			return ""
		}},
		"other series": {&scripted{rule: slow, ranges: func(_ string, start float64) string {
			return values(`"service":"a"`, start+40, 1, "11", "11", "NaN", "+Inf") + "," + values(`"service":"b"`, start+10, 1, "99", "99")
		}}, map[string]string{"service": "a", "severity": "page"}, func(s alarms.RuleStudy) string {
			if len(s.Values) != 1 || s.Values[0].Labels["service"] != "a" || len(s.Values[0].Points) != 3 || len(s.Held) != 1 || s.Held[0].Length() != 3*time.Second {
				return "want service a only, without what is no number"
			}
			return ""
		}},
		"many series": {&scripted{rule: slow, ranges: func(_ string, start float64) string {
			var all []string
			for i := range 30 {
				all = append(all, values(fmt.Sprintf(`"pod":"p%d"`, i), start+40, 1, fmt.Sprint(i)))
			}
			return strings.Join(all, ",")
		}}, nil, func(s alarms.RuleStudy) string {
			if len(s.Values) != mostTracks || s.Values[0].Labels["pod"] != "p29" || !strings.Contains(s.Why[0], "there are 30 series") || s.Past.Step != 91*time.Second || s.Past.Series != 30 {
				return "want the worst of them, and a coarser past"
			}
			return ""
		}},
		"for ever on and off": {&scripted{rule: slow, ranges: func(_ string, start float64) string {
			var all []string
			for i := range 120 {
				all = append(all, values("", start+float64(i)*2, 1, "11"))
			}
			return strings.Join(all, ",")
		}}, nil, func(s alarms.RuleStudy) string {
			if len(s.Held) != mostHeld || !s.Looks.End.Equal(s.Held[mostHeld-1].End) || len(s.Why) == 0 {
				return "want the first hundred, and that it was looked at no longer"
			}
			return ""
		}},
	} {
		t.Run(name, c.isStudied)
	}
}

// TestStudyTakesNoTime has a server that never answers, and one that is not there: neither holds up the end of a run.
func TestStudyTakesNoTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
	defer cancel()
	begun := time.Now()
	advice, _, err := studyOf(t, &scripted{rule: slow, hang: true}, ctx, nil)
	if err != nil || len(advice.Studies) != 1 || advice.Fired || len(advice.Why) != 1 {
		t.Fatalf("%+v %v", advice, err)
	}
	if s := advice.Studies[0]; len(s.Why) != 2 || s.Looks.Length() != 0 || s.Past != nil || s.Values != nil {
		t.Errorf("%+v", s)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	cancel()
	if _, _, err := studyOf(t, &scripted{rule: slow}, ctx, nil); err == nil || !strings.Contains(err.Error(), "studying the rules of prometheus.main") {
		t.Errorf("an end before the begin: %v", err)
	}
}

// TestManyExpected studies so many rules and no more.
func TestManyExpected(t *testing.T) {
	f := &scripted{rule: slow, ranges: func(string, float64) string { return "" }}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	s := source(t, Config{URL: server.URL}, nil)
	var expected []alarms.Expectation
	for i := range mostStudies + 5 {
		expected = append(expected, alarms.Expectation{Name: fmt.Sprint(i), Match: map[string]string{alertName: "Slow"}})
	}
	now := time.Now()
	advice, err := s.Advise(t.Context(), alarms.Inquiry{Run: clock.Span{Start: now.Add(-time.Minute), End: now}, Alarms: expected})
	if err != nil || len(advice.Studies) != mostStudies || len(advice.Why) != 1 {
		t.Errorf("%d studies, %q, %v", len(advice.Studies), advice.Why, err)
	}
}
