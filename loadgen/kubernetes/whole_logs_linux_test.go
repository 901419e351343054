package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"gameday/faults"
	"gameday/internal/kuberig"
	"gameday/loadgen"
	"gameday/loadgen/collector"
	"gameday/loadgen/podlogs"
)

// byLogs musters runners that reach nobody.
func (r *traffic) byLogs(ctx context.Context, starter collector.Starter, s loadgen.Spec, on loadgen.RunOn, kubeconfig string) ([]loadgen.Runner, func(), error) {
	l, err := collector.NewLogs(version, 3, 30*time.Second)
	if err != nil {
		return nil, nil, err
	}
	content, err := podlogs.PackStream(version, s)
	if err != nil {
		return nil, nil, err
	}
	stop, err := starter.Start(ctx, collector.Order{Access: faults.Access{Kubeconfig: kubeconfig}, Run: "20261129-063000-test-0a1b2c", Scenario: "Test it!", Stream: s.Stream, Owner: "ann@host", RunOn: on,
		Collector: loadgen.Logs, Token: l.Token(), Lasts: 10 * time.Minute, Dir: r.dir, Content: content, Logs: l}, l.Lost, r.log)
	return l.Runners(), func() { l.Close(); stop() }, err
}

// TestRunnersByLogs sends streams from a real cluster whose pods reach nobody of gameday's: what they tell is read in their logs, and what they
// are told is an annotation. It is done as a user who may do nothing else.
func TestRunnersByLogs(t *testing.T) {
	c := kuberig.Start(t, kuberig.Options{NoChaosMesh: true, Controllers: kuberig.Workloads})
	for _, name := range []string{"load", "people"} {
		if err := c.Namespace(name); err != nil {
			t.Fatal(err)
		}
	}
	k := startKubelet(t, c)
	jobs := loadgen.RunOn{Kind: loadgen.Jobs, Collector: loadgen.Logs}
	least := func(name string, on loadgen.RunOn, but string) string {
		return c.Kubeconfig(t, kuberig.User{Name: name, Namespace: "people", In: map[string][]kuberig.Rule{"load": rulesFor(rightsOf(on), but)}})
	}
	may := least("logs", jobs, "")
	o := startOperator(t, k)
	operated := loadgen.RunOn{Kind: loadgen.K6Operator, Collector: loadgen.Logs}
	t.Run("operator", func(t *testing.T) {
		t.Cleanup(func() { k.tell(t) })
		o.mayBegin()
		r := begin(t, least("operated", operated, ""), operated)
		r.begun()
		kuberig.Eventually(t, time.Minute, "five seconds were sent", func() bool { return r.seconds() >= 5 })
		r.whole(0, 4)
		r.stops()
		kuberig.Eventually(t, time.Minute, "everything is gone", func() bool { return len(left(t, c)) == 0 && k.alive() == 0 })
	})
	t.Run("whole", func(t *testing.T) { testLogsWhole(t, k, may, jobs) })
	t.Run("killed", func(t *testing.T) { testLogsKilled(t, k, may, jobs) })
	t.Run("outage", func(t *testing.T) { testLogsOutage(t, k, may, jobs) })
	t.Run("rotated", func(t *testing.T) { testLogsRotated(t, k, may, jobs) })
	t.Run("abandoned", func(t *testing.T) { testLogsAbandoned(t, k, may, jobs) })
	t.Run("game day", func(t *testing.T) { testPrintedDay(t, k, may) })
	t.Run("not told", func(t *testing.T) { testLogsUntold(t, k, c.SaysYes(t, least("untold", jobs, "patch pods")), jobs) })
	for i, r := range rightsOf(jobs) {
		for _, v := range r.verbs {
			verb := v + " " + r.name()
			t.Run("without "+verb, func(t *testing.T) {
				r := begin(t, least(fmt.Sprintf("logs-%d-%s", i, v), jobs, verb), jobs)
				if err := r.ends(); err == nil || !strings.Contains(err.Error(), "not allowed in namespace load: "+verb) {
					t.Errorf("it ended with %v", err)
				}
				if l := left(t, c); len(l) > 0 || r.hits.Load() > 0 {
					t.Errorf("left are %v, and %d requests were sent", l, r.hits.Load())
				}
			})
		}
	}
}

