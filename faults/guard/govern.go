package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"gameday/faults"
	"gameday/policy"
)

// MachinePolicy is a compiled policy that every guard on a machine enforces, whatever its client says. It is the machine's
// own: see LoadMachinePolicy.
const MachinePolicy = "/etc/gameday/guard-policy.json"

// maxPolicySize bounds a compiled policy, in bytes.
const maxPolicySize = 1 << 20

// ErrForbidden says that a policy does not allow what was asked; nothing was touched.
var ErrForbidden = errors.New("forbidden by policy")

// Question returns what a policy is asked about an injection, as far as it can be told from the request and this machine:
// what the request says of the process and what /proc says both count. Host is the name of the machine that the place is
// on; empty when that is not known.
func Question(k faults.Kind, r InjectRequest, host string) (policy.Request, error) {
	touched, err := faults.TouchedBy(k, r.Config, r.Place)
	if err != nil {
		return policy.Request{}, fmt.Errorf("telling what it touches: %w", err)
	}
	q := policy.Request{Kind: r.Kind, Fault: r.Fault, Place: r.Place.Name, Networks: touched.Networks, Paths: touched.Paths, Claims: r.Claims}
	if q.Duration <= 0 && k.Reversible {
		q.Duration = r.Deadline
	}
	whole(k, r.Place, &q)
	j := judged{Request: &q, here: r.Place.Host}
	if host == "" {
		j.here = "" // whoever asks stands on this machine, whatever the place does
	}
	at := r.Place.Peer()
	j.add(at)
	if at.Process != nil && at.Host == j.here {
		more, err := faults.SpreadOf(k, r.Config, r.Place)
		if err != nil {
			return policy.Request{}, fmt.Errorf("telling which processes it hits: %w", err)
		}
		for _, p := range more {
			if _, err := os.Stat(fmt.Sprintf("/proc/%d", p.PID)); !errors.Is(err, fs.ErrNotExist) { // else it has ended meanwhile
				j.process(p, true)
			}
		}
	}
	for _, peer := range r.Place.Peers {
		j.add(peer)
	}
	j.node(host)
	return q, nil
}

// whole puts in what is known of where a fault lands that says so by itself: everything that it may hit counts.
func whole(k faults.Kind, p faults.Place, q *policy.Request) {
	if k.Needs != faults.NeedCluster {
		return
	}
	if p.Cluster == nil || p.Cluster.Radius == nil {
		q.Anywhere = true
		return
	}
	radius := p.Cluster.Radius
	q.Anywhere, q.Why = len(radius.Unknown) > 0, strings.Join(radius.Unknown, "; ")
	q.Networks, q.Paths = append(q.Networks, radius.Networks...), append(q.Paths, radius.Paths...)
	q.Labels = radius.Labels()
	q.Sides = SidesOf(radius)
	q.Selected, q.Found = Amounts(q.Sides)
	j := judged{Request: q}
	for _, peer := range radius.Finds() {
		j.add(peer)
	}
}

// SidesOf returns what a fault touches that says by itself where it lands, for a policy: a side for each of its selectors.
func SidesOf(r *faults.Radius) []policy.Side {
	var out []policy.Side
	for _, s := range r.Selections {
		side := policy.Side{}
		for _, p := range s.Finds {
			side.Found = append(side.Found, p.Individual())
		}
		if s.Most >= len(s.Finds) {
			side.Touched = side.Found
		} else {
			side.Some = s.Most
		}
		out = append(out, side)
	}
	return out
}

// Amounts returns how many places sides touch at most, and how many they find.
func Amounts(sides []policy.Side) (touched, found int) {
	for _, s := range sides {
		touched += len(s.Touched) + s.Some
		found += len(s.Found)
	}
	return touched, found
}

// ClusterNames are the names by which a policy knows what is in a cluster: the cluster, its namespace, the thing itself, its node
// and its labels. "kubernetes:stage", "kubernetes:stage/shop", "kubernetes:stage/shop/web-1", "label:app=web".
func ClusterNames(c *faults.Cluster) []string {
	base := "kubernetes:" + c.Context
	names := []string{base}
	within := func(namespace, name string) {
		names = append(names, base+"/"+namespace)
		if name != "" {
			names = append(names, base+"/"+namespace+"/"+name)
		}
	}
	switch {
	case c.Pod != nil:
		within(c.Pod.Namespace, c.Pod.Name)
		names = append(names, c.Pod.Name, c.Pod.Node)
	case c.Machine != nil:
		within(c.Machine.Namespace, c.Machine.Name)
		names = append(names, c.Machine.Name, hostOfURL(c.Machine.Address))
	case c.Instance != nil:
		within(c.Instance.Namespace, "")
		switch i := c.Instance; {
		case i.AWS != nil:
			names = append(names, i.AWS.Instance)
		case i.GCP != nil:
			names = append(names, i.GCP.Instance)
		case i.Azure != nil:
			names = append(names, i.Azure.VM)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.Labels)) {
		names = append(names, "label:"+key+"="+c.Labels[key])
	}
	return slices.DeleteFunc(names, func(n string) bool { return n == "" })
}

// hostOfURL returns the host in the address of a chaosd.
func hostOfURL(address string) string {
	at, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return at.Hostname()
}

// judged gathers what a policy is asked about. Here is the Host of places on this machine, whose processes can be seen.
type judged struct {
	*policy.Request
	here string
}

