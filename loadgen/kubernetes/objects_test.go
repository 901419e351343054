package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"gameday/faults"
	"gameday/loadgen"
	"gameday/loadgen/collector"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// full is an order with everything in it.
func full(kind string) *order {
	return newOrder(collector.Order{Run: "20261129-063000-shop-0a1b2c", Scenario: "shop loses payments", Stream: "Shop_pers", Owner: "ann@host", Collector: "10.0.0.5:7443",
		Token: "the token", Lasts: time.Hour, RunOn: loadgen.RunOn{Kind: kind, Parallelism: 3, Namespace: "load", Image: "registry.example/gameday:1", InitializerImage: "registry.example/k6", StarterImage: "registry.example/curl", PullSecrets: []string{"registry"},
			ServiceAccount: "runner", NodeSelector: map[string]string{"pool": "load"}, Tolerations: []loadgen.Toleration{{Key: "load", Operator: "Exists", Effect: "NoSchedule"}},
			Spread: true, CPU: "500m", Memory: "1Gi"}}, []byte("nonce"))
}

// TestObjects shows what is put into a cluster.
func TestObjects(t *testing.T) {
	now := time.Date(2026, 11, 29, 6, 30, 0, 0, time.UTC)
	jobs, run := full(loadgen.Jobs), full(loadgen.K6Operator)
	printing, printed := full(loadgen.Jobs), full(loadgen.K6Operator)
	for _, o := range []*order{printing, printed} {
		o.Collector, o.RunOn.Collector, o.Content = loadgen.Logs, loadgen.Logs, []byte("what they send")
	}
	owner := []metav1.OwnerReference{{APIVersion: "k6.io/v1alpha1", Kind: "TestRun", Name: run.name, UID: "1-2-3"}}
	for name, all := range map[string][]any{
		"jobs.yaml":               {jobs.job(1, now), jobs.secret(owner, now)},
		"k6-operator.yaml":        {run.testRun(now, true), run.configMap(owner, now)},
		"k6-operator-0.0.19.yaml": {run.testRun(now, false)},
		"jobs-logs.yaml":          {printing.job(1, now), printing.secret(owner, now)},
		"k6-operator-logs.yaml":   {printed.testRun(now, true)},
	} {
		var docs [][]byte
		for _, o := range all {
			u, err := object(o)
			if err != nil {
				t.Fatal(err)
			}
			text, err := yaml.Marshal(u.Object)
			if err != nil {
				t.Fatal(err)
			}
			docs = append(docs, text)
		}
		got, golden := bytes.Join(docs, []byte("---\n")), filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// kubeconfigOf writes one for an API server.
func kubeconfigOf(t *testing.T, url string) string {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(kubeconfig, fmt.Appendf(nil, `{"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
		"clusters": [{"name": "c", "cluster": {"server": %q}}], "users": [{"name": "u", "user": {}}]}`, url), 0o600); err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

// TestManyRunners checks that the objects of as many runners as there may be are made and deleted in a time that leaves room for the cluster's own.
func TestManyRunners(t *testing.T) {
	var mu sync.Mutex
	there := map[string]bool{}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		var o struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		body, err := io.ReadAll(q.Body)
		switch {
		case err != nil:
			t.Error(err)
		case q.Method == http.MethodPost && json.Unmarshal(body, &o) == nil:
			there[path.Join(q.URL.Path, o.Metadata.Name)] = true
			_, _ = w.Write(body)
		case q.Method == http.MethodDelete && there[q.URL.Path]:
			delete(there, q.URL.Path)
			fmt.Fprint(w, `{"kind": "Status", "apiVersion": "v1", "status": "Success"}`)
		case q.Method == http.MethodGet:
			fmt.Fprint(w, `{"kind": "PodList", "apiVersion": "v1", "items": []}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}`)
		}
	}))
	defer api.Close()
	c, err := connect(faults.Access{Kubeconfig: kubeconfigOf(t, api.URL)})
	if err != nil {
		t.Fatal(err)
	}
	s, _ := news(loadgen.Jobs)
	s.client, s.order.RunOn.Parallelism = c, 256
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := s.make(ctx); err != nil || len(there) != 257 {
		t.Fatalf("%d objects were made, %v", len(there), err)
	}
	if left := s.unmake(ctx); len(left) > 0 || len(there) > 0 {
		t.Errorf("left are %d objects, and %v", len(there), left)
	}
}

