package process

import "gameday/faults"

// Spreads returns the descendants that a pause with tree would stop besides its process: those that live now. A process
// that is gone has none.
func (p *Pause) Spreads(at faults.Place) ([]faults.Process, error) {
	if !p.Tree || at.Process == nil || !Alive(*at.Process) {
		return nil, nil
	}
	all, err := grow([]faults.Process{*at.Process})
	if err != nil {
		return nil, err
	}
	out := make([]faults.Process, len(all)-1)
	for i, c := range all[1:] {
		out[i] = named(c)
	}
	return out, nil
}
