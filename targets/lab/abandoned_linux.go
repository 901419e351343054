package lab

import (
	"os"
	"syscall"
)

// abandoned is the signal of a power failure, which is what the outer process's death is to a lab.
const abandoned = syscall.SIGPWR

// Abandoned is the signal with which lab init tells the conductor that the outer process died: the lab is about to end,
// and what is unwound within the grace period is unwound. It is told apart from a request to stop.
var Abandoned os.Signal = abandoned
