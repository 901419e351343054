package kubernetes

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gameday/loadgen/collector"
)

// The k6 operator's own types are published as a Go module only up to 0.0.19, which lacks a field that is used here where it is there. What
// is said to it are fields that its documentation names, and of what it says only the stage is read.

// testRun is a TestRun (k6.io/v1alpha1).
type testRun struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              testRunSpec `json:"spec"`
}

type testRunSpec struct {
	Script      scriptSource `json:"script"`
	Parallelism int64        `json:"parallelism"`
	Separate    bool         `json:"separate,omitempty"`
	Cleanup     string       `json:"cleanup,omitempty"` // "post": the operator deletes it when it is over
	Initializer *podSpec     `json:"initializer,omitempty"`
	Starter     *podSpec     `json:"starter,omitempty"`
	Runner      *podSpec     `json:"runner,omitempty"`
}

type scriptSource struct {
	ConfigMap configMapSource `json:"configMap"`
}

type configMapSource struct {
	Name string `json:"name"`
	File string `json:"file"`
}

// podSpec is what can be said of the operator's pods.
type podSpec struct {
	Disabled                     bool                          `json:"disabled,omitempty"`
	Metadata                     *podMetadata                  `json:"metadata,omitempty"`
	Image                        string                        `json:"image,omitempty"`
	ImagePullSecrets             []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`
	Env                          []corev1.EnvVar               `json:"env,omitempty"`
	NodeSelector                 map[string]string             `json:"nodeSelector,omitempty"`
	Tolerations                  []corev1.Toleration           `json:"tolerations,omitempty"`
	Resources                    *corev1.ResourceRequirements  `json:"resources,omitempty"`
	ServiceAccountName           string                        `json:"serviceAccountName,omitempty"`
	AutomountServiceAccountToken string                        `json:"automountServiceAccountToken,omitempty"` // a word, "false"
	SecurityContext              *corev1.PodSecurityContext    `json:"securityContext,omitempty"`
	ContainerSecurityContext     *corev1.SecurityContext       `json:"containerSecurityContext,omitempty"`
	Volumes                      []corev1.Volume               `json:"volumes,omitempty"`
	VolumeMounts                 []corev1.VolumeMount          `json:"volumeMounts,omitempty"`
}

type podMetadata struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// scriptFile is the script that the operator wants to see in a ConfigMap. Runners get what they send from the collector, however large it
// is; an image without gameday says by this what is wrong.
const scriptFile = "gameday.js"

// An operator's initializer inspects it, and gives up what has fewer virtual users than runners.
const scriptText = `export const options = { vus: %[1]d, iterations: %[1]d };
export default function () {
  throw new Error("this image runs k6 itself: the image of run_on must have gameday in it under the name of k6");
}
`

// initializer is what is said of the operator's initializer, which inspects the script; that says nothing here. It is left out where the
// operator can be told to. Otherwise its image is the operator's own choice unless it is said: it needs a shell, which gameday's does not have.
func (o *order) initializer(now time.Time, optional bool) *podSpec {
	if optional {
		return &podSpec{Disabled: true}
	}
	p := &podSpec{Metadata: &podMetadata{Labels: o.labels(), Annotations: o.annotations(now)}, Image: o.RunOn.InitializerImage, ImagePullSecrets: o.pullSecrets(),
		NodeSelector: o.RunOn.NodeSelector, Tolerations: o.tolerations(), AutomountServiceAccountToken: "false",
		SecurityContext: podSecurity(), ContainerSecurityContext: containerSecurity(),
		Volumes:      []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
		VolumeMounts: []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}}} // where it leaves an archive, and what k6 logs
	if r := o.resources(); len(r.Limits) > 0 {
		p.Resources = &r
	}
	return p
}

// testRun is the runners' for the operator, which deletes it by itself when all runners have ended. optional says that the operator's
// initializer may be left out.
func (o *order) testRun(now time.Time, optional bool) *testRun {
	on, marks := o.RunOn, &podMetadata{Labels: o.labels(), Annotations: o.annotations(now)}
	resources := o.resources()
	t := &testRun{TypeMeta: metav1.TypeMeta{APIVersion: "k6.io/v1alpha1", Kind: "TestRun"}, ObjectMeta: o.meta(o.name, now)}
	t.Spec = testRunSpec{
		Script: scriptSource{configMapSource{Name: o.name, File: scriptFile}}, Parallelism: int64(on.Parallelism), Separate: on.Spread, Cleanup: "post",
		Initializer: o.initializer(now, optional),
		Starter: &podSpec{Metadata: marks, Image: on.StarterImage, ImagePullSecrets: o.pullSecrets(), AutomountServiceAccountToken: "false", // all that it does is to ask the runners to begin
			SecurityContext: podSecurity(), ContainerSecurityContext: containerSecurity()},
		Runner: &podSpec{Metadata: marks, Image: on.Image, ImagePullSecrets: o.pullSecrets(), NodeSelector: on.NodeSelector, Tolerations: o.tolerations(),
			Env:                append(o.environment(), corev1.EnvVar{Name: collector.CollectorVariable, Value: o.Collector}),
			ServiceAccountName: on.ServiceAccount, AutomountServiceAccountToken: "false", SecurityContext: podSecurity(), ContainerSecurityContext: containerSecurity(),
			Volumes: o.volumes(), VolumeMounts: o.mounts()},
	}
	if len(resources.Limits) > 0 {
		t.Spec.Runner.Resources = &resources
	}
	return t
}

// configMap holds the script that the operator wants to see.
func (o *order) configMap(owners []metav1.OwnerReference, now time.Time) *corev1.ConfigMap {
	c := &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: o.meta(o.name, now),
		Data: map[string]string{scriptFile: fmt.Sprintf(scriptText, o.RunOn.Parallelism)}}
	c.OwnerReferences = owners
	return c
}

// The stages of a TestRun.
const (
	stageInitialization = "initialization"
	stageInitialized    = "initialized"
	stageCreated        = "created"
	stageStarted        = "started"
	stageStopped        = "stopped"
	stageFinished       = "finished"
	stageError          = "error"
)

// knownStage reports whether a stage is one of those that the operator documents.
func knownStage(s string) bool { return s == "" || placeOf(s) > 0 }

// placeOf returns the place of a stage in the order in which a TestRun goes through them, from 1. After either of the two last ones there is no
// other; one that nobody knows has no place, 0.
func placeOf(stage string) int {
	switch stage {
	case stageInitialization:
		return 1
	case stageInitialized:
		return 2
	case stageCreated:
		return 3
	case stageStarted:
		return 4
	case stageStopped:
		return 5
	case stageFinished, stageError:
		return 6
	}
	return 0
}

// hasBegun reports whether the operator has told the runners of a TestRun in a stage to begin, or knows no more of them.
func hasBegun(stage string) bool {
	switch stage {
	case "", stageInitialization, stageInitialized, stageCreated:
		return false
	}
	return true
}
