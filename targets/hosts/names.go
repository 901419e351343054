package hosts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/faults/find"
	"gameday/faults/guard"
	"gameday/faults/ssh"
)

// namesLimit bounds asking ssh what it makes of a destination, which opens no connection.
const namesLimit = 5 * time.Second

// Names returns by what names the host goes, for a policy to judge: what it calls itself, the host in the destination as
// the user wrote it, and what the user's ssh makes of that. They are asked once.
func (h *Host) Names(ctx context.Context) ([]string, error) {
	h.mu.Lock()
	names := h.names
	h.mu.Unlock()
	if names != nil {
		return names, nil
	}
	own, err := h.Find(ctx, find.Query{})
	if err != nil {
		return nil, err
	}
	if len(own.Found) == 0 || own.Found[0].Place.Node == nil {
		return nil, fmt.Errorf("host %s: it does not say what it is called", h)
	}
	resolved, err := h.Resolved(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range []string{own.Found[0].Place.Node.Name, guard.HostPart(h.String()), resolved} {
		if n != "" && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	h.mu.Lock()
	h.names = names
	h.mu.Unlock()
	return names, nil
}

// Resolved returns the name or address that the user's ssh connects to for the host: the HostName of its configuration.
// Nobody is contacted.
func (h *Host) Resolved(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, namesLimit)
	defer cancel()
	cmd := ssh.Command(ctx, h.settings.SSH, "")
	// All options before the destination stand; -G prints what they and the configuration come to.
	i := slices.Index(cmd.Args, "--")
	if i < 0 || i+1 >= len(cmd.Args) {
		return "", errors.New("asking ssh for its configuration: the command line has no destination")
	}
	cmd.Args = append(slices.Insert(slices.Clone(cmd.Args[:i]), 1, "-G"), "--", cmd.Args[i+1])
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("asking ssh what host it connects to: %w", ssh.Explain(ctx, h.settings.SSH, err, said.String()))
	}
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "hostname "); ok {
			return name, nil
		}
	}
	return "", fmt.Errorf("host %s: `ssh -G` names no host", h)
}
