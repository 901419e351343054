package targets

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/find"
	"gameday/faults/guard"
)

// InCluster is a selector of places in a Kubernetes cluster.
type InCluster interface {
	Selector
	// Block returns what the selector's block is decoded into.
	Block() any
	// Reach sets how the cluster is reached. It is called before anything is found, and again when it is known which cluster is meant.
	Reach(faults.Access)
	// Known returns what is known of its places before anybody looks, for a policy to judge.
	Known() *faults.Cluster
	// query is what gameday-kubernetes is asked for the places.
	query() cluster.Query
}

// Pods selects running pods.
type Pods struct {
	cluster.Pods
	access faults.Access
}

// Instance selects one virtual machine of a cloud. Exactly one of AWS, GCP and Azure is set.
type Instance struct {
	Namespace string                `hcl:"namespace"`
	Secret    string                `hcl:"secret,optional"`
	AWS       *faults.AWSInstance   `hcl:"aws,block"`
	GCP       *faults.GCPInstance   `hcl:"gcp,block"`
	Azure     *faults.AzureInstance `hcl:"azure,block"`
	access    faults.Access
}

// PhysicalMachines selects machines on which chaosd runs.
type PhysicalMachines struct {
	cluster.Machines
	access faults.Access
}

// ProtectedNamespaces are what keeps a cluster alive: no fault of ours may land there.
func ProtectedNamespaces() []string { return []string{"kube-system", "kube-public", "kube-node-lease"} }

// Kind returns "pods".
func (p *Pods) Kind() string { return "pods" }

// Kind returns "instance".
func (i *Instance) Kind() string { return "instance" }

// Kind returns "machine".
func (m *PhysicalMachines) Kind() string { return "machine" }

// everything is what a pod and a machine have. Whether a kind can work on that part of one is known to gameday-kubernetes.
func everything() []faults.Need {
	return []faults.Need{faults.NeedProcess, faults.NeedNetwork, faults.NeedNode, faults.NeedMachine}
}

// Provides says that a pod has processes and a network, can be restarted, can be loaded, and is a pod.
func (p *Pods) Provides() []faults.Need { return append(everything(), faults.NeedPod) }

// Provides says that an instance can be restarted. Nobody looks inside.
func (i *Instance) Provides() []faults.Need { return []faults.Need{faults.NeedNode} }

// Provides says that a machine has processes and a network, can be restarted, and can be loaded.
func (m *PhysicalMachines) Provides() []faults.Need { return everything() }

// Block returns the attributes of pods.
func (p *Pods) Block() any { return &p.Pods }

// Block returns the selector itself.
func (i *Instance) Block() any { return i }

// Block returns the attributes of machine.
func (m *PhysicalMachines) Block() any { return &m.Machines }

// Reach sets how the cluster is reached.
func (p *Pods) Reach(a faults.Access) { p.access = a }

// Reach sets how the cluster is reached.
func (i *Instance) Reach(a faults.Access) { i.access = a }

// Reach sets how the cluster is reached.
func (m *PhysicalMachines) Reach(a faults.Access) { m.access = a }

// Known returns a pod without a name.
func (p *Pods) Known() *faults.Cluster {
	return &faults.Cluster{Access: p.access, Pod: &faults.Pod{Namespace: p.Namespace}, Labels: p.Labels}
}

// Known returns the instance.
func (i *Instance) Known() *faults.Cluster {
	return &faults.Cluster{Access: i.access, Instance: i.query().Instance}
}

// Known returns the machine, perhaps without a name.
func (m *PhysicalMachines) Known() *faults.Cluster {
	return &faults.Cluster{Access: m.access, Machine: &faults.PhysicalMachine{Namespace: m.Namespace, Name: m.Name, Address: m.Address}, Labels: m.Labels}
}

func (p *Pods) query() cluster.Query {
	return cluster.Query{Access: p.access, Pods: &p.Pods}
}

func (i *Instance) query() cluster.Query {
	return cluster.Query{Access: i.access,
		Instance: &faults.Instance{Namespace: i.Namespace, Secret: i.Secret, AWS: i.AWS, GCP: i.GCP, Azure: i.Azure}}
}

func (m *PhysicalMachines) query() cluster.Query {
	return cluster.Query{Access: m.access, Machines: &m.Machines}
}

