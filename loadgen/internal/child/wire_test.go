package child

import (
	"encoding/json"
	"math"
	"testing"

	"gameday/loadgen"
)

// The longest program fits into one line to the child, which would take a longer one for the end of its parent.
func TestLongestProgramFits(t *testing.T) {
	c := Command{Then: make([]loadgen.Leg, loadgen.MaxLegs)}
	for i := range c.Then {
		c.Then[i] = loadgen.Leg{To: math.Nextafter(1e-9, 0), Over: loadgen.Never}
	}
	line, err := json.Marshal(c)
	if err != nil || len(line) >= maxCommandBytes {
		t.Errorf("%d bytes, and %d fit: %v", len(line), maxCommandBytes, err)
	}
}
