package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"gameday/internal/runrig"
	"gameday/rehearsals"
	"gameday/rehearsals/kept"
	"gameday/report"
	"gameday/report/history"
	"gameday/schedules"
	"gameday/schedules/claims"
)

var began = time.Date(2026, 11, 20, 14, 2, 0, 0, time.UTC)

// write writes the record of a run of a scenario.
func write(t testing.TB, dir, scenario string, at time.Time, change func(*report.Record)) {
	t.Helper()
	w := runrig.New(1)
	w.Baseline, w.Load, w.Recovery, w.Outliers, w.Crash = 3, 6, 3, 0, true
	rec := w.Run(filepath.Base(dir), at, 1)
	rec.Plan.Scenario = scenario
	if change != nil {
		change(rec)
	}
	if err := runrig.Write(dir, rec); err != nil {
		t.Fatal(err)
	}
}

// folder writes a folder of records as people have them: some good, some blind, one that was killed, some for rehearsals, and what is no
// record or none any more.
func folder(t testing.TB) string {
	t.Helper()
	runs := t.TempDir()
	in := func(name string) string { return filepath.Join(runs, name) }
	write(t, in("a"), "shop", began, nil)
	write(t, in("b"), "shop", began.Add(time.Hour), func(r *report.Record) { r.Plan.Blind = true })
	write(t, in("below/c"), "till", began.Add(2*time.Hour), nil)
	write(t, in("killed"), "till", began.Add(3*time.Hour), func(r *report.Record) { r.Events = r.Events[:len(r.Events)-3] })
	write(t, in("broken"), "till", began, nil)
	write(t, in("rehearsed"), "shop", began.Add(4*time.Hour), nil)
	write(t, in("mislabelled"), "shop", began.Add(5*time.Hour), nil)
	label := kept.Label{Rehearsal: "west", Scenario: "shop", Fingerprint: "f", At: began}
	err := errors.Join(os.WriteFile(filepath.Join(in("broken"), report.EventsFile), []byte("}{\n"), 0o644), os.Mkdir(in("photos"), 0o755),
		kept.WriteLabel(in("rehearsed"), label), kept.WriteLabel(in("mislabelled"), label),
		os.WriteFile(filepath.Join(in("mislabelled"), kept.LabelFile), []byte("{"), 0o644),
		kept.Sign(runs, rehearsals.SignOff{Rehearsal: "west", Role: "sre", By: "ann", At: began, Saw: "1234"}),
		kept.Sign(runs, rehearsals.SignOff{Rehearsal: "west", Role: "shop", By: "bob", At: began, Saw: "1234", Refused: true, Why: "no"}))
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

// occasions are some of a calendar.
func occasions(n int) []claims.Kept {
	var out []claims.Kept
	for i := range n {
		at := began.Add(time.Duration(i) * time.Hour)
		k := claims.Kept{Claim: claims.Claim{Schedule: "hourly", Occasion: at.Format("2006-01-02T15:04"), Outcome: schedules.Begun, At: at, Opens: at, Closes: at.Add(time.Hour)}}
		switch i % 3 {
		case 0:
			k.End = &claims.End{At: at.Add(time.Minute), Code: 1, Runs: []claims.Run{{Scenario: "shop", Record: "runs/a", Code: 1}}}
		case 1:
			k.Outcome, k.Why = schedules.Skipped, "frozen: holidays"
		}
		out = append(out, k)
	}
	return out
}

// opened opens a database in a file and notes what it says.
func opened(t testing.TB, o Options) (*Store, *[]string) {
	t.Helper()
	said := &[]string{}
	if o.Version == "" {
		o.Version = "1"
	}
	o.Say = func(text string) { *said = append(*said, text) }
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, said
}

func synced(t testing.TB, s *Store, from Source) {
	t.Helper()
	if err := s.Sync(t.Context(), from); err != nil {
		t.Fatal(err)
	}
}

func dumped(t testing.TB, s *Store) []string {
	t.Helper()
	if err := s.Sound(t.Context()); err != nil {
		t.Error(err)
	}
	lines, err := s.Dump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// same fails when a database is not what one made anew from the same would be.
func same(t testing.TB, s *Store, from Source) {
	t.Helper()
	anew, _ := opened(t, Options{Path: filepath.Join(t.TempDir(), "anew.db"), Version: s.Version})
	synced(t, anew, from)
	if diff := gocmp.Diff(dumped(t, anew), dumped(t, s)); diff != "" {
		t.Errorf("it is not what is derived anew (-anew +this):\n%s", diff)
	}
}

// TestDerived compares what comes out of the database with what packages tell that read the folder themselves.
func TestDerived(t *testing.T) {
	runs := folder(t)
	s, said := opened(t, Options{Path: filepath.Join(t.TempDir(), "state", "serve.db")})
	from := Source{Runs: runs, Occasions: map[string][]claims.Kept{"days": occasions(9)}}
	synced(t, s, from)
	all, skipped, err := s.Records(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want, wantSkipped, err := history.List(runs, history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []history.Entry
	blind, over := map[string]bool{}, map[string]bool{}
	for _, r := range all {
		got = append(got, r.Entry)
		blind[r.Folder], over[r.Folder] = r.Blind, r.Over
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("history (-list +store):\n%s", diff)
	}
	byFolder := func(a, b history.Skipped) int { return cmp.Compare(a.Folder, b.Folder) }
	slices.SortFunc(wantSkipped, byFolder)
	slices.SortFunc(skipped, byFolder)
	if diff := gocmp.Diff(wantSkipped, skipped); diff != "" {
		t.Errorf("skipped (-list +store):\n%s", diff)
	}
	if !blind["b"] || blind["a"] || over["killed"] || !over["a"] {
		t.Errorf("blind: %v, over: %v", blind, over)
	}
	shown, broken, err := s.Rehearsed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found, err := kept.Scan(runs, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(found.Rehearsals, shown); diff != "" || broken != len(found.Skipped) {
		t.Errorf("rehearsed (-scan +store), %d broken:\n%s", broken, diff)
	}
	signed, _, err := s.Signed(t.Context())
	if want, _, e := kept.SignOffs(runs); err != nil || e != nil || gocmp.Diff(want, signed) != "" {
		t.Errorf("signed: %v %v %v", signed, err, e)
	}
	some, err := s.Occasions(t.Context(), began.Add(3*time.Hour), began.Add(5*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, o := range some {
		ids = append(ids, o.Occasion)
		if i := slices.IndexFunc(from.Occasions["days"], func(k claims.Kept) bool { return k.Occasion == o.Occasion }); gocmp.Diff(from.Occasions["days"][i], o.Kept) != "" {
			t.Errorf("occasion %s: %+v", o.Occasion, o)
		}
	}
	if got := strings.Join(ids, " "); got != "2026-11-20T16:02 2026-11-20T17:02 2026-11-20T18:02" {
		t.Errorf("from the third hour to the fifth there are %s", got)
	}
	if len(*said) > 0 {
		t.Errorf("it says %q", *said)
	}
	same(t, s, from)
}

// TestChanges changes what there is between one look and the next: what is in the database is always what would be derived anew.
func TestChanges(t *testing.T) {
	runs := folder(t)
	s, _ := opened(t, Options{Path: filepath.Join(t.TempDir(), "serve.db")})
	from := Source{Runs: runs, Occasions: map[string][]claims.Kept{"days": occasions(9), "nights": occasions(2)}}
	synced(t, s, from)
	in := func(name string) string { return filepath.Join(runs, name) }
	for what, change := range map[string]func(){
		"a record is gone":       func() { remaining(t, os.RemoveAll(in("a"))) },
		"a folder gets a record": func() { write(t, in("photos"), "cats", began, nil) },
		"a record ends":          func() { write(t, in("killed"), "till", began.Add(3*time.Hour), nil) },
		"a label is mended":      func() { remaining(t, os.Remove(filepath.Join(in("mislabelled"), kept.LabelFile))) },
		"somebody signs": func() {
			remaining(t, kept.Sign(runs, rehearsals.SignOff{Rehearsal: "west", Role: "shop", By: "bob", At: began, Saw: "12"}))
		},
		"a line is no sign-off":    func() { appended(t, in(kept.SignOffsFile), "{}\n") },
		"an occasion ends":         func() { from.Occasions["days"][2].End = &claims.End{At: began, Code: 0} },
		"an occasion is forgotten": func() { from.Occasions["days"] = from.Occasions["days"][:7] },
		"a calendar goes":          func() { from.Occasions["nights"] = nil },
	} {
		change()
		synced(t, s, from)
		t.Log(what)
		same(t, s, from)
	}
	// A run that goes on is left out until it is over, and one of a calendar that could not be read stays as it was.
	before, left := len(dumped(t, s)), ""
	write(t, in("going"), "till", began, nil)
	from.Going, from.LeftOut = map[string]bool{in("going"): true}, func(folder string) { left += folder }
	delete(from.Occasions, "days")
	synced(t, s, from)
	if n := len(dumped(t, s)); n != before || left != "going" {
		t.Errorf("there were %d rows and are %d, left out is %q", before, n, left)
	}
}

func remaining(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func appended(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	remaining(t, err)
}

// TestReadOnce changes a record without a trace, so that nobody who did not read it again would know.
func TestReadOnce(t *testing.T) {
	runs := folder(t)
	path := filepath.Join(t.TempDir(), "serve.db")
	s, _ := opened(t, Options{Path: path})
	from := Source{Runs: runs}
	synced(t, s, from)
	events := filepath.Join(runs, "a", report.EventsFile)
	info, err := os.Stat(events)
	remaining(t, err)
	f, err := os.OpenFile(events, os.O_WRONLY, 0)
	remaining(t, err)
	_, err = f.WriteString("}{")
	remaining(t, errors.Join(err, f.Close(), os.Chtimes(events, time.Time{}, info.ModTime())))
	readable := func(s *Store) bool {
		t.Helper()
		all, _, err := s.Records(t.Context())
		remaining(t, err)
		return slices.ContainsFunc(all, func(r Record) bool { return r.Folder == "a" })
	}
	synced(t, s, from)
	if !readable(s) {
		t.Error("it was read again, though nothing says that it has changed")
	}
	remaining(t, s.Close())
	again, _ := opened(t, Options{Path: path})
	synced(t, again, from)
	if !readable(again) {
		t.Error("it was read again by the next one")
	}
	remaining(t, again.Close())
	// Another version of the program may judge otherwise.
	newer, said := opened(t, Options{Path: path, Version: "2"})
	if !readable(newer) {
		t.Error("what there is cannot be read until all is derived again")
	}
	synced(t, newer, from)
	if readable(newer) || len(*said) > 0 {
		t.Errorf("another version did not read it again; it says %q", *said)
	}
	same(t, newer, from)
}

// TestMadeAnew opens files that are not as they should be. What is said names the file and the reason; then all is derived anew.
func TestMadeAnew(t *testing.T) {
	runs := folder(t)
	from := Source{Runs: runs, Occasions: map[string][]claims.Kept{"days": occasions(400)}}
	for name, c := range map[string]struct {
		harm  func(path string) error
		says  string
		aside bool
	}{
		"no database":         {func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte("miau\n"), 3000), 0o600) }, "cannot be read", true},
		"its head is gone":    {func(p string) error { return scribble(p, 0, 100) }, "cannot be read", true},
		"a page is gone":      {func(p string) error { return scribble(p, 4096*3, 4096) }, "cannot be read", true},
		"it is cut off":       {func(p string) error { return os.Truncate(p, 4096*5) }, "cannot be read", true},
		"of an older gameday": {func(p string) error { return pragma(p, "user_version = 0") }, "of another version (0", false},
		"of a newer gameday":  {func(p string) error { return pragma(p, "user_version = 9") }, "of another version (9, and here they have 1)", false},
		"empty":               {func(p string) error { return os.Truncate(p, 0) }, "", false},
		"missing":             {os.Remove, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "serve.db")
			s, _ := opened(t, Options{Path: path})
			synced(t, s, from)
			remaining(t, errors.Join(s.Close(), c.harm(path)))
			s, said := opened(t, Options{Path: path})
			text := strings.Join(*said, "\n")
			if c.says == "" && text != "" || !strings.Contains(text, c.says) || c.says != "" && !strings.Contains(text, path) || len(*said) > 1 {
				t.Errorf("it says %q", text)
			}
			if _, err := os.Stat(path + ".damaged"); (err == nil) != c.aside {
				t.Errorf("set aside: %v", err)
			}
			synced(t, s, from)
			same(t, s, from)
			if why := s.Trouble(); why != "" {
				t.Error(why)
			}
		})
	}
}

func scribble(path string, at int64, n int) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, n), at)
	return errors.Join(err, f.Close())
}