// TestRestricted checks that all pods that are made for an order may be where Pod Security's "restricted" holds: without the operator's
// starter no traffic begins.
func TestRestricted(t *testing.T) {
	run, job := full(loadgen.K6Operator).testRun(time.Now(), false).Spec, full(loadgen.Jobs).job(0, time.Now()).Spec.Template.Spec
	for name, of := range map[string]struct {
		pod       *corev1.PodSecurityContext
		container *corev1.SecurityContext
		token     bool
	}{
		"initializer": {run.Initializer.SecurityContext, run.Initializer.ContainerSecurityContext, run.Initializer.AutomountServiceAccountToken != "false"},
		"starter":     {run.Starter.SecurityContext, run.Starter.ContainerSecurityContext, run.Starter.AutomountServiceAccountToken != "false"},
		"runner":      {run.Runner.SecurityContext, run.Runner.ContainerSecurityContext, run.Runner.AutomountServiceAccountToken != "false"},
		"job":         {job.SecurityContext, job.Containers[0].SecurityContext, *job.AutomountServiceAccountToken},
	} {
		if of.pod == nil || of.container == nil {
			t.Errorf("nothing is said of the %s's pod %v or container %v", name, of.pod, of.container)
			continue
		}
		if !*of.pod.RunAsNonRoot || *of.pod.RunAsUser == 0 || of.pod.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault ||
			*of.container.AllowPrivilegeEscalation || of.container.Capabilities.Drop[0] != "ALL" || of.token {
			t.Errorf("the %s's pod is %+v, its container %+v, with a token: %t", name, of.pod, of.container, of.token)
		}
	}
}

// TestStarterThatHangs checks that people hear why an operator's runners do not begin, and nothing of a starter that has done its work.
func TestStarterThatHangs(t *testing.T) {
	s, out := news(loadgen.K6Operator)
	seen := &sight{phases: map[string]string{}, lost: map[int]bool{}, logs: map[string]bool{}}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "gameday-x-starter-abc", Labels: map[string]string{jobName: s.order.name + "-starter"}}}
	say := func(phase corev1.PodPhase, c corev1.ContainerState) string {
		out.Reset()
		p.Status = corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{{State: c}}}
		s.pod(t.Context(), p, seen)
		return out.String()
	}
	waits := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such host"}}
	if got := say(corev1.PodPending, waits); !strings.Contains(got, "gameday-x-starter-abc, which the k6 operator has made so that the runners begin, waits: ImagePullBackOff: no such host") ||
		!strings.Contains(got, `"level":"warning"`) {
		t.Errorf("it says %q", got)
	}
	if got := say(corev1.PodPending, waits); got != "" {
		t.Errorf("it says once more %q", got)
	}
	if got := say(corev1.PodFailed, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 7}}); !strings.Contains(got, "ended: exit code 7") || strings.Contains(got, "lost") {
		t.Errorf("it says %q", got)
	}
	if got := say(corev1.PodSucceeded, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}); got != "" {
		t.Errorf("it says %q", got)
	}
}

// TestRunnerThatEndsTooEarly checks that nobody waits for an operator that waits for a runner which has ended, and that one which ends later
// takes no other with it.
func TestRunnerThatEndsTooEarly(t *testing.T) {
	for _, c := range []struct {
		kind, stage string
		all         bool
	}{{loadgen.K6Operator, stageCreated, true}, {loadgen.K6Operator, "", true}, {loadgen.K6Operator, stageStarted, false}, {loadgen.Jobs, "", false}} {
		s, out := news(c.kind)
		seen := &sight{phases: map[string]string{}, lost: map[int]bool{}, logs: map[string]bool{}, stage: c.stage}
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "gameday-x-2-abc", Labels: map[string]string{jobName: s.order.name + "-2"}},
			Status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}}
		s.pod(t.Context(), p, seen)
		const why = "lets nobody begin before all runners' pods run, and that of runner-2 has ended"
		if got := strings.Count(out.String(), why); c.all != (got == 2) || !strings.Contains(out.String(), `"lost":{"runner":1,"why":"its pod gameday-x-2-abc failed: Evicted"}`) {
			t.Errorf("%s, stage %q: it says %s", c.kind, c.stage, out)
		}
	}
}

