// Package node holds the faults that hit a whole host.
package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"gameday/faults"
	"gameday/targets/lab/power"
)

// Limits of node_restart.
const (
	defaultDown = 5 * time.Second
	minDown     = time.Second
	maxDown     = 10 * time.Minute
	bootLimit   = 60 * time.Second // how long booting may take after the node has been down
	pollStep    = 50 * time.Millisecond
)

// RestartKind returns node_restart: a host loses its power and boots again.
func RestartKind() faults.Kind {
	return faults.Kind{
		Name:       "node_restart",
		Summary:    "take a node's power away, kill a container, or reboot a host; it comes back after a while",
		Needs:      faults.NeedNode,
		Undoing:    "a node boots by itself, a container is started by the guard, and a host must come back by itself",
		Reversible: true,
		New:        func() faults.Config { return &Restart{} },
		Revert:     revert,
	}
}

// Restart holds the parameters of node_restart.
type Restart struct {
	// DownFor is how long the node stays off, as a duration such as "10s"; 5s when empty.
	DownFor string `hcl:"down_for,optional" json:"down_for,omitempty"`
	// How a host that is reached by SSH restarts: "reboot" in order, or "power" at once. Others know one way only.
	How string `hcl:"how,optional" json:"how,omitempty"`
	// BootsWithin is how long a host may take until it is back, as a duration; 3m when empty.
	BootsWithin string `hcl:"boots_within,optional" json:"boots_within,omitempty"`
	// Units are the systemd units of a host that must be active again; when there are none, systemd must be done booting.
	Units []string `hcl:"units,optional" json:"units,omitempty"`
}

// Validate checks the durations, the way and the units.
func (r *Restart) Validate() error {
	_, err := r.down()
	_, boot := r.boot()
	errs := []error{err, boot}
	if r.How != "" && r.How != howReboot && r.How != howPower {
		errs = append(errs, &faults.FieldError{Field: "how", Summary: "Unknown way to restart",
			Detail: fmt.Sprintf("A host restarts by \"reboot\", in order, or by \"power\", at once; not by %q.", r.How)})
	}
	for _, u := range r.Units {
		if u == "" || strings.HasPrefix(u, "-") || strings.ContainsAny(u, "/*? \n") {
			errs = append(errs, &faults.FieldError{Field: "units", Summary: "Invalid unit",
				Detail: fmt.Sprintf("%q is not the name of one systemd unit. Write it as `systemctl status` does: \"payments.service\".", u)})
		}
	}
	return errors.Join(errs...)
}

// Overdue returns how much longer than planned the node may take: a host boots as fast as it can.
func (r *Restart) Overdue() time.Duration {
	d, err := r.boot()
	if err != nil {
		return defaultBoot
	}
	return d
}

// Patience returns how long it may take to tell a host to restart, and until it has gone down in order.
func (r *Restart) Patience() (inject, proof time.Duration) { return orderLimit, goingDown }

func (r *Restart) boot() (time.Duration, error) {
	if r.BootsWithin == "" {
		return defaultBoot, nil
	}
	d, err := time.ParseDuration(r.BootsWithin)
	if err != nil {
		return 0, &faults.FieldError{Field: "boots_within", Summary: "Invalid duration",
			Detail: fmt.Sprintf("%q is not a duration. Write a number and a unit, such as \"90s\" or \"3m\".", r.BootsWithin)}
	}
	if d < minDown || d > maxBoot {
		return 0, &faults.FieldError{Field: "boots_within", Summary: "Duration out of range",
			Detail: fmt.Sprintf("A host may take %v to %v to come back, not %v.", minDown, maxBoot, d)}
	}
	return d, nil
}

// Ends returns how long the node stays off: it boots by itself then.
func (r *Restart) Ends() time.Duration {
	d, err := r.down()
	if err != nil {
		return defaultDown
	}
	return d
}

