package node

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gameday/internal/kuberig"
)

// restartAfter is how long a container that keeps ending waits, at first and at most. The first restart is at once.
const (
	restartAfter = time.Second
	restartMost  = 10 * time.Second
)

// worker keeps one pod.
type worker struct {
	n       *Node
	name    string // of the pod
	space   string
	changes chan *pod // the newest alone; nil for a pod that is gone

	mu      sync.Mutex
	pod     *pod
	sandbox string // id
	address string
	began   time.Time
	running []*running
	told    string // the status that the server has
	was     bool   // it was ready
	since   time.Time
}

// running is a container of a pod.
type running struct {
	spec     container
	id       string // of the engine's present container
	image    string // that it was made of
	restarts int
	state    state
	last     *state // of the one before
	wait     time.Duration
	again    time.Time // when it may start again
	why      string    // it cannot start
	ready    bool
}

func newWorker(n *Node, p *pod) *worker {
	return &worker{n: n, name: p.Metadata.Name, space: p.Metadata.Namespace, changes: make(chan *pod, 1), began: time.Now()}
}

// tell says what the pod is now.
func (w *worker) tell(p *pod) {
	select {
	case <-w.changes:
	default:
	}
	w.changes <- p
}

// run works until the pod is gone or the node ends. What the engine holds then goes with the engine.
func (w *worker) run() {
	for {
		select {
		case <-w.n.ctx.Done():
			return
		case p := <-w.changes:
			switch {
			case p == nil:
				w.remove(0)
				return
			case p.Metadata.DeletionTimestamp == "":
				w.work(p)
			case w.leave(p):
				return
			}
		}
	}
}

// leave ends a pod that is being deleted, and reports whether it is gone.
func (w *worker) leave(p *pod) (gone bool) {
	w.remove(p.grace())
	err := w.n.c.Do("DELETE", p.path(), "application/json", fmt.Appendf(nil,
		`{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0,"preconditions":{"uid":%q}}`, p.Metadata.UID), nil)
	return err == nil || kuberig.IsCode(err, 404) || kuberig.IsCode(err, 409)
}

// work does what a pod needs now.
func (w *worker) work(p *pod) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pod = p
	ctx, cancel := context.WithTimeout(w.n.ctx, stopLimit)
	defer cancel()
	if w.pretended() {
		w.pretend()
		return
	}
	if w.sandbox == "" {
		if err := w.begin(ctx); err != nil {
			w.report(object{"phase": "Pending", "reason": "RigCannot", "message": err.Error()})
			return
		}
	}
	for _, r := range w.running {
		w.keep(ctx, r)
	}
	w.report(w.status())
}

// pretended reports whether the pod has only a status.
func (w *worker) pretended() bool {
	return w.n.options.Pretend || w.pod.Metadata.Namespace == kuberig.MeshNamespace || w.pod.Spec.Containers[0].Image == kuberig.NoImage
}

func (w *worker) pretend() {
	if w.pod.Status.Phase == "Running" {
		return
	}
	if w.address == "" {
		w.address = kuberig.NextAddress()
	}
	c := w.pod.Spec.Containers[0]
	w.report(kuberig.Running(w.address, c.Name, c.Image, "docker://"+kuberig.NoImage, 0, w.began))
}

// begin makes the pod's sandbox and its folders.
func (w *worker) begin(ctx context.Context) error {
	if len(w.pod.Spec.InitContainers) > 0 {
		return fmt.Errorf("pod %s/%s: this rig knows no init containers", w.space, w.name)
	}
	if err := os.MkdirAll(filepath.Join(w.n.dir, w.pod.key()), 0o755); err != nil {
		return err
	}
	id, address, err := w.n.startSandbox(ctx, w.pod)
	if err != nil {
		return err
	}
	w.sandbox, w.address = id, address
	for _, c := range w.pod.Spec.Containers {
		w.running = append(w.running, &running{spec: c})
	}
	return nil
}

// keep starts a container that does not run and shall, and looks at one that does.
func (w *worker) keep(ctx context.Context, r *running) {
	if r.id != "" {
		s, err := w.n.look(ctx, r.id)
		if err != nil {
			return // asked again
		}
		r.state = s
	}
	for _, c := range w.pod.Spec.Containers { // an image may be changed while a pod stands
		if c.Name == r.spec.Name {
			r.spec = c
		}
	}
	changed := r.id != "" && r.spec.Image != r.image
	if r.state.Running && !changed {
		r.ready = w.n.probe(r.spec.ReadinessProbe, w.address)
		return
	}
	r.ready = false
	if !changed && !w.shallRun(r) || time.Now().Before(r.again) {
		return
	}
	if r.id != "" {
		last := r.state
		r.last = &last
		_ = w.n.Engine.Remove(ctx, r.id)
		r.restarts++
		r.id, r.state = "", state{}
		r.wait = min(max(restartAfter, 2*r.wait), restartMost)
		r.again = time.Now().Add(r.wait)
	}
	id, err := w.n.startContainer(ctx, w.pod, r.spec, r.restarts, w.sandbox, w.address)
	if err != nil {
		r.why = err.Error()
		r.again = time.Now().Add(restartAfter)
		return
	}
	r.id, r.image, r.why = id, r.spec.Image, ""
	if s, err := w.n.look(ctx, id); err == nil {
		r.state = s
		r.ready = s.Running && w.n.probe(r.spec.ReadinessProbe, w.address)
	}
}

// shallRun reports whether a container that does not run is to be started.
func (w *worker) shallRun(r *running) bool {
	if r.id == "" {
		return true
	}
	switch w.pod.Spec.RestartPolicy {
	case "Never":
		return false
	case "OnFailure":
		return r.state.ExitCode != 0
	}
	return true
}

// remove ends the containers, all at once and with their pod's grace in seconds, and then the sandbox. Who asks for one meanwhile need not
// wait: they are what they were until they have ended.
func (w *worker) remove(grace int) {
	var all sync.WaitGroup
	for _, r := range w.running { // which nobody else changes
		if r.id != "" {
			all.Go(func() { w.n.stop(r.id, grace) })
		}
	}
	all.Wait()
	if w.sandbox != "" {
		w.n.stop(w.sandbox, 0)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running, w.sandbox = nil, ""
}

// find returns the id of a container of the pod, if it is the one.
func (w *worker) find(space, name, container string) string {
	if w.space != space || w.name != name {
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.running {
		if r.spec.Name == container || container == "" {
			return r.id
		}
	}
	return ""
}

// report tells the server the status, if it is new.
func (w *worker) report(status object) {
	text, err := json.Marshal(status)
	if err != nil || string(text) == w.told {
		return
	}
	if w.n.c.Patch(w.pod.path()+"/status", object{"metadata": object{"uid": w.pod.Metadata.UID}, "status": status}, nil) == nil {
		w.told = string(text)
	}
}
