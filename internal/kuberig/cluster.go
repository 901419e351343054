package kuberig

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Addresses in a cluster's network namespace. Pods have theirs from package node.
const (
	// Address is of the machine that the cluster is: its API server, its daemon, its nodes.
	Address = "198.18.0.1"
	network = Address + "/24"
	apiPort = "6443"
)

// MeshNamespace is where Chaos Mesh stands.
const MeshNamespace = "chaos-mesh"

// Options of a cluster.
type Options struct {
	// NoChaosMesh leaves Chaos Mesh out, and its kinds as well.
	NoChaosMesh bool
	// MeshVersion is what Chaos Mesh's own objects say that it is, though the program stays the same. Empty for MeshVersion.
	MeshVersion string
	// MeshEnv are further settings of Chaos Mesh's controllers: "ENABLE_FILTER_NAMESPACE=true".
	MeshEnv []string
	// Controllers are those of kube-controller-manager that run. Without any the program is not started.
	Controllers []string
}

// MeshVersion is what Chaos Mesh's objects say unless told otherwise: the release that came before the version which runs.
const MeshVersion = "2.8.4"

// Workloads are the controllers that make pods of Jobs, Deployments and the like, and clean up after them.
var Workloads = []string{"deployment-controller", "replicaset-controller", "job-controller", "cronjob-controller", "endpointslice-controller",
	"disruption-controller", "garbage-collector-controller", "namespace-controller", "serviceaccount-controller",
	"root-ca-certificate-publisher-controller", "ttl-after-finished-controller"}

// Cluster is a running cluster. Its Client may do everything.
type Cluster struct {
	*Client
	// Admin is the path of a kubeconfig with which everything is allowed.
	Admin string
	// Dir is a folder for whatever belongs to the cluster; the logs of its programs are there.
	Dir string

	options     Options
	versions    *versions
	ns          *namespace
	gate        *gate
	servers     *authority // issues what servers show
	clients     *authority // issues what users show
	signer      *ecdsa.PrivateKey
	etcd        *process
	api         *process
	controllers *process // kube-controller-manager; nil without
	mesh        *process // chaos-controller-manager; nil without
	inside      string   // path of an administrator's kubeconfig that works in the namespace
}

