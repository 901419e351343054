package deliver

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"gameday/announce"
)

// TestPatience tries by the clock: as often as it may, and for no longer than it has patience for.
func TestPatience(t *testing.T) {
	for name, tt := range map[string]struct {
		patience, each time.Duration
		after          time.Duration
		tries          int
		took           time.Duration
	}{
		"no patience":             {0, 0, 0, 1, 0},
		"five tries":              {time.Minute, 0, 0, 5, 15 * time.Second},
		"five seconds":            {5 * time.Second, 0, 0, 3, 3 * time.Second},
		"a server that is asked":  {time.Minute, 0, 20 * time.Second, 3, 40 * time.Second},
		"a server that is slow":   {time.Minute, 15 * time.Second, 0, 5, time.Minute},
		"longer than there is":    {time.Minute, 0, 61 * time.Second, 1, 0},
		"less than its own pause": {time.Minute, 0, time.Millisecond, 5, 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Sender{Patience: tt.patience}
				began := time.Now()
				out := s.repeat(t.Context(), func(ctx context.Context) announce.Outcome {
					select {
					case <-ctx.Done():
					case <-time.After(tt.each):
					}
					return announce.Outcome{Err: errors.New("busy"), After: tt.after}
				})
				if took := time.Since(began); out.Tries != tt.tries || took != tt.took || out.Err == nil {
					t.Errorf("%d tries in %s, want %d in %s", out.Tries, took, tt.tries, tt.took)
				}
			})
		})
	}
}

// TestBrokenOff ends at once when nobody waits any longer.
func TestBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		began := time.Now()
		out := (&Sender{Patience: time.Hour}).repeat(ctx, func(context.Context) announce.Outcome {
			return announce.Outcome{Err: errors.New("busy"), After: time.Minute}
		})
		if took := time.Since(began); took != 3*time.Second || out.Tries != 1 {
			t.Errorf("%d tries in %s", out.Tries, took)
		}
	})
}
