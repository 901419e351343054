package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gameday/audit"
	"gameday/faults"
	"gameday/faults/find"
	"gameday/faults/guard"
	"gameday/targets"
	"gameday/targets/hosts"
)

// hostLimit bounds what is done with one host at the command line.
const hostLimit = 2 * time.Minute

// hostFlags say how hosts are reached, as the host block of a target does.
type hostFlags struct {
	config, guard, install string
	sudo                   bool
}

func (f *hostFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.config, "ssh-config", "", "file for ssh -F (default: your own configuration)")
	c.Flags().StringVar(&f.guard, "guard", "", "path of a guard that is on the host already (default: a copied one)")
	c.Flags().StringVar(&f.install, "install", "", "folder on the host for the guard (default "+hosts.DefaultInstall+")")
	c.Flags().BoolVar(&f.sudo, "sudo", false, "run the guard with sudo -n")
}

func (f *hostFlags) settings(names []string) []hosts.Settings {
	var out []hosts.Settings
	for _, name := range names {
		out = append(out, hosts.Settings{SSH: faults.SSH{Destination: name, Config: f.config, Sudo: f.sudo}, Guard: f.guard, Install: f.install})
	}
	return out
}

// onlooker is this machine for somebody who only looks: no guard stands here, and none is copied to a host.
func onlooker() *targets.Machine {
	return &targets.Machine{Own: ownProcess, Hosts: &hosts.Pool{ReadOnly: true, Version: versionText()}, Cluster: &looks}
}

func (a *app) hostsCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "hosts",
		Short: "Look at machines that are reached by SSH, and copy the guard to them or remove it",
		Long: "Faults on a machine that a target's host block names are held by a small program over there, the guard. A run copies it when it\n" +
			"is missing or of another version, and leaves it; so it does with the program that generates traffic there.\n" +
			"These verbs do that by hand, and undo it.",
	}
	c.AddCommand(
		a.hostsVerb("check HOST…", "Say whether a host can be used, and what is on it; copies nothing", a.checkHost, true),
		a.hostsVerb("install HOST…", "Copy the guard to a host unless it is there", a.installHost, false),
		a.hostsVerb("remove HOST…", "Remove every program that was copied to a host", a.removeHost, true))
	return c
}

// hostsVerb makes a verb that does one thing to each host.
func (a *app) hostsVerb(use, short string, do func(context.Context, *hosts.Host, *hosts.Pool) error, readOnly bool) *cobra.Command {
	f := &hostFlags{}
	c := &cobra.Command{
		Use: use, Short: short, Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			pool := &hosts.Pool{ReadOnly: readOnly}
			defer pool.Close(context.Background())
			failed := 0
			for _, s := range f.settings(args) {
				ctx, cancel := context.WithTimeout(context.Background(), hostLimit)
				if err := do(ctx, pool.Host(s), pool); err != nil {
					failed++
					a.say("%v", err)
				}
				cancel()
			}
			if failed > 0 {
				return &codeError{code: exitUsage, err: fmt.Errorf("%d of %d host(s) failed", failed, len(args))}
			}
			return nil
		},
	}
	f.flags(c)
	return c
}

func (a *app) installHost(ctx context.Context, h *hosts.Host, _ *hosts.Pool) error {
	path, copied, err := h.Install(ctx)
	switch {
	case err != nil:
		return err
	case copied:
		fmt.Fprintf(a.out, "%s: copied %s\n", h, path)
	default:
		fmt.Fprintf(a.out, "%s: %s is there already\n", h, path)
	}
	return nil
}

// removeHost keeps a guard that is still needed to revert something: in the ledger of the user that the guard runs as, and with sudo
// in that of the user who copied it as well.
func (a *app) removeHost(ctx context.Context, h *hosts.Host, pool *hosts.Pool) error {
	own := h.Settings()
	own.SSH.Sudo = false
	ledgers := []*hosts.Host{h}
	if other := pool.Host(own); other != h {
		ledgers = append(ledgers, other)
	}
	for _, l := range ledgers {
		standing, err := l.Standing(ctx)
		if err != nil && !errors.Is(err, hosts.ErrNotInstalled) {
			return err
		}
		if len(standing) > 0 {
			return fmt.Errorf("host %s: %d fault(s) stand there; `gameday revert %s` removes those of dead guards", h, len(standing), l.Settings().Flags())
		}
	}
	stays, err := h.Remove(ctx)
	if err != nil {
		return err
	}
	if len(stays) > 0 {
		fmt.Fprintf(a.out, "%s: removed; the folder stays, as it holds what is not gameday's: %s\n", h, strings.Join(stays, ", "))
		return nil
	}
	fmt.Fprintf(a.out, "%s: removed\n", h)
	return nil
}

