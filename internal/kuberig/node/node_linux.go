package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gameday/internal/dockerrig"
	"gameday/internal/kuberig"
)

const (
	step      = 100 * time.Millisecond // from one look at the pods to the next
	stopLimit = 20 * time.Second       // for what is under way at the end
	podNet    = "pods"
	podRange  = "198.18.64.0/18"
	sandboxed = "rig/sandbox"
)

// Seconds that a pod has to end by itself once it is deleted.
const (
	usualGrace = 30 // that one asks for which says nothing of it
	fewGrace   = 10 // that it has, and any that asks for no more
	mostGrace  = 90 // that one has which asks for more
)

// Web is an image with a small web server, for pods that have nothing better to do: its command is /web with an address to
// listen on, ":8080". It prints a line when it listens. It answers with the time by its clock, in seconds since 1970;
// /env/NAME with a variable; /file/PATH with a file; /get/HOST:PORT/PATH with what another server answers, within a second. As "/web
// exit N" it prints a line and ends with a status.
const Web = "rig/web"

type object = map[string]any

// Options of a node.
type Options struct {
	// Names are the node's names: to the cluster it is as many nodes, all on one machine. Empty for "node-1".
	Names []string
	// Labels of all of them.
	Labels map[string]string
	// Daemon runs chaos-daemon beside it.
	Daemon bool
	// Pretend runs no containers: every pod says that it is running and ready. Nothing of Docker is needed.
	Pretend bool
	// Services has the addresses of Services lead to their pods.
	Services bool
}

// Node is a running node.
type Node struct {
	// Engine runs the containers; nil if they are pretended. Import makes images there.
	Engine *dockerrig.Engine

	c        *kuberig.Cluster
	options  Options
	dir      string
	ctx      context.Context
	end      context.CancelFunc
	wait     sync.WaitGroup
	stopping sync.Once // of the daemon

	mu      sync.Mutex
	workers map[string]*worker // by the uid of their pods
	turn    int                // of the node that gets the next pod
	names   map[string]string  // addresses by namespace and name: "shop/ledger"
	daemon  *exec.Cmd
	logs    *http.Server
	proxy   *proxy // nil without
}

// Start starts a node that ends with the test. Where there can be no Docker Engine the test is skipped, and fails where CI
// is set.
func Start(t testing.TB, c *kuberig.Cluster, o Options) *Node {
	t.Helper()
	if len(o.Names) == 0 {
		o.Names = []string{"node-1"}
	}
	if o.Pretend && o.Daemon {
		t.Fatal("starting a node: chaos-daemon has nothing to act on without containers")
	}
	if !o.Pretend {
		if err := dockerrig.Missing(); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	n := &Node{c: c, options: o, dir: filepath.Join(c.Dir, "node"), workers: map[string]*worker{}, names: map[string]string{}}
	n.ctx, n.end = context.WithCancel(context.Background())
	t.Cleanup(func() {
		if t.Failed() && n.daemon != nil {
			t.Log(n.DaemonLog())
		}
		if err := n.close(); err != nil {
			t.Error(err)
		}
	})
	if err := n.start(t.Context()); err != nil {
		t.Fatalf("starting a node: %v", err)
	}
	return n
}

func (n *Node) start(ctx context.Context) error {
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return err
	}
	if !n.options.Pretend {
		if err := n.startEngine(ctx); err != nil {
			return err
		}
	}
	for _, name := range n.options.Names {
		if err := n.c.Node(name); err != nil {
			return err
		}
		if err := n.c.Patch("/api/v1/nodes/"+name, object{"metadata": object{"labels": n.options.Labels}}, nil); err != nil {
			return err
		}
	}
	if n.Engine != nil {
		if err := n.serveLogs(); err != nil {
			return err
		}
	}
	if n.options.Daemon {
		if err := n.startDaemon(ctx); err != nil {
			return err
		}
	}
	if n.options.Services {
		n.proxy = &proxy{n: n, open: map[string][]net.Listener{}}
	}
	n.wait.Go(n.follow)
	return nil
}

// startEngine starts a Docker Engine in the cluster's namespace, with a network and the image that every pod needs.
func (n *Node) startEngine(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "kn-") // the path of its socket is to be short
	if err != nil {
		return err
	}
	err = n.c.Within(func() (err error) {
		n.Engine, err = dockerrig.Start(ctx, dockerrig.Options{Dir: dir, Joined: true})
		return err
	})
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	if err := n.buildHelper(ctx); err != nil {
		return err
	}
	for image, program := range map[string]string{sandboxed: "sandbox", Web: "web"} {
		if err := n.Engine.Import(ctx, image, n.helper(program)); err != nil {
			return err
		}
	}
	return n.Engine.Network(ctx, podNet, podRange)
}

