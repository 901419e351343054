package netns_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gameday/faults/internal/netns"
)

// TestKeptWords reads what GAMEDAY_KEEP may hold, and refuses what would otherwise be kept by nobody.
func TestKeptWords(t *testing.T) {
	block := netip.MustParsePrefix
	for text, want := range map[string]*netns.Kept{
		"192.0.2.1":           {Block: block("192.0.2.1/32")},
		"192.0.2.1:9090":      {Block: block("192.0.2.1/32"), Ports: []uint16{9090}},
		"192.0.2.77/24":       {Block: block("192.0.2.0/24")},
		"[fd00::1]:22":        {Block: block("fd00::1/128"), Ports: []uint16{22}},
		"::ffff:192.0.2.1":    {Block: block("192.0.2.1/32")},
		"prometheus":          {Name: "prometheus"},
		"a.example.com.":      {Name: "a.example.com"},
		"a_b-c.example:9090":  {Name: "a_b-c.example"},
		"1.2.3.example":       {Name: "1.2.3.example"},
		"192.0.2.300":         nil,
		"192.0.2.0/99":        nil,
		"a b":                 nil,
		"a..example":          nil,
		"https://a.example":   nil,
		"a.example:http":      nil,
		"fe80::1%eth0":        nil,
		"::ffff:192.0.2.0/96": nil,
	} {
		got, err := netns.KeptWords(func(string) string { return " , " + text + " ," })
		if want == nil {
			if err == nil {
				t.Errorf("%q is read as %+v", text, got)
			}
			continue
		}
		want.Why = text + " of GAMEDAY_KEEP"
		if diff := cmp.Diff([]netns.Kept{*want}, got, cmpopts.EquateComparable(netip.Prefix{})); err != nil || diff != "" {
			t.Errorf("%q: %v %s", text, err, diff)
		}
	}
	if got, err := netns.KeptWords(func(string) string { return "" }); err != nil || got != nil {
		t.Errorf("nothing: %v, %v", got, err)
	}
}

func FuzzKeptWords(f *testing.F) {
	for _, seed := range []string{"192.0.2.1:1,a.example", "[::1]:0", "a:,:1", "1.2.3.4/0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := netns.KeptWords(func(string) string { return text })
		for _, k := range list {
			if err == nil && k.Block.IsValid() == (k.Name != "") {
				t.Errorf("%q: %+v is neither addresses nor a name, or both", text, k)
			}
		}
	})
}
