// Package cluster is what gameday and gameday-kubernetes say to each other beside the guard's own protocol: the query that travels
// in a guard's Find, and its answers. It uses the standard library alone, since gameday itself does not link a Kubernetes client.
package cluster

import (
	"encoding/json"
	"time"

	"gameday/faults"
	"gameday/faults/find"
	"gameday/faults/guard"
)

// Program is the name of the program that speaks to clusters.
const Program = "gameday-kubernetes"

// Labels and annotations of every object that is put into a cluster, so that whose it is can be told by them alone. Values of labels
// are cut and cleaned to what Kubernetes allows; annotations hold them whole.
const (
	LabelManaged       = "app.kubernetes.io/managed-by" // always "gameday"
	LabelRun           = "gameday/run"
	LabelScenario      = "gameday/scenario"
	LabelFault         = "gameday/fault"
	LabelOwner         = "gameday/owner"   // who runs it: user@host
	LabelTraffic       = "gameday/traffic" // the stream that runners send
	LabelRunners       = "gameday/runners" // the runners that were started together, by their objects' common name
	AnnotationRun      = "gameday/run"
	AnnotationScenario = "gameday/scenario"
	AnnotationFault    = "gameday/fault"
	AnnotationID       = "gameday/injection" // the ledger's id
	AnnotationOwner    = "gameday/owner"
	AnnotationUntil    = "gameday/until" // RFC 3339: later than that it should be gone
)

// Query asks gameday-kubernetes something, through its guard's Find. Exactly one field besides Access is set. Its answer is the
// JSON of the type that the field's comment names.
type Query struct {
	Access    faults.Access         `json:"access"`
	Pods      *Pods                 `json:"pods,omitempty"`      // find.Result
	Machines  *Machines             `json:"machines,omitempty"`  // find.Result
	Instance  *faults.Instance      `json:"instance,omitempty"`  // find.Result
	Itself    bool                  `json:"itself,omitempty"`    // find.Result: the cluster, as one place
	Validate  []Fault               `json:"validate,omitempty"`  // []Mistake; contacts nobody
	Render    []guard.InjectRequest `json:"render,omitempty"`    // []Rendered; contacts nobody
	Preflight *Preflight            `json:"preflight,omitempty"` // []Finding
	Ours      *Ours                 `json:"ours,omitempty"`      // []Object
	Lift      *Lift                 `json:"lift,omitempty"`      // []Lifted
	Event     *Event                `json:"event,omitempty"`     // null
	Radius    *ChaosMesh            `json:"radius,omitempty"`    // faults.Radius: what a manifest would hit
}

// Pods selects running pods of one namespace: all conditions that are given must hold.
type Pods struct {
	Namespace string            `hcl:"namespace" json:"namespace"`
	Labels    map[string]string `hcl:"labels,optional" json:"labels,omitempty"`
	// Fields are field selectors as the API server has them: "spec.nodeName", "metadata.name".
	Fields map[string]string `hcl:"fields,optional" json:"fields,omitempty"`
	// Containers are those in each pod that are meant; none are all of them.
	Containers []string `hcl:"containers,optional" json:"containers,omitempty"`
}

// Machines selects PhysicalMachine objects by name or labels, or one chaosd by its address.
type Machines struct {
	Namespace string            `hcl:"namespace" json:"namespace"`
	Name      string            `hcl:"name,optional" json:"name,omitempty"`
	Labels    map[string]string `hcl:"labels,optional" json:"labels,omitempty"`
	Address   string            `hcl:"address,optional" json:"address,omitempty"`
	Device    string            `hcl:"device,optional" json:"device,omitempty"` // network interface, for faults of the network
}

// Found is the answer to a query for places.
type Found = find.Result

// Fault is one fault of a scenario, for checking what Chaos Mesh cannot do before anything is touched.
type Fault struct {
	Name    string          `json:"name"`
	Kind    string          `json:"kind"`
	Config  json.RawMessage `json:"config"`
	Targets []string        `json:"targets,omitempty"` // kinds of selector: "pods", "instance", "machine"
	Between bool            `json:"between,omitempty"`
	// Duration is how long it stands, where the scenario says so; nanoseconds.
	Duration time.Duration `json:"duration,omitempty"`
}

