// Package guard is the lease protocol, both ends: the guard stands on the target and holds faults, the client is
// held by the conductor.
//
//	client ──one JSON request a line──▶ guard ──▶ ledger, kernel
//	       ◀─replies, in any order, and events─
//
// The guard trusts nobody to stay alive. It writes what undoes a fault to the ledger before it injects the fault.
// It reverts the fault when told to, when the lease is not renewed in time, at the deadline, on end of file (the
// client is dead), on SIGTERM, SIGINT and SIGHUP, and when any kind panics. If the guard itself is killed, the
// kernel lets go of what it can when the lease runs out, and the unlocked ledger entry tells `gameday revert` the
// rest.
package guard
