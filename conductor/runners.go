package conductor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gameday/audit"
	"gameday/faults/cluster"
	"gameday/loadgen"
	"gameday/loadgen/collector"
	"gameday/report"
	"gameday/scenarios"
)

const (
	// runnerPatience is how long runners may take to come: an image may have to be pulled first.
	runnerPatience = 5 * time.Minute
	// runnerSlack is how much longer than a run is planned its runners may last, for faults that take longer and for what comes after.
	runnerSlack = 30 * time.Minute
	// dismissPatience is how long it may take until runners in a cluster are gone, beyond their traffic's end.
	dismissPatience = 45 * time.Second
)

// collectors are the open collectors of a run, by the address they listen on. Several streams may share one.
type collectors struct {
	mu   sync.Mutex
	open map[string]*shared
}

type shared struct {
	*collector.Collector
	users int
}

// use returns the collector of an address; release closes it when nobody uses it any more.
func (c *collectors) use(address, version string, log func(level, text string)) (_ *collector.Collector, release func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.open[address]
	if s == nil {
		made, err := collector.Listen(address, version, log)
		if err != nil {
			return nil, nil, err
		}
		s = &shared{Collector: made}
		if !strings.HasSuffix(address, ":0") { // any port is one for each
			if c.open == nil {
				c.open = map[string]*shared{}
			}
			c.open[address] = s
		}
	}
	s.users++
	return s.Collector, func() {
		c.mu.Lock()
		s.users--
		last := s.users == 0
		if last && c.open[address] == s {
			delete(c.open, address)
		}
		c.mu.Unlock()
		if last {
			_ = s.Close() // nobody is left to be told
		}
	}, nil
}

// muster has the runners of a stream started, and waits for none of them.
func (r *run) muster(ctx context.Context, spec loadgen.Spec) ([]loadgen.Runner, func(), error) {
	on := *spec.RunOn
	fail := func(err error) ([]loadgen.Runner, func(), error) {
		return nil, nil, fmt.Errorf("running traffic %q on %s: %w", spec.Stream, &on, err)
	}
	if r.Runners == nil || r.Runners[on.Kind] == nil {
		return fail(errors.New("this gameday cannot start them"))
	}
	if on.ByLogs() {
		order, err := r.order(on, spec.Stream)
		if err != nil {
			return fail(err)
		}
		all, dismiss, err := r.printers(ctx, spec, order)
		if err != nil {
			return fail(err)
		}
		return all, dismiss, nil
	}
	listen, advertised, err := addresses(on, os.Getenv)
	if err != nil {
		return fail(err)
	}
	c, release, err := r.collectors.use(listen, r.Version, spec.Log)
	if err != nil {
		return fail(err)
	}
	s, err := c.Stream(spec.Stream, on.Parallelism, runnerPatience)
	if err != nil {
		release()
		return fail(err)
	}
	if host, port, err := net.SplitHostPort(advertised); err == nil && port == "0" {
		advertised = net.JoinHostPort(host, fmt.Sprint(c.Addr().Port))
	}
	order, err := r.order(on, spec.Stream)
	if err != nil {
		s.Close()
		release()
		return fail(err)
	}
	order.Collector, order.Token = advertised, s.Token()
	stop, err := r.Runners[on.Kind].Start(ctx, order, s.Lost, spec.Log)
	if err != nil {
		r.mayLeave(spec.Stream, err)
		s.Close()
		release()
		return fail(err)
	}
	return s.Runners(), func() {
		s.Close()
		r.mayLeave(spec.Stream, stop())
		release()
	}, nil
}

// order is what whoever starts a stream's runners is told, but for how they report.
func (r *run) order(on loadgen.RunOn, stream string) (collector.Order, error) {
	logs := filepath.Join(r.Dir, "logs", "runners-"+stream)
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return collector.Order{}, fmt.Errorf("making room for the runners' logs: %w", err)
	}
	if on.InCluster() {
		r.intoCluster.Store(true)
	}
	return collector.Order{Access: r.Scenario.Kubernetes, Run: r.Run, Scenario: r.Scenario.Name, Stream: stream, Owner: owner(), RunOn: on,
		Lasts: r.Scenario.Timeline.Length() + runnerPatience + runnerSlack, Patience: runnerPatience, Dir: logs}, nil
}

// checkRunners has the cluster looked at for what the runners of streams need there.
func (r *run) checkRunners() bool {
	ok := true
	for _, t := range r.Scenario.Traffic {
		if !t.RunOn.InCluster() {
			continue
		}
		ctx, cancel := context.WithTimeout(r.ctx, askLimit)
		findings := r.lookForRunners(ctx, t)
		cancel()
		for _, f := range findings {
			r.rec.add(report.PreflightFound, foundOf("runners: ", f))
			ok = ok && !f.Blocks
		}
	}
	return ok
}

