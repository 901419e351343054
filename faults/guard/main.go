package guard

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"gameday/faults"
)

// Exit codes of Main.
const (
	exitOK    = 0 // nothing is left of any fault
	exitFault = 1 // the guard could not start, or something is left: standard error says what
	exitUsage = 2
)

// sshVariable tells of the SSH connection that a program was started through. Faults keep that path open; sudo drops it.
const sshVariable = "SSH_CONNECTION"

// Program is the guard as a program. Both cmd/gameday-guard and gameday itself are one.
type Program struct {
	// Name is the program's, for its usage; empty is gameday-guard.
	Name  string
	Kinds []faults.Kind
	// Find is for Options.
	Find func(ctx context.Context, query json.RawMessage) (json.RawMessage, error)
}

// Main is the main of a Program that finds no places.
func Main(kinds []faults.Kind, args []string, in io.Reader, out, errw io.Writer) int {
	return Program{Kinds: kinds}.Main(args, in, out, errw)
}

// Main serves in and out until in ends or a signal comes, and returns the exit code. With the argument "revert" it reverts
// what dead guards left on this machine instead. Args are those after the program's name or the verb.
func (p Program) Main(args []string, in io.Reader, out, errw io.Writer) int {
	name := cmp.Or(p.Name, "gameday-guard")
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(errw)
	flags.Usage = func() {
		fmt.Fprintf(errw, "usage: %[1]s [--ledger DIR] [--halt FILE]\n       %[1]s revert [--quiet] [--ledger DIR]\n\n"+
			"Holds faults for a gameday run: requests on standard input, answers on standard output,\n"+
			"one JSON object a line. When standard input ends, it reverts everything and exits.\n"+
			"With revert, it reverts what dead guards of this machine left standing, and exits.\n\n", name)
		flags.PrintDefaults()
	}
	dir := flags.String("ledger", "", "folder of the ledger (default: "+faults.LedgerVariable+", or the machine's)")
	halt := flags.String("halt", "", "file that stops all injections while it is there (default: beside the ledger's folder)")
	silence := flags.Duration("silence", 0, "take a client that says nothing for so long for dead (default: never)")
	through := flags.String("ssh", "", "the SSH connection that faults must keep open, as in "+sshVariable)
	quiet := flags.Bool("quiet", false, "with revert, for those who call either program: a guard says nothing when nothing is left")
	showVersion := flags.Bool("version", false, "print the version and exit")
	cleaning := len(args) > 0 && args[0] == "revert"
	if cleaning {
		args = args[1:]
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return exitOK
		}
		return exitUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(errw, "gameday-guard: unexpected argument %q; see --help\n", flags.Arg(0))
		return exitUsage
	}
	if *showVersion {
		fmt.Fprintf(out, "gameday-guard %s, protocol %d\n", Version(), Protocol)
		return exitOK
	}
	if *through != "" {
		if err := os.Setenv(sshVariable, *through); err != nil {
			fmt.Fprintf(errw, "gameday-guard: %v\n", err)
			return exitUsage
		}
	}
	if *quiet && !cleaning {
		fmt.Fprintln(errw, "gameday-guard: --quiet goes with revert; see --help")
		return exitUsage
	}
	if cleaning {
		return p.revert(*dir, out, errw)
	}
	if err := p.serve(*dir, *halt, *silence, in, out); err != nil {
		fmt.Fprintf(errw, "gameday-guard: %v\n", err)
		return exitFault
	}
	return exitOK
}

// revert reverts every orphan in the machine's ledger and says what became of each.
func (p Program) revert(dir string, out, errw io.Writer) int {
	ledger, err := openLedger(dir)
	if err != nil {
		fmt.Fprintf(errw, "gameday-guard: %v\n", err)
		return exitFault
	}
	results, err := faults.RevertOrphans(context.Background(), ledger, p.Kinds, nil)
	if err != nil {
		fmt.Fprintf(errw, "gameday-guard: %v\n", err)
		return exitFault
	}
	code := exitOK
	for _, r := range results {
		if r.Err != nil {
			fmt.Fprintf(errw, "gameday-guard: %s is left standing: %v\n", r.ID, r.Err)
			code = exitFault
			continue
		}
		if r.Note != "" {
			fmt.Fprintf(out, "closed %s (%s) on %s, of run %s: %s\n", r.Entry.Fault, r.Entry.Kind, r.Entry.Place.Name, r.Entry.Run, r.Note)
			continue
		}
		fmt.Fprintf(out, "reverted %s (%s) on %s, of run %s\n", r.Entry.Fault, r.Entry.Kind, r.Entry.Place.Name, r.Entry.Run)
	}
	return code
}

// openLedger opens the ledger in a folder, or the machine's.
func openLedger(dir string) (*faults.Ledger, error) {
	if dir == "" {
		var err error
		if dir, err = faults.DefaultLedgerDir(); err != nil {
			return nil, err
		}
	}
	return faults.OpenLedger(dir)
}

func (p Program) serve(dir, halt string, silence time.Duration, in io.Reader, out io.Writer) error {
	// A client that closed its end must not kill the guard before it has reverted everything.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ledger, err := openLedger(dir)
	if err != nil {
		return err
	}
	if halt == "" {
		halt = faults.HaltFile(ledger.Dir())
	}
	o := Options{Kinds: p.Kinds, Find: p.Find, Silence: silence, Ledger: ledger, Version: Version(), Halts: []string{halt, faults.MachineHalt}}
	own, err := LoadMachinePolicy(MachinePolicy)
	if err != nil {
		return err
	}
	if own != nil {
		o.Policies = append(o.Policies, own)
	}
	return Serve(ctx, in, out, o)
}

// Version returns the version of the module that this program was built from, or its revision. Programs that were built together have
// the same.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && info.Main.Version == "(devel)" {
			return s.Value
		}
	}
	if info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
