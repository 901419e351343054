package chaosmesh

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
	"gameday/faults/cluster"
)

// object is one Chaos Mesh object that an injection consists of, before it is given a name and an owner. It is not shared between
// goroutines.
type object struct {
	kind string      // "PodChaos", "Schedule", …
	made kube.Object // of the API's type, with its namespace, without name, labels and status
	// raw is what an author wrote, as JSON has it, where an object comes from a manifest: it is sent as it stands, without the empty
	// fields that the type would add. Nil for others.
	raw map[string]any
	// lapses says that Chaos Mesh lifts the fault by itself when spec.duration is over.
	lapses bool
	// oneShot says that it is done once injected (pod-kill, container-kill): there is nothing to hold, but the object must be deleted.
	oneShot bool
	// ends is after how long a fault that ends by itself is over; 0 for others. Its spec.duration is this, whatever the deadline.
	ends time.Duration
	// hint is a name that its author gave it, to be recognised in ours; empty for most.
	hint string
	// note is what a reader of the plan must know of it; empty when nothing.
	note string
}

// namespace is that in which the object is made.
func (o *object) namespace() string { return o.made.GetNamespace() }

// stand sets how long Chaos Mesh lets the fault stand from the object's creation, if the kind can lapse at all and does not end by
// itself sooner.
func (o *object) stand(d time.Duration) error {
	if !o.lapses {
		return nil
	}
	if o.ends > 0 {
		d = o.ends
	}
	if d <= 0 {
		return fmt.Errorf("a %s cannot stand for %v", o.kind, d)
	}
	text := seconds(d)
	field := durationOf(o.made)
	if field == nil {
		return fmt.Errorf("a %s has no duration", o.kind)
	}
	*field = &text
	if o.raw != nil {
		return unstructured.SetNestedField(o.raw, text, "spec", "duration")
	}
	return nil
}

// unstructured returns the object as the API server is sent it: with apiVersion and kind, and without the empty status and creation
// time that the types would write.
func (o *object) unstructured() (*unstructured.Unstructured, error) {
	content := runtime.DeepCopyJSON(o.raw)
	if o.raw == nil {
		var err error
		if content, err = runtime.DefaultUnstructuredConverter.ToUnstructured(o.made); err != nil {
			return nil, fmt.Errorf("writing a %s: %w", o.kind, err)
		}
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(v1alpha1.SchemeGroupVersion.WithKind(o.kind))
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	return u, nil
}

// Limits of names. Chaos Mesh appends to those of Schedules and Workflows, and writes them into labels, which hold 63 characters.
const (
	longestName = 44
	hashLength  = 12
)

var nameEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// name returns the name of an injection's object: a DNS label that begins with gameday and says the fault, or hint when there is one.
// It is always the same for the same injection, so that a second object of it collides with the first instead of doubling the fault.
func name(o faults.Owner, hint string) string {
	if hint == "" {
		hint = o.Fault
	}
	hash := hashOf(o)
	middle := dashed(hint)
	if most := longestName - len("gameday--") - hashLength; len(middle) > most {
		middle = strings.Trim(middle[:most], "-")
	}
	if middle == "" {
		return "gameday-" + hash
	}
	return "gameday-" + middle + "-" + hash
}

// hashOf stands for an injection in names.
func hashOf(o faults.Owner) string {
	sum := sha256.Sum256([]byte(o.Run + "\x00" + o.Injection))
	return nameEncoding.EncodeToString(sum[:])[:hashLength]
}

// dashed makes a text of lower-case letters, digits and single dashes, without one at either end.
func dashed(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "-")
}

// label writes whose the object is into its labels and annotations, beside those that it has. User is who runs the game day, and until
// when the object should be gone. What chaosd knows an attack by becomes the injection's too: it is what Chaos Mesh must name to end it.
func label(u *unstructured.Unstructured, owner faults.Owner, user string, until time.Time) {
	labels, annotations := u.GetLabels(), u.GetAnnotations()
	if labels == nil {
		labels = map[string]string{}
	}
	if annotations == nil {
		annotations = map[string]string{}
	}
	labels[cluster.LabelManaged] = cluster.Manager
	for key, value := range map[string]string{cluster.LabelRun: owner.Run, cluster.LabelScenario: owner.Scenario,
		cluster.LabelFault: owner.Fault, cluster.LabelOwner: user} {
		if v := cluster.LabelValue(value); v != "" {
			labels[key] = v
		}
	}
	for key, value := range map[string]string{cluster.AnnotationRun: owner.Run, cluster.AnnotationScenario: owner.Scenario,
		cluster.AnnotationFault: owner.Fault, cluster.AnnotationID: owner.Injection, cluster.AnnotationOwner: user} {
		if value != "" {
			annotations[key] = value
		}
	}
	if !until.IsZero() {
		annotations[cluster.AnnotationUntil] = until.UTC().Format(time.RFC3339)
	}
	u.SetLabels(labels)
	u.SetAnnotations(annotations)
	if spec, is := u.Object["spec"].(map[string]any); is && u.GetKind() == v1alpha1.KindPhysicalMachineChaos && spec["uid"] == nil {
		spec["uid"] = "gameday-" + hashOf(owner)
	}
}

// seconds writes a duration exactly, as a whole number of one unit: the patterns in Chaos Mesh's schemas want no more.
func seconds(d time.Duration) string {
	for _, u := range []struct {
		size time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "us"}} {
		if d%u.size == 0 {
			return fmt.Sprintf("%d%s", d/u.size, u.name)
		}
	}
	return fmt.Sprintf("%dns", d)
}
