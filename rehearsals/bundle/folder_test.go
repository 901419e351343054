package bundle

import (
	"archive/zip"
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "make the bundle of TestEarlier, if there is none")

// unpacked unpacks a bundle as any unzip does.
func unpacked(t *testing.T, b []byte) string {
	t.Helper()
	dir := t.TempDir()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err == nil {
		err = os.CopyFS(dir, z)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// spoil changes a file of a folder.
func spoil(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(b), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// flipped changes one byte.
func flipped(at int) func([]byte) []byte {
	return func(b []byte) []byte {
		b = bytes.Clone(b)
		b[(at+len(b))%len(b)] ^= 0x01
		return b
	}
}

// TestFolder verifies an unpacked bundle with the same words as the archive, and finds what was changed in it, taken out of it and put into it.
func TestFolder(t *testing.T) {
	b := packed(t, contents(t), func([]byte) ([]byte, error) { return []byte("signature\n"), nil })
	for name, x := range map[string]struct {
		spoil func(dir string)
		want  []string // findings, or the error; empty is none
	}{
		"as it was": {func(string) {}, nil},
		"a byte of a record": {func(dir string) { spoil(t, filepath.Join(dir, "records/day/record.jsonl"), flipped(4711)) },
			[]string{"records/day/record.jsonl: byte 4711 (line "}},
		"the last byte of a report": {func(dir string) { spoil(t, filepath.Join(dir, "reports/day/report.html"), flipped(-1)) }, []string{"reports/day/report.html: byte "}},
		"a byte of the manifest":    {func(dir string) { spoil(t, filepath.Join(dir, ManifestFile), flipped(20)) }, []string{"manifest.json: byte 20 (line 3, column 4): it is 's', and was 'r'"}},
		"a byte of the signature":   {func(dir string) { spoil(t, filepath.Join(dir, SignatureFile), flipped(0)) }, []string{"manifest.json.sig: byte 0 (line 1, column 1): it is 'r', and was 's'"}},
		"a byte of the seal":        {func(dir string) { spoil(t, filepath.Join(dir, SealFile), flipped(-1)) }, []string{"seal.json: byte "}},
		"two bytes": {func(dir string) {
			spoil(t, filepath.Join(dir, AuditFile), flipped(0))
			spoil(t, filepath.Join(dir, AuditFile), flipped(5))
		}, []string{"audit/audit.jsonl: bytes 0 to 14 (lines 1 to 1): more than one byte was changed"}},
		"cut off": {func(dir string) {
			spoil(t, filepath.Join(dir, "records/day/record.jsonl"), func(b []byte) []byte { return b[:len(b)-3] })
		}, []string{"records/day/record.jsonl: bytes ", " bytes, and had "}},
		"longer": {func(dir string) {
			spoil(t, filepath.Join(dir, AuditFile), func(b []byte) []byte { return append(b, "more\n"...) })
		}, []string{"audit/audit.jsonl: bytes 0 to 19 (lines 1 to 2): it has 20 bytes, and had 15"}},
		"emptied":                  {func(dir string) { spoil(t, filepath.Join(dir, AuditFile), func([]byte) []byte { return nil }) }, []string{"audit/audit.jsonl: it is empty, and had 15 bytes"}},
		"a file is gone":           {func(dir string) { os.Remove(filepath.Join(dir, AuditFile)) }, []string{"audit/audit.jsonl: it is not there"}},
		"the seal is gone":         {func(dir string) { os.Remove(filepath.Join(dir, SealFile)) }, []string{"seal.json: it is not there"}},
		"the signature is gone":    {func(dir string) { os.Remove(filepath.Join(dir, SignatureFile)) }, []string{"manifest.json.sig: it is not there, and the bundle was signed"}},
		"a file more":              {func(dir string) { os.WriteFile(filepath.Join(dir, "records/day/more"), nil, 0o644) }, []string{"records/day/more: it is not in the bundle, and lies in its folder"}},
		"a link instead of a file": {func(dir string) { relink(t, filepath.Join(dir, AuditFile), "/etc/hostname") }, []string{"audit/audit.jsonl: it cannot be read: it is no plain file"}},
		"the manifest is gone":     {func(dir string) { os.Remove(filepath.Join(dir, ManifestFile)) }, []string{"it has no manifest.json, and is no folder that a bundle was unpacked into"}},
		"two bytes of the manifest": {func(dir string) {
			spoil(t, filepath.Join(dir, ManifestFile), func(b []byte) []byte { return bytes.Replace(b, []byte(`"by": "ann"`), []byte(`"by": "bob"`), 1) })
		}, []string{"seal.json: it does not belong to this manifest.json"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := unpacked(t, b)
			x.spoil(dir)
			a, err := ReadFolder(dir)
			var said []string
			if err != nil {
				said = append(said, err.Error())
			} else {
				defer a.Close()
				for _, f := range a.Findings {
					said = append(said, f.String())
					if f.Archive != -1 {
						t.Errorf("%s is at byte %d of an archive", f, f.Archive)
					}
				}
			}
			got := strings.Join(said, "\n")
			for _, want := range x.want {
				if !strings.Contains(got, want) {
					t.Errorf("it says\n%s\nand not %q", got, want)
				}
			}
			if most := min(len(x.want), 1); len(said) != most {
				t.Errorf("it says %d things:\n%s", len(said), got)
			}
		})
	}
}

func relink(t *testing.T, path, to string) {
	t.Helper()
	if err := errors.Join(os.Remove(path), os.Symlink(to, path)); err != nil {
		t.Fatal(err)
	}
}

// TestVerifyFolder says of a folder what Verify says of the archive.
func TestVerifyFolder(t *testing.T) {
	b := packed(t, contents(t), nil)
	dir := unpacked(t, b)
	words := func(r *Result, err error) string {
		t.Helper()
		var out strings.Builder
		if err == nil {
			err = Text(&out, "b", r)
		}
		if err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if archive, folder := words(verify(t, b), nil), words(VerifyFolder(t.Context(), dir, testVersion, "")); archive != folder || !strings.Contains(folder, " WHOLE ") {
		t.Errorf("of the archive:\n%s\nof the folder:\n%s", archive, folder)
	}
	spoil(t, filepath.Join(dir, "records/day/plan.json"), func(p []byte) []byte { return bytes.Replace(p, []byte(`"pass": 80`), []byte(`"pass": 50`), 1) })
	r, err := VerifyFolder(t.Context(), dir, testVersion, "")
	if got := words(r, err); r.Exit != 1 || !strings.Contains(got, "records/day/plan.json: byte ") || !strings.Contains(got, "it is '5', and was '8'") ||
		!strings.Contains(got, "reports/day/scorecard.json: $.pass: it is 80") {
		t.Errorf("%d:\n%s", r.Exit, got)
	}
	if _, err := VerifyFolder(t.Context(), filepath.Join(dir, "nowhere"), testVersion, ""); err == nil {
		t.Error("a folder that is not there is verified")
	}
}

// repacked packs what an archive has again, as of another version, with some files changed.
func repacked(t *testing.T, a *Archive, version string, change map[string]func([]byte) []byte) []byte {
	t.Helper()
	m := *a.Manifest
	m.Version = version
	var sources []Source
	for _, f := range a.Manifest.Files {
		text, err := a.content(f.Path, maxArchive)
		if err != nil {
			t.Fatal(err)
		}
		if c := change[f.Path]; c != nil {
			text = c(text)
		}
		sources = append(sources, Source{Path: f.Path, Data: text})
	}
	var out bytes.Buffer
	if err := Write(&out, &m, sources, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestOtherVersion takes what another gameday packed for no more and no less than it is.
func TestOtherVersion(t *testing.T) {
	b := packed(t, contents(t), nil)
	a, err := Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	page := map[string]func([]byte) []byte{"reports/day/report.html": func(b []byte) []byte {
		return bytes.Replace(b, []byte("<footer>"), []byte("<footer class=\"new\">"), 1)
	}}
	judged := map[string]func([]byte) []byte{"reports/day/scorecard.json": func(b []byte) []byte { return bytes.Replace(b, []byte(`"low": `), []byte(`"low": 1`), 1) }}
	over := map[string]func([]byte) []byte{ScorecardFile: func(b []byte) []byte {
		return regexp.MustCompile(`"state": "[^"]+"`).ReplaceAll(b, []byte(`"state": "go"`))
	}}
	for name, x := range map[string]struct {
		version  string
		change   map[string]func([]byte) []byte
		verifier string
		exit     int
		same     bool
		want     []string
	}{
		"nothing differs":           {"v1", nil, "v2", 0, true, []string{" WHOLE "}},
		"pages alone":               {"v1", page, "v2", 3, true, []string{" NOT CERTAIN ", "every judgement, over all and of 3 records, follows from the records, to the byte", "this is gameday v2, and v1 packed them", "reports/day/report.html: line "}},
		"pages of the same version": {"v1", page, "v1", 1, true, []string{" CHANGED ", "what is packed is not what follows from the records"}},
		"a judgement":               {"v1", judged, "v2", 3, false, []string{" NOT CERTAIN ", "this is gameday v2, and v1 packed them", "only the gameday that packed them can tell", "$.low"}},
		"what it says over all":     {"v1", over, "v2", 3, false, []string{" NOT CERTAIN ", "says go, by the scorecard in it; no-go, as this gameday judges its records, when it was packed."}},
		"a build without a version": {"development", page, "development", 3, true, []string{" NOT CERTAIN ", "one that calls itself so packed them, which need not be the same"}},
		"sources not committed":     {"v1-3-gabc-dirty", page, "v1-3-gabc-dirty", 3, true, []string{" NOT CERTAIN "}},
	} {
		t.Run(name, func(t *testing.T) {
			z := repacked(t, a, x.version, x.change)
			r, err := Verify(t.Context(), bytes.NewReader(z), int64(len(z)), x.verifier, "")
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if err := Text(&out, "b.zip", r); err != nil {
				t.Fatal(err)
			}
			if r.Exit != x.exit || r.SameJudged != x.same || len(r.Changed) > 0 {
				t.Errorf("exit code %d, judgements the same %v, changed %v", r.Exit, r.SameJudged, r.Changed)
			}
			for _, want := range x.want {
				if text := strings.Join(strings.Fields(out.String()), " "); !strings.Contains(" "+text, strings.TrimSuffix(want, " ")) {
					t.Errorf("it says\n%s\nand not %q", out.String(), want)
				}
			}
		})
	}
	t.Run("a manifest of another format", func(t *testing.T) {
		for _, change := range []struct{ was, is string }{{`"format": 1`, `"format": 2`}, {`"rehearsal": `, `"region": "eu", "rehearsal": `}} {
			m := bytes.Replace(a.manifest, []byte(change.was), []byte(change.is), 1)
			z := resealed(t, a, m)
			_, err := Read(bytes.NewReader(z), int64(len(z)))
			var other *VersionError
			if !errors.As(err, &other) || other.Packed != testVersion || !strings.Contains(err.Error(), "verify it with gameday test") {
				t.Errorf("%s: %v", change.is, err)
			}
			z[localLen+len(ManifestFile)+len(m)-2] ^= 0x55 // not as it was sealed any more, in more than one byte
			z[localLen+len(ManifestFile)+len(m)-3] ^= 0x55
			if _, err := Read(bytes.NewReader(z), int64(len(z))); err == nil || errors.As(err, &other) {
				t.Errorf("%s, changed: %v", change.is, err)
			}
		}
	})
}

// resealed makes an archive of a manifest that this gameday does not understand, and its seal.
func resealed(t *testing.T, a *Archive, manifest []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	entries := layout(a.Manifest, manifest, nil)
	for _, e := range entries {
		b.Write(e.local())
		switch e.name {
		case ManifestFile:
			b.Write(manifest)
		case SealFile:
			b.Write(sealOf(manifest, nil))
		default:
			r, _ := a.Open(e.name)
			if _, err := io.Copy(&b, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.Write(directory(entries))
	return b.Bytes()
}

// TestEarlier reads a bundle that an earlier gameday packed, of before this test was run for the first time: what is kept for years is read then.
func TestEarlier(t *testing.T) {
	const file = "testdata/format1.zip"
	if *update {
		if _, err := os.Stat(file); err != nil { // it is never made again
			if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(file, small(t), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	a, err := Read(bytes.NewReader(b), int64(len(b)))
	if err != nil || len(a.Findings) > 0 || a.Manifest.By != "ann" || string(a.signature) != "signature\n" {
		t.Errorf("%v, %+v", err, a)
	}
}
