package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gameday/announce"
	"gameday/announce/crier"
	"gameday/audit"
	"gameday/conductor"
	"gameday/faults"
	"gameday/scenarios"
	"gameday/schedules"
	"gameday/schedules/claims"
)

const (
	// early is how long before its hours a timer may call.
	early = 2 * time.Minute
	// decideLimit bounds how long one waits for others that decide in the same folder.
	decideLimit = 10 * time.Minute
	// askLimit bounds for how long is asked whether an occasion may begin.
	askLimit = 10 * time.Minute
)

// scheduleFlags are the flags of `gameday schedule run`.
type scheduleFlags struct {
	fence
	state, runs, audit string
	text               string // a file with the calendar's text, in place of what is in its own
	asked              string // when somebody saw that something is due, and started this
	heal, noWait       bool
	asJSON             bool
}

func (a *app) scheduleRunCmd() *cobra.Command {
	f := &scheduleFlags{}
	c := &cobra.Command{
		Use:   "run FILE NAME",
		Short: "Run a schedule's occasion that is open now, at its moment; called by timers",
		Long: `Called when the hours of a schedule begin, or later in them: waits for the moment of the occasion that is open, claims it, and
runs its scenarios as ` + "`gameday run`" + ` does, one after the other. What is frozen, held by another run, forbidden by a policy, or to
be skipped for another reason is skipped, and that is said. Each occasion is begun once, however often this is called and on
however many machines, as long as they share the state folder.

The exit code is the worst of the runs: 5 before 1, 4, 2, 3 and 0. It is 0 when the occasion is skipped, and when nothing is
due in these hours.`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error { return a.scheduleRun(f, args[0], args[1]) },
	}
	f.fence.flags(c)
	c.Flags().StringVar(&f.state, "state", "", "folder of what ran and of the seed (default $"+stateVariable+", else schedules beside the ledger)")
	c.Flags().StringVar(&f.runs, "runs", runsDir, "folder for the records")
	c.Flags().StringVar(&f.audit, "audit", "", "file of the audit log (default: audit.jsonl beside the ledger)")
	c.Flags().BoolVar(&f.heal, "heal", false, "first revert faults that an earlier run left standing")
	c.Flags().BoolVar(&f.noWait, "no-wait", false, "do what is due now, and do not wait for a moment that is still to come")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print what became of it as JSON on standard output; what the runs print goes to standard error")
	c.Flags().StringVar(&f.text, "text", "", "take the calendar's text from this file, and of it this schedule alone")
	c.Flags().StringVar(&f.asked, "asked", "", "decide for this time, if it was in the last minute: this was called then")
	_ = c.Flags().MarkHidden("text") // the flags are there; gameday serve gives them
	_ = c.Flags().MarkHidden("asked")
	return c
}

// became is what became of one call, as --json prints it.
type became struct {
	Calendar string        `json:"calendar"`
	Schedule string        `json:"schedule"`
	Occasion string        `json:"occasion,omitempty"`
	Outcome  string        `json:"outcome"` // "ran", "skipped", "nothing due"
	Why      string        `json:"why,omitempty"`
	Moment   *time.Time    `json:"moment,omitempty"`
	MadeUp   int           `json:"made_up,omitempty"`
	Runs     []claims.Run  `json:"runs,omitempty"`
	NotRun   []string      `json:"not_run,omitempty"`
	Skipped  []becameSkips `json:"also_skipped,omitempty"`
}

type becameSkips struct {
	Occasion string `json:"occasion"`
	Why      string `json:"why"`
}

// scheduling is one call of `gameday schedule run`.
type scheduling struct {
	*app
	flags    *scheduleFlags
	calendar *scenarios.Calendar
	schedule *schedules.Schedule
	folder   *claims.Folder
	seed     schedules.Seed
	out      became
	crier    *crier.Crier
	begun    schedules.Occasion
	missed   []schedules.Skip // what was missed, of which nobody was told yet
}

