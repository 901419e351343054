package scenarios

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzLoad feeds the loader anything at all: it must not panic, must give the same answer twice, and must point inside the
// file. Its seeds are the examples and all test files.
func FuzzLoad(f *testing.F) {
	seeds := 0
	for _, pattern := range []string{"testdata/*/*.hcl", "../examples/*/*.hcl"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, p := range paths {
			b, err := os.ReadFile(p)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
			seeds++
		}
	}
	if seeds < 20 {
		f.Fatalf("only %d seeds: have the examples moved?", seeds)
	}
	o := testOptions()
	o.Catalogue.CheckScript = nil
	f.Fuzz(func(t *testing.T, src []byte) {
		path := filepath.Join(t.TempDir(), "s.hcl")
		if err := os.WriteFile(path, src, 0o644); err != nil {
			t.Fatal(err)
		}
		first, second := Load(path, o), Load(path, o)
		a, b := say(t, first), say(t, second)
		if !bytes.Equal(a, b) {
			t.Fatalf("two loads differ:\n%s\n---\n%s", a, b)
		}
		for _, d := range first.Diags {
			if d.Subject == nil {
				t.Fatalf("a diagnostic without a place: %s", d.Summary)
			}
			if s := d.Subject; s.Filename == path && (s.Start.Byte < 0 || s.End.Byte > len(src)+len("\xef\xbb\xbf") || s.Start.Byte > s.End.Byte) {
				t.Fatalf("%s points at bytes %d to %d of %d", d.Summary, s.Start.Byte, s.End.Byte, len(src))
			}
		}
		if !first.Diags.HasErrors() && len(first.Scenarios) == 0 {
			t.Fatal("nothing is wrong, and yet there is no scenario")
		}
	})
}

// say returns all that is said about a file, in both forms.
func say(t *testing.T, f *File) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteText(&b, []*File{f}, 100, false); err != nil {
		t.Fatal(err)
	}
	if err := WriteJSON(&b, []*File{f}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// FuzzCalendar feeds the loader any calendar with any freeze: it must not panic, must give the same answer twice, must point inside the file,
// and a calendar that loads can be asked for what comes. Its seeds are all test files.
func FuzzCalendar(f *testing.F) {
	freeze := []byte("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20261224\nRRULE:FREQ=YEARLY\nEND:VEVENT\nEND:VCALENDAR\n")
	for _, pattern := range []string{"testdata/calendar/*/*.hcl", "testdata/rehearsal/*/*.hcl"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			f.Fatalf("%d seeds in %s: %v", len(paths), pattern, err)
		}
		for _, p := range paths {
			b, err := os.ReadFile(p)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b, freeze)
		}
	}
	drill, err := os.ReadFile("testdata/calendar/good/drill.hcl")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("time_zone = \"UTC\"\nschedule \"a\" {\n  scenarios = [\"drill.hcl\"]\n  cron = \"0 10 * * *\"\n  freeze = [\"f.ics\"]\n}\n"), freeze)
	o := testOptions()
	o.Catalogue.CheckScript = nil
	f.Fuzz(func(t *testing.T, src, freeze []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "c.hcl")
		for name, text := range map[string][]byte{"c.hcl": src, "f.ics": freeze, "drill.hcl": drill, "t.js": []byte("export default function () {}\n")} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		c, first := LoadCalendar(path, o)
		_, second := LoadCalendar(path, o)
		if a, b := say(t, first), say(t, second); !bytes.Equal(a, b) {
			t.Fatalf("two loads differ:\n%s\n---\n%s", a, b)
		}
		if (c == nil) != first.Diags.HasErrors() {
			t.Fatalf("a calendar %v with %d complaints", c, len(first.Diags))
		}
		for _, d := range first.Diags {
			if d.Subject == nil {
				t.Fatalf("a diagnostic without a place: %s", d.Summary)
			}
			if s := d.Subject; s.Filename == path && (s.Start.Byte < 0 || s.End.Byte > len(src)+len("\xef\xbb\xbf") || s.Start.Byte > s.End.Byte) {
				t.Fatalf("%s points at bytes %d to %d of %d", d.Summary, s.Start.Byte, s.End.Byte, len(src))
			}
		}
		if c == nil {
			return
		}
		for _, s := range c.Schedules {
			if o, ok := s.Next(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), nil); !ok || o.ID == "" {
				t.Fatalf("schedule %q never comes", s.Name)
			}
		}
	})
}