// lookForRunners asks whether runners can be started in the cluster, and whether they would find the way back.
func (o Options) lookForRunners(ctx context.Context, t scenarios.Traffic) []cluster.Finding {
	on := t.RunOn
	blocked := func(err error) []cluster.Finding {
		return []cluster.Finding{{What: "cluster", Blocks: true, Summary: err.Error(), Detail: "Nothing was sent, and no fault was injected anywhere."}}
	}
	var lost []cluster.Finding
	if on.ByLogs() {
		if err := o.fits(ctx, t.Spec(), t.Multiples()); err != nil {
			lost = []cluster.Finding{{What: "size", Blocks: true, Summary: err.Error(), Detail: "Nothing was sent."}}
		}
	} else if _, _, err := addresses(*on, os.Getenv); err != nil {
		lost = blocked(err)
		lost[0].What = "collector"
	}
	if o.Machine == nil || o.Machine.Cluster == nil {
		return append(lost, blocked(errors.New("no cluster can be reached from here"))...)
	}
	findings, err := o.Machine.Cluster.Preflight(ctx, o.Scenario.Kubernetes, cluster.Preflight{Load: &cluster.Load{Namespace: on.Namespace,
		Operator: on.Kind == loadgen.K6Operator, Logs: on.ByLogs()}})
	if err != nil {
		findings = blocked(err)
	}
	return append(lost, findings...)
}

// byLogsMeans says what a stream's name and the runners' lease are to say in a plan.
const byLogsMeans = "Traffic %s is sent by runners that report by their pods' logs. A stop or an abort is with them a second or two later; while the cluster's API server is away " +
	"they cannot be stopped, and go on for up to %s. What they send, with its environment, is in a Secret of their namespace meanwhile, and what they tell stays in the cluster's logs."

// planRunners adds to a plan what would be found of what runners need. A cluster that did not answer is not asked again.
func planRunners(ctx context.Context, o Options, p *report.Plan) {
	said := o.Scenario.TouchesCluster() && o.Machine.Cluster == nil
	quiet := silence{limit: clusterResolve, kept: said}
	var away []cluster.Finding // what the cluster said that does not answer
	for _, t := range o.Scenario.Traffic {
		if !t.RunOn.InCluster() {
			continue
		}
		if t.RunOn.ByLogs() {
			p.Warnings = append(p.Warnings, fmt.Sprintf(byLogsMeans, t.Name, loadgen.LogsLease))
		}
		var findings []cluster.Finding
		asked := quiet.ask(ctx, true, func(ctx context.Context) { findings = o.lookForRunners(ctx, t) })
		if !asked { // what can be told without
			findings = append(slices.DeleteFunc(o.without().lookForRunners(ctx, t), ofCluster), away...)
		} else if quiet.kept {
			away = slices.DeleteFunc(slices.Clone(findings), func(f cluster.Finding) bool { return !ofCluster(f) })
		}
		for _, f := range findings {
			if !f.Fine {
				planFinding(p, report.FindingPlan{Traffic: []string{t.Name}, Found: foundOf("", f)})
			}
		}
	}
}

// ofCluster reports whether a finding is that the cluster cannot be asked.
func ofCluster(f cluster.Finding) bool { return f.What == "cluster" && f.Blocks }

// addresses returns what is listened on for runners, and where they find it. A port of 0 is any.
func addresses(on loadgen.RunOn, getenv func(string) string) (listen, advertised string, err error) {
	if on.Kind == loadgen.Processes {
		return "127.0.0.1:0", "127.0.0.1:0", nil
	}
	if on.Collector != "" {
		_, port, err := net.SplitHostPort(on.Collector)
		if err != nil {
			return "", "", err
		}
		listen = on.Listen
		if listen == "" {
			listen = ":" + port
		}
		return listen, on.Collector, nil
	}
	host := getenv("KUBERNETES_SERVICE_HOST")
	if host == "" {
		return "", "", errors.New("this gameday is not in a cluster, so its runners need to be told where to find it: collector = \"host:port\"")
	}
	own, err := ownAddress(net.JoinHostPort(host, "443"))
	if err != nil {
		return "", "", fmt.Errorf("finding this pod's address: %w", err)
	}
	return ":0", net.JoinHostPort(own, "0"), nil
}

// ownAddress returns this machine's address on the way to another. Nothing is sent.
func ownAddress(to string) (string, error) {
	c, err := net.Dial("udp", to)
	if err != nil {
		return "", err
	}
	defer c.Close()
	host, _, err := net.SplitHostPort(c.LocalAddr().String())
	return host, err
}

// patience is how long traffic may take to stop.
func (r *run) patience() time.Duration {
	for _, t := range r.Scenario.Traffic {
		if t.RunOn.InCluster() {
			return stopPatience + dismissPatience
		}
	}
	return stopPatience
}

// least is the share of a stream's seconds that must be known for them to be judged by while the run goes on.
const least = 0.95

// untold says which runners did not tell enough of some windows, and "" when all did.
func untold(windows []loadgen.Window) string {
	type account struct {
		seen, all float64
		missing   []string
	}
	streams := map[string]*account{}
	var names []string
	for i := range windows {
		w := &windows[i]
		a := streams[w.Stream]
		if a == nil {
			a = &account{}
			streams[w.Stream] = a
			names = append(names, w.Stream)
		}
		a.seen, a.all = a.seen+w.Seen(), a.all+1
		for _, m := range w.Missing {
			if !slices.Contains(a.missing, m) {
				a.missing = append(a.missing, m)
			}
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if a := streams[name]; a.seen < least*a.all {
			return fmt.Sprintf("of %s only %.0f %% is known: nothing was heard of %s", name, 100*a.seen/a.all, strings.Join(a.missing, ", "))
		}
	}
	return ""
}

// owner names who runs this and on which machine, as objects of faults do: user@host.
func owner() string {
	who := audit.Me()
	return who.String() + "@" + who.Host
}
