package sizes

import "testing"

func TestParse(t *testing.T) {
	for text, want := range map[string]uint64{
		"1B": 1, "512MB": 512e6, "512MiB": 512 << 20, " 1.5 GB ": 15e8, "2TiB": 2 << 40, "0.5KB": 500, "3KiB": 3 << 10,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MB", "-1MB", "0MB", "2", "2 bytes", "0.1B", "1e30TB", "NaNB"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestShow(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1.00 kB", 64e6: "64.0 MB", 1 << 20: "1.05 MB",
		999_999: "1.00 MB", 43_750_000_000: "43.8 GB", 5e15: "5000 TB"} {
		if got := Show(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// FuzzParse reads anything: no size is 0 or too large to be added up.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"512MB", "1.5GiB", "10%", "1e3KB", "0x10MB", "NaNB", "1e400TB", "MB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := Parse(text); err == nil && (n == 0 || n > Max) {
			t.Errorf("%q is %d", text, n)
		}
	})
}
