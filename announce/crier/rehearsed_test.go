package crier

import (
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
