//go:build !linux

package loadgen

import "time"

// nap sleeps.
func nap(d time.Duration) { time.Sleep(d) }
