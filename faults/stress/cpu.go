package stress

import (
	"errors"
	"fmt"
	"math"
	"time"

	"gameday/faults"
)

// Limits of cpu_stress.
const (
	defaultCPUPercent = 80
	maxCores          = 4096
	cpuPeriod         = 50 * time.Millisecond // one turn of work and rest
	cpuEnough         = 0.8                   // of the requested processor time, to count as proven
	cpuWindow         = 500 * time.Millisecond
)

// CPUKind returns cpu_stress: busy loops that take processor time from everything else on the machine.
func CPUKind() faults.Kind {
	return machine(faults.Kind{
		Name:    "cpu_stress",
		Summary: "keep processors busy",
		Undoing: "its worker is ended; the kernel ends it with the guard or the lease",
		New:     func() faults.Config { return &CPU{} },
		Revert:  revert,
	})
}

// CPU holds the parameters of cpu_stress. At most one of Cores and Percent is given; with neither, Percent is 80.
type CPU struct {
	// Cores is how many processors' worth of time to take, such as 1.5, on whichever the kernel chooses.
	Cores float64 `hcl:"cores,optional" json:"cores,omitempty"`
	// Percent is the share of time to take of each processor that the guard may use.
	Percent float64 `hcl:"percent,optional" json:"percent,omitempty"`
	// Nice is the load's niceness, from 0, on a par with ordinary programs, to 19, which takes little but idle time.
	Nice int `hcl:"nice,optional" json:"nice,omitempty"`
}

// Validate checks the ranges.
func (c *CPU) Validate() error {
	var errs []error
	if !(c.Cores >= 0 && c.Cores <= maxCores) {
		errs = append(errs, &faults.FieldError{Field: "cores", Summary: "Number out of range",
			Detail: fmt.Sprintf("cores is above 0 and at most %d, not %v.", maxCores, c.Cores)})
	}
	return errors.Join(append(errs, percentField(c.Percent), numberField("nice", c.Nice, 0, 19),
		oneOf(map[string]bool{"cores": c.Cores != 0, "percent": c.Percent != 0}, "cores", "percent"))...)
}

// Bind returns the load. How many processors there are is looked up when it is injected.
func (c *CPU) Bind(faults.Place) (faults.Injection, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c.plan().bind()
}

// Preview returns "80 % of every processor of the machine".
func (c *CPU) Preview(faults.Place) string {
	p := c.plan()
	if p.cores > 0 {
		return fmt.Sprintf("%v processors' worth of the machine's time", p.cores)
	}
	return fmt.Sprintf("%v %% of every processor of the machine", p.percent)
}

func (c *CPU) plan() cpuPlan {
	p := cpuPlan{cores: c.Cores, percent: c.Percent, nice: c.Nice}
	if p.cores == 0 && p.percent == 0 {
		p.percent = defaultCPUPercent
	}
	return p
}

// cpuPlan is a load computed without a machine.
type cpuPlan struct {
	cores, percent float64 // one of them is set
	nice           int
}

// cpuJob is a worker's part.
type cpuJob struct {
	Duties []float64 `json:"duties"`         // per thread: the share of time that it is busy, up to 1
	CPUs   []int     `json:"cpus,omitempty"` // per thread: the processor it is bound to; none when empty
	Nice   int       `json:"nice,omitempty"`
}

// job computes the threads for a machine on which the given processors may be used.
func (p cpuPlan) job(cpus []int) (*cpuJob, error) {
	j := &cpuJob{Nice: p.nice}
	if p.cores == 0 {
		for range cpus {
			j.Duties = append(j.Duties, p.percent/100)
		}
		j.CPUs = cpus
		return j, nil
	}
	if p.cores > float64(len(cpus)) {
		return nil, fmt.Errorf("cpu_stress: %v cores are asked for, and the guard may use %d; ask for fewer, or give percent",
			p.cores, len(cpus))
	}
	whole, rest := math.Modf(p.cores)
	for range int(whole) {
		j.Duties = append(j.Duties, 1)
	}
	if rest > 0 {
		j.Duties = append(j.Duties, rest)
	}
	return j, nil
}

// asked is the processor time that the job wants, in processors.
func (j *cpuJob) asked() float64 {
	sum := 0.0
	for _, d := range j.Duties {
		sum += d
	}
	return sum
}

// cpuUse is what a worker used, and waited for although it could have run, since a first look.
type cpuUse struct {
	over, used, waited time.Duration
}

// judgeCPU says whether the use proves the load. It does when the worker got most of what was asked for. It does too
// when it got less, but together with the time that it stood in the run queue: then the machine gave all it had, and
// others wait likewise.
func judgeCPU(asked float64, u cpuUse) (proven bool, summary string) {
	if u.over < cpuWindow || asked <= 0 {
		return false, "the load has not run long enough to be measured"
	}
	want := asked * u.over.Seconds()
	got, share := u.used.Seconds()/u.over.Seconds(), u.used.Seconds()/want
	switch {
	case share >= cpuEnough:
		return true, fmt.Sprintf("%.2f processors busy, of %.2f asked for (%.0f %%)", got, asked, 100*share)
	case u.used > 0 && share+u.waited.Seconds()/want >= cpuEnough:
		return true, fmt.Sprintf("%.2f processors busy, of %.2f asked for (%.0f %%): the machine had no more, the load waited "+
			"%.2f s in the run queue each second", got, asked, 100*share, u.waited.Seconds()/u.over.Seconds())
	}
	return false, fmt.Sprintf("%.2f processors busy, of %.2f asked for (%.0f %%), and no wait in the run queue: a quota of a "+
		"cgroup may hold the load back", got, asked, 100*share)
}
