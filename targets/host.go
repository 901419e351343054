package targets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"gameday/faults"
	"gameday/faults/find"
	"gameday/targets/hosts"
)

// Host selects machines that are reached by SSH, or with an inner selector what is on them.
type Host struct {
	SSH     []string // destinations, as the user's own ssh understands them
	Config  string   // file for ssh -F
	Guard   string   // path of a guard that is there already
	Install string   // folder to copy one to
	Sudo    bool     // run the guard with sudo -n
	// Process selects processes on the hosts; nil for the hosts themselves.
	Process *Process
}

// Kind returns "host", or that of the inner selector.
func (h *Host) Kind() string {
	if h.Process != nil {
		return h.Process.Kind()
	}
	return "host"
}

// Provides says that a host can be restarted, has a network, and is a machine; what is on it has the parts that it would
// have on this one.
func (h *Host) Provides() []faults.Need {
	if h.Process != nil {
		return h.Process.Provides()
	}
	return []faults.Need{faults.NeedNode, faults.NeedNetwork, faults.NeedMachine}
}

// Validate reports destinations and paths that cannot be. The inner selector is not asked: it stands in a block of its own.
func (h *Host) Validate() error {
	var errs []error
	wrong := func(field, summary, format string, args ...any) {
		errs = append(errs, &faults.FieldError{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	if len(h.SSH) == 0 {
		wrong("ssh", "No host", "Say where: ssh = \"web1\", or ssh = [\"web1\", \"web2\"]; each as you would write it after ssh.")
	}
	for i, to := range h.SSH {
		switch {
		case to == "" || strings.HasPrefix(to, "-") || strings.ContainsAny(to, " \t\r\n\x00'\"\\`$;|&<>()"):
			wrong("ssh", "Invalid destination", "%q is no destination for ssh. Write an alias of your ~/.ssh/config, user@host, or ssh://user@host:port.", to)
		case slices.Contains(h.SSH[:i], to):
			wrong("ssh", "Named twice", "Host %q is in the list already.", to)
		}
	}
	for field, path := range map[string]string{"guard": h.Guard, "install": h.Install} {
		if path != "" && !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "~/") {
			wrong(field, "Invalid path", "%q is no absolute path on the host. Begin it with / or ~/.", path)
		}
	}
	if h.Guard != "" && h.Install != "" {
		wrong("install", "Guard and install", "A guard that is there already is not copied anywhere. Take one of the two out.")
	}
	return errors.Join(errs...)
}

// String returns "host web1", or "process listening on port 9102, on web1 and web2".
func (h *Host) String() string {
	if h.Process == nil {
		return "host " + and(h.SSH)
	}
	return h.Process.String() + ", on " + and(h.SSH)
}

// and lists up to four words.
func and(words []string) string {
	if len(words) > 4 {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:3], ", "), len(words)-3)
	}
	if n := len(words) - 1; n > 0 {
		return strings.Join(words[:n], ", ") + " and " + words[n]
	}
	return strings.Join(words, "")
}

// Settings returns how each host is reached, in order.
func (h *Host) Settings() []hosts.Settings {
	out := make([]hosts.Settings, len(h.SSH))
	for i, to := range h.SSH {
		out[i] = hosts.Settings{SSH: faults.SSH{Destination: to, Config: h.Config, Sudo: h.Sudo}, Guard: h.Guard, Install: h.Install}
	}
	return out
}

// onHosts asks the guards of all hosts at once. What one host cannot tell fails the whole: half of a target is another.
func (m *Machine) onHosts(ctx context.Context, s *Host) ([]*localPlace, string, error) {
	if m.Hosts == nil {
		return nil, "", errors.New("no host can be reached from here")
	}
	all := s.Settings()
	results, names, errs := make([]find.Result, len(all)), make([][]string, len(all)), make([]error, len(all))
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			h := m.Hosts.Host(all[i])
			if results[i], errs[i] = h.Find(ctx, find.Query{Process: s.Process}); errs[i] == nil {
				names[i], errs[i] = h.Names(ctx)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, "", err
	}
	var out []*localPlace
	var hints []string
	for i, r := range results {
		h := m.Hosts.Host(all[i])
		if len(r.Found) == 0 && r.Hint != "" {
			hints = append(hints, fmt.Sprintf("%s: %s", h, r.Hint))
		}
		for _, f := range r.Found {
			p := &localPlace{Place: f.Place, text: fmt.Sprintf("%s: %s", h, f.Text), stand: h.Guard, host: h, order: i}
			p.Host, p.Names = h.String(), names[i]
			if f.Place.Node != nil {
				// Faults on what is there stand in that machine's ledger, which knows of no nodes.
				p.Node, p.whole = nil, &faults.Node{Name: h.String(), BootID: f.Place.Node.BootID, SSH: &all[i].SSH}
			}
			out = append(out, p)
		}
	}
	return out, strings.Join(hints, "; "), nil
}

// wrapper is a Place around another.
type wrapper interface{ Unwrap() Place }

// bare returns the place that this package made.
func bare(p Place) *localPlace {
	for {
		switch q := p.(type) {
		case *localPlace:
			return q
		case wrapper:
			p = q.Unwrap()
		default:
			return nil
		}
	}
}

// HostOf returns the host whose guard holds faults at a place, or nil for this machine's.
func HostOf(p Place) *hosts.Host {
	if q := bare(p); q != nil {
		return q.host
	}
	return nil
}

// NodeOf returns the same place for a fault on the node itself. That of a host is held from this machine: a guard over
// there would die with the host.
func (m *Machine) NodeOf(p Place) Place {
	q := bare(p)
	if q == nil || q.whole == nil {
		return p
	}
	return &localPlace{Place: faults.Place{Name: q.Name, Host: q.Host, Names: q.Names, Node: q.whole}, text: q.text, stand: m.Stand, order: q.order}
}
