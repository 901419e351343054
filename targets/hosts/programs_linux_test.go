package hosts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gameday/targets/hosts"
)

// TestScripts finds what runs scripts on a host: for its kind of machine, beside the others, in $PATH, and nowhere.
func TestScripts(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	uname, err := exec.Command("uname", "-m").Output()
	if err != nil {
		t.Fatal(err)
	}
	machine := strings.TrimSpace(string(uname))
	folder, path := t.TempDir(), t.TempDir()
	t.Setenv(hosts.GuardsVariable, folder)
	t.Setenv("PATH", path)
	link := func(dir string) {
		t.Helper()
		if err := os.Symlink(self, filepath.Join(dir, "gameday-k6")); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := hosts.Scripts().For(machine); err == nil || !strings.Contains(err.Error(), "there is no program for k6 scripts for linux/") ||
		!strings.Contains(err.Error(), "go build -ldflags '-s -w' -o "+folder+"/gameday-k6-linux-") || !strings.HasSuffix(err.Error(), " ./cmd/gameday-k6") {
		t.Errorf("found %+v, and %v", p, err)
	}
	for _, dir := range []string{path, folder} { // what lies beside the others comes first
		link(dir)
		p, err := hosts.Scripts().For(machine)
		if err != nil || p.Path != filepath.Join(dir, "gameday-k6") || !strings.HasPrefix(p.Name(), "gameday-k6-") {
			t.Errorf("found %+v as %s, and %v", p, p.Name(), err)
		}
	}
	other := "aarch64"
	if machine == other {
		other = "x86_64"
	}
	for version, flags := range map[string]string{"": "'-s -w'", "v1.2.0": `'-s -w -X "main.version=v1.2.0"'`, "commit 0123456789ab": `'-s -w -X "main.version=commit 0123456789ab"'`} {
		for _, programs := range []*hosts.Programs{hosts.Scripts(), hosts.Generators()} {
			programs.Version = version
			// What is built by that line is of the version that it is held to.
			if p, err := programs.For(other); err == nil || !strings.Contains(err.Error(), "go build -ldflags "+flags+" -o ") {
				t.Errorf("for another kind of machine, of version %q: %s, %v", version, p.Path, err)
			}
		}
	}
}
