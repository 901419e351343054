package scenarios

import (
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"gameday/loadgen"
	"gameday/loadgen/collector"
)

// maxRunners bounds how many runners share a stream.
const maxRunners = 256

// logsRamp is the shortest ramp for runners that report by their pods' logs: those hear of it some time before.
const logsRamp = loadgen.LogsLead + time.Second

// runOnBlock says who starts the runners of a stream, and what they need.
type runOnBlock struct {
	Kind           string            `hcl:"kind,label"`
	Parallelism    int               `hcl:"parallelism"`
	Collector      string            `hcl:"collector,optional"`
	Listen         string            `hcl:"listen,optional"`
	Namespace      string            `hcl:"namespace,optional"`
	Image          string            `hcl:"image,optional"`
	Initializer    string            `hcl:"initializer_image,optional"`
	Starter        string            `hcl:"starter_image,optional"`
	PullSecrets    []string          `hcl:"pull_secrets,optional"`
	ServiceAccount string            `hcl:"service_account,optional"`
	NodeSelector   map[string]string `hcl:"node_selector,optional"`
	Spread         bool              `hcl:"spread,optional"`
	Resources      []resourcesBlock  `hcl:"resources,block"`
	Tolerations    []tolerationBlock `hcl:"toleration,block"`
	DefRange       hcl.Range         `hcl:",def_range"`
	KindRange      hcl.Range         `hcl:"kind,label_range"`
	Body           hcl.Body          `hcl:",body"`
}

type resourcesBlock struct {
	CPU      string    `hcl:"cpu,optional"`
	Memory   string    `hcl:"memory,optional"`
	DefRange hcl.Range `hcl:",def_range"`
	Body     hcl.Body  `hcl:",body"`
}

type tolerationBlock struct {
	Key      string    `hcl:"key,optional"`
	Operator string    `hcl:"operator,optional"`
	Value    string    `hcl:"value,optional"`
	Effect   string    `hcl:"effect,optional"`
	DefRange hcl.Range `hcl:",def_range"`
	Body     hcl.Body  `hcl:",body"`
}

// runOn decodes who starts the runners of a stream.
func (d *decoding) runOn(out *Traffic, t trafficBlock) {
	if len(t.RunOn) == 0 || !one(d.loader, t.RunOn, "run_on", func(b runOnBlock) hcl.Range { return b.DefRange }) {
		return
	}
	b := t.RunOn[0]
	if !loadgen.KnownRunOn(b.Kind) {
		d.errorf(b.KindRange, "Unknown place to run on", "There is no run_on %q.%s There are %q, %q and %q.", b.Kind,
			suggest(b.Kind, loadgen.RunOns()), loadgen.K6Operator, loadgen.Jobs, loadgen.Processes)
		return
	}
	switch {
	case given(t.Generators) || len(t.GeneratorHost) > 0:
		d.errorf(b.DefRange, "Two ways to send", "This traffic names generators and has a run_on block. Either machines that are reached by ssh send it, "+
			"or runners that somebody else starts: take one of the two out.")
	case t.KeepExecutors:
		d.errorf(b.DefRange, "Executors of its own, on runners", "A script that keeps its executors is started a second time for the load phase, and runners are "+
			"started once. Take keep_executors out, and say the baseline rate.")
	}
	if b.Parallelism < 1 || b.Parallelism > maxRunners {
		d.errorf(attrRange(b.Body, "parallelism", b.DefRange), "Invalid parallelism", "parallelism is how many runners share the traffic: 1 to %d.", maxRunners)
	}
	out.RunOn = &loadgen.RunOn{Kind: b.Kind, Parallelism: b.Parallelism, Collector: b.Collector, Listen: b.Listen, Namespace: b.Namespace, Image: b.Image,
		InitializerImage: b.Initializer, StarterImage: b.Starter, PullSecrets: b.PullSecrets, ServiceAccount: b.ServiceAccount, NodeSelector: b.NodeSelector, Spread: b.Spread}
	if b.Kind == loadgen.Processes {
		d.onlyForClusters(b)
		return
	}
	d.runOnCluster(out.RunOn, b)
}

// onlyForClusters complains of what processes on this machine do not need.
func (d *decoding) onlyForClusters(b runOnBlock) {
	for _, name := range []string{"collector", "listen", "namespace", "image", "initializer_image", "starter_image", "pull_secrets", "service_account", "node_selector", "spread"} {
		if present(b.Body, name) {
			d.errorf(attrRange(b.Body, name, b.DefRange), "Only in a cluster", "%s is for runners in a Kubernetes cluster, and these are processes on this machine. "+
				"Take it out, or choose run_on %q.", name, loadgen.Jobs)
		}
	}
	for _, r := range b.Resources {
		d.errorf(r.DefRange, "Only in a cluster", "resources is for runners in a Kubernetes cluster. What a generator here may hold is said by the traffic's memory.")
	}
	for _, r := range b.Tolerations {
		d.errorf(r.DefRange, "Only in a cluster", "toleration is for runners in a Kubernetes cluster, and these are processes on this machine.")
	}
}

