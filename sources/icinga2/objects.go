package icinga2

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The labels that every alarm of Icinga has by itself. Service is missing where a host's own check raised it; state is there only
// where a scenario asks for one, see Selection.
const (
	LabelName    = "alertname" // the display name
	LabelHost    = "host"
	LabelService = "service"
	LabelType    = "type" // host or service
	LabelState   = "state"
)

var ownLabels = []string{LabelName, LabelHost, LabelService, LabelType, LabelState}

// Checkable is a host or a service as it stands.
type Checkable struct {
	Name, Host, Service string // payments!checkout, payments, checkout; a host has no service
	Labels              map[string]string
	Notes               map[string]string // runbook_url, dashboard, description

	State int  // 0 is well
	Hard  bool // and not to be checked again before it counts
	// Since is when the state came, HardSince when it did so for good, Well when it was well last; by the server's clock, and zero
	// when it never was.
	Since, HardSince, Well time.Time
	Output                 string
	Acknowledged           bool
	AcknowledgedAt         time.Time // when that changed last
	Downtime, Flapping     bool
	Unreachable            bool // what it depends on is down

	Checked         time.Time // when the last check was over
	NextCheck       time.Time
	Interval        time.Duration
	CheckTimeout    time.Duration
	Active, Passive bool // whether it is checked, and whether others may tell how it is
	Notifies        bool
}

// checkable are the attributes that are asked for.
type checkable struct {
	Host         string         `json:"host_name"`
	Short        string         `json:"name"`
	Display      string         `json:"display_name"`
	State        *float64       `json:"state"`
	Type         *float64       `json:"state_type"`
	Since        float64        `json:"last_state_change"`
	HardSince    float64        `json:"last_hard_state_change"`
	OK           float64        `json:"last_state_ok"`
	Up           float64        `json:"last_state_up"`
	Ack          float64        `json:"acknowledgement"`
	AckChange    float64        `json:"acknowledgement_last_change"`
	Downtimes    float64        `json:"downtime_depth"`
	Flapping     bool           `json:"flapping"`
	Reachable    bool           `json:"last_reachable"`
	Notifies     bool           `json:"enable_notifications"`
	Active       bool           `json:"enable_active_checks"`
	Passive      bool           `json:"enable_passive_checks"`
	Interval     float64        `json:"check_interval"`
	Timeout      *float64       `json:"check_timeout"`
	Next         float64        `json:"next_check"`
	NotesURL     string         `json:"notes_url"`
	ActionURL    string         `json:"action_url"`
	Text         string         `json:"notes"`
	Vars         map[string]any `json:"vars"`
	Groups       []string       `json:"groups"`
	LastCheck    float64        `json:"last_check"`
	LastResult   *checkResult   `json:"last_check_result"`
	Zone         string         `json:"zone"`
	CheckCommand string         `json:"check_command"`
}

// checkResult is the part of a check's result that matters.
type checkResult struct {
	End    float64 `json:"execution_end"`
	Output string  `json:"output"`
	After  *struct {
		Reachable bool `json:"reachable"`
	} `json:"vars_after"`
}

var common = []string{"name", "display_name", "state", "state_type", "last_state_change", "last_hard_state_change", "acknowledgement", "acknowledgement_last_change",
	"downtime_depth", "flapping", "last_reachable", "enable_notifications", "enable_active_checks", "enable_passive_checks", "check_interval", "check_timeout",
	"next_check", "notes_url", "action_url", "notes", "vars", "groups", "last_check", "last_check_result", "zone", "check_command"}

var (
	serviceAttrs = append(slices.Clone(common), "host_name", "last_state_ok")
	hostAttrs    = append(slices.Clone(common), "last_state_up")
)

// defaultTimeout is how long a check may take where neither it nor its command says so.
const defaultTimeout = time.Minute

