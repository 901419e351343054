package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNotice posts a notice, which nobody takes while its lab lives, and which is found, kept and withdrawn after that.
func TestNotice(t *testing.T) {
	dir := t.TempDir()
	posted, err := PostNotice(dir, "/record/ledger")
	if err != nil {
		t.Fatal(err)
	}
	if gone, err := Gone(dir); err != nil || len(gone) != 0 {
		t.Fatalf("a living lab: %v, %v", gone, err)
	}
	if err := posted.Release(); err != nil {
		t.Fatal(err)
	}
	gone, err := Gone(dir)
	if err != nil || len(gone) != 1 || gone[0].Ledger != "/record/ledger" || gone[0].Path() != posted.Path() || !gone[0].Posted.Equal(posted.Posted) {
		t.Fatalf("a lab that is gone: %+v, %v", gone, err)
	}
	if again, err := Gone(dir); err != nil || len(again) != 0 {
		t.Errorf("one that somebody looks after: %+v, %v", again, err)
	}
	if err := gone[0].Release(); err != nil {
		t.Fatal(err)
	}
	if gone, err = Gone(dir); err != nil || len(gone) != 1 {
		t.Fatalf("kept: %+v, %v", gone, err)
	}
	if err := gone[0].Withdraw(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if gone, err := Gone(filepath.Join(dir, "none")); err != nil || len(gone) != 0 {
		t.Errorf("without a folder: %v, %v", gone, err)
	}
}

// TestBadNotices meets files that are no notices: each is named, none is taken for a lab, and none is removed.
func TestBadNotices(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"torn":     func(path string) error { return os.WriteFile(path, []byte(`{"ledg`), 0o600) },
		"relative": func(path string) error { return os.WriteFile(path, []byte(`{"ledger":"rec/ledger"}`), 0o600) },
		"folder":   func(path string) error { return os.Mkdir(path, 0o700) },
		"link":     func(path string) error { return os.Symlink("/etc/passwd", path) },
	} {
		path := filepath.Join(t.TempDir(), "x.lab")
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		gone, err := Gone(filepath.Dir(path))
		if err == nil || len(gone) != 0 || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v", name, gone, err)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := PostNotice(filepath.Join(t.TempDir(), "none"), "/x"); err == nil {
		t.Error("a notice is posted in a folder that is not there")
	}
}
