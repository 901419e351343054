package podlogs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gameday/loadgen"
)

var (
	secret  = []byte("a secret of the run, and of no other")
	key     = NewKey(secret, 0)
	session = Session{1, 2, 3, 4, 5, 6, 7, 8}
)

// printedLines returns the lines of messages.
func printedLines(t interface{ Fatal(...any) }, messages ...[]byte) [][]byte {
	var out bytes.Buffer
	p := NewPrinter(&out, key, session)
	for i, m := range messages {
		if err := p.Print(m, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	return bytes.SplitAfter(bytes.TrimSuffix(out.Bytes(), []byte("\n")), []byte("\n"))
}

// noise returns bytes that do not get smaller.
func noise(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

// TestLines prints messages between other words, and reads them cut anywhere: all of both come back.
func TestLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var log bytes.Buffer
		p := NewPrinter(&log, key, session)
		var want [][]byte
		words := ""
		for range rapid.IntRange(1, 8).Draw(t, "messages") {
			if rapid.Bool().Draw(t, "other words") {
				w := rapid.StringMatching(`[a-z :1{}"+.()]{0,40}`).Draw(t, "words") + "\n"
				words += w
				log.WriteString(w)
			}
			m := noise(rapid.SampledFrom([]int{0, 1, 100, chunk - 20, chunk, chunk + 1, 3*chunk + 5}).Draw(t, "length"))
			want = append(want, m)
			if err := p.Print(m, 7); err != nil {
				t.Fatal(err)
			}
		}
		r := NewReader(key)
		var got [][]byte
		other := ""
		for text := log.Bytes(); len(text) > 0; {
			n := min(len(text), rapid.IntRange(1, 20_000).Draw(t, "piece"))
			messages, rest := r.Take(text[:n])
			text = text[n:]
			other += string(rest)
			for _, m := range messages {
				if m.Lost != 0 || m.Confirmed != 7 {
					t.Fatalf("%d lines are lost, and %d confirmed", m.Lost, m.Confirmed)
				}
				got = append(got, m.Text)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d messages of %d", len(got), len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("message %d is another", i)
			}
		}
		if other != words {
			t.Fatalf("what else was printed is %q, not %q", other, words)
		}
		if s, ok := r.Session(); !ok || s != session {
			t.Fatalf("the session is %s", s)
		}
	})
}

// TestLinesAreShort checks that no line is as long as what runtimes cut.
func TestLinesAreShort(t *testing.T) {
	for _, l := range printedLines(t, noise(100_000)) {
		if len(l) > MaxLine || len(l) > 16<<10 {
			t.Errorf("a line has %d bytes", len(l))
		}
	}
}

// TestLoss takes lines out of a log, repeats some and mixes others in: what is whole comes once and in order, and what is not is counted.
func TestLoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var messages [][]byte
		var of []int // message of each line
		for i := range rapid.IntRange(1, 12).Draw(t, "messages") {
			m := append([]byte(fmt.Sprintf("%d:", i)), noise(rapid.SampledFrom([]int{1, 2 * chunk, 5 * chunk}).Draw(t, "length"))...)
			messages = append(messages, m)
		}
		var lines [][]byte
		var out bytes.Buffer
		p := NewPrinter(&out, key, session)
		for i, m := range messages {
			out.Reset()
			if err := p.Print(m, 0); err != nil {
				t.Fatal(err)
			}
			for l := range bytes.Lines(out.Bytes()) {
				lines, of = append(lines, bytes.Clone(l)), append(of, i)
			}
		}
		gone := map[int]bool{} // lines
		broken := map[int]bool{}
		for i := range lines {
			if rapid.IntRange(0, 5).Draw(t, "gone") == 0 {
				gone[i], broken[of[i]] = true, true
			}
		}
		var log []byte
		for i, l := range lines {
			if !gone[i] {
				log = append(log, l...)
			}
			if back := rapid.IntRange(0, 9).Draw(t, "back"); back < 3 { // read again from a while ago
				for k := max(0, i-back); k <= i; k++ {
					if !gone[k] {
						log = append(log, lines[k]...)
					}
				}
			}
		}
		r := NewReader(key)
		got, rest := r.Take(log)
		if len(rest) > 0 {
			t.Fatalf("%q was not taken for messages", rest)
		}
		var want [][]byte
		for i, m := range messages {
			if !broken[i] {
				want = append(want, m)
			}
		}
		lost := uint64(0)
		for i, m := range got {
			lost += m.Lost
			if i >= len(want) || !bytes.Equal(m.Text, want[i]) {
				t.Fatalf("message %d is not the one that is next", i)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d messages of %d", len(got), len(want))
		}
		// Lines of broken messages before the last that came are lost, whether they were there or not.
		var counted uint64
		if len(want) > 0 {
			last := slices.IndexFunc(messages, func(m []byte) bool { return bytes.Equal(m, want[len(want)-1]) })
			for i := range lines {
				if broken[of[i]] && of[i] < last {
					counted++
				}
			}
		}
		if lost != counted {
			t.Fatalf("%d lines are counted as lost, and %d are", lost, counted)
		}
	})
}

