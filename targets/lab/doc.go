// Package lab gives a scenario test hosts on this machine: nodes with a network, processes, mounts and a name of their
// own, which can lose power and boot again. It needs Linux, and neither root nor anything installed.
//
// The program that uses it is executed again in three more roles:
//
//	gameday run (outer) ──▶ lab init: PID 1 of the lab: starts, watches and reaps everything in it
//	      │ lifeline            ├─▶ conductor: the same command line again, inside the lab
//	      │ signals ▶           └─▶ node init, one per node: PID 1 of the node, runs its processes
//	      ◀ exit status
//
// Everything of a lab lives in its PID namespace and in its mount namespace, so the kernel removes it when lab init
// ends, and lab init ends soon after the conductor or the outer process did, whatever ended them. The lab has its
// own network: a bridge with 198.18.0.1, called "gameday", where the conductor and its traffic live, and each node
// behind it. It has no way out to the machine's network.
//
// What faults make in the machine's cgroups does not end with the lab. A Notice in the machine's ledger names the lab's own ledger
// for whoever has to revert it.
//
// A node sees the machine's files, but has its own /proc, an empty /run, an own boot id and host name, and an
// /etc/hosts that names all nodes. Scenarios and their programs can therefore not lie below /run.
package lab