// Start starts a cluster that ends with the test. The test is skipped unless it was asked for by the variable Whole, and
// where a cluster cannot run; it fails there where CI is set.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	wanted(t)
	dir, err := os.MkdirTemp("", "kr-") // short, for the sockets of whoever works in it
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	c, err := launch(t.Context(), dir, o)
	t.Cleanup(func() {
		if c != nil && t.Failed() {
			t.Log(c.Logs())
		}
		c.close()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	var cannot *unableError
	if errors.As(err, &cannot) {
		unable(t, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the cluster stands after %.1f s", time.Since(began).Seconds())
	return c
}

// errNoMesh is what is answered to questions about Chaos Mesh where it is not.
var errNoMesh = errors.New("this cluster has no Chaos Mesh")

// unableError is why a cluster cannot run here.
type unableError struct{ error }

// launch starts a cluster. Also with an error it may return one that is to be closed.
func launch(ctx context.Context, dir string, o Options) (*Cluster, error) {
	v, err := look()
	if err != nil {
		return nil, err
	}
	files := []string{v.definitions()}
	for _, p := range slices.Concat(ofKubernetes, ofChaosMesh) {
		files = append(files, v.program(p))
	}
	if err := errors.Join(possible(), missing(files, []string{"etcd", "ip"})); err != nil {
		return nil, &unableError{err}
	}
	c := &Cluster{Dir: dir, options: o, versions: v}
	if c.ns, err = newNamespace(network); err != nil {
		return c, err
	}
	if c.gate, err = newGate(func() (net.Conn, error) { return c.ns.dial(net.JoinHostPort(Address, apiPort)) }); err != nil {
		return c, err
	}
	if err := c.identities(); err != nil {
		return c, fmt.Errorf("making certificates: %w", err)
	}
	c.etcd = etcd(dir, "127.0.0.1", c.ns.start)
	if err := c.etcd.up(ctx); err != nil {
		return c, err
	}
	if err := c.startServer(ctx); err != nil {
		return c, err
	}
	return c, c.populate(ctx)
}

// populate makes what stands in every cluster, and starts those that work on it.
func (c *Cluster) populate(ctx context.Context) error {
	if len(c.options.Controllers) > 0 {
		c.controllers = c.controllerManager()
		if err := c.controllers.up(ctx); err != nil {
			return err
		}
	}
	if err := c.Namespace("default"); err != nil {
		return err
	}
	if c.options.NoChaosMesh {
		return nil
	}
	return c.installMesh(ctx)
}

// identities makes the certificates and keys of the cluster and its administrator.
func (c *Cluster) identities() (err error) {
	if c.servers, err = newAuthority("servers"); err != nil {
		return err
	}
	if c.clients, err = newAuthority("clients"); err != nil {
		return err
	}
	if c.signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	key, err := keyPEM(c.signer)
	if err != nil {
		return err
	}
	outside, _, err := net.SplitHostPort(c.gate.address)
	if err != nil {
		return err
	}
	serving, err := c.servers.issue(pkix.Name{CommonName: "kube-apiserver"}, "127.0.0.1", Address, outside, "localhost",
		"kubernetes.default.svc", "10.96.0.1")
	if err != nil {
		return err
	}
	admin, err := c.clients.issue(pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}})
	if err != nil {
		return err
	}
	c.Admin, c.inside = c.path("admin.kubeconfig"), c.path("inside.kubeconfig")
	config := kubeconfig{server: "https://" + c.gate.address, authority: c.servers.pem, client: admin}
	within := config
	within.server = "https://" + net.JoinHostPort(Address, apiPort)
	return errors.Join(
		serving.write(c.path("server.crt"), c.path("server.key")),
		os.WriteFile(c.path("servers.crt"), c.servers.pem, 0o600),
		os.WriteFile(c.path("clients.crt"), c.clients.pem, 0o600),
		os.WriteFile(c.path("signer.key"), key, 0o600),
		config.write(c.Admin), within.write(c.inside))
}

// startServer starts the API server and opens the way to it.
func (c *Cluster) startServer(ctx context.Context) (err error) {
	if c.Client, err = NewClient(c.Admin); err != nil {
		return err
	}
	c.api = &process{name: "kube-apiserver", dir: c.Dir, start: c.ns.start,
		make: func() *exec.Cmd {
			return exec.Command(c.versions.program("kube-apiserver"),
				"--etcd-servers=http://127.0.0.1:2379", "--bind-address=0.0.0.0", "--secure-port="+apiPort, "--advertise-address="+Address,
				"--tls-cert-file="+c.path("server.crt"), "--tls-private-key-file="+c.path("server.key"),
				"--client-ca-file="+c.path("clients.crt"), "--authorization-mode=RBAC",
				"--service-account-issuer="+issuer, "--service-account-key-file="+c.path("signer.key"),
				"--service-account-signing-key-file="+c.path("signer.key"), "--service-cluster-ip-range=10.96.0.0/16",
				"--kubelet-certificate-authority="+c.path("servers.crt"), "--kubelet-client-certificate="+c.path("kubelet-client.crt"),
				"--kubelet-client-key="+c.path("kubelet-client.key"), "--kubelet-preferred-address-types=InternalIP",
				"--endpoint-reconciler-type=none", "--watch-cache=false", "--profiling=false", "--v=1")
		},
		ready: func() bool { return c.Do("GET", "/readyz", "", nil, nil) == nil }}
	logs, err := c.clients.issue(pkix.Name{CommonName: "kube-apiserver-kubelet-client", Organization: []string{"system:masters"}})
	if err != nil {
		return err
	}
	if err := logs.write(c.path("kubelet-client.crt"), c.path("kubelet-client.key")); err != nil {
		return err
	}
	if err := c.gate.unlock(); err != nil {
		return err
	}
	return c.api.up(ctx)
}

// controllerManager returns a kube-controller-manager that is not started.
func (c *Cluster) controllerManager() *process {
	return &process{name: "kube-controller-manager", dir: c.Dir, start: c.ns.start,
		make: func() *exec.Cmd {
			return exec.Command(c.versions.program("kube-controller-manager"), "--kubeconfig="+c.inside, "--leader-elect=false",
				"--controllers="+strings.Join(c.options.Controllers, ","), "--root-ca-file="+c.path("servers.crt"),
				"--service-account-private-key-file="+c.path("signer.key"), "--secure-port=0", "--v=1")
		},
		ready: func() bool { return true }}
}

// path returns the path of a file of the cluster.
func (c *Cluster) path(name string) string { return filepath.Join(c.Dir, name) }

// close ends everything. It may be called on a cluster that is nil or half started.
func (c *Cluster) close() {
	if c == nil {
		return
	}
	for _, p := range []*process{c.mesh, c.controllers, c.api, c.etcd} {
		if p != nil {
			p.kill()
		}
	}
	if c.gate != nil {
		c.gate.shut()
	}
	if c.ns != nil {
		c.ns.close()
	}
}

// Logs returns the ends of the logs of the cluster's programs.
func (c *Cluster) Logs() string {
	var out strings.Builder
	for _, p := range []*process{c.etcd, c.api, c.controllers, c.mesh} {
		if p != nil {
			fmt.Fprintf(&out, "%s:\n%s\n", p.logPath(), p.tail())
		}
	}
	return out.String()
}

// StopAPI ends the API server: whoever asks is refused, and connections break. StartAPI starts it again, with everything
// that it knew.
func (c *Cluster) StopAPI() {
	c.gate.shut()
	c.api.kill()
}

// StartAPI starts an API server that StopAPI ended, and returns when it is ready.
func (c *Cluster) StartAPI(ctx context.Context) error {
	if err := c.gate.unlock(); err != nil {
		return err
	}
	return c.api.up(ctx)
}

// FreezeAPI stops the API server's work without ending it: connections are accepted, and nothing is answered. ThawAPI lets
// it go on.
func (c *Cluster) FreezeAPI() error { return c.api.freeze() }

// ThawAPI lets a frozen API server go on.
func (c *Cluster) ThawAPI() error { return c.api.signal(syscall.SIGCONT) }

// StopControllers ends Chaos Mesh's controllers at once. Its webhooks are not answered then, and by their failure policy
// the API server takes no objects of theirs, unless the webhooks are removed: RemoveWebhooks.
func (c *Cluster) StopControllers() error {
	if c.mesh == nil {
		return errNoMesh
	}
	c.mesh.kill()
	return nil
}

// StartControllers starts Chaos Mesh's controllers again, and returns when their webhooks answer.
func (c *Cluster) StartControllers(ctx context.Context) error {
	if c.mesh == nil {
		return errNoMesh
	}
	return c.mesh.up(ctx)
}

// Program returns the path of one of the programs that tools/setup-kubernetes builds.
func (c *Cluster) Program(name string) (string, error) {
	path := c.versions.program(name)
	return path, missing([]string{path}, nil)
}

// Run starts a command in the cluster's network namespace, where its addresses and its pods' can be reached. The caller
// waits for it, and bounds it; it ends with the cluster.
func (c *Cluster) Run(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = dieWithUs()
	}
	return c.ns.start(cmd)
}

// Dial connects to a TCP address in the cluster's network namespace.
func (c *Cluster) Dial(address string) (net.Conn, error) { return c.ns.dial(address) }

// Listen listens on a TCP address in the cluster's network namespace.
func (c *Cluster) Listen(address string) (net.Listener, error) { return c.ns.listen(address) }

// Within calls f on a thread that is in the cluster's network namespace, for what starts programs by itself. Programs that
// it starts to end with their parent end with the cluster. Meanwhile nobody else can use the namespace.
func (c *Cluster) Within(f func() error) error { return c.ns.do(f) }

// Kubectl runs kubectl as the administrator, with a standard input, and returns what it prints on both outputs.
func (c *Cluster) Kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	return c.KubectlAs(ctx, c.Admin, stdin, args...)
}

// KubectlAs runs kubectl with a kubeconfig.
func (c *Cluster) KubectlAs(ctx context.Context, kubeconfig, stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.versions.program("kubectl"), append([]string{"--kubeconfig", kubeconfig, "--cache-dir", c.path("kubectl-cache")}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}
