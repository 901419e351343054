package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"gameday/audit"
	"gameday/conductor"
	"gameday/conductor/screen"
	"gameday/faults"
	"gameday/faults/guard"
	"gameday/report"
	"gameday/scenarios"
	"gameday/targets"
	near "gameday/targets/cluster"
	"gameday/targets/hosts"
	"gameday/targets/lab"
)

// recordVariable tells the conductor inside a lab which folder the outer process has made for the record.
const recordVariable = "GAMEDAY_RECORD"

// impatience is within what time a second signal asks what is taking so long.
const impatience = 2 * time.Second

// runFlags are the flags of `gameday run`.
type runFlags struct {
	loading
	output
	fence
	record string
	heal   bool
	seed   int64
	audit  string
	search *searching // of `gameday capacity`; nil runs a game day
	event  bool
	copy   copying
	told   *herald // of `--event`; nil tells nobody
	room   string  // where its room is served; empty is nowhere
	notify notifyFlag
}

func (a *app) runCmd() *cobra.Command {
	f := &runFlags{}
	c := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a game day and score it",
		Long: "Runs a scenario: traffic at 1x, then at its multiple, the faults, and the return to steady state. The record is kept in a\n" +
			"folder; the scorecard is printed at the end and its verdict is the exit code (see `gameday help exit`).\n\n" +
			"Ctrl-C stops the run: every fault is reverted and what is known is reported.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if f.event {
				return a.runTold(f, args[0])
			}
			return a.run(f, args[0])
		},
	}
	f.loading.flags(c)
	f.pick(c)
	f.output.flags(c)
	f.fence.flags(c)
	f.copy.flag(c)
	c.Flags().BoolVar(&f.event, "event", false, "tell the Kubernetes cluster that this runs in of the verdict, by an Event about its Job")
	c.Flags().StringVar(&f.audit, "audit", "", "file of the audit log (default: audit.jsonl beside the ledger)")
	c.Flags().StringVar(&f.record, "record", "", "folder for the record (default runs/<time>-<scenario>)")
	c.Flags().StringVar(&f.room, "room", "", "open the run's room in the browser at this address, such as 127.0.0.1:8470: see docs/room.md")
	c.Flags().StringVar(&f.notify.file, "notify", "", "tell the channels of this calendar that the run begins and how it ended: see docs/announcements.md")
	c.Flags().BoolVar(&f.heal, "heal", false, "first revert faults that an earlier run left standing")
	c.Flags().Int64Var(&f.seed, "seed", 0, "decides which places a pick takes, and what arrivals come by chance (default made of the scenario's name)")
	return c
}

// run is the outer part: it checks everything that needs no lab, makes the record's folder, and for a scenario with a lab
// goes on inside it.
func (a *app) run(f *runFlags, path string) error {
	// Somebody who stops reading what we say (head, a closed terminal) must not stop the reverting of faults.
	signal.Ignore(syscall.SIGPIPE)
	keepHeld()
	if err := errors.Join(f.output.check(), f.copy.check(), checkRoom(f.room)); err != nil {
		return err
	}
	file, s, err := f.one(a, path, false)
	if err != nil {
		return err
	}
	inside, isInside := lab.Inside()
	if err := a.measured(s, isInside, f.search != nil); err != nil { // a search begins at 1x
		return err
	}
	if f.search != nil {
		if s, err = f.search.apply(s); err != nil {
			return err
		}
	}
	if !isInside { // inside a lab there is no network to tell anybody by
		if err := a.loadNotify(f); err != nil {
			return err
		}
	}
	ad, err := a.admit(f, file, s)
	if err != nil {
		return err
	}
	if s.Lab != nil && f.event {
		return usage("--event tells a cluster of a run in it, and this scenario has a lab of its own; leave one of them out")
	}
	if s.Lab != nil && !isInside {
		return a.enterLab(f, s)
	}
	dir := os.Getenv(recordVariable)
	if dir == "" {
		if dir, err = makeRecord(f.record, s.Name); err != nil {
			return err
		}
	}
	if !isInside { // else whoever has started the lab has opened it
		over := a.tellRun(f, s, dir)
		defer func() { over(err) }()
		defer a.openRoom(f, dir)()
	}
	err = a.conduct(f, ad, file, s, dir, inside)
	return err
}

