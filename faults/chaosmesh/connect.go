// Package chaosmesh injects faults in Kubernetes clusters with the objects of Chaos Mesh: the same kinds, by the same guard, as on
// machines. It is the one importer of Chaos Mesh's API.
//
//	guard ──object with owner, run and duration──▶ API server ──▶ Chaos Mesh's controllers ──▶ pods
//	      ◀──conditions, records per pod─────────
//
// The lease is in the cluster too: an object's duration ends shortly after the fault is to end, so Chaos Mesh lifts it when nobody of
// ours is left to delete it.
package chaosmesh

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	api "k8s.io/client-go/tools/clientcmd/api"

	"gameday/faults"
)

// Limits of requests to an API server.
const (
	requestLimit = 15 * time.Second // of every request but watches
	watchLimit   = 4 * time.Minute  // of one watch, which is then begun anew
	requestRate  = 50               // a second, over all requests of one connection
	requestBurst = 100
)

// client is a connection to one cluster. It is safe for concurrent use.
type client struct {
	access faults.Access // resolved: files by their whole paths, and the context that was meant; both empty inside a cluster
	config *rest.Config
	dynamic.Interface
	watching dynamic.Interface // without a limit on a request's time
	planes   planes
	usual    []string // namespaces that the kubeconfig's contexts for the cluster name
}

// connect prepares a connection as kubectl would. Nobody is contacted yet. Its error says what is missing and what to do.
func connect(a faults.Access) (*client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	if a.Kubeconfig != "" {
		files := filepath.SplitList(a.Kubeconfig)
		for _, path := range files {
			if _, err := os.Stat(path); err != nil {
				return nil, fmt.Errorf("reading the kubeconfig %s: %w; write the path of a file that kubectl can use", path, cause(err))
			}
		}
		rules = &clientcmd.ClientConfigLoadingRules{Precedence: files}
	}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: a.Context})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, unusable(rules, a, err)
	}
	resolved := resolve(rules, loader, a)
	config.UserAgent = "gameday"
	config.QPS, config.Burst = requestRate, requestBurst
	config.WarningHandler = rest.NoWarnings{}
	config.Timeout = requestLimit
	slow := rest.CopyConfig(config)
	slow.Timeout = 0
	quick, err := dynamic.NewForConfig(config)
	watching, err2 := dynamic.NewForConfig(slow)
	if err = errors.Join(err, err2); err != nil {
		return nil, fmt.Errorf("preparing a connection to %s: %w; look at the files and certificates that the kubeconfig names", config.Host, err)
	}
	return &client{access: resolved, config: config, Interface: quick, watching: watching, usual: usual(loader, resolved.Context)}, nil
}

// resolve says of an access that leaves something open which files and which context are meant now, so that a later process finds the
// same cluster again although $KUBECONFIG or the current context changed.
func resolve(rules *clientcmd.ClientConfigLoadingRules, loader clientcmd.ClientConfig, a faults.Access) faults.Access {
	raw, err := loader.RawConfig()
	if err != nil || len(raw.Contexts) == 0 { // inside a cluster
		return a
	}
	var files []string
	for _, path := range rules.Precedence {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if whole, err := filepath.Abs(path); err == nil {
			path = whole
		}
		files = append(files, path)
	}
	if a.Context == "" {
		a.Context = raw.CurrentContext
	}
	a.Kubeconfig = strings.Join(files, string(filepath.ListSeparator))
	return a
}

// usual returns the namespaces that a kubeconfig names for the cluster of a context, the context's own first, or the one that a pod is in.
func usual(loader clientcmd.ClientConfig, context string) []string {
	var out []string
	if own, _, err := loader.Namespace(); err == nil {
		out = append(out, own)
	}
	raw, err := loader.RawConfig()
	if err != nil || raw.Contexts[context] == nil {
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(raw.Contexts)) {
		c := raw.Contexts[name]
		if c.Cluster == raw.Contexts[context].Cluster && c.Namespace != "" && !slices.Contains(out, c.Namespace) {
			out = append(out, c.Namespace)
		}
	}
	return out
}

// unusable says why no cluster can be reached with what the kubeconfig says. It repeats nothing of the file but names of contexts.
func unusable(rules *clientcmd.ClientConfigLoadingRules, a faults.Access, err error) error {
	where := strings.Join(rules.Precedence, ", ")
	raw, loading := rules.Load()
	if loading != nil {
		return fmt.Errorf("reading the kubeconfig (%s): %w; `kubectl config view` shows the same", where, loading)
	}
	if len(raw.Contexts) == 0 {
		return fmt.Errorf("there is no kubeconfig: %s has no cluster in it, and this is not inside one; set $KUBECONFIG, write kubeconfig = "+
			"\"…\", or make one as your cluster's documentation says", where)
	}
	if a.Context != "" && raw.Contexts[a.Context] == nil {
		return fmt.Errorf("the kubeconfig (%s) has no context %q; it has %s", where, a.Context, contexts(raw))
	}
	if a.Context == "" && raw.CurrentContext == "" {
		return fmt.Errorf("the kubeconfig (%s) says of none of its contexts that it is the current one; write context = \"…\" with one of %s",
			where, contexts(raw))
	}
	if a.Context == "" && raw.Contexts[raw.CurrentContext] == nil {
		return fmt.Errorf("the kubeconfig (%s) has no context %q, which it says is its current one; it has %s", where, raw.CurrentContext,
			contexts(raw))
	}
	return fmt.Errorf("the kubeconfig (%s) cannot be used: %w; `kubectl get namespaces` shows the same", where, err)
}

func contexts(raw *api.Config) string {
	return strings.Join(slices.Sorted(maps.Keys(raw.Contexts)), ", ")
}

// cause is an error about a file without its path, which the text around it has already.
func cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}