// tell tells of a failed test what the pods are like, and what they have printed.
func (k *kubelet) tell(t *testing.T) {
	if !t.Failed() {
		return
	}
	var list corev1.PodList
	if err := k.c.Get("/api/v1/namespaces/load/pods", &list); err != nil {
		t.Log(err)
	}
	for _, p := range list.Items {
		t.Logf("pod %s on %s: %s %v", p.Name, p.Spec.NodeName, p.Status.Phase, p.Status.ContainerStatuses)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, run := range k.runs {
		t.Logf("%s, ended %t, has printed:\n%.600s", name, run.ended(), run.printed())
	}
}

// whole checks that all three told of each of the seconds.
func (r *traffic) whole(from, to int) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, w := range r.windows[from:to] {
		if w.Due != 30 || w.Missing != nil || len(w.Generators) != 3 {
			r.t.Errorf("second %d: %d were due, missing are %v", from+i, w.Due, w.Missing)
		}
	}
	for i := from + 1; i < to; i++ {
		if d := r.windows[i].Start.Sub(r.windows[i-1].Start); d != time.Second {
			r.t.Errorf("second %d is %s after the one before it", i, d)
		}
	}
}

func (r *traffic) stops() {
	r.t.Helper()
	r.commands <- loadgen.Command{Stop: true}
	if err := r.ends(); err != nil {
		r.t.Fatalf("it ended with %v:\n%s", err, r.words())
	}
}

// takes is what a service that answers by the request's number takes: 20 ms ten times in sixteen, 60 ms four times, 120 ms and 240 ms once each.
func takes(n int64) {
	took := 20 * time.Millisecond
	switch r := n % 16; {
	case r == 15:
		took = 240 * time.Millisecond
	case r == 14:
		took = 120 * time.Millisecond
	case r >= 10:
		took = 60 * time.Millisecond
	}
	<-time.After(took)
}

// atOnce sends requests from here to a service that answers at once, as runners send theirs, and returns what they took until it is asked: that
// is the machine's own.
func atOnce(t *testing.T) (stop func() *loadgen.Histogram) {
	t.Helper()
	service := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(service.Close)
	var all loadgen.Window
	commands, result := make(chan loadgen.Command, 1), make(chan error, 1)
	spec := loadgen.Spec{Stream: "at-once", Rate: 30, Dir: t.TempDir(), Commands: commands,
		Flows: []loadgen.Flow{{Name: "home", Weight: 1, Requests: []loadgen.Request{{Name: "home", URL: loadgen.Literal(service.URL)}}}}}
	go func() { result <- engine().Run(t.Context(), spec, func(w loadgen.Window) { all.Merge(w) }) }()
	return func() *loadgen.Histogram {
		t.Helper()
		commands <- loadgen.Command{Stop: true}
		if err := <-result; err != nil {
			t.Fatal(err)
		}
		return all.OK.Service
	}
}

