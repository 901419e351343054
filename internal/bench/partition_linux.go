package main

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"
)

const (
	partitionLimit = 5.0 // times quicker than one process a node
	guardSizeLimit = 12.0
	guardRAMLimit  = 25.0
	partitionMain  = 50 // nodes, at which the targets hold
)

// partitionPlan is what the hub is told to measure.
type partitionPlan struct {
	Guard  string // the program
	Dir    string // for the ledger
	Sizes  []int  // nodes
	Rounds int
}

// partitionFigures are those of one number of nodes. Times are milliseconds, by round.
type partitionFigures struct {
	Nodes                int
	Ours, OneByOne, Many wayFigures
	Start                spread // of the guard, before anything is injected
	Resident, Peak       spread // of the guard while all nodes are cut, MiB
}

// wayFigures are those of one way to cut.
type wayFigures struct {
	Inject, Revert spread // until the last node was proven cut, and proven healed
	Node           spread // until a node was proven cut, of all nodes and rounds
	Skew           spread // from the first node that was proven cut to the last
}

// way cuts nodes and heals them. Both return when each node was done.
type way interface {
	inject(nodes []*benchNode) ([]time.Duration, error)
	revert(nodes []*benchNode) ([]time.Duration, error)
}

// partition measures in a process and a network namespace of its own, which has nothing of this machine's network.
func (b *bench) partition(ctx context.Context) ([]row, error) {
	size, err := strippedSize(b.guard)
	if err != nil {
		return nil, err
	}
	plan := partitionPlan{Guard: b.guard, Dir: b.dir, Sizes: []int{1, partitionMain, 200}, Rounds: b.rounds}
	if b.quick {
		plan.Sizes = []int{1, partitionMain}
	}
	figures, err := b.runHub(ctx, plan)
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, f := range figures {
		rows = append(rows, f.rows()...)
		if f.Nodes == partitionMain {
			rows = append(rows, row{fmt.Sprintf("guard, resident while it holds %d, MiB", f.Nodes), f.Resident.text(1),
				fmt.Sprintf("< %g", guardRAMLimit), met(f.Resident.quantile(1), guardRAMLimit)},
				row{what: "guard, its peak until then, MiB", figure: f.Peak.text(1)},
				row{what: "guard, from its start to its greeting, ms", figure: f.Start.text(1)})
		}
	}
	return append(rows, row{"guard, stripped size, MB", fmt.Sprintf("%.1f", size), fmt.Sprintf("< %g", guardSizeLimit),
		met(size, guardSizeLimit)}), nil
}

