package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func openTestLog(t *testing.T, dir *os.File, limit int64) *logFile {
	t.Helper()
	l, err := openLog(int(dir.Fd()), "x.log", limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.file.Close() })
	return l
}

func TestLogIsBounded(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	l := openTestLog(t, dir, 100)
	for i := range 50 {
		if n, err := fmt.Fprintf(l, "line %02d\n", i); n != 8 || err != nil {
			t.Fatalf("line %d: %d, %v", i, n, err)
		}
	}
	again := openTestLog(t, dir, 100) // after a boot
	again.note("started")
	b, err := os.ReadFile(filepath.Join(dir.Name(), "x.log"))
	if err != nil {
		t.Fatal(err)
	}
	want := "line 11\nline\ngameday: this log ends here, at its limit of 100 bytes; the process goes on\n"
	if got := string(b); !strings.HasSuffix(got, want) || !strings.HasPrefix(got, "line 00\n") || len(got) != 100+77 {
		t.Errorf("the log of %d bytes is\n%s", len(got), got)
	}
}

func TestLogTail(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	l := openTestLog(t, dir, 1<<20)
	fmt.Fprint(l, "one\ntwo\n")
	if got := l.tail(10); got != "  one\n  two" {
		t.Errorf("tail of a short log: %q", got)
	}
	fmt.Fprint(l, strings.Repeat("long ", 2000), "\nlast but one\nlast")
	if got := l.tail(2); got != "  last but one\n  last" {
		t.Errorf("tail of a long log: %q", got)
	}
	if got := l.tail(10); got != "  last but one\n  last" {
		t.Errorf("tail has half a line: %.60q", got)
	}
}

func TestLogDoesNotFollowLinks(t *testing.T) {
	folder := t.TempDir()
	elsewhere := filepath.Join(t.TempDir(), "victim")
	if err := os.Symlink(elsewhere, filepath.Join(folder, "x.log")); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, err := openLog(int(dir.Fd()), "x.log", 100); err == nil {
		t.Error("a link was followed")
	}
	if _, err := os.Lstat(elsewhere); err == nil {
		t.Error("a file was made elsewhere")
	}
}
