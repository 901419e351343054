package crier

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/announce"
)

// TestRehearsedAgain tells each judgement that is another one than what people heard last, also one that they had heard before that, and no judgement twice in a row.
func TestRehearsedAgain(t *testing.T) {
	c := startChat(t)
	now := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	unread := announce.Judgement{Rehearsal: "launch", State: "not yet known", Digest: "d", Why: []string{"a record cannot be read"}}
	gone, refused := announce.Judgement{Rehearsal: "launch", State: "go", Digest: "d"}, announce.Judgement{Rehearsal: "launch", State: "no-go", Digest: "d", Why: []string{"sign-off of sre: no-go"}}
	other := announce.Judgement{Rehearsal: "another", State: "no-go", Digest: "d"}
	told := 0
	for i, step := range []struct {
		judged announce.Judgement
		want   string // empty: nothing
	}{
		{unread, "NOT YET KNOWN"}, {unread, ""}, {gone, "GO"}, {gone, ""}, {unread, "NOT YET KNOWN"}, {unread, ""},
		{gone, "GO"}, {refused, "NO-GO"}, {other, "NO-GO"}, {refused, ""}, {gone, "GO"}, {gone, ""}, {refused, "NO-GO"}, {gone, "GO"},
	} {
		now = now.Add(time.Minute)
		c.set(now)
		cr := crierTo(t, c, dir, nil) // each is a process of its own
		step.judged.At = now
		cr.Rehearsed("rehearsal.launch", func(announce.Audience) announce.Judgement { return step.judged })
		cr.Flush(t.Context())
		lines := strings.Split(strings.TrimSpace(c.heard("/everyone", now.Add(time.Second))), "\n")
		if step.want != "" {
			told++
		}
		if len(lines) != told || step.want != "" && !strings.Contains(lines[told-1], step.judged.Rehearsal+": "+step.want) {
			t.Fatalf("step %d: they hear\n%s", i, strings.Join(lines, "\n"))
		}
	}
}

// TestRehearsedOnFullDisk cannot keep what a rehearsal has come to: that is said once, and reported until it can.
func TestRehearsedOnFullDisk(t *testing.T) {
	c := startChat(t)
	now := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	c.set(now)
	dir := filepath.Join(t.TempDir(), "announcements")
	var said []string
	cr := crierTo(t, c, dir, func(text string) { said = append(said, text) })
	judged := func(announce.Audience) announce.Judgement {
		return announce.Judgement{Rehearsal: "launch", State: "go", Digest: "d", At: now}
	}
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if cr.Rehearsed("rehearsal.launch", judged) {
			t.Error("it is kept where nothing can be")
		}
	}
	if err := os.Rename(dir+"-away", dir); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(strings.Join(said, "\n"), "slack.everyone is not told"); n != 1 {
		t.Errorf("it is said %d times: %q", n, said)
	}
	if !cr.Rehearsed("rehearsal.launch", judged) {
		t.Error("it is not kept")
	}
	cr.Flush(t.Context())
	if heard := c.heard("/everyone", now.Add(time.Minute)); !strings.Contains(heard, "Rehearsal launch: GO") || strings.Count(heard, "\n") != 1 {
		t.Errorf("they hear %q", heard)
	}
}
