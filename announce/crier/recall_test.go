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

// TestRecall tells by its claim of what was skipped, when whoever claimed it died before they told it, and once, whoever tells it.
func TestRecall(t *testing.T) {
	for _, blind := range []bool{false, true} {
		c := startChat(t)
		s := weekly(t, schedules.AtStart)
		s.Items[0].Blind = blind
		o, _ := s.Next(time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), nil)
		skipped := claims.Kept{Claim: claims.Claim{Schedule: s.Name, Occasion: o.ID, Outcome: schedules.Skipped, Why: "an incident is open", At: o.Moment, Opens: o.Opens(), Closes: o.Closes()}}
		moved, begun := skipped, skipped
		moved.Occasion, moved.Closes, begun.Outcome = "2026-11-30", o.Closes().Add(time.Hour), schedules.Begun
		cr := crierTo(t, c, t.TempDir(), nil)
		for _, at := range []time.Time{o.Moment.Add(recallAfter), o.Closes(), o.Closes().Add(time.Hour)} {
			c.set(at)
			cr.Recall([]*schedules.Schedule{s}, []claims.Kept{moved, begun, skipped}, nil)
			cr.Flush(t.Context())
			cr.NotHeld(s, &o, "an incident is open", false)
			cr.Flush(t.Context())
		}
		for _, path := range []string{"/everyone", "/facilitators"} {
			if all := c.heard(path, o.Closes().AddDate(0, 0, 1)); strings.Count(all, "\n") != 1 {
				t.Errorf("blind %v: at %s they hear %q", blind, path, all)
			}
		}
		if leads := c.heard("/facilitators", o.Moment.Add(recallAfter+time.Second)); !strings.Contains(leads, "an incident is open") {
			t.Errorf("facilitators hear %q", leads)
		}
		secret, unheard := skipped, startChat(t)
		secret.Blind = true
		unheard.set(o.Closes())
		one := crierTo(t, unheard, t.TempDir(), nil)
		one.Recall([]*schedules.Schedule{s}, []claims.Kept{secret}, nil)
		one.Flush(t.Context())
		if all := unheard.heard("/everyone", o.Closes().AddDate(0, 0, 1)); (all != "") != blind || strings.Contains(all, "canary") {
			t.Errorf("of one that was blind when it was claimed, with a schedule that is blind %v, everyone hears %q", blind, all)
		}
		late, other := startChat(t), o.Moment.Add(longAgo+time.Second)
		late.set(other)
		crierTo(t, late, t.TempDir(), nil).Recall([]*schedules.Schedule{s}, []claims.Kept{skipped}, nil)
		if all := late.heard("/facilitators", other.Add(time.Hour)); all != "" {
			t.Errorf("long ago: %q", all)
		}
	}
}

// TestRecalledCollision finds after its hours that a game day was skipped in them for the sake of another one: everyone hears it then, without the reason, and does not wait
// for another day as for one that was to be made up for.
func TestRecalledCollision(t *testing.T) {
	c := startChat(t)
	s := weekly(t, schedules.AtStart)
	s.Items[0].Blind = false
	o, _ := s.Next(time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), nil)
	skipped := claims.Kept{Claim: claims.Claim{Schedule: s.Name, Occasion: o.ID, Outcome: schedules.Skipped, Why: "run payments of ann" + schedules.GoesOnAndHolds + "this machine", At: o.Moment,
		Opens: o.Opens(), Closes: o.Closes()}}
	cr := crierTo(t, c, t.TempDir(), nil)
	c.set(o.Closes().Add(time.Minute))
	cr.Recall([]*schedules.Schedule{s}, []claims.Kept{skipped}, nil)
	cr.Flush(t.Context())
	if all := c.heard("/everyone", o.Closes().Add(time.Hour)); !strings.Contains(all, "Game day canary-weekly is skipped") || strings.Contains(all, "payments") || strings.Count(all, "\n") != 1 {
		t.Errorf("everyone hears %q", all)
	}
}

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
