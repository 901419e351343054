package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gameday/rehearsals"
	"gameday/rehearsals/kept"
	"gameday/report"
)

// TestHostile refuses what no bundle has: other archives, and manifests that name what they must not.
func TestHostile(t *testing.T) {
	zipped := func(method uint16, mode fs.FileMode, names ...string) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, name := range names {
			h := &zip.FileHeader{Name: name, Method: method}
			h.SetMode(mode)
			w, err := z.CreateHeader(h)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = w.Write(bytes.Repeat([]byte("0"), 1<<20))
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "text": []byte(strings.Repeat("no archive\n", 100)), "an empty zip": zipped(zip.Store, 0o644),
		"a bomb": zipped(zip.Deflate, 0o644, ManifestFile), "a link": zipped(zip.Store, fs.ModeSymlink|0o777, ManifestFile),
		"one that climbs": zipped(zip.Store, 0o644, "../../etc/passwd"), "one name twice": zipped(zip.Store, 0o644, ManifestFile, ManifestFile),
	} {
		if a, err := Read(bytes.NewReader(b), int64(len(b))); err == nil {
			t.Errorf("%s is read: %v", name, a.Findings)
		}
	}
	sums := sumsOfBytes([]byte("x"))
	manifest := func(change func(*Manifest)) []byte {
		m := &Manifest{Format: 1, Files: []File{{"a", sums}, {"b/c", sums}}, Records: []Record{}}
		change(m)
		return encodeJSON(m)
	}
	if _, err := parseManifest(manifest(func(*Manifest) {})); err != nil {
		t.Fatal(err)
	}
	for want, b := range map[string][]byte{
		`"../a" is no path below a folder`: manifest(func(m *Manifest) { m.Files[0].Path = "../a" }),
		`"/a" is no path`:                  manifest(func(m *Manifest) { m.Files[0].Path = "/a" }),
		`"a/../b" is no path`:              manifest(func(m *Manifest) { m.Files[0].Path = "a/../b" }),
		`"a/" is no path`:                  manifest(func(m *Manifest) { m.Files[0].Path = "a/" }),
		`"a\\b" is no path`:                manifest(func(m *Manifest) { m.Files[0].Path = `a\b` }),
		`"C:a" is no path`:                 manifest(func(m *Manifest) { m.Files[0].Path = "C:a" }),
		`"a\x00" is no path`:               manifest(func(m *Manifest) { m.Files[0].Path = "a\x00" }),
		`"a\u202eb" is no path`:            manifest(func(m *Manifest) { m.Files[0].Path = "a\u202eb" }),
		`"" is no path`:                    manifest(func(m *Manifest) { m.Files[0].Path = "" }),
		`aaa…" is no path`:                 manifest(func(m *Manifest) { m.Files[0].Path = strings.Repeat("a", 401) }),
		`"Seal.json" is among the files`:   manifest(func(m *Manifest) { m.Files[0].Path = "Seal.json" }),
		`are one file on many systems`:     manifest(func(m *Manifest) { m.Files[0].Path = "B/c" }),
		`"b/c" is not in its place`:        manifest(func(m *Manifest) { m.Files[0].Path = "x" }),
		`"b/c" is below the file "b"`:      manifest(func(m *Manifest) { m.Files[0].Path = "b" }),
		`its sums are not as`:              manifest(func(m *Manifest) { m.Files[0].Size = -1 }),
		`more than 2147483648 bytes`: manifest(func(m *Manifest) {
			m.Files = nil
			for i := range 3 {
				s := sums
				s.Size, s.Blocks = 1<<30, slices.Repeat([]string{"0123456789abcdef"}, 1<<14)
				m.Files = append(m.Files, File{fmt.Sprint(i), s})
			}
		}),
		`20001 files or records, and 20000 are allowed`: manifest(func(m *Manifest) { m.Files = make([]File, 20001) }),
		`it is of format 2`:                             manifest(func(m *Manifest) { m.Format = 2 }),
		`names no folder of a record`:                   manifest(func(m *Manifest) { m.Records = []Record{{Name: "x", Folder: "../x"}} }),
		`the record "y" is there twice`:                 manifest(func(m *Manifest) { m.Records = []Record{{Name: "x", Folder: "x"}, {Name: "y", Folder: "X"}} }),
		`unknown field "more"`:                          []byte(`{"format": 1, "more": 1}`),
		`something behind its end`:                      append(manifest(func(*Manifest) {}), "{}"...),
	} {
		if _, err := parseManifest(b); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestWrite refuses files that change while they are packed, and a run that goes on.
func TestWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	grown := writerFunc(func(p []byte) (int, error) {
		return len(p), os.WriteFile(file, []byte("behind"), 0o644)
	})
	if err := Write(grown, &Manifest{Records: []Record{}}, []Source{{Path: "a", File: file}}, nil); !errors.Is(err, errChanged) {
		t.Errorf("one that changes: %v", err)
	}
	if err := Write(io.Discard, &Manifest{Records: []Record{}}, []Source{{Path: "a"}, {Path: "a"}}, nil); err == nil {
		t.Error("one name twice is packed")
	}
	c := contents(t)
	c.Found.Rehearsals["launch-eu-west-2"]["shop"][0].Running = true
	if _, err := Pack(io.Discard, c, nil); err == nil || !strings.Contains(err.Error(), "goes on") {
		t.Errorf("a run that goes on: %v", err)
	}
}

// TestUnread packs a record that cannot be judged: it says so, and verifies; a copy that is not whole is not packed.
func TestUnread(t *testing.T) {
	c := contents(t)
	dir := c.Found.Dirs["day"]
	if err := os.Truncate(filepath.Join(dir, report.PlanFile), 100); err != nil {
		t.Fatal(err)
	}
	runs := filepath.Dir(dir)
	var err error
	if c.Found, err = kept.Scan(runs, nil); err != nil {
		t.Fatal(err)
	}
	b := packed(t, c, nil)
	r := verify(t, b)
	if r.Exit != 0 || r.Derived != 2 || r.State == rehearsals.Go || !strings.Contains(strings.Join(r.Why, " "), "the record day cannot be judged: reading plan.json:") {
		t.Errorf("%+v", r)
	}
	if err := os.WriteFile(filepath.Join(dir, report.BegunMark), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(io.Discard, c, nil); !errors.Is(err, report.ErrHalfCopied) {
		t.Errorf("a copy that is not whole: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestSums holds the sums to what crypto/sha256 says, however the bytes come.
func TestSums(t *testing.T) {
	b := bytes.Repeat([]byte("0123456789"), 20000)
	s := newSummer()
	for rest := b; len(rest) > 0; {
		n := min(len(rest), 4099)
		_, _ = s.Write(rest[:n])
		rest = rest[n:]
	}
	got, whole := s.sums(), sha256.Sum256(b)
	if got.SHA256 != hex.EncodeToString(whole[:]) || got.Size != 200000 || len(got.Blocks) != 4 || got.check() != nil {
		t.Errorf("%+v", got)
	}
	if one := sumsOfBytes(b); fmt.Sprint(one) != fmt.Sprint(got) {
		t.Errorf("%+v at once", one)
	}
}

// FuzzRead reads anything, and anything made of a bundle: it ends, takes bounded memory, and never finds nothing in what was changed.
func FuzzRead(f *testing.F) {
	b := small(f)
	f.Add(b, 0, byte(0))
	f.Add(b, 40, byte(1))
	f.Add(b, len(b)-4, byte(0x80))
	f.Add(b[:len(b)/2], 9, byte(3))
	f.Fuzz(func(t *testing.T, data []byte, at int, flip byte) {
		if at >= 0 && at < len(data) {
			data = bytes.Clone(data)
			data[at] ^= flip
		}
		a, err := Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		if len(a.Findings) == 0 { // then it is what its manifest makes of its files, to the byte
			var again bytes.Buffer
			var sources []Source
			for _, file := range a.Manifest.Files {
				text, err := a.content(file.Path, maxArchive)
				if err != nil {
					t.Fatal(err)
				}
				sources = append(sources, Source{Path: file.Path, Data: text})
			}
			var sign func([]byte) ([]byte, error)
			if a.signature != nil {
				sign = func([]byte) ([]byte, error) { return a.signature, nil }
			}
			m := *a.Manifest
			if err := Write(&again, &m, sources, sign); err != nil || !bytes.Equal(again.Bytes(), data) {
				t.Fatalf("nothing is found in what no packing makes: %v", err)
			}
		}
		if _, err := json.Marshal(a.Findings); err != nil {
			t.Fatal(err)
		}
	})
}
