package faults

import "fmt"

// Cluster says what a place is in a Kubernetes cluster, and how the cluster is reached. At most one of Pod, Instance and
// Machine is set; none is the cluster itself, for faults that say by themselves where they land.
type Cluster struct {
	Access
	Pod      *Pod              `json:"pod,omitempty"`
	Instance *Instance         `json:"instance,omitempty"`
	Machine  *PhysicalMachine  `json:"machine,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"` // of the object, for a policy to judge
	// Radius is what a fault on the cluster itself would hit, for a policy to judge; nil where nobody looked.
	Radius *Radius `json:"radius,omitempty"`
}

// Access says how a cluster is reached, as kubectl would: both empty are $KUBECONFIG or ~/.kube/config with its current context,
// or, inside a cluster without either, the pod's service account.
type Access struct {
	Kubeconfig string `json:"kubeconfig,omitempty"` // path; several are separated as in $KUBECONFIG
	Context    string `json:"context,omitempty"`
}

// Pod is one pod, and which of its containers are meant.
type Pod struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"` // a pod of the same name that came later has another
	Node      string `json:"node,omitempty"`
	// Containers are those that the target names; none are all that the pod has. ContainerIDs are theirs, or those of all, in the
	// same order as the pod has them: a container that was restarted has another.
	Containers   []string `json:"containers,omitempty"`
	ContainerIDs []string `json:"container_ids,omitempty"`
	// AllContainers are the names of all that the pod has, in its order, whichever are meant.
	AllContainers []string `json:"all_containers,omitempty"`
	Ready         bool     `json:"ready"` // when it was looked at
}

// Instance is a virtual machine of a cloud, which Chaos Mesh reaches with the credentials in a Secret. Exactly one of AWS, GCP
// and Azure is set.
type Instance struct {
	// Namespace is where the Chaos Mesh object and Secret are; Secret may be empty where the controller has credentials.
	Namespace string         `json:"namespace"`
	Secret    string         `json:"secret,omitempty"`
	AWS       *AWSInstance   `json:"aws,omitempty"`
	GCP       *GCPInstance   `json:"gcp,omitempty"`
	Azure     *AzureInstance `json:"azure,omitempty"`
}

// AWSInstance is an EC2 instance.
type AWSInstance struct {
	Region   string `hcl:"region" json:"region"`
	Instance string `hcl:"instance" json:"instance"` // "i-0abc…"
}

// GCPInstance is a Compute Engine instance.
type GCPInstance struct {
	Project  string `hcl:"project" json:"project"`
	Zone     string `hcl:"zone" json:"zone"`
	Instance string `hcl:"instance" json:"instance"`
}

// AzureInstance is an Azure virtual machine.
type AzureInstance struct {
	Subscription  string `hcl:"subscription" json:"subscription"`
	ResourceGroup string `hcl:"resource_group" json:"resource_group"`
	VM            string `hcl:"vm" json:"vm"`
}

// PhysicalMachine is a machine on which chaosd runs: a PhysicalMachine object by name, or the address of its chaosd.
type PhysicalMachine struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name,omitempty"`
	Address   string `json:"address,omitempty"` // "http://10.0.0.5:31767"
	// Device is the network interface that faults of the network go through; chaosd takes no such fault without one.
	Device string `json:"device,omitempty"`
}

// Individual returns what tells a place in a cluster from all others: a pod, and with its containers' ids a life of theirs.
func (c *Cluster) Individual() string {
	at := c.Kubeconfig + " " + c.Context
	switch {
	case c.Pod != nil:
		return fmt.Sprintf("pod %s %s %v", at, c.Pod.UID, c.Pod.ContainerIDs)
	case c.Instance != nil && c.Instance.AWS != nil:
		return fmt.Sprintf("instance aws %v", *c.Instance.AWS)
	case c.Instance != nil && c.Instance.GCP != nil:
		return fmt.Sprintf("instance gcp %v", *c.Instance.GCP)
	case c.Instance != nil && c.Instance.Azure != nil:
		return fmt.Sprintf("instance azure %v", *c.Instance.Azure)
	case c.Machine != nil:
		return fmt.Sprintf("machine %s %s %s %s", at, c.Machine.Namespace, c.Machine.Name, c.Machine.Address)
	}
	return "cluster " + at
}

// same names what both are, in words that follow "in", or is empty when they are not the same for sure. A pod's id is its alone
// in all clusters.
func (c *Cluster) same(o *Cluster) string {
	switch {
	case c.Pod != nil && o.Pod != nil && c.Pod.UID == o.Pod.UID:
		return fmt.Sprintf("the same pod (%s/%s)", c.Pod.Namespace, c.Pod.Name)
	case c.Instance != nil && o.Instance != nil && c.Individual() == o.Individual():
		return "the same instance"
	case c.Machine != nil && o.Machine != nil && c.Machine.Address != "" && c.Machine.Address == o.Machine.Address:
		return "the same machine"
	case c.Machine != nil && o.Machine != nil && c.Individual() == o.Individual():
		return "the same machine"
	}
	return ""
}
