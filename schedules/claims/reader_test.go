package claims

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/schedules"
)

// reading is a folder that changes, and a reader that reads it again and again.
type reading struct {
	*testing.T
	*Folder
	reader *Reader
	at     time.Time
}

// readingOf is a folder in which nothing has happened yet.
func readingOf(t *testing.T) *reading {
	f := open(t)
	return &reading{t, f, f.Reader(), time.Date(2026, 12, 1, 9, 30, 0, 0, time.UTC)}
}

// read is what the reader sees, which is always what somebody sees who reads the folder for the first time.
func (r *reading) read(when string) map[string]Kept {
	r.Helper()
	got, state, err := r.reader.Read()
	fresh, want, err2 := r.Reader().Read()
	if err != nil || err2 != nil {
		r.Fatalf("%s: %v %v", when, err, err2)
	}
	if diff := cmp.Diff(fresh, got); diff != "" {
		r.Errorf("%s (-new reader +this):\n%s", when, diff)
	}
	if diff := cmp.Diff(want, state); diff != "" {
		r.Errorf("%s, the state (-new reader +this):\n%s", when, diff)
	}
	out := map[string]Kept{}
	for _, k := range got {
		out[k.Schedule+" "+k.Occasion] = k
	}
	return out
}

// claim claims an occasion.
func (r *reading) claim(schedule, occasion string, outcome schedules.Outcome) *Held {
	r.Helper()
	h, err := r.Claim(Claim{Schedule: schedule, Occasion: occasion, Outcome: outcome, At: r.at, Why: map[schedules.Outcome]string{schedules.Skipped: "frozen"}[outcome]})
	if err != nil {
		r.Fatal(err)
	}
	return h
}

// TestReader reads a folder again and again while it changes: it is always what somebody sees who reads it for the first time.
func TestReader(t *testing.T) {
	r := readingOf(t)
	over := func(when string, want bool) {
		t.Helper()
		if r.reader.Over() != want {
			t.Errorf("%s: over is %v", when, !want)
		}
	}
	over("before anything was read", false)
	r.read("nothing")
	held := r.claim("weekly", "2026-12-01T10:00", schedules.Begun)
	r.claim("nightly", "2026-12-01T02:00", schedules.Skipped)
	if err := r.Since(map[string]time.Time{"weekly": r.at}); err != nil {
		t.Fatal(err)
	}
	got := r.read("one goes on")
	if k := got["weekly 2026-12-01T10:00"]; !k.Running || k.End != nil || len(got) != 2 {
		t.Errorf("one goes on: %+v", got)
	}
	over("one goes on", false)
	if err := held.Close(End{At: r.at.Add(time.Hour), Code: 3, Runs: []Run{{"checkout", "runs/x", 3}}}); err != nil {
		t.Fatal(err)
	}
	over("it has ended", true)
	if k := r.read("it has ended")["weekly 2026-12-01T10:00"]; k.Running || k.End == nil || k.End.Code != 3 {
		t.Errorf("it has ended: %+v", k)
	}
	over("that was read", false)
	// Whoever began it dies: no end.
	held = r.claim("weekly", "2026-12-08T10:00", schedules.Begun)
	r.read("another one goes on")
	held.file.Close()
	over("it died", true)
	if k := r.read("it died")["weekly 2026-12-08T10:00"]; k.Running || k.End != nil {
		t.Errorf("it died: %+v", k)
	}
	r.endUnread()
	r.comeAgain()
	if err := os.WriteFile(filepath.Join(r.Dir(), "weekly@2026-12-22T1000.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.reader.Read(); err == nil {
		t.Error("a claim that cannot be read is passed over")
	}
}

// endUnread has an end that cannot be read, and then can.
func (r *reading) endUnread() {
	r.Helper()
	end := filepath.Join(r.Dir(), "weekly@2026-12-15T1000.end")
	held := r.claim("weekly", "2026-12-15T10:00", schedules.Begun)
	if err := errors.Join(os.WriteFile(end, []byte("{"), 0o600), held.file.Close()); err != nil {
		r.Fatal(err)
	}
	if k := r.read("its end cannot be read")["weekly 2026-12-15T10:00"]; k.End != nil || k.Unread == "" {
		r.Errorf("its end cannot be read: %+v", k)
	}
	if err := os.WriteFile(end, []byte(`{"code": 1}`), 0o600); err != nil {
		r.Fatal(err)
	}
	if k := r.read("its end can be read")["weekly 2026-12-15T10:00"]; k.End == nil || k.End.Code != 1 || k.Unread != "" {
		r.Errorf("its end can be read: %+v", k)
	}
}

// comeAgain has somebody take a claim away, so that it can come again, and it does.
func (r *reading) comeAgain() {
	r.Helper()
	if err := os.Remove(filepath.Join(r.Dir(), "nightly@2026-12-01T0200.json")); err != nil {
		r.Fatal(err)
	}
	if got := r.read("one was taken away"); len(got) != 3 {
		r.Errorf("one was taken away: %+v", got)
	}
	r.claim("nightly", "2026-12-01T02:00", schedules.Begun)
	if k := r.read("it came again")["nightly 2026-12-01T02:00"]; k.Outcome != schedules.Begun || !k.Running {
		r.Errorf("it came again: %+v", k)
	}
}

// BenchmarkReader is one look at the claims of some years.
func BenchmarkReader(b *testing.B) {
	f, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	at := time.Date(2026, 12, 1, 9, 30, 0, 0, time.UTC)
	for i := range 3000 {
		id := at.Add(time.Duration(i) * time.Hour).Format("2006-01-02T15:04")
		text := fmt.Sprintf(`{"schedule": "hourly", "occasion": %q, "outcome": %q, "at": %q}`, id, schedules.Begun, at.Format(time.RFC3339))
		if err := os.WriteFile(filepath.Join(f.Dir(), name("hourly", id)), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	r := f.Reader()
	for b.Loop() {
		all, _, err := r.Read()
		if err != nil || len(all) != 3000 || slices.ContainsFunc(all, func(k Kept) bool { return k.Running }) {
			b.Fatal(len(all), err)
		}
	}
}

// TestLateEnd: how an occasion ended may come to be seen after its lock was let go of, on a network's file system.
func TestLateEnd(t *testing.T) {
	f := open(t)
	r := f.Reader()
	held, err := f.Claim(Claim{Schedule: "weekly", Occasion: "2026-12-01T10:00", Outcome: schedules.Begun})
	if err != nil {
		t.Fatal(err)
	}
	if err := held.Close(End{Code: 1}); err != nil {
		t.Fatal(err)
	}
	end := filepath.Join(f.Dir(), "weekly@2026-12-01T1000.end")
	if err := os.Rename(end, end+".later"); err != nil {
		t.Fatal(err)
	}
	if got, _, err := r.Read(); err != nil || len(got) != 1 || got[0].End != nil {
		t.Fatalf("without its end: %+v, %v", got, err)
	}
	if err := os.Rename(end+".later", end); err != nil {
		t.Fatal(err)
	}
	if got, _, err := r.Read(); err != nil || len(got) != 1 || got[0].End == nil || got[0].End.Code != 1 {
		t.Errorf("with its end: %+v, %v", got, err)
	}
}