// enterLab starts the same command again inside the lab's namespaces.
func (a *app) enterLab(f *runFlags, s *scenarios.Scenario) error {
	if err := lab.Possible(); err != nil {
		return usage("%w", err)
	}
	machine, err := machineLedger()
	if err != nil {
		return usage("%w", err)
	}
	if err := a.clean(machine, f.heal, true); err != nil {
		return err
	}
	dir, err := makeRecord(f.record, s.Name)
	if err != nil {
		return err
	}
	if err := os.Setenv(recordVariable, dir); err != nil {
		return err
	}
	if _, err := faults.OpenLedger(labLedger(dir)); err != nil { // a notice names one that is there
		return usage("%w", err)
	}
	notice, err := lab.PostNotice(machine.Dir(), labLedger(dir))
	if err != nil {
		return usage("%w", err)
	}
	if err := f.copy.begin(dir, ""); err != nil {
		return err
	}
	if f.copy.begun != nil {
		defer f.copy.listen()()
	}
	over := a.tellRun(f, s, dir)
	defer func() { over(err) }()
	defer a.openRoom(f, dir)()
	left := false
	code, err := lab.Enter(lab.EnterOptions{Notice: notice, Ended: func() { left = a.afterLab(machine.Dir()) }})
	err = a.labEnd(f, dir, code, err)
	f.copy.finish(a)
	if err = f.copy.outcome(err); left {
		err = labResidue(err)
	}
	return err
}

// labEnd returns what a run's lab ended with.
func (a *app) labEnd(f *runFlags, dir string, code int, err error) error {
	switch {
	case err != nil:
		os.Remove(labLedger(dir)) // only when nothing was written
		os.Remove(dir)
		return &codeError{code: exitInconclusive, err: err}
	case code == 0:
		return nil
	case code > 128: // a signal ended the conductor, and the lab with it: what is in the record is all there is
		a.say("the part of gameday inside the lab was killed (signal %d); this is what its record tells", code-128)
		if f.search != nil {
			return a.found(dir, f)
		}
		return a.score(dir, &f.output)
	}
	return &codeError{code: code}
}

// makeRecord makes a new folder for a record and returns its absolute path.
func makeRecord(dir, scenario string) (string, error) {
	if dir == "" {
		base := filepath.Join(runsDir, time.Now().Format("20060102-150405")+"-"+folderName(scenario))
		dir = base
		for n := 2; n < 100 && recorded(dir); n++ { // a run may be over, or refused, within the second
			dir = fmt.Sprintf("%s-%d", base, n)
		}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", usage("finding the record's folder: %w", err)
	}
	if recorded(abs) {
		return "", usage("%s holds the record of another run; name an empty folder with --record", dir)
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return "", usage("making the record's folder: %w", err)
	}
	return abs, nil
}

// recorded reports whether a folder holds a record.
func recorded(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, report.EventsFile))
	return err == nil
}

// folderName keeps of a scenario's name what is harmless in a path.
func folderName(name string) string {
	out := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '-'
	}, name)
	return out[:min(len(out), 60)]
}

