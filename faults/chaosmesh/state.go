package chaosmesh

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
)

// Finalizers and annotations by which Chaos Mesh lets go of its objects, or is made to.
const (
	recordsFinalizer = "chaos-mesh/records"
	forceAnnotation  = "chaos-mesh.chaos-mesh.org/cleanFinalizer"
	forceValue       = "forced"
)

// notSelected begins the summary of an effect of which Chaos Mesh has said nothing yet.
const notSelected = "not selected"

// notTakenUp says that the controllers have not looked at an object since its deletion was asked for.
const notTakenUp = "the controllers have not taken it up"

// mostRecords is of how many targets an effect's details tell one by one.
const mostRecords = 100

// resource returns where the API server has objects of a kind of Chaos Mesh.
func resource(kind string) schema.GroupVersionResource {
	plural := strings.ToLower(kind)
	if !strings.HasSuffix(plural, "chaos") {
		plural += "s"
	}
	return v1alpha1.SchemeGroupVersion.WithResource(plural)
}

// state is what Chaos Mesh's controllers say of an object.
//
// AllRecovered alone tells nothing: it is true also of targets that are selected and not injected yet.
type state struct {
	status     v1alpha1.ChaosStatus
	paused     bool
	deleting   bool
	finalizers []string
}

// stateOf reads it. A status that is not there is an empty one: nobody has looked at the object yet.
func stateOf(u *unstructured.Unstructured) (state, error) {
	s := state{deleting: u.GetDeletionTimestamp() != nil, finalizers: u.GetFinalizers(),
		paused: u.GetAnnotations()[v1alpha1.PauseAnnotationKey] == "true"}
	raw, has, err := unstructured.NestedMap(u.Object, "status")
	if err == nil && has {
		err = runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &s.status)
	}
	if err != nil {
		return s, fmt.Errorf("reading the status of %s: %w", titleOf(u), err)
	}
	for i, r := range s.status.Experiment.Records {
		if r == nil { // no controller writes it, and a schema may allow it
			s.status.Experiment.Records[i] = &v1alpha1.Record{Id: "nobody", Phase: "an empty record"}
		}
	}
	return s, nil
}

// holds reports whether a condition is true.
func (s state) holds(c v1alpha1.ChaosConditionType) bool {
	return slices.ContainsFunc(s.status.Conditions, func(x v1alpha1.ChaosCondition) bool {
		return x.Type == c && x.Status == corev1.ConditionTrue
	})
}

// injected reports whether every target that was selected is injected, by the condition and by each record.
func (s state) injected() bool {
	return s.holds(v1alpha1.ConditionAllInjected) && len(s.status.Experiment.Records) > 0 && len(s.misses()) == 0
}

// touched reports whether some target may have something of the fault on it.
func (s state) touched() bool {
	return slices.ContainsFunc(s.status.Experiment.Records, func(r *v1alpha1.Record) bool { return r.Phase != v1alpha1.NotInjected })
}

// recovered reports whether the fault was lifted from every target that was selected, after it had been told to stop.
func (s state) recovered() bool {
	return s.status.Experiment.DesiredPhase == v1alpha1.StoppedPhase && len(s.status.Experiment.Records) > 0 && !s.touched()
}

// passed reports whether every target that was selected was injected at some time, and the fault was lifted from all of them since. The
// counts stay when the phases do not.
func (s state) passed() bool {
	return s.recovered() && !slices.ContainsFunc(s.status.Experiment.Records, func(r *v1alpha1.Record) bool { return r.InjectedCount <= 0 })
}

// misses are the records of targets that are not injected.
func (s state) misses() []*v1alpha1.Record {
	var out []*v1alpha1.Record
	for _, r := range s.status.Experiment.Records {
		if r.Phase != v1alpha1.Injected {
			out = append(out, r)
		}
	}
	return out
}

// recordLine says how it stands with one target: "shop/payments-1: Not Injected/Wait (Apply failed: no daemon on node-1)".
func recordLine(r *v1alpha1.Record) string { return r.Id + ": " + recordPhase(r) }