// testLogsWhole compares what three runners print with what the service has seen: the same percentiles, and not a request less than came.
func testLogsWhole(t *testing.T, k *kubelet, kubeconfig string, on loadgen.RunOn) {
	var mu sync.Mutex
	var took loadgen.Histogram // by the service
	r := beginAt(t, kubeconfig, on, func(n int64) {
		began := time.Now()
		takes(n)
		mu.Lock()
		defer mu.Unlock()
		took.Record(time.Since(began))
	})
	machine := atOnce(t)
	at := time.Now()
	r.begun()
	t.Logf("it began after %s", time.Since(at).Round(100*time.Millisecond))
	var secrets struct {
		Items []struct{ Data map[string]string }
	}
	if err := k.c.Get("/api/v1/namespaces/load/secrets", &secrets); err != nil || len(secrets.Items) != 1 || secrets.Items[0].Data["stream"] == "" {
		t.Errorf("the secret is %v, %v", secrets.Items, err)
	}
	kuberig.Eventually(t, time.Minute, "ten seconds were sent", func() bool { return r.seconds() >= 10 })
	r.commands <- loadgen.Command{To: 2}
	told := time.Now()
	kuberig.Eventually(t, time.Minute, "it is twice as much", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.windows[len(r.windows)-1].Due == 60
	})
	t.Logf("it was twice as much after %s", time.Since(told).Round(100*time.Millisecond))
	r.whole(0, 10)
	told = time.Now()
	r.stops()
	t.Logf("it had stopped, and everything was gone, after %s", time.Since(told).Round(100*time.Millisecond))
	var three loadgen.Window
	for _, w := range r.windows {
		three.Merge(w)
	}
	if n := uint64(r.hits.Load()); three.OK.Count != n || three.OK.Service.Count() != n {
		t.Errorf("%d requests came, and the windows tell of %d, the histogram of %d", n, three.OK.Count, three.OK.Service.Count())
	}
	if l := left(t, k.c); len(l) > 0 || k.alive() > 0 {
		t.Errorf("left are %v and %d processes", l, k.alive())
	}
	text, err := os.ReadFile(filepath.Join(r.dir, "runner-3.log"))
	if err != nil || !strings.Contains(string(text), "sends segment 3 of 3") || podlogs.Marked(text) {
		t.Errorf("what the third runner printed beside is %q, %v", text, err)
	}
	sameQuantiles(t, &took, three.OK.Service, machine())
	var bytes int
	k.mu.Lock()
	for name, run := range k.runs {
		if strings.HasPrefix(name, "gameday-shop-pers-") {
			bytes += len(run.printed())
		}
	}
	k.mu.Unlock()
	t.Logf("each printed %d bytes a second", bytes/3/len(r.windows))
}

// sameQuantiles holds what runners have measured of a service to what it took by itself: no request can have been faster, nor slower by more than
// what the machine took for others.
func sameQuantiles(t *testing.T, took, measured, machine *loadgen.Histogram) {
	t.Helper()
	var both loadgen.Histogram // of each that the service took with each that the machine did
	const steps = 200
	for i := range steps {
		for j := range steps {
			both.Record(took.Quantile((float64(i)+0.5)/steps) + machine.Quantile((float64(j)+0.5)/steps))
		}
	}
	const noise = 12 * time.Millisecond // of the machine's that is not measured
	for _, q := range []float64{0.5, 0.75, 0.9, 0.95, 0.99} {
		least, most, got := took.Quantile(q), both.Quantile(q), measured.Quantile(q)
		t.Logf("p%g: the service took %s, with what the machine takes %s, and by the runners' logs it is %s", 100*q, least, most, got)
		if got < least-least/500 || got > most+most/50+noise { // buckets are as wide as a thousandth
			t.Errorf("p%g by the runners' logs is %s: the service took %s, with what the machine takes %s", 100*q, got, least, most)
		}
	}
}

// testLogsKilled kills the second of three runners.
func testLogsKilled(t *testing.T, k *kubelet, kubeconfig string, on loadgen.RunOn) {
	r := begin(t, kubeconfig, on)
	r.begun()
	kuberig.Eventually(t, time.Minute, "three seconds were sent", func() bool { return r.seconds() >= 3 })
	var list batchv1.JobList
	if err := k.c.Get("/apis/batch/v1/namespaces/load/jobs", &list); err != nil || len(list.Items) != 3 {
		t.Fatalf("%d jobs, %v", len(list.Items), err)
	}
	name := list.Items[1].Name
	if err := k.of(name).cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	kuberig.Eventually(t, time.Minute, "it is said that the pod has ended", func() bool { return strings.Contains(r.words(), "ended: exit code 137") })
	kuberig.Eventually(t, time.Minute, "its connection has ended", func() bool { return strings.Contains(r.words(), "(it was "+name+"-") })
	first, n := -1, r.seconds()
	kuberig.Eventually(t, time.Minute, "it goes on, and is without it for four seconds", func() bool {
		first = r.incomplete()
		return r.seconds() >= n+3 && first >= 0 && r.seconds() > first+4
	})
	r.stops()
	withoutTheSecond(t, r.windows[first+1:first+5]) // in the first it was killed
	if l := left(t, k.c); len(l) > 0 || k.alive() > 0 {
		t.Errorf("left are %v and %d processes", l, k.alive())
	}
}

