package loadgen

import (
	"syscall"
	"time"
)

// nap sleeps by the kernel's own timer, which is exact to some ten microseconds. The runtime's is to a millisecond when
// nothing else runs: it waits in epoll, which counts in them. A signal may end it early.
func nap(d time.Duration) {
	t := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&t, nil) // whoever naps looks at the clock
}
