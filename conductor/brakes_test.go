package conductor

import (
	"strings"
	"testing"
)

// TestBrakeOnAlarm checks that a plan warns of a brake that is the alarm itself, and of no other.
func TestBrakeOnAlarm(t *testing.T) {
	const alarmed = `
  alarm "Down" {
    source       = alarms.probe.main
    fires_within = "5s"
  }
`
	for name, tc := range map[string]struct {
		query, when string
		want        string
	}{
		"its own alert":           {`ALERTS{alertname=\"Down\",alertstate=\"firing\"}`, "sli.own > 0", "asks for ALERTS"},
		"by a regular expression": {`count(ALERTS{alertname=~\"Do.*\"})`, "sli.own > 0", "asks for ALERTS"},
		"all alerts":              {`count(ALERTS{severity=\"page\"})`, "sli.own > 0", "asks for ALERTS"},
		"alerts bare":             {`sum(ALERTS)`, "sli.own > 0", "asks for ALERTS"},
		"since when it fires":     {`ALERTS_FOR_STATE{alertname=\"Down\"}`, "sli.own > 0", "asks for ALERTS"},
		"another alert":           {`ALERTS{alertname=\"Other\"}`, "sli.own > 0", ""},
		"all but this one":        {`ALERTS{alertname!=\"Down\"}`, "sli.own > 0", ""},
		"a metric of that name":   {`MY_ALERTS_TOTAL{alertname=\"Down\"}`, "sli.own > 0", ""},
		"an unused query":         {`ALERTS{alertname=\"Down\"}`, "sli.error_ratio > 0.9", ""},
	} {
		t.Run(name, func(t *testing.T) {
			outer := "alarms \"probe\" \"main\" {\n}\n"
			inner := steadyBlock + fault("hold", "cut", "target = target.web\nat = \"2s\"\nduration = \"5s\"") + alarmed +
				"sli \"own\" {\n  source = alarms.probe.main\n  query  = \"" + tc.query + "\"\n}\n" +
				"abort \"storm\" {\n  when = " + tc.when + "\n}\n"
			var got []string
			for _, w := range MakePlan(newDay(t, outer, inner).options.Scenario).Warnings {
				if strings.Contains(w, "abort \"storm\"") {
					got = append(got, w)
				}
			}
			if tc.want == "" && len(got) > 0 || tc.want != "" && (len(got) != 1 || !strings.Contains(got[0], tc.want)) {
				t.Errorf("warnings %q, want %q", got, tc.want)
			}
		})
	}
}

// TestBrakeOnSameQuery checks that two names of one query are seen as one indicator.
func TestBrakeOnSameQuery(t *testing.T) {
	outer := `alarms "probe" "main" {
}
alarms "builtin" "own" {
  rule "Down" {
    when = sli.one > 5
  }
}
sli "one" {
  source = alarms.probe.main
  query  = "sum(rate(errors[1m]))"
}
sli "two" {
  source = alarms.probe.main
  query  = "sum(rate(errors[1m]))  "
}
`
	inner := steadyBlock + fault("hold", "cut", "target = target.web\nat = \"2s\"\nduration = \"5s\"") + `
  alarm "Down" {
    source       = alarms.builtin.own
    fires_within = "5s"
  }
  abort "storm" {
    when = sli.two > 50
  }
`
	n := 0
	for _, w := range MakePlan(newDay(t, outer, inner).options.Scenario).Warnings {
		if strings.Contains(w, "on the same indicator") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d warnings of the same indicator", n)
	}
}
