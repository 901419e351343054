package faults

import "slices"

// RevertOrder sorts injections, given in the order in which they were injected, into chains that may be reverted at the
// same time, each from its first to its last. Injections at one place, by whatever targets it was found, may have built on
// each other, so they are in one chain with the newest first. Those of a network and those in a cluster have objects of their own, and each
// is a chain of its own: for one in a cluster, a minute may be waited, and the faults of all manifests are at one place.
func RevertOrder[T any](injected []T, about func(T) (Place, Need)) [][]T {
	var chains [][]T
	at := map[string]int{}
	for _, in := range slices.Backward(injected) {
		where, needs := about(in)
		key := where.Individual()
		alone := needs == NeedNetwork || where.Cluster != nil
		i, known := at[key]
		if !known || alone {
			i = len(chains)
			chains = append(chains, nil)
		}
		if !alone {
			at[key] = i
		}
		chains[i] = append(chains[i], in)
	}
	return chains
}
