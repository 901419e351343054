package command

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Limits of what is kept and shown of a command's output, in bytes.
const (
	outputSize = 4 << 10 // kept, of each stream: the last
	shownSize  = 400     // in an error: the last lines
	shownLines = 4
	secretSize = 4 // a value shorter than this is too common to be taken out
)

// errTooLong says that a command took longer than its own timeout.
var errTooLong = errors.New("it took longer than its timeout")

// result is how one run of a command ended.
type result struct {
	job    job
	code   int    // -1 when a signal ended it
	how    string // "exit status 3", "signal: killed"
	cut    error  // why it was killed; nil when it ended by itself
	took   time.Duration
	stdout string
	stderr string
}

// name is how texts call a command: by its verb and program. Arguments may hold what should not be printed.
func (j job) name() string {
	if len(j.argv) == 0 {
		return j.verb
	}
	return fmt.Sprintf("%s (%s)", j.verb, filepath.Base(j.argv[0]))
}

// wrap adds which command an error is about.
func (j job) wrap(err error) error { return fmt.Errorf("running %s: %w", j.name(), err) }

// problem returns nil when the command ended with exit code 0.
func (r result) problem() error {
	switch {
	case r.cut != nil:
		return errors.New(r.summary())
	case r.code != 0:
		return errors.New(r.summary())
	}
	return nil
}

// summary says how the command ended, with the end of what it said.
func (r result) summary() string {
	var s string
	switch {
	case errors.Is(r.cut, errTooLong), errors.Is(r.cut, context.DeadlineExceeded):
		s = fmt.Sprintf("%s was not done after %v and was killed with its process group; %s, or start what takes long in the background",
			r.job.name(), r.took.Round(time.Millisecond), r.remedy())
	case r.cut != nil:
		s = fmt.Sprintf("%s was killed with its process group after %v: the fault is to go", r.job.name(), r.took.Round(time.Millisecond))
	default:
		s = fmt.Sprintf("%s ended with %s", r.job.name(), r.how)
	}
	said := r.stderr
	if strings.TrimSpace(said) == "" {
		said = r.stdout
	}
	if said = lastLines(said); said != "" {
		s += "; it said: " + said
	}
	return s
}

// remedy is what gives a command more time. The scenario's timeout is not the only limit.
func (r result) remedy() string {
	switch {
	case !errors.Is(r.cut, errTooLong):
		return "whoever ran it waits no longer (a guard gives a revert 10s, `gameday revert` 30s) and a longer timeout does not change that: make it quicker"
	case r.job.leased:
		return "it has half a lease, and a longer timeout does not change that: make it quicker"
	}
	return "raise timeout"
}

// evidence is the last line of standard output that has anything on it.
func (r result) evidence() string {
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	return clean(tailOf(strings.TrimSpace(lines[len(lines)-1]), shownSize))
}

// lastLines joins the last few lines of a text.
func lastLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	if over := len(lines) - shownLines; over > 0 {
		lines = lines[over:]
	}
	return clean(tailOf(strings.Join(lines, " | "), shownSize))
}

// clean takes out what could not be shown: broken characters and a terminal's control codes.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || (r < ' ' && r != '\t') || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// tailOf returns the last n bytes of s at most, with a mark if that is not all.
func tailOf(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "…" + s[len(s)-n:]
}

// hide takes the values of the scenario's environment out of a text. Cut says that the text's beginning is missing: half
// a value there goes as well.
func (j job) hide(text string, cut bool) string {
	var pairs []string
	for _, v := range j.secrets {
		if len(v) >= secretSize {
			pairs = append(pairs, v, "[hidden]")
		}
	}
	if cut {
		text = text[halfValue(text, j.secrets):]
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// halfValue returns the length of the longest beginning of text that is the end of a value.
func halfValue(text string, values []string) int {
	longest := 0
	for _, v := range values {
		for n := min(len(v), len(text)); len(v) >= secretSize && n > longest; n-- {
			if strings.HasPrefix(text, v[len(v)-n:]) {
				longest = n
			}
		}
	}
	return longest
}

// tail keeps the last bytes of what is written to it. It is safe for concurrent use.
type tail struct {
	mu   sync.Mutex
	text []byte
	cut  bool // something was dropped
}

// Write keeps the last outputSize bytes, and never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - outputSize; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
		t.cut = true
	}
	return len(p), nil
}

// read returns what is kept, and whether more was written.
func (t *tail) read() (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text), t.cut
}
