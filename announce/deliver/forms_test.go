package deliver

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"

	"gameday/announce"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// sent is when the messages of the golden files are sent.
var sent = time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)

// forms are all messages that there are. A channel that is not told gives false.
func forms(t *testing.T, blind bool) map[string]func(c *announce.Channel) (announce.Draft, bool) {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 12, day, hour, minute, 0, 0, zone) }
	day := &announce.Day{Schedule: "weekly", Occasion: "2026-12-01", Scenarios: []string{"checkout-loses-payments", "dns_gone"}, Blind: blind, Zone: zone,
		Hours: []announce.Span{{From: at(1, 10, 0), To: at(1, 16, 0)}}, Moment: at(1, 11, 42).Add(17 * time.Second)}
	week := *day
	week.Hours = []announce.Span{{From: at(1, 10, 0), To: at(1, 16, 0)}, {From: at(2, 10, 0), To: at(2, 16, 0)}, {From: at(3, 10, 0), To: at(3, 16, 0)}}
	night := *day
	night.Hours = []announce.Span{{From: at(1, 22, 0), To: at(2, 6, 0)}}
	noon := *day
	noon.Open, noon.Hours = true, []announce.Span{{From: at(1, 12, 0), To: at(1, 14, 0)}}
	hand := &announce.Day{Scenarios: []string{"checkout-loses-payments"}, Blind: blind, Run: "sre-1:/runs/20261201-104217-checkout", Zone: zone}
	passed := announce.Result{Scenario: "checkout-loses-payments", Judged: true, Verdict: "passed", Low: 92, High: 97, Coverage: 0.95, Record: "/runs/20261201-114217-checkout-loses-payments", Host: "sre-1"}
	failed := announce.Result{Scenario: "dns_gone", Judged: true, Verdict: "failed", Low: 40, High: 61, Coverage: 0.79, Why: "a required item was missed",
		Missed: []string{"alarm DnsDown fires within 30s: not seen", "on-call acknowledges within 5m: 7m12s", "latency: p95 812 ms", "another"}, Record: "/runs/20261201-121500-dns_gone", Host: "sre-1"}
	aborted := announce.Result{Scenario: "dns_gone", Judged: true, Verdict: "aborted", Low: 0, High: 100, Coverage: 0, Why: "the stop condition error storm held for 10 s", Record: "/runs/20261201-121500-dns_gone", Host: "sre-1"}
	residue := aborted
	residue.Left, residue.Residue = true, []string{"cut (network_partition) at ledger"}
	killed := announce.Result{Scenario: "dns_gone", Why: "it was killed, or its record cannot be read", Left: true, Host: "sre-1"}
	now := at(1, 13, 0)
	ended := func(d *announce.Day, rest []string, results ...announce.Result) func(*announce.Channel) (announce.Draft, bool) {
		return func(c *announce.Channel) (announce.Draft, bool) {
			return c.Ended(d, announce.End{At: now, Results: results, NotRun: rest})
		}
	}
	return map[string]func(*announce.Channel) (announce.Draft, bool){
		"coming":       func(c *announce.Channel) (announce.Draft, bool) { return c.Coming(day) },
		"coming_week":  func(c *announce.Channel) (announce.Draft, bool) { return c.Coming(&week) },
		"coming_night": func(c *announce.Channel) (announce.Draft, bool) { return c.Coming(&night) },
		"coming_cron":  func(c *announce.Channel) (announce.Draft, bool) { return c.Coming(&noon) },
		"begun":        func(c *announce.Channel) (announce.Draft, bool) { return c.Begun(day, now, "") },
		"begun_late": func(c *announce.Channel) (announce.Draft, bool) {
			return c.Begun(day, now, ", which makes up for 2 missed occasions")
		},
		"begun_hand": func(c *announce.Channel) (announce.Draft, bool) { return c.Begun(hand, now, "") },
		"skipped": func(c *announce.Channel) (announce.Draft, bool) {
			return c.NotHeld(day, "an incident is open: payments is slow", false, now)
		},
		"missed": func(c *announce.Channel) (announce.Draft, bool) {
			return c.NotHeld(&week, "missed: nobody was there to begin it", true, now)
		},
		"ended":         ended(day, nil, passed, failed),
		"ended_passed":  ended(day, nil, passed),
		"ended_hand":    ended(hand, nil, failed),
		"ended_unknown": ended(day, []string{"checkout-loses-payments"}, announce.Result{Scenario: "dns_gone", Why: "it was refused before it touched anything; the output of gameday says why"}),
		"aborted":       ended(day, []string{"checkout-loses-payments"}, aborted),
		"residue":       ended(day, nil, passed, residue),
		"killed":        ended(day, nil, killed),
		"unfinished":    func(c *announce.Channel) (announce.Draft, bool) { return c.Unfinished(day, now, "ann", "sre-1") },
		"go": func(c *announce.Channel) (announce.Draft, bool) {
			return c.Rehearsed(announce.Judgement{Rehearsal: "launch-eu-west-2", State: "go", Digest: "9534236b", Command: "gameday rehearse launch.hcl launch-eu-west-2 --show (on sre-1)"})
		},
		"no_go": func(c *announce.Channel) (announce.Draft, bool) {
			return c.Rehearsed(announce.Judgement{Rehearsal: "launch-eu-west-2", State: "no-go", Why: []string{"dns_gone: it failed: a required item was missed", "sign-off of sre: nobody has signed"}, Residue: true,
				Digest: "9534236b", Command: "gameday rehearse launch.hcl launch-eu-west-2 --show (on sre-1)"})
		},
		"not_yet": func(c *announce.Channel) (announce.Draft, bool) {
			return c.Rehearsed(announce.Judgement{Rehearsal: "launch-eu-west-2", State: "not yet known", Digest: "9534236b", Command: "gameday rehearse launch.hcl launch-eu-west-2 --show (on sre-1)"})
		},
		"stale": func(c *announce.Channel) (announce.Draft, bool) {
			return c.TooOld(announce.Age{Scenario: "dns_gone", Blind: blind, Passed: at(1, 12, 0).AddDate(0, 0, -35)}, now)
		},
		"stale_never": func(c *announce.Channel) (announce.Draft, bool) {
			return c.TooOld(announce.Age{Scenario: "dns_gone", Blind: blind, Unread: 2}, now)
		},
		"test": func(c *announce.Channel) (announce.Draft, bool) { return c.Try("ann", now), true },
		"hostile": func(c *announce.Channel) (announce.Draft, bool) {
			d := *day
			d.Schedule = "<!channel> *bold* _under_score_ @here [a](https://evil.example.com) & \x1b[31mred \u202eback"
			return c.NotHeld(&d, "line one\nline two <script>alert(1)</script> "+strings.Repeat("very long ", 40), false, now)
		},
	}
}

