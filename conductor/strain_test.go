package conductor

import (
	"strings"
	"testing"
	"time"

	"gameday/loadgen"
)

// TestStrain says once that a generator has come to its limit, and once that it has recovered, whatever single seconds do.
func TestStrain(t *testing.T) {
	busy := loadgen.Window{Generator: loadgen.Load{CPU: 1900 * time.Millisecond, RunQueue: time.Second}}
	calm := loadgen.Window{Generator: loadgen.Load{CPU: 100 * time.Millisecond}}
	s := &strain{}
	var said []string
	for i, w := range []struct {
		window loadgen.Window
		times  int
	}{{calm, 10}, {busy, 1}, {calm, 10}, {busy, 20}, {calm, 20}, {busy, 20}} {
		for range w.times {
			if level, message := s.look(w.window); message != "" {
				said = append(said, string(rune('0'+i))+" "+level+" "+message)
			}
		}
	}
	if len(said) != 3 || !strings.HasPrefix(said[0], "3 warning the generator is at its own limit (1.") ||
		!strings.HasPrefix(said[1], "4 info") || !strings.HasPrefix(said[2], "5 warning") {
		t.Errorf("said %q", said)
	}
}
