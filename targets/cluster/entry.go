package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"gameday/faults"
	"gameday/faults/cluster"
)

// graceOfEntry is how much longer than its limit the program may take to say what became of an entry.
const graceOfEntry = 5 * time.Second

// RevertEntry reverts one entry of a ledger whose place is in a cluster, which the caller holds. Path is as a Program's. What could not
// be undone although all else was is noted on ctx.
func RevertEntry(ctx context.Context, path string, e faults.Entry) error {
	if path == "" {
		var err error
		if path, err = Find(); err != nil {
			return err
		}
	}
	entry, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encoding the entry: %w", err)
	}
	args := []string{cluster.RevertVerb}
	if end, limited := ctx.Deadline(); limited {
		args = append(args, "--within", time.Until(end).Round(time.Millisecond).String())
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(context.WithoutCancel(ctx), end.Add(graceOfEntry))
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C must not end it half-way
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(entry), &out, &said
	failed := cmd.Run()
	var result cluster.EntryReverted
	switch err := json.Unmarshal(out.Bytes(), &result); {
	case err != nil && failed != nil:
		return fmt.Errorf("%s: %w; it said: %s", path, failed, bytes.TrimSpace(said.Bytes()[:min(said.Len(), 500)]))
	case err != nil:
		return fmt.Errorf("reading what became of it from %s: %w", path, err)
	case result.Error != "":
		return errors.New(result.Error)
	case failed != nil:
		return fmt.Errorf("%s: %w", path, failed)
	}
	if result.Note != "" {
		faults.Note(ctx, result.Note)
	}
	return nil
}

// Kinds returns kinds with a way to revert their faults in clusters: gameday-kubernetes does that, and is looked for when it is needed.
func Kinds(kinds []faults.Kind) []faults.Kind {
	out := slices.Clone(kinds)
	for i := range out {
		out[i].RevertInCluster = func(ctx context.Context, e faults.Entry) error { return RevertEntry(ctx, "", e) }
	}
	return out
}