// TestForged checks that only lines with the runner's own code count, and lines of its first life.
func TestForged(t *testing.T) {
	l := printedLines(t, []byte("one"), []byte("two"))
	var another, second bytes.Buffer
	if err := NewPrinter(&another, NewKey(secret, 1), session).Print([]byte("another runner's"), 0); err != nil {
		t.Fatal(err)
	}
	if err := NewPrinter(&second, key, Session{9}).Print([]byte("a second life's"), 0); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"another runner's": another.Bytes(),
		"changed":          bytes.Replace(l[0], []byte(" 1 0 . "), []byte(" 2 0 . "), 1),
		"cut":              append(bytes.Clone(l[0][:len(l[0])-5]), '\n'),
		"no code":          []byte(mark + session.String() + " 1 0 . aGVsbG8 \n"),
		"a word":           []byte("the log says: " + mark + "\n"),
	} {
		if m, rest := NewReader(key).Take(text); len(m) > 0 || !bytes.Equal(rest, text) {
			t.Errorf("%s: %d messages, and %q is left", name, len(m), rest)
		}
	}
	r := NewReader(key)
	m, _ := r.Take(slices.Concat(l[0], second.Bytes(), l[1], []byte("\n")))
	if len(m) != 2 || string(m[1].Text) != "two" || !r.Others() {
		t.Errorf("%d messages, and a second life was seen: %t", len(m), r.Others())
	}
	// Words without an end of their line stand before a message on the same line, also those that are longer than a line is kept.
	for _, words := range []string{"half a line", strings.Repeat("x", 3*kept)} {
		m, rest := NewReader(key).Take(append([]byte(words), l[0]...))
		if len(m) != 1 || string(rest) != words+"\n" {
			t.Errorf("after %d bytes of words: %d messages, and %d bytes", len(words), len(m), len(rest))
		}
	}
}

// FuzzReader reads anything between two messages. It never panics, gives back what is no message, and loses neither.
func FuzzReader(f *testing.F) {
	l := printedLines(f, []byte("one"), noise(chunk+9), []byte("two"))
	f.Add([]byte("words\n"), 3)
	f.Add(bytes.Join(l[1:3], nil), 100)
	f.Add([]byte(mark+session.String()+" 1 0 ( aGVsbG8 aGVsbG8\n"+mark), 1)
	f.Add(bytes.Repeat([]byte(mark), 200), 4096)
	f.Add(bytes.TrimSuffix(l[0], []byte("\n")), 7)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		cut = max(16, cut%5000)
		all := append(append(bytes.Clone(l[0]), text...), '\n')
		all = append(all, l[len(l)-1]...)
		all = append(all, '\n')
		r := NewReader(key)
		var got []Message
		size := 0
		for len(all) > 0 {
			n := min(len(all), cut)
			m, rest := r.Take(all[:n])
			got, size, all = append(got, m...), size+len(rest), all[n:]
		}
		if len(got) < 2 || string(got[0].Text) != "one" || string(got[len(got)-1].Text) != "two" {
			t.Fatalf("%d messages came through", len(got))
		}
		if size+len(r.End()) > len(text)+1 {
			t.Fatalf("%d bytes became %d", len(text)+1, size)
		}
		for _, m := range got[1 : len(got)-1] {
			if !bytes.Equal(m.Text, noise(chunk+9)) {
				t.Fatal("a message that nobody has printed")
			}
		}
	})
}