// conduct runs the scenario here, reports, and returns the verdict as an exit code.
func (a *app) conduct(f *runFlags, ad *admission, file *scenarios.File, s *scenarios.Scenario, dir string, inside *lab.Client) error {
	ledger, err := openLedger(dir, inside != nil)
	if err != nil {
		return usage("%w", err)
	}
	if inside == nil { // a lab's faults land in namespaces of their own, and it was looked after the rest before it was entered
		if err := a.clean(ledger, f.heal, false); err != nil {
			return err
		}
	}
	if err := keepPaths(context.Background(), s, append(conductor.HostsOf(s), conductor.GeneratorsOf(s)...)); err != nil {
		return usage("%w", err)
	}
	machine, release := machine(ledger, inside, ad.halts[0])
	if err := a.cleanHosts(machine.Hosts, conductor.HostsOf(s), f.heal); err != nil {
		release()
		return err
	}
	o := conductor.Options{
		Scenario: s, Sources: file.Sources, Dir: dir, Run: runID(dir), Version: versionText(), Seed: f.seed,
		Generator: engine(), Runners: starters(), Machine: machine, Lab: inside, Ledger: ledger, Kinds: allKinds(),
		Policies: ad.policies, ApprovedBy: f.approvedBy, Halts: ad.halts, Audit: ad.log,
	}
	if f.search != nil {
		o.Search = f.search.search
	}
	if err := o.Check(); err != nil {
		return usage("%w", err)
	}
	if inside == nil { // else whoever has started the lab copies
		f.copy.stopped = make(chan struct{})
		if err := f.copy.begin(dir, o.Run); err != nil {
			return err
		}
	}
	if err := ad.begin(a, o); err != nil {
		return err
	}
	closeLooks() // the run has one of its own
	defer a.list(ad, o)()
	stop := make(chan report.Stop, 1)
	o.Stop = stop
	show := screen.New(a.errw, conductor.MakePlan(s), screen.Options{
		Terminal: terminal(a.errw), Color: color(a.errw), Width: func() int { return columns(a.errw) }, Blind: s.Blind,
	})
	o.Observe = func(e report.Event) {
		show.Observe(e)
		a.notice(show, e, s, file.Sources)
	}
	// Signals stay caught until the scorecard is out: a second Ctrl-C must not take the report away.
	defer a.signals(stop, f.copy.stopped, show)()
	err = conductor.Run(context.Background(), o)
	release()
	show.Close()
	card, err := a.conclude(f, ad, ledger, o.Run, dir, err)
	f.copy.finish(a)
	if f.told != nil {
		f.told.tell(a, dir, card, err, f.copy.failed)
	}
	return f.copy.outcome(err)
}

// conclude judges what a run left, and returns its verdict as an exit code. The scorecard is nil when there is none.
func (a *app) conclude(f *runFlags, ad *admission, ledger *faults.Ledger, run, dir string, err error) (*report.Scorecard, error) {
	if err != nil {
		if left := leftBy(ledger, run); left > 0 {
			return nil, &codeError{code: exitResidue, err: fmt.Errorf("%w; %d fault(s) are left standing, `gameday revert` removes them", err, left)}
		}
		return nil, &codeError{code: exitInconclusive, err: err}
	}
	if f.search != nil {
		return nil, a.found(dir, f)
	}
	card, err := a.judge(dir, &f.output)
	if card != nil {
		ad.verdict(a, card)
	}
	return card, err
}

// list makes the run one that `gameday stop --all` finds, until the function it returns is called.
func (a *app) list(ad *admission, o conductor.Options) (release func()) {
	var hosts []string
	for _, h := range conductor.HostsOf(o.Scenario) {
		hosts = append(hosts, h.SSH.Destination)
	}
	release, err := conductor.Register(ad.registry, conductor.Running{Run: o.Run, Scenario: o.Scenario.Name, Dir: o.Dir, By: audit.Me().String(),
		At: time.Now().UTC().Round(0), Hosts: hosts})
	if err != nil {
		a.say("%v; `gameday stop --all` stops it all the same, by its halt", err)
		return func() {}
	}
	return release
}

// leftBy counts what a run left in the ledger.
func leftBy(ledger *faults.Ledger, run string) int {
	standing, err := ledger.Standing()
	if err != nil {
		return 1 // nobody knows; say the worse
	}
	n := 0
	for _, s := range standing {
		if s.Entry.Run == run {
			n++
		}
	}
	return n
}

// notice shows an abort's condition with the values that made it true.
func (a *app) notice(show *screen.Screen, e report.Event, s *scenarios.Scenario, sources map[string]*hcl.File) {
	if e.Kind != report.AbortSeen {
		return
	}
	var abort report.Abort
	if err := json.Unmarshal(e.Data, &abort); err != nil {
		return
	}
	if d := conductor.AbortNotice(s, abort); d != nil {
		_ = scenarios.WriteDiagnostic(show, sources, d, uint(width(a.errw)), color(a.errw)) // there is nowhere else to say it
	}
}

// openLedger opens the ledger of this machine; inside a lab one in the record, which a notice in the machine's ledger names.
func openLedger(dir string, inLab bool) (*faults.Ledger, error) {
	if inLab {
		return faults.OpenLedger(labLedger(dir))
	}
	return machineLedger()
}