// buildHelper builds the helper under each of its names.
func (n *Node) buildHelper(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(n.dir, "bin"), 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", n.helper("sandbox"), "gameday/internal/kuberig/node/helper")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the helper: %w: %s", err, out)
	}
	for _, name := range []string{"pause", "nsexec", "web"} {
		if err := os.Link(n.helper("sandbox"), n.helper(name)); err != nil {
			return err
		}
	}
	return nil
}

// helper returns the path of the helper under one of its names.
func (n *Node) helper(name string) string { return filepath.Join(n.dir, "bin", name) }

// close ends everything.
func (n *Node) close() error {
	n.end()
	if n.logs != nil {
		_ = n.logs.Close()
	}
	if n.proxy != nil {
		n.proxy.close()
	}
	n.wait.Wait()
	n.StopDaemon()
	if n.Engine == nil {
		return nil
	}
	return n.Engine.Close()
}

// follow looks at the cluster's pods again and again, and gives each of the node's to a worker. What cannot be asked is
// asked again, as a kubelet does while its API server is away.
func (n *Node) follow() {
	tick := time.NewTicker(step)
	defer tick.Stop()
	for {
		var list struct{ Items []*pod }
		if err := n.c.Get("/api/v1/pods", &list); err == nil {
			n.share(list.Items)
			if n.proxy != nil {
				n.proxy.sync(list.Items)
			}
		}
		select {
		case <-n.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// share binds pods that nobody has bound, and tells the workers of the others what their pods are now.
func (n *Node) share(all []*pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	there := map[string]bool{}
	for _, p := range all {
		there[p.key()] = true
		if p.Spec.NodeName == "" {
			n.bind(p)
			continue
		}
		if !slices.Contains(n.options.Names, p.Spec.NodeName) {
			continue
		}
		w := n.workers[p.key()]
		if w == nil {
			if p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" {
				continue
			}
			w = newWorker(n, p)
			n.workers[p.key()] = w
			n.wait.Go(w.run)
		}
		w.tell(p)
	}
	for key, w := range n.workers {
		if !there[key] {
			w.tell(nil)
			delete(n.workers, key)
		}
	}
}

// bind binds a pod to one of the nodes, in turn. One whose selector none has stays pending.
func (n *Node) bind(p *pod) {
	for k, v := range p.Spec.NodeSelector {
		if n.options.Labels[k] != v && k != "kubernetes.io/hostname" {
			return
		}
	}
	name := n.options.Names[n.turn%len(n.options.Names)]
	if host, asked := p.Spec.NodeSelector["kubernetes.io/hostname"]; asked {
		if !slices.Contains(n.options.Names, host) {
			return
		}
		name = host
	}
	n.turn++
	// If it fails it is done at the next look.
	_ = n.c.Post(p.path()+"/binding", object{"apiVersion": "v1", "kind": "Binding", "metadata": object{"name": p.Metadata.Name},
		"target": object{"apiVersion": "v1", "kind": "Node", "name": name}}, nil)
}

// Resolve stands in for the cluster's DNS: pods of a namespace that begin from now on know a name by this address.
func (n *Node) Resolve(namespace, name, address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names[namespace+"/"+name] = address
}

// hosts are the names that a pod of a namespace knows, each as the engine has it: "ledger:198.18.64.2".
func (n *Node) hosts(namespace string) (out []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for key, address := range n.names {
		if name, is := strings.CutPrefix(key, namespace+"/"); is {
			out = append(out, name+":"+address)
		}
	}
	return out
}

// Claim returns the folder that stands behind a persistent volume claim of a namespace. It is there once a pod has had it.
func (n *Node) Claim(namespace, name string) string {
	return filepath.Join(n.dir, "claims", namespace, name)
}

// Container returns the id of the engine's container that now stands behind a pod's container, or nothing.
func (n *Node) Container(namespace, name, container string) string {
	n.mu.Lock()
	workers := slices.Collect(maps.Values(n.workers))
	n.mu.Unlock()
	for _, w := range workers {
		if id := w.find(namespace, name, container); id != "" {
			return id
		}
	}
	return ""
}
