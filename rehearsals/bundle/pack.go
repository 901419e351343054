package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gameday/rehearsals"
	"gameday/rehearsals/kept"
	"gameday/report"
	"gameday/report/archive"
)

// Contents is what goes into a bundle beside what is derived from it.
type Contents struct {
	Rehearsal *rehearsals.Rehearsal
	Found     *kept.Found // all runs of the rehearsal are packed, also those that do not count any more
	SignOffs  []rehearsals.SignOff
	Extra     []Source // the calendar, policies, and lines of the audit log, in their folders
	Missing   []string
	By, Host  string
	Version   string // of this gameday
	Now       time.Time
}

// Pack writes a bundle and returns its manifest. sign signs it; nil leaves it unsigned.
func Pack(w io.Writer, c Contents, sign func(manifest []byte) ([]byte, error)) (*Manifest, error) {
	if len(c.Found.Skipped) > 0 {
		return nil, fmt.Errorf("packing: %s, so that nobody knows whether it belongs here: mend it, or move the record away", c.Found.Skipped[0])
	}
	shown := c.Found.Rehearsals[c.Rehearsal.Name]
	m := &Manifest{Rehearsal: c.Rehearsal.Name, Made: c.Now.UTC().Round(0), By: c.By, Host: c.Host, Version: c.Version, Records: []Record{}, Missing: c.Missing}
	sources := slices.Clone(c.Extra)
	for _, scenario := range sortedNames(shown) {
		for _, run := range shown[scenario] {
			if run.Running {
				return nil, fmt.Errorf("packing: the run %s goes on; wait for its end, or stop it", run.Record)
			}
			if err := report.CheckCopy(c.Found.Dirs[run.Record]); err != nil {
				return nil, fmt.Errorf("packing: %w", err)
			}
			r := Record{Name: run.Record, Folder: folderOf(run.Record, m.Records), Scenario: scenario, Run: run.Run, Version: run.Version, Unread: run.Unread}
			more, err := recordSources(c.Found.Dirs[run.Record], r)
			if err != nil {
				return nil, fmt.Errorf("packing the record %s: %w", run.Record, err)
			}
			sources = append(sources, more...)
			m.Records = append(m.Records, r)
		}
	}
	slices.SortFunc(m.Records, func(a, b Record) int { return strings.Compare(a.Folder, b.Folder) })
	signed := rehearsals.SignedBy(c.SignOffs, c.Rehearsal.Name)
	var lines bytes.Buffer
	for _, s := range signed {
		b, err := json.Marshal(s)
		if err != nil {
			return nil, fmt.Errorf("packing the sign-offs: %w", err)
		}
		lines.Write(append(b, '\n'))
	}
	sources = append(sources, Source{Path: RehearsalFile, Data: encodeJSON(c.Rehearsal)}, Source{Path: SignOffsFile, Data: lines.Bytes()},
		Source{Path: ScorecardFile, Data: encodeJSON(rehearsals.Judge(c.Rehearsal, shown, signed, m.Made))})
	return m, Write(w, m, sources, sign)
}

func sortedNames(shown rehearsals.Shown) []string {
	var out []string
	for name := range shown {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// folderOf returns the name of a record's folder in the bundle: of what it is called, what every system takes.
func folderOf(name string, taken []Record) string {
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, name)
	plain = plain[:min(len(plain), 100)]
	out := plain
	for n := 2; slices.ContainsFunc(taken, func(r Record) bool { return strings.EqualFold(r.Folder, out) }); n++ {
		out = fmt.Sprintf("%s-%d", plain, n)
	}
	return out
}

// recordSources returns the files of a record, and of the reports that are derived from it. A page that the run has left in the record is
// not packed: it is derived as well.
func recordSources(dir string, r Record) ([]Source, error) {
	var out []Source
	err := archive.Each(dir, func(name string, folder bool) error {
		if !folder && name != pageName {
			out = append(out, Source{Path: path.Join(recordsFolder, r.Folder, filepath.ToSlash(name)), File: filepath.Join(dir, name)})
		}
		return nil
	})
	if err != nil || r.Unread != "" {
		return out, err
	}
	derived, err := derive(dir)
	if err != nil {
		return nil, err
	}
	for name, b := range derived {
		out = append(out, Source{Path: path.Join(reportsFolder, r.Folder, name), Data: b})
	}
	return out, nil
}

// derive makes the reports of a record: its scorecard, and the page.
func derive(dir string) (map[string][]byte, error) {
	card, text, err := kept.Score(dir)
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	if err := report.HTML(&page, card); err != nil {
		return nil, err
	}
	return map[string][]byte{scorecardName: text, pageName: page.Bytes()}, nil
}
