package cluster

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"

	"gameday/faults"
)

// RevertVerb is the argument with which gameday-kubernetes reverts one entry of a ledger, which it reads from standard input as JSON.
// The caller holds the entry, and closes it. The answer on standard output is an EntryReverted.
const RevertVerb = "revert-entry"

// patience is how long a revert may take of which nothing else is said.
const patience = 30 * time.Second

// EntryReverted says what became of an entry.
type EntryReverted struct {
	Note  string `json:"note,omitempty"`  // what could not be undone although nothing is left to do
	Error string `json:"error,omitempty"` // why the fault may still stand
}

// RevertMain is the main of RevertVerb, with the arguments after it. It returns the exit code: 0 when nothing is left of the fault.
func RevertMain(kinds []faults.Kind, args []string, in io.Reader, out, errw io.Writer) int {
	flags := flag.NewFlagSet(RevertVerb, flag.ContinueOnError)
	flags.SetOutput(errw)
	within := flags.Duration("within", patience, "give up after so long")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return 2
	}
	var result EntryReverted
	ctx := faults.WithNote(context.Background(), func(text string) { result.Note = text })
	ctx, cancel := context.WithTimeout(ctx, *within)
	defer cancel()
	if err := revertFrom(ctx, kinds, in); err != nil {
		result.Error = err.Error()
	}
	if err := json.NewEncoder(out).Encode(result); err != nil || result.Error != "" {
		return 1
	}
	return 0
}

func revertFrom(ctx context.Context, kinds []faults.Kind, in io.Reader) error {
	var e faults.Entry
	if err := json.NewDecoder(in).Decode(&e); err != nil {
		return fmt.Errorf("reading the entry: %w", err)
	}
	i := slices.IndexFunc(kinds, func(k faults.Kind) bool { return k.Name == e.Kind })
	switch {
	case i < 0:
		return fmt.Errorf("this build of %s has no fault kind %q", Program, e.Kind)
	case e.Place.Cluster == nil:
		return fmt.Errorf("%s is in no cluster", e.Place.Name)
	case kinds[i].RevertInCluster == nil:
		return fmt.Errorf("this build of %s cannot revert %s", Program, e.Kind)
	}
	ctx = faults.WithOwner(ctx, faults.Owner{Run: e.Run, Injection: e.ID, Fault: e.Fault, Scenario: e.Scenario})
	return faults.Protect(func() error { return kinds[i].RevertInCluster(ctx, e) })
}