// add puts in what one end of a fault is: its process, and the names of its node and machine.
func (j judged) add(p faults.Peer) {
	if p.Process != nil {
		j.process(*p.Process, p.Host == j.here)
		if p.Node != nil && p.Node.Container != "" && p.Process.Exe == "" && p.Process.Command == "" {
			j.Processes = append(j.Processes, policy.Process{}) // its program did not run yet: what is seen may be its runtime's
		}
	}
	if p.Node != nil {
		j.node(p.Node.Name)
	}
	if p.Cluster != nil {
		for _, name := range ClusterNames(p.Cluster) {
			j.node(name)
		}
		if p.Cluster.Pod != nil || p.Cluster.Machine != nil { // there are processes, and nobody here sees which
			j.Processes = append(j.Processes, policy.Process{})
		}
	}
	j.node(p.Host)
	j.node(HostPart(p.Host))
	for _, name := range p.Names {
		j.node(name)
	}
}

func (j judged) node(name string) {
	if name != "" && !slices.Contains(j.Nodes, name) {
		j.Nodes = append(j.Nodes, name)
	}
}

// process puts in what is told of a process, and with seen what /proc says of it.
func (j judged) process(p faults.Process, seen bool) {
	var looks []policy.Process
	if seen {
		looks = seenProcesses(p.PID)
	}
	j.Processes = append(j.Processes, looks...)
	if len(looks) == 0 || p.Exe != "" || p.Command != "" {
		j.Processes = append(j.Processes, told(p, looks))
	}
}

// HostPart returns the host in a destination as ssh takes it: an alias, user@host, or ssh://user@host:port.
func HostPart(destination string) string {
	host, uri := strings.CutPrefix(destination, "ssh://")
	host = host[strings.LastIndex(host, "@")+1:]
	if !uri {
		return host
	}
	host, _, _ = strings.Cut(host, "/")
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// told is a process as the request tells of it; what it leaves out is filled in from what was seen.
func told(p faults.Process, seen []policy.Process) policy.Process {
	out := policy.Process{Exe: p.Exe, Command: p.Command}
	for _, s := range seen {
		if out.Exe == "" {
			out.Exe = s.Exe
		}
		if out.Command == "" {
			out.Command = s.Command
		}
	}
	return out
}

// seenProcesses returns a process as /proc shows it, once for each unit that its control group lies in, or nothing when
// there is no such process here.
func seenProcesses(pid int) []policy.Process {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return nil
	}
	p := policy.Process{Exe: strings.TrimSuffix(exe, " (deleted)")}
	if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil {
		p.Command = strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
	}
	groups, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	out := []policy.Process{p}
	for _, unit := range unitsOf(string(groups)) {
		p.Unit = unit
		out = append(out, p)
	}
	return out
}

// unitsOf returns the systemd units in the text of /proc/PID/cgroup: every part of a path that has a unit's ending.
func unitsOf(groups string) []string {
	var out []string
	for line := range strings.Lines(groups) {
		_, path, _ := strings.Cut(strings.TrimSpace(line), ":")
		_, path, _ = strings.Cut(path, ":")
		for part := range strings.SplitSeq(path, "/") {
			for _, ending := range []string{".service", ".scope", ".slice"} {
				if strings.HasSuffix(part, ending) && !slices.Contains(out, part) {
					out = append(out, part)
				}
			}
		}
	}
	return out
}

// Forbidden asks every policy and returns what they forbid, as an error that wraps ErrForbidden, or nil.
func Forbidden(policies []*policy.Policy, q policy.Request, now time.Time) error {
	var texts []string
	for _, p := range policies {
		for _, v := range p.Check(q, now) {
			texts = append(texts, fmt.Sprintf("%s (%s in %s)", v.Text, v.Rule, p.File))
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrForbidden, strings.Join(slices.Compact(texts), "; "))
}

// obey takes policies from the client. They can be added and never taken back.
func (s *server) obey(r request) {
	var added []*policy.Policy
	for _, raw := range r.Policies {
		p, err := policy.Parse(raw)
		if err != nil {
			s.reply(r.Seq, message{Error: toWire(fmt.Errorf("taking over the policy: %w", err))})
			return
		}
		added = append(added, p)
	}
	s.mu.Lock()
	for _, p := range added {
		same := func(o *policy.Policy) bool { return o.Digest == p.Digest && o.File == p.File && p.Digest != "" }
		if !slices.ContainsFunc(s.policies, same) {
			s.policies = append(s.policies, p)
		}
	}
	s.mu.Unlock()
	s.reply(r.Seq, message{})
}

// LoadMachinePolicy reads a machine's own policy for guards. It returns nil when there is none. A file that cannot be read
// or enforced, that does not belong to root, or that others may write is an error: it is never taken for no policy.
func LoadMachinePolicy(path string) (*policy.Policy, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading this machine's policy: %w", err)
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("this machine's policy %s is not a plain file", path)
	case info.Size() > maxPolicySize:
		return nil, fmt.Errorf("this machine's policy %s has %d bytes, and may have %d", path, info.Size(), maxPolicySize)
	case info.Mode().Perm()&0o022 != 0:
		return nil, fmt.Errorf("this machine's policy %s may be written by others than its owner: chmod go-w %s", path, path)
	case !rootOwns(info):
		return nil, fmt.Errorf("this machine's policy %s does not belong to root: chown root %s", path, path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading this machine's policy: %w", err)
	}
	p, err := policy.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; `gameday policy compile FILE` prints it anew", path, err)
	}
	p.File = path
	return p, nil
}

// unmapped is the owner that files of users unknown to a user namespace seem to have.
const unmapped = 65534

// rootOwns reports whether a file belongs to root. Inside a user namespace root's files seem to be nobody's.
func rootOwns(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Uid == 0 || st.Uid == unmapped && os.Geteuid() == 0)
}
