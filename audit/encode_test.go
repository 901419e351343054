package audit

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// TestAnyLine checks that whatever is told becomes one valid JSON line under the limit, and that what is short stays whole.
func TestAnyLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Line{
			At: time.Unix(rapid.Int64Range(0, 253402300799).Draw(t, "at"), 0).UTC(), What: "w" + anyText(t, "what"),
			Who: Who{User: anyText(t, "user"), SudoUser: anyText(t, "sudo"), Login: anyText(t, "login"), Host: anyText(t, "host")},
			Run: anyText(t, "run"), Scenario: anyText(t, "scenario"), File: anyText(t, "file"), Digest: anyText(t, "digest"),
			Record: anyText(t, "record"), ApprovedBy: anyText(t, "approved by"), ID: anyText(t, "id"), Fault: anyText(t, "fault"),
			Kind: anyText(t, "kind"), Place: anyText(t, "place"), Verdict: anyText(t, "verdict"), Item: anyText(t, "item"), Why: anyText(t, "why"),
		}
		for range rapid.SampledFrom([]int{0, 1, 5, 150}).Draw(t, "places") {
			l.Places = append(l.Places, anyText(t, "place"))
		}
		for range rapid.SampledFrom([]int{0, 1, 5, 150}).Draw(t, "policies") {
			l.Policies = append(l.Policies, Policy{File: anyText(t, "policy's file"), Digest: anyText(t, "policy's digest")})
		}
		whole, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := encode(l)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) > maxLine || bytes.IndexByte(raw, '\n') != len(raw)-1 {
			t.Fatalf("%d bytes, the first end of line at %d", len(raw), bytes.IndexByte(raw, '\n'))
		}
		var got Line
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		if got.What == "" || !got.At.Equal(l.At) {
			t.Fatalf("it says %q at %s", got.What, got.At)
		}
		if len(whole) < maxLine && !bytes.Equal(bytes.TrimSuffix(raw, []byte("\n")), whole) {
			t.Fatal("a line that fits is not whole")
		}
	})
}

// anyText is a text of any length, mostly a short one, with what JSON writes in six bytes and what is no UTF-8.
func anyText(t *rapid.T, what string) string {
	unit := rapid.SampledFrom([]string{"x", "\x00", "\xff", "<", "ü", "\u2028", "\x80"}).Draw(t, what+" of")
	n := rapid.OneOf(rapid.IntRange(0, 20), rapid.IntRange(0, 20), rapid.IntRange(0, 90<<10)).Draw(t, what+" times")
	return strings.Repeat(unit, n)
}

// TestLongFields are the lines that a machine really makes too long.
func TestLongFields(t *testing.T) {
	jvm := "java " + strings.Repeat("-Dsome.setting=value ", 700)
	for name, tc := range map[string]struct {
		line Line
		want func(Line) bool
	}{
		"one place of 70 KB": {Line{Places: []string{strings.Repeat("p", 70<<10)}}, func(l Line) bool { return len(l.Places) == 1 }},
		"several of 15 KB": {Line{Places: []string{jvm, jvm, jvm, jvm, jvm, jvm}},
			func(l Line) bool { return len(l.Places) == 6 && strings.HasPrefix(l.Places[5], "java -D") }},
		"a reason of 64 KB":        {Line{Why: strings.Repeat("w", 64<<10)}, func(l Line) bool { return len(l.Why) > 1000 && l.Places == nil }},
		"a name of 100 KB":         {Line{Scenario: strings.Repeat("s", 100<<10), Run: "r"}, func(l Line) bool { return l.Run == "r" && len(l.Scenario) > 1000 }},
		"a reason of wide letters": {Line{Why: strings.Repeat("☃", 40<<10)}, func(l Line) bool { return utf8.ValidString(l.Why) && !strings.ContainsRune(l.Why, utf8.RuneError) }},
		"many policies":            {Line{Policies: make([]Policy, 5000)}, func(l Line) bool { return len(l.Policies) > 0 && len(l.Policies) < 5000 }},
	} {
		t.Run(name, func(t *testing.T) {
			tc.line.What = RunBegan
			raw, err := encode(tc.line)
			if err != nil {
				t.Fatal(err)
			}
			var got Line
			if err := json.Unmarshal(raw, &got); err != nil || len(raw) > maxLine || got.What != RunBegan || !tc.want(got) {
				t.Errorf("%d bytes, %v: %.300s", len(raw), err, raw)
			}
		})
	}
}

// TestClippedIsNotShared checks that shortening a line leaves the caller's own as it was.
func TestClippedIsNotShared(t *testing.T) {
	places := []string{strings.Repeat("p", 70<<10)}
	if _, err := encode(Line{What: RunBegan, Places: places}); err != nil || len(places[0]) != 70<<10 {
		t.Errorf("%d bytes are left, %v", len(places[0]), err)
	}
}
