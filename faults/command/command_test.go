package command

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"gameday/faults"
)

// TestValidate names each mistake at its field.
func TestValidate(t *testing.T) {
	ok := func(change func(*Command)) *Command {
		c := &Command{Inject: []string{"true"}, Revert: []string{"true"}}
		change(c)
		return c
	}
	for name, row := range map[string]struct {
		config *Command
		fields []string // with a mistake, in order
	}{
		"smallest":             {ok(func(*Command) {}), nil},
		"everything":           {ok(func(c *Command) { c.Effect, c.Renew, c.Check, c.Timeout = c.Inject, c.Inject, c.Inject, "90s" }), nil},
		"cannot revert":        {&Command{Inject: []string{"true"}, CannotRevert: true}, nil},
		"nothing":              {&Command{}, []string{"inject", "revert"}},
		"both ways":            {ok(func(c *Command) { c.CannotRevert = true }), []string{"cannot_revert"}},
		"renewing for nothing": {&Command{Inject: []string{"a"}, Renew: []string{"a"}, CannotRevert: true}, []string{"renew"}},
		"empty program":        {ok(func(c *Command) { c.Effect = []string{"", "x"} }), []string{"effect"}},
		"empty list":           {ok(func(c *Command) { c.Check = []string{} }), []string{"check"}},
		"zero byte":            {ok(func(c *Command) { c.Renew = []string{"a", "b\x00"} }), []string{"renew"}},
		"relative folder":      {ok(func(c *Command) { c.Directory = "here" }), []string{"directory"}},
		"no duration":          {ok(func(c *Command) { c.Timeout = "5" }), []string{"timeout"}},
		"no time":              {ok(func(c *Command) { c.Timeout = "1ms" }), []string{"timeout"}},
		"too long":             {ok(func(c *Command) { c.Timeout = "1h" }), []string{"timeout"}},
		"odd variables": {ok(func(c *Command) {
			c.Environment = map[string]string{"A-B": "", "GAMEDAY_PID": "1", "NUL": "\x00", "FINE_1": "x"}
		}),
			[]string{"environment", "environment", "environment"}},
	} {
		var got []string
		for _, e := range fieldErrors(row.config.Validate()) {
			got = append(got, e.Field)
			if e.Summary == "" || !strings.HasSuffix(e.Detail, ".") {
				t.Errorf("%s: %v", name, e)
			}
		}
		if strings.Join(got, " ") != strings.Join(row.fields, " ") {
			t.Errorf("%s: mistakes in %v, want %v", name, got, row.fields)
		}
		if _, err := row.config.Bind(faults.Place{Name: "p"}); (err == nil) != (row.fields == nil) {
			t.Errorf("%s: binding: %v", name, err)
		}
	}
}

func fieldErrors(err error) []*faults.FieldError {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*faults.FieldError
		for _, e := range joined.Unwrap() {
			all = append(all, fieldErrors(e)...)
		}
		return all
	}
	var f *faults.FieldError
	errors.As(err, &f)
	return []*faults.FieldError{f}
}

func TestPreview(t *testing.T) {
	for want, argv := range map[string][]string{
		"runs redis-cli DEBUG SLEEP 5": {"redis-cli", "DEBUG", "SLEEP", "5"},
		`runs sh -c "a; b"`:            {"sh", "-c", "a; b"},
		"runs sh (2 arguments)":        {"sh", "-c", strings.Repeat("long ", 50)},
		`runs a "" "line\n"`:           {"a", "", "line\n"},
	} {
		if got := (&Command{Inject: argv}).Preview(faults.Place{}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestFinal checks what plan and the guard see of a fault that cannot be undone.
func TestFinal(t *testing.T) {
	if k := Kind().For(&Command{}); !k.Reversible || k.Revert == nil || k.Undoing != Kind().Undoing {
		t.Errorf("a fault with an undo: %+v", k)
	}
	k := Kind().For(&Command{CannotRevert: true})
	if k.Reversible || k.Revert != nil || k.Undoing != "cannot be undone: must recover by itself" {
		t.Errorf("a fault without: %+v", k)
	}
}

// TestHide cuts a stream of output anywhere: no value of the environment shows, nor the end of one.
func TestHide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[A-Z]{4,40}`).Draw(t, "secret")
		before := rapid.StringMatching(`[a-z\n]{0,20}`).Draw(t, "before")
		after := rapid.StringMatching(`[a-z\n]{0,20}`).Draw(t, "after")
		said := before + secret + after
		j := job{secrets: []string{secret}}
		if got := j.hide(said, false); got != before+"[hidden]"+after {
			t.Fatalf("%q became %q", said, got)
		}
		from := rapid.IntRange(0, len(said)).Draw(t, "from")
		got := strings.ReplaceAll(j.hide(said[from:], from > 0), "[hidden]", "")
		if strings.ContainsAny(got, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
			t.Fatalf("%q, cut at %d, became %q", said, from, got)
		}
		if !strings.HasSuffix(got, after[max(0, from-len(before+secret)):]) {
			t.Fatalf("%q, cut at %d, lost its end: %q", said, from, got)
		}
	})
}

// TestTail keeps the last bytes, however they come.
func TestTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var k tail
		var all strings.Builder
		for _, n := range rapid.SliceOf(rapid.IntRange(0, 3*outputSize)).Draw(t, "sizes") {
			part := strings.Repeat(string(rune('a'+n%26)), n)
			all.WriteString(part)
			if m, err := k.Write([]byte(part)); m != n || err != nil {
				t.Fatal(m, err)
			}
		}
		got, cut := k.read()
		want := all.String()
		if cut != (len(want) > outputSize) || got != want[max(0, len(want)-outputSize):] {
			t.Fatalf("kept %d of %d bytes, cut %v", len(got), len(want), cut)
		}
	})
}

// TestSummaries shows what people read of commands that went wrong.
func TestSummaries(t *testing.T) {
	j := job{verb: "inject", argv: []string{"/usr/bin/sh", "-c", "secret"}}
	for want, r := range map[string]result{
		"inject (sh) ended with exit status 3":                   {job: j, code: 3, how: "exit status 3"},
		"inject (sh) ended with exit status 1; it said: b | c":   {job: j, code: 1, how: "exit status 1", stdout: "a", stderr: "\nb\nc\x1b\n"},
		"inject (sh) ended with exit status 1; it said: printed": {job: j, code: 1, how: "exit status 1", stdout: "printed\n", stderr: "  \n"},
	} {
		if got := r.problem(); got == nil || got.Error() != want {
			t.Errorf("%v, want %q", got, want)
		}
	}
}
