// Package k6 runs k6 scripts as traffic. It links no k6: a script runs in gameday-k6, a program of its own (package program), which this
// package finds, starts and follows. gameday-k6 is the k6 command with two things of ours in it, both by k6's public extension
// registries: an executor that follows a schedule of arrivals whose rate can be changed while it runs, and an output
// that sums what happens into one Window a second.
//
// The child is apart so that a script that eats all memory, or a panic in the engine, cannot take down the process that
// must revert the faults. Windows come back on file descriptor 3 as JSON lines and commands go down on 4; the end of
// file on 4 means that the parent is gone, and stops the traffic.
package k6
