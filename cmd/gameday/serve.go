package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"gameday/audit"
	"gameday/conductor"
	"gameday/faults"
	"gameday/room"
	"gameday/room/door"
	"gameday/room/gate"
	roomweb "gameday/room/web"
	"gameday/scenarios"
	"gameday/schedules"
	"gameday/serve"
	"gameday/serve/store"
	"gameday/serve/web"
)

// serveFlags are the flags of `gameday serve`.
type serveFlags struct {
	roomFlags
	fence                 fence
	runs, state, database string
	fresh                 string
	heal, rebuild, badges bool
}

func (a *app) serveCmd() *cobra.Command {
	f := &serveFlags{}
	c := &cobra.Command{
		Use:   "serve CALENDAR…",
		Short: "Run what calendars say when it comes due, and show it all in the browser",
		Long: `Looks when the schedules of calendars come due, and has each occasion that is due run by a process of its own, as ` + "`gameday schedule run`" + `
does. Serves pages: what comes and what was, rooms of the runs in progress, freshness, trends, rehearsals, and one button that stops it all.
It goes on until Ctrl-C or SIGTERM.

It may be ended or killed at any moment: runs go on without it, and when it is started again it finds them. Nothing is begun twice, by
whatever it is begun. Calendars are read again when they change; one with a mistake goes on as it was, and that is said. So each line on
standard error that begins with "gameday: " is worth reading.

Each --invite prints a link, which lets one person in once; without any there is one for you, as facilitator. docs/serve.md has more.

  gameday serve game-days.hcl --invite fay=facilitator --invite ann=responder`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.serve(f, args) },
	}
	f.roomFlags.flags(c, "127.0.0.1:8480")
	f.fence.flags(c)
	c.Flags().StringVar(&f.runs, "runs", runsDir, "folder for the records")
	c.Flags().StringVar(&f.state, "state", "", "folder of what ran and of the seeds (default $"+stateVariable+", else schedules beside the ledger)")
	c.Flags().StringVar(&f.database, "database", "", "file of the database that pages are made from (default: serve.db in the state folder)")
	c.Flags().BoolVar(&f.rebuild, "rebuild", false, "first make the database anew from the records; it is made by itself when it is missing, damaged, or of another version")
	c.Flags().BoolVar(&f.heal, "heal", false, "before each run revert faults that an earlier one left standing")
	c.Flags().StringVar(&f.fresh, "fresh-within", "", "how long ago something may have passed to be shown as fresh: 30d, 4w, 36h")
	c.Flags().BoolVar(&f.badges, "public-badges", false, "let everybody who reaches the server see the badges of scenarios")
	return c
}

