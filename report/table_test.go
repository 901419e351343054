package report

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// TestFit: a cell loses nothing, and no line of it is wider than its column.
func TestFit(t *testing.T) {
	for cell, want := range map[string]string{
		"short":                                     "short",
		"  reboot (fault) detected":                 "  reboot (fault)\n  detected",
		"reboot (fault) detected now":               "reboot (fault) detected\nnow",
		"  PaymentsLatencyTooHighForCheckout fired": "  PaymentsLatencyTooHigh\n  ForCheckout fired",
		"a\nb":                         "a\nb",
		"aaaaaaaaaaaaaaaaaaaaaaaaaa b": "aaaaaaaaaaaaaaaaaaaaaaaa\naa b",
	} {
		if got := fit(cell, 24); got != want {
			t.Errorf("%q becomes %q, want %q", cell, got, want)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		cell := rapid.StringMatching(`( {0,3}[a-zé]{1,40}( [a-zé]{1,40}){0,5})`).Draw(r, "cell")
		width := rapid.IntRange(5, 40).Draw(r, "width")
		got := fit(cell, width)
		for line := range strings.SplitSeq(got, "\n") {
			if utf8.RuneCountInString(line) > width {
				r.Fatalf("%q is wider than %d", line, width)
			}
		}
		bare := func(s string) string { return strings.NewReplacer(" ", "", "\n", "").Replace(s) }
		if bare(got) != bare(cell) {
			r.Fatalf("%q becomes %q", cell, got)
		}
	})
}

// TestTableKeepsAll: the table itself cuts nothing off.
func TestTableKeepsAll(t *testing.T) {
	const name = "PaymentsServiceLatencyTooHighForCheckoutInRegion"
	var b strings.Builder
	if err := Table(&b, []Column{{Head: "A", Width: 26}, {Head: "B"}}, [][]string{{"  " + name + " fired", "1"}}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(strings.Fields(b.String()), ""); !strings.Contains(strings.ReplaceAll(got, "1", ""), name+"fired") {
		t.Errorf("a name is cut off:\n%s", b.String())
	}
}
