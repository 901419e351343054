package prometheus

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"net/url"

	"gameday/internal/promrig"
)

// expressions are conditions with what they are taken apart into: "left|op|right", or a part of why they are not.
var expressions = map[string]string{
	`up < 1`:                  "up|<|1",
	`(up < 1)`:                "up|<|1",
	` ( ( sum(x) >= 2.5 ) ) `: "sum(x)|>=|2.5",
	`0.05 < rate(errors[5m])`: "rate(errors[5m])|>|0.05",
	`5 >= x`:                  "x|<=|5",
	`x > -3`:                  "x|>|-3",
	`x > 5 * 1024 ^ 2`:        "x|>|5 * 1024 ^ 2",
	`x > (5 + 1) * 2`:         "x|>|(5 + 1) * 2",
	`x>1e-3`:                  "x|>|1e-3",
	`x > .5`:                  "x|>|.5",
	`a / b > 0.1`:             "a / b|>|0.1",
	`sum by (job) (rate(e{code=~"5.."}[1m])) / on (job) sum by (job) (rate(r[1m])) > 0.05`: `sum by (job) (rate(e{code=~"5.."}[1m])) / on (job) sum by (job) (rate(r[1m]))|>|0.05`,
	`time() - last_success{job="a > b and c"} > 3600`:                                      `time() - last_success{job="a > b and c"}|>|3600`,
	"x{a=`\\`} > 1":                     "x{a=`\\`}|>|1",
	`x{a="\"> 3"} > 1`:                  `x{a="\"> 3"}|>|1`,
	`x{a='"'} > 1 # and y < 2`:          "x{a='\"'}|>|1 # and y < 2",
	"x # is it > 3?\n > 1":              "x # is it > 3?|>|1",
	`max_over_time((a > 3)[5m:1m]) > 1`: "max_over_time((a > 3)[5m:1m])|>|1",
	`histogram_quantile(0.9, sum by (le) (rate(h_bucket[5m]))) > 0.3`: "histogram_quantile(0.9, sum by (le) (rate(h_bucket[5m])))|>|0.3",
	`job:errors:ratio > 0.1`:       "job:errors:ratio|>|0.1",
	`absent(x) > 0`:                "absent(x)|>|0",
	`x @ 1700000000 offset 5m > 1`: "x @ 1700000000 offset 5m|>|1",
	`-x < -1`:                      "-x|<|-1",
	`android_crashes > 1`:          "android_crashes|>|1",
	`{"my.metric", a="b"} > 1`:     `{"my.metric", a="b"}|>|1`,

	`up == 0`:                         "equal",
	`up != 1`:                         "unequal",
	`a > 1 and b > 2`:                 "joins conditions with and",
	`a > 1 AND b`:                     "joins conditions with and",
	`(a > 1) or (b > 2)`:              "joins conditions with or",
	`a > 1 unless on (x) b`:           "joins conditions with unless",
	`a > 1 > 2`:                       "more than once",
	`a > bool 1`:                      "modifier bool",
	`a > BOOL 1`:                      "modifier bool",
	`1 < bool a`:                      "modifier bool",
	`a > on (job) b`:                  "modifier on",
	`a > ignoring (job) group_left b`: "modifier ignoring",
	`a > b`:                           "not one number",
	`a > scalar(b)`:                   "not one number",
	`a > time()`:                      "not one number",
	`a > 5m`:                          "not one number",
	`a > 0x1f`:                        "not one number",
	`a > 010`:                         "not one number",
	`a > Inf`:                         "not one number",
	`1 > 2`:                           "two numbers",
	`absent(up)`:                      "compares nothing",
	`(a > 1) * 2`:                     "compares nothing",
	`vector(1)`:                       "compares nothing",
	``:                                "compares nothing",
	`> 1`:                             "missing",
	`a >`:                             "missing",
	`a > "x`:                          "no end",
	`a{x="` + "\n" + `"} > 1`:         "no end",
	`sum(a > 1`:                       "do not match",
	`sum(a]) > 1`:                     "do not match",
	`a >/ 1`:                          "not understood",
	`größe > 1`:                       "not understood",
	`a > 1; drop`:                     "not understood",
	"a\xff > 1":                       "not text",
}

// TestSplit takes expressions apart, or says why not.
func TestSplit(t *testing.T) {
	for expr, want := range expressions {
		c, why := split(expr)
		if got := c.left + "|" + c.op + "|" + c.right; why == "" && got != want {
			t.Errorf("%s: %s, want %s", expr, got, want)
		}
		if why != "" && !strings.Contains(why, want) {
			t.Errorf("%s: %q, want %q", expr, why, want)
		}
	}
}

