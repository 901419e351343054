// Bench measures what gameday promises about its own cost, side by side in one run on one machine: the processor time it
// takes around k6, how fast it checks scenarios, how late its faults are, whether its memory grows, how long the
// report on a day takes, how soon many nodes are cut off, and what those cost who look at a room. It prints the figures beside their targets and exits 0 unless
// something broke: a missed target on a noisy machine breaks no build.
//
//	go run ./internal/bench [-quick] [-only overhead|requests|accuracy|validate|lateness|memory|record|programs|partition|room] [-rounds N] [-bin bin/gameday]
//	    [-guard bin/gameday-guard]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"gameday/loadgen/native"
)

// row is one line of the result.
type row struct {
	what, figure, target, met string
}

// bench is one run of this program.
type bench struct {
	gameday string // the program measured
	guard   string // the small one beside it
	dir     string // for everything that is written; removed at the end
	quick   bool
	rounds  int
	log     io.Writer // progress
	helpers map[int]bool
}

// part is one of the measurements.
type part struct {
	name, title string
	measure     func(*bench, context.Context) ([]row, error)
}

var parts = []part{
	{"overhead", "CPU of all gameday processes, for 1,000 iterations", (*bench).overhead},
	{"requests", "CPU of a generator, for 1,000 requests over 16 connections as fast as they go", (*bench).requests},
	{"accuracy", "response times against the truth", (*bench).accuracy},
	{"validate", "checking 1,000 scenario files", (*bench).validate},
	{"lateness", "from when a fault was due to its command being sent", (*bench).lateness},
	{"memory", "peak resident memory, long run against short run", (*bench).memory},
	{"record", "every form of the report on a simulated day of three streams", (*bench).day},
	{"programs", "starting each program, and its size", (*bench).programs},
	{"partition", "cutting nodes off, proven, and healing them, proven", (*bench).partition},
	{"room", "500 observers of a run's room, and strangers who flood it", (*bench).room},
}

func main() {
	if native.IsChild() {
		native.RunChild()
	}
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", role+":", err)
			os.Exit(1)
		}
		return
	}
	b := &bench{log: os.Stderr, helpers: map[int]bool{}}
	only := flag.String("only", "", "measure only this: overhead, requests, accuracy, validate, lateness, memory, record, programs, partition or room")
	flag.BoolVar(&b.quick, "quick", false, "shorter runs and fewer rounds: to see that it works, not to quote")
	flag.IntVar(&b.rounds, "rounds", 0, "rounds of what is repeated (default 5, quick 3)")
	flag.StringVar(&b.gameday, "bin", "bin/gameday", "the program to measure")
	flag.StringVar(&b.guard, "guard", "bin/gameday-guard", "the guard to measure")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := b.run(ctx, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures every part that was asked for and prints the table.
func (b *bench) run(ctx context.Context, only string) (err error) {
	if b.rounds <= 0 {
		b.rounds = 5
		if b.quick {
			b.rounds = 3
		}
	}
	for _, program := range []*string{&b.gameday, &b.guard} {
		if *program, err = filepath.Abs(*program); err != nil {
			return err
		}
		if _, err := os.Stat(*program); err != nil {
			return fmt.Errorf("%w; build it with make build", err)
		}
	}
	if b.dir, err = os.MkdirTemp("", "gameday-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	// A process that outlives its parent becomes a child of this one, and so is counted after all.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("adopting orphans: %w", err)
	}
	known := false
	before := loadAverage()
	var results [][]row
	var titles []string
	for _, p := range parts {
		if only != "" && only != p.name {
			continue
		}
		known = true
		fmt.Fprintf(b.log, "%s: %s\n", p.name, p.title)
		rows, err := p.measure(b, ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		results, titles = append(results, rows), append(titles, p.name+": "+p.title)
	}
	if !known {
		return fmt.Errorf("there is nothing called %q to measure", only)
	}
	return b.print(os.Stdout, titles, results, before)
}

// print writes the machine, and a table for each part.
func (b *bench) print(out io.Writer, titles []string, results [][]row, before string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\n%d cores, %s, %s; load average %s before, %s after; median [min–max]%s\n", runtime.NumCPU(), kernel(),
		runtime.Version(), before, loadAverage(), map[bool]string{true: "; QUICK, not to be quoted"}[b.quick])
	for i, rows := range results {
		fmt.Fprintf(w, "\n%s\n", titles[i])
		for _, r := range rows {
			fmt.Fprintln(w, strings.TrimRight("  "+r.what+"\t"+r.figure+"\t"+r.target+"\t"+r.met, "\t"))
		}
	}
	return w.Flush()
}

// say prints progress.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.log, "  "+format+"\n", args...) }

// loadAverage returns that of the last minute: how quiet the machine was.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "Linux"
	}
	release := unix.ByteSliceToString(u.Release[:])
	parts := strings.SplitN(release, ".", 3)
	return "Linux " + strings.Join(parts[:min(2, len(parts))], ".")
}

// length returns one of two durations.
func (b *bench) length(full, quick time.Duration) time.Duration {
	if b.quick {
		return quick
	}
	return full
}
