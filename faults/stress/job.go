package stress

import (
	"os"
	"time"
)

// jobVariable makes a program a worker and says what its work is, as JSON.
const jobVariable = "GAMEDAY_STRESS_WORKER"

// Descriptors of a worker.
const (
	ordersFD  = 3 // readable: one lease in nanoseconds a line; end of file: the guard is dead
	reportsFD = 4 // writable: one report a line
	networkFD = 5 // the network namespace, where the job has one
)

// job is the whole work of one worker. Exactly one of the pointers is set.
type job struct {
	Lease  time.Duration `json:"lease"`
	Group  string        `json:"group,omitempty"` // folder of the cgroup to enter, and to remove at the end
	CPU    *cpuJob       `json:"cpu,omitempty"`
	Memory *memoryJob    `json:"memory,omitempty"`
	Disk   *diskJob      `json:"disk,omitempty"`
	IO     *ioJob        `json:"io,omitempty"`
	Ports  *portsJob     `json:"ports,omitempty"`
	Probe  *probeJob     `json:"probe,omitempty"`
	Limit  *limitJob     `json:"limit,omitempty"`
}

// Steps of a worker's life, as it reports them.
const (
	stepReady    = "ready"    // it holds its lease and begins
	stepStanding = "standing" // it has all that it was to take
	stepOver     = "over"     // it lets go, for the reason in Why
)

// report is one line from a worker.
type report struct {
	Step   string `json:"step"`
	Why    string `json:"why,omitempty"`
	FD     int    `json:"fd,omitempty"`     // of the file that takes the space
	Locked bool   `json:"locked,omitempty"` // memory: none of it can be swapped out
	Held   int    `json:"held,omitempty"`   // ports bound
	Left   int    `json:"left,omitempty"`   // ports that were free and were left so
	InUse  int    `json:"in_use,omitempty"` // ports that somebody else has
	// What a probe got: the name of an error, or "a port".
	Bind    string `json:"bind,omitempty"`
	Connect string `json:"connect,omitempty"`
}

// hooked is set once the program has asked IsWorker. One that never does would start as a whole again instead of as a
// worker.
var hooked bool

// IsWorker reports whether this process was started to be a worker. Then main must call RunWorker before it does
// anything else. A program whose main does not ask cannot hold loads.
func IsWorker() bool {
	hooked = true
	return os.Getenv(jobVariable) != ""
}