// testLogsOutage has the API server away for half a minute: traffic goes on, and every second is told of afterwards as it was.
func testLogsOutage(t *testing.T, k *kubelet, kubeconfig string, on loadgen.RunOn) {
	r := begin(t, kubeconfig, on)
	r.begun()
	kuberig.Eventually(t, time.Minute, "three seconds were sent", func() bool { return r.seconds() >= 3 })
	k.c.StopAPI()
	before, hits := r.seconds(), r.hits.Load()
	kuberig.Eventually(t, time.Minute, "half a minute of traffic was sent", func() bool { return r.hits.Load() >= hits+30*30 })
	if n := r.seconds(); n > before+3 {
		t.Errorf("%d seconds were told of while nobody could", n-before)
	}
	if err := k.c.StartAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	up := time.Now()
	kuberig.Eventually(t, time.Minute, "they are told of", func() bool { return r.seconds() >= before+30 })
	t.Logf("what was sent in half a minute was told of %s after the API server was back", time.Since(up).Round(100*time.Millisecond))
	n := r.seconds()
	kuberig.Eventually(t, time.Minute, "it goes on", func() bool { return r.seconds() >= n+10 })
	r.stops()
	r.whole(0, n+10)
	if n := uint64(r.hits.Load()); total(r.windows) != n {
		t.Errorf("%d requests came, and the windows tell of %d", n, total(r.windows))
	}
	if s := r.words(); !strings.Contains(s, "cannot be read for now") || !strings.Contains(s, "can be read again") || strings.Contains(s, "are gone from its log") {
		t.Errorf("it says:\n%s", s)
	}
	if l := left(t, k.c); len(l) > 0 || k.alive() > 0 {
		t.Errorf("left are %v and %d processes", l, k.alive())
	}
	settle(t, k.c)
}

func total(windows []loadgen.Window) (n uint64) {
	for _, w := range windows {
		n += w.OK.Count + w.Failed.Count
	}
	return n
}

// testLogsRotated has a node rotate a log away before it was read.
func testLogsRotated(t *testing.T, k *kubelet, kubeconfig string, on loadgen.RunOn) {
	r := begin(t, kubeconfig, on)
	r.begun()
	kuberig.Eventually(t, time.Minute, "three seconds were sent", func() bool { return r.seconds() >= 3 })
	var list batchv1.JobList
	if err := k.c.Get("/apis/batch/v1/namespaces/load/jobs", &list); err != nil || len(list.Items) != 3 {
		t.Fatalf("%d jobs, %v", len(list.Items), err)
	}
	run := k.of(list.Items[2].Name)
	k.c.StopAPI()
	printed, away := run.lines(), time.Now()
	kuberig.Eventually(t, time.Minute, "it has told of five seconds", func() bool { return run.lines() >= printed+6 }) // one may be of something else
	run.rotate()
	t.Logf("its log was rotated away %s after the API server was", time.Since(away).Round(100*time.Millisecond))
	if err := k.c.StartAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	kuberig.Eventually(t, time.Minute, "it is said", func() bool {
		return strings.Contains(r.words(), "runner-3: ") && strings.Contains(r.words(), "are gone from its log")
	})
	n := r.seconds()
	kuberig.Eventually(t, time.Minute, "it goes on", func() bool { return r.seconds() >= n+5 })
	r.stops()
	missing := 0
	for i, w := range r.windows[:n+5] {
		switch {
		case len(w.Missing) == 1 && w.Missing[0] == "runner-3":
			missing++
		case w.Missing != nil:
			t.Errorf("in second %d are missing %v", i, w.Missing)
		}
		if w.Due != 30 {
			t.Errorf("in second %d %d were due", i, w.Due)
		}
	}
	if missing < 4 {
		t.Errorf("only %d seconds are without runner-3: the first of %d began at %s, and it says:\n%s", missing, len(r.windows), r.windows[0].Start, r.words())
	}
	settle(t, k.c)
}

