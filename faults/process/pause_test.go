package process

import (
	"errors"
	"os"
	"strings"
	"testing"

	"gameday/faults"
)

func TestPauseValidate(t *testing.T) {
	for method, want := range map[string]string{"signals": `Did you mean "signal"?`, "SIGSTOP": `Use "signal"`, "frezer": `Did you mean "freezer"?`} {
		err := (&Pause{Method: method}).Validate()
		var field *faults.FieldError
		if !errors.As(err, &field) || field.Field != "method" || !strings.Contains(field.Detail, want) {
			t.Errorf("%s: %v, want %q", method, err, want)
		}
	}
	for _, method := range []string{"", "signal", "freezer"} {
		if err := (&Pause{Method: method}).Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestPauseBindRefuses(t *testing.T) {
	for name, p := range map[string]*faults.Process{
		"nothing": nil, "init": {PID: 1, Start: 1}, "the guard": {PID: os.Getpid(), Start: 1}, "a group": {PID: -5, Start: 1},
		"everything": {PID: 0, Start: 1}, "no start": {PID: 4127},
	} {
		if _, err := (&Pause{}).Bind(faults.Place{Name: "x", Process: p}); err == nil {
			t.Errorf("%s can be paused", name)
		}
	}
}

func TestPausePreview(t *testing.T) {
	at := faults.Place{Process: &faults.Process{PID: 4127}}
	for want, p := range map[string]*Pause{
		"SIGSTOP to pid 4127": {}, "SIGSTOP to pid 4127 and its descendants": {Tree: true}, "freezes pid 4127": {Method: "freezer"},
	} {
		if got := p.Preview(at); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestRevertPauseRefuses does nothing for an undo that cannot be read.
func TestRevertPauseRefuses(t *testing.T) {
	for _, undo := range []string{``, `{}`, `{"method":"freezer"}`, `{"method":"prayer"}`, `[]`} {
		if err := revertPause(t.Context(), faults.Entry{Undo: []byte(undo)}); err == nil {
			t.Errorf("reverted %q", undo)
		}
	}
}
