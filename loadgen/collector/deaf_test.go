package collector

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/loadgen"
)

// TestLogsDeaf has logs not be readable any more while runners hear what they are told: whoever is given up is told nothing from then on, and
// stops when its lease has lapsed.
func TestLogsDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startLogs(t, 40*time.Millisecond, 900*time.Millisecond, version)
		r.begun()
		time.Sleep(5 * time.Second)
		r.deaf.Store(true)
		at := time.Now()
		if err := <-r.result; err == nil || !strings.Contains(err.Error(), "nothing was heard of it for 1m40s") {
			t.Errorf("it ended with %v", err)
		}
		given := time.Now()
		for i, p := range r.pods {
			if err := <-p.result; !errors.Is(err, errLapsed) {
				t.Errorf("runner %d ended with %v", i+1, err)
			}
		}
		if d := time.Since(given); d > loadgen.LogsLease+2*time.Second || given.Sub(at) < unheard-3*time.Second {
			t.Errorf("they were given up after %s, and stopped %s later", given.Sub(at), d)
		}
	})
}
