package network

import (
	"context"
	"errors"
	"testing"
	"time"

	"gameday/faults"
)

// lateTimer is a context whose deadline has come and whose timer has not struck yet, as it happens on a busy machine.
type lateTimer struct {
	context.Context
	end time.Time
}

func (c lateTimer) Deadline() (time.Time, bool) { return c.end, true }

// TestLookEndsWithItsTime has a look fail because its time is up, with an error that does not say so: that is no failure,
// and what was seen before is the answer. An error in good time is one.
func TestLookEndsWithItsTime(t *testing.T) {
	hidden := errors.New("conn.Execute failed: i/o timeout")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := map[string]struct {
		ctx  context.Context
		want error
	}{
		"deadline, timer late": {lateTimer{t.Context(), time.Now().Add(-time.Nanosecond)}, nil},
		"cancelled":            {cancelled, nil},
		"in time":              {lateTimer{t.Context(), time.Now().Add(time.Hour)}, hidden},
		"no limit":             {t.Context(), hidden},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			looks := 0
			e, err := lookUntilProven(tt.ctx, func(context.Context) (faults.Effect, error) {
				if looks++; looks == 1 && tt.ctx.Err() == nil {
					return faults.Effect{Summary: "no packet dropped"}, nil
				}
				return faults.Effect{}, hidden
			})
			if err != tt.want || e.Proven {
				t.Errorf("%+v, %v; want error %v", e, err, tt.want)
			}
			if tt.want == nil && looks == 2 && e.Summary != "no packet dropped" {
				t.Errorf("what was seen before is lost: %+v", e)
			}
		})
	}
}
