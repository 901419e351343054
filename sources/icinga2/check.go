package icinga2

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gameday/clock"
)

const (
	// skewWorthSaying is the clock offset from which it is reported, skewTooLarge the one that blocks.
	skewWorthSaying = 2 * time.Second
	skewTooLarge    = 60 * time.Second
)

// Finding is one result of a check before the run.
type Finding struct {
	Blocks          bool
	Summary, Detail string
}

// Checked is what was read for the checks before a run.
type Checked struct {
	Status     Status
	May        Permissions
	Checkables map[string]*Checkable
	Hidden     bool // the API user may see only some hosts and services
	// Notifications by host or service, and Users; nil when they may not be read.
	Notifications map[string][]*Notification
	Users         map[string]bool
}

// Check asks what can be asked before the first request: whether the server answers, its clock, what the API user may, whether
// checks and notifications are on, and that the stream can be opened. What is read is nil when the findings end the matter. name is that of the source; an error is only
// that of ctx.
func (w *Watcher) Check(ctx context.Context, name string) (*Checked, []Finding, error) {
	failed := func(found []Finding, err error) (*Checked, []Finding, error) {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		return nil, append(found, Finding{Blocks: true, Summary: name + " cannot be read",
			Detail: fmt.Sprintf("%v. Is it running, and are url, username, password and the way to trust its certificate right?", err)}), nil
	}
	out := &Checked{}
	var err error
	if out.May, err = w.Client.Permissions(ctx); err != nil {
		return failed(nil, err)
	}
	if lacks := w.lacks(out.May); len(lacks) > 0 {
		return nil, []Finding{{Blocks: true, Summary: fmt.Sprintf("the API user %s of %s may too little", w.Client.options.web.Username, name),
			Detail: "Add to the permissions of its ApiUser: " + strings.Join(lacks, ", ") + "."}}, nil
	}
	for _, p := range []string{"objects/query/Host", "objects/query/Service"} {
		_, some := out.May.Has(p)
		out.Hidden = out.Hidden || some
	}
	if out.Status, err = w.Client.Status(ctx); err != nil {
		return failed(nil, err)
	}
	w.set(func() { w.offset = out.Status.Offset })
	found := append(skew(name, out.Status.Offset), switches(name, out.Status)...)
	if out.Checkables, _, _, err = w.Client.checkables(ctx); err != nil {
		return failed(found, err)
	}
	may := w.People
	if !may {
		queries, _ := out.May.Has("objects/query/Notification")
		users, _ := out.May.Has("objects/query/User")
		may = queries && users
	}
	if may {
		if out.Notifications, out.Users, err = w.Client.people(ctx); err != nil {
			return failed(found, err)
		}
	}
	stream, err := w.Client.events(ctx, nil)
	if err != nil {
		return failed(found, err)
	}
	stream.Close()
	return out, found, nil
}

// lacks returns the permissions that are missing.
func (w *Watcher) lacks(may Permissions) []string {
	var out []string
	for _, p := range w.Permissions() {
		if has, _ := may.Has(p); !has {
			out = append(out, p)
		}
	}
	return out
}

// skew reports a clock that is too far from ours.
func skew(name string, o clock.Offset) []Finding {
	by := o.Ahead.Abs()
	if by-o.Err <= skewWorthSaying {
		return nil
	}
	where := "ahead of"
	if o.Ahead < 0 {
		where = "behind"
	}
	return []Finding{{Blocks: by > skewTooLarge, Summary: fmt.Sprintf("the clock of %s is %s %s this machine's", name, by.Round(100*time.Millisecond), where),
		Detail: "Synchronise both clocks with NTP."}}
}

// switches reports what is turned off for all.
func switches(name string, s Status) []Finding {
	var out []Finding
	if !s.Services || !s.Hosts || !s.Checker {
		out = append(out, Finding{Summary: name + " does not check everything itself",
			Detail: "Active checks are turned off, or the feature checker is: icinga2 feature enable checker. What nobody checks raises no alarm."})
	}
	if !s.Notifications || !s.Notifier {
		out = append(out, Finding{Summary: name + " tells nobody of anything",
			Detail: "Notifications are turned off, or the feature notification is: icinga2 feature enable notification. Alarms fire and page nobody."})
	}
	return out
}

// Find returns those that have the labels of a match, in any state, in order.
func (c *Checked) Find(match map[string]string) []*Checkable {
	var out []*Checkable
	for _, name := range slices.Sorted(maps.Keys(c.Checkables)) {
		if fits(match, c.Checkables[name].Labels) {
			out = append(out, c.Checkables[name])
		}
	}
	return out
}

// Stands reports what makes a host or service unfit for a run: that it is not well already, that what it raises would page
// nobody, that nobody checks it. match names the state, where only one is meant.
func (c *Checked) Stands(alarm string, of *Checkable, match map[string]string) []Finding {
	var out []Finding
	add := func(blocks bool, summary, detail string) {
		out = append(out, Finding{Blocks: blocks, Summary: "alarm " + alarm + ": " + of.Name + " " + summary, Detail: detail})
	}
	if state := match[LabelState]; state != "" && !slices.Contains(of.problems(), state) {
		add(true, "is never "+state, "Its states are "+strings.Join(of.problems(), ", ")+".")
	}
	if of.Problem() {
		word := of.StateName(of.State)
		since := c.Status.Offset.Ours(of.Since, time.Microsecond).Lo.Format(time.DateTime)
		same := match[LabelState] == "" || match[LabelState] == word
		add(same, "is "+word+" already", fmt.Sprintf("It has been since %s. What this run does could not be told from it: wait until it is well.", since))
	}
	if of.Downtime {
		add(true, "is in a downtime", "It would page nobody: remove the downtime first.")
	}
	if of.Acknowledged {
		add(true, "is acknowledged already", "It would page nobody: remove the acknowledgement first.")
	}
	if of.Flapping {
		add(true, "is flapping", "While it does, Icinga tells nobody of it: wait until it is steady.")
	}
	if of.Unreachable {
		add(true, "is not reachable", "What it depends on is down, so Icinga tells nobody of it.")
	}
	switch {
	case !of.Active && !of.Passive:
		add(true, "is not checked", "Both active and passive checks of it are disabled, so its state cannot change.")
	case !of.Active:
		add(false, "is checked by others alone", "Active checks of it are disabled: it changes when somebody submits a result.")
	case of.Checked.IsZero():
		add(true, "was never checked", "Its state is not known yet: wait for its first check.")
	}
	return out
}

// Pages reports why nobody would be paged about a host or service; the empty string when somebody would, or when it is not known.
func (c *Checked) Pages(of *Checkable) string {
	switch {
	case !c.Status.Notifications || !c.Status.Notifier:
		return "notifications are turned off for all"
	case !of.Notifies:
		return "notifications are disabled for it"
	case c.Notifications == nil:
		return ""
	}
	for _, n := range c.Notifications[of.Name] {
		if n.Problems && len(n.Users) > 0 {
			return ""
		}
	}
	return "no Notification object tells anybody of problems with it"
}
