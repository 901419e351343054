package chaosmesh

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults/cluster"
)

// check returns what gameday or Chaos Mesh would not do with an object that is well written. Duration is how long its fault stands; 0
// when that is not known.
func (m *manifest) check(cannotRevert bool, duration time.Duration) mistakes {
	var found mistakes
	add := func(path, summary, format string, args ...any) {
		found = append(found, at(m.node(path), summary, fmt.Sprintf(format, args...)))
	}
	if !slices.Contains(faultKinds(), m.kind) {
		add("kind", "Not a fault", "A %s does nothing to anybody by itself. These do: %s.", m.kind, strings.Join(faultKinds(), ", "))
		return found.within(m.lines)
	}
	m.metadata(add)
	if _, given := m.raw["status"]; given {
		add("status", "Status given", "What became of an object is for Chaos Mesh to say. Remove status.")
	}
	if _, given := m.raw["spec"]; !given {
		add("", "Missing field", "The %s needs spec.", m.kind)
		return found.within(m.lines)
	}
	m.elsewhere(add)
	m.selectors(add)
	m.durations(add, duration)
	switch {
	case m.oneShot() && !cannotRevert:
		mistake := at(m.node("spec.action"), "No way back", "This action is done at once, and nothing undoes it. Write cannot_revert = true into the fault, and no duration.")
		mistake.field = "cannot_revert"
		found = append(found, mistake)
	case !m.oneShot() && cannotRevert:
		mistake := at(m.node("kind"), "Can be reverted", fmt.Sprintf("Deleting this %s ends it. Remove cannot_revert, and say for how long it stands: duration = \"45s\".", m.kind))
		mistake.field = "cannot_revert"
		found = append(found, mistake)
	}
	return append(found, m.complaints()...).within(m.lines)
}

// node returns where a path stands, or else the nearest thing around it.
func (m *manifest) node(path string) *yaml.Node {
	for {
		if n, known := m.at[path]; known {
			return n
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return m.at[""]
		}
		path = path[:cut]
	}
}

// noter notes a mistake at a path.
type noter = func(path, summary, format string, args ...any)

// reserved are the labels and annotations that gameday writes.
var reserved = []string{cluster.LabelManaged, cluster.LabelRun, cluster.LabelScenario, cluster.LabelFault, cluster.LabelOwner,
	cluster.AnnotationID, cluster.AnnotationUntil}

// metadata checks what an author may say of an object: its namespace, a name, labels and annotations.
func (m *manifest) metadata(add noter) {
	meta, _ := m.raw["metadata"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		switch key {
		case "name", "namespace", "labels", "annotations":
		case "generateName":
			add("metadata.generateName", "Name generated", "gameday names the object. Write name, which becomes part of that, or nothing.")
		default:
			add("metadata."+key, "Not for an author", "metadata.%s is for the cluster to say. Remove it.", key)
		}
	}
	switch ns := m.typed.GetNamespace(); {
	case ns == "":
		add("metadata", "No namespace", "Say in which namespace the object is made, and whose pods it means unless it says otherwise: metadata: {namespace: shop}.")
	case slices.Contains(protected, ns):
		add("metadata.namespace", "Protected namespace", "Nothing is broken in %s: the cluster, or Chaos Mesh itself, runs there.", ns)
	}
	for _, part := range []string{"labels", "annotations"} {
		own, _ := meta[part].(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(own)) {
			switch {
			case key == v1alpha1.PauseAnnotationKey:
				add("metadata."+part+"."+key, "Paused", "A paused object does nothing. Remove the annotation.")
			case key == v1alpha1.WorkflowAnnotationAbort:
				add("metadata."+part+"."+key, "Aborted", "A workflow that is aborted does nothing. Remove the annotation.")
			case key == forceAnnotation:
				add("metadata."+part+"."+key, "Not lifted", "With this annotation Chaos Mesh lets the object go and leaves its fault where it is. Remove it.")
			case slices.Contains(reserved, key):
				add("metadata."+part+"."+key, "Reserved", "gameday writes %s itself, to know its objects by. Remove it.", key)
			}
		}
	}
}

// elsewhere refuses what happens in another cluster: its policy, its preflight and its revert would not be asked.
func (m *manifest) elsewhere(add noter) {
	for _, path := range slices.Sorted(maps.Keys(m.at)) {
		if strings.HasSuffix(path, ".remoteCluster") && !strings.HasPrefix(path, "metadata.") {
			add(path, "Another cluster", "gameday would not see what happens there. Remove remoteCluster, and reach that cluster itself, by a cluster block of its own.")
		}
	}
}

