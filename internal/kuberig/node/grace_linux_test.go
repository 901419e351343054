package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"gameday/internal/dockerrig"
	"gameday/internal/kuberig"
)

// engine is a Docker Engine of which it is only seen what it is asked: containers end when they are let.
type engine struct {
	let chan struct{}

	mu    sync.Mutex
	asked []string
}

func (e *engine) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	e.asked = append(e.asked, r.Method+" "+r.URL.RequestURI())
	e.mu.Unlock()
	if r.Method == http.MethodPost {
		select {
		case <-e.let:
		case <-r.Context().Done():
		}
	}
}

func (e *engine) sorted() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Sorted(slices.Values(e.asked))
}

// leaving is a worker of a node whose engine is that, with a pod of two containers that is being deleted.
func leaving(t *testing.T, e *engine, grace int) *worker {
	t.Helper()
	dir, err := os.MkdirTemp("", "kn-") // the path of its socket is to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	docker := httptest.NewUnstartedServer(e)
	docker.Listener = l
	docker.Start()
	t.Cleanup(docker.Close)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	t.Cleanup(api.Close)
	config, err := json.Marshal(object{"clusters": []object{{"cluster": object{"server": api.URL}}}, "users": []object{{"user": object{}}}})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config"), config, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	client, err := kuberig.NewClient(filepath.Join(dir, "config"))
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{Engine: &dockerrig.Engine{Socket: filepath.Join(dir, "s")}, c: &kuberig.Cluster{Client: client}}
	n.ctx, n.end = context.WithCancel(context.Background())
	t.Cleanup(n.end)
	p := &pod{}
	p.Metadata.Name, p.Metadata.Namespace, p.Metadata.UID, p.Metadata.DeletionTimestamp = "stop", "gameday", "u1", "2026-11-29T06:33:22Z"
	p.Metadata.GracePeriod = &grace
	w := newWorker(n, p)
	w.sandbox = "s"
	for _, id := range []string{"a", "b"} {
		w.running = append(w.running, &running{id: id, spec: container{Name: id}})
	}
	w.tell(p)
	return w
}

// TestGrace: a pod that asks for long has long, and its containers at once; what stands is told of meanwhile.
func TestGrace(t *testing.T) {
	for grace, want := range map[int]int{600: 90, 45: 45, 30: 10, 1: 1, 0: 0} {
		t.Run(fmt.Sprint(grace), func(t *testing.T) {
			e := &engine{let: make(chan struct{})}
			w := leaving(t, e, grace)
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				w.run()
			}()
			done := []string{"DELETE /containers/a?force=1", "DELETE /containers/b?force=1", "DELETE /containers/s?force=1"}
			if want > 0 {
				stops := []string{fmt.Sprintf("POST /containers/a/stop?t=%d", want), fmt.Sprintf("POST /containers/b/stop?t=%d", want)}
				kuberig.Eventually(t, 10*time.Second, "both are told", func() bool { return len(e.sorted()) >= 2 })
				if got := e.sorted(); !slices.Equal(got, stops) {
					t.Errorf("the engine was asked %q, want %q", got, stops)
				}
				found := make(chan string, 1)
				go func() { found <- w.find("gameday", "stop", "b") }()
				select {
				case id := <-found:
					if id != "b" {
						t.Errorf("behind container b is %q", id)
					}
				case <-time.After(10 * time.Second):
					t.Error("who asks for a container waits until it has ended")
				}
				done = append(done, stops...)
			}
			close(e.let)
			<-gone
			if got := e.sorted(); !slices.Equal(got, done) {
				t.Errorf("the engine was asked %q, want %q", got, done)
			}
			if e.asked[len(e.asked)-1] != done[2] {
				t.Errorf("the sandbox went before its containers: %q", e.asked)
			}
		})
	}
}

// TestGraceEnds: the end of a node does not wait for the grace of its pods.
func TestGraceEnds(t *testing.T) {
	e := &engine{let: make(chan struct{})}
	w := leaving(t, e, 600)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		w.run()
	}()
	kuberig.Eventually(t, 10*time.Second, "one is told", func() bool { return len(e.sorted()) > 0 })
	w.n.end()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the worker goes on")
	}
}
