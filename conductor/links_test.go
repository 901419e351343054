package conductor

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/report"
)

// TestAskLinks asks each link of an expected alarm once, follows redirects, and records no credential.
func TestAskLinks(t *testing.T) {
	asked := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked[r.URL.Path]++
		if from := r.Header.Get("Referer"); from != "" {
			t.Errorf("%s is told that %s leads there", r.URL.Path, from)
		}
		switch r.URL.Path {
		case "/old":
			http.Redirect(w, r, "/new?key=hush", http.StatusMovedPermanently)
		case "/gone":
			http.NotFound(w, r)
		case "/cut":
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	user := strings.Replace(server.URL, "http://", "http://ann:hush@", 1)
	links := []string{server.URL + "/old?key=hush", server.URL + "/old?key=hush", user + "/here", server.URL + "/gone", server.URL + "/cut", "javascript:alert(1)", ""}
	d := newDay(t, `alarms "probe" "main" {}`, lateAlarm)
	d.options.Scenario.Alarms[0].Links = []string{"runbook_url"}
	var got []report.LinkAnswer
	observe := func(e report.Event) {
		got = append(got, seen[report.LinkAnswer](t, &report.Record{Events: []report.Event{e}}, report.LinkAsked)...)
	}
	rec, err := newRecorder(d.options.Dir, time.Unix(1_800_000_000, 0), func(s string) string { return s }, observe)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{Options: d.options, rec: rec}
	var episodes []alarms.Episode
	for _, l := range links {
		episodes = append(episodes, alarms.Episode{Labels: map[string]string{"alertname": "Down"}, Notes: map[string]string{"runbook_url": l}, Firing: clock.At(time.Unix(1_800_000_000, 0))})
	}
	episodes = append(episodes, alarms.Episode{Labels: map[string]string{"alertname": "Up"}, Notes: map[string]string{"runbook_url": server.URL + "/other"}})
	(&sources{run: r}).askLinks(t.Context(), "probe.main", episodes)
	if err := rec.close(); err != nil {
		t.Fatal(err)
	}
	want := []struct {
		url    string
		status int
		error  string
	}{{server.URL + "/old", 200, ""}, {server.URL + "/here", 200, ""}, {server.URL + "/gone", 404, ""}, {server.URL + "/cut", 0, "nothing answers: EOF"}, {"javascript:alert(1)", 0, "no address"}}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i, w := range want {
		if g := got[i]; g.URL != w.url || g.Status != w.status || !strings.Contains(g.Error, w.error) || g.Alarm != "Down" || strings.Contains(g.URL+g.Error, "hush") {
			t.Errorf("%+v, want %+v", g, w)
		}
	}
	if asked["/old"] != 1 || asked["/other"] != 0 {
		t.Errorf("%v", asked)
	}
}

// TestLinksOfARun asks the links of an alarm at the end of a run, and judges what they answer.
func TestLinksOfARun(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	outer := strings.Replace(incidentWorld, `labels = { severity = "page" }`, `annotations = { runbook_url = "`+server.URL+`/runbook" }`, 1)
	d := newDay(t, outer, `
  fault "hold" "first" {
    target   = target.web
    at       = "0s"
    duration = "2s"
  }
  alarm "Failing" {
    source = alarms.builtin.main
    fires_within = "5s"
    links = ["runbook_url"]
  }
`)
	d.options.Scenario.Timeline.Ramp = 0
	d.options.Scenario.Timeline.Baseline = time.Second
	d.options.Scenario.Timeline.Load = 7 * time.Second // a busy machine sees it fire late
	d.options.Scenario.Timeline.Recovery = time.Second
	d.sender.errors = during(1, 7)
	for _, it := range report.Score(d.live()).Items() {
		if it.ID == "alarm.Failing.links" {
			if it.Outcome != clock.Missed || !strings.Contains(it.Why, "404 Not Found") {
				t.Errorf("%v: %s", it.Outcome, it.Why)
			}
			return
		}
	}
	t.Error("its links are not judged")
}
