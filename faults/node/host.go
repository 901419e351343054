package node

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"gameday/faults"
	"gameday/faults/ssh"
)

const (
	defaultBoot = 3 * time.Minute // boots_within when it is not given
	maxBoot     = 30 * time.Minute
	askLimit    = 15 * time.Second // one question to a host that may be down
	downLimit   = 5 * time.Second  // no answer within it, after the connection has ended, is taken for down
	askEvery    = time.Second
	maxAsking   = 8                // questions at a time
	orderLimit  = 20 * time.Second // until a host has heard that it is to reboot
	goingDown   = time.Minute      // until it has gone down: the effect
	// settles is for how long a host must go on with its old boot before it counts as one that was never told to reboot.
	settles = 2 * time.Second
	// bootIDLength is that of a UUID's text.
	bootIDLength = 36
)

// Ways to restart a host.
const (
	howReboot = "reboot"
	howPower  = "power"
)

// The scripts are one line each, see package ssh.
const (
	// ask prints the boot id, and with systemd a line for each unit, or one for the whole system.
	ask = `cat /proc/sys/kernel/random/boot_id || exit 1; [ -d /run/systemd/system ] || exit 0; ` +
		`if [ $# = 0 ]; then echo "system $(systemctl is-system-running)"; exit 0; fi; ` +
		`for u in "$@"; do echo "$u $(systemctl is-active "$u")"; done; exit 0`
	// able fails when the order of the way $1 cannot be given, with sudo if $2 says so.
	able = `if [ -d /run/systemd/system ]; then echo systemd; c="systemctl reboot"; else echo none; c=reboot; fi; ` +
		`[ "$1" = reboot ] || c="tee /proc/sysrq-trigger"; ` +
		`if [ "$1" = power ] && [ ! -e /proc/sysrq-trigger ]; then echo "there is no /proc/sysrq-trigger" >&2; exit 1; fi; ` +
		`if [ -n "$2" ]; then sudo -n -l $c >/dev/null; exit; fi; ` +
		`[ "$(id -u)" = 0 ] || { echo "user $(id -un) may not: it takes root" >&2; exit 1; }`
	// The orders say when they begin, and then last until the host is down. What is said in the instant in which the power
	// goes would not get through.
	orderReboot = `if [ -d /run/systemd/system ]; then c="systemctl reboot"; else c=reboot; fi; ` +
		`[ -z "$1" ] || c="sudo -n $c"; echo ordered; $c && exec sleep 600`
	orderPower = `echo ordered; sleep 1; if [ -z "$1" ]; then echo b >/proc/sysrq-trigger; ` +
		`else echo b | sudo -n tee /proc/sysrq-trigger >/dev/null; fi && exec sleep 600`
)

// hostState is what a host says of itself.
type hostState struct {
	boot  string
	units []string // "nginx.service active", or "system running"; none without systemd
}

// waiting names the units that do not run yet.
func (s hostState) waiting() []string {
	var out []string
	for _, u := range s.units {
		name, state, _ := strings.Cut(u, " ")
		up := state == "active"
		if name == "system" {
			up = state == "running" || state == "degraded" // some unit failed, and nothing more is to come
		}
		if !up {
			out = append(out, name+" is "+state)
		}
	}
	return out
}

// stopping reports whether systemd is on its way down.
func (s hostState) stopping() bool { return slices.Contains(s.units, "system stopping") }

// hostRestart is one restart of a host that is reached by SSH. Its guard stands on this machine.
type hostRestart struct {
	to     faults.SSH
	how    string
	units  []string
	within time.Duration

	old  hostState
	told time.Time // when the order was given; monotonic
	held *order

	mu   sync.Mutex
	seen faults.Effect
}

// hostUndo is what the ledger holds of a host.
type hostUndo struct {
	SSH    faults.SSH `json:"ssh"`
	BootID string     `json:"boot_id"`
}

func (r *hostRestart) sudo() string {
	if r.to.Sudo {
		return "sudo"
	}
	return ""
}

