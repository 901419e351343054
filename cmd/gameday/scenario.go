package main

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"gameday/alarms"
	"gameday/alarms/alertmanager"
	"gameday/alarms/builtin"
	"gameday/alarms/cloudwatch"
	"gameday/alarms/datadog"
	"gameday/alarms/grafana"
	icinga2alarms "gameday/alarms/icinga2"
	"gameday/alarms/nagios"
	"gameday/alarms/prometheus"
	"gameday/alarms/webhook"
	"gameday/faults/kinds"
	"gameday/loadgen"
	"gameday/loadgen/k6"
	"gameday/loadgen/native"
	"gameday/responders"
	"gameday/responders/desk"
	"gameday/responders/file"
	"gameday/responders/goalert"
	"gameday/responders/grafanairm"
	"gameday/responders/icinga2"
	"gameday/responders/incidentio"
	"gameday/responders/jsm"
	"gameday/responders/pagerduty"
	"gameday/responders/slack"
	peoplehook "gameday/responders/webhook"
	"gameday/scenarios"
	near "gameday/targets/cluster"
)

// catalogue lists what this build can do. Everything is named here by hand.
func catalogue() scenarios.Catalogue {
	engine := engine()
	scripts := scripts()
	return scenarios.Catalogue{
		Faults: kinds.All(),
		Alarms: []alarms.SourceKind{alertmanager.Kind(), builtin.Kind(), cloudwatch.Kind(), datadog.Kind(), grafana.Kind(), icinga2alarms.Kind(), nagios.Kind(),
			prometheus.Kind(), webhook.Kind()},
		Responders: []responders.SourceKind{desk.Kind(), file.Kind(), goalert.Kind(), grafanairm.Kind(), icinga2.Kind(), incidentio.Kind(), jsm.Kind(), pagerduty.Kind(),
			peoplehook.Kind(), slack.Kind()},
		CheckScript: func(s loadgen.Spec) []loadgen.Problem {
			return engine.Check(context.Background(), s)
		},
		RunsScripts: func() error {
			return scripts.Ready(context.Background())
		},
		CheckInCluster: checkInCluster,
		SpeaksToClusters: func() error {
			_, err := near.Find()
			return err
		},
	}
}

// scripts sends the traffic of k6 scripts. It is made once: it remembers the scripts it has checked, and what gameday-k6 said.
var scripts = sync.OnceValue(func() *k6.Engine { return &k6.Engine{Version: versionText()} })

// engine sends all traffic.
var engine = sync.OnceValue(func() loadgen.Generator {
	return loadgen.Engines{Scripts: scripts(), Flows: &native.Engine{}}
})

// loading are the flags of every verb that reads scenarios.
type loading struct {
	vars, varFiles []string
	scenario       string
	pickedBy       string // the flag that says which scenario of a file; empty is --scenario
	unsent         bool   // the verb sends no traffic, and needs nothing that does
}

func (l *loading) flags(c *cobra.Command) {
	c.Flags().StringArrayVar(&l.vars, "var", nil, "set a variable: name=value (may be given several times)")
	c.Flags().StringArrayVar(&l.varFiles, "var-file", nil, "read variables from a file of name = value")
}

func (l *loading) pick(c *cobra.Command) {
	c.Flags().StringVar(&l.scenario, "scenario", "", "which scenario of the file, when it has several")
}

func (l *loading) load(path string) *scenarios.File {
	c := catalogue()
	if l.unsent {
		c.RunsScripts = nil
	}
	return scenarios.Load(path, scenarios.Options{Catalogue: c, Vars: l.vars, VarFiles: l.varFiles, Getenv: os.Getenv})
}

// loadAll loads files side by side and returns them in order. Those without fault are emptied: a thousand parsed files
// are much to hold, and nothing will be said about them.
func (l *loading) loadAll(paths []string) []*scenarios.File {
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	files := make([]*scenarios.File, len(paths))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(len(paths), runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := range next {
				f := l.load(paths[i])
				if len(f.Diags) == 0 {
					f.Sources, f.Scenarios = nil, nil
				}
				files[i] = f
			}
		})
	}
	for i := range paths {
		next <- i
	}
	close(next)
	workers.Wait()
	return files
}

// one loads a file and picks its scenario. Mistakes are printed, and end the program.
func (l *loading) one(a *app, path string, json bool) (*scenarios.File, *scenarios.Scenario, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, nil, usage("%s is a folder; name one scenario file in it", path)
	}
	f := l.load(path)
	if err := a.complain([]*scenarios.File{f}, json); err != nil {
		return nil, nil, err
	}
	var names []string
	for _, s := range f.Scenarios {
		if s.Name == l.scenario || (l.scenario == "" && len(f.Scenarios) == 1) {
			return f, s, nil
		}
		names = append(names, s.Name)
	}
	if l.scenario == "" {
		return nil, nil, usage("%s has %d scenarios: %s; choose one with %s", path, len(names), strings.Join(names, ", "), cmp.Or(l.pickedBy, "--scenario"))
	}
	return nil, nil, usage("%s has no scenario %q; it has %s", path, l.scenario, strings.Join(names, ", "))
}

// complain prints diagnostics, and returns an error when some are errors.
func (a *app) complain(files []*scenarios.File, json bool) error {
	bad := false
	for _, f := range files {
		bad = bad || f.Diags.HasErrors()
	}
	var err error
	if json {
		err = scenarios.WriteJSON(a.out, files)
	} else {
		err = scenarios.WriteText(a.errw, files, uint(width(a.errw)), color(a.errw))
	}
	if err != nil {
		return err
	}
	if bad {
		return &codeError{code: exitUsage}
	}
	return nil
}

func (a *app) validateCmd() *cobra.Command {
	l := &loading{}
	var json bool
	c := &cobra.Command{
		Use:   "validate PATH…",
		Short: "Check scenario files; says nothing when they are fine",
		Long: "Checks scenario files, or every scenario file in a folder, with the scripts they name. Touches nothing else, and needs\n" +
			"no secrets. Prints nothing and exits 0 when all is fine; otherwise every mistake at once, and exits 2.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var paths []string
			for _, arg := range args {
				found, err := scenarios.Find(arg)
				if err != nil {
					return usage("%w", err)
				}
				paths = append(paths, found...)
			}
			return a.complain(l.loadAll(paths), json)
		},
	}
	l.flags(c)
	c.Flags().BoolVar(&json, "json", false, "print the result as JSON on standard output")
	return c
}

// runsDir is where records are kept by default.
const runsDir = "runs"

// newest returns the latest record in the default folder that passes a test. It may be a link to one that is kept elsewhere.
func newest(ok func(dir string) bool) (string, error) {
	entries, err := os.ReadDir(runsDir)
	if err != nil {
		return "", usage("there is no folder %q here; name the record's folder", runsDir)
	}
	for i := len(entries) - 1; i >= 0; i-- {
		if dir := filepath.Join(runsDir, entries[i].Name()); ok(dir) {
			return dir, nil
		}
	}
	return "", usage("no such run in %q", runsDir)
}