// selectors looks at everything that selects pods or machines.
func (m *manifest) selectors(add noter) {
	m.each(reflect.ValueOf(m.typed), "", func(v reflect.Value, path string) {
		switch s := v.Interface().(type) {
		case v1alpha1.PodSelectorSpec:
			names := slices.Collect(maps.Keys(s.Pods))
			m.selector(add, path, "pod", s.GenericSelectorSpec, names, len(s.Nodes)+len(s.NodeSelectors) > 0)
		case v1alpha1.PhysicalMachineSelectorSpec:
			names := slices.Collect(maps.Keys(s.PhysicalMachines))
			if _, given := m.at[path]; given {
				m.selector(add, path, "machine", s.GenericSelectorSpec, names, false)
			}
		}
	})
}

func (m *manifest) selector(add noter, path, what string, s v1alpha1.GenericSelectorSpec, named []string, narrowed bool) {
	for _, ns := range slices.Sorted(slices.Values(append(slices.Clone(s.Namespaces), named...))) {
		if slices.Contains(protected, ns) {
			where := path + ".namespaces"
			if slices.Contains(named, ns) {
				where = path + "." + map[string]string{"pod": "pods", "machine": "physicalMachines"}[what] + "." + ns
			}
			add(where, "Protected namespace", "Nothing is broken in %s: the cluster, or Chaos Mesh itself, runs there.", ns)
		}
	}
	if len(s.LabelSelectors)+len(s.FieldSelectors)+len(s.ExpressionSelectors)+len(s.AnnotationSelectors)+len(named) == 0 && !narrowed {
		where := "the namespace " + m.typed.GetNamespace()
		if len(s.Namespaces) > 0 {
			where = strings.Join(s.Namespaces, ", ")
		}
		add(path, "Selects everything", "Every %s in %s is meant. Say which: by labelSelectors, or by name.", what, where)
	}
}

// each calls f for every struct below a value, with its path in the manifest.
func (m *manifest) each(v reflect.Value, path string, f func(v reflect.Value, path string)) {
	if v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if !v.IsNil() {
			m.each(v.Elem(), path, f)
		}
		return
	}
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			m.each(v.Index(i), fmt.Sprintf("%s[%d]", path, i), f)
		}
	case reflect.Struct:
		if ownJSON(v.Type()) {
			return
		}
		f(v, path)
		for i := range v.NumField() {
			field := v.Type().Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			switch {
			case !field.IsExported() || name == "-" || name == "status" || name == "metadata":
			case field.Anonymous && name == "":
				m.each(v.Field(i), path, f)
			default:
				m.each(v.Field(i), join(path, name), f)
			}
		}
	}
}

// durations checks how long the object, and what it makes, says that it stands.
func (m *manifest) durations(add noter, fault time.Duration) {
	for _, path := range slices.Sorted(maps.Keys(m.at)) {
		top := path == "spec.duration"
		if !top && !m.lasts(path) {
			continue
		}
		text, _ := valueAt(m.raw, path).(string)
		d, err := time.ParseDuration(text)
		switch {
		case err != nil:
			add(path, "Invalid duration", "%q is not a duration. Write a number and a unit, such as \"45s\".", text)
		case d <= 0:
			add(path, "Duration out of range", "%s is %v, and must be longer than nothing.", path, d)
		case top && m.oneShot():
			add(path, "No duration here", "This action is done at once, so Chaos Mesh takes no notice of a duration. Remove it.")
		case fault == 0:
		case d > fault:
			add(path, "Longer than the fault", "%s is %v, and the fault stands for %v. Remove it, or let the fault stand as long.", path, d, fault)
		case top && d < fault:
			add(path, "Shorter than the fault", "Chaos Mesh would lift it after %v, and the fault stands for %v. Remove it: gameday writes the fault's own.", d, fault)
		}
	}
}

// lasts reports whether a path is the duration of what a Schedule makes, or the deadline of a Workflow's template.
func (m *manifest) lasts(path string) bool {
	if m.kind != v1alpha1.KindSchedule && m.kind != v1alpha1.KindWorkflow || !strings.HasPrefix(path, "spec.") {
		return false
	}
	last := path[strings.LastIndex(path, ".")+1:]
	parent := path[:strings.LastIndex(path, ".")]
	switch last {
	case "deadline":
		return strings.HasSuffix(parent, "]") && strings.Contains(parent, "templates[")
	case "duration":
		return strings.HasSuffix(parent, "Chaos") || strings.HasSuffix(parent, "chaos")
	}
	return false
}

// valueAt returns what stands at a path without lists, or in lists by their numbers.
func valueAt(v any, path string) any {
	for _, part := range strings.Split(path, ".") {
		name, numbers, _ := strings.Cut(part, "[")
		object, _ := v.(map[string]any)
		v = object[name]
		for number := range strings.SplitSeq(strings.TrimSuffix(numbers, "]"), "][") {
			i := 0
			if number == "" {
				continue
			}
			if _, err := fmt.Sscan(number, &i); err != nil {
				return nil
			}
			list, _ := v.([]any)
			if i >= len(list) {
				return nil
			}
			v = list[i]
		}
	}
	return v
}
