package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"gameday/faults"
	words "gameday/faults/cluster"
	"gameday/report"
	"gameday/targets/cluster"
)

// Variables that say which pod and Job this is, from the downward API: see deploy/kubernetes/base/cronjob.yaml.
const (
	namespaceVariable = "GAMEDAY_NAMESPACE"
	podVariable       = "GAMEDAY_POD"
	podUIDVariable    = "GAMEDAY_POD_UID"
	jobVariable       = "GAMEDAY_JOB"
	jobUIDVariable    = "GAMEDAY_JOB_UID"
)

// eventLimit bounds the telling of a verdict to the cluster, the start of the program that does it included.
const eventLimit = 15 * time.Second

// herald tells a cluster of one run.
type herald struct {
	event words.Event // but for what it tells
	done  bool
}

// subject returns the Event that will tell of a run, but for what it tells. It is an error of the caller when nobody says which Job or
// pod this is: found before anything is touched, and not at the end of a game day.
func subject(env func(string) string) (words.Event, error) {
	e := words.Event{Namespace: env(namespaceVariable), Instance: env(podVariable)}
	switch {
	case env(jobVariable) != "" && env(jobUIDVariable) != "":
		e.Kind, e.Name, e.UID = "Job", env(jobVariable), env(jobUIDVariable)
	case env(podVariable) != "" && env(podUIDVariable) != "":
		e.Kind, e.Name, e.UID = "Pod", env(podVariable), env(podUIDVariable)
	default:
		return e, usage("--event tells a cluster about the Job or pod that this runs in, and nothing says which: set %s and %s, or %s and %s, "+
			"as deploy/kubernetes does by the downward API", jobVariable, jobUIDVariable, podVariable, podUIDVariable)
	}
	if e.Namespace == "" {
		return e, usage("--event needs to know this pod's namespace: set %s, as deploy/kubernetes does by the downward API", namespaceVariable)
	}
	return e, nil
}

// runTold runs a game day of which the cluster is told.
func (a *app) runTold(f *runFlags, path string) error {
	e, err := subject(os.Getenv)
	if err != nil {
		return err
	}
	f.told = &herald{event: e}
	err = a.run(f, path)
	if !f.told.done {
		f.told.tell(a, "", nil, err, nil)
	}
	return err
}

// tell makes the Event. That nobody could be told is said, and changes no verdict.
func (h *herald) tell(a *app, dir string, card *report.Scorecard, err, uncopied error) {
	h.done = true
	e := h.event
	e.Reason, e.Message, e.Warning = telling(dir, card, err)
	if uncopied != nil {
		e.Message, e.Warning = e.Message+"; NOT COPIED: "+uncopied.Error(), true
	}
	ctx, cancel := context.WithTimeout(context.Background(), eventLimit)
	defer cancel()
	var p cluster.Program
	if failed := errors.Join(p.Tell(ctx, faults.Access{}, e), p.Close(ctx)); failed != nil {
		a.say("the cluster could not be told of this run by an Event about %s %s/%s: %v; the verdict stands", e.Kind, e.Namespace, e.Name, failed)
	}
}

// telling returns what an Event says of a run. Without a folder for a record nothing was begun.
func telling(dir string, card *report.Scorecard, err error) (reason, message string, warning bool) {
	where := "; the record is " + dir
	if dir == "" {
		where = ""
	}
	if card == nil {
		reason, text := "GameDayInconclusive", "there is nothing to score"
		code := (*codeError)(nil)
		switch {
		case errors.As(err, &code) && code.code == exitResidue:
			reason = "GameDayResidue"
		case dir == "":
			reason, where, text = "GameDayRefused", "; nothing was touched", "the log of the pod says why"
		}
		if err != nil && err.Error() != "" {
			text = err.Error()
		}
		return reason, text + where, true
	}
	verdict := card.Verdict.String()
	reason = "GameDay" + strings.ToUpper(verdict[:1]) + verdict[1:]
	if card.Residue {
		reason = "GameDayResidue"
	}
	message = fmt.Sprintf("%s: %s, %s, coverage %s; run %s%s", card.Scenario, card.VerdictWords(), card.ScoreWords(), report.Share(card.Coverage), card.Run, where)
	if len(card.Why) > 0 && reason != "GameDayPassed" {
		message += ". " + card.Why[0]
	}
	return reason, message, reason != "GameDayPassed"
}
