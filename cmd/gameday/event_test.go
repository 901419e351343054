package main

import (
	"errors"
	"strings"
	"testing"

	"gameday/report"
)

// TestTelling is what an Event says of runs that ended in each way.
func TestTelling(t *testing.T) {
	card := func(v report.Verdict, low, high float64, residue bool, why ...string) *report.Scorecard {
		return &report.Scorecard{Scenario: "checkout", Run: "20260102-1", Verdict: v, Low: low, High: high, Coverage: high / 100, Residue: residue, Why: why}
	}
	for name, tc := range map[string]struct {
		dir     string
		card    *report.Scorecard
		err     error
		reason  string
		message string
		normal  bool
	}{
		"passed": {dir: "/r", card: card(report.Passed, 97, 97, false, "every required item was met"), reason: "GameDayPassed", normal: true,
			message: "checkout: PASSED, 97 of 100, coverage 97 %; run 20260102-1; the record is /r"},
		"failed": {dir: "/r", card: card(report.Failed, 40, 60, false, "payments did not come back", "and more"), reason: "GameDayFailed",
			message: "checkout: FAILED, 40–60 of 100, coverage 60 %; run 20260102-1; the record is /r. payments did not come back"},
		"inconclusive": {dir: "/r", card: card(report.Inconclusive, 0, 100, false), reason: "GameDayInconclusive",
			message: "checkout: INCONCLUSIVE, 0–100 of 100, coverage 100 %; run 20260102-1; the record is /r"},
		"aborted": {dir: "/r", card: card(report.Aborted, 0, 100, false, "signal terminated"), reason: "GameDayAborted",
			message: "checkout: ABORTED, 0–100 of 100, coverage 100 %; run 20260102-1; the record is /r. signal terminated"},
		"residue": {dir: "/r", card: card(report.Passed, 97, 97, true, "a fault was left standing"), reason: "GameDayResidue",
			message: "checkout: PASSED, RESIDUE, 97 of 100, coverage 97 %; run 20260102-1; the record is /r. a fault was left standing"},
		"no record": {dir: "/r", err: &codeError{code: exitInconclusive, err: errors.New("writing the record: disk full")}, reason: "GameDayInconclusive",
			message: "writing the record: disk full; the record is /r"},
		"no record and residue": {dir: "/r", err: &codeError{code: exitResidue, err: errors.New("disk full; 1 fault(s) are left standing")}, reason: "GameDayResidue",
			message: "disk full; 1 fault(s) are left standing; the record is /r"},
		"refused":              {err: usage("a policy forbids it"), reason: "GameDayRefused", message: "a policy forbids it; nothing was touched"},
		"refused and told why": {err: &codeError{code: exitUsage}, reason: "GameDayRefused", message: "the log of the pod says why; nothing was touched"},
		"left by another": {err: &codeError{code: exitResidue, err: errors.New("1 fault(s) of an earlier run are left standing")}, reason: "GameDayResidue",
			message: "1 fault(s) of an earlier run are left standing"},
	} {
		t.Run(name, func(t *testing.T) {
			reason, message, warning := telling(tc.dir, tc.card, tc.err)
			if reason != tc.reason || message != tc.message || warning == tc.normal {
				t.Errorf("%s (warning %v)\n%s\nwant %s\n%s", reason, warning, message, tc.reason, tc.message)
			}
		})
	}
}

// TestSubject finds who an Event is about: the Job before the pod, and nobody who is half named.
func TestSubject(t *testing.T) {
	for _, tc := range []struct{ env, want string }{
		{"GAMEDAY_NAMESPACE=n GAMEDAY_POD=p GAMEDAY_POD_UID=1 GAMEDAY_JOB=j GAMEDAY_JOB_UID=2", "Job n/j 2 by p"},
		{"GAMEDAY_NAMESPACE=n GAMEDAY_POD=p GAMEDAY_POD_UID=1 GAMEDAY_JOB=j", "Pod n/p 1 by p"},
		{"GAMEDAY_NAMESPACE=n GAMEDAY_POD=p", ""},
		{"GAMEDAY_POD=p GAMEDAY_POD_UID=1", ""},
	} {
		env := map[string]string{}
		for pair := range strings.FieldsSeq(tc.env) {
			k, v, _ := strings.Cut(pair, "=")
			env[k] = v
		}
		e, err := subject(func(k string) string { return env[k] })
		got := ""
		if err == nil {
			got = e.Kind + " " + e.Namespace + "/" + e.Name + " " + e.UID + " by " + e.Instance
		}
		if got != tc.want {
			t.Errorf("%s: %q (%v), want %q", tc.env, got, err, tc.want)
		}
	}
}