// askHost asks a host for its state.
func askHost(ctx context.Context, to faults.SSH, units ...string) (hostState, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	out, err := ssh.Run(ctx, to, nil, ask, units...)
	if err != nil {
		return hostState{}, err
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	// A login script that prints something does so before.
	for len(lines) > 0 && len(lines[0]) != bootIDLength {
		lines = lines[1:]
	}
	if len(lines) == 0 {
		return hostState{}, fmt.Errorf("host %s: its answer %q has no boot id", to.Destination, out)
	}
	return hostState{boot: lines[0], units: lines[1:]}, nil
}

// Check finds out whether the host could be told to restart, and that it is not this machine.
func (r *hostRestart) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, orderLimit)
	defer cancel()
	out, err := ssh.Run(ctx, r.to, nil, able, r.how, r.sudo())
	var refused *ssh.ExitError
	switch {
	case errors.As(err, &refused) && r.to.Sudo:
		return fmt.Errorf("%w; allow it in sudoers without a password (docs/faults/node_restart.md has the line)", err)
	case errors.As(err, &refused):
		return fmt.Errorf("%w; set sudo = true in the host block, or use ssh = \"root@…\"", err)
	case err != nil:
		return err
	}
	if len(r.units) > 0 && !slices.Contains(strings.Fields(out), "systemd") {
		return fmt.Errorf("host %s does not run systemd, which is asked for units", r.to.Destination)
	}
	return nil
}

// Undo reads the host's boot id. There is nothing that would bring a host back but itself: the entry is there so that
// nobody forgets one that did not come.
func (r *hostRestart) Undo(ctx context.Context) (json.RawMessage, error) {
	s, err := askHost(ctx, r.to, r.units...)
	if err != nil {
		return nil, fmt.Errorf("%w; nothing was touched", err)
	}
	if here, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil && strings.TrimSpace(string(here)) == s.boot {
		return nil, fmt.Errorf("host %s is this machine (both have boot id %s): a restart would take gameday with it; nothing was touched",
			r.to.Destination, short(s.boot))
	}
	r.old = s
	return json.Marshal(hostUndo{SSH: r.to, BootID: s.boot})
}

// order is the connection over which a host was told to restart. It ends when the host goes down, or refuses.
type order struct {
	heard chan struct{} // closed when the host has begun to carry it out
	over  chan struct{} // closed at the end; err is valid then
	err   error
}

// give tells the host. The connection ends with ctx at the latest.
func (r *hostRestart) give(ctx context.Context) (*order, error) {
	script := orderReboot
	if r.how == howPower {
		script = orderPower
	}
	cmd := ssh.Command(ctx, r.to, script, r.sudo())
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting ssh: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting ssh: %w", err)
	}
	o := &order{heard: make(chan struct{}), over: make(chan struct{})}
	go func() {
		defer close(o.over)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if lines.Text() == "ordered" {
				close(o.heard)
				break
			}
		}
		err := cmd.Wait()
		o.err = ssh.Explain(ctx, r.to, err, said.String())
	}()
	return o, nil
}

// refused reports whether the host has said no, and not just gone.
func (o *order) refused() bool {
	var exit *ssh.ExitError
	return o.err == nil || errors.As(o.err, &exit) && exit.Code < 128
}

// Inject tells the host to restart, and returns when it has heard so.
func (r *hostRestart) Inject(ctx context.Context, _ time.Duration) error {
	var err error
	r.told = time.Now()
	if r.held, err = r.give(ctx); err != nil {
		return err
	}
	limit := time.NewTimer(orderLimit)
	defer limit.Stop()
	select {
	case <-r.held.heard:
	case <-r.held.over:
		if r.held.refused() {
			return fmt.Errorf("telling host %s to restart: %w", r.to.Destination, r.held.err)
		} // else it may have gone down before it could say that it has heard, which the effect will tell
	case <-limit.C:
		return fmt.Errorf("telling host %s to restart: it did not answer within %v", r.to.Destination, orderLimit)
	}
	r.note(faults.Effect{Summary: fmt.Sprintf("%s was told, and still answers", r.to.Destination)})
	go r.observe(ctx)
	return nil
}

// observe looks until the host is down, which one connection that ends does not prove: another must find nobody, or a new
// boot.
func (r *hostRestart) observe(ctx context.Context) {
	select {
	case <-r.held.over:
	case <-ctx.Done():
		return
	}
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, downLimit)
		s, err := askHost(attempt, r.to)
		cancel()
		e := faults.Effect{Details: map[string]string{"boot_id": r.old.boot}}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ssh.ErrUnreachable):
			e.Proven, e.Summary = true, fmt.Sprintf("%s is down: its connection ended, and no new one is answered", r.to.Destination)
		case err == nil && s.boot != r.old.boot:
			e.Proven, e.Summary = true, bootChange(r.old.boot, s.boot)
			e.Details["new_boot_id"] = s.boot
		default:
			e.Summary = fmt.Sprintf("%s still serves boot id %s", r.to.Destination, short(r.old.boot))
		}
		if r.note(e); e.Proven {
			return
		}
		select {
		case <-time.After(askEvery):
		case <-ctx.Done():
		}
	}
}

