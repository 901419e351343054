package dns

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func must(t testing.TB, pattern string) wireName {
	t.Helper()
	n, _, err := parsePattern(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestReadQuestion(t *testing.T) {
	good := newQuery(7, must(t, "www.example.com"))
	change := func(at int, b byte) []byte {
		m := bytes.Clone(good)
		m[at] = b
		return m
	}
	long := newQuery(7, wireName(strings.Repeat("\x3f"+strings.Repeat("a", 63), 4)+"\x00")) // 257 bytes
	longest := newQuery(7, wireName(strings.Repeat("\x3f"+strings.Repeat("a", 63), 3)+"\x3d"+strings.Repeat("a", 61)+"\x00"))
	tests := map[string]struct {
		msg []byte
		ok  bool
	}{
		"good":          {good, true},
		"more after it": {append(bytes.Clone(good), 1, 2, 3), true},
		"the root":      {newQuery(7, "\x00"), true},
		"longest":       {longest, true},
		"too long":      {long, false},
		"empty":         {nil, false},
		"header alone":  {good[:12], false},
		"cut name":      {good[:20], false},
		"cut type":      {good[:len(good)-1], false},
		"response":      {change(2, 0x81), false},
		"notify":        {change(2, 0x20), false},
		"no question":   {change(5, 0), false},
		"two questions": {change(5, 2), false},
		"compressed":    {change(12, 0xc0), false},
		"odd label":     {change(12, 0x40), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if q, ok := readQuestion(tt.msg); ok != tt.ok {
				t.Errorf("%+v, %v", q, ok)
			}
		})
	}
}

func TestAnswer(t *testing.T) {
	msg := newQuery(0xbeef, must(t, "db.example.com"))
	copy(msg[13:], "Db")
	plain := len(msg)
	msg[11] = 1
	msg = append(msg, 0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0)
	q, ok := readQuestion(msg)
	if !ok || !q.edns || q.name != must(t, "db.example.com") {
		t.Fatalf("%+v, %v", q, ok)
	}
	r := answer(msg, q, rcodes[nxdomain])
	want := append([]byte{0xbe, 0xef, 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 1}, msg[12:plain]...)
	want = append(want, 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0)
	if !bytes.Equal(r, want) {
		t.Errorf("answered\n%x, want\n%x", r, want)
	}
}

// TestNames compares the set with what the patterns mean as text.
func TestNames(t *testing.T) {
	label := rapid.StringMatching(`[a-cA-C]{1,2}`)
	text := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(label, 1, 4).Draw(t, "labels"), ".")
	})
	rapid.Check(t, func(t *rapid.T) {
		var set nameSet
		patterns := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"", "*."}).Draw(t, "star") + text.Draw(t, "pattern")
		}), 1, 4).Draw(t, "patterns")
		for _, p := range patterns {
			n, below, err := parsePattern(p)
			if err != nil {
				t.Fatal(err)
			}
			set.add(n, below)
		}
		name := text.Draw(t, "name")
		n, _, err := parsePattern(name)
		if err != nil {
			t.Fatal(err)
		}
		want := false
		for _, p := range patterns {
			p, name := strings.ToLower(p), strings.ToLower(name)
			want = want || p == name || strings.HasPrefix(p, "*.") && strings.HasSuffix(name, p[1:])
		}
		if set.has(n) != want {
			t.Fatalf("%v: %s is %v", patterns, name, !want)
		}
		if probe := set.probe("gameday-12345678"); !set.has(probe) {
			t.Fatalf("%v: the probe %q is none of them", patterns, probe)
		}
	})
}

// TestDotsInLabels: a label may hold any byte; one with a dot in it is not two.
func TestDotsInLabels(t *testing.T) {
	var set nameSet
	set.add(must(t, "a.example"), false)
	set.add(must(t, "b.example"), true)
	for _, n := range []wireName{"\x09a.example\x00", "\x0bx.b.example\x00", "\x03x.b\x07example\x00"} {
		if set.has(n) {
			t.Errorf("%q counts as one of the names", n)
		}
	}
}

// FuzzMessage feeds any bytes to whatever reads messages: it never panics, answers are about the question, letter case
// does not matter, and what is not hit passes.
func FuzzMessage(f *testing.F) {
	seed := newQuery(1, must(f, "www.example.com"))
	f.Add(seed)
	f.Add(append(bytes.Clone(seed), 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0))
	f.Add(newQuery(2, "\x00"))
	f.Add(newQuery(3, "\x01a\x03b.c\x00"))
	f.Add([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1})
	all := treatment{rcode: 3}
	var some treatment
	some.rcode = 2
	some.names.add(must(f, "example.com"), true)
	f.Fuzz(func(t *testing.T, msg []byte) {
		before := bytes.Clone(msg)
		a, s := all.decide(msg), some.decide(msg)
		if !bytes.Equal(before, msg) {
			t.Fatal("the message was changed")
		}
		if !a.selected || a.pass || s.selected == s.pass {
			t.Fatalf("%+v, %+v", a, s)
		}
		q, ok := readQuestion(msg)
		if ok != (a.reply != nil) {
			t.Fatalf("readable %v, answer %x", ok, a.reply)
		}
		if !ok {
			return
		}
		if q.end > len(msg) || len(q.name) == 0 || len(q.name) > maxName || q.name[len(q.name)-1] != 0 {
			t.Fatalf("%+v", q)
		}
		if code, fits := answers(a.reply, msg); !fits || code != 3 || !bytes.Equal(a.reply[12:q.end], msg[12:q.end]) {
			t.Fatalf("%x is answered with %x", msg, a.reply)
		}
		back := bytes.Clone(a.reply)
		binary.BigEndian.PutUint16(back[2:], 0)
		if again, ok := readQuestion(back); !ok || again.name != q.name || again.edns != q.edns {
			t.Fatalf("the answer %x is about %+v", a.reply, again)
		}
		other := bytes.Clone(msg)
		for i := headerSize; i < q.end-fixedSize; i++ {
			if c := other[i] | 0x20; c >= 'a' && c <= 'z' {
				other[i] ^= 0x20
			}
		}
		if again, ok := readQuestion(other); !ok || again.name != q.name {
			t.Fatalf("with other letters %q is %q", q.name, again.name)
		}
	})
}
