package node

import "strings"

// pod is what the node reads of a Pod (v1).
type pod struct {
	Metadata struct {
		Name, Namespace, UID string
		DeletionTimestamp    string
		GracePeriod          *int `json:"deletionGracePeriodSeconds"`
		Labels               map[string]string
		Annotations          map[string]string
	}
	Spec struct {
		NodeName       string
		NodeSelector   map[string]string
		RestartPolicy  string
		ServiceAccount string `json:"serviceAccountName"`
		Containers     []container
		InitContainers []container
		Volumes        []volume
		HostAliases    []struct {
			IP        string
			Hostnames []string
		}
		SecurityContext struct{ RunAsUser *int64 }
	}
	Status struct {
		Phase, PodIP string
		Conditions   []condition
	}
}

type container struct {
	Name, Image    string
	Command, Args  []string
	WorkingDir     string
	Env            []variable
	EnvFrom        []source
	VolumeMounts   []mount
	ReadinessProbe *probe
	Stdin          bool

	SecurityContext struct {
		RunAsUser              *int64
		ReadOnlyRootFilesystem bool
	}
}

type variable struct {
	Name, Value string
	ValueFrom   *struct {
		FieldRef        *struct{ FieldPath string }
		ConfigMapKeyRef *keyRef
		SecretKeyRef    *keyRef
	}
}

type keyRef struct {
	Name, Key string
	Optional  bool
}

type source struct {
	ConfigMapRef *struct{ Name string }
	SecretRef    *struct{ Name string }
}

type mount struct {
	Name, MountPath, SubPath string
	ReadOnly                 bool
}

type probe struct {
	HTTPGet *struct {
		Path string
		Port any
	}
	TCPSocket *struct{ Port any }
}

type volume struct {
	Name                  string
	EmptyDir              *struct{}
	HostPath              *struct{ Path string }
	PersistentVolumeClaim *struct{ ClaimName string }
	projection
	Projected *struct{ Sources []projection }
}

// projection is a volume, or a part of one, that is made of objects.
type projection struct {
	ConfigMap *struct {
		Name  string
		Items []item
	}
	Secret *struct {
		Name       string
		SecretName string
		Items      []item
	}
	ServiceAccountToken *struct {
		Path              string
		ExpirationSeconds int64
		Audience          string
	}
	DownwardAPI *struct {
		Items []struct {
			Path     string
			FieldRef struct{ FieldPath string }
		}
	}
}

type item struct{ Key, Path string }

// path returns the pod's path in the API.
func (p *pod) path() string {
	return "/api/v1/namespaces/" + p.Metadata.Namespace + "/pods/" + p.Metadata.Name
}

// grace is how many seconds its containers have to end by themselves once it is being deleted. A pod that says that it needs long has
// long; nobody waits for what merely does not listen to SIGTERM.
func (p *pod) grace() int {
	switch asked := p.Metadata.GracePeriod; {
	case asked == nil:
		return 0
	case *asked <= usualGrace:
		return min(*asked, fewGrace)
	default:
		return min(*asked, mostGrace)
	}
}

// key names the pod in the engine and in the node's folder.
func (p *pod) key() string { return p.Metadata.UID }

// field returns what a fieldRef means.
func (p *pod) field(path, address, host string) string {
	switch path {
	case "metadata.name":
		return p.Metadata.Name
	case "metadata.namespace":
		return p.Metadata.Namespace
	case "metadata.uid":
		return p.Metadata.UID
	case "spec.nodeName":
		return p.Spec.NodeName
	case "spec.serviceAccountName":
		return p.Spec.ServiceAccount
	case "status.podIP":
		return address
	case "status.hostIP":
		return host
	}
	if key, ok := strings.CutPrefix(path, "metadata.labels['"); ok {
		return p.Metadata.Labels[strings.TrimSuffix(key, "']")]
	}
	if key, ok := strings.CutPrefix(path, "metadata.annotations['"); ok {
		return p.Metadata.Annotations[strings.TrimSuffix(key, "']")]
	}
	return ""
}