// TestNames checks that names and labels are what Kubernetes takes, whatever a run, a scenario and a stream are called, and that two orders do
// not get in each other's way.
func TestNames(t *testing.T) {
	name := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	value := regexp.MustCompile(`^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z0-9_. -]{0,80}`))
		o := collector.Order{Run: text.Draw(t, "run"), Scenario: text.Draw(t, "scenario"), Stream: text.Draw(t, "stream"), Owner: text.Draw(t, "owner"),
			RunOn: loadgen.RunOn{Parallelism: 256}}
		one, two := newOrder(o, []byte{1}), newOrder(o, []byte{2})
		if one.name == two.name {
			t.Fatalf("both are %s", one.name)
		}
		job := one.job(255, time.Now()).Name
		if !name.MatchString(job) || len(job) > 57 { // a pod's has five letters and a dash more
			t.Fatalf("a job is called %q", job)
		}
		for k, v := range one.labels() {
			if len(v) > 63 || !value.MatchString(v) {
				t.Fatalf("label %s is %q", k, v)
			}
		}
		p := &corev1.Pod{}
		p.Labels = map[string]string{jobName: job}
		if i, ok := one.index(p); !ok || i != 255 {
			t.Fatalf("the pod of %s is %d, %t", job, i, ok)
		}
		if _, ok := two.index(p); ok {
			t.Fatalf("the pod of %s is another order's", job)
		}
	})
}

func TestPodStates(t *testing.T) {
	state := func(phase corev1.PodPhase, c corev1.ContainerState) *corev1.Pod {
		return &corev1.Pod{Status: corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{{State: c}}}}
	}
	gone := state(corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	gone.DeletionTimestamp = &metav1.Time{Time: time.Now()}
	for _, c := range []struct {
		name string
		pod  *corev1.Pod
		want string
		over bool
	}{
		{"new", &corev1.Pod{}, "", false},
		{"runs", state(corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}), "", false},
		{"begins", state(corev1.PodPending, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}), "", false},
		{"no image", state(corev1.PodPending, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "not found"}}),
			"waits: ErrImagePull: not found", false},
		{"memory", state(corev1.PodRunning, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}}),
			"ended: OOMKilled, exit code 137", true},
		{"error", state(corev1.PodFailed, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 104}}), "ended: exit code 104", true},
		{"well", state(corev1.PodSucceeded, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}), "ended: exit code 0", true},
		{"evicted", &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "low on memory"}}, "failed: Evicted: low on memory", true},
		{"no node", &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled,
			Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes are available"}}}}, "has no node: Unschedulable: 0/3 nodes are available", false},
		{"deleted", gone, "is being deleted by somebody", false},
	} {
		if got, over := podState(c.pod); got != c.want || over != c.over {
			t.Errorf("%s: %q, %t, want %q, %t", c.name, got, over, c.want, c.over)
		}
	}
}

// TestOtherContainers has somebody else's container in a runner's pod, as meshes put one into every pod: what becomes of that is not what
// becomes of the runner.
func TestOtherContainers(t *testing.T) {
	runs := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	ended := func(code int32) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}
	}
	waits := func(why string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: why}}
	}
	for _, c := range []struct {
		name          string
		runner, other corev1.ContainerState
		want          string
		over, began   bool
	}{
		{"both run", runs, runs, "", false, true},
		{"the other is first", waits("ContainerCreating"), runs, "", false, false},
		{"the other has done its work", runs, ended(0), "", false, true},
		{"the other has failed", runs, ended(1), "has a container mesh, not gameday's, which ended: exit code 1", false, true},
		{"the other has no image", runs, waits("ErrImagePull"), "has a container mesh, not gameday's, which waits: ErrImagePull", false, true},
		{"the runner has ended", ended(137), runs, "ended: exit code 137", true, true},
	} {
		for _, kind := range []string{loadgen.Jobs, loadgen.K6Operator} {
			s, out := news(kind)
			own := map[string]string{loadgen.Jobs: "runner", loadgen.K6Operator: "k6"}[kind]
			p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{jobName: s.order.name + "-1"}}, Status: corev1.PodStatus{Phase: corev1.PodRunning,
				ContainerStatuses: []corev1.ContainerStatus{{Name: "mesh", State: c.other}, {Name: own, State: c.runner}}}}
			if state, over := s.order.state(&p); state != c.want || over != c.over || s.order.began(&p) != c.began {
				t.Errorf("%s, %s: %q, over %t, began %t", c.name, kind, state, over, s.order.began(&p))
			}
			s.state.look(s.order, []corev1.Pod{p})
			if s.state.ended("a") != c.over {
				t.Errorf("%s, %s: its log is taken to be at its end: %t", c.name, kind, s.state.ended("a"))
			}
			seen := &sight{phases: map[string]string{}, lost: map[int]bool{}, logs: map[string]bool{"a": true}, stage: stageStarted}
			s.pod(t.Context(), &p, seen)
			if seen.lost[0] != c.over || strings.Contains(out.String(), `"lost"`) != c.over {
				t.Errorf("%s, %s: it says %s", c.name, kind, out)
			}
		}
	}
}

// news makes a server that speaks into a buffer.
func news(kind string) (*server, *bytes.Buffer) {
	var b bytes.Buffer
	return &server{news: json.NewEncoder(&b), order: full(kind), at: time.Now()}, &b
}

