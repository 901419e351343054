package chaosmesh

import (
	"fmt"
	"math"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/dns"
	"gameday/faults/network"
	"gameday/faults/node"
	"gameday/faults/process"
	"gameday/faults/stress"
)

// notOnPods says why some kinds have no counterpart on pods.
var notOnPods = map[string]string{
	"command":         "Chaos Mesh runs no commands of yours in a pod",
	"disk_fill":       "Chaos Mesh fills no disks of pods; io_error with error = \"ENOSPC\" lets writes fail as on a full one",
	"fd_exhaustion":   "Chaos Mesh takes no file descriptors away; io_error with error = \"EMFILE\" and methods = [\"open\"] lets opening files fail",
	"io_stress":       "Chaos Mesh loads no disks of pods; io_latency lets a volume answer late",
	"port_exhaustion": "Chaos Mesh takes no ports away",
	"process_pause":   "Chaos Mesh stops no processes; network_partition with action = \"drop\" makes a pod silent to others",
}

// podObject returns what a fault becomes on a pod.
func podObject(kind string, config faults.Config, p faults.Place) (*object, error) {
	pod := *p.Cluster.Pod
	if pod.Namespace == "" || pod.Name == "" {
		return nil, fmt.Errorf("%s on %s: the place names no pod", kind, p.Name)
	}
	if slices.Contains(protected, pod.Namespace) {
		return nil, fmt.Errorf("%s on %s: namespace %s is protected: the cluster, or Chaos Mesh itself, runs there", kind, p.Name, pod.Namespace)
	}
	switch c := config.(type) {
	case *process.Kill:
		return killPod(c, pod)
	case *node.Restart:
		return failPod(c, pod)
	case *dns.Outage:
		return podNames(c, pod)
	case *stress.CPU:
		return podStress(pod, cpuStress(c))
	case *stress.Memory:
		return podStress(pod, memoryStress(c))
	case *cluster.TimeSkew:
		return podTime(c, pod)
	case *cluster.IOLatency:
		return podLatency(c, pod)
	case *cluster.IOError:
		return podError(c, pod)
	}
	if asked, ours, err := network.AskedOf(config); ours {
		if err != nil {
			return nil, err
		}
		return podNetwork(kind, asked, p)
	}
	why, known := notOnPods[kind]
	if !known {
		why = "Chaos Mesh has nothing that does it"
	}
	return nil, &impossible{kind: kind, where: "pods", why: why}
}

// metaOf is the metadata of an object that belongs to a pod: its namespace.
func metaOf(pod faults.Pod) v1.ObjectMeta { return v1.ObjectMeta{Namespace: pod.Namespace} }

// pin selects exactly one pod by its name, wherever the same labels are.
func pin(pod faults.Pod) v1alpha1.PodSelector {
	return v1alpha1.PodSelector{Mode: v1alpha1.AllMode,
		Selector: v1alpha1.PodSelectorSpec{Pods: map[string][]string{pod.Namespace: {pod.Name}}}}
}

// pinContainers selects the containers that are meant. Chaos Mesh takes the first one alone when it is told none.
func pinContainers(kind string, pod faults.Pod) (v1alpha1.ContainerSelector, error) {
	s := v1alpha1.ContainerSelector{PodSelector: pin(pod), ContainerNames: pod.Containers}
	if len(s.ContainerNames) == 0 {
		s.ContainerNames = pod.AllContainers
	}
	if len(s.ContainerNames) == 0 && len(pod.ContainerIDs) != 1 {
		return s, fmt.Errorf("%s on pod %s/%s: which containers it has is not known, and Chaos Mesh would take the first alone: "+
			"name them in the target, containers = [\"…\"]", kind, pod.Namespace, pod.Name)
	}
	return s, nil
}

// pinOne selects the one container that is meant.
func pinOne(kind string, pod faults.Pod) (v1alpha1.ContainerSelector, error) {
	s, err := pinContainers(kind, pod)
	if err == nil && len(s.ContainerNames) > 1 {
		err = fmt.Errorf("%s on pod %s/%s: a volume is mounted in one container, and %d are meant (%v): name one in the target, containers = [%q]",
			kind, pod.Namespace, pod.Name, len(s.ContainerNames), s.ContainerNames, s.ContainerNames[0])
	}
	return s, err
}