// make makes a Checkable of attributes. host are those of its host; nil for a host itself.
func (o Options) checkable(name string, a checkable, host *checkable) (*Checkable, error) {
	if a.State == nil || a.Type == nil {
		return nil, fmt.Errorf("%s has no state in the answer", name)
	}
	c := &Checkable{Name: name, Host: a.Host, Service: a.Short, State: int(*a.State), Hard: *a.Type == 1,
		Since: stamp(a.Since), HardSince: stamp(a.HardSince), Well: stamp(max(a.OK, a.Up)), Acknowledged: a.Ack != 0, AcknowledgedAt: stamp(a.AckChange),
		Downtime: a.Downtimes > 0, Flapping: a.Flapping, Unreachable: !a.Reachable, NextCheck: stamp(a.Next), Interval: time.Duration(a.Interval * float64(time.Second)),
		CheckTimeout: defaultTimeout, Active: a.Active, Passive: a.Passive, Notifies: a.Notifies}
	if a.LastResult != nil {
		c.Output, c.Checked = a.LastResult.Output, stamp(a.LastResult.End)
	}
	if a.Timeout != nil && *a.Timeout > 0 {
		c.CheckTimeout = time.Duration(*a.Timeout * float64(time.Second))
	}
	c.Labels = map[string]string{LabelName: cmp.Or(a.Display, a.Short), LabelHost: c.Host, LabelService: c.Service, LabelType: "service"}
	if host == nil {
		c.Host, c.Service = name, ""
		c.Labels[LabelHost], c.Labels[LabelType] = name, "host"
		delete(c.Labels, LabelService)
		host = &a
	}
	for label, path := range o.labels {
		from := &a
		if rest, ok := strings.CutPrefix(path, "host."); ok {
			from, path = host, rest
		}
		if value, ok := from.at(path); ok {
			c.Labels[label] = value
		}
	}
	c.Notes = map[string]string{}
	for name, text := range map[string]string{"runbook_url": a.NotesURL, "dashboard": a.ActionURL, "description": a.Text} {
		if text != "" {
			c.Notes[name] = text
		}
	}
	return c, nil
}

// at finds an attribute that a label may be made of: vars.NAME, also deeper, or one of a few others.
func (a *checkable) at(path string) (string, bool) {
	var v any
	switch path {
	case "name":
		v = a.Short
	case "display_name":
		v = a.Display
	case "notes":
		v = a.Text
	case "zone":
		v = a.Zone
	case "check_command":
		v = a.CheckCommand
	default:
		v = map[string]any{"vars": a.Vars}
		for _, step := range strings.Split(path, ".") {
			in, ok := v.(map[string]any)
			if !ok {
				return "", false
			}
			v = in[step]
		}
	}
	switch v := v.(type) {
	case string:
		return v, v != ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

// Problem reports whether it is not well.
func (c *Checkable) Problem() bool { return c.State != 0 }

// StateName returns the word for a state: OK, WARNING, CRITICAL, UNKNOWN of a service, UP and DOWN of a host.
func (c *Checkable) StateName(state int) string {
	names := []string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}
	if c.Service == "" {
		names = []string{"UP", "DOWN"}
	}
	if state < 0 || state >= len(names) {
		return strconv.Itoa(state)
	}
	return names[state]
}

// problems returns the words for what it can be when it is not well.
func (c *Checkable) problems() []string {
	if c.Service == "" {
		return []string{"DOWN"}
	}
	return []string{"WARNING", "CRITICAL", "UNKNOWN"}
}

// checkables reads hosts and services: all, or those named. host gives the attributes of hosts that are known already.
func (c *Client) checkables(ctx context.Context) (map[string]*Checkable, time.Time, time.Time, error) {
	out := map[string]*Checkable{}
	hosts, sent, _, err := objects[checkable](ctx, c, "hosts", nil, hostAttrs...)
	if err != nil {
		return nil, sent, sent, err
	}
	byName := map[string]*checkable{}
	for i := range hosts {
		h := &hosts[i]
		byName[h.Name] = &h.Attrs
		if out[h.Name], err = c.options.checkable(h.Name, h.Attrs, nil); err != nil {
			return nil, sent, sent, err
		}
	}
	services, _, received, err := objects[checkable](ctx, c, "services", nil, serviceAttrs...)
	if err != nil {
		return nil, sent, sent, err
	}
	for _, s := range services {
		host := byName[s.Attrs.Host]
		if host == nil {
			host = &checkable{} // hidden from this user: its variables make no labels
		}
		if out[s.Name], err = c.options.checkable(s.Name, s.Attrs, host); err != nil {
			return nil, sent, sent, err
		}
	}
	return out, sent, received, nil
}

// again reads some hosts and services once more. Their labels stay as they are.
func (c *Client) again(ctx context.Context, known map[string]*Checkable) (map[string]*Checkable, time.Time, time.Time, error) {
	var hosts, services []string
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if known[name].Service == "" {
			hosts = append(hosts, name)
		} else {
			services = append(services, name)
		}
	}
	out := map[string]*Checkable{}
	var sent, received time.Time
	for plural, names := range map[string][]string{"hosts": hosts, "services": services} {
		if len(names) == 0 {
			continue
		}
		attrs := serviceAttrs
		if plural == "hosts" {
			attrs = hostAttrs
		}
		got, from, to, err := objects[checkable](ctx, c, plural, names, attrs...)
		if err != nil {
			return nil, from, to, err
		}
		if sent.IsZero() || from.Before(sent) {
			sent = from
		}
		if to.After(received) {
			received = to
		}
		for _, g := range got {
			was := known[g.Name]
			if was == nil {
				return nil, from, to, fmt.Errorf("the answer has %s, which was not asked for", g.Name)
			}
			host := &checkable{}
			if was.Service == "" {
				host = nil
			}
			now, err := c.options.checkable(g.Name, g.Attrs, host)
			if err != nil {
				return nil, from, to, err
			}
			now.Labels = was.Labels
			out[g.Name] = now
		}
	}
	if len(out) != len(known) {
		return nil, sent, received, fmt.Errorf("the answer has %d of the %d hosts and services asked for", len(out), len(known))
	}
	return out, sent, received, nil
}