func (a *app) checkHost(ctx context.Context, h *hosts.Host, _ *hosts.Pool) error {
	c, err := h.Guard(ctx)
	if err != nil {
		return err
	}
	welcome, err := c.Hello(ctx)
	if err != nil {
		return fmt.Errorf("host %s: %w", h, err)
	}
	r, err := h.Find(ctx, find.Query{})
	if err != nil {
		return err
	}
	standing, err := h.Standing(ctx)
	if err != nil {
		return err
	}
	for _, f := range r.Found {
		fmt.Fprintf(a.out, "%s: %s, boot id %s\n", h, f.Text, f.Place.Node.BootID)
	}
	fmt.Fprintf(a.out, "%s: guard %s as %s, ledger %s\n", h, welcome.Version, welcome.User, welcome.Ledger)
	if len(welcome.Lacks) > 0 {
		fmt.Fprintf(a.out, "%s: it lacks %s: faults that need them are refused\n", h, strings.Join(welcome.Lacks, ", "))
	}
	for _, s := range standing {
		state := "held"
		if s.Orphaned {
			state = "left standing"
		}
		fmt.Fprintf(a.out, "%s: %s: %s\n", h, state, naming(s.Entry))
	}
	return nil
}

// cleanHosts refuses to start over faults that an earlier run left on hosts, or reverts them first. Hosts that cannot be
// used are left to the preflight, which says why.
func (a *app) cleanHosts(pool *hosts.Pool, all []hosts.Settings, heal bool) error {
	left := 0
	var advice []string
	for _, s := range all {
		ctx, cancel := context.WithTimeout(context.Background(), hostLimit)
		standing, err := pool.Host(s).Standing(ctx)
		orphans := slices.DeleteFunc(standing, func(s guard.Standing) bool { return !s.Orphaned })
		if err == nil && len(orphans) > 0 && heal {
			err = a.cleanHost(ctx, pool.Host(s), true)
			orphans = nil
		}
		cancel()
		if code := (*codeError)(nil); errors.As(err, &code) {
			return err
		}
		if left += len(orphans); len(orphans) > 0 {
			advice = append(advice, "`gameday revert "+s.Flags()+"`")
		}
		for _, o := range orphans {
			a.say("left standing since %s: %s", o.Entry.Opened.Local().Format(time.DateTime), naming(o.Entry))
		}
	}
	if left > 0 {
		return &codeError{code: exitResidue, err: fmt.Errorf("%d fault(s) of an earlier run are left standing on hosts; "+
			"%s removes them, and so does run --heal", left, strings.Join(advice, ", then "))}
	}
	return nil
}

// revertOnHosts reverts every orphan on the hosts and says what became of each.
func (a *app) revertOnHosts(all []hosts.Settings, quiet bool) error {
	pool := &hosts.Pool{}
	defer pool.Close(context.Background())
	var errs []error
	for _, s := range all {
		ctx, cancel := context.WithTimeout(context.Background(), hostLimit)
		errs = append(errs, a.cleanHost(ctx, pool.Host(s), quiet))
		cancel()
	}
	err := errors.Join(errs...)
	if code := (*codeError)(nil); errors.As(err, &code) {
		return &codeError{code: code.code, err: err}
	}
	return err
}

// cleanHost reverts every orphan on one host.
func (a *app) cleanHost(ctx context.Context, h *hosts.Host, quiet bool) error {
	done, err := h.Clean(ctx)
	if err != nil {
		return &codeError{code: exitResidue, err: err}
	}
	left := 0
	for _, d := range done {
		line := audit.Line{What: audit.OrphanGone, ID: d.Entry.ID, Run: d.Entry.Run, Scenario: d.Entry.Scenario, Fault: d.Entry.Fault,
			Kind: d.Entry.Kind, Place: d.Entry.Place.Name}
		if d.Error != "" {
			left++
			line.What, line.Why = audit.OrphanStands, d.Error
			a.say("host %s: %s is left standing: %s", h, naming(d.Entry), d.Error)
		} else {
			fmt.Fprintln(a.out, "reverted", naming(d.Entry))
		}
		a.auditOne(line)
	}
	switch {
	case left > 0:
		return &codeError{code: exitResidue, err: fmt.Errorf("host %s: %d of %d fault(s) could not be reverted", h, left, len(done))}
	case len(done) == 0 && !quiet:
		a.say("host %s: nothing is left standing", h)
	}
	return nil
}
