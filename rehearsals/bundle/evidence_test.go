package bundle

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gameday/report"
)

// TestEvidenceIsPacked: files that people attached to a run are in the bundle, held to their sums as everything is; parts of files that
// never came whole are not.
func TestEvidenceIsPacked(t *testing.T) {
	c := contents(t)
	content, file := bytes.Repeat([]byte("what ann saw\n"), 1000), strings.Repeat("7e", 32)+".txt"
	for name, dir := range c.Found.Dirs {
		if !strings.HasSuffix(name, "second") {
			continue
		}
		dir = filepath.Join(dir, report.EvidenceFolder)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string][]byte{file: content, ".part-17": []byte("half")} {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	b := packed(t, c, nil)
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, f := range z.File {
		if !strings.Contains(f.Name, "/evidence/") {
			continue
		}
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(in)
		if found++; err != nil || f.Name != "records/later-second/evidence/"+file || !bytes.Equal(got, content) {
			t.Errorf("%s: %v, %d bytes", f.Name, err, len(got))
		}
	}
	if found != 1 {
		t.Errorf("%d files of evidence are packed", found)
	}
	if r := verify(t, b); r.Exit != 0 {
		t.Errorf("the bundle does not verify: %+v", r)
	}
}