// Notification is a rule by which people are told of a host or a service.
type Notification struct {
	Name, Checkable string
	Command         string
	Users           []string      // by name, those of its groups too, in order
	Begin           time.Duration // how long after the problem it waits
	Level           int           // from 1: the place of Begin among those of the same host or service
	Problems        bool          // it tells of problems
	Period          string
	Last            time.Time // when it told of a problem last, by the server's clock
	Told            []string  // whom it told of the problem that stands
}

type notification struct {
	Host    string   `json:"host_name"`
	Service string   `json:"service_name"`
	Command string   `json:"command"`
	Users   []string `json:"users"`
	Groups  []string `json:"user_groups"`
	Types   []any    `json:"types"`
	Period  string   `json:"period"`
	Times   *struct {
		Begin float64 `json:"begin"`
	} `json:"times"`
	Last float64  `json:"last_problem_notification"`
	Told []string `json:"notified_problem_users"`
}

type user struct {
	Groups  []string `json:"groups"`
	Enabled bool     `json:"enable_notifications"`
}

var notificationAttrs = []string{"host_name", "service_name", "command", "users", "user_groups", "types", "period", "times", "last_problem_notification",
	"notified_problem_users"}

// people reads who is told of what: notifications by host or service, the levels in order, and all users.
func (c *Client) people(ctx context.Context) (map[string][]*Notification, map[string]bool, error) {
	users, _, _, err := objects[user](ctx, c, "users", nil, "groups", "enable_notifications")
	if err != nil {
		return nil, nil, err
	}
	known, groups := map[string]bool{}, map[string][]string{}
	for _, u := range users {
		known[u.Name] = true
		for _, g := range u.Attrs.Groups {
			groups[g] = append(groups[g], u.Name)
		}
	}
	list, _, _, err := objects[notification](ctx, c, "notifications", nil, notificationAttrs...)
	if err != nil {
		return nil, nil, err
	}
	out := map[string][]*Notification{}
	for _, n := range list {
		a := n.Attrs
		one := &Notification{Name: n.Name, Checkable: a.Host, Command: a.Command, Users: slices.Clone(a.Users), Period: a.Period, Last: stamp(a.Last), Told: a.Told,
			Problems: a.Types == nil || slices.ContainsFunc(a.Types, func(t any) bool { return t == "Problem" })}
		if a.Service != "" {
			one.Checkable += "!" + a.Service
		}
		if a.Times != nil {
			one.Begin = time.Duration(a.Times.Begin * float64(time.Second))
		}
		for _, g := range a.Groups {
			one.Users = append(one.Users, groups[g]...)
		}
		slices.Sort(one.Users)
		one.Users = slices.Compact(one.Users)
		out[one.Checkable] = append(out[one.Checkable], one)
	}
	for _, all := range out {
		levels(all)
	}
	return out, known, nil
}

