package nagios

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
)

var zero = time.Unix(1_795_924_000, 0)

func ms(sec int64) int64 { return (zero.Unix() + sec) * 1000 }

func plain(t *testing.T) *Source {
	s, err := New("nagios.main", Config{URL: "http://127.0.0.1:1/cgi-bin"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.known = map[string]map[string]string{"payments;checkout": {"alertname": "checkout"}, "payments": {"alertname": "payments"}}
	return s
}

func alert(sec int64, typ, state string) entry {
	return entry{At: ms(sec), Of: "service", Host: "payments", Service: "checkout", Type: typ, State: state}
}

func notice(sec int64, typ string) entry {
	return entry{At: ms(sec), Of: "service", Host: "payments", Service: "checkout", Contact: "ann", Notice: typ}
}

// TestObservations makes observations of logs as Nagios writes them.
func TestObservations(t *testing.T) {
	held := func(sec int64, why string) holding {
		return holding{"payments;checkout", why, clock.At(zero.Add(time.Duration(sec) * time.Second))}
	}
	for name, c := range map[string]struct {
		alerts, notices []entry
		held            []holding
		begun           []clock.Interval
		want            string
	}{
		"soft states logged": {alerts: []entry{alert(10, "soft", "warning"), alert(12, "hard", "critical"), alert(20, "hard", "ok")},
			notices: []entry{notice(12, "critical"), notice(20, "servicerecovery")}, want: "10 pending, 12 firing, 12 paged, 20 inactive"},
		"not logged, and looked at": {alerts: []entry{alert(12, "hard", "critical")}, begun: []clock.Interval{clock.Between(zero.Add(9*time.Second), zero.Add(11*time.Second))},
			want: "9 pending, 12 firing"},
		"not logged, nor looked at": {alerts: []entry{alert(5, "hard", "ok"), alert(12, "hard", "critical")}, want: "5 inactive, 5 pending, 12 firing"},
		"the notification's second is over": {alerts: []entry{alert(10, "soft", "critical"), alert(13, "hard", "critical")}, notices: []entry{notice(12, "critical")},
			want: "10 pending, 13 firing, 12 paged"},
		"acknowledged after the page": {alerts: []entry{alert(10, "soft", "critical"), alert(12, "hard", "critical")}, notices: []entry{notice(12, "critical"), notice(15, "serviceack")},
			held: []holding{held(16, acknowledgement)}, want: "10 pending, 12 firing, 12 paged"},
		"acknowledged before it": {alerts: []entry{alert(10, "soft", "critical"), alert(12, "hard", "critical")}, held: []holding{held(16, acknowledgement)}, want: "10 pending, 12 firing, 16 suppressed"},
		"a downtime that ended":  {alerts: []entry{alert(10, "soft", "critical"), alert(12, "hard", "critical"), alert(14, "hard", "ok")}, held: []holding{held(16, "a downtime")}, want: "10 pending, 12 firing, 14 inactive"},
		"a downtime in the second of its end": {alerts: []entry{alert(10, "soft", "critical"), alert(12, "hard", "critical"), alert(16, "hard", "ok")}, held: []holding{held(16, "a downtime")},
			want: "10 pending, 12 firing, 16 suppressed, 16 inactive"},
		"a host":                   {alerts: []entry{{At: ms(10), Of: "host", Name: "payments", Type: "hard", State: "down"}}, begun: nil, want: "-3600 pending, 10 firing"},
		"something else, not ours": {alerts: []entry{{At: ms(10), Host: "x", Service: "y", Type: "hard", State: "critical"}}, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := plain(t)
			s.begun["payments;checkout"] = c.begun
			var got []string
			for _, o := range s.observations(c.alerts, c.notices, c.held, zero.Add(-before)) {
				got = append(got, fmt.Sprintf("%g %s", o.At.Lo.Sub(zero).Seconds(), o.State))
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("%s, want %s", strings.Join(got, ", "), c.want)
			}
		})
	}
}

// TestBook counts Nagios as watching from one writing of its status to the next, and not over a restart.
func TestBook(t *testing.T) {
	s := plain(t)
	at := func(sec int64) time.Time { return zero.Add(time.Duration(sec) * time.Second) }
	look := func(sec, updated, started int64) string {
		_, why := s.book(meta{Now: ms(sec), Updated: ms(updated), Started: ms(started)}, at(sec))
		return why
	}
	for sec := int64(0); sec <= 100; sec += 5 {
		updated := sec / 10 * 10
		if sec > 40 && sec < 90 { // frozen
			updated = 40
		}
		if why := look(sec, updated, -100); (why != "") != (sec > 71 && sec < 90) {
			t.Errorf("at %d: %q", sec, why)
		}
	}
	if look(108, 107, 105) != "" {
		t.Error("it runs again")
	}
	var got []string
	for _, c := range s.account.Spans() {
		got = append(got, fmt.Sprintf("%g..%g", c.Start.Sub(zero).Seconds(), c.End.Sub(zero).Seconds()))
	}
	if strings.Join(got, " ") != "0..40 90..107" || len(s.cuts) != 1 || s.cuts[0].Span != (clock.Span{Start: at(100), End: at(106)}) {
		t.Errorf("%v without %v", got, s.cuts)
	}
}

// TestAnswers takes nothing for an answer that is none.
func TestAnswers(t *testing.T) {
	for body, says := range map[string]string{
		`{"result":{"query_time":1795924037000,"type_code":0},"data":{"alertlist":[],"notificationlist":[]}}`:                   "",
		`{"result":{"query_time":1795924037000,"type_code":0},"data":{}}`:                                                       "has no list",
		`{"result":{"query_time":1795924037000,"type_code":3,"type_text":"Unable to Open File","message":"objects"},"data":{}}`: "Unable to Open File: objects",
		`{"result":{"query_time":1795924037000},"data":{"alertlist":[]}}`:                                                       "is none of Nagios'",
		`{}`: "is none of Nagios'",
		`{"result":{"query_time":1795924037000,"type_code":0},"data":{"alertlist":[{"timestamp":"soon"}]}}`: "not the JSON expected",
		`{"result":{"query_time":17959`: "not the JSON expected",
		`<html>sign in</html>`:          "not the JSON expected",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
		s, err := New("nagios.main", Config{URL: server.URL}, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = s.archive(t.Context(), clock.Span{Start: zero, End: zero.Add(time.Minute)})
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", body, err, says)
		}
		found, err := s.Preflight(t.Context(), []alarms.Expectation{{Name: "A", Match: map[string]string{"host": "payments"}}})
		if err != nil || !slices.ContainsFunc(found, func(f alarms.Finding) bool { return f.Blocks }) {
			t.Errorf("%s: a preflight lets it pass: %v %v", body, found, err)
		}
		s.Close()
		server.Close()
	}
}

func TestConfig(t *testing.T) {
	for says, c := range map[string]Config{
		"":                 {URL: "https://nagios.example/cgi-bin"},
		"Missing address":  {},
		"Invalid duration": {URL: "https://nagios.example", Update: "x"},
		"Empty name":       {URL: "https://nagios.example", Labels: map[string]string{"a": ""}},
	} {
		if err := c.Validate(); (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
	if text := fmt.Sprintf("%v %#v", Config{Password: "hush"}, Config{Password: "hush"}); strings.Contains(text, "hush") {
		t.Error(text)
	}
}
