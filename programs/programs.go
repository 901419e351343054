// Package programs is what gameday's programs know of each other: where one finds another, and which version each is of.
package programs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

// ErrMissing is wrapped when a program is nowhere to be found.
var ErrMissing = errors.New("is not there")

// Find returns the file of a program of gameday's: the one beside this program, or else the first in $PATH. An error that wraps ErrMissing
// says where it was looked for.
func Find(name string) (string, error) {
	var looked []string
	self, err := os.Executable()
	if err == nil {
		if real, err := filepath.EvalSymlinks(self); err == nil {
			self = real
		}
		beside := filepath.Join(filepath.Dir(self), name)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return beside, nil
		}
		looked = append(looked, "in "+filepath.Dir(self))
	}
	path, err := exec.LookPath(name)
	if err == nil {
		return filepath.Abs(path)
	}
	looked = append(looked, "in $PATH")
	if !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("finding %s: %w", name, err)
	}
	return "", fmt.Errorf("%s %w: looked %s", name, ErrMissing, strings.Join(looked, " and "))
}

// Version returns the version of this program: the one that its build was given, or else the commit that it was built from, or else
// "development".
func Version(given string) string {
	if given != "" {
		return given
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "commit " + s.Value[:12]
			}
		}
	}
	return development
}

const development = "development"

// Same reports whether two programs are of one version. One that does not know its own is taken to be of the other's.
func Same(a, b string) bool {
	unknown := []string{"", "unknown", "(devel)", development}
	return a == b || slices.Contains(unknown, a) || slices.Contains(unknown, b)
}
