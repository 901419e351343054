package loadgen

import (
	"fmt"
	"slices"
	"time"
)

// The ways in which runners are started.
const (
	Processes  = "processes"   // on this machine, one process each
	Jobs       = "jobs"        // in a Kubernetes cluster, one Job each
	K6Operator = "k6-operator" // in a Kubernetes cluster, by the k6 operator's TestRun
)

// RunOn says who starts the runners that share a stream, how many, and what they need. All but Kind and Parallelism is for clusters.
type RunOn struct {
	Kind        string `json:"kind"`
	Parallelism int    `json:"parallelism"`
	// Collector is where runners find the collector, "host:port"; empty is the address of the pod that this program is in. With Logs there is
	// none: runners print what they have to tell, and what they are told is an annotation of their pods.
	Collector string `json:"collector,omitempty"`
	// Listen is what is listened on here for that; empty is the port of Collector, on all addresses.
	Listen string `json:"listen,omitempty"`

	Namespace string `json:"namespace,omitempty"`
	Image     string `json:"image,omitempty"`
	// InitializerImage and StarterImage are of the k6 operator's own pods; empty is what it chooses.
	InitializerImage string `json:"initializer_image,omitempty"`
	StarterImage     string `json:"starter_image,omitempty"`

	PullSecrets    []string          `json:"pull_secrets,omitempty"`
	ServiceAccount string            `json:"service_account,omitempty"`
	NodeSelector   map[string]string `json:"node_selector,omitempty"`
	Tolerations    []Toleration      `json:"tolerations,omitempty"`
	// Spread asks for a node of its own for each runner.
	Spread bool `json:"spread,omitempty"`
	// CPU and Memory are a runner's requests and limits, as Kubernetes writes quantities: "2", "500m", "1Gi".
	CPU    string `json:"cpu,omitempty"`
	Memory string `json:"memory,omitempty"`
}

// Toleration lets runners stand on nodes with a taint, as Kubernetes has it.
type Toleration struct {
	Key      string `json:"key,omitempty"`
	Operator string `json:"operator,omitempty"` // "Equal", which is meant without one, or "Exists"
	Value    string `json:"value,omitempty"`
	Effect   string `json:"effect,omitempty"` // "NoSchedule", "PreferNoSchedule", "NoExecute", or all
}

// String says who they are: "3 Jobs in namespace load".
func (r *RunOn) String() string {
	if r.Kind == Processes {
		return fmt.Sprintf("%d processes here", r.Parallelism)
	}
	what := map[string]string{Jobs: "Jobs", K6Operator: "runners of the k6 operator"}[r.Kind]
	text := fmt.Sprintf("%d %s in namespace %s", r.Parallelism, what, r.Namespace)
	if r.ByLogs() {
		text += ", by their logs"
	}
	return text
}

// InCluster reports whether the runners are pods.
func (r *RunOn) InCluster() bool { return r != nil && r.Kind != Processes }

const (
	// Logs is the Collector of runners that can reach nobody.
	Logs = "logs"
	// LogsLead is how long before it counts such runners are told of a change: an annotation is with its pod's processes a second or
	// two after it was made.
	LogsLead = 4 * time.Second
	// LogsLease is how long such runners go on when nothing is heard of the game day: as long as an API server may be away and a
	// kubelet may take to find it again.
	LogsLease = 90 * time.Second
)

// ByLogs reports whether the runners report by their pods' logs.
func (r *RunOn) ByLogs() bool { return r != nil && r.Collector == Logs }

// Lead returns how long before it counts the runners are told of a change, when that is long enough to be seen.
func (r *RunOn) Lead() time.Duration {
	if r.ByLogs() {
		return LogsLead
	}
	return 0
}

// Way returns how long what is said to the runners, and what they say, may be on its way.
func (r *RunOn) Way() Way {
	if r.ByLogs() {
		return printed
	}
	return network
}

// RunOns lists the ways in which runners can be started.
func RunOns() []string { return []string{K6Operator, Jobs, Processes} }

// KnownRunOn reports whether there is such a way.
func KnownRunOn(kind string) bool { return slices.Contains(RunOns(), kind) }

// Runner is one of those that somebody else has started, and what sends its segment.
type Runner struct {
	Name string
	Generator
}

// RunnerName returns the name of the i-th runner, from 0.
func RunnerName(i int) string { return fmt.Sprintf("runner-%d", i+1) }