func (a *app) serve(f *serveFlags, calendars []string) error {
	guests, err := f.guests()
	if err != nil {
		return err
	}
	secured, err := f.secured()
	if err != nil {
		return err
	}
	proxy, err := f.proxy()
	if err != nil {
		return err
	}
	var within time.Duration
	if f.fresh != "" {
		if within, err = ageOf("--fresh-within", f.fresh); err != nil {
			return err
		}
	}
	log, err := roomLog(f.audit)
	if err != nil {
		return err
	}
	defer log.Close()
	say := func(text string) { a.say("%s", text) }
	l, err := roomweb.Listen(f.listen, secured, f.plain)
	if err != nil {
		return usage("%w", err)
	}
	defer l.Close()
	prefix, host, err := f.reached(l.Addr(), secured != nil)
	if err != nil {
		return err
	}
	state, err := f.stateFolder()
	if err != nil {
		return err
	}
	tellers := a.newCriers(f.audit)
	defer tellers.Close()
	var site *web.Site
	engine, kept, err := a.engine(f, calendars, state, log, func(id, run, dir string) serve.Opened { return site.OpenRoom(id, run, dir) }, tellers)
	if err != nil {
		return err
	}
	defer kept.Close()
	defer engine.Close()
	// Only whoever has the state folder reads who may come in: what another one kept meanwhile would come back.
	people := gate.New(gate.Config{For: gate.Server, Door: a.serverDoor(state), Cookie: "gameday-server-" + portOf(l.Addr()), Proxy: proxy, Hosts: hostsOf(host, f.listen), Secure: strings.HasPrefix(prefix, "https:"),
		Address: func(path string) string { return prefix + path }, Audit: func(line audit.Line) error { return log.Write(line) }, Say: say})
	site = web.New(web.Config{Data: engine, Gate: people, FreshWithin: within, PublicBadges: f.badges, Say: say, Asker: func(dir string) room.Asker { return runAsker(dir) }})
	for _, g := range guests {
		link, err := site.Invite(g.Name, g.Role)
		if err != nil {
			return usage("%w", err)
		}
		fmt.Fprintf(a.out, "%-11s %-12s %s\n", g.Role, g.Name, link)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a.say("serving %s at %s/ until Ctrl-C; each link lets one person in, once", strings.Join(calendars, ", "), prefix)
	var looking sync.WaitGroup
	looking.Go(func() { engine.Run(ctx) })
	err = roomweb.Serve(ctx, l, site)
	stop()
	looking.Wait()
	if left, e := engine.Going(); e == nil && len(left) > 0 {
		a.say("%d run(s) go on without this: %s", len(left), strings.Join(left, ", "))
	}
	return err
}

// engine makes the engine with its database. Both are closed by whoever asked.
func (a *app) engine(f *serveFlags, calendars []string, state string, log *audit.Log, openRoom func(id, run, dir string) serve.Opened, tellers *criers) (*serve.Engine, *store.Store, error) {
	if err := os.MkdirAll(f.runs, 0o755); err != nil {
		return nil, nil, usage("making the folder for the records: %w", err)
	}
	runs, err := filepath.Abs(f.runs)
	if err != nil {
		return nil, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("finding gameday: %w", err)
	}
	say := func(text string) { a.say("%s", text) }
	tellers.state, tellers.runs = state, runs
	e, err := serve.New(serve.Config{Files: calendars, Runs: runs, State: state, Load: servedCalendar, Adopted: tellers.adopted, Signed: tellers.signed, Tell: func(v serve.Event) { a.sayEvent(v); tellers.hear(v) }, Seed: seedOf, Running: servedRuns, Begin: serve.Program(self, f.args),
		OpenRoom: openRoom,
		Stop:     func(_ context.Context, by, why string) (string, error) { return a.stopEverything(by, why) },
		Lift:     func(_ context.Context, by, why string) (string, error) { return a.liftEverything(by, why) },
		Halt:     servedHalt, Audit: func(line audit.Line) error { return log.Write(line) }, Say: say})
	if err != nil {
		return nil, nil, usage("%w", err)
	}
	file := f.database
	if file == "" {
		file = filepath.Join(serve.OwnDir(state), "serve.db")
	}
	e.Store, err = store.Open(context.Background(), store.Options{Path: file, Version: versionText(), Remember: release(), From: "runs " + runs + ", state " + state, Anew: f.rebuild, Say: say})
	if err != nil {
		return nil, nil, usage("%w", errors.Join(err, e.Close()))
	}
	return e, e.Store, nil
}

// sayEvent says what has become of an occasion, to whoever looks after the server.
func (a *app) sayEvent(v serve.Event) {
	if v.Again {
		return
	}
	of := fmt.Sprintf("%s of %s", v.Kept.Occasion, v.Kept.Schedule)
	switch {
	case v.What == serve.Begun:
		a.say("began %s", of)
	case v.What == serve.Skipped:
		a.say("skipped %s: %s", of, v.Kept.Why)
	case v.Kept.End == nil:
		a.say("%s did not come to its end: whoever ran it was killed; `gameday revert` removes what it may have left", of)
	default:
		a.say("%s ended with exit code %d", of, v.Kept.End.Code)
	}
}

// stateFolder returns the folder below which calendars have theirs, by its absolute path.
func (f *serveFlags) stateFolder() (string, error) {
	dir, err := stateDir(f.state, "")
	if err != nil {
		return "", err
	}
	return filepath.Abs(dir)
}

// serverDoor returns who may come in, as it is kept in a state folder. What cannot be read keeps no game day from running: it is set aside,
// and people need new links.
func (a *app) serverDoor(state string) *door.Door {
	file := filepath.Join(serve.OwnDir(state), "door.json")
	say := func(text string) { a.say("%s", text) }
	d, err := door.Open(file, say)
	if err == nil {
		return d
	}
	a.say("%v; it is set aside, and people need new links", err)
	_ = os.Rename(file, file+".damaged")
	if d, err = door.Open(file, say); err != nil {
		return door.New()
	}
	return d
}

// portOf returns the port of an address: cookies know no ports, and two servers may share a host.
func portOf(a net.Addr) string {
	_, port, _ := net.SplitHostPort(a.String())
	return port
}

// args are those of the process that decides about a schedule and runs what is due.
func (f *serveFlags) args(c serve.Call) []string {
	args := []string{"schedule", "run", c.File, c.Schedule, "--no-wait", "--asked", c.Asked.UTC().Format(time.RFC3339), "--state", c.State, "--runs", c.Runs}
	for flag, value := range map[string]string{"--text": c.Text, "--policy": f.fence.policy, "--approved-by": f.fence.approvedBy, "--audit": f.audit} {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	if f.heal {
		args = append(args, "--heal")
	}
	return args
}

// servedCalendar decodes a calendar. Its error is the first mistake, for one line.
func servedCalendar(file string, text []byte) (*serve.Calendar, error) {
	o := calendarOptions()
	o.Text = text
	c, f := scenarios.LoadCalendar(file, o)
	if c == nil {
		return nil, firstMistake(f)
	}
	return &serve.Calendar{Name: c.Name, File: c.File, Schedules: c.Schedules, Rehearsals: c.Rehearsals, Own: c}, nil
}

// firstMistake says in a line what is wrong with a calendar, and how to see the rest.
func firstMistake(f *scenarios.File) error {
	var bad []*hcl.Diagnostic
	for _, d := range f.Diags {
		if d.Severity == hcl.DiagError {
			bad = append(bad, d)
		}
	}
	if len(bad) == 0 {
		return fmt.Errorf("%s cannot be read", f.Path)
	}
	at := f.Path
	if s := bad[0].Subject; s != nil {
		at = fmt.Sprintf("%s:%d", s.Filename, s.Start.Line)
	}
	more := ""
	if n := len(bad) - 1; n > 0 {
		more = fmt.Sprintf(", and %d more", n)
	}
	return fmt.Errorf("%s: %s: %s%s; see `gameday schedule check %s`", at, bad[0].Summary, strings.TrimSuffix(bad[0].Detail, "."), more, f.Path)
}

// servedRuns lists the runs in progress.
func servedRuns() ([]serve.Running, error) {
	running, err := inProgress()
	var out []serve.Running
	for _, r := range running {
		out = append(out, serve.Running{Run: r.Run, Scenario: r.Scenario, By: r.By, Dir: r.Dir, At: r.At, Holds: conductor.HeldBy(r, schedules.ThisMachine)})
	}
	return out, err
}

// servedHalt tells whether game days are stopped.
func servedHalt() (*web.Halt, error) {
	stops, err := halts()
	if err != nil {
		return nil, err
	}
	if h := faults.Halted(stops...); h != nil {
		return &web.Halt{By: h.By, Why: h.Why, At: h.At}, nil
	}
	return nil, nil
}