func (a *app) scheduleRun(f *scheduleFlags, path, name string) error {
	o := calendarOptions()
	if f.text != "" {
		text, err := os.ReadFile(f.text)
		if err != nil {
			return usage("reading the calendar's text: %w", err)
		}
		o.Text, o.Schedule = text, name
	}
	cal, s, err := a.scheduleBy(path, name, o)
	if err != nil {
		return err
	}
	dir, err := stateDir(f.state, cal.Name)
	if err != nil {
		return err
	}
	folder, err := claims.Open(dir)
	if err != nil {
		return usage("%w", err)
	}
	seed, err := seedOf(dir)
	if err != nil {
		return err
	}
	a.outdated([]*schedules.Schedule{s}, time.Now())
	r := &scheduling{app: a, flags: f, calendar: cal, schedule: s, folder: folder, seed: seed, out: became{Calendar: cal.Name, Schedule: name}}
	r.crier = a.crierFor(cal.Notify, dir, f.audit)
	r.crier.Start()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	held, err := r.wait(ctx)
	if err == nil && held == nil {
		err = r.print()
	}
	if err != nil || held == nil {
		lastTold(r.crier, tellBriefly)
		return err
	}
	stop() // from here on a signal is for the run, which reverts
	code, err := r.items(held)
	defer lastTold(r.crier, tellLast)
	if e := r.print(); err == nil {
		err = e
	}
	if err == nil && code != 0 {
		err = &codeError{code: code}
	}
	return err
}

// wait decides, and waits for the moment, until something is begun or nothing is to be waited for.
func (r *scheduling) wait(ctx context.Context) (*claims.Held, error) {
	for {
		held, again, err := r.decide(ctx)
		if held != nil || err != nil || again.IsZero() {
			return held, err
		}
		select {
		case <-ctx.Done():
			return nil, usage("stopped before the moment came; nothing was begun")
		case <-time.After(min(time.Until(again), time.Minute)): // a clock may be set, and a machine may sleep
		}
	}
}

// askedLimit is for how long a process may take to come to decide, by whoever started it.
const askedLimit = time.Minute

// now returns the time to decide for. Runs may begin at whole seconds, and nobody is woken at one to the nanosecond, nor is a process
// started in no time: the last second of a window, or the only one, would be missed.
func (r *scheduling) now() time.Time {
	now := time.Now().Truncate(time.Second)
	if asked, err := time.Parse(time.RFC3339, r.flags.asked); err == nil && asked.Before(now) && now.Sub(asked) < askedLimit {
		return asked
	}
	return now
}

// decide settles what is to be settled now. It returns the occasion that is begun, or when to decide again.
func (r *scheduling) decide(ctx context.Context) (*claims.Held, time.Time, error) {
	limited, cancel := context.WithTimeout(ctx, decideLimit)
	defer cancel()
	unlock, err := r.folder.Lock(limited)
	if err != nil {
		return nil, time.Time{}, usage("%w; nothing was begun", err)
	}
	defer unlock()
	kept, state, err := r.folder.Reader().Read()
	if err != nil {
		return nil, time.Time{}, usage("%w; nothing was begun", err)
	}
	if state.Held, err = others(); err != nil {
		return nil, time.Time{}, usage("%w; nothing was begun", err)
	}
	now := r.now()
	r.tell(kept, state)
	d := schedules.Decide([]*schedules.Schedule{r.schedule}, state, r.seed, now)
	defer r.tellMissed(now) // what is due does not wait for it
	for _, x := range d.Skip {
		if err := r.skip(x.Occasion, x.Why, now); err != nil {
			return nil, time.Time{}, err
		}
	}
	var held *claims.Held
	for _, x := range d.Start {
		if held, err = r.begin(ctx, x, now); err != nil {
			return nil, time.Time{}, err
		}
	}
	if err := r.folder.Since(d.Through); err != nil {
		if held == nil {
			return nil, time.Time{}, usage("%w", err)
		}
		r.say("%v; what is begun is claimed, and goes on", err)
	}
	if held != nil || len(d.Start) > 0 {
		return held, time.Time{}, nil
	}
	return nil, r.again(d.Wake, now), nil
}

// tell posts what is ahead, what did not come to its end, and what was skipped without anybody being told. It is delivered in the background. Whoever does not wait
// may have been called because the moment has come, and leaves what was skipped to others.
func (r *scheduling) tell(kept []claims.Kept, state schedules.State) {
	if r.crier == nil {
		return
	}
	if !r.flags.noWait {
		r.crier.Recall(r.calendar.Schedules, kept, r.seed)
	}
	r.crier.Coming(r.calendar.Schedules, state, r.seed, !r.flags.noWait)
	list, err := r.folder.Unfinished()
	if err != nil {
		r.say("%v", err)
	}
	r.crier.Unfinished(r.calendar.Schedules, list, state.Held)
}

