package postmortem

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/internal/runrig"
	"gameday/report"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var began = time.Date(2026, 11, 20, 14, 2, 0, 0, time.FixedZone("", 3600))

// reread writes a record to a folder and reads it back, as everybody gets one.
func reread(t *testing.T, rec *report.Record) *report.Record {
	t.Helper()
	dir := t.TempDir()
	if err := runrig.Write(dir, rec); err != nil {
		t.Fatal(err)
	}
	back, err := report.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func small() *runrig.World {
	w := runrig.New(1)
	w.Outliers = 0
	return w
}

// records are those that every draft is held to.
func records(t *testing.T) map[string]*report.Record {
	t.Helper()
	quiet := small().Run("20261120-140200-shop", began, 1)
	killed := small().Drill("20261120-140200-shop", began)
	for i, e := range killed.Events {
		if e.At.After(began.Add(36 * time.Second)) {
			killed.Events = killed.Events[:i]
			break
		}
	}
	for i, w := range killed.Windows {
		if w.Start.After(began.Add(34 * time.Second)) {
			killed.Windows = killed.Windows[:i]
			break
		}
	}
	return map[string]*report.Record{"drill": reread(t, small().Drill("20261120-140200-shop", began)),
		"quiet": reread(t, quiet), "killed": reread(t, killed)}
}

func draftOf(t *testing.T, rec *report.Record) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, report.Score(rec)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for name, rec := range records(t) {
		got := draftOf(t, rec)
		if again := draftOf(t, rec); again != got {
			t.Errorf("%s: the second draft is another one", name)
		}
		path := filepath.Join("testdata", name+".md")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v (go test -update writes it)", err)
		}
		if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
			t.Errorf("%s differs (-want +got):\n%s", path, d)
		}
	}
}

// TestNames checks that no person's name is in a draft, unless the plan asks for names.
func TestNames(t *testing.T) {
	rec := records(t)["drill"]
	name := regexp.MustCompile(`(?i)\b(ann|bob|carol)\b`)
	if m := name.FindString(draftOf(t, rec)); m != "" {
		t.Errorf("the draft names %s", m)
	}
	rec.Plan.Named = true
	text := draftOf(t, rec)
	for _, want := range []string{"acknowledged by bob", "carol marked", "sent to ann"} {
		if !strings.Contains(text, want) {
			t.Errorf("names = true, and the draft does not say %q", want)
		}
	}
}

// TestHostile checks that what others wrote makes no markup, and breaks no table.
func TestHostile(t *testing.T) {
	const evil = "a|b\n# c\n\n<img src=x onerror=alert(1)> [l](https://evil.example) `d` **e** www.evil.example ![i](x) \x1b[2J"
	rec := records(t)["drill"]
	p := rec.Plan
	p.Scenario, p.Summary, p.Owner, p.File = evil, evil, evil, evil
	p.Expects[0].Name, p.Alarms[0].Name, p.Responses[0].Name = evil, evil, evil
	p.Faults[0].Kind = evil
	text := draftOf(t, rec)
	if !strings.Contains(text, `a\|b \# c \<img src=x onerror=alert(1)\> \[l\](https\://evil.example) \`+"`d\\`") {
		t.Fatal("the escaped text is not in the draft, so the test tests nothing")
	}
	columns := 0
	for _, line := range strings.Split(text, "\n") {
		plain := strings.ReplaceAll(regexp.MustCompile(`\\.`).ReplaceAllString(line, ""), "`gameday explain`", "")
		for _, bad := range []string{"<", "`", "](", "\x1b", "www.", "://"} {
			if strings.Contains(plain, bad) {
				t.Errorf("%q is live in %q", bad, line)
			}
		}
		n := strings.Count(plain, "|")
		switch {
		case !strings.HasPrefix(line, "|"):
			columns = 0
			if n > 0 {
				t.Errorf("a cell is cut: %q", line)
			}
		case columns == 0:
			columns = n
		case n != columns:
			t.Errorf("a row has %d bars, and its table %d: %q", n, columns, line)
		}
	}
}

// TestNothingMadeUp checks that what only people know is left open.
func TestNothingMadeUp(t *testing.T) {
	for name, rec := range records(t) {
		text := draftOf(t, rec)
		for _, open := range []string{"owner:", "due:", "answer:"} {
			for _, line := range strings.Split(text, "\n") {
				if _, after, is := strings.Cut(line, "- "+open); is && after != "" {
					t.Errorf("%s: %q", name, line)
				}
			}
		}
		if strings.Count(text, "owner:") != strings.Count(text, "- [ ]") || !strings.Contains(text, "answer:") {
			t.Errorf("%s: an action without an owner to name, or no question", name)
		}
	}
}
