package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"gameday/loadgen/baseline"
)

// TestBaselineWords says what was measured, how sure that is, what it stands on and how old that is.
func TestBaselineWords(t *testing.T) {
	at := time.Date(2026, 11, 28, 20, 40, 0, 0, time.UTC)
	week := 7 * 24 * time.Hour
	usual := func(change func(*BaselinePlan)) *BaselinePlan {
		b := &BaselinePlan{Kind: "prometheus", Source: "prometheus.main", Query: "sum(x)", At: at, PerIteration: 1, Measured: &baseline.Measured{
			Rate: 38.21733, Low: 36.9, High: 39.8, Statistic: "0.95 quantile", Samples: 288, Worth: 288, Each: 5 * time.Minute,
			Chosen: "the last 1d", From: at.Add(-2 * week), To: at.Add(-time.Minute)}}
		if change != nil {
			change(b)
		}
		return b
	}
	for name, c := range map[string]struct {
		plan         *BaselinePlan
		rate         float64
		want, origin string
	}{
		"usual": {usual(nil), 38.22, "38.22/s, between 36.9 and 39.8 (95 %); the 0.95 quantile of 288 samples of 5m, the last 1d, 1m to 14d old",
			"prometheus.main: sum(x)"},
		"no bound above": {usual(func(b *BaselinePlan) { b.Measured.High = 0 }), 38.22,
			"38.22/s, 36.9 or more (95 %); the 0.95 quantile of 288 samples of 5m, the last 1d, 1m to 14d old", "prometheus.main: sum(x)"},
		"alike": {usual(func(b *BaselinePlan) { b.Measured.Worth = 30 }), 38.22,
			"38.22/s, between 36.9 and 39.8 (95 %); the 0.95 quantile of 288 samples of 5m (worth 30 independent ones), the last 1d, 1m to 14d old",
			"prometheus.main: sum(x)"},
		"several requests": {usual(func(b *BaselinePlan) { b.PerIteration = 4 }), 9.554,
			"9.554/s, between 9.225 and 9.95 (95 %): 38.22 requests/s at 4 an iteration; the 0.95 quantile of 288 samples of 5m, the last 1d, 1m to 14d old",
			"prometheus.main: sum(x)"},
		"a run": {usual(func(b *BaselinePlan) {
			b.Kind, b.Source = "run", "runs/1"
			b.Measured.Statistic, b.Measured.Chosen, b.Measured.From, b.Measured.To = "mean", "of its baseline phase of 30s", at.Add(-5*time.Hour-time.Second), at.Add(-5*time.Hour)
		}), 38.22, "38.22/s, between 36.9 and 39.8 (95 %); the mean of 288 samples of 5m, of its baseline phase of 30s, 5h old", "run runs/1"},
		"a log": {usual(func(b *BaselinePlan) {
			b.Kind, b.Source = "access_log", "access.log"
			b.Measured.From, b.Measured.To = at.Add(-61*time.Minute), at.Add(-90*time.Second)
		}), 38.22, "38.22/s, between 36.9 and 39.8 (95 %); the 0.95 quantile of 288 samples of 5m, the last 1d, 1m30s to 1h1m old", "access log access.log"},
		"unknown": {&BaselinePlan{Kind: "run", Source: "latest", Error: "there is none"}, 0, "unknown: there is none", "run latest"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.plan.Words(); got != c.want || c.plan.Rate() != c.rate || c.plan.Origin() != c.origin {
				t.Errorf("%g, from %s\n got %s\nwant %s", c.plan.Rate(), c.plan.Origin(), got, c.want)
			}
		})
	}
}

// TestReportTellsBaseline finds on the page and in the scorecard how 1x was measured.
func TestReportTellsBaseline(t *testing.T) {
	plan := calmPlan(nil)
	plan.Traffic[0].Baseline = &BaselinePlan{Kind: "access_log", Source: "<access>.log", At: plan12, PerIteration: 1, Measured: &baseline.Measured{
		Rate: 10, Low: 9, High: 11, Statistic: "0.95 quantile", Samples: 359, Worth: 359, Each: 10 * time.Second, Chosen: "the last 1h of the log",
		From: plan12.Add(-time.Hour), To: plan12, Notes: []string{"a doubt", "another"}}}
	card := Score(calm(t, plan).record())
	var page, raw bytes.Buffer
	if err := HTML(&page, card); err != nil {
		t.Fatal(err)
	}
	if err := JSON(&raw, card); err != nil {
		t.Fatal(err)
	}
	const want = "10/s, between 9 and 11 (95 %); the 0.95 quantile of 359 samples of 10s, the last 1h of the log, 0s to 1h old; from access log "
	if !strings.Contains(page.String(), "<br>1x: "+want+"&lt;access&gt;.log; note: a doubt; note: another</small>") {
		t.Errorf("the page does not say %q", want)
	}
	var told struct{ Engines []Engine }
	if err := json.Unmarshal(raw.Bytes(), &told); err != nil || len(told.Engines) != 1 || told.Engines[0].Baseline != want+"<access>.log; note: a doubt; note: another" {
		t.Errorf("the scorecard says %+v, %v", told.Engines, err)
	}
}

// plan12 is when the baseline of a test was measured.
var plan12 = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
