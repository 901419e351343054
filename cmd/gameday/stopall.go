package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"gameday/audit"
	"gameday/conductor"
	"gameday/faults"
)

// Limits of `stop --all`. Only tests set others.
var (
	stopLimit   = 20 * time.Second // for the last fault to be reverted
	askPatience = 2 * time.Second  // for a run's answer
)

// stopPoll is between two looks at what stands.
const stopPoll = 50 * time.Millisecond

// errSilent says that a run is there and does not answer: it hangs.
var errSilent = errors.New("the run does not answer")

// stopAll stops every run and forbids new ones, and prints what became of it.
func (a *app) stopAll(why string) error {
	text, err := a.stopEverything(audit.Me().String(), why)
	fmt.Fprint(a.out, text)
	return err
}

// stopEverything stops every run and forbids new ones, and returns what is good of what became of it, in lines. The halt comes first: a run
// that begins meanwhile sees it. Where it cannot be written, the runs are stopped all the same.
func (a *app) stopEverything(by, why string) (text string, err error) {
	who := audit.Me()
	h := &faults.Halt{By: by, Host: who.Host, At: time.Now().UTC().Round(0), Why: why}
	set, haltErr := setHalts(*h)
	if set > 0 { // afterwards: a disk that hangs holds no stop
		defer a.auditOne(audit.Line{What: audit.Halted, Why: saidBy(by, who, why)})
	}
	runs, listErr := running()
	var left error
	var good strings.Builder
	for _, o := range stopRuns(runs, conductor.Request{Do: "stop", By: "stop --all by " + h.By, Why: why}) {
		left = errors.Join(left, o.problem())
		if o.problem() == nil {
			fmt.Fprintln(&good, o.good())
		}
	}
	if haltErr == nil {
		fmt.Fprintf(&good, "game days are %s\n", h.Error())
	} else {
		effect := "new runs are not refused everywhere"
		if set == 0 {
			effect = "new runs are not refused, and guards go on injecting"
		}
		haltErr = fmt.Errorf("%s: %w; mend that and say `gameday stop --all` again", effect, haltErr)
	}
	if listErr != nil {
		listErr = fmt.Errorf("which runs are in progress cannot be told, so some may not have been asked: %w; they stop by the halt", listErr)
	}
	switch all := errors.Join(left, haltErr, listErr); {
	case left != nil:
		return good.String(), &codeError{code: exitResidue, err: all}
	case all != nil:
		return good.String(), &codeError{code: exitInconclusive, err: all}
	}
	return good.String(), nil
}

// saidBy adds to a reason who gave it, where that is not whom the program works for.
func saidBy(by string, who audit.Who, why string) string {
	if by == who.String() {
		return why
	}
	return strings.TrimSuffix("by "+by+": "+why, ": ")
}

// isRoot reports whether this process is root, and not only inside a user namespace.
func isRoot() bool { return os.Geteuid() == 0 && audit.Me().UID == 0 }

// setHalts writes this user's halt, and for root the machine's, and returns how many it wrote.
func setHalts(h faults.Halt) (set int, err error) {
	paths, err := halts()
	if err != nil {
		return 0, err
	}
	if !isRoot() {
		paths = paths[:1]
	}
	var errs []error
	for _, path := range paths {
		err := faults.SetHalt(path, h)
		if err == nil {
			set++
		}
		errs = append(errs, err)
	}
	return set, errors.Join(errs...)
}

// outcome is what became of a run that was to stop.
type outcome struct {
	run    listed
	took   time.Duration     // until it was known
	silent bool              // it hangs
	told   int               // how many faults stand by its own word
	left   []faults.Standing // by its ledger
	err    error             // why that cannot be told
}

// stopRuns asks all runs to stop, at once, and waits for each until nothing of it stands or the time is up.
func stopRuns(runs []listed, req conductor.Request) []outcome {
	out := make([]outcome, len(runs))
	began := time.Now()
	var wg sync.WaitGroup
	for i, r := range runs {
		wg.Go(func() {
			out[i] = stopRun(r, req, began.Add(stopLimit))
			out[i].took = time.Since(began)
		})
	}
	wg.Wait()
	return out
}

