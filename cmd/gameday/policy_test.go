package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestMachinePolicyCounts checks which policies count. One of the machine that leads nowhere is not none.
func TestMachinePolicyCounts(t *testing.T) {
	old := machinePolicy
	t.Cleanup(func() { machinePolicy = old })
	t.Setenv(policyVariable, "")
	dir := t.TempDir()
	there := filepath.Join(dir, "there.hcl")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := func(name, to string) string {
		path := filepath.Join(dir, name)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	dangling, good := link("dangling.hcl", filepath.Join(dir, "nothing")), link("good.hcl", there)
	for name, tc := range map[string]struct {
		machine, named string
		want           []string
	}{
		"none":               {filepath.Join(dir, "none.hcl"), "", nil},
		"a file":             {there, "", []string{there}},
		"a link":             {good, "", []string{good}},
		"a link to nothing":  {dangling, "", []string{dangling}},
		"the same by a link": {there, good, []string{there}},
		"and another":        {dangling, there, []string{dangling, there}},
	} {
		machinePolicy = tc.machine
		if got := (&fence{policy: tc.named}).files(); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}