func recordPhase(r *v1alpha1.Record) string {
	text := string(r.Phase)
	if len(r.Events) == 0 {
		return text
	}
	last := r.Events[len(r.Events)-1]
	how := fmt.Sprintf("%s %s", last.Operation, strings.ToLower(string(last.Type)))
	if last.Message != "" {
		how += ": " + oneLine(last.Message)
	}
	if last.Timestamp != nil && !last.Timestamp.IsZero() {
		how += ", at " + last.Timestamp.UTC().Format("15:04:05")
	}
	return text + " (" + how + ")"
}

// effectOf says what the records prove. Missing are expected targets that the object must have selected.
func effectOf(s state, want []string) faults.Effect {
	e := faults.Effect{Details: map[string]string{"conditions": conditionLine(s)}}
	records := s.status.Experiment.Records
	for i, r := range records {
		if i == mostRecords {
			e.Details["targets"] = fmt.Sprintf("%d, of which the first %d are told of", len(records), mostRecords)
			break
		}
		key := r.Id
		if _, doubled := e.Details[key]; doubled {
			key += " " + r.SelectorKey
		}
		e.Details[key] = recordPhase(r)
	}
	misses := s.misses()
	absent := missing(records, want)
	switch {
	case s.paused:
		e.Summary = "paused: its annotation " + v1alpha1.PauseAnnotationKey + " is true, so Chaos Mesh injects nothing"
	case len(records) == 0:
		e.Summary = notSelected + ": Chaos Mesh has not said whom it hits; do its controllers run?"
	case len(absent) > 0:
		e.Summary = "Chaos Mesh did not select " + strings.Join(absent, ", ")
	case len(misses) > 0:
		lines := make([]string, 0, len(misses))
		for _, r := range misses {
			lines = append(lines, recordLine(r))
		}
		e.Summary = "Selected, not injected: " + few(lines, 3)
		if n := len(records) - len(misses); n > 0 {
			e.Summary += fmt.Sprintf("; %d of %d injected", n, len(records))
		}
	case !s.holds(v1alpha1.ConditionAllInjected):
		e.Summary = "every target's record says Injected, the condition AllInjected does not yet"
	default:
		e.Proven = true
		e.Summary = "AllInjected: " + few(ids(records), 3)
	}
	return e
}

// missing returns those of the wanted targets that no record is about. A wanted "ns/pod" is met by a record of one of its containers.
func missing(records []*v1alpha1.Record, want []string) []string {
	var out []string
	for _, w := range want {
		if !slices.ContainsFunc(records, func(r *v1alpha1.Record) bool { return r.Id == w || strings.HasPrefix(r.Id, w+"/") }) {
			out = append(out, w)
		}
	}
	return out
}

func ids(records []*v1alpha1.Record) []string {
	set := map[string]bool{}
	for _, r := range records {
		set[r.Id] = true
	}
	return slices.Sorted(maps.Keys(set))
}

func conditionLine(s state) string {
	if len(s.status.Conditions) == 0 {
		return "none yet"
	}
	parts := make([]string, 0, len(s.status.Conditions))
	for _, c := range s.status.Conditions {
		text := fmt.Sprintf("%s=%s", c.Type, c.Status)
		if c.Reason != "" {
			text += " (" + oneLine(c.Reason) + ")"
		}
		parts = append(parts, text)
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// titleOf names an object for people: "NetworkChaos shop/gameday-cut-3f".
func titleOf(u *unstructured.Unstructured) string {
	return title(u.GetKind(), u.GetNamespace(), u.GetName())
}

func title(kind, namespace, name string) string {
	if namespace == "" {
		return kind + " " + name
	}
	return kind + " " + namespace + "/" + name
}

// few lists the first of some texts and counts the others.
func few(list []string, most int) string {
	if len(list) <= most {
		return strings.Join(list, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(list[:most], "; "), len(list)-most)
}

// oneLine makes a text of others fit to stand in a sentence.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return text
}
