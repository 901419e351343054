package stress

import (
	"errors"
	"fmt"

	"gameday/faults"
	"gameday/sizes"
)

// Limits of memory_stress.
const (
	defaultMemoryPercent = 80
	leastMemory          = 1 << 20
	leastFloor           = 64e6 // below it the machine may not even be able to let go
	memoryChunk          = 16 << 20
)

// defaultFloor is what a load leaves of the machine's memory: 512 MB, or 10 % where that is more.
func defaultFloor(total uint64) uint64 { return max(512e6, total/10) }

// MemoryKind returns memory_stress: memory that is taken, touched and locked.
func MemoryKind() faults.Kind {
	return machine(faults.Kind{
		Name:    "memory_stress",
		Summary: "take memory, leaving a floor",
		Undoing: "its worker is ended, and the memory with it; the kernel ends both with the guard or the lease",
		New:     func() faults.Config { return &Memory{} },
		Revert:  revert,
	})
}

// Memory holds the parameters of memory_stress. At most one of Size and Percent is given; with neither, Percent is 80.
type Memory struct {
	// Size is how much to take, such as "2GB".
	Size string `hcl:"size,optional" json:"size,omitempty"`
	// Percent is the share to take of the memory that is available when the fault is injected.
	Percent float64 `hcl:"percent,optional" json:"percent,omitempty"`
	// Floor is how much available memory is left in any case, such as "1GB", or "10%" of the machine's memory; 10 % or
	// 512 MB when empty, whichever is more.
	Floor string `hcl:"floor,optional" json:"floor,omitempty"`
}

// Validate checks the sizes.
func (m *Memory) Validate() error {
	return errors.Join(
		sizeField("size", m.Size, leastMemory),
		percentField(m.Percent),
		amountField("floor", m.Floor, leastFloor),
		oneOf(map[string]bool{"size": m.Size != "", "percent": m.Percent != 0}, "size", "percent"))
}

// Bind returns the load. How much memory there is is looked up when it is injected.
func (m *Memory) Bind(faults.Place) (faults.Injection, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return m.plan().bind()
}

// Preview returns "2 GB of the machine's memory".
func (m *Memory) Preview(faults.Place) string {
	p := m.plan()
	if p.size > 0 {
		return sizes.Show(p.size) + " of the machine's memory"
	}
	return fmt.Sprintf("%v %% of the machine's available memory", p.percent)
}

// plan needs valid fields.
func (m *Memory) plan() memoryPlan {
	p := memoryPlan{percent: m.Percent}
	if m.Size != "" {
		p.size, _ = sizes.Parse(m.Size)
	} else if p.percent == 0 {
		p.percent = defaultMemoryPercent
	}
	if m.Floor != "" {
		p.floor, _ = parseAmount(m.Floor)
	}
	return p
}

// memoryPlan is a load computed without a machine.
type memoryPlan struct {
	size    uint64
	percent float64 // when size is 0
	floor   amount  // zero for the default
}

// memoryJob is a worker's part.
type memoryJob struct {
	Bytes uint64 `json:"bytes"`
	Floor uint64 `json:"floor"` // available memory below which the worker lets go
}

// job computes how much to take on a machine with so much memory, of which so much is available to the guard.
func (p memoryPlan) job(total, available uint64) (*memoryJob, error) {
	floor := p.floor.of(total)
	if p.floor == (amount{}) {
		floor = defaultFloor(total)
	}
	// Also a percentage of a small machine must leave what it takes to let go.
	j := &memoryJob{Bytes: p.size, Floor: max(floor, leastFloor)}
	what := sizes.Show(p.size)
	if p.size == 0 {
		what = fmt.Sprintf("%v %%", p.percent)
		j.Bytes = min(uint64(p.percent/100*float64(available)), sub(available, uint64(headroom*float64(j.Floor))))
	}
	if j.Bytes < leastMemory || j.Bytes+j.Floor > available {
		return nil, fmt.Errorf("memory_stress: %s cannot be taken: %s are available, and the floor of %s must be left; "+
			"ask for less, or lower the floor", what, sizes.Show(available), sizes.Show(j.Floor))
	}
	return j, nil
}

// sub is a-b, but not below 0.
func sub(a, b uint64) uint64 { return a - min(a, b) }
