package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gameday/rehearsals"
	"gameday/rehearsals/kept"
	"gameday/report"
)

// Result is what verifying a bundle showed. Its JSON form is the machine-readable one.
type Result struct {
	Rehearsal string    `json:"rehearsal"`
	Made      time.Time `json:"made"`
	By        string    `json:"by"`
	Host      string    `json:"host"`
	Version   string    `json:"version"`       // of the gameday that packed it
	Verifier  string    `json:"verified_with"` // of this one
	Files     int       `json:"files"`
	// Derived counts the records whose reports were derived again.
	Derived int `json:"reports_derived"`
	// Changed are what is not as it was packed, and Differs what is not as it follows from the records.
	Changed []Finding `json:"changed"`
	Differs []Finding `json:"differs"`
	// SameJudged says that every judgement, of all records and over all, is what follows from the records, to the byte. What else differs is
	// how pages are drawn.
	SameJudged bool      `json:"same_judgements"`
	Signature  Signature `json:"signature"`
	Missing    []string  `json:"missing"`
	// State is what the records say of the rehearsal, at the time at which it was packed.
	State rehearsals.State `json:"state"`
	// Packed is what the scorecard in the bundle says; nil when it cannot be read.
	Packed *rehearsals.State `json:"packed_state"`
	Why    []string          `json:"why"`
	Exit   int               `json:"exit_code"`
}

// OtherVersion reports whether the bundle was packed by another version than this one, or may have been: then reports may differ for that
// alone. Builds that do not know their version, or were made of sources that nobody committed, may differ under one name.
func (r *Result) OtherVersion() bool {
	return r.Version != r.Verifier || slices.Contains([]string{"", "unknown", "(devel)", "development"}, r.Version) || strings.HasSuffix(r.Version, "-dirty")
}

// exit returns 0 when all is as it was, 1 when something is not or a signature that was asked for is not there, and 3 when that cannot be
// told: reports differ, and another version derived them, or nothing here can look at the signature.
func (r *Result) exit() int {
	s := r.Signature
	switch {
	case len(r.Changed) > 0, s.Trust == Broken, s.Trust == Unaccepted, s.Asked && s.Trust == Unsigned:
		return 1
	case len(r.Differs) > 0 && !r.OtherVersion():
		return 1
	case len(r.Differs) > 0, s.Trust == Unlooked:
		return 3
	}
	return 0
}

// Verify holds an archive to its sums, its signature, and its records: it derives every report and the scorecard again. version is this
// gameday's, and allowed a file of allowed signers, which may be empty. It writes to a folder of its own, which it removes. An error
// that is ErrNoBundle is about the archive, and a *VersionError when another gameday can tell more of it; any other is about this machine.
func Verify(ctx context.Context, in io.ReaderAt, size int64, version, allowed string) (*Result, error) {
	a, err := Read(in, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoBundle, err)
	}
	return a.verify(ctx, version, allowed)
}

// ErrNoBundle says that nobody can tell what an archive or a folder should be.
var ErrNoBundle = errors.New("it is no bundle that can be verified")

// VerifyFolder verifies the folder that a bundle was unpacked into, as Verify does an archive. Nobody may write to it meanwhile.
func VerifyFolder(ctx context.Context, dir, version, allowed string) (*Result, error) {
	a, err := ReadFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoBundle, err)
	}
	r, err := a.verify(ctx, version, allowed)
	return r, errors.Join(err, a.Close())
}

func (a *Archive) verify(ctx context.Context, version, allowed string) (*Result, error) {
	m := a.Manifest
	r := &Result{Rehearsal: m.Rehearsal, Made: m.Made, By: m.By, Host: m.Host, Version: m.Version, Verifier: version, Files: len(m.Files), Missing: m.Missing,
		Changed: a.Findings, Differs: []Finding{}, SameJudged: true, Why: []string{}}
	var err error
	if r.Signature, err = a.Signed(ctx, allowed); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "gameday-verify-*")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the records: %w", err)
	}
	defer os.RemoveAll(dir)
	d := &derivation{Archive: a, Result: r, dir: dir, shown: rehearsals.Shown{}}
	for _, rec := range m.Records {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := d.record(rec); err != nil {
			return nil, err
		}
	}
	d.strays()
	d.policies()
	d.scorecard()
	if r.Changed == nil {
		r.Changed = []Finding{}
	}
	if r.Missing == nil {
		r.Missing = []string{}
	}
	r.Exit = r.exit()
	return r, nil
}

// derivation derives what a bundle should have.
type derivation struct {
	*Archive
	*Result
	dir     string
	shown   rehearsals.Shown
	allowed []allowance
}

// allowance is a policy that allowed a run, by the run's record.
type allowance struct {
	report.PolicyFile
	record string
}

func (d *derivation) differs(file, place, text string, args ...any) {
	if !strings.HasPrefix(file, reportsFolder+"/") || path.Base(file) != pageName {
		d.SameJudged = false
	}
	d.Differs = append(d.Differs, Finding{file, place, fmt.Sprintf(text, args...), -1})
}