// again returns until when to wait: for a moment in the hours that are open now, or open in a moment.
func (r *scheduling) again(wake, now time.Time) time.Time {
	none := func(why string) time.Time {
		if r.out.Outcome == "" {
			r.out.Outcome, r.out.Why = "nothing due", why
		}
		return time.Time{}
	}
	if r.flags.noWait {
		return none("no moment has come, and --no-wait was given")
	}
	for o := range r.schedule.Upcoming(now, r.seed) {
		for _, w := range o.Windows {
			if w.From.After(now.Add(early)) {
				return none(fmt.Sprintf("the next hours begin at %s", w.From.In(r.schedule.Zone).Format("2006-01-02 15:04 MST")))
			}
			if w.To.After(now) && !wake.IsZero() && wake.Before(w.To) {
				return wake
			}
		}
		if o.Opens().After(now) {
			break
		}
	}
	return none("nothing begins in these hours")
}

// others lists the runs in progress on this machine.
func others() ([]schedules.Held, error) {
	running, err := inProgress()
	var out []schedules.Held
	for _, x := range running {
		out = append(out, schedules.Held{What: fmt.Sprintf("run %s of %s", x.Run, x.By), Holds: conductor.HeldBy(x, schedules.ThisMachine)})
	}
	return out, err
}

// inProgress lists the runs in progress on this machine that are listed beside the ledger.
func inProgress() ([]conductor.Running, error) {
	dir, err := faults.DefaultLedgerDir()
	if err != nil {
		return nil, err
	}
	return conductor.Runs(conductor.RegistryDir(dir))
}

// claim fills a claim of an occasion.
func (r *scheduling) claim(o schedules.Occasion, now time.Time) claims.Claim {
	sum := sha256.Sum256(r.seed)
	return claims.Claim{Schedule: r.schedule.Name, Occasion: o.ID, At: now.UTC().Round(0), By: audit.Me().String(), Moment: o.Moment, Seed: hex.EncodeToString(sum[:8]),
		Opens: o.Opens(), Closes: o.Closes(), Holds: r.schedule.Holds(), Blind: r.schedule.Blind(), Host: audit.Me().Host}
}

// skip settles an occasion as skipped, and says so.
func (r *scheduling) skip(o schedules.Occasion, why string, now time.Time) error {
	c := r.claim(o, now)
	c.Outcome, c.Why = schedules.Skipped, why
	if _, err := r.folder.Claim(c); err != nil && !errors.Is(err, claims.ErrClaimed) {
		return usage("%w", err)
	}
	if strings.HasPrefix(why, schedules.MissedWhy) {
		r.missed = append(r.missed, schedules.Skip{Schedule: r.schedule, Occasion: o, Why: why})
	} else {
		r.crier.NotHeld(r.schedule, &o, why, false)
	}
	if r.out.Outcome != "" {
		r.out.Skipped = append(r.out.Skipped, becameSkips{r.out.Occasion, r.out.Why})
	}
	r.out.Outcome, r.out.Occasion, r.out.Why = "skipped", o.ID, why
	if !r.flags.asJSON {
		fmt.Fprintf(r.app.out, "skipped %s of %s: %s\n", o.ID, r.schedule.Name, why)
	}
	return nil
}

// tellMissed posts what was missed, as was seen at an instant: in one message, for of a schedule that comes every minute that may be much.
func (r *scheduling) tellMissed(now time.Time) {
	list := r.missed
	r.missed = nil
	switch len(list) {
	case 0:
	case 1:
		r.crier.NotHeld(r.schedule, &list[0].Occasion, list[0].Why, true)
	default:
		hours := announce.Span{From: list[0].Occasion.Opens()}
		for _, x := range list {
			if to := x.Occasion.Closes(); to.After(hours.To) {
				hours.To = to
			}
		}
		r.crier.Missed(r.schedule, len(list), hours, now)
	}
}

