package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gameday/internal/kuberig"
	"gameday/internal/kuberig/node"
)

// operated is a cluster with the real k6 operator, and gameday as it is built, both on the machine beside it and as the runners' image.
type operated struct {
	t          *testing.T
	c          *kuberig.Cluster
	n          *node.Node
	dir        string // of scenarios and records
	bin        string // gameday's programs
	kubeconfig string // of somebody who may do no more than runners need
	admin      string // of somebody who may do everything; both from within the cluster's network
	url        string // of the service that gets the traffic
	hits       atomic.Int64
	port       int // of the next collector
}

const gamedayImage = "registry.example/gameday"

// TestK6Operator sends game days' traffic by the real k6 operator: its program, its definitions, its roles and its Deployment, from its
// module; its initializer with a real shell and a real k6, its starter with a real curl; runners in containers of gameday's own image.
func TestK6Operator(t *testing.T) {
	c := kuberig.Start(t, kuberig.Options{NoChaosMesh: true, Controllers: kuberig.Workloads})
	n := node.Start(t, c, node.Options{Services: true})
	w := &operated{t: t, c: c, n: n, dir: t.TempDir(), port: 27500}
	w.prepare()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(n.K6OperatorLog(context.Background()))
		}
	})
	t.Run("to the end", w.toTheEnd)
	t.Run("a runner killed", w.runnerKilled)
	t.Run("gameday killed", w.gamedayKilled)
	t.Run("all of gameday killed", w.allKilled)
	t.Run("and the operator away", w.operatorAway)
	t.Run("deleted by somebody", w.deleted)
	t.Run("as the stand-in does", w.asTheStandIn)
	t.Run("a runner that ends too early", w.stillborn)
	t.Run("given up", w.givenUp)
}

// stages returns those of the TestRun that a record tells of, in order.
func stages(record string) (out []string) {
	for line := range strings.Lines(record) {
		if _, after, ok := strings.Cut(line, "the k6 operator's TestRun "); ok {
			if _, stage, ok := strings.Cut(after, ": "); ok {
				end := strings.IndexAny(stage, "\"\\\n")
				out = append(out, stage[:max(end, 0)])
			}
		}
	}
	return out
}

// theRun returns the one TestRun there is, as the operator has written it.
func (w *operated) theRun(t *testing.T) (name string, status []byte) {
	t.Helper()
	var list struct {
		Items []struct {
			Metadata metav1.ObjectMeta
			Status   json.RawMessage
		}
	}
	if err := w.c.Get(runsPath, &list); err != nil || len(list.Items) != 1 {
		t.Fatalf("%d TestRuns, %v", len(list.Items), err)
	}
	return list.Items[0].Metadata.Name, list.Items[0].Status
}

// toTheEnd is a game day with three runners that passes: all its traffic is counted, the operator's stages are told of in their order, and
// its status is of the form that the stand-in's is.
func (w *operated) toTheEnd(t *testing.T) {
	before := w.hits.Load()
	d := w.start(t, "whole", "6s")
	d.reaches(t, `"phase":"load"`)
	_, text := w.theRun(t)
	var status seenStatus
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&status); err != nil || status.Stage != stageStarted || len(status.Conditions) == 0 {
		t.Errorf("under way its status is %s, %v", text, err)
	}
	sameConditions(t, stageStarted, status.Conditions)
	if code := d.ends(t); code != 0 || !strings.Contains(d.out.String(), "PASSED") {
		t.Fatalf("exit code %d:\n%s", code, d.out.String())
	}
	if got, want := stages(d.record()), []string{stageInitialization, stageInitialized, stageCreated, stageStarted}; !slices.Equal(got, want) {
		t.Errorf("the stages were %q, want %q", got, want)
	}
	for _, want := range []string{"this k6 operator cannot leave its initializer out", "the k6 operator cannot leave its initializer out, as one of 0.0.19 or older"} {
		if !strings.Contains(d.record(), want) { // by the traffic, and by the preflight
			t.Errorf("it is not said that %s", want)
		}
	}
	// 3 s at 30 a second, then twice as many for 6 s, and 30 in the last second.
	if n := w.hits.Load() - before; n < 450 {
		t.Errorf("%d requests came", n)
	}
	t.Logf("\n%s", d.out.String())
	w.nothing(t, "the end")
}