// FuzzOrders opens anything as orders.
func FuzzOrders(f *testing.F) {
	sealed, err := key.Seal(Orders{Session: session, Beat: 3, First: 1, Lines: []json.RawMessage{json.RawMessage(`{"stop":true}`)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(sealed))
	f.Add([]byte("aGVsbG8 aGVsbG8"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := key.Open(text)
		if err == nil && (o.Beat != 3 || !bytes.Equal(bytes.TrimSpace(text), []byte(sealed))) {
			t.Fatalf("%q are orders", text)
		}
	})
}

// TestOrders gives orders over a channel that shows only the newest, now and then, and sometimes old ones: the runner takes each line once, in order.
func TestOrders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		out := Outbox{Key: key, Session: session}
		in := Inbox{Key: key, Session: session}
		var put, got []string
		var seen []string
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				l := fmt.Sprintf(`{"n":%d}`, len(put))
				put = append(put, l)
				out.Put([]byte(l))
			case 1:
				out.Confirmed(in.Taken())
			default:
				s, err := out.Sealed()
				if err != nil {
					t.Fatal(err)
				}
				seen = append(seen, s)
				s = rapid.SampledFrom(seen).Draw(t, "shown")
				lines, heard := in.Take([]byte(s))
				if heard && s != seen[len(seen)-1] && len(seen) == 1 {
					t.Fatal("old orders count")
				}
				for _, l := range lines {
					got = append(got, string(l))
				}
				if _, again := in.Take([]byte(s)); again {
					t.Fatal("the same orders count twice")
				}
			}
		}
		s, err := out.Sealed()
		if err != nil {
			t.Fatal(err)
		}
		lines, heard := in.Take([]byte(s))
		if !heard {
			t.Fatal("the newest orders do not count")
		}
		for _, l := range lines {
			got = append(got, string(l))
		}
		if d := cmp.Diff(put, got); d != "" {
			t.Fatal(d)
		}
		if out.Confirmed(in.Taken()); out.Waiting() != 0 {
			t.Fatalf("%d lines wait", out.Waiting())
		}
	})
}

// TestOrdersOfOthers checks that a runner takes no orders of another's, of another session, of another run, or that somebody has changed.
func TestOrdersOfOthers(t *testing.T) {
	in := Inbox{Key: key, Session: session}
	for name, k := range map[string]Key{"another runner": NewKey(secret, 1), "another run": NewKey([]byte("another"), 0), "lines' own key": {up: key.down, down: key.up}} {
		s, err := k.Seal(Orders{Session: session, Beat: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, heard := in.Take([]byte(s)); heard {
			t.Errorf("orders of %s count", name)
		}
	}
	s, err := key.Seal(Orders{Session: Session{5}, Beat: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, heard := in.Take([]byte(s)); heard {
		t.Error("orders of another session count")
	}
	if _, err := key.Seal(Orders{Lines: []json.RawMessage{json.RawMessage(`"` + fmt.Sprintf("%x", noise(200<<10)) + `"`)}}); err == nil || !strings.Contains(err.Error(), "an annotation of its pod holds 192") {
		t.Errorf("orders of any size: %v", err)
	}
}

func TestStream(t *testing.T) {
	spec := loadgen.Spec{Stream: "s", Script: "/a/script.js", Files: map[string][]byte{"/a/script.js": noise(500 << 10)}, Env: map[string]string{"A": "b"}, Rate: 3}
	b, err := PackStream("1.2.3", spec)
	if err != nil {
		t.Fatal(err)
	}
	v, got, err := UnpackStream(b, loadgen.Segment{Index: 1, Of: 3})
	spec.Segment, spec.Sharing = loadgen.Segment{Index: 1, Of: 3}, 1
	if err != nil || v != "1.2.3" {
		t.Fatal(v, err)
	}
	if d := cmp.Diff(spec, got); d != "" {
		t.Error(d)
	}
	spec.Files["/a/data"] = noise(600 << 10)
	if _, err := PackStream("1.2.3", spec); err == nil || !strings.Contains(err.Error(), "comes to 1100 KiB") || !strings.Contains(err.Error(), "holds 1020 KiB") {
		t.Errorf("a stream that is too large: %v", err)
	}
	if _, _, err := UnpackStream([]byte("nothing"), spec.Segment); err == nil {
		t.Error("nothing is a stream")
	}
}