// begin claims an occasion that is due, unless something that only asking tells stands against it.
func (r *scheduling) begin(ctx context.Context, x schedules.Start, now time.Time) (*claims.Held, error) {
	began := time.Now()
	asking, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	why, err := r.against(asking, now)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil { // what was not answered then says nothing
		return nil, usage("stopped while it was asked whether %s of %s may begin; nothing was begun", x.Occasion.ID, r.schedule.Name)
	}
	if why != "" {
		return nil, r.skip(x.Occasion, why, now)
	}
	why, unlock, err := r.beside(ctx)
	if err != nil {
		return nil, usage("%w; nothing was begun", err)
	}
	defer unlock()
	if why == "" {
		if why, err = r.meanwhile(began); err != nil {
			return nil, usage("%w; nothing was begun", err)
		}
	}
	if why != "" {
		return nil, r.skip(x.Occasion, why, now)
	}
	c := r.claim(x.Occasion, now)
	c.Outcome, c.MadeUp = schedules.Begun, x.MadeUp
	held, err := r.folder.Claim(c)
	if err != nil {
		return nil, usage("%w; nothing was begun", err)
	}
	if r.out.Outcome == "skipped" {
		r.out.Skipped = append(r.out.Skipped, becameSkips{r.out.Occasion, r.out.Why})
	}
	r.out.Outcome, r.out.Occasion, r.out.Why, r.out.MadeUp = "ran", x.Occasion.ID, "", x.MadeUp
	moment := x.Occasion.Moment
	r.out.Moment = &moment
	r.begun = x.Occasion
	r.crier.Begun(r.schedule, &x.Occasion, lateText(x))
	r.say("beginning %s of %s%s", x.Occasion.ID, r.schedule.Name, lateText(x))
	return held, nil
}

func lateText(x schedules.Start) string {
	switch {
	case x.MadeUp > 1:
		return fmt.Sprintf(", which makes up for %d missed occasions", x.MadeUp)
	case x.MadeUp == 1:
		return ", which was missed"
	case x.Late >= 48*time.Hour:
		return fmt.Sprintf(", %d days after its moment", int(x.Late.Hours()/24))
	case x.Late >= time.Minute:
		return fmt.Sprintf(", %s after its moment", x.Late.Round(time.Second))
	}
	return ""
}

// against asks what stands against beginning now: a halt, a policy, an open incident, a spent error budget. What cannot be told
// stands against it.
func (r *scheduling) against(ctx context.Context, now time.Time) (string, error) {
	stops, err := halts()
	if err != nil {
		return "", err
	}
	if h := faults.Halted(stops...); h != nil {
		return h.Error(), nil
	}
	policies, err := r.flags.fence.load(r.app)
	if err != nil {
		return "", err
	}
	begin := now
	for _, item := range r.schedule.Items {
		l := &loading{vars: item.Vars, varFiles: item.VarFiles, scenario: item.Scenario}
		_, s, err := l.one(r.app, item.File, false)
		if err != nil {
			return "", err
		}
		o := conductor.Options{Scenario: s, Machine: onlooker(), Policies: policies, ApprovedBy: r.flags.approvedBy}
		if v := conductor.Violations(ctx, o, begin); len(v) > 0 {
			return s.Redact(fmt.Sprintf("the policy forbids %s: %s", s.Name, v[0])), nil
		}
		begin = begin.Add(item.Length)
		if why := askBefore(ctx, r.schedule, s, now); why != "" {
			return why, nil
		}
	}
	return "", nil
}

// askBefore asks the sources of a scenario about incidents and error budgets.
func askBefore(ctx context.Context, schedule *schedules.Schedule, s *scenarios.Scenario, now time.Time) string {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if schedule.SkipIf.Incident {
		open, unknown := conductor.OpenIncidents(ctx, s, now)
		if len(open) > 0 {
			return "an incident is open: " + strings.Join(open[:min(3, len(open))], "; ")
		}
		if len(unknown) > 0 {
			return "nobody can tell whether an incident is open: " + strings.Join(unknown, "; ")
		}
	}
	for _, b := range schedule.SkipIf.Budgets {
		if !slices.ContainsFunc(s.AlarmSources, func(d scenarios.AlarmSource) bool { return d.ID() == b.Source }) {
			continue // another scenario of the schedule has it
		}
		left, err := conductor.BudgetLeft(ctx, s, b.Source, b.Query)
		if err != nil {
			return fmt.Sprintf("nobody can tell how much of error budget %q is left: %v", b.Name, err)
		}
		if left < b.Least {
			return fmt.Sprintf("error budget %q is spent: %.4g is left, and it should be at least %.4g", b.Name, left, b.Least)
		}
	}
	return ""
}

// print says what became of the call.
func (r *scheduling) print() error {
	if r.flags.asJSON {
		e := json.NewEncoder(r.app.out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(r.out); err != nil {
			return fmt.Errorf("printing what became of it: %w", err)
		}
		return nil
	}
	if r.out.Outcome == "nothing due" {
		_, err := fmt.Fprintf(r.app.out, "nothing of %s is due: %s\n", r.schedule.Name, r.out.Why)
		return err
	}
	return nil
}