// runnerKilled kills one of three, and has k6's interface stop another, as an operator does that is told to: the verdict says so, and the
// third goes on.
func (w *operated) runnerKilled(t *testing.T) {
	d := w.start(t, "without-one", "10s")
	d.reaches(t, `"phase":"load"`)
	name, _ := w.theRun(t)
	victim := w.pod(t, name+"-2")
	if err := w.n.Engine.Call(t.Context(), "POST", "/containers/"+w.n.Container("load", victim, operators)+"/kill?signal=KILL", nil, nil); err != nil {
		t.Fatal(err)
	}
	d.reaches(t, "ended: exit code 137")
	w.stopRunner(t, name+"-service-3")
	d.reaches(t, "ended: exit code 103")
	code := d.ends(t)
	log, err := os.ReadFile(filepath.Join(d.dir, "logs", "runners-visitors", "runner-3.log"))
	if err != nil || !strings.Contains(string(log), "told to stop by k6's REST interface") {
		t.Errorf("the log of runner-3: %q, %v", log, err)
	}
	t.Logf("exit code %d:\n%s", code, d.out.String())
	if code != 3 || !strings.Contains(d.out.String(), "INCONCLUSIVE") || !strings.Contains(d.out.String(), "coverage 0 %") {
		t.Errorf("exit code %d: what two of three did is not known, and nothing depends on the third alone", code)
	}
	for _, name := range []string{"runner-2", "runner-3"} {
		if !strings.Contains(d.out.String(), name) {
			t.Errorf("it does not name %s", name)
		}
	}
	w.nothing(t, "the end")
}

// stopRunner asks a runner to stop at its Service's address.
func (w *operated) stopRunner(t *testing.T, service string) {
	t.Helper()
	var s corev1.Service
	if err := w.c.Get("/api/v1/namespaces/load/services/"+service, &s); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(_ context.Context, _, address string) (net.Conn, error) { return w.c.Dial(address) }}}
	q, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, "http://"+s.Spec.ClusterIP+":6565/v1/status",
		strings.NewReader(`{"data":{"attributes":{"stopped":true},"id":"default","type":"status"}}`))
	if err != nil {
		t.Fatal(err)
	}
	a, err := client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		t.Errorf("asked to stop, it answers %s", a.Status)
	}
}

// pod returns the pod of a Job.
func (w *operated) pod(t *testing.T, job string) string {
	t.Helper()
	var list corev1.PodList
	if err := w.c.Get("/api/v1/namespaces/load/pods?labelSelector=job-name%3D"+job, &list); err != nil || len(list.Items) != 1 {
		t.Fatalf("%d pods of %s, %v", len(list.Items), job, err)
	}
	return list.Items[0].Name
}

// kubernetesPrograms returns the processes that a game day has started of gameday-kubernetes.
func (d *day) kubernetesPrograms() (out []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", d.cmd.Process.Pid))
	for _, f := range files {
		text, _ := os.ReadFile(f)
		for word := range strings.FieldsSeq(string(text)) {
			pid, err := strconv.Atoi(word)
			exe, _ := os.Readlink("/proc/" + word + "/exe")
			if err == nil && filepath.Base(exe) == "gameday-kubernetes" {
				out = append(out, pid)
			}
		}
	}
	return out
}

