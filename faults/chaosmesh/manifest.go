package chaosmesh

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults/cluster"
)

// manifestObject returns the object of a manifest. Its error is *mistakes.
func manifestObject(c *cluster.ChaosMesh) (*object, error) {
	m, found := decode(c.Content)
	if len(found) == 0 {
		found = m.check(c.CannotRevert, 0)
	}
	if err := found.asError(); err != nil {
		return nil, err
	}
	o := &object{kind: m.kind, made: m.typed, raw: m.raw, hint: m.typed.GetName(), oneShot: m.oneShot()}
	o.lapses = !o.oneShot && durationOf(m.typed) != nil
	o.note = noteOf(o)
	// Its name becomes ours, which no other injection has; what it was called is part of that.
	o.made.SetName("")
	unstructured.RemoveNestedField(o.raw, "metadata", "name")
	return o, nil
}

// oneShot reports whether the object is done once it is injected.
func (m *manifest) oneShot() bool {
	chaos, is := m.typed.(v1alpha1.InnerObject)
	return is && chaos.IsOneShot()
}

// noteOf says what a reader of the plan must know of an object that cannot lapse.
func noteOf(o *object) string {
	switch {
	case o.oneShot:
		return "Done at once, which nothing undoes; the object is deleted afterwards."
	case o.kind == v1alpha1.KindSchedule:
		return "A Schedule does not lapse: if everybody who could delete it is dead, it goes on until `gameday revert` does."
	case o.kind == v1alpha1.KindWorkflow:
		return "A Workflow lapses with the deadlines of its templates alone: if everybody who could delete it is dead, it goes on until they are over, or `gameday revert` deletes it."
	case !o.lapses:
		return "This kind does not lapse: if everybody who could delete it is dead, it stands until `gameday revert` does."
	}
	return ""
}

// manifestMistakes are those of a manifest whose fault stands for duration; 0 when that is not known.
func manifestMistakes(c *cluster.ChaosMesh, duration time.Duration) mistakes {
	m, found := decode(c.Content)
	if len(found) == 0 {
		found = m.check(c.CannotRevert, duration)
	}
	return found.sorted()
}
