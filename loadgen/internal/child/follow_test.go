package child

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/loadgen"
)

// TestLimitsOfAScript gives a script the time that its child has found in it, instead of what was thought before.
func TestLimitsOfAScript(t *testing.T) {
	for _, c := range []struct {
		name   string
		script *Script
		setup  time.Duration // how long its set-up takes
		want   string
	}{
		{"in time", nil, 65 * time.Second, ""},
		{"too long", nil, 75 * time.Second, "its setup did not end within 1m0s"},
		{"a script with a long set-up", &Script{SetupWithin: 5 * time.Minute, EndWithin: time.Hour, Folder: "/home/nobody"}, 5*time.Minute + 5*time.Second, ""},
		{"too long for that", &Script{SetupWithin: 5 * time.Minute}, 6 * time.Minute, "its setup did not end within 5m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				folder := ""
				f := &Follower{Subject: "s.js", SetupWithin: time.Minute, EndWithin: time.Minute, Emit: func(loadgen.Window) {},
					Script: func(s Script) { folder = s.Folder }}
				events, over := make(chan Event), make(chan struct{})
				go func() {
					defer close(events)
					if c.script != nil {
						events <- Event{Script: c.script}
					}
					select {
					case now := <-time.After(c.setup):
						events <- Event{Ready: &now}
					case <-over:
					}
				}()
				err := f.steer(t.Context(), events)
				close(over)
				if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
					t.Errorf("it ended with %v, want %q", err, c.want)
				}
				if c.script != nil && (folder != c.script.Folder || f.EndWithin != c.script.EndWithin) {
					t.Errorf("the script has the folder %q and %s to end", folder, f.EndWithin)
				}
			})
		})
	}
}
