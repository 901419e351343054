package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gameday/faults/cluster"
	"gameday/loadgen/collector"
)

const (
	// keep is how long a Job that is over is kept, for whoever wants to look at it, when nobody is left to delete it.
	keep = 10 * time.Minute
	// grace is how long a runner may take to end when its pod is deleted.
	grace = 10 * time.Second
	// container is the name of the runner's container in a Job's pods, and operators' in those of the k6 operator.
	container, operators = "runner", "k6"
	tokenKey             = "token"
	// shm is in memory, where runners keep what they read a script from.
	shm = "/dev/shm"
	// user is whom the runners run as: nobody in particular, and not root.
	user = 65532
)

// order is an order, and what its objects are called.
type order struct {
	collector.Order
	name string // what all names begin with
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// newOrder names an order's objects. What makes them different from others' is made of the run, the stream and nonce.
func newOrder(o collector.Order, nonce []byte) *order {
	sum := sha256.Sum256(append([]byte(o.Run+"\x00"+o.Stream+"\x00"), nonce...))
	stream := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(o.Stream), "-"), "-")
	stream = strings.Trim(stream[:min(len(stream), 24)], "-")
	if stream == "" {
		stream = "traffic"
	}
	return &order{Order: o, name: "gameday-" + stream + "-" + hex.EncodeToString(sum[:4])}
}

var notInLabels = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// label makes of a text what a label's value may be.
func label(s string) string {
	s = notInLabels.ReplaceAllString(s, "-")
	s = s[:min(len(s), 63)]
	return strings.Trim(s, "._-")
}

func (o *order) labels() map[string]string {
	return map[string]string{cluster.LabelManaged: "gameday", cluster.LabelRun: label(o.Run), cluster.LabelScenario: label(o.Scenario),
		cluster.LabelTraffic: label(o.Stream), cluster.LabelOwner: label(o.Owner), cluster.LabelRunners: o.name}
}

func (o *order) annotations(now time.Time) map[string]string {
	return map[string]string{cluster.AnnotationRun: o.Run, cluster.AnnotationScenario: o.Scenario, cluster.AnnotationOwner: o.Owner,
		cluster.AnnotationUntil: now.Add(o.Lasts).UTC().Format(time.RFC3339)}
}

func (o *order) meta(name string, now time.Time) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: o.RunOn.Namespace, Labels: o.labels(), Annotations: o.annotations(now)}
}

// job is the i-th runner's, from 0. It makes one pod and never another, lapses when the run must be over, and is removed some time after.
func (o *order) job(i int, now time.Time) *batchv1.Job {
	none, lasts, after := int32(0), int64(o.Lasts/time.Second), int32(keep/time.Second)
	return &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: o.meta(fmt.Sprintf("%s-%d", o.name, i+1), now),
		Spec: batchv1.JobSpec{BackoffLimit: &none, ActiveDeadlineSeconds: &lasts, TTLSecondsAfterFinished: &after,
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: o.labels(), Annotations: o.annotations(now)}, Spec: o.pod(i)}},
	}
}

// pod is what a runner's pod is like.
func (o *order) pod(i int) corev1.PodSpec {
	on, no, seconds := o.RunOn, false, int64(grace/time.Second)
	p := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: &no, TerminationGracePeriodSeconds: &seconds,
		ServiceAccountName: on.ServiceAccount, NodeSelector: on.NodeSelector, Tolerations: o.tolerations(), ImagePullSecrets: o.pullSecrets(),
		SecurityContext: podSecurity(), Volumes: o.volumes(),
		Containers: []corev1.Container{{
			Name: container, Image: on.Image, Env: o.environment(), Resources: o.resources(), SecurityContext: containerSecurity(),
			Command:      []string{"gameday", "runner", "--collector", o.Collector, "--segment", fmt.Sprintf("%d/%d", i+1, on.Parallelism)},
			VolumeMounts: o.mounts(),
		}},
	}
	if on.Spread {
		p.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{cluster.LabelRunners: o.name}}, TopologyKey: corev1.LabelHostname}}}}
	}
	return p
}

func (o *order) environment() []corev1.EnvVar {
	out := []corev1.EnvVar{
		{Name: collector.TokenVariable, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: o.name}, Key: tokenKey}}},
		{Name: collector.WhoVariable, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}},
	}
	if o.RunOn.ByLogs() {
		out = append(out, corev1.EnvVar{Name: collector.FilesVariable, Value: files})
	}
	return out
}

// memory is a volume that is no disk. What is in it counts as the container's memory.
func memory() corev1.Volume {
	return corev1.Volume{Name: "shm", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}}
}

// podSecurity and containerSecurity are what Pod Security's "restricted" asks for.
func podSecurity() *corev1.PodSecurityContext {
	yes, who := true, int64(user)
	return &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &who, RunAsGroup: &who, FSGroup: &who,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
}

func containerSecurity() *corev1.SecurityContext {
	yes, no := true, false
	return &corev1.SecurityContext{AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}
}

func (o *order) resources() (r corev1.ResourceRequirements) {
	for name, text := range map[corev1.ResourceName]string{corev1.ResourceCPU: o.RunOn.CPU, corev1.ResourceMemory: o.RunOn.Memory} {
		q, err := resource.ParseQuantity(text)
		if text == "" || err != nil {
			continue // the language lets no other in
		}
		if r.Limits == nil {
			r.Limits, r.Requests = corev1.ResourceList{}, corev1.ResourceList{}
		}
		r.Limits[name], r.Requests[name] = q, q
	}
	return r
}

func (o *order) tolerations() (out []corev1.Toleration) {
	for _, t := range o.RunOn.Tolerations {
		out = append(out, corev1.Toleration{Key: t.Key, Operator: corev1.TolerationOperator(t.Operator), Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	return out
}

func (o *order) pullSecrets() (out []corev1.LocalObjectReference) {
	for _, name := range o.RunOn.PullSecrets {
		out = append(out, corev1.LocalObjectReference{Name: name})
	}
	return out
}

// secret holds the token, and what runners send that have no collector to ask. It goes with its owners.
func (o *order) secret(owners []metav1.OwnerReference, now time.Time) *corev1.Secret {
	s := &corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: o.meta(o.name, now),
		StringData: map[string]string{tokenKey: o.Token}, Type: corev1.SecretTypeOpaque}
	if o.RunOn.ByLogs() {
		s.Data = map[string][]byte{streamKey: o.Content}
	}
	s.OwnerReferences = owners
	return s
}