// TestForms compares every message, as each kind of channel takes it, with the golden files: for everyone and for facilitators, of a
// blind game day and of one that is not.
func TestForms(t *testing.T) {
	for _, blind := range []bool{false, true} {
		for name, tell := range forms(t, blind) {
			file := name
			if blind {
				file += "_blind"
			}
			t.Run(file, func(t *testing.T) {
				var b strings.Builder
				for _, to := range []announce.Audience{announce.Everyone, announce.Facilitators} {
					b.WriteString("#### for " + string(to) + "\n")
					form(t, &b, to, tell)
				}
				golden := filepath.Join("testdata", file+".golden")
				if *update {
					if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), b.String()); diff != "" {
					t.Errorf("it changed (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// form writes a message in every form.
func form(t *testing.T, b *strings.Builder, to announce.Audience, tell func(*announce.Channel) (announce.Draft, bool)) {
	t.Helper()
	c := &announce.Channel{Kind: announce.Email, Name: "sre", On: announce.Events, To: to, Ahead: announce.DefaultAhead, StaleAfter: 30 * 24 * time.Hour, Link: "https://gameday.example.com",
		Mail: announce.Mail{From: "gameday@example.com", Recipients: []string{"sre@example.com"}}}
	d, wanted := tell(c)
	if !wanted {
		b.WriteString("is not told\n")
		return
	}
	b.WriteString("key         " + d.Key + "\n")
	if !d.NotBefore.IsZero() {
		b.WriteString("not before  " + d.NotBefore.UTC().Format(time.RFC3339) + "\n")
	}
	if !d.Expires.IsZero() {
		b.WriteString("expires     " + d.Expires.UTC().Format(time.RFC3339) + "\n")
	}
	b.WriteString("\n== text\n" + d.Message.Text())
	for _, kind := range []announce.Kind{announce.Slack, announce.Mattermost, announce.Teams, announce.Webhook} {
		body, err := announce.Body(kind, &d.Message, sent)
		if err != nil {
			t.Fatal(err)
		}
		var nice bytes.Buffer
		if err := json.Indent(&nice, body, "", "  "); err != nil {
			t.Fatalf("what %s takes is no JSON: %v\n%s", kind, err, body)
		}
		if len(body) > 28<<10 {
			t.Errorf("what %s takes has %d bytes", kind, len(body))
		}
		b.WriteString("\n== " + string(kind) + "\n" + nice.String() + "\n")
	}
	letter, err := compose(c, &d.Message, sent)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if _, err := letter.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	b.WriteString("\n== email\n" + strings.ReplaceAll(text.String(), "\r\n", "\n") + "\n")
}
