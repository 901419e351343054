package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gameday/programs"
)

// version is set by the build; a build from source says which commit it is.
var version = ""

func versionText() string { return programs.Version(version) }

// app is one call of the program: where it prints.
type app struct {
	out, errw io.Writer
	cmd       *cobra.Command
}

// root puts the verbs together.
func root(out, errw io.Writer) *app {
	a := &app{out: out, errw: errw}
	a.cmd = &cobra.Command{
		Use:   "gameday",
		Short: "Load tests and chaos game days that score the service, the alarms and the people",
		Long: "gameday runs a game day from a file: traffic at a multiple of a measured baseline, real faults that cannot outlive\n" +
			"the run, and an honest score of whether the service held, the right alarms fired in time, and people responded.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       versionText(),
	}
	a.cmd.SetOut(out)
	a.cmd.SetErr(errw)
	a.cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%w; see `%s --help`", err, c.CommandPath())
	})
	a.cmd.AddCommand(a.validateCmd(), a.importCmd(), a.planCmd(), a.baselineCmd(), a.runCmd(), a.capacityCmd(), a.reportCmd(),
		a.explainCmd(), a.rescoreCmd(), a.finalizeCmd(), a.copyCmd(), a.overrideCmd(), a.markCmd(), a.stopCmd(), a.revertCmd(), a.hostsCmd(), a.installGuardCmd(), a.policyCmd(), a.auditCmd(),
		a.kindsCmd(), a.guardCmd(), a.generatorCmd(), a.runnerCmd(), exitTopic())
	a.cmd.AddCommand(a.steerCmds()...)
	a.cmd.AddCommand(a.compareCmd(), a.regressCmd(), a.historyCmd(), a.trendsCmd(), a.freshCmd(), a.badgeCmd(), a.exportCmd(), a.scheduleCmd())
	a.cmd.AddCommand(a.rehearseCmd(), a.signOffCmd(), a.verifyCmd())
	a.cmd.AddCommand(a.roomCmd(), a.serveCmd(), a.announceCmd())
	sayUse(a.cmd)
	return a
}

// sayUse lets a verb that gets too few or too many arguments, and all below it, say how it is used.
func sayUse(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usage("%w; it is used as `%s`, see `%s --help`", err, c.UseLine(), c.CommandPath())
			}
			return nil
		}
	}
	for _, below := range c.Commands() {
		sayUse(below)
	}
}

// execute runs one command line. -var and -var-file may be written with one dash, as in Terraform.
func (a *app) execute(args []string) error {
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if arg == "-var" || arg == "-var-file" || strings.HasPrefix(arg, "-var=") || strings.HasPrefix(arg, "-var-file=") {
			args[i] = "-" + arg
		}
	}
	if len(args) > 0 && args[0] == "compare" {
		args = spread(args)
	}
	a.cmd.SetArgs(args)
	return a.cmd.Execute()
}

// color reports whether a stream takes colour: a terminal, and nobody said NO_COLOR.
func color(w io.Writer) bool { return os.Getenv("NO_COLOR") == "" && terminal(w) }

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// width returns the columns for text on a stream, between 60 and 120.
func width(w io.Writer) int { return min(120, max(60, columns(w))) }

// columns returns the columns of a stream; 100 where there are none.
func columns(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	return 100
}

// exitTopic is `gameday help exit`.
func exitTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit",
		Short: "What the exit codes mean",
		Long: `Exit codes

  0  passed
  1  failed: a required item was missed, or the score is below the pass mark
  2  bad usage, a mistake in the scenario, or forbidden by a policy or a halt; nothing was touched
  3  inconclusive: too much is unknown to say passed or failed
  4  aborted: a stop condition held, or somebody stopped the run
  5  residue: a fault is left standing, or may be; run ` + "`gameday revert`" + `

compare and regress exit 0 when nothing is worse, 1 when something is, and 3 when that cannot be told.
export exits 0 when everything was taken, and 2 otherwise. history and trends exit 0. fresh exits 1 when something is not.
schedule run exits with the worst of its runs, in this order: 5, 1, 4, 2, 3, 0; and with 0 when it skips, or nothing is due.
rehearse and sign-off exit 0 when it is go, 1 when it is no-go, 3 when that is not yet known, and 5 when a fault was left standing.
announce exits 0 when everything that was due was taken, and 1 otherwise.
serve exits 0 when it is told to end, and 2 when it cannot begin.
verify exits 0 when a bundle is as it was packed, 1 when it is not, or not signed as asked, and 3 when that cannot be told.`,
	}
}

// say prints a line for people on standard error.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.errw, "gameday: "+format+"\n", args...) }
