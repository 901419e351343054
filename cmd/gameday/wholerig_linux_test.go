package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gameday/internal/kuberig"
	"gameday/internal/kuberig/node"
	"gameday/report"
)

// wholeRig is a cluster with a node that runs containers, with the real chaos-daemon beside it, in which several game days can run.
type wholeRig struct {
	*kuberig.Cluster
	node     *node.Node
	programs string // folder with gameday-kubernetes
	files    string // folder that gamedayFolder made
	service  string // what gets the traffic
	held     held
}

func newWholeRig(t *testing.T) *wholeRig {
	t.Helper()
	c := kuberig.Start(t, kuberig.Options{Controllers: []string{"replicaset-controller"}})
	r := &wholeRig{Cluster: c, node: node.Start(t, c, node.Options{Daemon: true}), programs: clusterProgram(t), files: gamedayFolder(t, nil)}
	service := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(service.Close)
	r.service = service.URL
	r.holdAdmission(t)
	return r
}

// shop makes a namespace with pods of the app cart.
func (r *wholeRig) shop(t *testing.T, namespace string, pods int) {
	t.Helper()
	if err := r.Namespace(namespace); err != nil {
		t.Fatal(err)
	}
	r.replicas(t, namespace, "cart", pods)
}

// replicas makes pods of an app that are replaced when they are gone.
func (r *wholeRig) replicas(t *testing.T, namespace, app string, pods int) {
	t.Helper()
	labels := object{"app": app}
	err := r.Post("/apis/apps/v1/namespaces/"+namespace+"/replicasets", object{"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": object{"name": app},
		"spec": object{"replicas": pods, "selector": object{"matchLabels": labels}, "template": object{"metadata": object{"labels": labels},
			"spec": object{"automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0, "containers": []object{{"name": "web", "image": node.Web,
				"command": []string{"/web", ":8080"}, "readinessProbe": object{"httpGet": object{"path": "/", "port": 8080}, "periodSeconds": 1}}}}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

// wholePod is what is read of a pod.
type wholePod struct {
	Metadata struct{ Name, UID, DeletionTimestamp string }
	Spec     struct{ Containers []struct{ Image string } }
	Status   struct {
		Conditions []struct{ Type, Status string }
	}
}

// wellPods returns the names of the pods that are ready and run what they should.
func (r *wholeRig) wellPods(namespace, app string) []string {
	var list struct{ Items []wholePod }
	if r.Get("/api/v1/namespaces/"+namespace+"/pods?labelSelector=app%3D"+app, &list) != nil {
		return nil
	}
	var out []string
	for _, p := range list.Items {
		for _, c := range p.Status.Conditions {
			if c.Type == "Ready" && c.Status == "True" && p.Metadata.DeletionTimestamp == "" && p.Spec.Containers[0].Image == node.Web {
				out = append(out, p.Metadata.Name)
			}
		}
	}
	return out
}

// awaitPods returns when the pods of the app cart are ready.
func (r *wholeRig) awaitPods(t *testing.T, namespace string, pods int) {
	t.Helper()
	r.awaitReplicas(t, namespace, "cart", pods)
}

func (r *wholeRig) awaitReplicas(t *testing.T, namespace, app string, pods int) {
	t.Helper()
	kuberig.Eventually(t, time.Minute, fmt.Sprintf("%d pods of %s in %s are ready", pods, app, namespace),
		func() bool { return len(r.wellPods(namespace, app)) == pods })
}

// wholeObject is what is read of an object of Chaos Mesh.
type wholeObject struct {
	Kind     string
	Metadata struct {
		Name, Namespace, DeletionTimestamp string
		Annotations                        map[string]string
	}
}

// ours returns what has gameday's label in a namespace, of every kind that these game days make.
func (r *wholeRig) ours(t *testing.T, namespace string) []wholeObject {
	t.Helper()
	var out []wholeObject
	for _, plural := range []string{"podchaos", "networkchaos"} {
		var list struct{ Items []wholeObject }
		if err := r.Get("/apis/chaos-mesh.org/v1alpha1/namespaces/"+namespace+"/"+plural+"?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dgameday", &list); err != nil {
			t.Fatal(err)
		}
		for _, o := range list.Items {
			o.Kind = plural
			out = append(out, o)
		}
	}
	return out
}

// person is somebody who runs game days from a machine of their own: a home, a ledger, records.
type person struct {
	r   *wholeRig
	dir string
	env []string
}

func (r *wholeRig) person(t *testing.T, files map[string]string) *person {
	t.Helper()
	dir := t.TempDir()
	admin, err := os.ReadFile(r.Admin)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "kubeconfig"), admin, 0o600); err != nil {
		t.Fatal(err)
	}
	return &person{r: r, dir: dir, env: append(os.Environ(), "HOME="+dir, "GAMEDAY_LEDGER="+filepath.Join(dir, "ledger"),
		"PATH="+r.programs+":"+os.Getenv("PATH"), "TEST_MACHINE_POLICY="+filepath.Join(dir, "none.hcl"))}
}

func (p *person) command(args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(p.r.files, "gameday"), args...)
	c.Dir, c.Env = p.dir, p.env
	return c
}

