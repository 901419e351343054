package chaosmesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
)

// What Chaos Mesh's installation calls its parts.
const (
	managerName      = "chaos-controller-manager"
	managerComponent = "app.kubernetes.io/component=controller-manager"
	daemonSlices     = "chaos-daemon-" // what the names of its EndpointSlices begin with; its controllers go by that too
	versionLabel     = "app.kubernetes.io/version"
)

// protected are namespaces whose pods nobody may hit: a cluster that is broken there heals nothing any more. The last is where Chaos
// Mesh is unless it was installed elsewhere; it would have to lift what took itself down.
var protected = []string{"kube-system", "kube-public", "kube-node-lease", "chaos-mesh"}

var (
	deploymentsAt = appsv1.SchemeGroupVersion.WithResource("deployments")
	slicesAt      = discoveryv1.SchemeGroupVersion.WithResource("endpointslices")
)

// plane is Chaos Mesh's control plane as far as it can be seen.
type plane struct {
	seen      bool // the Deployment was found
	namespace string
	version   string // "2.8.4"; empty when the Deployment does not tell
	ready     int32
	want      int32
	filter    bool   // only namespaces that opt in are hit
	only      string // the one namespace that is hit, when it is not the whole cluster
	why       string // why nothing is known, when it was not seen
}

// planes remembers it for the life of a connection.
type planes struct {
	once      sync.Once
	namespace string
}

// controlPlane looks for the Deployment of Chaos Mesh's controllers: in all namespaces, or, where that is forbidden, in those in which
// its documentation installs it.
func (c *client) controlPlane(ctx context.Context) plane {
	list, err := c.Resource(deploymentsAt).List(ctx, metav1.ListOptions{LabelSelector: managerComponent})
	if err == nil {
		for _, u := range list.Items {
			if u.GetName() == managerName {
				return planeOf(&u)
			}
		}
		return plane{why: "no namespace has a Deployment " + managerName}
	}
	if !apierrors.IsForbidden(err) {
		return plane{why: oneLine(c.plain(err).Error())}
	}
	for _, ns := range []string{"chaos-mesh", "chaos-testing"} {
		u, err := c.Resource(deploymentsAt).Namespace(ns).Get(ctx, managerName, metav1.GetOptions{})
		if err == nil {
			return planeOf(u)
		}
	}
	return plane{why: "nothing allows to list Deployments, and none " + managerName + " is to be read in namespace chaos-mesh"}
}

func planeOf(u *unstructured.Unstructured) plane {
	p := plane{seen: true, namespace: u.GetNamespace(), want: 1}
	var d appsv1.Deployment
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &d); err != nil {
		return plane{why: err.Error()}
	}
	if d.Spec.Replicas != nil {
		p.want = *d.Spec.Replicas
	}
	p.ready = d.Status.ReadyReplicas
	if v := d.Labels[versionLabel]; v != "0.0.0" {
		p.version = strings.TrimPrefix(v, "v")
	}
	scoped := true
	for _, container := range d.Spec.Template.Spec.Containers {
		if !strings.Contains(container.Image, "chaos-mesh") {
			continue
		}
		if _, tag, ok := strings.Cut(container.Image[strings.LastIndex(container.Image, "/")+1:], ":"); ok {
			tag, _, _ = strings.Cut(tag, "@")
			p.version = strings.TrimPrefix(tag, "v")
		}
		for _, e := range container.Env {
			switch e.Name {
			case "ENABLE_FILTER_NAMESPACE":
				p.filter = strings.EqualFold(e.Value, "true")
			case "CLUSTER_SCOPED":
				scoped = !strings.EqualFold(e.Value, "false")
			case "TARGET_NAMESPACE":
				p.only = e.Value
			}
		}
	}
	if scoped {
		p.only = ""
	}
	return p
}

// dead reports whether the controllers are known not to run.
func (p plane) dead() bool { return p.seen && p.ready == 0 }

// text says how it stands with the controllers.
func (p plane) text() string {
	switch {
	case !p.seen:
		return "whether " + managerName + " runs cannot be seen: " + p.why
	case p.ready == 0:
		return fmt.Sprintf("%s in namespace %s does not run: 0 of %d are ready", managerName, p.namespace, p.want)
	}
	return fmt.Sprintf("%s in namespace %s runs, %d of %d ready", managerName, p.namespace, p.ready, p.want)
}

