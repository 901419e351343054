// Package kubernetes starts the runners of a stream in a cluster, one pod each: by Jobs of its own, or by a TestRun of the k6 operator. It
// is a part of gameday-kubernetes, which gameday starts for each stream that needs it.
//
//	gameday ──an order, a line of JSON; then nothing until the end──▶ stdin  gameday-kubernetes traffic ──▶ API server
//	        ◀──news, a line of JSON each──────────────────────────── stdout
//
// When its input ends, by whatever cause, all that was made is deleted. What is left when this program is killed as well lapses: Jobs
// have a deadline and are removed when they are over, with what they own; runners end by themselves when they have no collector.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"gameday/faults"
)

const (
	// requestLimit bounds every request but those that follow a log.
	requestLimit = 15 * time.Second
	// requestRate is how many requests a second are sent at most, and requestBurst how many at once. They bound what goes wrong, not what is
	// meant: objects are made one after the other, but all runners that there may be are asked for their clocks at once, and told of the begin
	// and of changes, in less time than a change may take. By client-go's own five a second that would take minutes.
	requestRate, requestBurst = 1000, 1000
)

// What is made and looked at.
var (
	jobs       = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}
	pods       = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	secrets    = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	testRuns   = schema.GroupVersionResource{Group: "k6.io", Version: "v1alpha1", Resource: "testruns"}
	reviews    = schema.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "selfsubjectaccessreviews"}
)

// client is a connection to a cluster.
type client struct {
	dynamic.Interface
	// logs follows what a pod's container prints.
	logs func(ctx context.Context, namespace, pod, container string) (io.ReadCloser, error)
	// logsSince follows it from the second of an instant on, from its begin when that is zero, each line with the time when it was printed.
	logsSince func(ctx context.Context, namespace, pod, container string, since time.Time) (io.ReadCloser, error)
}

// connect prepares a connection, as kubectl would. Nobody is contacted.
func connect(a faults.Access) (*client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	if a.Kubeconfig != "" {
		rules = &clientcmd.ClientConfigLoadingRules{Precedence: filepath.SplitList(a.Kubeconfig)}
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: a.Context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("finding out how the cluster is reached: %w; `kubectl config view` shows what there is", err)
	}
	config.UserAgent = "gameday"
	config.WarningHandler = rest.NoWarnings{}
	config.QPS, config.Burst = requestRate, requestBurst
	slow := rest.CopyConfig(config)
	config.Timeout = requestLimit
	d, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("preparing a connection to the cluster: %w", err)
	}
	slow.APIPath, slow.GroupVersion = "/api", &schema.GroupVersion{Version: "v1"}
	known := runtime.NewScheme()
	metav1.AddToGroupVersion(known, schema.GroupVersion{Version: "v1"}) // a refusal is a Status, which says what of
	slow.NegotiatedSerializer = serializer.NewCodecFactory(known).WithoutConversion()
	core, err := rest.RESTClientFor(slow)
	if err != nil {
		return nil, fmt.Errorf("preparing a connection to the cluster: %w", err)
	}
	log := func(namespace, pod, container string) *rest.Request {
		return core.Get().Namespace(namespace).Resource("pods").Name(pod).SubResource("log").Param("container", container).Param("follow", "true")
	}
	return &client{Interface: d, logs: func(ctx context.Context, namespace, pod, container string) (io.ReadCloser, error) {
		return log(namespace, pod, container).Stream(ctx)
	}, logsSince: func(ctx context.Context, namespace, pod, container string, since time.Time) (io.ReadCloser, error) {
		q := log(namespace, pod, container).Param("timestamps", "true")
		if !since.IsZero() {
			q.Param("sinceTime", since.UTC().Truncate(time.Second).Format(time.RFC3339))
		}
		return q.MaxRetries(0).Stream(ctx)
	}}, nil
}

// object turns a typed object into one of the dynamic client's.
func object(o any) (*unstructured.Unstructured, error) {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, fmt.Errorf("encoding an object: %w", err)
	}
	delete(m, "status") // which is not ours to say
	return &unstructured.Unstructured{Object: m}, nil
}

// typed decodes an object of the dynamic client.
func typed[T any](o *unstructured.Unstructured) (*T, error) {
	var out T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &out); err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", strings.ToLower(o.GetKind()), o.GetName(), err)
	}
	return &out, nil
}

// explained adds to an error of the API server what one can do.
func explained(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%w: the cluster does not know who asks; log in again, or renew the token", err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w: see docs/kubernetes.md for the Role that gameday needs", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the cluster's API server did not answer in time: %w", err)
	}
	return err
}
