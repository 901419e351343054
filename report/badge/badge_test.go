package badge

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/report"
	"gameday/report/history"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var now = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func entry(ago time.Duration, v report.Verdict, change func(*history.Entry)) history.Entry {
	e := history.Entry{Scenario: "shop", Started: now.Add(-ago), End: report.EndComplete, Verdict: v}
	if change != nil {
		change(&e)
	}
	return e
}

const day = 24 * time.Hour

// TestOf: the newest run that ended counts, and where there is none nobody knows.
func TestOf(t *testing.T) {
	passed := entry(3*day, report.Passed, nil)
	for name, tt := range map[string]struct {
		runs []history.Entry
		text string
		tone Tone
	}{
		"no run":          {nil, "unknown", Dark},
		"another's":       {[]history.Entry{entry(day, report.Passed, func(e *history.Entry) { e.Scenario = "till" })}, "unknown", Dark},
		"passed":          {[]history.Entry{passed}, "passed 3 days ago", Good},
		"just now":        {[]history.Entry{entry(time.Minute, report.Passed, nil)}, "passed within the hour", Good},
		"hours":           {[]history.Entry{entry(47*time.Hour, report.Passed, nil)}, "passed 47 h ago", Good},
		"failed later":    {[]history.Entry{passed, entry(2*day, report.Failed, nil), entry(9*day, report.Passed, nil)}, "failed 2 days ago", Bad},
		"inconclusive":    {[]history.Entry{passed, entry(2*day, report.Inconclusive, nil)}, "inconclusive 2 days ago", Unsure},
		"aborted":         {[]history.Entry{passed, entry(2*day, report.Aborted, nil)}, "aborted 2 days ago", Ended},
		"residue":         {[]history.Entry{entry(2*day, report.Passed, func(e *history.Entry) { e.Residue = true })}, "passed, residue 2 days ago", Bad},
		"goes on":         {[]history.Entry{passed, entry(time.Minute, report.Inconclusive, func(e *history.Entry) { e.End = report.EndInterrupted })}, "passed 3 days ago", Good},
		"not judged":      {[]history.Entry{entry(time.Minute, report.Passed, func(e *history.Entry) { e.End = "" })}, "unknown", Dark},
		"a search":        {[]history.Entry{passed, entry(day, report.Passed, func(e *history.Entry) { e.Search = true })}, "passed 3 days ago", Good},
		"still to come":   {[]history.Entry{entry(-time.Hour, report.Passed, nil)}, "unknown", Dark},
		"at the limit":    {[]history.Entry{entry(30*day, report.Passed, nil)}, "passed 30 days ago", Good},
		"over it":         {[]history.Entry{entry(30*day+time.Second, report.Passed, nil)}, "unknown", Dark},
		"unknown verdict": {[]history.Entry{entry(day, report.Verdict(99), nil)}, report.Verdict(99).String() + " 24 h ago", Dark},
	} {
		if b := Of("shop", tt.runs, 0, now); b.Text != tt.text || b.Tone != tt.tone {
			t.Errorf("%s: %q, %s; want %q, %s", name, b.Text, b.Tone, tt.text, tt.tone)
		}
	}
	if b := Of("shop", []history.Entry{passed}, time.Hour, now); b.Tone != Dark || !strings.Contains(b.Title, "what is older than 1h is not told") {
		t.Errorf("with a limit of an hour: %+v", b)
	}
}

// TestSVG compares badges with kept ones, and reads each as XML.
func TestSVG(t *testing.T) {
	for name, b := range map[string]Badge{
		"passed":  Of("shop", []history.Entry{entry(3*day, report.Passed, nil)}, 0, now),
		"unknown": Of("a scenario with a name that is far too long for any badge", nil, 0, now),
		"hostile": {Scenario: "</title><script>alert(1)</script>\"'&", Text: "<b>\"", Title: "</title><script>\"'&", Tone: "url(x)"},
	} {
		var got bytes.Buffer
		if err := SVG(&got, b); err != nil {
			t.Fatal(err)
		}
		for d := xml.NewDecoder(bytes.NewReader(got.Bytes())); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s is no XML: %v\n%s", name, err, got.Bytes())
			}
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "script" {
				t.Errorf("%s has a script in it", name)
			}
		}
		path := filepath.Join("testdata", name+".svg")
		if *update {
			if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, got.Bytes(), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v (go test -update writes it)", err)
		}
		if d := cmp.Diff(string(want), got.String()); d != "" {
			t.Errorf("%s differs (-want +got):\n%s", name, d)
		}
	}
}