// gameday runs a command line to its end.
func (p *person) gameday(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	text, err := p.command(args...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), string(text)
	} else if err != nil {
		t.Fatal(err)
	}
	return 0, string(text)
}

// want is gameday with an exit code that it must end with, and words that it must say.
func (p *person) want(t *testing.T, code int, words []string, args ...string) string {
	t.Helper()
	got, out := p.gameday(t, args...)
	saysAll(t, fmt.Sprintf("gameday %v", args), out, words...)
	if got != code {
		t.Errorf("gameday %v: exit code %d, want %d:\n%s", args, got, code, out)
	}
	return out
}

func saysAll(t *testing.T, what, out string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Errorf("%s does not say %q:\n%s", what, w, out)
		}
	}
}

// entries counts what stands in the ledger.
func (p *person) entries(t *testing.T) int {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(p.dir, "ledger", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// wholeRun is a gameday run in progress.
type wholeRun struct {
	*person
	t      *testing.T
	record string
	pid    int
	out    *lockedText
	ended  chan struct{}
	code   int // valid after ended
}

// start begins a game day.
func (p *person) start(t *testing.T, record, scenario string) *wholeRun {
	t.Helper()
	c := p.command("run", "--record", record, scenario)
	out := &lockedText{}
	c.Stdout, c.Stderr = out, out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w := &wholeRun{person: p, t: t, record: record, pid: c.Process.Pid, out: out, ended: make(chan struct{})}
	go func() {
		_ = c.Wait()
		w.code = c.ProcessState.ExitCode()
		close(w.ended)
	}()
	t.Cleanup(func() {
		_ = c.Process.Kill()
		<-w.ended
	})
	return w
}

// lockedText is text that is written while it is read.
type lockedText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// recorded reports whether an event with some text in it is in the record.
func (w *wholeRun) recorded(kind report.EventKind, text string) bool {
	all, _ := os.ReadFile(filepath.Join(w.dir, w.record, report.EventsFile))
	for line := range strings.Lines(string(all)) {
		if strings.Contains(line, `"`+string(kind)+`"`) && strings.Contains(line, text) {
			return true
		}
	}
	return false
}

// until waits for something in a run that is to go on until then.
func (w *wholeRun) until(limit time.Duration, what string, yes func() bool) {
	w.t.Helper()
	kuberig.Eventually(w.t, limit, what, func() bool {
		if yes() {
			return true
		}
		select {
		case <-w.ended:
			w.t.Fatalf("gameday ended with %d before %s:\n%s", w.code, what, w.out)
		default:
		}
		return false
	})
}

// wait returns the exit code and what was said.
func (w *wholeRun) wait(limit time.Duration) (int, string) {
	w.t.Helper()
	select {
	case <-w.ended:
	case <-time.After(limit):
		w.t.Fatalf("gameday does not end within %v:\n%s", limit, w.out)
	}
	return w.code, w.out.String()
}

// events returns the data of the events of a kind.
func events[T any](w *wholeRun, kind report.EventKind) []T {
	w.t.Helper()
	rec, err := report.Read(filepath.Join(w.dir, w.record))
	if err != nil {
		w.t.Fatal(err)
	}
	var out []T
	for _, e := range rec.Events {
		if e.Kind != kind {
			continue
		}
		var v T
		if err := json.Unmarshal(e.Data, &v); err != nil {
			w.t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// family returns the ids of a process and of all that came from it.
func family(pid int) []int {
	out := []int{pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	parents := map[int][]int{}
	for _, path := range stats {
		text, _ := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(text), ") ") // names of ours have no parenthesis
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[0] == "Z" {
			continue
		}
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, _ := strconv.Atoi(fields[1])
		parents[parent] = append(parents[parent], child)
	}
	for i := 0; i < len(out); i++ {
		out = append(out, parents[out[i]]...)
	}
	return out
}

// named picks those of some processes that run a program.
func programsNamed(pids []int, name string) []int {
	return slices.DeleteFunc(slices.Clone(pids), func(pid int) bool {
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		return filepath.Base(to) != name
	})
}

func alive(pids []int) (out []int) {
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if _, rest, _ := strings.Cut(string(text), ") "); err == nil && !strings.HasPrefix(rest, "Z") {
			out = append(out, pid)
		}
	}
	return out
}

// kill ends processes by SIGKILL. Those that are gone already are no error.
func kill(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Error(err)
		}
	}
}

// held are requests that the API server keeps waiting: "shop CREATE". It asks us whether to let them in.
type held struct {
	mu      sync.Mutex
	holds   map[string]chan struct{} // by what is held, until it is closed
	reached map[string]chan struct{}
}

// hold keeps the next request of an operation in a namespace waiting. What it returns is closed when one has come; let lets all go on.
func (h *held) hold(namespace, operation string) (reached <-chan struct{}, let func()) {
	key := namespace + " " + operation
	gate, came := make(chan struct{}), make(chan struct{})
	h.mu.Lock()
	h.holds[key], h.reached[key] = gate, came
	h.mu.Unlock()
	return came, sync.OnceFunc(func() {
		h.mu.Lock()
		delete(h.holds, key)
		delete(h.reached, key)
		h.mu.Unlock()
		close(gate)
	})
}

// wait is one request.
func (h *held) wait(key string, gone <-chan struct{}) {
	h.mu.Lock()
	gate, came := h.holds[key], h.reached[key]
	if came != nil {
		h.reached[key] = nil
		close(came)
	}
	h.mu.Unlock()
	if gate == nil {
		return
	}
	select {
	case <-gate:
	case <-gone:
	}
}

// holdAdmission has the API server ask us about the creation and the deletion of objects of Chaos Mesh.
func (r *wholeRig) holdAdmission(t *testing.T) {
	t.Helper()
	const at = "127.0.0.1:9556"
	r.held.holds, r.held.reached = map[string]chan struct{}{}, map[string]chan struct{}{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		var review struct {
			Request struct {
				UID, Namespace, Operation string
				DryRun                    bool
			}
		}
		text, _ := io.ReadAll(q.Body)
		if err := json.Unmarshal(text, &review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if !review.Request.DryRun {
			r.held.wait(review.Request.Namespace+" "+review.Request.Operation, q.Context().Done())
		}
		_ = json.NewEncoder(w).Encode(object{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
			"response": object{"uid": review.Request.UID, "allowed": true}})
	}))
	l, err := r.Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Listener.Close()
	s.Listener = l
	s.StartTLS()
	t.Cleanup(s.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	err = r.Post("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", object{"apiVersion": "admissionregistration.k8s.io/v1",
		"kind": "ValidatingWebhookConfiguration", "metadata": object{"name": "held"}, "webhooks": []object{{"name": "held.example.com", "failurePolicy": "Ignore",
			"sideEffects": "None", "timeoutSeconds": 30, "admissionReviewVersions": []string{"v1"},
			"clientConfig": object{"caBundle": authority, "url": "https://" + at},
			"rules": []object{{"apiGroups": []string{"chaos-mesh.org"}, "apiVersions": []string{"v1alpha1"}, "operations": []string{"CREATE", "DELETE"},
				"resources": []string{"podchaos", "networkchaos"}}}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
}