// unprotected refuses a namespace that must not be hit.
func (c *client) unprotected(ctx context.Context, namespace string) error {
	own := slices.Contains(protected, namespace)
	if !own {
		c.planes.once.Do(func() { c.planes.namespace = c.controlPlane(ctx).namespace })
		own = namespace != "" && namespace == c.planes.namespace
	}
	if !own {
		return nil
	}
	what := "what the cluster itself needs runs there"
	if !strings.HasPrefix(namespace, "kube-") {
		what = "Chaos Mesh runs there, and would have to lift what takes itself down"
	}
	return fmt.Errorf("namespace %s is protected: %s; gameday puts no fault into it, whatever a policy allows", namespace, what)
}

// needsDaemon reports whether an object is carried out by the chaos-daemon on its targets' nodes, and not by the controllers alone.
func needsDaemon(u *unstructured.Unstructured) bool {
	switch u.GetKind() {
	case v1alpha1.KindPodChaos:
		action, _, _ := unstructured.NestedString(u.Object, "spec", "action")
		return action == string(v1alpha1.ContainerKillAction)
	case v1alpha1.KindNetworkChaos, v1alpha1.KindStressChaos, v1alpha1.KindIOChaos, v1alpha1.KindTimeChaos, v1alpha1.KindDNSChaos,
		v1alpha1.KindHTTPChaos, v1alpha1.KindKernelChaos, v1alpha1.KindJVMChaos, v1alpha1.KindBlockChaos:
		return true
	}
	return false
}

// daemonOn returns an error when no chaos-daemon serves a node: nothing could be injected there, and for a network fault not lifted
// either. It returns nil when one does, and when that cannot be seen.
func (c *client) daemonOn(ctx context.Context, node string) error {
	if node == "" {
		return nil
	}
	candidates := []string{"chaos-mesh", "chaos-testing"}
	p := c.controlPlane(ctx)
	if p.seen {
		candidates = []string{p.namespace}
	}
	seen, errs := false, []error(nil)
	for _, ns := range candidates {
		list, err := c.Resource(slicesAt).Namespace(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, u := range list.Items {
			if !strings.HasPrefix(u.GetName(), daemonSlices) {
				continue
			}
			seen = true
			if serves(&u, node) {
				return nil
			}
		}
	}
	if errors.Join(errs...) != nil || !seen && !p.seen {
		return nil
	}
	return fmt.Errorf("no chaos-daemon serves node %s: no EndpointSlice %s… in namespace %s names it", node, daemonSlices, strings.Join(candidates, " or "))
}

// serves reports whether an EndpointSlice has an endpoint on a node.
func serves(u *unstructured.Unstructured, node string) bool {
	var s discoveryv1.EndpointSlice
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &s); err != nil {
		return true // what cannot be read says nothing
	}
	return slices.ContainsFunc(s.Endpoints, func(e discoveryv1.Endpoint) bool {
		return e.NodeName != nil && *e.NodeName == node && len(e.Addresses) > 0
	})
}

// served reports whether a NotFound is about an object or a namespace, and not about a kind that the server does not have.
func served(err error) bool {
	return !apierrors.IsNotFound(err) || !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// withoutKind returns nil when the cluster says that it does not serve a kind of Chaos Mesh. That a page is not found proves nothing: what
// answers may be a proxy that leads elsewhere.
func (c *client) withoutKind(ctx context.Context, kind string) error {
	kinds, err := c.kindsServed(ctx, v1alpha1.SchemeGroupVersion)
	switch {
	case err == nil && kinds[kind]:
		return fmt.Errorf("%s says that it serves %s, and answers as if it did not", c.config.Host, kind)
	case err == nil || !apierrors.IsNotFound(err):
		return err
	}
	d, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err != nil {
		return fmt.Errorf("preparing a connection to %s: %w", c.config.Host, err)
	}
	var groups metav1.APIGroupList
	err = c.steadily(ctx, func(ctx context.Context) error { return d.RESTClient().Get().AbsPath("/apis").Do(ctx).Into(&groups) })
	if err != nil || len(groups.Groups) == 0 {
		return fmt.Errorf("what answers at %s does not say what it serves, so it may be no API server, or a proxy that leads nowhere; what was made stands as far as is known", c.config.Host)
	}
	if slices.ContainsFunc(groups.Groups, func(g metav1.APIGroup) bool { return g.Name == v1alpha1.SchemeGroupVersion.Group }) {
		return fmt.Errorf("%s has %s, and not the version that %s was made by", c.config.Host, v1alpha1.SchemeGroupVersion.Group, kind)
	}
	return nil
}

// notServed says of a kind that the server does not have what that means.
func notServed(err error, kind string) error {
	if served(err) {
		return err
	}
	return &said{err, fmt.Sprintf("the cluster does not serve %s (chaos-mesh.org/v1alpha1): Chaos Mesh is not installed in it, or is one that does not "+
		"have that kind yet; see https://chaos-mesh.org/docs for installing it", kind)}
}