// FuzzSplit looks that whatever is taken apart is all there, and never fails.
func FuzzSplit(f *testing.F) {
	for expr := range expressions {
		f.Add(expr)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		c, why := split(expr)
		if why != "" {
			return
		}
		if !utf8.ValidString(expr) || mirrored[c.op] == "" || !strings.Contains(expr, c.left) || !strings.Contains(expr, c.right) {
			t.Errorf("%q became %+v", expr, c)
		}
		if _, again := split(c.left); again == "" && !strings.ContainsAny(c.left, "><") {
			t.Errorf("%q compares in %q", expr, c.left)
		}
	})
}

// TestSplitAsPrometheus asks a current Prometheus what each expression means. What is taken apart here is a comparison
// there, of the same left side with the same number, without modifiers.
func TestSplitAsPrometheus(t *testing.T) {
	t.Parallel()
	p := promrig.StartPrometheus(t, promrig.Options{Program: promrig.Current, Targets: []string{promrig.NewTarget(t).Address()}})
	s := source(t, Config{URL: p.URL}, nil)
	parse := func(expr string) (map[string]any, error) {
		var tree map[string]any
		_, err := s.ask(t.Context(), "/api/v1/parse_query", url.Values{"query": {expr}}, &tree)
		for err == nil && tree["type"] == "parenExpr" {
			tree, _ = tree["expr"].(map[string]any)
		}
		return tree, err
	}
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	apart := 0
	compare := func(expr string, must bool) {
		c, why := split(expr)
		whole, err := parse(expr)
		if why != "" || err != nil && !must {
			return // to say "cannot tell" is never wrong, and what Prometheus does not take is no rule
		}
		if err != nil {
			t.Errorf("%s: taken apart, and Prometheus does not take it: %v", expr, err)
			return
		}
		apart++
		left, leftErr := parse(c.left)
		right, rightErr := parse(c.right)
		near, far, op := "lhs", "rhs", c.op
		if whole["op"] == mirrored[c.op] {
			near, far, op = "rhs", "lhs", mirrored[c.op]
		}
		if leftErr != nil || rightErr != nil || whole["type"] != "binaryExpr" || whole["bool"] != false || whole["op"] != op ||
			unwrapped(whole[near]) != text(left) || unwrapped(whole[far]) != text(right) {
			t.Errorf("%s: taken apart as %+v, and Prometheus says %s (%v, %v)", expr, c, text(whole), leftErr, rightErr)
		}
	}
	for expr := range expressions {
		compare(expr, true)
	}
	if apart < 20 {
		t.Errorf("%d expressions were compared, want 20", apart)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		compare(anyExpr(random, 4), false)
	}
	t.Logf("%d expressions were compared", apart)
	if apart < 300 {
		t.Errorf("%d expressions were compared, want 300", apart)
	}
}

// anyExpr writes an expression by chance; most of them mean something to Prometheus, and many compare.
func anyExpr(r *rand.Rand, deep int) string {
	of := func(list ...string) string { return list[r.IntN(len(list))] }
	if deep == 0 || r.IntN(6) == 0 {
		return of("1", "2.5", "1e3", "a", `b{c="> 1 and (", d!~'x|"'}`, "job:e:ratio", "rate(a[5m])", "time()", "a offset 5m", "a @ 1", "5m", "0x1f", "Inf",
			"vector(1)", "`x`", "sum by (on) (a)")
	}
	inner := func() string { return anyExpr(r, deep-1) }
	kind := r.IntN(9)
	if deep == 4 && r.IntN(4) > 0 {
		kind = 6 + r.IntN(2) // most of the rules that there are compare with a number
	}
	switch kind {
	case 0:
		return "(" + inner() + ")"
	case 1:
		return of("sum", "max", "count", "abs", "scalar", "absent") + "(" + inner() + ")"
	case 2:
		return of("-", "+") + inner()
	case 3:
		return "sum " + of("by", "without") + " (and, or) (" + inner() + ")"
	case 4:
		return inner() + " # > 1 (\n"
	case 5:
		return "max_over_time((" + inner() + ")[5m:1m])"
	case 6:
		return inner() + of(" > ", ">", " <", "<= ", " >= ") + of("1", "0.5 * 3", "-2", "(1)", "2 ^ -1", "bool 1", "010")
	case 7:
		return of("1", "2 * 3", "-1") + of(" > ", "<", " <= ") + inner()
	}
	return inner() + of(" + ", "-", " * ", "/", "^", " % ", " and ", " OR ", " unless ", " > ", "<", "==", " != ", ">= ", " atan2 ") +
		of("", "", "", " on (a) ", " ignoring (b) ", " bool ", " on (a) group_left ") + inner()
}

// unwrapped writes a part of a syntax tree without the parentheses around it.
func unwrapped(v any) string {
	tree, _ := v.(map[string]any)
	for tree["type"] == "parenExpr" {
		tree, _ = tree["expr"].(map[string]any)
	}
	b, err := json.Marshal(tree)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
