package crier

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/announce"
	"gameday/announce/told"
)

// TestEndOnFullDisk ends a run by hand while nothing new can be kept, as on a full disk, where a line may still be added to what is there. Whoever comes next tells how it
// ended.
func TestEndOnFullDisk(t *testing.T) {
	c := startChat(t)
	began := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	c.set(began)
	dir := filepath.Join(t.TempDir(), "announcements")
	var said []string
	teller, other := crierTo(t, c, dir, func(text string) { said = append(said, text) }), crierTo(t, c, dir, nil)
	result := announce.Result{Scenario: "checkout", Judged: true, Verdict: "passed"}
	other.Box.Fate = func(string) told.Fate { return told.FateEnded }
	other.Result = func(string) announce.Result { return result }
	day := &announce.Day{Scenarios: []string{"checkout"}, Run: "here:/runs/checkout", Zone: time.UTC}
	teller.RunBegun(day, began)
	teller.Flush(t.Context())
	c.set(began.Add(time.Hour))
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	teller.RunEnded(day, began, announce.End{At: c.clock(), Results: []announce.Result{result}})
	if err := os.Rename(dir+"-away", dir); err != nil {
		t.Fatal(err)
	}
	if len(said) != 2 || !strings.Contains(said[0], "slack.everyone is not told") {
		t.Errorf("it says %q", said)
	}
	letGo(t, dir)
	for range 2 {
		other.Flush(t.Context())
	}
	for _, path := range []string{"/everyone", "/facilitators"} {
		if heard := c.heard(path, began.Add(2*time.Hour)); strings.Count(heard, "passed") == 0 || strings.Count(heard, "\n") != 2 {
			t.Errorf("at %s they hear %q", path, heard)
		}
	}
}