// killPod kills the containers that the target names, or else the pod.
func killPod(k *process.Kill, pod faults.Pod) (*object, error) {
	if err := refuse(unsupported{k.Signal != "" && k.Signal != "SIGKILL", "signal",
		"Chaos Mesh kills containers and pods with SIGKILL alone. Leave signal out."}); err != nil {
		return nil, err
	}
	chaos := &v1alpha1.PodChaos{ObjectMeta: metaOf(pod)}
	chaos.Spec.PodSelector = pin(pod)
	o := &object{kind: v1alpha1.KindPodChaos, made: chaos, oneShot: true}
	if len(pod.Containers) > 0 {
		chaos.Spec.Action, chaos.Spec.ContainerNames = v1alpha1.ContainerKillAction, pod.Containers
		o.note = "Killed at once, which nothing undoes: the kubelet starts the containers again, later each time."
		return o, nil
	}
	chaos.Spec.Action = v1alpha1.PodKillAction
	o.note = "The pod is deleted at once, which nothing undoes: only what made it makes another."
	return o, nil
}

// failPod lets all containers of a pod run an image that does nothing, for as long as a node would be down.
func failPod(r *node.Restart, pod faults.Pod) (*object, error) {
	if err := refuse(
		unsupported{r.How != "", "how", "A pod knows one way to be down: Chaos Mesh lets it run an image that does nothing. Leave how out."},
		unsupported{len(r.Units) > 0, "units", "A pod has no systemd units. Leave units out: the pod must be Ready again."}); err != nil {
		return nil, err
	}
	if len(pod.Containers) > 0 {
		return nil, fmt.Errorf("node_restart on pod %s/%s: it takes all containers of a pod down, and the target names some (%v): "+
			"leave containers out of the target, or use process_kill", pod.Namespace, pod.Name, pod.Containers)
	}
	chaos := &v1alpha1.PodChaos{ObjectMeta: metaOf(pod)}
	chaos.Spec.PodSelector, chaos.Spec.Action = pin(pod), v1alpha1.PodFailureAction
	return &object{kind: v1alpha1.KindPodChaos, made: chaos, lapses: true, ends: r.Ends(),
		note: "All containers of the pod run an image that does nothing until it is over; each restarts twice by that."}, nil
}

// podNames lets questions for names fail.
func podNames(d *dns.Outage, pod faults.Pod) (*object, error) {
	settings := []unsupported{
		{d.Action != "servfail", "action", "The name server of Chaos Mesh answers SERVFAIL, and knows no other failure. Write action = \"servfail\"."},
		{d.Delay != "", "delay", "The name server of Chaos Mesh fails at once. Leave delay out."},
		{len(d.Resolvers) > 0, "resolvers", "Chaos Mesh replaces all resolvers of the containers by its own. Leave resolvers out."},
	}
	for _, n := range d.Names {
		settings = append(settings, unsupported{n[0] == '*', "names",
			fmt.Sprintf("In Chaos Mesh's patterns * stands at the end alone, so %q cannot be asked for. Write the names one by one.", n)})
	}
	if err := refuse(settings...); err != nil {
		return nil, err
	}
	s, err := pinContainers("dns_outage", pod)
	if err != nil {
		return nil, err
	}
	chaos := &v1alpha1.DNSChaos{ObjectMeta: metaOf(pod), Spec: v1alpha1.DNSChaosSpec{
		Action: v1alpha1.ErrorAction, ContainerSelector: s, DomainNamePatterns: d.Names}}
	return &object{kind: v1alpha1.KindDNSChaos, made: chaos, lapses: true,
		note: "It needs the name server of Chaos Mesh (chaos-dns-server) in the cluster."}, nil
}

// load is a load that a container gets, or what is wrong with it.
type load struct {
	kind      string
	stressors v1alpha1.Stressors
	note      string
	err       error
}

