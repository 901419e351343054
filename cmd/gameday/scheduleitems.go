package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gameday/announce"
	"gameday/rehearsals/kept"
	"gameday/schedules"
	"gameday/schedules/claims"
)

// items runs the scenarios of an occasion one after the other, and keeps how they ended. After an abort, or when a fault is left
// standing, the others are not run; nor is what would not end in the schedule's hours any more.
func (r *scheduling) items(held *claims.Held) (int, error) {
	end := claims.End{}
	var runErr error
	for i, item := range r.schedule.Items {
		if i > 0 {
			if why := r.schedule.Against(time.Now(), item.Length); why != "" {
				r.leave(&end, i, why)
				end.Code = worse(end.Code, exitInconclusive)
				break
			}
		}
		run, err := r.item(item, held)
		if err != nil {
			runErr = err
			end.Code = worse(end.Code, exitUsage)
			break
		}
		end.Runs = append(end.Runs, run)
		end.Code = worse(end.Code, run.Code)
		if run.Code == exitResidue || run.Code == exitAborted {
			if i+1 < len(r.schedule.Items) {
				r.leave(&end, i+1, fmt.Sprintf("%s ended with %d", item.Scenario, run.Code))
			}
			break
		}
	}
	end.At = time.Now().UTC().Round(0)
	r.out.Runs = end.Runs
	// What is told stands before what is kept: whoever comes after a kill between the two tells the end, and not that there was none.
	told := r.ended(end, runErr)
	whole := r.crier.Ended(r.schedule, &r.begun, told)
	err := errors.Join(runErr, held.Close(end))
	if !whole { // a full disk did not take it; by now somebody has waited for space
		r.crier.Ended(r.schedule, &r.begun, told)
	}
	return end.Code, err
}

// ended returns what is told of how the occasion ended.
func (r *scheduling) ended(end claims.End, failed error) announce.End {
	if r.crier == nil {
		return announce.End{}
	}
	out := announce.End{At: end.At, Why: end.Why}
	for _, x := range end.Runs {
		out.Results = append(out.Results, resultOf(x))
	}
	rest := r.schedule.Items[len(end.Runs):]
	if failed != nil {
		out.Results = append(out.Results, announce.Result{Scenario: rest[0].Scenario, Why: failed.Error()})
		rest = rest[1:]
	}
	for _, x := range rest {
		out.NotRun = append(out.NotRun, x.Scenario)
	}
	return out
}

// leave notes that the scenarios from one on are not run, and why, and says so.
func (r *scheduling) leave(end *claims.End, from int, why string) {
	end.Why = why
	for _, x := range r.schedule.Items[from:] {
		end.NotRun = append(end.NotRun, x.Scenario)
	}
	r.out.NotRun, r.out.Why = end.NotRun, why
	r.say("not run of %s: %s: %s", r.schedule.Name, strings.Join(end.NotRun, ", "), why)
}

// exitAborted is the code of a run that was stopped.
const exitAborted = 4

// worse returns the worse of two exit codes.
func worse(a, b int) int {
	order := []int{0, exitInconclusive, exitUsage, exitAborted, 1, exitResidue}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}

// item runs one scenario in a process of its own, which is this program. Signals go on to it. The occasion is in progress for as long as
// that process lives, also when this one is killed.
func (r *scheduling) item(item schedules.Item, held *claims.Held) (claims.Run, error) {
	out := claims.Run{Scenario: item.Scenario, Record: recordIn(r.flags.runs, item.Scenario, time.Now())}
	x := itemRun{item: item, record: out.Record, fence: r.flags.fence, audit: r.flags.audit, heal: r.flags.heal, in: os.Stdin, out: r.app.out, errw: os.Stderr, held: held.File()}
	if r.flags.asJSON {
		x.out = os.Stderr
	}
	var err error
	out.Code, err = r.app.runItem(x)
	return out, err
}

// recordIn returns the folder of a new record.
func recordIn(runs, scenario string, now time.Time) string {
	base := filepath.Join(runs, now.Format("20060102-150405")+"-"+folderName(scenario))
	dir := base
	taken := func() bool {
		_, err := os.Stat(filepath.Join(dir, kept.LabelFile)) // of a run that was killed before it wrote anything
		return err == nil || recorded(dir)
	}
	for n := 2; n < 100 && taken(); n++ {
		dir = fmt.Sprintf("%s-%d", base, n)
	}
	return dir
}