// levels numbers the notifications of one host or service: those that wait least are level 1.
func levels(all []*Notification) {
	var begins []time.Duration
	for _, n := range all {
		if n.Problems && !slices.Contains(begins, n.Begin) {
			begins = append(begins, n.Begin)
		}
	}
	slices.Sort(begins)
	for _, n := range all {
		n.Level = slices.Index(begins, n.Begin) + 1
		if !n.Problems {
			n.Level = 0
		}
	}
	slices.SortFunc(all, func(a, b *Notification) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Name, b.Name))
	})
}

// last reads when some notifications told of a problem last, by name.
func (c *Client) last(ctx context.Context, names []string) (map[string]Notification, error) {
	if len(names) == 0 {
		return nil, nil
	}
	got, _, _, err := objects[notification](ctx, c, "notifications", names, "last_problem_notification", "notified_problem_users")
	if err != nil {
		return nil, err
	}
	out := map[string]Notification{}
	for _, g := range got {
		out[g.Name] = Notification{Name: g.Name, Last: stamp(g.Attrs.Last), Told: g.Attrs.Told}
	}
	if len(out) != len(names) {
		return nil, fmt.Errorf("the answer has %d of the %d notifications asked for", len(out), len(names))
	}
	return out, nil
}

// Comment is a remark that stands.
type Comment struct {
	Checkable, Author, Text string
	At                      time.Time // by the server's clock
	Acknowledges            bool
}

// commentOf says what a comment is for.
const commentOfAcknowledgement = 4

type comment struct {
	Host    string  `json:"host_name"`
	Service string  `json:"service_name"`
	Author  string  `json:"author"`
	Text    string  `json:"text"`
	Entry   float64 `json:"entry_time"`
	Type    float64 `json:"entry_type"`
}

func (c comment) read() Comment {
	out := Comment{Checkable: c.Host, Author: c.Author, Text: c.Text, At: stamp(c.Entry), Acknowledges: c.Type == commentOfAcknowledgement}
	if c.Service != "" {
		out.Checkable += "!" + c.Service
	}
	return out
}

// comments reads the remarks that stand.
func (c *Client) comments(ctx context.Context) ([]Comment, error) {
	got, _, _, err := objects[comment](ctx, c, "comments", nil, "host_name", "service_name", "author", "text", "entry_time", "entry_type")
	if err != nil {
		return nil, err
	}
	var out []Comment
	for _, g := range got {
		out = append(out, g.Attrs.read())
	}
	return out, nil
}

// sentTogether is how far apart the two times are that Icinga takes when it tells of a problem: that of the event, and that which the
// notification keeps.
const sentTogether = 100 * time.Millisecond

// LevelOf finds out which of the notifications of a host or service an event is of, by when each told of a problem last. It is
// an error when that does not tell.
func (c *Client) LevelOf(ctx context.Context, rules []*Notification, e Event) (int, error) {
	var names []string
	levels := map[string]int{}
	for _, n := range rules {
		names, levels[n.Name] = append(names, n.Name), n.Level
	}
	last, err := c.last(ctx, names)
	if err != nil {
		return 0, err
	}
	level := 0
	for name, n := range last {
		if n.Last.Sub(e.Stamp).Abs() > sentTogether || levels[name] == 0 || levels[name] == level {
			continue
		}
		if level != 0 {
			return 0, errors.New("two notifications of different levels were sent at once")
		}
		level = levels[name]
	}
	if level == 0 {
		return 0, errors.New("no notification was sent at that time")
	}
	return level, nil
}
