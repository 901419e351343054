package collector

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gameday/loadgen"
)

func FuzzHello(f *testing.F) {
	line, err := json.Marshal(hello{Protocol: 1, Version: "v", Secret: "s", Segment: loadgen.Segment{Index: 1, Of: 3}, Who: "pod"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte(`{"segment":{"index":-1,"of":99999999}}`))
	f.Add([]byte("GET / HTTP/1.1"))
	f.Fuzz(func(t *testing.T, line []byte) {
		h, err := readHello(line)
		if err != nil {
			if h != (hello{}) {
				t.Errorf("an error, and %+v", h)
			}
			return
		}
		if s := h.Segment; s.Of < 1 || s.Of > maxSegments || s.Index < 0 || s.Index >= s.Of {
			t.Errorf("segment %+v", s)
		}
		for _, said := range []string{h.Who, h.Version} {
			if len(said) > maxWho || strings.ContainsAny(said, "\n\r\x1b\x00") {
				t.Errorf("it is said to be %q", said)
			}
		}
	})
}

func FuzzToken(f *testing.F) {
	f.Add(token{secret: [32]byte{1}}.String())
	f.Add("a.b")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := readToken(s)
		if err != nil {
			if secret, _, ok := strings.Cut(s, "."); ok && len(secret) > 8 && strings.Contains(err.Error(), secret) {
				t.Errorf("the error tells it: %v", err)
			}
			return
		}
		if got := k.String(); got != strings.TrimSpace(s) {
			t.Errorf("%q is read as %q", s, got)
		}
	})
}

func TestTokens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a, b token
		copy(a.secret[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "secret"))
		copy(a.pin[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "pin"))
		b = a
		i := rapid.IntRange(0, 31).Draw(t, "which")
		b.secret[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		back, err := readToken(a.String() + "\n")
		if err != nil || back != a {
			t.Fatalf("%v becomes %v, %v", a, back, err)
		}
		if !a.is(back.word()) || a.is(b.word()) || b.is(a.word()) {
			t.Fatal("one token is taken for another")
		}
	})
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{"10.0.0.1:7000": "10.0.0.1:7000", "tls://host:1": "host:1", "[::1]:2": "[::1]:2", "host": "", ":1": "",
		"host:": "", "http://host:1/x": "", "": ""} {
		if got, err := Address(in); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v", in, got, err)
		}
	}
}