// kill kills gameday by SIGKILL, and if asked also what it has started for the cluster, which nobody can undo.
func (d *day) kill(t *testing.T, all bool) {
	t.Helper()
	helpers := d.kubernetesPrograms()
	if len(helpers) == 0 {
		t.Fatal("no gameday-kubernetes runs")
	}
	if all {
		for _, pid := range helpers {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-d.over
}

// gamedayKilled kills gameday under way: what it started deletes everything.
func (w *operated) gamedayKilled(t *testing.T) {
	d := w.start(t, "killed", "60s")
	d.reaches(t, `"phase":"load"`)
	d.kill(t, false)
	w.nothing(t, "gameday was killed")
}

// allKilled kills gameday-kubernetes as well: runners end by themselves, and the operator deletes what it made.
func (w *operated) allKilled(t *testing.T) {
	d := w.start(t, "all-killed", "60s")
	d.reaches(t, `"phase":"load"`)
	d.kill(t, true)
	if len(w.here(t)) == 0 {
		t.Error("nothing is left at once, which proves nothing")
	}
	w.nothing(t, "gameday and gameday-kubernetes were killed")
}

// operatorAway is the same with no operator there: its runners have ended, and the rest is left until it is reverted.
func (w *operated) operatorAway(t *testing.T) {
	d := w.start(t, "left", "60s")
	d.reaches(t, `"phase":"load"`)
	if err := w.n.StopK6Operator(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.kill(t, true)
	kuberig.Eventually(t, time.Minute, "the runners have ended", func() bool { return w.running(t) == 0 })
	before := w.hits.Load()
	out := w.here(t)
	t.Logf("left are %v", out)
	for _, kind := range []string{"testruns ", "jobs ", "secrets ", "services ", "configmaps "} {
		if !slices.ContainsFunc(out, func(s string) bool { return strings.HasPrefix(s, kind) }) {
			t.Errorf("no %sare left", kind)
		}
	}
	revert := w.gameday("revert", "--kubernetes", "--all", "--kubeconfig", w.admin)
	var said strings.Builder
	revert.Stdout, revert.Stderr = &said, &said
	if err := w.c.Run(revert); err != nil {
		t.Fatal(err)
	}
	err := revert.Wait()
	t.Logf("%v\n%s", err, said.String())
	if err != nil || !strings.Contains(said.String(), "TestRun") {
		t.Errorf("reverting ends with %v", err)
	}
	w.nothing(t, "it was reverted")
	if n := w.hits.Load() - before; n > 0 {
		t.Errorf("%d requests came when no runner was left", n)
	}
	if err := w.n.StartK6Operator(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// running counts the pods of runners that run.
func (w *operated) running(t *testing.T) (n int) {
	t.Helper()
	var list corev1.PodList
	if err := w.c.Get("/api/v1/namespaces/load/pods?labelSelector=runner%3Dtrue", &list); err != nil {
		t.Fatal(err)
	}
	for _, p := range list.Items {
		if p.Status.Phase == corev1.PodRunning {
			n++
		}
	}
	return n
}

// deleted has somebody delete the TestRun under way: that is said of every runner.
func (w *operated) deleted(t *testing.T) {
	d := w.start(t, "deleted", "30s")
	d.reaches(t, `"phase":"load"`)
	name, _ := w.theRun(t)
	if out, err := w.c.Kubectl(t.Context(), "", "-n", "load", "delete", "testrun", name); err != nil {
		t.Fatal(err, out)
	}
	code := d.ends(t)
	t.Logf("exit code %d:\n%s", code, d.out.String())
	if code == 0 || !strings.Contains(d.record(), "the TestRun is gone, and somebody else has deleted it") {
		t.Errorf("exit code %d, and the record:\n%s", code, d.record())
	}
	w.nothing(t, "the end")
}

// givenUp lets the initializer find no k6: the operator gives the TestRun up and deletes it at once, and it is said who did.
func (w *operated) givenUp(t *testing.T) {
	if err := w.n.ImportPrograms(t.Context(), "rig/no-k6:1", "", []string{"dash", "mkdir", "dirname", "cat", "grep"}, map[string]string{"/bin/sh": "/usr/bin/dash"},
		"ENV PATH=/usr/bin:/bin"); err != nil {
		t.Fatal(err)
	}
	d := w.start(t, "given-up", "5s", `initializer_image = "rig/no-k6:1"`)
	code := d.ends(t)
	t.Logf("exit code %d:\n%s", code, d.out.String())
	if code == 0 || !strings.Contains(d.record(), "a pod of the image rig/no-k6:1") || !strings.Contains(d.record()+d.out.String(), "the k6 operator has given the TestRun up") || strings.Contains(d.record(), "somebody else has deleted it") {
		t.Errorf("exit code %d, and the record:\n%s", code, d.record())
	}
	w.nothing(t, "the end")
}

// stillborn kills a runner before the operator has told anybody to begin: it never would, so that the stream ends at once.
func (w *operated) stillborn(t *testing.T) {
	before := w.hits.Load()
	d := w.start(t, "stillborn", "5s")
	kuberig.Eventually(t, time.Minute, "the second runner was killed", func() bool {
		var list corev1.PodList
		if err := w.c.Get("/api/v1/namespaces/load/pods?labelSelector=runner%3Dtrue", &list); err != nil {
			t.Fatal(err)
		}
		for _, p := range list.Items {
			id := w.n.Container("load", p.Name, operators)
			if id != "" && strings.HasSuffix(p.Labels["job-name"], "-2") { // it may not have begun to run
				return w.n.Engine.Call(t.Context(), "POST", "/containers/"+id+"/kill?signal=KILL", nil, nil) == nil
			}
		}
		return false
	})
	code := d.ends(t)
	t.Logf("exit code %d:\n%s", code, d.out.String())
	if code == 0 || !strings.Contains(d.record(), `did not start: generator runner-2`) || w.hits.Load() != before {
		t.Errorf("exit code %d, and %d requests came; the record:\n%s", code, w.hits.Load()-before, d.record())
	}
	w.nothing(t, "the end")
}
