package cluster

import (
	"cmp"
	"errors"
	"time"

	"gameday/faults"
)

// Limits of io_latency.
const (
	defaultIODelay = "100ms"
	leastIODelay   = 100 * time.Microsecond
	mostIODelay    = time.Minute
)

// IOLatencyKind returns io_latency: operations on the files of a pod's volume take longer.
func IOLatencyKind() faults.Kind {
	return podKind(faults.Kind{
		Name:    "io_latency",
		Summary: "let operations on the files of a pod's volume take longer; on Kubernetes only",
		New:     func() faults.Config { return &IOLatency{} },
	})
}

// IOLatency holds the parameters of io_latency.
type IOLatency struct {
	// Volume is where the volume is mounted in the container.
	Volume string `hcl:"volume" json:"volume"`
	// Path narrows the fault to files, as a whole path in which * stands for anything; all of the volume when empty.
	Path string `hcl:"path,optional" json:"path,omitempty"`
	// Methods narrows the fault to operations, such as "read" and "fsync"; all when empty.
	Methods []string `hcl:"methods,optional" json:"methods,omitempty"`
	// Percent is how many of the operations are hit, each by chance; 100 when 0.
	Percent int `hcl:"percent,optional" json:"percent,omitempty"`
	// Delay is how much longer an operation takes: "100ms" when empty.
	Delay string `hcl:"delay,optional" json:"delay,omitempty"`
}

// Validate checks the files and the delay.
func (l *IOLatency) Validate() error {
	_, err := l.Length()
	return errors.Join(l.files().validate(), err)
}

func (l *IOLatency) files() files { return files{l.Volume, l.Path, l.Methods, l.Percent} }

// Length returns how much longer an operation takes.
func (l *IOLatency) Length() (time.Duration, error) {
	return durationField("delay", cmp.Or(l.Delay, defaultIODelay), leastIODelay, mostIODelay)
}

// Share returns the percentage of operations that are hit.
func (l *IOLatency) Share() int { return share(l.Percent) }

// Bind says that only pods know the fault.
func (l *IOLatency) Bind(p faults.Place) (faults.Injection, error) {
	return nil, bindElsewhere("io_latency", p)
}

// Preview returns "read, write below /data, 100ms longer".
func (l *IOLatency) Preview(faults.Place) string {
	return l.files().words() + ", " + cmp.Or(l.Delay, defaultIODelay) + " longer"
}
