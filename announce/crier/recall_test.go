package crier

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/announce"
	"gameday/schedules"
	"gameday/schedules/claims"
)

// TestMissedIsOneMessage tells in one message for each channel that hundreds of occasions were missed, whoever tells it, and beside it what was skipped for another
// reason at the same instant.
func TestMissedIsOneMessage(t *testing.T) {
	for _, blind := range []bool{false, true} {
		c := startChat(t)
		s := weekly(t, schedules.AtStart)
		s.Items[0].Blind = blind
		from := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
		seen := from.Add(6 * time.Hour)
		var kept []claims.Kept
		for i := range 300 {
			opens := from.Add(time.Duration(i) * time.Minute)
			kept = append(kept, claims.Kept{Claim: claims.Claim{Schedule: s.Name, Occasion: fmt.Sprint(i), Outcome: schedules.Skipped, Why: schedules.MissedWhy + "nobody was there", At: seen,
				Opens: opens, Closes: opens.Add(time.Minute)}})
		}
		cr := crierTo(t, c, t.TempDir(), nil)
		c.set(seen.Add(recallAfter - time.Second))
		cr.Recall([]*schedules.Schedule{s}, kept, nil)
		cr.Flush(t.Context())
		if all := c.heard("/facilitators", seen.AddDate(0, 0, 1)); all != "" {
			t.Errorf("while whoever claims them may be at it: %q", all)
		}
		for range 2 {
			c.set(c.clock().Add(time.Minute))
			cr.Recall([]*schedules.Schedule{s}, kept, nil)
			cr.Missed(s, len(kept), announce.Span{From: from, To: from.Add(300 * time.Minute)}, seen)
			cr.Flush(t.Context())
		}
		everyone, leads := c.heard("/everyone", seen.AddDate(0, 0, 1)), c.heard("/facilitators", seen.AddDate(0, 0, 1))
		if strings.Count(leads, "\n") != 1 || !strings.Contains(leads, "Game day canary-weekly was missed 300 times") {
			t.Errorf("facilitators hear %q", leads)
		}
		if want := map[bool]string{false: "was missed 300 times", true: "Game days planned on"}[blind]; strings.Count(everyone, "\n") != 1 || !strings.Contains(everyone, want) || blind && strings.Contains(everyone, "canary") {
			t.Errorf("blind %v: everyone hears %q", blind, everyone)
		}
	}
}

// TestUnreadIsSaidOnce says once what cannot be read, however often it looks.
func TestUnreadIsSaidOnce(t *testing.T) {
	c := startChat(t)
	dir := t.TempDir()
	var said []string
	cr := crierTo(t, c, dir, func(text string) { said = append(said, text) })
	if err := os.WriteFile(filepath.Join(dir, "torn.jsonl"), []byte("{\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		cr.Flush(t.Context())
	}
	if len(said) != 1 || !strings.Contains(said[0], "torn.jsonl has no message") {
		t.Errorf("it says %q", said)
	}
}