// cpuStress is a load of processors. How many a container may use is not known, so a share of each cannot be asked for.
func cpuStress(c *stress.CPU) load {
	l := load{kind: "cpu_stress", err: refuse(
		unsupported{c.Cores == 0, "percent", "How many processors a container may use is not known, so a share of each cannot be asked for, " +
			"which is what percent (80 when nothing is given) means. Write how many processors' worth of time to take: cores = 2."},
		unsupported{c.Nice != 0, "nice", "Chaos Mesh's load runs on a par with the container. Leave nice out."})}
	workers, percent := workersOf(c.Cores)
	l.stressors.CPUStressor = &v1alpha1.CPUStressor{Stressor: v1alpha1.Stressor{Workers: workers}, Load: &percent}
	return l
}

// workersOf splits processors' worth of time into workers and the share of time, in percent, that each is busy.
func workersOf(cores float64) (workers, percent int) {
	workers = max(1, int(math.Ceil(cores)))
	return workers, min(100, max(1, int(math.Round(100*cores/float64(workers)))))
}

func memoryStress(m *stress.Memory) load {
	bytes, err := memorySize(m)
	return load{kind: "memory_stress", err: err,
		stressors: v1alpha1.Stressors{MemoryStressor: &v1alpha1.MemoryStressor{Stressor: v1alpha1.Stressor{Workers: 1}, Size: bytes}},
		note:      "It counts to the container's memory limit and leaves no floor: the kernel may kill the container's own processes."}
}

func podStress(pod faults.Pod, l load) (*object, error) {
	if l.err != nil {
		return nil, l.err
	}
	s, err := pinContainers(l.kind, pod)
	if err != nil {
		return nil, err
	}
	chaos := &v1alpha1.StressChaos{ObjectMeta: metaOf(pod), Spec: v1alpha1.StressChaosSpec{ContainerSelector: s, Stressors: &l.stressors}}
	return &object{kind: v1alpha1.KindStressChaos, made: chaos, lapses: true, note: l.note}, nil
}

func podTime(c *cluster.TimeSkew, pod faults.Pod) (*object, error) {
	shift, err := c.Shift()
	if err != nil {
		return nil, err
	}
	s, err := pinContainers("time_skew", pod)
	if err != nil {
		return nil, err
	}
	chaos := &v1alpha1.TimeChaos{ObjectMeta: metaOf(pod), Spec: v1alpha1.TimeChaosSpec{
		ContainerSelector: s, TimeOffset: shift.String(), ClockIds: c.ClockNames()}}
	return &object{kind: v1alpha1.KindTimeChaos, made: chaos, lapses: true,
		note: "Chaos Mesh rewrites code in the memory of the processes that run when it is injected; those that start later see the true time."}, nil
}

func podLatency(c *cluster.IOLatency, pod faults.Pod) (*object, error) {
	d, err := c.Length()
	if err != nil {
		return nil, err
	}
	return podFiles("io_latency", pod, v1alpha1.IOChaosSpec{Action: v1alpha1.IoLatency, Delay: seconds(d),
		VolumePath: c.Volume, Path: c.Path, Methods: methodsOf(c.Methods), Percent: c.Share()})
}

func podError(c *cluster.IOError, pod faults.Pod) (*object, error) {
	return podFiles("io_error", pod, v1alpha1.IOChaosSpec{Action: v1alpha1.IoFaults, Errno: c.Number(),
		VolumePath: c.Volume, Path: c.Path, Methods: methodsOf(c.Methods), Percent: c.Share()})
}

func podFiles(kind string, pod faults.Pod, spec v1alpha1.IOChaosSpec) (*object, error) {
	var err error
	if spec.ContainerSelector, err = pinOne(kind, pod); err != nil {
		return nil, err
	}
	return &object{kind: v1alpha1.KindIOChaos, made: &v1alpha1.IOChaos{ObjectMeta: metaOf(pod), Spec: spec}, lapses: true,
		note: "Chaos Mesh puts a file system of its own in front of the volume while it stands; files that are open then are opened anew."}, nil
}

func methodsOf(names []string) []v1alpha1.IoMethod {
	var out []v1alpha1.IoMethod
	for _, n := range names {
		out = append(out, v1alpha1.IoMethod(n))
	}
	return out
}