// machine returns this machine with a guard that starts when it is first needed, and a function that lets it go.
func machine(ledger *faults.Ledger, inside *lab.Client, halt string) (*targets.Machine, func()) {
	var mu sync.Mutex
	var client *guard.Client
	m := &targets.Machine{Own: ownProcess, Hosts: &hosts.Pool{Version: versionText()}, Cluster: &near.Program{Ledger: ledger.Dir(), Halt: halt}}
	if inside != nil {
		m.Lab = inside.Client
	}
	m.Stand = func(context.Context) (*guard.Client, error) {
		mu.Lock()
		defer mu.Unlock()
		if client != nil {
			return client, nil
		}
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("finding the guard: %w", err)
		}
		// The guard outlives the context of whoever needed it first.
		c, err := guard.Start(context.Background(), exec.Command(self, "guard", "--ledger", ledger.Dir(), "--halt", halt))
		client = c
		return c, err
	}
	return m, func() {
		mu.Lock()
		defer mu.Unlock()
		// What they leave stands in the ledgers, which are read after this.
		_ = m.Hosts.Close(context.Background())
		_ = m.Cluster.Close(context.Background())
		if client != nil {
			_ = client.Close(context.Background())
		}
	}
}

// runID makes a ledger id of a record's folder.
// Some random letters tell apart two runs whose records have folders of the same name.
func runID(dir string) string {
	name := strings.Trim(folderName(filepath.Base(dir)), "-_")
	id := fmt.Sprintf("%s-%06x", name, seed()&0xffffff)
	if !faults.ValidID(id) {
		return fmt.Sprintf("run-%06x", seed()&0xffffff)
	}
	return id
}

func seed() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return int64(binary.LittleEndian.Uint64(b[:]) >> 1)
}

// signals turns the first signal into a stop, closes stopped, and answers a second one soon after with what is still being reverted.
func (a *app) signals(stop chan<- report.Stop, stopped chan struct{}, show *screen.Screen) (quiet func()) {
	ownSignals.Store(true)
	c := make(chan os.Signal, 4)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM, lab.Abandoned)
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signal.Notify(c, syscall.SIGHUP)
	}
	done := make(chan struct{})
	go func() {
		var last time.Time
		for {
			select {
			case sig := <-c:
				if last.IsZero() {
					if stopped != nil {
						close(stopped)
					}
					stop <- report.Stop{By: "signal " + sig.String(), Abandoned: sig == lab.Abandoned && sig != syscall.SIGHUP}
					fmt.Fprintf(show, "gameday: %s: stopping; every fault is being reverted\n", sig)
				} else if standing := show.Standing(); len(standing) > 0 {
					fmt.Fprintf(show, "gameday: still being reverted: %s\n", strings.Join(standing, ", "))
				} else if time.Since(last) < impatience {
					fmt.Fprintln(show, "gameday: no fault stands any more; finishing the record and the report")
				}
				last = time.Now()
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(c)
		close(done)
	}
}

// scoringGC is by how many percent the heap may grow between collections while a record is judged.
const scoringGC = 40

// score judges a record and prints it.
func (a *app) score(dir string, out *output) error {
	_, err := a.judge(dir, out)
	return err
}

// judge judges a record, prints it, and returns the scorecard with the verdict as an exit code.
func (a *app) judge(dir string, out *output) (*report.Scorecard, error) {
	if _, err := conductor.Ask(context.Background(), dir, conductor.Request{Do: "status"}); err == nil {
		return nil, usage("the run in %s is still in progress; wait for its end, or stop it with `gameday stop %s`", dir, dir)
	}
	// A run that has just ended leaves memory to the collector, and the record of a long one wants some. Judging takes an
	// instant, so it is spared memory rather than time.
	debug.FreeOSMemory()
	defer debug.SetGCPercent(debug.SetGCPercent(scoringGC))
	rec, err := report.Read(dir)
	if err != nil {
		return nil, usage("%w", err)
	}
	if rec.Plan.Search != nil {
		return nil, a.curve(rec, dir, out, 0)
	}
	card := report.Score(rec)
	if err := out.write(a, dir, card); err != nil {
		a.say("%v", err) // the verdict stands all the same
	}
	if code := card.ExitCode(); code != 0 {
		return card, &codeError{code: code}
	}
	return card, nil
}
