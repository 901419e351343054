package child

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

func TestGroupCores(t *testing.T) {
	for _, test := range []struct {
		name, own string
		files     map[string]string // below the root
		want      float64
	}{
		{"version 2, the lowest above", "0::/a/b\n", map[string]string{"a/b/cpu.max": "max 100000\n", "a/cpu.max": "50000 100000\n", "cpu.max": "400000 100000\n"}, 0.5},
		{"version 1", "5:cpu,cpuacct:/x\n4:memory:/a\n", map[string]string{"cpu/x/cpu.cfs_quota_us": "150000\n", "cpu/x/cpu.cfs_period_us": "100000\n"}, 1.5},
		{"version 1 without a limit", "5:cpu:/\n", map[string]string{"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.Inf(1)},
		{"none", "0::/\n", map[string]string{}, math.Inf(1)},
		{"something else", "0::/\n", map[string]string{"cpu.max": "0 0\n"}, math.Inf(1)},
	} {
		dir := t.TempDir()
		own := filepath.Join(dir, "own")
		test.files["../own"] = test.own
		for name, text := range test.files {
			path := filepath.Join(dir, "root", name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := groupCores(own, filepath.Join(dir, "root")); got != test.want {
			t.Errorf("%s: %g, want %g", test.name, got, test.want)
		}
	}
	if n := cores(); !(n > 0) || n > 1e6 {
		t.Errorf("this process may use %g cores", n)
	}
}