func pragma(path, text string) error {
	db, err := connect(path, true)
	if err != nil {
		return err
	}
	_, err = db.Exec("PRAGMA " + text)
	return errors.Join(err, db.Close())
}

// TestDamagedMeanwhile damages the file under an open database: whoever reads gets an error, and then all is derived anew.
func TestDamagedMeanwhile(t *testing.T) {
	from := Source{Runs: folder(t), Occasions: map[string][]claims.Kept{"days": occasions(400)}}
	path := filepath.Join(t.TempDir(), "serve.db")
	s, said := opened(t, Options{Path: path})
	synced(t, s, from)
	s.db.SetMaxIdleConns(0) // nothing is remembered of the file
	var mode string
	remaining(t, s.db.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(new(int), new(int), new(int)))
	remaining(t, s.db.QueryRow("PRAGMA journal_mode").Scan(&mode))
	info, err := os.Stat(path)
	remaining(t, err)
	remaining(t, scribble(path, 4096, int(info.Size())-4096))
	if _, _, err := s.Records(t.Context()); err == nil {
		t.Fatalf("nobody sees the damage (journal %s)", mode)
	}
	synced(t, s, from)
	if text := strings.Join(*said, "\n"); !strings.Contains(text, "set aside") {
		t.Errorf("it says %q", text)
	}
	same(t, s, from)
}

