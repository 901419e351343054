package vm

import (
	"testing"
	"time"
)

// TestNetemFaultsUnderARealKernel runs the tests of the faults that need emulated networks, which few machines that run
// tests have, against a kernel that has them. One processor, since two may change the order of datagrams that no fault
// touches, and steady time, since they measure milliseconds while this machine is busy: its load makes them last
// longer, and changes nothing else.
func TestNetemFaultsUnderARealKernel(t *testing.T) {
	m := Start(t, Options{CPUs: 1, Steady: true})
	t.Logf("booted in %v", m.Boot().Took)
	o := m.Test(t, "gameday/faults/network", "^TestNetem", 8*time.Minute)
	t.Logf("in the machine %d passed and %d were skipped", o.Passed, o.Skipped)
}