func (r *Restart) down() (time.Duration, error) {
	if r.DownFor == "" {
		return defaultDown, nil
	}
	d, err := time.ParseDuration(r.DownFor)
	if err != nil {
		return 0, &faults.FieldError{Field: "down_for", Summary: "Invalid duration",
			Detail: fmt.Sprintf("%q is not a duration. Write a number and a unit, such as \"10s\" or \"2m\".", r.DownFor)}
	}
	if d < minDown || d > maxDown {
		return 0, &faults.FieldError{Field: "down_for", Summary: "Duration out of range",
			Detail: fmt.Sprintf("A node can be down for %v to %v, not %v.", minDown, maxDown, d)}
	}
	return d, nil
}

// Bind returns the restart of the place's node.
func (r *Restart) Bind(p faults.Place) (faults.Injection, error) {
	down, err := r.down()
	if err != nil {
		return nil, err
	}
	switch {
	case p.Node == nil:
		return nil, fmt.Errorf("node_restart needs a node, and %s is none: use a node, container or host target", p.Name)
	case p.Node.SSH != nil:
		within, err := r.boot()
		return &hostRestart{to: *p.Node.SSH, how: cmp.Or(r.How, howReboot), units: r.Units, within: within}, err
	case p.Node.Container != "" && p.Node.Engine != "":
		return &containerRestart{node: *p.Node, down: down, engine: dialEngine(p.Node.Engine)}, nil
	case p.Node.Control == "" || p.Node.Name == "":
		return nil, fmt.Errorf("node_restart on %s: the node has no power switch", p.Name)
	}
	return &restart{node: *p.Node, down: down, dial: dialLab}, nil
}

// Preview returns "ledger down 10s".
func (r *Restart) Preview(p faults.Place) string {
	down, _ := r.down()
	if p.Node == nil {
		return fmt.Sprintf("down %v", down)
	}
	if p.Node.SSH != nil && r.How == howPower {
		return fmt.Sprintf("power cut of host %s by sysrq: what is not on its disk is lost", p.Node.Name)
	}
	if p.Node.SSH != nil {
		return fmt.Sprintf("reboot of host %s", p.Node.Name)
	}
	if p.Node.Container != "" {
		return fmt.Sprintf("container %s killed, started again after %v", p.Node.Name, down)
	}
	return fmt.Sprintf("%s down %v", p.Node.Name, down)
}

// Switch is a node's power switch.
type Switch interface {
	// Node returns the node's present state.
	Node(ctx context.Context, name string) (power.State, error)
	// PowerOff returns when the node is off; after down it boots by itself.
	PowerOff(ctx context.Context, name string, down time.Duration) error
	// PowerOn returns when the node is on; it does nothing to a node that is.
	PowerOn(ctx context.Context, name string) error
}

// dialLab returns the switch behind a lab's control socket.
func dialLab(path string) (Switch, error) { return power.Dial(path) }

// restart is one restart of one node.
type restart struct {
	node faults.Node
	down time.Duration
	dial func(path string) (Switch, error)
	old  power.State // before
	off  time.Time   // when the node was told to go off; monotonic
}

// undo is what the ledger holds.
type undo struct {
	Control string `json:"control"`
	Node    string `json:"node"`
	BootID  string `json:"boot_id"`
}

// Undo reads the node's boot id. A node that is off already is refused: there would be nothing to prove.
func (r *restart) Undo(ctx context.Context) (json.RawMessage, error) {
	s, err := r.state(ctx)
	if err != nil {
		return nil, err
	}
	if !s.On {
		return nil, fmt.Errorf("node %s is off already%s; nothing was touched", r.node.Name, because(s.Trouble))
	}
	r.old = s
	return json.Marshal(undo{Control: r.node.Control, Node: r.node.Name, BootID: s.BootID})
}

func because(trouble string) string {
	if trouble == "" {
		return ""
	}
	return ": " + trouble
}

// Inject powers the node off. How long is told to the lab, which boots the node even if everybody else is dead.
func (r *restart) Inject(ctx context.Context, _ time.Duration) error {
	s, err := r.dial(r.node.Control)
	if err != nil {
		return err
	}
	r.off = time.Now()
	if err := s.PowerOff(ctx, r.node.Name, r.down); err != nil {
		return fmt.Errorf("powering off node %s: %w", r.node.Name, err)
	}
	return nil
}

