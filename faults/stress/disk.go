package stress

import (
	"errors"
	"fmt"

	"gameday/faults"
	"gameday/sizes"
)

// Limits of disk_fill.
const (
	leastDisk    = 1 << 20
	leastReserve = 1e6
)

// defaultReserve is what a load leaves of a file system: 1 GB, or 5 % where that is more.
func defaultReserve(total uint64) uint64 { return max(1e9, total/20) }

// DiskKind returns disk_fill: disk space that is taken by a file without a name.
func DiskKind() faults.Kind {
	return machine(faults.Kind{
		Name:    "disk_fill",
		Summary: "take disk space, leaving a reserve",
		Undoing: "its worker is ended, and the unlinked file with it; the kernel ends both with the guard or the lease",
		New:     func() faults.Config { return &Disk{} },
		Revert:  revert,
	})
}

// Disk holds the parameters of disk_fill. At most one of Size, Percent and Leave is given; with none, all but a little
// more than the reserve is taken.
type Disk struct {
	// Path is a folder on the file system to fill; on a node of a lab, one that the node has.
	Path string `hcl:"path" json:"path"`
	// Size is how much to take, such as "20GB".
	Size string `hcl:"size,optional" json:"size,omitempty"`
	// Percent is the share to take of the space that is free when the fault is injected.
	Percent float64 `hcl:"percent,optional" json:"percent,omitempty"`
	// Leave is how much to leave free, such as "2GB", or "3%" of the file system.
	Leave string `hcl:"leave,optional" json:"leave,omitempty"`
	// Reserve is how much free space is kept in any case, such as "500MB", or "2%" of the file system; 5 % or 1 GB when
	// empty, whichever is more.
	Reserve string `hcl:"reserve,optional" json:"reserve,omitempty"`
}

// Validate checks the path and the sizes.
func (d *Disk) Validate() error {
	return errors.Join(
		folder(d.Path),
		sizeField("size", d.Size, leastDisk),
		percentField(d.Percent),
		amountField("leave", d.Leave, leastReserve),
		amountField("reserve", d.Reserve, leastReserve),
		oneOf(map[string]bool{"size": d.Size != "", "percent": d.Percent != 0, "leave": d.Leave != ""}, "size", "percent", "leave"))
}

// Bind returns the load. How much space there is is looked up when it is injected.
func (d *Disk) Bind(place faults.Place) (faults.Injection, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	p := d.plan()
	p.path, p.node = folderOn(place, p.path)
	return p.bind()
}

// Preview returns "20 GB under /var/lib/postgresql".
func (d *Disk) Preview(faults.Place) string {
	p := d.plan()
	switch {
	case p.size > 0:
		return sizes.Show(p.size) + " under " + p.path
	case p.percent > 0:
		return fmt.Sprintf("%v %% of the free space under %s", p.percent, p.path)
	case d.Leave != "":
		return fmt.Sprintf("all but %s of the space under %s", d.Leave, p.path)
	}
	return "all but the reserve of the space under " + p.path
}

// plan needs valid fields.
func (d *Disk) plan() diskPlan {
	p := diskPlan{path: d.Path, percent: d.Percent}
	if d.Size != "" {
		p.size, _ = sizes.Parse(d.Size)
	}
	if d.Leave != "" {
		p.leave, _ = parseAmount(d.Leave)
	}
	if d.Reserve != "" {
		p.reserve, _ = parseAmount(d.Reserve)
	}
	return p
}

// diskPlan is a load computed without a machine.
type diskPlan struct {
	path    string          // as the guard reaches it
	node    *faults.Process // whose mounts these are; nil for the guard's own
	size    uint64
	percent float64
	leave   amount
	reserve amount // zero for the default
}

// diskJob is a worker's part.
type diskJob struct {
	Path    string `json:"path"`
	Bytes   uint64 `json:"bytes"`
	Reserve uint64 `json:"reserve"`         // free space below which the worker lets go
	Floor   uint64 `json:"floor,omitempty"` // available memory likewise, where files live in memory
	File    string `json:"file"`            // a name to use for an instant if a file cannot be made without one
}

// job computes how much to take of a file system of total bytes with so many free.
func (p diskPlan) job(total, free uint64) (*diskJob, error) {
	j := &diskJob{Path: p.path, Reserve: reserveOf(p.reserve, total)}
	what := "everything"
	switch {
	case p.size > 0:
		j.Bytes, what = p.size, sizes.Show(p.size)
	case p.leave != amount{}:
		j.Bytes, what = sub(free, p.leave.of(total)), "all but "+sizes.Show(p.leave.of(total))
	default:
		j.Bytes = sub(free, uint64(headroom*float64(j.Reserve)))
		if p.percent > 0 {
			j.Bytes, what = min(j.Bytes, uint64(p.percent/100*float64(free))), fmt.Sprintf("%v %%", p.percent)
		}
	}
	if j.Bytes < leastDisk || j.Bytes+j.Reserve > free {
		return nil, fmt.Errorf("disk_fill: %s of %s cannot be taken: %s are free, and the reserve of %s must be left; "+
			"ask for less, or lower the reserve", what, p.path, sizes.Show(free), sizes.Show(j.Reserve))
	}
	return j, nil
}

func reserveOf(a amount, total uint64) uint64 {
	if a == (amount{}) {
		return defaultReserve(total)
	}
	return max(a.of(total), leastReserve)
}