// TestForeign leaves a database of something else alone.
func TestForeign(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := sql.Open("sqlite", path)
	remaining(t, err)
	_, err = db.Exec("CREATE TABLE photos (name TEXT); INSERT INTO photos VALUES ('cat')")
	remaining(t, errors.Join(err, db.Close()))
	before, err := os.ReadFile(path)
	remaining(t, err)
	for _, anew := range []bool{false, true} {
		_, err := Open(t.Context(), Options{Path: path, Version: "1", Anew: anew})
		if !errors.Is(err, ErrForeign) || !strings.Contains(fmt.Sprint(err), path) {
			t.Errorf("anew %v: %v", anew, err)
		}
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("it was changed: %v", err)
	}
}

// TestAnew throws away what there is when it is told to.
func TestAnew(t *testing.T) {
	from := Source{Runs: folder(t), Occasions: map[string][]claims.Kept{"days": occasions(3)}}
	path := filepath.Join(t.TempDir(), "serve.db")
	s, _ := opened(t, Options{Path: path})
	synced(t, s, from)
	remaining(t, s.Close())
	s, _ = opened(t, Options{Path: path, Anew: true})
	if all, _, err := s.Records(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("there is still %v: %v", all, err)
	}
	synced(t, s, from)
	same(t, s, from)
}