// record derives the reports of one record from what is in the archive of it.
func (d *derivation) record(rec Record) error {
	dir := filepath.Join(d.dir, rec.Folder)
	if err := d.unpack(rec, dir); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	folder := path.Join(recordsFolder, rec.Folder)
	label, err := kept.ReadLabel(dir)
	if err != nil {
		what := "it is not there"
		if !errors.Is(err, fs.ErrNotExist) {
			what = strings.ReplaceAll(err.Error(), d.dir+string(filepath.Separator), "")
		}
		d.differs(path.Join(folder, kept.LabelFile), "", "nobody knows for what the record was made: %s", what)
		return nil
	}
	if label.Rehearsal != d.Manifest.Rehearsal || label.Scenario != rec.Scenario {
		d.differs(path.Join(folder, kept.LabelFile), "", "the record was made for scenario %q of rehearsal %q, and the manifest says %q of %q", label.Scenario, label.Rehearsal,
			rec.Scenario, d.Manifest.Rehearsal)
	}
	if read, err := report.Read(dir); err == nil { // what cannot be read is told of below
		for _, p := range report.NewTimeline(read).Started.Policies {
			d.allowed = append(d.allowed, allowance{p, folder})
		}
	}
	run := kept.Show(dir, rec.Name, label, false)
	d.shown[label.Scenario] = append(d.shown[label.Scenario], run)
	if run.Unread != rec.Unread {
		d.differs(folder, "", "no report can be derived from it: %s", or(run.Unread, "the manifest says so, and this gameday can: "+rec.Unread))
	}
	if run.Unread != "" {
		return nil
	}
	derived, err := derive(dir)
	if err != nil {
		d.differs(folder, "", "no report can be derived from it: %v", err)
		return nil
	}
	d.Derived++
	for _, name := range []string{scorecardName, pageName} {
		d.compare(path.Join(reportsFolder, rec.Folder, name), derived[name])
	}
	return nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// compare says where a file of the bundle differs from what was derived. One that is many times as long is not read.
func (d *derivation) compare(name string, derived []byte) {
	if f, ok := d.Manifest.has(name); ok && f.Size > 4*int64(len(derived))+maxSmall {
		d.differs(name, "", "it has %d bytes in the bundle, and %d by the record", f.Size, len(derived))
		return
	}
	b, err := d.content(name, maxArchive)
	if err != nil {
		d.differs(name, "", "it is derived from a record, and cannot be read: %v", err)
		return
	}
	for _, x := range differ(b, derived) {
		d.differs(name, x.place, "%s", x.text)
	}
}

// unpack writes what is needed of a record to a folder: what reports are made of. Names were checked when the manifest was read, and the
// folder lets nothing out all the same.
func (d *derivation) unpack(rec Record, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("unpacking a record: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("unpacking a record: %w", err)
	}
	defer root.Close()
	for _, name := range []string{report.PlanFile, report.EventsFile, kept.LabelFile} {
		r, ok := d.Open(path.Join(recordsFolder, rec.Folder, name))
		if !ok {
			continue // what is missing was said, or is said by whoever needs it
		}
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("unpacking a record: %w", err)
		}
		_, err = io.Copy(f, r)
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("unpacking a record: %w", err)
		}
	}
	return nil
}

// strays says which records and reports the manifest has files of, and does not name.
func (d *derivation) strays() {
	for _, folder := range []string{recordsFolder, reportsFolder} {
		var told []string
		for _, name := range d.below(folder) {
			of, _, _ := strings.Cut(strings.TrimPrefix(name, folder+"/"), "/")
			known := slices.ContainsFunc(d.Manifest.Records, func(r Record) bool { return r.Folder == of })
			if !known && !slices.Contains(told, of) {
				told = append(told, of)
				d.differs(path.Join(folder, of), "", "it belongs to no record that the manifest names")
			}
		}
	}
}

// policies holds the policies in the bundle to those that the records name by their sums.
func (d *derivation) policies() {
	packed := map[string]bool{}
	for _, name := range d.below(PoliciesFolder) {
		f, _ := d.Manifest.has(name)
		packed[f.SHA256] = true
		if !slices.ContainsFunc(d.allowed, func(a allowance) bool { return a.Digest == f.SHA256 }) {
			d.differs(name, "", "no run in the bundle was allowed by it: its SHA-256 %s is named by no record", f.SHA256)
		}
	}
	for _, a := range d.allowed {
		told := slices.ContainsFunc(d.Manifest.Missing, func(m string) bool { return strings.Contains(m, a.Digest) })
		if !packed[a.Digest] && !told {
			packed[a.Digest] = true // once is enough
			d.differs(a.record, "", "the run was allowed by the policy %s, SHA-256 %s, which is neither in the bundle nor told of as missing", a.File, a.Digest)
		}
	}
}

// scorecard judges the rehearsal again, by the records in the archive.
func (d *derivation) scorecard() {
	b, err := d.content(RehearsalFile, maxManifest)
	r := &rehearsals.Rehearsal{}
	if err == nil {
		err = strict(b, r)
	}
	if err != nil {
		d.differs(RehearsalFile, "", "it cannot be read, so that nothing is known: %v", err)
		return
	}
	if r.Name != d.Manifest.Rehearsal {
		d.differs(RehearsalFile, "$.name", "it is %q, and the manifest says %q", r.Name, d.Manifest.Rehearsal)
	}
	b, err = d.content(SignOffsFile, maxManifest)
	signed, broken := kept.ParseSignOffs(b)
	if err != nil || broken > 0 {
		d.differs(SignOffsFile, "", "%d lines cannot be read%s", broken, map[bool]string{true: fmt.Sprint(": ", err)}[err != nil])
	}
	var says struct{ State rehearsals.State }
	if b, err := d.content(ScorecardFile, maxManifest); err == nil && json.Unmarshal(b, &says) == nil {
		d.Packed = &says.State
	}
	card := rehearsals.Judge(r, d.shown, rehearsals.SignedBy(signed, r.Name), d.Made)
	d.State, d.Why = card.State, card.Why
	d.compare(ScorecardFile, encodeJSON(card))
}
