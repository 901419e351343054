package guard

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"gameday/faults"
)

// Exit codes of Main.
const (
	exitOK    = 0 // nothing is left of any fault
	exitFault = 1 // the guard could not start, or something is left: standard error says what
	exitUsage = 2
)

// Main is the guard as a program: it serves in and out until in ends or a signal comes, and returns the exit
// code. Both cmd/gameday-guard and gameday itself call it. Args are those after the program's name or the verb.
func Main(kinds []faults.Kind, args []string, in io.Reader, out, errw io.Writer) int {
	flags := flag.NewFlagSet("gameday-guard", flag.ContinueOnError)
	flags.SetOutput(errw)
	flags.Usage = func() {
		fmt.Fprint(errw, "usage: gameday-guard [--ledger DIR] [--halt FILE]\n\n"+
			"Holds faults on this machine for a gameday run: requests on standard input, answers on standard output,\n"+
			"one JSON object a line. When standard input ends, it reverts everything and exits.\n\n")
		flags.PrintDefaults()
	}
	dir := flags.String("ledger", "", "folder of the ledger (default: "+faults.LedgerVariable+", or the machine's)")
	halt := flags.String("halt", "", "file that stops all injections while it is there (default: beside the ledger's folder)")
	showVersion := flags.Bool("version", false, "print the version and exit")
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
		fmt.Fprintf(out, "gameday-guard %s, protocol %d\n", version(), Protocol)
		return exitOK
	}
	if err := serve(kinds, *dir, *halt, in, out); err != nil {
		fmt.Fprintf(errw, "gameday-guard: %v\n", err)
		return exitFault
	}
	return exitOK
}

func serve(kinds []faults.Kind, dir, halt string, in io.Reader, out io.Writer) error {
	// A client that closed its end must not kill the guard before it has reverted everything.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if dir == "" {
		var err error
		if dir, err = faults.DefaultLedgerDir(); err != nil {
			return err
		}
	}
	ledger, err := faults.OpenLedger(dir)
	if err != nil {
		return err
	}
	if halt == "" {
		halt = faults.HaltFile(ledger.Dir())
	}
	o := Options{Kinds: kinds, Ledger: ledger, Version: version(), Halts: []string{halt, faults.MachineHalt}}
	own, err := LoadMachinePolicy(MachinePolicy)
	if err != nil {
		return err
	}
	if own != nil {
		o.Policies = append(o.Policies, own)
	}
	return Serve(ctx, in, out, o)
}

// version is the module's version, or the revision it was built from.
func version() string {
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
