package guard

import (
	"slices"
	"testing"
)

func TestLacking(t *testing.T) {
	for status, want := range map[string][]string{
		"Name:\tx\nCapEff:\t000001ffffffffff\n": nil,
		"CapEff:\t0000000000000000\n":           {"CAP_KILL", "CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_SYS_RESOURCE"},
		"CapEff:\t0000000000001020\n":           {"CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_SYS_RESOURCE"},
		"CapEff:\tnothing\n":                    nil,
		"":                                      nil,
	} {
		if got := lacking(status); !slices.Equal(got, want) {
			t.Errorf("%q lacks %v, want %v", status, got, want)
		}
	}
}
