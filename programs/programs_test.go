package programs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFind looks in $PATH, where only a program that may be run counts, and says where it looked.
func TestFind(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	t.Setenv("PATH", dir+string(os.PathListSeparator)+other)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if beside, err := Find(filepath.Base(self)); err != nil || filepath.Base(beside) != filepath.Base(self) {
		t.Errorf("what lies beside this program is %q, %v", beside, err)
	}
	const name = "gameday-of-a-test"
	write := func(dir string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write(dir, 0o644)
	_, err = Find(name)
	if !errors.Is(err, ErrMissing) || !strings.HasPrefix(err.Error(), name+" is not there: looked in "+filepath.Dir(self)) ||
		!strings.HasSuffix(err.Error(), " and in $PATH") {
		t.Errorf("of a file that cannot be run it says %v", err)
	}
	want := write(other, 0o755)
	if got, err := Find(name); got != want || err != nil {
		t.Errorf("found %q, %v; want %q", got, err, want)
	}
}

func TestVersion(t *testing.T) {
	if got := Version("v1.2.0"); got != "v1.2.0" {
		t.Errorf("a build that was given v1.2.0 says %q", got)
	}
	if got := Version(""); got != development && !strings.HasPrefix(got, "commit ") {
		t.Errorf("a build that was given nothing says %q", got)
	}
}

func TestSame(t *testing.T) {
	for _, row := range []struct {
		a, b string
		same bool
	}{
		{"v1.2.0", "v1.2.0", true}, {"v1.2.1", "v1.2.0", false}, {"v1.2.0", "v1.2.0-dirty", false}, {"commit 0123456789ab", "v1.2.0", false},
		{"(devel)", "v1.2.0", true}, {"v1.2.0", "unknown", true}, {"", "v1.2.0", true}, {"v1.2.0", "development", true},
	} {
		if Same(row.a, row.b) != row.same || Same(row.b, row.a) != row.same {
			t.Errorf("%s and %s: want %v", row.a, row.b, row.same)
		}
	}
}