// strippedSize returns the size of a program in millions of bytes. One that has its symbols yet is refused.
func strippedSize(path string) (float64, error) {
	f, err := elf.Open(path)
	if err != nil {
		return 0, fmt.Errorf("%w; build it with make build", err)
	}
	defer f.Close()
	if f.Section(".symtab") != nil || f.Section(".debug_info") != nil {
		return 0, fmt.Errorf("%s is not stripped; build it with make build", path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return float64(info.Size()) / 1e6, nil
}

func (b *bench) runHub(ctx context.Context, plan partitionPlan) ([]partitionFigures, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(plan)
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, self, string(raw))
	c.Env = append(plainEnvironment(), roleVariable+"="+roleHub)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		c.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, b.log
	if err := c.Run(); err != nil {
		return nil, errors.Join(fmt.Errorf("cutting nodes: %w", err), context.Cause(ctx))
	}
	var figures []partitionFigures
	return figures, json.Unmarshal(out.Bytes(), &figures)
}

// measure cuts and heals ever more nodes. It runs inside the hub.
func (p *partitionPlan) measure(h *hub) ([]partitionFigures, error) {
	single, err := newShellWay(1)
	if err != nil {
		return nil, err
	}
	many, err := newShellWay(2 * runtime.NumCPU())
	if err != nil {
		return nil, err
	}
	var all []partitionFigures
	for _, size := range p.Sizes {
		if err := h.grow(size); err != nil {
			return nil, err
		}
		f := partitionFigures{Nodes: size}
		nodes := h.nodes[:size]
		for r := range p.Rounds + 1 {
			into := &f
			if r == 0 {
				into = &partitionFigures{} // nobody's programs are cold in the rounds that count
			}
			ways := []func() error{
				func() error { return p.guardRound(nodes, into) },
				func() error { return into.OneByOne.round(single, nodes) },
				func() error { return into.Many.round(many, nodes) },
			}
			if r%2 == 1 {
				slices.Reverse(ways)
			}
			for _, w := range ways {
				if err := w(); err != nil {
					return nil, err
				}
			}
		}
		fmt.Fprintf(os.Stderr, "  %d nodes: ours %s ms, one process a node %s ms\n", size, f.Ours.Inject.text(1), f.OneByOne.Inject.text(1))
		all = append(all, f)
	}
	return all, nil
}

// guardRound is a round of ours, with a guard of its own.
func (p *partitionPlan) guardRound(nodes []*benchNode, f *partitionFigures) error {
	began := time.Now()
	w, err := newGuardWay(p.Guard, filepath.Join(p.Dir, "partition-ledger"))
	if err != nil {
		return err
	}
	f.Start = append(f.Start, milliseconds(time.Since(began)))
	w.standing = func(pid int) {
		f.Resident = append(f.Resident, mib(statusOf(pid, "VmRSS:")))
		f.Peak = append(f.Peak, mib(peakOf(pid)))
	}
	return errors.Join(f.Ours.round(w, nodes), w.close())
}

// round cuts and heals all nodes once, and looks between and after whether it is so. Looking is not measured.
func (f *wayFigures) round(w way, nodes []*benchNode) error {
	began := time.Now()
	done, err := w.inject(nodes)
	took := time.Since(began)
	if err != nil {
		return err
	}
	if err := allAre(true, nodes); err != nil {
		return err
	}
	f.Inject = append(f.Inject, milliseconds(took))
	for _, d := range done {
		f.Node = append(f.Node, milliseconds(d))
	}
	f.Skew = append(f.Skew, milliseconds(slices.Max(done)-slices.Min(done)))
	began = time.Now()
	if _, err := w.revert(nodes); err != nil {
		return err
	}
	f.Revert = append(f.Revert, milliseconds(time.Since(began)))
	return allAre(false, nodes)
}

// allAre looks whether all nodes are cut, or none.
func allAre(cut bool, nodes []*benchNode) error {
	for _, n := range nodes {
		if is, err := n.cut(); err != nil || is != cut {
			return fmt.Errorf("%s is cut: %v, and should be: %v: %w", n.name, is, cut, err)
		}
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// both is the time to cut and heal.
func (f *wayFigures) both() spread {
	sum := make(spread, min(len(f.Inject), len(f.Revert)))
	for i := range sum {
		sum[i] = f.Inject[i] + f.Revert[i]
	}
	return sum
}

// rows tells of one number of nodes.
func (f *partitionFigures) rows() []row {
	of := fmt.Sprintf("%d node(s), ", f.Nodes)
	var rows []row
	for _, w := range []struct {
		name string
		of   *wayFigures
	}{{"gameday", &f.Ours}, {"a process a node, one after the other", &f.OneByOne},
		{fmt.Sprintf("a process a node, %d at once", 2*runtime.NumCPU()), &f.Many}} {
		rows = append(rows, row{what: of + w.name + ": cut + healed, ms",
			figure: fmt.Sprintf("%s + %s", w.of.Inject.text(1), w.of.Revert.text(1))})
		if f.Nodes > 1 {
			rows = append(rows, row{what: "    a node is proven cut after; first to last, ms", figure: fmt.Sprintf(
				"median %.1f, p99 %.1f, largest %.1f; %s", w.of.Node.median(), w.of.Node.quantile(0.99), w.of.Node.quantile(1), w.of.Skew.text(1))})
		}
	}
	single, many := ratios(f.OneByOne.both(), f.Ours.both()), ratios(f.Many.both(), f.Ours.both())
	first := row{what: of + "times quicker than one after the other", figure: single.text(1)}
	if f.Nodes == partitionMain {
		first.target, first.met = fmt.Sprintf("≥ %g", partitionLimit), atLeast(single.median(), partitionLimit)
	}
	return append(rows, first, row{what: of + fmt.Sprintf("times quicker than %d at once", 2*runtime.NumCPU()), figure: many.text(1)})
}
