package cluster

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"gameday/faults"
)

// Limits of time_skew.
const (
	leastSkew = time.Millisecond
	mostSkew  = 10 * 365 * 24 * time.Hour
	// RealtimeClock is the clock that time_skew shifts when none is named: the time of day.
	RealtimeClock = "CLOCK_REALTIME"
)

// clocks are those that Chaos Mesh can shift, as clock_gettime(2) names them.
var clocks = []string{RealtimeClock, "CLOCK_MONOTONIC", "CLOCK_PROCESS_CPUTIME_ID", "CLOCK_THREAD_CPUTIME_ID", "CLOCK_MONOTONIC_RAW",
	"CLOCK_REALTIME_COARSE", "CLOCK_MONOTONIC_COARSE", "CLOCK_BOOTTIME", "CLOCK_REALTIME_ALARM", "CLOCK_BOOTTIME_ALARM"}

// TimeSkewKind returns time_skew: containers of a pod see another time than the rest of the world.
func TimeSkewKind() faults.Kind {
	return podKind(faults.Kind{
		Name:    "time_skew",
		Summary: "let the containers of a pod see another time; on Kubernetes only",
		New:     func() faults.Config { return &TimeSkew{} },
	})
}

// TimeSkew holds the parameters of time_skew.
type TimeSkew struct {
	// Offset is how far the clock is shifted, such as "2h" into the future or "-10m" into the past.
	Offset string `hcl:"offset" json:"offset"`
	// Clocks are the clocks to shift, by their names in clock_gettime(2); CLOCK_REALTIME when empty.
	Clocks []string `hcl:"clocks,optional" json:"clocks,omitempty"`
}

// Validate checks the offset and the clocks.
func (s *TimeSkew) Validate() error {
	_, err := s.Shift()
	return errors.Join(err, each("clocks", "clock", s.Clocks, clocks))
}

// Shift returns the offset.
func (s *TimeSkew) Shift() (time.Duration, error) {
	text, back := strings.CutPrefix(s.Offset, "-")
	d, err := durationField("offset", text, leastSkew, mostSkew)
	if back {
		d = -d
	}
	return d, err
}

// ClockNames are the clocks to shift.
func (s *TimeSkew) ClockNames() []string {
	if len(s.Clocks) == 0 {
		return []string{RealtimeClock}
	}
	return s.Clocks
}

// Bind says that only pods know the fault.
func (s *TimeSkew) Bind(p faults.Place) (faults.Injection, error) {
	return nil, bindElsewhere("time_skew", p)
}

// Preview returns "CLOCK_REALTIME 2h0m0s ahead".
func (s *TimeSkew) Preview(faults.Place) string {
	d, err := s.Shift()
	if err != nil {
		return "time shifted"
	}
	way := "ahead"
	if d < 0 {
		way, d = "behind", -d
	}
	return fmt.Sprintf("%s %v %s", strings.Join(s.ClockNames(), ", "), d, way)
}
