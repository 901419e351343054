package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/testscript"

	"gameday/announce"
	"gameday/internal/runrig"
	"gameday/rehearsals"
	"gameday/report"
	"gameday/schedules"
	"gameday/schedules/claims"
)

// channelToken is in every address that channel makes; no script may print it.
const channelToken = "T0KEN-of-a-channel-that-nobody-may-see"

// channel starts what plays a chat, puts its address into a variable, and keeps what is posted to it, one body a line, in a file:
// channel SLACK_URL chat. What is in the file chat.mode says what it answers: "ok" when it is not there, "broken", "gone", "busy" once, or nothing: "hang".
func channel(t *testing.T, ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: channel VARIABLE NAME")
	}
	var mu sync.Mutex
	got, mode := ts.MkAbs(args[1]+".got"), ts.MkAbs(args[1]+".mode")
	ts.Check(os.WriteFile(got, nil, 0o600))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		what, _ := os.ReadFile(mode)
		if strings.TrimSpace(string(what)) == "hang" {
			<-r.Context().Done()
			return
		}
		mu.Lock()
		defer mu.Unlock()
		switch strings.TrimSpace(string(what)) {
		case "broken":
			http.Error(w, "broken at "+r.URL.Path, http.StatusInternalServerError)
			return
		case "gone":
			http.Error(w, "no_service", http.StatusNotFound)
			return
		case "busy":
			if err := os.Remove(mode); err != nil {
				t.Error(err)
			}
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		f, err := os.OpenFile(got, os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = fmt.Fprintf(f, "%s\n", body)
		}
		if err != nil {
			t.Error(err)
		}
		f.Close()
		fmt.Fprint(w, "ok")
	}))
	t.Cleanup(server.Close)
	ts.Setenv(args[0], server.URL+"/services/"+channelToken)
	ts.Defer(func() { leaks(t, filepath.Dir(got)) })
}

// leaks looks for a channel's token in everything that a script has left, but for its folder secrets: records, state, audit log, output that it kept.
func leaks(t *testing.T, dir string) {
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "secrets" {
			return filepath.SkipDir
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), channelToken) {
			t.Errorf("%s has the secret of a channel in it", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestJudgement leaves blind scenarios that are to be run, or run again, out of what everyone is told of a rehearsal, with what people said who signed, and nothing out of
// what facilitators are.
func TestJudgement(t *testing.T) {
	step := func(name string, blind bool) rehearsals.Step {
		return rehearsals.Step{Item: schedules.Item{Scenario: name, Blind: blind}}
	}
	what := &rehearsals.Rehearsal{Name: "launch", File: "launch.hcl", Steps: []rehearsals.Step{step("open", false), step("ran", true), step("runs", true), step("canary", true)}}
	card := &rehearsals.Scorecard{State: rehearsals.NotYetKnown, Digest: "d", SignOffs: []rehearsals.SignOffSeen{{Role: "sre", Text: "nobody has signed"}, {Role: "shop", State: rehearsals.Go},
		{Role: "ops", State: rehearsals.NoGo, Text: "ann refused: canary is slow", Last: &rehearsals.SignOff{}}, {Role: "desk", Text: "what was signed for has changed since: canary was run after that", Last: &rehearsals.SignOff{}}},
		Steps: []rehearsals.StepResult{
			{Scenario: "open", Reasons: []rehearsals.Reason{{Text: "it was not run"}}},
			{Scenario: "ran", Run: &rehearsals.Run{}, Reasons: []rehearsals.Reason{{Text: "it failed"}}},
			{Scenario: "runs", Run: &rehearsals.Run{Running: true}, Reasons: []rehearsals.Reason{{Text: "it goes on"}}},
			{Scenario: "canary", Reasons: []rehearsals.Reason{{Text: "it was not run"}}},
		}}
	card.Doubt("the record 20261201-canary cannot be read")
	for to, want := range map[announce.Audience]string{
		announce.Everyone: "open: it was not run; sign-off of sre: nobody has signed; sign-off of ops: no-go; sign-off of desk: not yet known; there is something about none of its scenarios, of which only facilitators are told more",
		announce.Facilitators: "open: it was not run; ran: it failed; runs: it goes on; canary: it was not run; sign-off of sre: nobody has signed; " +
			"sign-off of ops: ann refused: canary is slow; sign-off of desk: what was signed for has changed since: canary was run after that; the record 20261201-canary cannot be read",
	} {
		if got := strings.Join(judgement(what, card, to).Why, "; "); got != want {
			t.Errorf("%s hear %q, want %q", to, got, want)
		}
	}
}

// TestResultOf tells of a record what its scorecard says, and of runs without one why there is none.
func TestResultOf(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rec")
	if err := runrig.Write(dir, runrig.New(1).Run("rec", time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC), 1)); err != nil {
		t.Fatal(err)
	}
	card, err := cardOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := resultOf(claims.Run{Scenario: "any", Record: dir})
	if !r.Judged || r.Scenario != card.Scenario || r.Verdict != card.Verdict.String() || r.Low != card.Low || r.High != card.High || r.Coverage != card.Coverage || r.Record != dir || r.Left {
		t.Errorf("of a record it tells %+v, and the scorecard says %s %s", r, card.VerdictWords(), card.ScoreWords())
	}
	gone := filepath.Join(t.TempDir(), "none")
	for code, want := range map[int]announce.Result{
		exitUsage:        {Scenario: "a", Why: "it was refused before it touched anything; the output of gameday says why"},
		exitResidue:      {Scenario: "a", Why: "it was killed, or its record cannot be read", Left: true, Record: gone},
		exitInconclusive: {Scenario: "a", Why: "there is no record in " + gone, Record: gone},
	} {
		got := resultOf(claims.Run{Scenario: "a", Record: gone, Code: code})
		got.Host = ""
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(announce.Result{})); diff != "" {
			t.Errorf("of a run that ended with %d: %s", code, diff)
		}
	}
	broken := filepath.Join(t.TempDir(), "rec")
	err = os.Mkdir(broken, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(broken, report.EventsFile), []byte("{\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if r := resultOf(claims.Run{Scenario: "a", Record: broken, Code: exitUsage}); r.Judged || r.Record != broken || r.Why == "" || strings.Contains(r.Why, "refused") {
		t.Errorf("of one that has begun a record, which cannot be judged, it tells %+v", r)
	}
}
