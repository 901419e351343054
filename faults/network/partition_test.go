package network

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gameday/faults"
)

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestValidate(t *testing.T) {
	tests := map[string]struct {
		config Partition
		fields []string // of the errors, in order
		want   string
	}{
		"empty": {Partition{}, nil, ""},
		"all right": {Partition{Direction: "in", Action: "reject", To: []string{"198.18.0.1", "fd00::/8"},
			Ports: []int{80}}, nil, ""},
		"all wrong": {Partition{Direction: "ou", Action: "rejekt", To: []string{"198.18.0.300", "198.18.0.0/33"},
			Ports: []int{0, 70000}},
			[]string{"direction", "action", "to", "to", "ports", "ports"}, `Did you mean "out"?`},
		"zone":   {Partition{To: []string{"fe80::1%eth0"}}, []string{"to"}, "nor a host name"},
		"mapped": {Partition{To: []string{"::ffff:198.18.0.0/120"}}, []string{"to"}, "neither an IP address"},
		"names":  {Partition{To: []string{"ledger", "db.example.com."}}, nil, ""},
	}
	for name, tt := range tests {
		err := tt.config.Validate()
		got := fieldsOf(t, err)
		if !slices.Equal(got, tt.fields) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fieldsOf returns the fields that a validation complains of, in order.
func fieldsOf(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []string
		for _, e := range joined.Unwrap() {
			all = append(all, fieldsOf(t, e)...)
		}
		return all
	}
	var field *faults.FieldError
	if !errors.As(err, &field) {
		t.Fatalf("%v is not a field error", err)
	}
	return []string{field.Field}
}

func TestBindRefuses(t *testing.T) {
	here := &faults.Namespace{Inode: 1, Device: 2}
	own := addrs("198.18.0.1")
	peer := []faults.Peer{{Name: "ledger", Addresses: addrs("198.18.0.2")}}
	tests := map[string]struct {
		config Partition
		place  faults.Place
		want   string
	}{
		"no network": {Partition{}, faults.Place{Peers: peer}, "none is known"},
		"nothing":    {Partition{}, faults.Place{Network: here}, "Nothing to hit"},
		"peer unknown": {Partition{}, faults.Place{Network: here,
			Peers: []faults.Peer{{Name: "ledger"}}}, "no address of ledger"},
		"both given": {Partition{To: []string{"::1"}}, faults.Place{Network: here, Peers: peer},
			"either between or to"},
		"same namespace":  {Partition{To: []string{"198.18.0.1"}}, faults.Place{Network: here, Addresses: own}, "needs two"},
		"loopback":        {Partition{To: []string{"127.0.0.1"}}, faults.Place{Network: here}, "needs two"},
		"mapped loopback": {Partition{To: []string{"::ffff:127.0.0.1"}}, faults.Place{Network: here}, "needs two"},
		"loopback block":  {Partition{To: []string{"127.0.0.0/8"}}, faults.Place{Network: here}, "give ports"},
		"invalid as well": {Partition{Action: "x", To: []string{"::1"}}, faults.Place{Network: here}, "Invalid action"},
		"peer with itself": {Partition{}, faults.Place{Network: here, Addresses: own,
			Peers: []faults.Peer{{Name: "b", Addresses: own}}}, "needs two"},
	}
	for name, tt := range tests {
		tt.place.Name = "payments"
		if _, err := tt.config.Bind(tt.place); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestPreview(t *testing.T) {
	for want, p := range map[string]Partition{
		"198.18.0.2, 10.0.0.0/8, drop both ways": {To: []string{"198.18.0.2", "10.1.2.3/8"}},
		"fd00::1, ports 80 443, reject what goes out": {To: []string{"fd00::1"}, Ports: []int{443, 80, 80},
			Direction: "out", Action: "reject"},
		"nothing to cut": {},
	} {
		if got := p.Preview(faults.Place{}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestMergeBlocks compares merged ranges with the blocks they come from: the same addresses, in order, with gaps
// between.
func TestMergeBlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		block := rapid.Custom(func(t *rapid.T) netip.Prefix {
			// Few high bits, so that blocks often overlap, touch, or reach the last address.
			if rapid.Bool().Draw(t, "v6") {
				a := netip.AddrFrom16([16]byte{0: 0xff, 15: rapid.Byte().Draw(t, "low")})
				return netip.PrefixFrom(a, rapid.IntRange(120, 128).Draw(t, "bits")).Masked()
			}
			a := netip.AddrFrom4([4]byte{255, 255, 255, rapid.Byte().Draw(t, "low")})
			return netip.PrefixFrom(a, rapid.IntRange(24, 32).Draw(t, "bits")).Masked()
		})
		blocks := rapid.SliceOfN(block, 1, 8).Draw(t, "blocks")
		ranges := mergeBlocks(blocks)
		for i, r := range ranges {
			if r.last.Less(r.first) {
				t.Fatalf("range %v runs backwards", r)
			}
			if i > 0 && joins(ranges[i-1], r) {
				t.Fatalf("%v and %v should be one", ranges[i-1], r)
			}
		}
		for low := range 256 {
			v4 := netip.AddrFrom4([4]byte{255, 255, 255, byte(low)})
			v6 := netip.AddrFrom16([16]byte{0: 0xff, 15: byte(low)})
			for _, a := range []netip.Addr{v4, v6} {
				want := slices.ContainsFunc(blocks, func(b netip.Prefix) bool { return b.Contains(a) })
				got := 0
				for _, r := range ranges {
					if r.has(a) {
						got++
					}
				}
				if want && got != 1 || !want && got != 0 {
					t.Fatalf("%v is in %d ranges, in a block: %v", a, got, want)
				}
			}
		}
	})
}

func TestProbeTargets(t *testing.T) {
	own := addrs("198.18.0.1")
	for block, want := range map[string][]netip.Addr{
		"198.18.0.9":    addrs("198.18.0.9"),
		"198.18.0.0/24": addrs("198.18.0.2"),
		"10.0.0.0/8":    addrs("10.0.0.1", "10.0.0.2"),
		"0.0.0.0/0":     addrs("198.18.0.2", "198.18.0.0"),
	} {
		b, err := parseBlock(block)
		if err != nil {
			t.Fatal(err)
		}
		if got := mergeBlocks([]netip.Prefix{b})[0].probeTargets(own); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", block, got, want)
		}
	}
}