// TestUnwritable goes on in memory where no file can be made, and says so once.
func TestUnwritable(t *testing.T) {
	from := Source{Runs: folder(t), Occasions: map[string][]claims.Kept{"days": occasions(3)}}
	dir := t.TempDir()
	blocked := filepath.Join(dir, "state")
	remaining(t, os.WriteFile(blocked, nil, 0o600)) // a file where a folder should be
	s, said := opened(t, Options{Path: filepath.Join(blocked, "serve.db")})
	if s.Trouble() == "" || len(*said) != 1 {
		t.Errorf("trouble: %q, it says %q", s.Trouble(), *said)
	}
	synced(t, s, from)
	same(t, s, from)
	remaining(t, os.Remove(blocked))
	synced(t, s, from)
	if s.Trouble() != "" || len(*said) != 2 || !strings.Contains((*said)[1], "can be written again") {
		t.Errorf("trouble: %q, it says %q", s.Trouble(), *said)
	}
	same(t, s, from)
	remaining(t, s.Close())
	again, _ := opened(t, Options{Path: filepath.Join(blocked, "serve.db")})
	same(t, again, from)
}

// TestReadersBeside reads while it is derived: whoever reads sees whole batches, and no error.
func TestReadersBeside(t *testing.T) {
	runs := t.TempDir()
	s, _ := opened(t, Options{Path: filepath.Join(t.TempDir(), "serve.db")})
	ctx, cancel := context.WithCancel(t.Context())
	read := make(chan error)
	for range 3 {
		go func() {
			var err error
			for last := 0; ctx.Err() == nil && err == nil; {
				var all []Record
				if all, _, err = s.Records(context.WithoutCancel(ctx)); len(all) < last {
					err = fmt.Errorf("there were %d records, and are %d", last, len(all))
				}
				last = len(all)
			}
			read <- err
		}()
	}
	for i := range 40 {
		write(t, filepath.Join(runs, fmt.Sprintf("r%02d", i)), "shop", began, nil)
		synced(t, s, Source{Runs: runs})
	}
	cancel()
	for range 3 {
		if err := <-read; err != nil {
			t.Error(err)
		}
	}
}

// TestRecordsAreDecodedOnce: whoever asks again has what was read before, until a record is there that was not, or is gone, or another
// database is used.
func TestRecordsAreDecodedOnce(t *testing.T) {
	runs := folder(t)
	from := Source{Runs: runs}
	path := filepath.Join(t.TempDir(), "serve.db")
	s, _ := opened(t, Options{Path: path})
	synced(t, s, from)
	ask := func() []Record {
		t.Helper()
		all, _, err := s.Records(t.Context())
		remaining(t, err)
		return all
	}
	first := ask()
	synced(t, s, from)
	if again := ask(); &again[0] != &first[0] {
		t.Error("they were read again, though nothing has changed")
	}
	write(t, filepath.Join(runs, "new"), "shop", began, nil)
	synced(t, s, from)
	if more := ask(); len(more) != len(first)+1 {
		t.Errorf("with one more there are %d, and were %d", len(more), len(first))
	}
	remaining(t, os.RemoveAll(filepath.Join(runs, "new")))
	synced(t, s, from)
	second := ask()
	if len(second) != len(first) {
		t.Errorf("with it gone there are %d, and were %d", len(second), len(first))
	}
	s.damaged.Store(true) // as somebody who read has seen
	synced(t, s, from)
	if third := ask(); len(third) != len(first) || &third[0] == &second[0] {
		t.Errorf("of the database that was made anew there are %d", len(third))
	}
}