var (
	// dnsLabel is what Kubernetes allows as the name of a namespace, and dnsName as that of most other things.
	dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	dnsName  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)
	quantity = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$`)
)

// runOnCluster checks what runners in a cluster need.
func (d *decoding) runOnCluster(r *loadgen.RunOn, b runOnBlock) {
	at := func(name string) hcl.Range { return attrRange(b.Body, name, b.DefRange) }
	if d.out.Lab != nil {
		d.errorf(b.DefRange, "Runners beside a lab", "A lab is a world of its own, and its nodes cannot be reached from a cluster. Take the lab out of this scenario, or "+
			"choose run_on %q.", loadgen.Processes)
	}
	if !dnsLabel.MatchString(b.Namespace) {
		d.errorf(at("namespace"), "Invalid namespace", "Say in which namespace the runners are to be: namespace = \"load\". It must exist.")
	}
	if b.Image == "" {
		d.errorf(at("image"), "No image", "Say which image has gameday in it, of this version, that the cluster can pull: image = \"registry.example/gameday:1.0\".")
	}
	if b.ServiceAccount != "" && !dnsName.MatchString(b.ServiceAccount) {
		d.errorf(at("service_account"), "Invalid service_account", "%q is not the name of a service account.", b.ServiceAccount)
	}
	for _, name := range []string{"initializer_image", "starter_image"} {
		if b.Kind != loadgen.K6Operator && present(b.Body, name) {
			d.errorf(at(name), "Only for the k6 operator", "%s is of a pod that the k6 operator starts beside the runners, and nothing else does. Take it out.", name)
		}
	}
	for _, s := range b.PullSecrets {
		if !dnsName.MatchString(s) {
			d.errorf(at("pull_secrets"), "Invalid pull_secrets", "%q is not the name of a Secret.", s)
		}
	}
	if b.Collector != "" {
		var err error
		if r.Collector, err = collector.Address(b.Collector); err != nil {
			d.errorf(at("collector"), "Invalid collector", "collector is where the runners' pods reach this machine: \"10.0.0.5:7443\"; or \"logs\", when they cannot. %s", sentence(err.Error()))
		}
	}
	if b.Listen != "" && r.ByLogs() {
		d.errorf(at("listen"), "Nobody comes", "With collector = \"logs\" runners report by their pods' logs, and nothing is listened on here. Take listen out.")
	} else if b.Listen != "" {
		if _, port, err := net.SplitHostPort(b.Listen); err != nil || port == "" {
			d.errorf(at("listen"), "Invalid listen", "listen is what is listened on here, when that is not the port of collector: \":7443\".")
		}
		if b.Collector == "" {
			d.errorf(at("listen"), "Where are runners to find it?", "listen is for when the runners' way here goes by another address. Say that: collector = \"gateway.example:7443\".")
		}
	}
	if ramp := d.out.Timeline.Ramp; r.ByLogs() && ramp < logsRamp {
		d.errorf(at("collector"), "No time to tell runners", "With collector = \"logs\" runners hear of a change by an annotation of their pods, and are told of it %s before it counts. "+
			"The multiple can be reached at the begin of the load phase if the ramp has time for that: write ramp = %q, or more, in the timeline.", loadgen.LogsLead, logsRamp.String())
	}
	d.podSettings(r, b)
	if speaks := d.opts.Catalogue.SpeaksToClusters; speaks != nil {
		if err := speaks(); err != nil {
			d.errorf(b.DefRange, "No way to the cluster", "These runners are pods in a cluster, and %s.", strings.TrimSuffix(err.Error(), "."))
		}
	}
}

// podSettings checks what is said of the runners' pods.
func (d *decoding) podSettings(r *loadgen.RunOn, b runOnBlock) {
	if len(b.Resources) > 0 && one(d.loader, b.Resources, "resources", func(b resourcesBlock) hcl.Range { return b.DefRange }) {
		s := b.Resources[0]
		r.CPU, r.Memory = s.CPU, s.Memory
		for name, v := range map[string]string{"cpu": s.CPU, "memory": s.Memory} {
			if v != "" && !quantity.MatchString(v) {
				d.errorf(attrRange(s.Body, name, s.DefRange), "Invalid "+name, "%q is not an amount as Kubernetes writes them: \"2\", \"500m\", \"1Gi\".", v)
			}
		}
	}
	for _, t := range b.Tolerations {
		at := func(name string) hcl.Range { return attrRange(t.Body, name, t.DefRange) }
		if !slices.Contains([]string{"", "Equal", "Exists"}, t.Operator) {
			d.errorf(at("operator"), "Invalid operator", "A toleration's operator is \"Equal\", which is the default, or \"Exists\".")
		}
		if !slices.Contains([]string{"", "NoSchedule", "PreferNoSchedule", "NoExecute"}, t.Effect) {
			d.errorf(at("effect"), "Invalid effect", "A toleration's effect is \"NoSchedule\", \"PreferNoSchedule\" or \"NoExecute\"; without one it is all of them.")
		}
		if t.Operator == "Exists" && t.Value != "" || t.Key == "" && t.Operator != "Exists" {
			d.errorf(t.DefRange, "Invalid toleration", "A toleration names a key and a value, or a key that Exists with any; without a key, Exists is all taints.")
		}
		r.Tolerations = append(r.Tolerations, loadgen.Toleration{Key: t.Key, Operator: t.Operator, Value: t.Value, Effect: t.Effect})
	}
}
