package network

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func TestHandles(t *testing.T) {
	for want, h := range map[string]handle{"root": tcRoot, "6ada:": handleOf(0x6ada, 0), "6ada:12": handleOf(0x6ada, 0x12),
		"0:": 0} {
		if got := h.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestObjectsComeBack encodes what is asked for and reads it as an answer.
func TestObjectsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := tcObject{link: rapid.IntRange(1, 1<<30).Draw(t, "link"), kind: rapid.SampledFrom([]string{"htb", "netem",
			"bfifo"}).Draw(t, "kind"),
			handle: handle(rapid.Uint32().Draw(t, "handle")), parent: handle(rapid.Uint32().Draw(t, "parent")),
			options: rapid.SliceOfN(rapid.Byte(), 1, 64).Draw(t, "options")}
		raw, err := want.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeTC(raw)
		if err != nil || got.link != want.link || got.handle != want.handle || got.parent != want.parent ||
			got.kind != want.kind || !slices.Equal(got.options, want.options) {
			t.Fatalf("%+v, %v; want %+v", got, err, want)
		}
	})
}

func TestRootIsOurs(t *testing.T) {
	options, err := encodeHTB(10)
	if err != nil {
		t.Fatal(err)
	}
	ours := tcObject{parent: tcRoot, handle: handleOf(rootMajor, 0), kind: "htb", options: options}
	if !isOurRoot(ours) {
		t.Error("our own root is not recognised")
	}
	other := slices.Clone(options)
	binary.NativeEndian.PutUint32(other[4+4:], 10) // rate2quantum, behind the attribute's header and the version
	for name, change := range map[string]func(*tcObject){
		"handle":  func(o *tcObject) { o.handle = handleOf(1, 0) },
		"kind":    func(o *tcObject) { o.kind = "tbf" },
		"parent":  func(o *tcObject) { o.parent = handleOf(1, 1) },
		"options": func(o *tcObject) { o.options = other },
		"none":    func(o *tcObject) { o.options = nil },
		"torn":    func(o *tcObject) { o.options = options[:7] },
	} {
		o := ours
		change(&o)
		if isOurRoot(o) {
			t.Errorf("a root of another %s passes for ours", name)
		}
	}
}

// TestClassKnowsItsOwner encodes classes slow and fast and reads the quantum back.
func TestClassKnowsItsOwner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := htbClass{rate: rapid.Uint64Range(1000, practicallyUnlimited).Draw(t, "rate"),
			burst: rapid.Uint64Range(1, mostBurst).Draw(t, "burst"), quantum: rapid.Uint32Range(1<<16, 1<<17-1).Draw(t,
				"quantum")}
		raw, err := c.encode()
		if err != nil {
			t.Fatal(err)
		}
		if got := decodeQuantum(tcObject{kind: "htb", options: raw}); got != c.quantum {
			t.Fatalf("quantum %d, want %d", got, c.quantum)
		}
	})
	if decodeQuantum(tcObject{kind: "tbf", options: []byte{1}}) != 0 {
		t.Error("a class of another kind has a quantum")
	}
}

// TestNetemLayout reads the encoded options by hand.
func TestNetemLayout(t *testing.T) {
	raw, err := netem{delay: 100 * time.Millisecond, jitter: 10 * time.Millisecond, delayCorrelation: 50, loss: 100,
		distribution: []int16{-1, 2}, reorder: 50, corrupt: 100, gap: 3}.encode()
	if err != nil {
		t.Fatal(err)
	}
	var opt []uint32
	for i := range 6 {
		opt = append(opt, binary.NativeEndian.Uint32(raw[4*i:]))
	}
	if want := []uint32{1562500, netemLimit, 1<<32 - 1, 3, 0, 156250}; !slices.Equal(opt, want) {
		t.Errorf("struct %v, want %v", opt, want)
	}
	d, err := netlink.NewAttributeDecoder(raw[24:])
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint16]int{}
	for d.Next() {
		seen[d.Type()] = len(d.Bytes())
		switch d.Type() {
		case netemLatency64:
			if v := d.Int64(); v != 100e6 {
				t.Errorf("latency %d ns", v)
			}
		case netemJitter64:
			if v := d.Int64(); v != 10e6 {
				t.Errorf("jitter %d ns", v)
			}
		}
	}
	for attribute, size := range map[uint16]int{netemCorr: 12, netemDist: 4, netemReorder: 8, netemCorrupt: 8,
		netemLatency64: 8, netemJitter64: 8} {
		if seen[attribute] != size {
			t.Errorf("attribute %d has %d bytes, want %d", attribute, seen[attribute], size)
		}
	}
	if raw, err = (netem{loss: 1}).encode(); err != nil || len(raw) != 24 {
		t.Errorf("a plain loss takes %d bytes, %v", len(raw), err)
	}
}

