package native

import (
	"fmt"
	"math/rand/v2"
	"sync"

	"gameday/loadgen"
)

// dealer deals the rows of a data set to iterations. Its methods may be called from any goroutine.
type dealer struct {
	set  loadgen.DataSet
	seed uint64

	mu     sync.Mutex
	rounds map[uint64][]int // orders of the rounds that were asked for last
}

func newDealer(set loadgen.DataSet, seed uint64) (*dealer, error) {
	if len(set.Rows) == 0 {
		return nil, fmt.Errorf("data %s has no row", set.Name)
	}
	for i, row := range set.Rows {
		if len(row) != len(set.Columns) {
			return nil, fmt.Errorf("data %s: row %d has %d fields for %d columns", set.Name, i+1, len(row),
				len(set.Columns))
		}
	}
	return &dealer{set: set, seed: seed, rounds: map[uint64][]int{}}, nil
}

// row returns the row of an iteration, from 1.
func (d *dealer) row(iteration uint64) []string {
	n := uint64(len(d.set.Rows))
	round, i := (iteration-1)/n, (iteration-1)%n
	if d.set.Shuffle {
		i = uint64(d.order(round)[i])
	}
	return d.set.Rows[i]
}

// order returns in which order a round deals its rows. Iterations of two rounds may be under way at once.
func (d *dealer) order(round uint64) []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	order, ok := d.rounds[round]
	if !ok {
		for r := range d.rounds {
			if r+2 < round {
				delete(d.rounds, r)
			}
		}
		order = rand.New(rand.NewPCG(d.seed, round)).Perm(len(d.set.Rows))
		d.rounds[round] = order
	}
	return order
}