func (r *hostRestart) note(e faults.Effect) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = e
}

// Effect waits until the host is down, or up with another boot id.
func (r *hostRestart) Effect(ctx context.Context) (faults.Effect, error) {
	var seen faults.Effect
	err := poll(ctx, func() (bool, error) {
		r.mu.Lock()
		seen = r.seen
		r.mu.Unlock()
		select {
		case <-r.held.over:
			if !seen.Proven && r.held.refused() {
				return false, fmt.Errorf("host %s did not restart: %w", r.to.Destination, r.held.err)
			}
		default:
		}
		return seen.Proven, nil
	})
	if err != nil && ctx.Err() == nil {
		return seen, err
	}
	return seen, nil
}

// Watch waits until the host answers with another boot id and its units run.
func (r *hostRestart) Watch(ctx context.Context) (faults.Effect, error) {
	ctx, cancel := context.WithDeadline(ctx, r.told.Add(r.within))
	defer cancel()
	var answered time.Duration // since it was told
	trouble := "it has not answered since; look at its console"
	for s := range r.states(ctx) {
		if answered == 0 {
			answered = time.Since(r.told)
		}
		waiting := s.waiting()
		if len(waiting) == 0 {
			return r.back(s, answered), nil
		}
		trouble = fmt.Sprintf("it answered after %v, and %s", answered.Round(time.Second), strings.Join(waiting, ", "))
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return faults.Effect{}, fmt.Errorf("host %s is not back %v after it was told to restart: %s", r.to.Destination, r.within, trouble)
	}
	return faults.Effect{}, ctx.Err()
}

// states asks the host again and again, and delivers what it says of a new boot, until ctx ends. One question may hang in a
// connection that was made while the host was down, so another is begun beside it.
func (r *hostRestart) states(ctx context.Context) <-chan hostState {
	out := make(chan hostState)
	go func() {
		defer close(out)
		var asking sync.WaitGroup
		defer asking.Wait()
		free := make(chan struct{}, maxAsking)
		t := time.NewTicker(askEvery)
		defer t.Stop()
		for ctx.Err() == nil {
			asking.Go(func() {
				free <- struct{}{}
				defer func() { <-free }()
				s, err := askHost(ctx, r.to, r.units...)
				if err != nil || s.boot == r.old.boot {
					return
				}
				select {
				case out <- s:
				case <-ctx.Done():
				}
			})
			for next := false; !next; {
				select {
				case <-t.C:
					next = len(free) < maxAsking
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}

// back is the evidence that the host has come back.
func (r *hostRestart) back(s hostState, answered time.Duration) faults.Effect {
	e := faults.Effect{Proven: true, Details: map[string]string{"boot_id": r.old.boot, "new_boot_id": s.boot,
		"answered_after": answered.Round(time.Millisecond).String(), "back_after": time.Since(r.told).Round(time.Millisecond).String()}}
	e.Summary = fmt.Sprintf("%s, answers again after %v", bootChange(r.old.boot, s.boot), answered.Round(100*time.Millisecond))
	if len(s.units) > 0 {
		e.Details["units"] = strings.Join(s.units, ", ")
		e.Summary += ", " + strings.Join(s.units, ", ")
	}
	return e
}

// revertHost waits until the host answers: with another boot id, or, if it was never told, for a while with the old one.
func revertHost(ctx context.Context, u hostUndo) error {
	var since time.Time // when it was first heard with its old boot
	var why error       // it is not back, as far as is known
	for {
		s, err := askHost(ctx, u.SSH)
		switch {
		case err != nil && why != nil && ctx.Err() != nil: // the question was cut short, which says nothing of the host
		case err != nil:
			why, since = err, time.Time{}
		case s.boot != u.BootID:
			return nil
		case s.stopping():
			why, since = fmt.Errorf("host %s is going down", u.SSH.Destination), time.Time{}
		case since.IsZero():
			why, since = fmt.Errorf("host %s still has its old boot", u.SSH.Destination), time.Now()
		case time.Since(since) >= settles:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("a restart cannot be taken back, and the host has not come back yet: %w; look at its console, and run "+
				"`gameday revert` again", why)
		case <-time.After(askEvery):
		}
	}
}