func FuzzDecodeTC(f *testing.F) {
	raw, err := tcObject{link: 3, kind: "htb", options: []byte{1, 2, 3, 4}}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, err := decodeTC(b); err == nil {
			isOurRoot(o)
			decodeQuantum(o)
		}
		_, _, _ = decodeRoute(b)
		nexthops(b)
	})
}

func TestFreeMinor(t *testing.T) {
	for _, tt := range []struct {
		wish  uint16
		taken []uint16
		want  uint16
	}{{5, nil, 5}, {5, []uint16{5, 6}, 7}, {0, nil, 1}, {0x8000, nil, 1}, {0xffff, nil, 0x7fff}, {rootMajor, nil,
		rootMajor + 1},
		{0x7fff, []uint16{0x7fff}, 1}} {
		if got := freeMinor(tt.wish, tt.taken); got != tt.want {
			t.Errorf("from %x without %x: %x, want %x", tt.wish, tt.taken, got, tt.want)
		}
	}
}

func TestLeaving(t *testing.T) {
	p := netip.MustParsePrefix
	routes := []route{
		{p("0.0.0.0/0"), 254, []int{2}},
		{p("198.18.0.0/24"), 254, []int{3}},
		{p("198.18.0.7/32"), 254, []int{4, 5}},
		{p("198.18.0.0/16"), 100, []int{6}},
		{p("fd00::/64"), 254, []int{7}},
	}
	for block, want := range map[string][]int{
		"203.0.113.1":   {2},
		"198.18.0.1":    {3, 6},       // table 100 has a route of its own
		"198.18.0.7":    {4, 5, 6},    // all of several next hops
		"198.18.0.0/25": {3, 4, 5, 6}, // the narrow route is for a part only
		"198.18.9.0/24": {2, 6},
		"fd00::/16":     {7},
		"fd01::1":       nil,
	} {
		b, err := parseBlock(block)
		if err != nil {
			t.Fatal(err)
		}
		if got := leaving(routes, mergeBlocks([]netip.Prefix{b})); !slices.Equal(got, want) {
			t.Errorf("%s leaves by %v, want %v", block, got, want)
		}
	}
}

func TestDecodeRoute(t *testing.T) {
	e := netlink.NewAttributeEncoder()
	e.Bytes(unix.RTA_DST, []byte{198, 18, 0, 0})
	e.Uint32(unix.RTA_TABLE, 1000)
	hop := []byte{8, 0, 0, 0, 9, 0, 0, 0}
	e.Bytes(unix.RTA_MULTIPATH, append(slices.Clone(hop), hop...))
	attributes, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	head := []byte{unix.AF_INET, 15, 0, 0, 252, 0, 0, unix.RTN_UNICAST, 0, 0, 0, 0}
	r, ok, err := decodeRoute(append(head, attributes...))
	if err != nil || !ok || r.to.String() != "198.18.0.0/15" || r.table != 1000 || !slices.Equal(r.links, []int{9, 9}) {
		t.Errorf("%+v, %v, %v", r, ok, err)
	}
	head[7] = unix.RTN_LOCAL
	if _, ok, err := decodeRoute(append(head, attributes...)); ok || err != nil {
		t.Errorf("a local route is one by which packets leave: %v", err)
	}
}
