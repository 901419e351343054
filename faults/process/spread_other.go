//go:build !linux

package process

import "gameday/faults"

// Spreads fails: descendants are looked for on Linux only.
func (p *Pause) Spreads(faults.Place) ([]faults.Process, error) {
	if !p.Tree {
		return nil, nil
	}
	return nil, errPauseNeedsLinux
}