// Effect waits until the node is off, or on with another boot id.
func (r *restart) Effect(ctx context.Context) (faults.Effect, error) {
	var seen faults.Effect
	err := poll(ctx, func() (bool, error) {
		s, err := r.state(ctx)
		if err != nil {
			return false, err
		}
		seen = r.effect(s)
		return seen.Proven, nil
	})
	if err != nil && ctx.Err() == nil {
		return seen, err
	}
	return seen, nil
}

func (r *restart) effect(s power.State) faults.Effect {
	e := faults.Effect{Details: map[string]string{"boot_id": r.old.BootID, "init": fmt.Sprint(r.old.Init.PID)}}
	switch {
	case s.BootID != r.old.BootID:
		e.Proven, e.Summary = true, bootChange(r.old.BootID, s.BootID)
		e.Details["new_boot_id"] = s.BootID
	case !s.On:
		e.Proven = true
		e.Summary = fmt.Sprintf("%s is off, its first process (pid %d) is gone", r.node.Name, r.old.Init.PID)
	default:
		e.Summary = fmt.Sprintf("%s still serves boot id %s", r.node.Name, short(s.BootID))
	}
	return e
}

// Watch waits until the node has booted again, for as long as it should be down and a minute.
func (r *restart) Watch(ctx context.Context) (faults.Effect, error) {
	ctx, cancel := context.WithDeadline(ctx, r.off.Add(r.down+bootLimit))
	defer cancel()
	var last power.State
	err := poll(ctx, func() (bool, error) {
		var err error
		last, err = r.state(ctx)
		return err == nil && last.On && last.BootID != r.old.BootID, err
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return faults.Effect{}, fmt.Errorf("node %s has not booted %v after it should have%s",
			r.node.Name, bootLimit, because(last.Trouble))
	}
	if err != nil {
		return faults.Effect{}, err
	}
	return faults.Effect{Proven: true, Summary: bootChange(r.old.BootID, last.BootID),
		Details: map[string]string{"boot_id": r.old.BootID, "new_boot_id": last.BootID}}, nil
}

func (r *restart) state(ctx context.Context) (power.State, error) {
	s, err := r.dial(r.node.Control)
	if err != nil {
		return power.State{}, err
	}
	return s.Node(ctx, r.node.Name)
}

// revert powers the node on, or starts the container, or waits for the host.
func revert(ctx context.Context, e faults.Entry) error {
	var h hostUndo
	if err := json.Unmarshal(e.Undo, &h); err == nil && h.SSH.Destination != "" {
		return revertHost(ctx, h)
	}
	var u containerUndo
	if err := json.Unmarshal(e.Undo, &u); err == nil && u.Container != "" {
		return revertContainer(ctx, u)
	}
	return revertBy(ctx, e, dialLab)
}

// revertBy works from the entry alone. A lab whose socket is gone is gone itself, and its nodes with it.
func revertBy(ctx context.Context, e faults.Entry, dial func(string) (Switch, error)) error {
	var u undo
	if err := json.Unmarshal(e.Undo, &u); err != nil {
		return fmt.Errorf("reading the ledger's undo: %w", err)
	}
	s, err := dial(u.Control)
	if labGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.PowerOn(ctx, u.Node); err != nil {
		if errors.Is(err, power.ErrUnknownNode) || labGone(err) {
			return nil
		}
		return fmt.Errorf("powering on node %s: %w", u.Node, err)
	}
	return poll(ctx, func() (bool, error) {
		state, err := s.Node(ctx, u.Node)
		if labGone(err) {
			return true, nil
		}
		return err == nil && state.On, err
	})
}

// labGone reports whether an error says that nobody serves the control socket any more.
func labGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

// poll asks until done, an error, or the end of ctx, whose error it returns then. It asks at least once.
func poll(ctx context.Context, ask func() (done bool, err error)) error {
	t := time.NewTicker(pollStep)
	defer t.Stop()
	for {
		if done, err := ask(); err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

func bootChange(from, to string) string {
	return fmt.Sprintf("boot id %s → %s", short(from), short(to))
}

// short cuts a boot id for people.
func short(id string) string {
	if len(id) > 8 {
		return id[:8] + "…"
	}
	return id
}
