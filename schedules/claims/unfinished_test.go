package claims

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/schedules"
)

// TestUnfinished finds the occasions whose holders died, and no others.
func TestUnfinished(t *testing.T) {
	f, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	claim := func(id string, outcome schedules.Outcome) *Held {
		t.Helper()
		h, err := f.Claim(Claim{Schedule: "weekly", Occasion: id, Outcome: outcome, At: time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC), By: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	claim("2026-11-01", schedules.Skipped)
	ended := claim("2026-11-08", schedules.Begun)
	if err := ended.Close(End{}); err != nil {
		t.Fatal(err)
	}
	going := claim("2026-11-15", schedules.Begun)
	defer going.file.Close()
	died := claim("2026-11-22T10:00", schedules.Begun)
	if list, err := f.Unfinished(); err != nil || len(list) != 0 {
		t.Errorf("while both go on: %v, %v", list, err)
	}
	if err := died.file.Close(); err != nil { // as the death of its process does
		t.Fatal(err)
	}
	all, _, err := f.Reader().Read()
	if dead := Died(all); err != nil || len(dead) != 1 || dead[0].Occasion != "2026-11-22T10:00" {
		t.Errorf("of all that is kept, there died %v, %v", dead, err)
	}
	list, err := f.Unfinished()
	if err != nil || len(list) != 1 || list[0].Occasion != "2026-11-22T10:00" || list[0].By != "ann" {
		t.Errorf("%v, %v", list, err)
	}
	if err := os.WriteFile(filepath.Join(f.Dir(), "weekly@torn.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := f.Unfinished(); len(list) != 1 || err == nil || !strings.Contains(err.Error(), "weekly@torn.json") {
		t.Errorf("beside one that cannot be read: %v, %v", list, err)
	}
}