// TestStages checks what is said of the stages that the k6 operator goes through, of one that nobody knows, and of an operator that does nothing.
func TestStages(t *testing.T) {
	s, out := news(loadgen.K6Operator)
	seen := &sight{lost: map[int]bool{}}
	say := func(stage any) string {
		out.Reset()
		s.stage(&unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"stage": stage}}}, seen)
		return out.String()
	}
	for _, c := range []struct {
		stage any
		want  string
	}{
		{"", ""},
		{"initialization", `"level":"info"`},
		{"initialization", ""}, // said before
		{"created", "created"},
		{"paused", `in a stage that gameday does not know: \"paused\"`},
		{int64(7), "of another form"},
		{"started", "started"},
		{"error", `"lost":{"runner":2,"why":"the k6 operator has given the TestRun up"}`},
	} {
		if got := say(c.stage); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("stage %v: %s", c.stage, got)
		}
	}
	s, out = news(loadgen.K6Operator)
	seen = &sight{lost: map[int]bool{}}
	s.at = time.Now().Add(-2 * unheeded)
	for i := range 2 {
		if got := say(""); strings.Contains(got, "no k6 operator has taken up") != (i == 0) {
			t.Errorf("the %d. time: %s", i+1, got)
		}
	}
}

// TestStagesThatArePast has a watch tell of stages that a TestRun was in before the one in which it was seen when it was looked at: nothing is
// said of them, and whether its runners have begun is not forgotten, which would take all of them with one that ends.
func TestStagesThatArePast(t *testing.T) {
	for _, c := range []struct {
		listed string
		older  []string
		all    bool // are lost with one
	}{
		{stageInitialized, []string{stageInitialization}, true},
		{stageCreated, []string{stageInitialization, stageInitialized, stageCreated}, true},
		{stageStarted, []string{stageInitialized, stageCreated, stageStarted}, false},
		{stageStopped, []string{stageCreated, stageStarted}, false},
		{stageFinished, []string{stageCreated, stageStarted, stageStopped}, false},
		{"paused", []string{stageCreated}, false}, // it was seen in that before
	} {
		s, out := news(loadgen.K6Operator)
		seen := &sight{phases: map[string]string{}, lost: map[int]bool{}, logs: map[string]bool{}}
		in := func(uid, stage string) *unstructured.Unstructured {
			return &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"uid": uid}, "status": map[string]any{"stage": stage}}}
		}
		if !knownStage(c.listed) {
			s.stage(in("1", stageCreated), seen)
		}
		s.stage(in("1", c.listed), seen)
		out.Reset()
		for _, stage := range c.older {
			s.changed(t.Context(), change{run: in("1", stage)}, seen)
		}
		if out.Len() > 0 || seen.stage != c.listed {
			t.Errorf("%s was listed, and of %v it says %s", c.listed, c.older, out)
		}
		s.pod(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "gameday-x-2-abc", Labels: map[string]string{jobName: s.order.name + "-2"}},
			Status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}}, seen)
		if want := map[bool]int{true: 3, false: 1}[c.all]; len(seen.lost) != want {
			t.Errorf("%s was listed, and one runner ends: %d are lost, want %d", c.listed, len(seen.lost), want)
		}
		out.Reset()
		if s.stage(in("2", stageInitialization), seen); !strings.Contains(out.String(), ": initialization") {
			t.Errorf("of another TestRun it says %q", out)
		}
	}
}

// TestOrdersThatCannotBeMeant checks that nothing is asked of a cluster for them.
func TestOrdersThatCannotBeMeant(t *testing.T) {
	for name, change := range map[string]func(*order){
		"no image": func(o *order) { o.RunOn.Image = "" }, "no token": func(o *order) { o.Token = "" }, "no runners": func(o *order) { o.RunOn.Parallelism = 0 },
		"no end": func(o *order) { o.Lasts = 0 }, "processes": func(o *order) { o.RunOn.Kind = loadgen.Processes }, "something": func(o *order) { o.RunOn.Kind = "cron" },
	} {
		s, out := news(loadgen.Jobs)
		change(s.order)
		if err := s.serve(t.Context(), nil, s.order); err == nil || !strings.Contains(out.String(), `"error":"the order`) || !strings.Contains(out.String(), `"gone":true`) {
			t.Errorf("%s: %v, %s", name, err, out)
		}
	}
	for _, in := range []string{"", "x\n", `{"run":"`} {
		if err := Serve(t.Context(), strings.NewReader(in), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "reading the order") {
			t.Errorf("%q: %v", in, err)
		}
	}
}
