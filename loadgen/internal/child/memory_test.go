package child

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"

	"gameday/loadgen"
	"gameday/sizes"
)

func TestGroupMemory(t *testing.T) {
	for _, test := range []struct {
		name, own string
		files     map[string]string // below the root
		want      uint64
	}{
		{"version 2, the lowest above", "0::/a/b\n", map[string]string{"a/b/memory.max": "max\n", "a/memory.max": "3000\n", "memory.max": "5000\n"}, 3000},
		{"version 1", "5:cpu:/x\n4:memory:/a\n", map[string]string{"memory/a/memory.limit_in_bytes": "700\n", "x/memory.max": "1\n"}, 700},
		{"a container that sees its own group as the top", "4:memory:/elsewhere\n", map[string]string{"memory/memory.limit_in_bytes": "800\n"}, 800},
		{"both", "4:memory:/a\n0::/\n", map[string]string{"memory/a/memory.limit_in_bytes": "900\n", "memory.max": "600\n"}, 600},
		{"version 1 without a limit", "4:memory:/a\n", map[string]string{"memory/a/memory.limit_in_bytes": "9223372036854771712\n"}, sizes.Max},
		{"none", "0::/\n", nil, sizes.Max},
		{"something else", "what\n", map[string]string{"memory.max": "1\n"}, sizes.Max},
	} {
		dir := t.TempDir()
		write := func(name, text string) string {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
		own := write("own", test.own)
		for name, text := range test.files {
			write(filepath.Join("root", name), text)
		}
		if got := groupMemory(own, filepath.Join(dir, "root")); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
	if got := groupMemory("/no/such/file", "/"); got != sizes.Max {
		t.Errorf("without control groups: %d", got)
	}
}

// Every process is told some bound, and several streams share what one alone may have.
func TestBound(t *testing.T) {
	if got := Bound(loadgen.Spec{Memory: 123, Sharing: 4}); got != 123 {
		t.Errorf("what the spec says is %d", got)
	}
	whole := Bound(loadgen.Spec{})
	if runtime.GOOS == "linux" && (whole < 64e6 || whole > machineMemory()/2) {
		t.Errorf("of a machine with %s one stream may have %s", sizes.Show(machineMemory()), sizes.Show(whole))
	}
	if part := Bound(loadgen.Spec{Sharing: 4}); part != whole/4 {
		t.Errorf("of four streams each may have %d, and one alone %d", part, whole)
	}
}

// What a process holds goes up with what it takes.
func TestHeldMemory(t *testing.T) {
	debug.FreeOSMemory() // else what other tests have left goes away meanwhile
	before := heldMemory()
	block := make([]byte, 64<<20)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	if more := heldMemory(); more < before+60<<20 {
		t.Errorf("with 64 MiB more a process holds %s, and %s before", sizes.Show(more), sizes.Show(before))
	}
	runtime.KeepAlive(block)
	if goMemory() < 64<<20 {
		t.Error("the runtime knows nothing of it")
	}
}
