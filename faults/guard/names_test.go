package guard_test

import (
	"strings"
	"testing"
	"time"

	"gameday/faults/guard"
)

// TestSlowNameServer has names looked up that take three seconds, while everything else must go on as if they did not.
func TestSlowNameServer(t *testing.T) {
	const underWay = time.Millisecond
	slow := ask("slow", "fake", `{"names":3000000000}`)
	tests := map[string]func(t *testing.T, r *rig, injected <-chan error){
		"others are held and reverted meanwhile": func(t *testing.T, r *rig, injected <-chan error) {
			began := time.Now()
			mustInject(t, r, ask("other", "fake", `{}`))
			if err := r.Revert(t.Context(), "other"); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 0 {
				t.Errorf("another fault took %v", took)
			}
			if err := <-injected; err != nil || time.Since(began) != 3*time.Second-underWay {
				t.Errorf("injected after %v: %v", time.Since(began), err)
			}
		},
		"a second one of the same id is refused": func(t *testing.T, r *rig, injected <-chan error) {
			if _, err := r.Inject(t.Context(), slow); err == nil || !strings.Contains(err.Error(), "already") {
				t.Errorf("%v", err)
			}
			if err := <-injected; err != nil {
				t.Error(err)
			}
		},
		"it is told to revert": func(t *testing.T, r *rig, injected <-chan error) {
			began := time.Now()
			if err := r.Revert(t.Context(), "slow"); err == nil {
				t.Error("reverted what was never injected")
			}
			if err := <-injected; err == nil || !strings.Contains(err.Error(), "told to revert") || time.Since(began) > 0 {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
		},
		"the client dies": func(*testing.T, *rig, <-chan error) {},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				injected := make(chan error, 1)
				go func() {
					_, err := r.Inject(t.Context(), slow)
					injected <- err
				}()
				time.Sleep(underWay) // on the bubble's clock
				test(t, r, injected)
				began := time.Now()
				if err := r.end(t); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took > 0 {
					t.Errorf("the guard needed %v to end", took)
				}
				r.mustBeClean(t)
			})
		})
	}
}

// TestUnknownName refuses a fault whose name is not found, after looking once.
func TestUnknownName(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		for _, do := range []func(guard.InjectRequest) error{
			func(q guard.InjectRequest) error { _, err := r.Inject(t.Context(), q); return err },
			func(q guard.InjectRequest) error { return r.Check(t.Context(), q) },
		} {
			if err := do(ask("i1", "fake", `{"names":-1000000000}`)); err == nil || !strings.Contains(err.Error(), "no such host") {
				t.Errorf("%v", err)
			}
		}
		if err := r.end(t); err != nil {
			t.Error(err)
		}
		r.mustBeClean(t)
	})
}
