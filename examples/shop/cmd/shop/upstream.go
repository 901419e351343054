package main

import "sync/atomic"

// upstream remembers whether the last call to another service worked. Before the first call it is taken to be up.
type upstream struct{ down atomic.Bool }

func newUpstream() *upstream { return &upstream{} }

func (u *upstream) set(worked bool) { u.down.Store(!worked) }

// value returns 1 when the last call worked, else 0.
func (u *upstream) value() float64 {
	if u.down.Load() {
		return 0
	}
	return 1
}
