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
	"fmt"
	"path/filepath"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"gameday/faults"
)

// requestLimit bounds every request to an API server but watches, which bound themselves.
const requestLimit = 15 * time.Second

// client is a connection to one cluster. It is safe for concurrent use.
type client struct {
	access faults.Access
	config *rest.Config
	dynamic.Interface
}

// connect prepares a connection as kubectl would. Nobody is contacted yet.
func connect(a faults.Access) (*client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	if a.Kubeconfig != "" {
		rules = &clientcmd.ClientConfigLoadingRules{Precedence: filepath.SplitList(a.Kubeconfig)}
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: a.Context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("finding how the cluster is reached: %w", err)
	}
	config.UserAgent = "gameday"
	config.Timeout = requestLimit
	d, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("preparing a connection to %s: %w", config.Host, err)
	}
	return &client{access: a, config: config, Interface: d}, nil
}
