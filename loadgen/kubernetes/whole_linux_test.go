package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"gameday/faults"
	"gameday/internal/kuberig"
	"gameday/loadgen"
	"gameday/loadgen/collector"
)

// rulesOf are the rules of a Role with what runners of a kind need, but for one verb.
func rulesOf(kind, but string) []kuberig.Rule { return rulesFor(rights(kind), but) }

func rulesFor(all []right, but string) (out []kuberig.Rule) {
	for _, r := range all {
		rule := kuberig.Rule{Groups: []string{r.group}, Resources: []string{r.name()}}
		for _, v := range r.verbs {
			if v+" "+r.name() != but {
				rule.Verbs = append(rule.Verbs, v)
			}
		}
		if len(rule.Verbs) > 0 {
			out = append(out, rule)
		}
	}
	return out
}

// traffic is a stream that runners in the cluster send.
type traffic struct {
	t        *testing.T
	hits     atomic.Int64
	service  *httptest.Server
	c        *collector.Collector
	commands chan loadgen.Command
	ready    chan struct{}
	result   chan error
	dir      string
	program  atomic.Pointer[exec.Cmd]

	mu      sync.Mutex
	windows []loadgen.Window
	said    []string
}

func (r *traffic) log(level, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, level+": "+text)
}

func (r *traffic) words() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.said, "\n")
}

func (r *traffic) seconds() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.windows)
}

// incomplete returns the number of the first second of which not all have told, or -1.
func (r *traffic) incomplete() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.IndexFunc(r.windows, func(w loadgen.Window) bool { return w.Missing != nil })
}

// begin sends 30 requests a second by three runners, which somebody with a kubeconfig has started.
func begin(t *testing.T, kubeconfig string, on loadgen.RunOn) *traffic {
	t.Helper()
	return beginAt(t, kubeconfig, on, func(int64) {})
}

// beginAt is that to a service that does something with each request, by its number.
func beginAt(t *testing.T, kubeconfig string, on loadgen.RunOn, each func(int64)) *traffic {
	t.Helper()
	r, err := tryAt(t, kubeconfig, on, each)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tryAt is that for any goroutine: it returns what keeps it from beginning.
func tryAt(t *testing.T, kubeconfig string, on loadgen.RunOn, each func(int64)) (*traffic, error) {
	r := &traffic{t: t, commands: make(chan loadgen.Command, 2), ready: make(chan struct{}), result: make(chan error, 1), dir: t.TempDir()}
	r.service = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { each(r.hits.Add(1)) }))
	t.Cleanup(r.service.Close)
	var err error
	if r.c, err = collector.Listen("127.0.0.1:0", version, r.log); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	on.Parallelism, on.Namespace, on.CPU, on.Memory = 3, "load", "100m", "64Mi"
	if on.Image == "" {
		on.Image = "gameday"
	}
	starter := collector.Cluster{Command: func() (*exec.Cmd, error) {
		cmd := exec.Command(self, "traffic")
		cmd.Stderr = os.Stderr
		r.program.Store(cmd)
		return cmd, nil
	}}
	fleet := loadgen.Fleet{Generator: engine(), Muster: func(ctx context.Context, s loadgen.Spec) ([]loadgen.Runner, func(), error) {
		if on.ByLogs() {
			return r.byLogs(ctx, starter, s, on, kubeconfig)
		}
		stream, err := r.c.Stream(s.Stream, 3, 30*time.Second)
		if err != nil {
			return nil, nil, err
		}
		stop, err := starter.Start(ctx, collector.Order{Access: faults.Access{Kubeconfig: kubeconfig}, Run: "20261129-063000-test-0a1b2c", Scenario: "Test it!", Stream: s.Stream, Owner: "ann@host", RunOn: on,
			Collector: r.c.Addr().String(), Token: stream.Token(), Lasts: 10 * time.Minute, Dir: r.dir}, stream.Lost, r.log)
		return stream.Runners(), func() { stream.Close(); stop() }, err
	}}
	spec := loadgen.Spec{Stream: "Shop_pers", Rate: 30, Dir: t.TempDir(), RunOn: &on, Commands: r.commands, Log: r.log, Ready: func() { close(r.ready) },
		Flows: []loadgen.Flow{{Name: "home", Weight: 1, Requests: []loadgen.Request{{Name: "home", URL: loadgen.Literal(r.service.URL)}}}}}
	go func() {
		r.result <- fleet.Run(context.Background(), spec, func(w loadgen.Window) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.windows = append(r.windows, w)
		})
	}()
	t.Cleanup(func() { _ = r.c.Close() })
	return r, nil
}

func (r *traffic) begun() {
	r.t.Helper()
	select {
	case <-r.ready:
	case err := <-r.result:
		r.t.Fatalf("it did not begin: %v\n%s", err, r.words())
	case <-time.After(time.Minute):
		r.t.Fatalf("it did not begin:\n%s", r.words())
	}
}

