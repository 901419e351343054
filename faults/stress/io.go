package stress

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/faults"
	"gameday/sizes"
)

// Limits of io_stress.
const (
	defaultIOWorkers = 4
	maxIOWorkers     = 64
	defaultIORate    = 20e6
	defaultIOSize    = 64 << 20
	defaultIOBlock   = 64 << 10
	leastIOBlock     = 512
	mostIOBlock      = 16 << 20
	ioEnough         = 0.8 // of the requested rate, to count as proven at once
	ioWindow         = 500 * time.Millisecond
	ioPatience       = 1500 * time.Millisecond // after it, the disk is taken to give no more
)

// What a load on a disk does.
const (
	ioWrite = "write"
	ioRead  = "read"
	ioBoth  = "both"
)

var ioModes = []string{ioWrite, ioRead, ioBoth}

// IOKind returns io_stress: synced writes and uncached reads that compete for a disk.
func IOKind() faults.Kind {
	return machine(faults.Kind{
		Name:    "io_stress",
		Summary: "keep a disk busy with synced writes and uncached reads",
		Undoing: "its worker is ended, and its unlinked file with it; the kernel ends both with the guard or the lease",
		New:     func() faults.Config { return &IO{} },
		Revert:  revert,
	})
}

// IO holds the parameters of io_stress.
type IO struct {
	// Path is a folder on the file system whose disk to keep busy; on a node of a lab, one that the node has.
	Path string `hcl:"path" json:"path"`
	// Mode is "write", "read" or "both"; "write" when empty.
	Mode string `hcl:"mode,optional" json:"mode,omitempty"`
	// Workers is how many requests are made at a time; 4 when 0.
	Workers int `hcl:"workers,optional" json:"workers,omitempty"`
	// Rate bounds the bytes a second of all workers together, such as "50MB"; "20MB" when empty.
	Rate string `hcl:"rate,optional" json:"rate,omitempty"`
	// Size is that of all files together, within which the workers go round; "64MiB" when empty.
	Size string `hcl:"size,optional" json:"size,omitempty"`
	// Block is the size of one request; "64KiB" when empty.
	Block string `hcl:"block,optional" json:"block,omitempty"`
	// Reserve is how much free space is kept in any case, as in disk_fill.
	Reserve string `hcl:"reserve,optional" json:"reserve,omitempty"`
}

// Validate checks the path, the numbers and the sizes.
func (i *IO) Validate() error {
	var errs []error
	if i.Mode != "" && !slices.Contains(ioModes, i.Mode) {
		detail := fmt.Sprintf("%q is none of %s.", i.Mode, strings.Join(ioModes, ", "))
		if near := faults.Nearest(i.Mode, ioModes); near != "" {
			detail += fmt.Sprintf(" Did you mean %q?", near)
		}
		errs = append(errs, &faults.FieldError{Field: "mode", Summary: "Invalid mode", Detail: detail})
	}
	errs = append(errs, folder(i.Path), numberField("workers", i.Workers, 0, maxIOWorkers),
		sizeField("rate", i.Rate, leastIOBlock), sizeField("size", i.Size, leastDisk),
		sizeField("block", i.Block, leastIOBlock), amountField("reserve", i.Reserve, leastReserve))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	p := i.plan()
	if p.block > mostIOBlock || p.block*uint64(p.workers) > p.size {
		return &faults.FieldError{Field: "block", Summary: "Block too large",
			Detail: fmt.Sprintf("%s are for %s within %s. A block is at most %s, and each worker needs room for one.",
				sizes.Show(p.block), plural(p.workers, "worker"), sizes.Show(p.size), sizes.Show(mostIOBlock))}
	}
	return nil
}

// Bind returns the load. How much space there is is looked up when it is injected.
func (i *IO) Bind(place faults.Place) (faults.Injection, error) {
	if err := i.Validate(); err != nil {
		return nil, err
	}
	p := i.plan()
	p.path, p.node = folderOn(place, p.path)
	return p.bind()
}

// Preview returns "4 workers write up to 20 MB/s under /var/lib/postgresql".
func (i *IO) Preview(faults.Place) string {
	p := i.plan()
	verb := map[string]string{ioWrite: "write", ioRead: "read", ioBoth: "write and read"}[p.mode]
	return fmt.Sprintf("%s %s up to %s/s under %s", plural(p.workers, "worker"), verb, sizes.Show(p.rate), p.path)
}

// plan needs valid fields.
func (i *IO) plan() ioPlan {
	p := ioPlan{path: i.Path, mode: i.Mode, workers: i.Workers, rate: defaultIORate, size: defaultIOSize, block: defaultIOBlock}
	if p.mode == "" {
		p.mode = ioWrite
	}
	if p.workers == 0 {
		p.workers = defaultIOWorkers
	}
	for _, f := range []struct {
		text string
		to   *uint64
	}{{i.Rate, &p.rate}, {i.Size, &p.size}, {i.Block, &p.block}} {
		if f.text != "" {
			*f.to, _ = sizes.Parse(f.text)
		}
	}
	if i.Reserve != "" {
		p.reserve, _ = parseAmount(i.Reserve)
	}
	return p
}

// ioPlan is a load computed without a machine.
type ioPlan struct {
	path, mode        string
	node              *faults.Process // whose mounts path is in; nil for the guard's own
	workers           int
	rate, size, block uint64 // bytes a second; bytes
	reserve           amount // zero for the default
}

// ioJob is a worker's part: it does the work of all the load's workers, in one process.
type ioJob struct {
	Path    string `json:"path"`
	Mode    string `json:"mode"`
	Workers int    `json:"workers"`
	Rate    uint64 `json:"rate"`
	Size    uint64 `json:"size"`
	Block   uint64 `json:"block"`
	Reserve uint64 `json:"reserve"`
	File    string `json:"file"`
}

// job computes the work on a file system of total bytes with so many free.
func (p ioPlan) job(total, free uint64) (*ioJob, error) {
	j := &ioJob{Path: p.path, Mode: p.mode, Workers: p.workers, Rate: p.rate, Size: p.size, Block: p.block,
		Reserve: reserveOf(p.reserve, total)}
	if j.Size+j.Reserve > free {
		return nil, fmt.Errorf("io_stress: files of %s cannot be made under %s: %s are free, and the reserve of %s must be left; "+
			"ask for less, or lower the reserve", sizes.Show(j.Size), p.path, sizes.Show(free), sizes.Show(j.Reserve))
	}
	return j, nil
}

// judgeIO says whether so many bytes in so long prove the load. Each request waits for the disk, so a load that stays
// below its rate for long says that the disk gives no more.
func judgeIO(rate uint64, over time.Duration, moved uint64) (proven bool, summary string) {
	if over < ioWindow {
		return false, "the load has not run long enough to be measured"
	}
	got := float64(moved) / over.Seconds()
	text := fmt.Sprintf("%s/s reach the disk, of %s/s asked for", sizes.Show(uint64(got)), sizes.Show(rate))
	switch {
	case moved > 0 && got >= ioEnough*float64(rate):
		return true, text
	case moved > 0 && over >= ioPatience:
		return true, text + ": the disk gave no more"
	}
	return false, text
}