// testLogsUntold has somebody who may not patch pods believe to be allowed everything: no runner is told anything, so that none sends.
func testLogsUntold(t *testing.T, k *kubelet, kubeconfig string, on loadgen.RunOn) {
	r := begin(t, kubeconfig, on)
	kuberig.Eventually(t, time.Minute, "it is said that no runner can be told", func() bool {
		return strings.Contains(r.words(), "runner-1 cannot be told anything for now") && strings.Contains(r.words(), `cannot patch resource "pods"`)
	})
	r.commands <- loadgen.Command{Stop: true}
	err := r.ends()
	t.Logf("it ended with %v, and said:\n%s", err, r.words())
	if l := left(t, k.c); len(l) > 0 || k.alive() > 0 || r.hits.Load() > 0 || len(r.windows) > 0 {
		t.Errorf("left are %v and %d processes; %d requests were sent, and %d seconds told of", l, k.alive(), r.hits.Load(), len(r.windows))
	}
}

// testLogsAbandoned kills gameday-kubernetes, after which nobody renews the runners' lease or deletes anything: they stop by themselves.
func testLogsAbandoned(t *testing.T, k *kubelet, kubeconfig string, on loadgen.RunOn) {
	r := begin(t, kubeconfig, on)
	r.begun()
	running := map[string]*container1{}
	k.mu.Lock()
	for name, run := range k.runs {
		if !run.ended() {
			running[name] = run
		}
	}
	k.mu.Unlock()
	if len(running) != 3 {
		t.Fatalf("%d runners are there", len(running))
	}
	if err := r.program.Load().Process.Kill(); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	if err := r.ends(); err == nil || !strings.Contains(r.words(), "ended before it had cleaned up") {
		t.Errorf("it ended with %v, and says:\n%s", err, r.words())
	}
	t.Logf("it was known after %s", time.Since(at).Round(100*time.Millisecond))
	kuberig.Eventually(t, 2*time.Minute, "the runners have ended", func() bool { return k.alive() == 0 })
	for name, run := range running { // the lease is from when they read their orders
		run.mu.Lock()
		d, told := run.died.Sub(run.mounted), run.mounted.Sub(at)
		run.mu.Unlock()
		if told > 15*time.Second { // what was under way at the end of who told it arrives, and nothing after that
			t.Errorf("%s was told something %s after nobody was left who could", name, told)
		}
		t.Logf("%s ended %s after it was told something", name, d.Round(100*time.Millisecond))
		if d > loadgen.LogsLease+5*time.Second {
			t.Errorf("%s ended %s after it was told something", name, d)
		}
	}
	t.Logf("they stopped %s after nobody was left", time.Since(at).Round(100*time.Millisecond))
	var list batchv1.JobList
	if err := k.c.Get("/apis/batch/v1/namespaces/load/jobs", &list); err != nil || len(list.Items) != 3 {
		t.Errorf("%d jobs are left, %v", len(list.Items), err)
	}
	for _, j := range list.Items {
		if err := k.c.Do(http.MethodDelete, "/apis/batch/v1/namespaces/load/jobs/"+j.Name+"?propagationPolicy=Background", "", nil, nil); err != nil {
			t.Error(err)
		}
	}
	kuberig.Eventually(t, time.Minute, "the secret goes with its jobs", func() bool { return len(left(t, k.c)) == 0 })
}