func (r *traffic) ends() error {
	r.t.Helper()
	select {
	case err := <-r.result:
		return err
	case <-time.After(2 * time.Minute):
		r.t.Fatalf("it does not end:\n%s", r.words())
		return nil
	}
}

// left returns what is in the namespace of what runners need.
func left(t *testing.T, c *kuberig.Cluster) (out []string) {
	t.Helper()
	for _, path := range []string{"/apis/batch/v1/namespaces/load/jobs", "/api/v1/namespaces/load/pods", "/api/v1/namespaces/load/secrets", runsPath} {
		var list struct {
			Items []struct{ Metadata struct{ Name string } }
		}
		if err := c.Get(path, &list); err != nil {
			if kuberig.IsCode(err, 404) && path == runsPath {
				continue
			}
			t.Fatal(err)
		}
		for _, i := range list.Items {
			out = append(out, path[strings.LastIndex(path, "/")+1:]+" "+i.Metadata.Name)
		}
	}
	return out
}

// settle waits until the controllers of Jobs, of pods and of what is left over have found the API server again, which may take each of their
// watches a minute after an outage: longer than a stream has to begin.
func settle(t *testing.T, c *kuberig.Cluster) {
	t.Helper()
	const job, pods = "/apis/batch/v1/namespaces/load/jobs", "/api/v1/namespaces/load/pods?labelSelector=job-name%3Dsettled"
	type object = map[string]any
	err := c.Post(job, object{"apiVersion": "batch/v1", "kind": "Job", "metadata": object{"name": "settled"}, "spec": object{"template": object{
		"spec": object{"nodeName": nowhere, "restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": false,
			"containers": []object{{"name": "main", "image": "none"}}}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	count := func() int {
		var list corev1.PodList
		if err := c.Get(pods, &list); err != nil {
			t.Fatal(err)
		}
		return len(list.Items)
	}
	kuberig.Eventually(t, 2*time.Minute, "a job has its pod", func() bool { return count() > 0 })
	if err := c.Do(http.MethodDelete, job+"/settled?propagationPolicy=Background", "", nil, nil); err != nil {
		t.Fatal(err)
	}
	kuberig.Eventually(t, 2*time.Minute, "the pod goes with its job", func() bool { return count() == 0 })
}

// TestRunnersInACluster sends streams from a real cluster's Jobs and from the k6 operator's TestRun, as a user who may do nothing else.
func TestRunnersInACluster(t *testing.T) {
	c := kuberig.Start(t, kuberig.Options{NoChaosMesh: true, Controllers: kuberig.Workloads})
	for _, name := range []string{"load", "people"} {
		if err := c.Namespace(name); err != nil {
			t.Fatal(err)
		}
	}
	k := startKubelet(t, c)
	least := func(name, kind, but string) string {
		return c.Kubeconfig(t, kuberig.User{Name: name, Namespace: "people", In: map[string][]kuberig.Rule{"load": rulesOf(kind, but)}})
	}
	t.Run("jobs", func(t *testing.T) { testJobs(t, k, least("jobs", loadgen.Jobs, "")) })
	t.Run("killed", func(t *testing.T) { testKilled(t, k, least("jobs", loadgen.Jobs, "")) })
	t.Run("image", func(t *testing.T) { testImage(t, k, least("jobs", loadgen.Jobs, "")) })
	t.Run("outage", func(t *testing.T) { testOutage(t, k, least("jobs", loadgen.Jobs, "")) })
	t.Run("no operator", func(t *testing.T) {
		r := begin(t, c.Admin, loadgen.RunOn{Kind: loadgen.K6Operator})
		if err := r.ends(); err == nil || !strings.Contains(err.Error(), "the cluster has no TestRuns; install the k6 operator") {
			t.Errorf("it ended with %v", err)
		}
	})
	o := startOperator(t, k)
	t.Run("operator", func(t *testing.T) { testOperator(t, o, least("operator", loadgen.K6Operator, "")) })
	t.Run("game day", func(t *testing.T) {
		testGameDay(t, o, map[string]string{
			loadgen.Jobs: least("jobs", loadgen.Jobs, ""), loadgen.K6Operator: least("operator", loadgen.K6Operator, "")})
		t.Run("killed at each step", func(t *testing.T) { testGameDayKilled(t, k, least("jobs", loadgen.Jobs, "")) })
	})
	for _, kind := range []string{loadgen.Jobs, loadgen.K6Operator} {
		for i, verb := range verbsOf(kind) {
			t.Run(kind+" without "+verb, func(t *testing.T) {
				r := begin(t, least(fmt.Sprintf("%s-%d", kind, i), kind, verb), loadgen.RunOn{Kind: kind})
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

func verbsOf(kind string) (out []string) {
	for _, r := range rights(kind) {
		for _, v := range r.verbs {
			out = append(out, v+" "+r.name())
		}
	}
	return out
}

// testJobs runs a stream whose second runner is killed.
func testJobs(t *testing.T, k *kubelet, kubeconfig string) {
	r := begin(t, kubeconfig, loadgen.RunOn{Kind: loadgen.Jobs, NodeSelector: map[string]string{"pool": "load"}, Spread: true})
	r.begun()
	var list batchv1.JobList
	if err := k.c.Get("/apis/batch/v1/namespaces/load/jobs", &list); err != nil || len(list.Items) != 3 {
		t.Fatalf("%d jobs, %v", len(list.Items), err)
	}
	j := list.Items[1]
	if !strings.HasPrefix(j.Name, "gameday-shop-pers-") || *j.Spec.BackoffLimit != 0 || *j.Spec.ActiveDeadlineSeconds != 600 || *j.Spec.TTLSecondsAfterFinished != 600 ||
		j.Labels["gameday/run"] != "20261129-063000-test-0a1b2c" || j.Labels["gameday/scenario"] != "Test-it" || j.Annotations["gameday/scenario"] != "Test it!" ||
		j.Labels["app.kubernetes.io/managed-by"] != "gameday" || j.Annotations["gameday/until"] == "" {
		t.Errorf("the job is %+v", j)
	}
	var secrets corev1.SecretList
	if err := k.c.Get("/api/v1/namespaces/load/secrets", &secrets); err != nil || len(secrets.Items) != 1 || len(secrets.Items[0].OwnerReferences) != 3 {
		t.Errorf("the secret is %v, %v", secrets.Items, err)
	}
	kuberig.Eventually(t, time.Minute, "three seconds were sent", func() bool { return r.seconds() >= 3 })
	victim := k.of(j.Name)
	if err := victim.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	kuberig.Eventually(t, time.Minute, "it is said that the pod has ended", func() bool { return strings.Contains(r.words(), "ended: exit code 137") })
	first, n := -1, r.seconds()
	kuberig.Eventually(t, time.Minute, "it goes on, and is without it for four seconds", func() bool {
		first = r.incomplete()
		return r.seconds() >= n+3 && first >= 0 && r.seconds() > first+4
	})
	r.commands <- loadgen.Command{Stop: true}
	if err := r.ends(); err != nil {
		t.Fatal(err)
	}
	withoutTheSecond(t, r.windows[first+1:first+5]) // in the first it was killed
	if s := r.words(); !strings.Contains(s, "(it was "+j.Name+"-") || !strings.Contains(s, "warning: runner-2: pod "+j.Name+"-") {
		t.Errorf("it says:\n%s", s)
	}
	if l := left(t, k.c); len(l) > 0 || k.alive() > 0 {
		t.Errorf("left are %v and %d processes", l, k.alive())
	}
	text, err := os.ReadFile(filepath.Join(r.dir, "runner-3.log"))
	if err != nil || !strings.Contains(string(text), "sends segment 3 of 3") {
		t.Errorf("the log of the third runner is %q, %v", text, err)
	}
}

// withoutTheSecond checks that of some seconds the share of the second of three runners is due and missing. What is due is by the schedule, and
// what was begun by when it was: by each runner's latest begin less or more falls into all of them but the last, which tells how late those
// were that were due before it.
func withoutTheSecond(t *testing.T, windows []loadgen.Window) {
	t.Helper()
	begun, late := 0, time.Duration(0)
	for i, w := range windows {
		if len(w.Missing) != 1 || w.Missing[0] != "runner-2" || w.Due != 30 {
			t.Errorf("second %d without it: missing are %v, and %d were due", i, w.Missing, w.Due)
		}
		if late = max(late, w.Generator.Lateness); i < len(windows)-1 {
			begun += int(w.Started)
		}
	}
	want, room := 20*(len(windows)-1), 2+int(20*min(late, 2*time.Second).Seconds())
	if begun < want-room || begun > want+room {
		t.Errorf("%d were begun in %d seconds without it, want %d, by %d more or less: they were up to %s late", begun, len(windows)-1, want, room, late)
	}
}

// testKilled kills gameday-kubernetes, which nobody can undo: runners end by themselves, and what is left says whose it is and until when.
func testKilled(t *testing.T, k *kubelet, kubeconfig string) {
	r := begin(t, kubeconfig, loadgen.RunOn{Kind: loadgen.Jobs})
	r.begun()
	if err := r.program.Load().Process.Kill(); err != nil {
		t.Fatal(err)
	}
	kuberig.Eventually(t, time.Minute, "it is said", func() bool { return strings.Contains(r.words(), "ended before it had cleaned up") })
	r.commands <- loadgen.Command{Stop: true}
	if err := r.ends(); err != nil {
		t.Fatal(err)
	}
	kuberig.Eventually(t, time.Minute, "the runners have ended", func() bool { return k.alive() == 0 })
	if l := left(t, k.c); len(l) == 0 {
		t.Error("nothing is left, which proves nothing")
	}
	var list batchv1.JobList
	if err := k.c.Get("/apis/batch/v1/namespaces/load/jobs?labelSelector=gameday/run%3D20261129-063000-test-0a1b2c", &list); err != nil || len(list.Items) != 3 {
		t.Errorf("by the run's label there are %d jobs, %v", len(list.Items), err)
	}
	for _, j := range list.Items {
		if err := k.c.Do(http.MethodDelete, "/apis/batch/v1/namespaces/load/jobs/"+j.Name+"?propagationPolicy=Background", "", nil, nil); err != nil {
			t.Error(err)
		}
	}
	kuberig.Eventually(t, time.Minute, "the secret goes with its jobs", func() bool { return len(left(t, k.c)) == 0 })
}

// testOutage stops the API server under way: traffic goes on, it is said that nothing is known of the pods, and what was made is deleted
// when the server is back, although the stream was over before.
func testOutage(t *testing.T, k *kubelet, kubeconfig string) {
	r := begin(t, kubeconfig, loadgen.RunOn{Kind: loadgen.Jobs})
	r.begun()
	k.c.StopAPI()
	kuberig.Eventually(t, time.Minute, "it is said", func() bool {
		return strings.Contains(r.words(), "what becomes of the runners' pods is not known for now")
	})
	n := r.seconds()
	kuberig.Eventually(t, time.Minute, "traffic goes on", func() bool { return r.seconds() >= n+3 })
	r.commands <- loadgen.Command{Stop: true}
	kuberig.Eventually(t, time.Minute, "the runners have stopped", func() bool { return k.alive() == 0 })
	if err := k.c.StartAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.ends(); err != nil {
		t.Fatal(err)
	}
	for i, w := range r.windows[:n+3] {
		if w.Missing != nil || w.Due != 30 {
			t.Errorf("second %d: missing are %v", i, w.Missing)
		}
	}
	if l := left(t, k.c); len(l) > 0 || strings.Contains(r.words(), "not everything") {
		t.Errorf("left are %v, and it says:\n%s", l, r.words())
	}
	settle(t, k.c)
}

// testImage asks for an image that cannot be pulled.
func testImage(t *testing.T, k *kubelet, kubeconfig string) {
	k.mu.Lock()
	k.refuses = "nowhere/gameday"
	k.mu.Unlock()
	r := begin(t, kubeconfig, loadgen.RunOn{Kind: loadgen.Jobs, Image: "nowhere/gameday"})
	kuberig.Eventually(t, time.Minute, "it is said", func() bool {
		return strings.Contains(r.words(), `waits: ImagePullBackOff: Back-off pulling image "nowhere/gameday"`)
	})
	r.commands <- loadgen.Command{Stop: true}
	if err := r.ends(); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if l := left(t, k.c); len(l) > 0 {
		t.Errorf("left are %v", l)
	}
}

// testOperator runs a stream by a TestRun, which begins when the operator says so.
func testOperator(t *testing.T, o *operator, kubeconfig string) {
	r := begin(t, kubeconfig, loadgen.RunOn{Kind: loadgen.K6Operator})
	kuberig.Eventually(t, time.Minute, "the operator has made the runners", func() bool { return strings.Contains(r.words(), ": created") })
	kuberig.Eventually(t, time.Minute, "the runners answer", func() bool {
		for i := range 3 {
			a, err := http.Get("http://" + port(i) + "/v1/status")
			if err != nil {
				return false
			}
			a.Body.Close()
		}
		return true
	})
	if r.hits.Load() > 0 {
		t.Error("traffic is sent before the operator has said so")
	}
	o.mayBegin()
	r.begun()
	kuberig.Eventually(t, time.Minute, "the operator says that it has begun, and three seconds were sent", func() bool {
		return r.seconds() >= 3 && strings.Contains(r.words(), ": started")
	})
	r.commands <- loadgen.Command{Stop: true}
	if err := r.ends(); err != nil {
		t.Fatal(err)
	}
	for i, w := range r.windows[:3] {
		if w.Due != 30 || w.Missing != nil || len(w.Generators) != 3 {
			t.Errorf("second %d: %d were due, missing are %v", i, w.Due, w.Missing)
		}
	}
	kuberig.Eventually(t, time.Minute, "everything is gone", func() bool { return len(left(t, o.c)) == 0 })
	if n := o.k.alive(); n > 0 {
		t.Errorf("%d processes are left", n)
	}
}
