package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gameday/faults"
	"gameday/targets/lab/power"
)

// fakeSwitch is one node that boots by itself after it was told to go off.
type fakeSwitch struct {
	mu      sync.Mutex
	boots   int
	on      bool
	broken  bool // never boots by itself
	stuck   bool // does not go off
	gone    bool // the whole lab
	onCalls int
}

func (f *fakeSwitch) dial(string) (Switch, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		return nil, fmt.Errorf("reaching the lab: %w", syscall.ENOENT)
	}
	return f, nil
}

func (f *fakeSwitch) Node(context.Context, string) (power.State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return power.State{Name: "ledger", On: f.on, BootID: fmt.Sprintf("%d-boot-id-0000", f.boots)}, nil
}

func (f *fakeSwitch) PowerOff(_ context.Context, _ string, down time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stuck {
		return nil
	}
	f.on = false
	if !f.broken {
		time.AfterFunc(down, func() { _ = f.PowerOn(context.Background(), "") })
	}
	return nil
}

func (f *fakeSwitch) PowerOn(context.Context, string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onCalls++
	if !f.on {
		f.on = true
		f.boots++
	}
	return nil
}

func place() faults.Place {
	return faults.Place{Name: "ledger", Node: &faults.Node{Name: "ledger", Control: "/lab.sock"}}
}

func start(t *testing.T, f *fakeSwitch, down string) (*restart, faults.Entry) {
	t.Helper()
	i, err := (&Restart{DownFor: down}).Bind(place())
	if err != nil {
		t.Fatal(err)
	}
	r := i.(*restart)
	r.dial = f.dial
	undo, err := r.Undo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Inject(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	return r, faults.Entry{ID: "i1", Undo: undo, Place: place()}
}

func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSwitch{on: true}
		began := time.Now()
		r, e := start(t, f, "10s")
		if got, err := r.Effect(t.Context()); err != nil || !got.Proven || !strings.Contains(got.Summary, "is off") {
			t.Errorf("effect %+v, %v", got, err)
		}
		got, err := r.Watch(t.Context())
		if err != nil || !got.Proven || got.Summary != "boot id 0-boot-i… → 1-boot-i…" {
			t.Errorf("watch %+v, %v", got, err)
		}
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("it was down for %v", took)
		}
		if got, err := r.Effect(t.Context()); err != nil || !got.Proven || got.Details["new_boot_id"] != "1-boot-id-0000" {
			t.Errorf("effect afterwards %+v, %v", got, err)
		}
		for range 2 {
			if err := revertBy(t.Context(), e, f.dial); err != nil {
				t.Error(err)
			}
		}
		if f.boots != 1 {
			t.Errorf("reverting booted it again: %d boots", f.boots)
		}
	})
}

func TestRevertPowersOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSwitch{on: true, broken: true}
		r, e := start(t, f, "2s")
		began := time.Now()
		if _, err := r.Watch(t.Context()); err == nil || !strings.Contains(err.Error(), "has not booted") {
			t.Errorf("watch: %v", err)
		}
		if took := time.Since(began); took != 2*time.Second+bootLimit {
			t.Errorf("watched for %v", took)
		}
		for range 2 {
			if err := revertBy(t.Context(), e, f.dial); err != nil {
				t.Error(err)
			}
		}
		if !f.on || f.boots != 1 {
			t.Errorf("on %v after %d boots", f.on, f.boots)
		}
		f.gone = true
		if err := revertBy(t.Context(), e, f.dial); err != nil {
			t.Errorf("with the lab gone: %v", err)
		}
	})
}

func TestNoEffectWhenTheNodeStaysOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := start(t, &fakeSwitch{on: true, stuck: true}, "")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got, err := r.Effect(ctx); err != nil || got.Proven || !strings.Contains(got.Summary, "still serves") {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestOffAlready(t *testing.T) {
	i, err := (&Restart{}).Bind(place())
	if err != nil {
		t.Fatal(err)
	}
	i.(*restart).dial = (&fakeSwitch{}).dial
	if _, err := i.Undo(t.Context()); err == nil || !strings.Contains(err.Error(), "off already") {
		t.Errorf("%v", err)
	}
}

// TestLabGone asks real sockets: one that never was, and one that nobody serves any more.
func TestLabGone(t *testing.T) {
	stale := filepath.Join(t.TempDir(), "lab.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for _, path := range []string{stale, stale + ".never"} {
		raw, err := json.Marshal(undo{Control: path, Node: "ledger"})
		if err != nil {
			t.Fatal(err)
		}
		if err := RestartKind().Revert(t.Context(), faults.Entry{Undo: raw}); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := RestartKind().Revert(t.Context(), faults.Entry{Undo: []byte("{")}); err == nil {
		t.Error("a torn undo was reverted")
	}
}

func TestValidate(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "1s": "", "10m": "",
		"0.5s": "1s to 10m", "11m": "1s to 10m",
		"soon": "not a duration", "10": "not a duration",
	} {
		err := (&Restart{DownFor: text}).Validate()
		var field *faults.FieldError
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", text, err)
		case want != "" && (!errors.As(err, &field) || field.Field != "down_for" || !strings.Contains(field.Detail, want)):
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