// stopRun asks one run. What stands is what it says and what its ledger says: a run that hangs says nothing, one that is over
// neither, and what they left is in the ledger.
func stopRun(r listed, req conductor.Request, limit time.Time) outcome {
	o := outcome{run: r}
	_, err := askSoon(r.Dir, req)
	poll := time.NewTicker(stopPoll)
	defer poll.Stop()
	for {
		o.told = 0
		if err == nil {
			var text string
			if text, err = askSoon(r.Dir, conductor.Request{Do: "standing"}); err == nil {
				o.told, err = strconv.Atoi(text)
			}
		}
		o.silent = errors.Is(err, errSilent)
		o.left, o.err = r.Left(r.ledger)
		if (o.told == 0 && len(o.left) == 0 && o.err == nil) || time.Now().After(limit) {
			return o
		}
		<-poll.C
	}
}

// askSoon asks a run, and does not wait long for one that hangs.
func askSoon(dir string, req conductor.Request) (string, error) {
	type answer struct {
		text string
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		text, err := conductor.Ask(context.Background(), dir, req)
		answered <- answer{text, err}
	}()
	patience := time.NewTimer(askPatience)
	defer patience.Stop()
	select {
	case got := <-answered:
		return got.text, got.err
	case <-patience.C:
		return "", errSilent
	}
}

// good says that nothing of a run stands any more.
func (o outcome) good() string {
	if o.silent {
		return fmt.Sprintf("%s (%s) does not answer, and nothing of it stands after %.1f s; its process hangs and may be killed", o.run.Run,
			o.run.Scenario, o.took.Seconds())
	}
	return fmt.Sprintf("stopped %s (%s), nothing of it stands after %.1f s", o.run.Run, o.run.Scenario, o.took.Seconds())
}

// problem says what is left of a run, or may be, and what to do about it; nil when nothing is.
func (o outcome) problem() error {
	name := fmt.Sprintf("%s (%s)", o.run.Run, o.run.Scenario)
	if o.silent {
		name += " does not answer"
	}
	next := "see `gameday revert`"
	switch {
	case o.silent && o.run.InLab():
		next = "kill its process, and its lab goes with it; then run `gameday revert`"
	case o.silent:
		next = "kill its process, and run `gameday revert`"
	}
	switch {
	case o.err != nil:
		return fmt.Errorf("%s: what stands of it cannot be told: %w; %s", name, o.err, next)
	case len(o.left) > 0:
		return fmt.Errorf("%s: %d fault(s) still stand after %.0f s: %s; %s", name, max(o.told, len(o.left)), o.took.Seconds(), nameAll(o.left), next)
	case o.told > 0:
		return fmt.Errorf("%s: %d fault(s) still stand after %.0f s, by its own word; %s", name, o.told, o.took.Seconds(), next)
	case o.silent && len(o.run.Hosts) > 0:
		return fmt.Errorf("%s: what stands of it on %s cannot be seen from here, and may until its lease is over; kill its process, and run "+
			"`gameday revert --host %s`", name, strings.Join(o.run.Hosts, ", "), strings.Join(o.run.Hosts, " --host "))
	}
	return nil
}

// nameAll names entries of a ledger.
func nameAll(all []faults.Standing) string {
	var out []string
	for _, s := range all {
		if s.Err != nil {
			out = append(out, fmt.Sprintf("entry %s, which cannot be read (%v)", s.ID, s.Err))
			continue
		}
		out = append(out, naming(s.Entry))
	}
	return strings.Join(out, "; ")
}

// liftStop lets game days run again, and prints what became of it.
func (a *app) liftStop(why string) error {
	text, err := a.liftEverything(audit.Me().String(), why)
	fmt.Fprint(a.out, text)
	return err
}

// liftEverything lets game days run again, and returns what became of it, in lines. A halt that cannot be lifted keeps none of the others.
func (a *app) liftEverything(by, why string) (text string, err error) {
	paths, err := halts()
	if err != nil {
		return "", err
	}
	var done strings.Builder
	var errs []error
	for _, path := range paths {
		h, err := faults.LiftHalt(path)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%w; it was %w", err, h))
		case h != nil:
			fmt.Fprintf(&done, "lifted: game days were stopped by %s at %s\n", h.By, h.At.UTC().Format("2006-01-02 15:04:05 MST"))
		}
	}
	if done.Len() > 0 {
		a.auditOne(audit.Line{What: audit.Lifted, Why: saidBy(by, audit.Me(), why)})
	}
	if err := errors.Join(errs...); err != nil {
		return done.String(), usage("%w", err)
	}
	if done.Len() == 0 {
		done.WriteString("game days were not stopped\n")
	}
	return done.String(), nil
}