// What Kubernetes lets things be called. A key of a label is a name, perhaps after the name of a domain and a slash.
var (
	labelWord = regexp.MustCompile(`^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$`)
	dnsLabel  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	dnsName   = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	fieldPath = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9]*(\.[a-zA-Z][a-zA-Z0-9]*)+$`)
	awsID     = regexp.MustCompile(`^i-[0-9a-f]{8}([0-9a-f]{9})?$`)
)

// mistakes gathers what is wrong with a selector.
type mistakes []error

func (m *mistakes) add(field, summary, format string, args ...any) {
	*m = append(*m, &faults.FieldError{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
}

func (m *mistakes) namespace(name string) {
	switch {
	case !dnsLabel.MatchString(name):
		m.add("namespace", "Invalid namespace", "%q is no name of a namespace: it has lower-case letters, digits and \"-\", 63 at most. "+
			"`kubectl get namespaces` lists them.", name)
	case slices.Contains(ProtectedNamespaces(), name):
		m.add("namespace", "Protected namespace", "%s is what keeps the cluster alive: a fault there hits everybody, and may take away "+
			"what would undo it. Choose a namespace of your own.", name)
	}
}

func (m *mistakes) labels(labels map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		domain, word, prefixed := strings.Cut(key, "/")
		if !prefixed {
			domain, word = "", key
		}
		if word == "" || !labelWord.MatchString(word) || prefixed && (len(domain) > 253 || !dnsName.MatchString(domain)) {
			m.add("labels", "Invalid label", "%q is no key of a label: it has letters, digits, \"-\", \"_\" and \".\", 63 at most, perhaps "+
				"after a domain and a slash, as in \"app.kubernetes.io/name\".", key)
		}
		if !labelWord.MatchString(labels[key]) {
			m.add("labels", "Invalid label", "%q is no value of a label: it has letters, digits, \"-\", \"_\" and \".\", 63 at most. Only "+
				"whole values are compared: write one target for each.", labels[key])
		}
	}
}

// Validate reports a selector that selects everything in a namespace, namespaces that no fault may touch, and names that nothing has.
func (p *Pods) Validate() error {
	var m mistakes
	m.namespace(p.Namespace)
	if len(p.Labels) == 0 && len(p.Fields) == 0 {
		m.add("labels", "Empty selector", "A pods target that says nothing but a namespace would select every pod in it. Give labels, as in "+
			"labels = { app = \"payments\" }, or fields.")
	}
	m.labels(p.Labels)
	for _, field := range slices.Sorted(maps.Keys(p.Fields)) {
		if !fieldPath.MatchString(field) || strings.ContainsAny(p.Fields[field], ",=!\\\n") {
			m.add("fields", "Invalid field", "%q = %q is no field selector. Write a field as the API server has it, with the value that it must "+
				"have: fields = { \"spec.nodeName\" = \"worker-1\" }.", field, p.Fields[field])
		}
	}
	for i, name := range p.Containers {
		switch {
		case !dnsLabel.MatchString(name):
			m.add("containers", "Invalid container name", "%q is no name of a container in a pod: it has lower-case letters, digits and \"-\".", name)
		case slices.Contains(p.Containers[:i], name):
			m.add("containers", "Named twice", "Container %q is in the list already.", name)
		}
	}
	return errors.Join(m...)
}

// Validate reports a selector of none or several clouds, and names that nothing has.
func (i *Instance) Validate() error {
	var m mistakes
	m.namespace(i.Namespace)
	if i.Secret != "" && !dnsName.MatchString(i.Secret) {
		m.add("secret", "Invalid secret", "%q is no name of a Secret in the cluster.", i.Secret)
	}
	clouds := 0
	part := func(cloud string, fields ...string) {
		clouds++
		for n := 0; n < len(fields); n += 2 {
			if strings.TrimSpace(fields[n+1]) == "" {
				m.add(cloud, "Missing "+fields[n], "%s of the instance is empty.", fields[n])
			}
		}
	}
	if a := i.AWS; a != nil {
		part("aws", "region", a.Region, "instance", a.Instance)
		if a.Instance != "" && !awsID.MatchString(a.Instance) {
			m.add("aws", "Invalid instance", "%q is no id of an EC2 instance: it is like \"i-0123456789abcdef0\".", a.Instance)
		}
	}
	if g := i.GCP; g != nil {
		part("gcp", "project", g.Project, "zone", g.Zone, "instance", g.Instance)
	}
	if a := i.Azure; a != nil {
		part("azure", "subscription", a.Subscription, "resource_group", a.ResourceGroup, "vm", a.VM)
	}
	if clouds != 1 {
		m.add("aws", "Which cloud?", "An instance is in one cloud: give exactly one of aws { region, instance }, gcp { project, zone, instance } "+
			"and azure { subscription, resource_group, vm }, one attribute a line.")
	}
	return errors.Join(m...)
}

// Validate reports a selector of no machine or of every one, and names and addresses that none has.
func (p *PhysicalMachines) Validate() error {
	var m mistakes
	m.namespace(p.Namespace)
	given := 0
	for _, is := range []bool{p.Name != "", len(p.Labels) > 0, p.Address != ""} {
		if is {
			given++
		}
	}
	switch {
	case given == 0:
		m.add("name", "Empty selector", "A machine target that says nothing but a namespace would select every machine in it. Give name, labels "+
			"or address.")
	case given > 1:
		m.add("name", "Several selectors", "A machine is found by its name, by labels or by the address of its chaosd: give one of them.")
	}
	if p.Name != "" && !dnsName.MatchString(p.Name) {
		m.add("name", "Invalid name", "%q is no name of a PhysicalMachine. `kubectl get physicalmachines -n %s` lists them.", p.Name, p.Namespace)
	}
	m.labels(p.Labels)
	if at, err := url.Parse(p.Address); p.Address != "" &&
		(err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Hostname() == "" || at.User != nil || at.RawQuery != "") {
		m.add("address", "Invalid address", "%q is no address of a chaosd: it is like \"http://10.0.0.5:31767\".", p.Address)
	}
	return errors.Join(m...)
}

// String returns "pods app=payments in namespace shop".
func (p *Pods) String() string {
	words := append(pairs(p.Labels), pairs(p.Fields)...)
	text := fmt.Sprintf("pods %s in namespace %s", strings.Join(words, ", "), p.Namespace)
	if len(p.Containers) > 0 {
		text += ", container " + and(p.Containers)
	}
	return text
}

// String returns "EC2 instance i-0abc in eu-west-1".
func (i *Instance) String() string {
	switch {
	case i.AWS != nil:
		return fmt.Sprintf("EC2 instance %s in %s", i.AWS.Instance, i.AWS.Region)
	case i.GCP != nil:
		return fmt.Sprintf("GCP instance %s in %s of project %s", i.GCP.Instance, i.GCP.Zone, i.GCP.Project)
	case i.Azure != nil:
		return fmt.Sprintf("Azure VM %s in resource group %s", i.Azure.VM, i.Azure.ResourceGroup)
	}
	return "instance"
}

// String returns "machine db-1 in namespace chaos".
func (p *PhysicalMachines) String() string {
	switch {
	case p.Address != "":
		return "machine at " + p.Address
	case p.Name != "":
		return fmt.Sprintf("machine %s in namespace %s", p.Name, p.Namespace)
	}
	return fmt.Sprintf("machines %s in namespace %s", strings.Join(pairs(p.Labels), ", "), p.Namespace)
}

func pairs(m map[string]string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return out
}

// errNoCluster is for machines that were not told how to speak to clusters.
var errNoCluster = errors.New("no cluster can be reached from here")

// inCluster asks gameday-kubernetes for places.
func (m *Machine) inCluster(ctx context.Context, q cluster.Query) (find.Result, error) {
	if m.Cluster == nil {
		return find.Result{}, errNoCluster
	}
	r, err := m.Cluster.Find(ctx, q)
	if err != nil {
		return r, err
	}
	for _, f := range r.Found {
		if f.Place.Cluster == nil {
			return r, fmt.Errorf("%s found %q, and does not say what it is", cluster.Program, f.Text)
		}
	}
	return r, nil
}

// Unasked is the cluster itself as a place, without asking whether it is there: for somebody who only looks.
func Unasked(a faults.Access) Place {
	text := "the cluster of the current context"
	if a.Context != "" {
		text = "the cluster of context " + a.Context
	}
	return &localPlace{Place: faults.Place{Name: ClusterPlace, Cluster: &faults.Cluster{Access: a}}, text: text,
		stand: func(context.Context) (*guard.Client, error) { return nil, errNoCluster }}
}

// Unseen stands for a place of a selector of which none is known: for asking a cluster what it would need to have a fault there.
func Unseen(target string, s InCluster) Place {
	known := *s.Known()
	if known.Pod != nil {
		pod := *known.Pod
		pod.Name = unseen
		pod.AllContainers = []string{unseen}
		if p, is := s.(*Pods); is {
			pod.Containers = p.Containers
		}
		known.Pod = &pod
	}
	return &localPlace{Place: faults.Place{Name: target, Cluster: &known}, text: s.String(),
		stand: func(context.Context) (*guard.Client, error) { return nil, errNoCluster }}
}

// unseen is the name of whatever a place has that nobody has seen.
const unseen = "unseen"

// ClusterPlace is the name of the cluster itself as a place.
const ClusterPlace = "cluster"

// Whole returns the cluster itself, for faults that say by themselves where they land.
func (m *Machine) Whole(ctx context.Context, a faults.Access) (Place, error) {
	r, err := m.inCluster(ctx, cluster.Query{Access: a, Itself: true})
	switch {
	case err != nil:
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	case len(r.Found) != 1:
		return nil, fmt.Errorf("reaching the cluster: %d are found; %s", len(r.Found), r.Hint)
	}
	p := &localPlace{Place: r.Found[0].Place, text: r.Found[0].Text, stand: m.Cluster.Guard}
	p.Name = ClusterPlace
	return p, nil
}