// Mistake is something in a fault that cannot be done. Line and Column, from 1, are in the fault's manifest; 0 are the field in the
// scenario.
type Mistake struct {
	Fault   string `json:"fault"`
	Field   string `json:"field,omitempty"`
	Summary string `json:"summary"`
	Detail  string `json:"detail"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
}

// Rendered is an object that an injection puts into the cluster.
type Rendered struct {
	ID    string `json:"id"`
	Fault string `json:"fault"`
	Place string `json:"place"`
	YAML  string `json:"yaml"`
	// Lapses says that the cluster lifts the fault by itself when its duration is over, whoever has died.
	Lapses bool `json:"lapses"`
	// Note says what a reader must know, such as that a kind cannot lapse; empty when nothing.
	Note string `json:"note,omitempty"`
}

// Preflight asks whether injections can be made now, and how they compare to what their targets can bear.
type Preflight struct {
	Requests []guard.InjectRequest `json:"requests"`
	// Unaimed are those whose places cannot be told, each with one that stands for them: what is looked at is the cluster, and nothing
	// that only a real place has.
	Unaimed []guard.InjectRequest `json:"unaimed,omitempty"`
	// Load is set when the cluster is also to send traffic.
	Load *Load `json:"load,omitempty"`
}

// Load is what sending traffic from the cluster needs to be allowed to do.
type Load struct {
	Namespace string `json:"namespace"`
	Operator  bool   `json:"operator,omitempty"` // TestRuns of the k6 operator instead of Jobs
	Logs      bool   `json:"logs,omitempty"`     // by the pods' logs instead of a collector
}

// Finding is one result of a preflight.
type Finding struct {
	What    string `json:"what"` // "chaos mesh", "permissions", "pod disruption budget"
	Blocks  bool   `json:"blocks,omitempty"`
	Summary string `json:"summary"`
	Detail  string `json:"detail,omitempty"`
	// Faults are those that it is about; none are all that were asked about.
	Faults []string `json:"faults,omitempty"`
	// Fine says that it is as it should be: somebody who plans need not be told.
	Fine bool `json:"fine,omitempty"`
	// Cluster is the uid of the namespace kube-system of the cluster that was reached, which tells it from all others; empty in findings
	// about something else, and when it is unknown, as Summary says then.
	Cluster string `json:"cluster,omitempty"`
}

// Ours asks for the objects that gameday has put into the cluster; Run may be empty for those of all runs.
type Ours struct {
	Run string `json:"run,omitempty"`
	// Namespaces are looked into where all of the cluster may not be: those that a run touches. Without them it is an error that
	// something may not be seen.
	Namespaces []string `json:"namespaces,omitempty"`
	// Whole makes it an error that some of what may be ours cannot be seen, also when other objects are found, and when whoever asks may
	// not make such a thing: somebody else may have made the run.
	Whole bool `json:"whole,omitempty"`
}

// Object is an object of ours in a cluster.
type Object struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Run       string `json:"run"`
	Scenario  string `json:"scenario,omitempty"`
	Fault     string `json:"fault,omitempty"`
	ID        string `json:"id,omitempty"` // the ledger's id
	Owner     string `json:"owner,omitempty"`
	Until     string `json:"until,omitempty"`
	// Stands says in what state it is: "injected", "recovering: finalizer chaos-mesh/records", …
	Stands string `json:"stands"`
}

// Lift removes objects of ours, all of them or a run's, each until it is gone and its targets are recovered. Force takes the finalizers
// off those that hang, which leaves whatever Chaos Mesh did not undo.
type Lift struct {
	Run string `json:"run,omitempty"`
	// Only are the runs whose objects are lifted, if any are named: one that has begun since somebody looked is left alone.
	Only []string `json:"only,omitempty"`
	// Namespaces are as those of Ours.
	Namespaces []string `json:"namespaces,omitempty"`
	Force      bool     `json:"force,omitempty"`
	// But are ids of injections whose guards live: they are left alone.
	But []string `json:"but,omitempty"`
	// ButRuns are runs that are in progress: whatever is theirs is left alone, what sends their traffic too.
	ButRuns []string `json:"but_runs,omitempty"`
}

// Lifted says what became of an object.
type Lifted struct {
	Object
	Gone bool `json:"gone"`
	// Blocks says what stands in the way, precisely: which finalizer, which record of which pod, and why.
	Blocks string `json:"blocks,omitempty"`
	Note   string `json:"note,omitempty"`
}
