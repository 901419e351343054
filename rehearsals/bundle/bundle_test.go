package bundle

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/internal/runrig"
	"gameday/internal/simrun"
	"gameday/rehearsals"
	"gameday/rehearsals/kept"
	"gameday/report"
	"gameday/schedules"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

const testVersion = "test"

// launch is the rehearsal of the tests.
func launch() *rehearsals.Rehearsal {
	step := func(scenario string) rehearsals.Step {
		return rehearsals.Step{Item: schedules.Item{File: scenario + ".hcl", Scenario: scenario, Vars: []string{"region=eu-west-2"}, Length: time.Minute}, Fingerprint: "as " + scenario}
	}
	least := 60.0
	return &rehearsals.Rehearsal{Name: "launch-eu-west-2", File: "launch.hcl", Steps: []rehearsals.Step{step("checkout-loses-payments"), step("shop")}, StopOn: rehearsals.DefaultStops,
		Require: rehearsals.Limits{Score: &least, Parts: map[report.Part]float64{report.Detection: 10}, FreshWithin: 30 * 24 * time.Hour}, SignOff: []string{"sre"}}
}

// contents makes records and what goes beside them: a game day in which something of everything happened, two runs of another scenario,
// and one that was cut off.
func contents(t testing.TB) Contents {
	t.Helper()
	runs := t.TempDir()
	label := func(name, scenario string, at time.Time) string {
		dir := filepath.Join(runs, name)
		l := kept.Label{Rehearsal: "launch-eu-west-2", Scenario: scenario, Fingerprint: "as " + scenario, Variables: []string{"region=eu-west-2"}, At: at}
		if err := kept.WriteLabel(dir, l); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	day := label("day", "checkout-loses-payments", noon.Add(-time.Hour))
	w := runrig.New(5)
	w.Crash, w.Load, w.Baseline, w.Recovery = true, 30, 4, 12
	first, second := label("first", "shop", noon.Add(-3*time.Hour)), label("later/second", "shop", noon.Add(-2*time.Hour))
	err := errors.Join(simrun.WriteGameDay(day), runrig.Write(first, w.Run("first", noon.Add(-3*time.Hour), 1)), runrig.Write(second, w.Run("second", noon.Add(-2*time.Hour), 1)),
		os.Truncate(filepath.Join(first, report.EventsFile), 30000), os.WriteFile(filepath.Join(second, "empty.log"), nil, 0o644),
		os.WriteFile(filepath.Join(second, pageName), []byte("an old page"), 0o644), os.Symlink("/etc/hostname", filepath.Join(second, "link")))
	if err != nil {
		t.Fatal(err)
	}
	found, err := kept.Scan(runs, nil)
	if err != nil || len(found.Skipped) > 0 {
		t.Fatalf("%v, skipped %q", err, found.Skipped)
	}
	c := Contents{Rehearsal: launch(), Found: found, By: "ann", Host: "here", Version: testVersion, Now: noon, Missing: []string{"policy /etc/gameday/policy.hcl as it was is not there any more"},
		Extra: []Source{{Path: CalendarFolder + "/launch.hcl", Data: []byte("rehearsal \"launch-eu-west-2\" {\n}\n")}, {Path: AuditFile, Data: []byte("{\"what\":\"run\"}\n")}}}
	card := rehearsals.Judge(c.Rehearsal, found.Rehearsals[c.Rehearsal.Name], nil, noon)
	c.SignOffs = []rehearsals.SignOff{{Rehearsal: "launch-eu-west-2", Role: "sre", By: "ann", At: noon, Saw: card.Digest}, {Rehearsal: "other", Role: "sre", By: "bob", At: noon, Saw: "x"}}
	return c
}

func packed(t testing.TB, c Contents, sign func([]byte) ([]byte, error)) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := Pack(&b, c, sign); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func verify(t testing.TB, b []byte) *Result {
	t.Helper()
	r, err := Verify(t.Context(), bytes.NewReader(b), int64(len(b)), testVersion, "")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestPack packs a rehearsal: it is the same archive twice, any unzip reads it, and it verifies.
func TestPack(t *testing.T) {
	c := contents(t)
	b := packed(t, c, nil)
	if again := packed(t, c, nil); !bytes.Equal(b, again) {
		t.Error("two archives of the same contents differ")
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, in); err != nil || n != int64(f.UncompressedSize64) || f.Mode() != 0o644 || !f.Modified.Equal(time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: %v, %d bytes, %v, %v", f.Name, err, n, f.Mode(), f.Modified)
		}
		names = append(names, f.Name)
	}
	want := []string{"manifest.json", "audit/audit.jsonl", "calendar/launch.hcl", "records/day/plan.json", "records/day/record.jsonl", "records/day/rehearsal.json",
		"records/first/plan.json", "records/first/record.jsonl", "records/first/rehearsal.json", "records/later-second/empty.log", "records/later-second/plan.json",
		"records/later-second/record.jsonl", "records/later-second/rehearsal.json", "rehearsal/rehearsal.json", "rehearsal/scorecard.json", "rehearsal/sign-offs.jsonl",
		"reports/day/report.html", "reports/day/scorecard.json", "reports/first/report.html", "reports/first/scorecard.json", "reports/later-second/report.html",
		"reports/later-second/scorecard.json", "seal.json"}
	if !slices.Equal(names, want) {
		t.Errorf("it has %q, want %q", names, want)
	}
	r := verify(t, b)
	if r.Exit != 0 || len(r.Changed)+len(r.Differs) > 0 || r.Derived != 3 || r.Signature.Trust != Unsigned || r.Files != len(want)-2 || len(r.Missing) != 1 {
		t.Errorf("verifying it: %+v", r)
	}
	if shown := rehearsals.Judge(c.Rehearsal, c.Found.Rehearsals["launch-eu-west-2"], rehearsals.SignedBy(c.SignOffs, "launch-eu-west-2"), noon); r.State != shown.State {
		t.Errorf("it says %s, and the records %s", r.State, shown.State)
	}
	t.Logf("%d bytes in %d files; %s: %q", len(b), len(names), r.State, r.Why)
}

// flips reads an archive in which one byte was changed, and expects that it is found, named by its file, and by its place in the archive,
// and that nothing else is.
type flips struct {
	*testing.T
	archive []byte
	tried   int
}

func (f *flips) try(at int64, file string, flip byte) {
	f.tried++
	f.archive[at] ^= flip
	defer func() { f.archive[at] ^= flip }()
	got, err := Read(bytes.NewReader(f.archive), int64(len(f.archive)))
	if err != nil {
		f.Errorf("byte %d of %s: %v", at, file, err)
		return
	}
	if len(got.Findings) != 1 || got.Findings[0].Archive != at || got.Findings[0].File != file || got.Findings[0].Place == "" {
		f.Errorf("byte %d of %s: found %v", at, file, got.Findings)
	}
}

// TestChangedByte changes one byte of every file of a real bundle in turn, at its begin, in its middle and at its end.
func TestChangedByte(t *testing.T) {
	f := &flips{T: t, archive: packed(t, contents(t), nil)}
	a, err := Read(bytes.NewReader(f.archive), int64(len(f.archive)))
	if err != nil || len(a.Findings) > 0 {
		t.Fatalf("%v, %v", err, a.Findings)
	}
	for _, e := range a.entries {
		n := e.sums.Size
		for _, at := range slices.Compact([]int64{0, n / 2, n - 1}) {
			if at >= 0 && at < n {
				f.try(e.dataAt()+at, e.name, 0x55)
			}
		}
	}
	t.Logf("%d bytes were changed", f.tried)
}

// small makes a small bundle with a signature, of no record.
func small(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	m := &Manifest{Rehearsal: "r", Made: noon, By: "ann", Records: []Record{}}
	if err := Write(&b, m, []Source{{Path: "a/b", Data: []byte("content\n")}, {Path: "c"}}, func([]byte) ([]byte, error) { return []byte("signature\n"), nil }); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestEveryByte changes every single byte of a small bundle, to each of some others: whichever it is, it is named.
func TestEveryByte(t *testing.T) {
	f := &flips{T: t, archive: small(t)}
	a, err := Read(bytes.NewReader(f.archive), int64(len(f.archive)))
	if err != nil || len(a.Findings) > 0 {
		t.Fatalf("%v, %v", err, a.Findings)
	}
	owner := func(at int64) string {
		for _, e := range a.entries {
			if at < e.end() {
				return e.name
			}
		}
		name, _ := directoryWords(a.entries, int(at-a.entries[len(a.entries)-1].end()))
		return name
	}
	for at := range int64(len(f.archive)) {
		for _, flip := range []byte{0x01, 0x10, 0x80, 0xff} {
			f.try(at, owner(at), flip)
		}
	}
	t.Logf("%d changes of %d bytes", f.tried, len(f.archive))
}

// TestChangedWords says of a changed byte where it is, in words, and what follows from it in the reports.
func TestChangedWords(t *testing.T) {
	b := packed(t, contents(t), nil)
	within := func(file, text string, at int) int64 {
		a, err := Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		content, err := a.content(file, maxArchive)
		i := bytes.Index(content, []byte(text))
		if err != nil || i < 0 {
			t.Fatalf("%s has no %q: %v", file, text, err)
		}
		for _, e := range a.entries {
			if e.name == file {
				return e.dataAt() + int64(i+at)
			}
		}
		return -1
	}
	for name, x := range map[string]struct {
		file, text string
		at         int
		to         byte
		want       []string
	}{
		"the pass mark of a plan": {"records/day/plan.json", `"pass": 80`, 8, '5', []string{"records/day/plan.json: byte ", "it is '5', and was '8'", "reports/day/scorecard.json: $.pass: it is 80 in the bundle, and 50 by the record"}},
		"a line of a record":      {"records/later-second/record.jsonl", `{"seq":3,`, 0, '[', []string{"records/later-second/record.jsonl: byte ", "(line 3, column 1): it is '[', and was '{'", "no report can be derived from it: reading record.jsonl:3:", "rehearsal/scorecard.json: $.scenarios[1].reasons: it has 0 elements in the bundle, and 1 by the record"}},
		"a verdict in a report":   {"reports/day/scorecard.json", `"verdict": "`, 12, 'x', []string{"reports/day/scorecard.json: byte ", "reports/day/scorecard.json: $.verdict: it is \"x"}},
		"a page":                  {"reports/first/report.html", "<title>", 7, '?', []string{"reports/first/report.html: byte ", "reports/first/report.html: line "}},
		"who signed":              {"rehearsal/sign-offs.jsonl", `"by":"ann"`, 6, 'A', []string{"rehearsal/sign-offs.jsonl: byte ", "rehearsal/scorecard.json: $.sign_offs[0].last.by: it is \"ann\" in the bundle, and \"Ann\" by the record"}},
		"what is asked for":       {"rehearsal/rehearsal.json", `"score": 60`, 9, '9', []string{"rehearsal/rehearsal.json: byte ", "rehearsal/scorecard.json: $.require.score: it is 60 in the bundle, and 90 by the record"}},
		"a label":                 {"records/day/rehearsal.json", `"fingerprint": "as`, 16, 'A', []string{"records/day/rehearsal.json: byte ", "rehearsal/scorecard.json: $.scenarios[0].reasons"}},
		"the audit log":           {"audit/audit.jsonl", "run", 0, 'R', []string{"audit/audit.jsonl: byte 9 (line 1, column 10): it is 'R', and was 'r'"}},
	} {
		t.Run(name, func(t *testing.T) {
			at := within(x.file, x.text, x.at)
			was := b[at]
			b[at] = x.to
			defer func() { b[at] = was }()
			r := verify(t, b)
			if r.Exit != 1 || len(r.Changed) != 1 {
				t.Errorf("exit code %d, changed %v", r.Exit, r.Changed)
			}
			var text strings.Builder
			for _, f := range slices.Concat(r.Changed, r.Differs) {
				fmt.Fprintln(&text, f)
			}
			for _, want := range x.want {
				if !strings.Contains(text.String(), want) {
					t.Errorf("it says\n%s\nand not %q", text.String(), want)
				}
			}
		})
	}
}

// TestRewritten makes archives by other means than Pack, whose sums are right and whose contents are not: only the records show it.
func TestRewritten(t *testing.T) {
	c := contents(t)
	a, err := Read(bytes.NewReader(packed(t, c, nil)), int64(len(packed(t, c, nil))))
	if err != nil {
		t.Fatal(err)
	}
	rewritten := func(change func(m *Manifest, files map[string][]byte)) []byte {
		files := map[string][]byte{}
		for _, f := range a.Manifest.Files {
			if files[f.Path], err = a.content(f.Path, maxArchive); err != nil {
				t.Fatal(err)
			}
		}
		m := *a.Manifest
		m.Records = slices.Clone(m.Records)
		change(&m, files)
		var sources []Source
		for name, text := range files {
			sources = append(sources, Source{Path: name, Data: text})
		}
		var b bytes.Buffer
		if err := Write(&b, &m, sources, nil); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, x := range map[string]struct {
		change func(m *Manifest, files map[string][]byte)
		want   string
		exit   int
	}{
		"nothing": {func(*Manifest, map[string][]byte) {}, "", 0},
		"a better score": {func(_ *Manifest, f map[string][]byte) {
			f["reports/day/scorecard.json"] = bytes.Replace(f["reports/day/scorecard.json"], []byte(`"low": `), []byte(`"low": 1`), 1)
		}, "reports/day/scorecard.json: $.low: it is 1", 1},
		"other blanks": {func(_ *Manifest, f map[string][]byte) {
			f["reports/day/scorecard.json"] = append(f["reports/day/scorecard.json"], '\n')
		}, "reports/day/scorecard.json: line ", 1},
		"a huge report": {func(_ *Manifest, f map[string][]byte) {
			f["reports/day/scorecard.json"] = bytes.Repeat([]byte("["), 4<<20)
		}, "reports/day/scorecard.json: it has 4194304 bytes in the bundle, and ", 1},
		"a report is gone": {func(_ *Manifest, f map[string][]byte) { delete(f, "reports/day/report.html") }, "reports/day/report.html: it is derived from a record, and cannot be read", 1},
		"a record that nobody names": {func(m *Manifest, _ map[string][]byte) {
			m.Records = slices.DeleteFunc(m.Records, func(r Record) bool { return r.Folder == "first" })
		}, "records/first: it belongs to no record that the manifest names", 1},
		"a plan is gone": {func(_ *Manifest, f map[string][]byte) { delete(f, "records/first/plan.json") }, "records/first: no report can be derived from it: ", 1},
		"go": {func(_ *Manifest, f map[string][]byte) {
			f[ScorecardFile] = bytes.Replace(f[ScorecardFile], []byte(`"state": "n`), []byte(`"state": "go","was": "n`), 1)
		}, "rehearsal/scorecard.json: $.state: it is \"go\" in the bundle", 1},
		"a policy that nobody named": {func(_ *Manifest, f map[string][]byte) { f["policies/0123456789ab-policy.hcl"] = []byte("kinds {\n}\n") },
			"policies/0123456789ab-policy.hcl: no run in the bundle was allowed by it: its SHA-256 ", 1},
		"made by another version": {func(m *Manifest, f map[string][]byte) {
			m.Version = "2"
			f["reports/day/scorecard.json"] = []byte("{}\n")
		}, "reports/day/scorecard.json: $.alarms: it is not in the bundle", 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := verify(t, rewritten(x.change))
			var text []string
			for _, f := range r.Differs {
				text = append(text, f.String())
			}
			got := strings.Join(text, "\n")
			if r.Exit != x.exit || len(r.Changed) > 0 || !strings.Contains(got, x.want) || (x.want == "") != (got == "") {
				t.Errorf("exit code %d, changed %v, differs\n%s\nwant %d, %q", r.Exit, r.Changed, got, x.exit, x.want)
			}
		})
	}
}

// TestPolicies packs a run that a policy allowed: it is in the bundle, or told of as missing, or that it is not is said.
func TestPolicies(t *testing.T) {
	text := []byte("kinds {\n}\n")
	sum := sumsOfBytes(text).SHA256
	c := contents(t)
	dir := c.Found.Dirs["later/second"]
	rec, err := report.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	started := report.NewTimeline(rec).Started
	started.Policies = []report.PolicyFile{{File: "/etc/gameday/policy.hcl", Digest: sum}}
	if rec.Events[0].Data, err = json.Marshal(started); err == nil {
		err = runrig.Write(dir, rec)
	}
	if err == nil {
		c.Found, err = kept.Scan(filepath.Dir(filepath.Dir(dir)), nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	extra := c.Extra
	for _, x := range []struct {
		name    string
		packed  []byte
		missing string
		want    string
	}{
		{"it is there", text, "", ""},
		{"another one is there", []byte("kinds {}\n"), "", "policies/p.hcl: no run in the bundle was allowed by it"},
		{"it is told of", nil, "the policy (SHA-256 " + sum + ") is gone", ""},
		{"it is not told of", nil, "", "records/later-second: the run was allowed by the policy /etc/gameday/policy.hcl, SHA-256 " + sum + ", which is neither in the bundle nor told of"},
	} {
		c.Extra, c.Missing = slices.Clone(extra), []string{x.missing}
		if x.packed != nil {
			c.Extra = append(c.Extra, Source{Path: PoliciesFolder + "/p.hcl", Data: x.packed})
		}
		r := verify(t, packed(t, c, nil))
		var said []string
		for _, f := range r.Differs {
			said = append(said, f.String())
		}
		if got := strings.Join(said, "\n"); !strings.Contains(got, x.want) || (x.want == "") != (got == "") {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
	}
}

// TestCutOff takes truncated and lengthened archives for what they are.
func TestCutOff(t *testing.T) {
	b := packed(t, contents(t), nil)
	a, err := Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	first := a.entries[0].end()
	for n := int64(0); n < int64(len(b)); n += 1 + int64(len(b))/97 {
		got, err := Read(bytes.NewReader(b[:n]), n)
		switch {
		case n < first && err == nil:
			t.Errorf("%d bytes are read without a manifest: %v", n, got.Findings)
		case n >= first && (err != nil || len(got.Findings) != 1 || !strings.Contains(got.Findings[0].Text, "cut off") || got.Findings[0].Archive != n):
			t.Errorf("%d bytes: %v, %v", n, err, got)
		}
	}
	if r := verify(t, b[:len(b)-len(b)/3]); r.Exit != 1 || len(r.Differs) == 0 {
		t.Errorf("without a third: %+v", r)
	}
	for _, more := range []string{"x", strings.Repeat("x", 70000)} {
		long := append(bytes.Clone(b), more...)
		if got, err := Read(bytes.NewReader(long), int64(len(long))); err != nil || len(got.Findings) != 1 || got.Findings[0].Archive != int64(len(b)) {
			t.Errorf("with %d bytes more: %v, %v", len(more), err, got)
		}
	}
	inserted := slices.Insert(bytes.Clone(b), len(b)/2, 'x')
	if got, err := Read(bytes.NewReader(inserted), int64(len(inserted))); err != nil || len(got.Findings) < 2 {
		t.Errorf("with a byte inserted: %v, %v", err, got)
	}
	two := bytes.Clone(b)
	e := a.entries[slices.IndexFunc(a.entries, func(e entry) bool { return e.name == "records/day/record.jsonl" })]
	two[e.dataAt()+2*blockSize+5] ^= 1
	two[e.dataAt()+3*blockSize+5] ^= 1
	want := fmt.Sprintf("bytes %d to %d ", 2*blockSize, 4*blockSize-1)
	if got, err := Read(bytes.NewReader(two), int64(len(two))); err != nil || len(got.Findings) != 1 || !strings.HasPrefix(got.Findings[0].Place, want) || got.Findings[0].File != e.name {
		t.Errorf("with two bytes changed: %v, %v, want %q", err, got.Findings, want)
	}
}
