package child

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("x", 999) + "\n")
	for range 10_000 {
		if _, err := l.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Write([]byte("the last words\n")); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(l.Tail(), "the last words\n") {
		t.Error("the tail is not the end")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 1<<20 || !strings.HasSuffix(string(b), "the last words\n") ||
		!strings.Contains(string(b), "bytes left out") {
		t.Errorf("10 MB of log became %d bytes, ending in %q", len(b), b[len(b)-20:])
	}
}
