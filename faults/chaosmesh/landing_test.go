package chaosmesh

import (
	"os"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/kinds"
)

// landed says of a mapping what a Landing says, but under what condition.
func landed(t *testing.T, m mapping) cluster.Landing {
	t.Helper()
	a, err := ask(m.request())
	if err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	if m.kind == "chaos_mesh" {
		return cluster.Landing{Where: "cluster", Held: cluster.AsKind}
	}
	l := cluster.Landing{Object: a.object.kind}
	switch c := m.place.Cluster; {
	case c.Pod != nil:
		l.Where = "pods"
	case c.Instance != nil:
		l.Where = "instance"
	default:
		l.Where = "machine"
	}
	l.Action, _, _ = unstructured.NestedString(a.made.Object, "spec", "action")
	if stressors, _, _ := unstructured.NestedMap(a.made.Object, "spec", "stressors"); len(stressors) == 1 {
		for name := range stressors {
			l.Action = name
		}
	}
	switch {
	case a.object.lapses:
		l.Held = cluster.Lapses
	case a.object.oneShot:
		l.Held = cluster.AtOnce
	}
	return l
}

// TestLandings holds the table that `gameday kinds` shows to what faults become: nothing else, and nothing less.
func TestLandings(t *testing.T) {
	seen := map[string][]cluster.Landing{}
	for _, m := range mappings {
		l := landed(t, m)
		if !slices.Contains(seen[m.kind], l) {
			seen[m.kind] = append(seen[m.kind], l)
		}
	}
	for _, k := range kinds.All() {
		told := cluster.Landings(k.Name)
		for i, l := range told {
			said := l
			l.When = ""
			if told[i] = l; !slices.Contains(seen[k.Name], l) {
				t.Errorf("%s is said to be %+v, and no mapping becomes that", k.Name, said)
			}
		}
		for _, l := range seen[k.Name] {
			if !slices.Contains(told, l) {
				t.Errorf("%s becomes %+v, which the table does not have", k.Name, l)
			}
		}
		for where, p := range map[string]faults.Place{"pods": web, "instance": aws, "machine": machine} {
			_, err := planFor(k.Name, k.New(), p, 0)
			impossible := err != nil && strings.Contains(err.Error(), "is not possible on ")
			if has := slices.ContainsFunc(told, func(l cluster.Landing) bool { return l.Where == where }); has && impossible {
				t.Errorf("%s on %s: %v", k.Name, where, err)
			} else if !has && err == nil {
				t.Errorf("%s lands on %s, which the table does not have", k.Name, where)
			}
		}
	}
}

// TestLandingsInDocs holds the page's table to the same.
func TestLandingsInDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	type row struct{ kinds, where, object, lapses string }
	var rows []row
	_, table, _ := strings.Cut(string(page), "| fault | where | object and action |")
	table, _, _ = strings.Cut(table, "\n\n")
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 6 {
			continue
		}
		r := row{cells[1], cells[2], cells[3], strings.TrimSpace(cells[4])}
		if strings.TrimSpace(r.kinds) == "" && len(rows) > 0 {
			r.kinds = rows[len(rows)-1].kinds
		}
		rows = append(rows, r)
	}
	for _, k := range kinds.All() {
		for _, l := range cluster.Landings(k.Name) {
			if l.Held == cluster.AsKind {
				continue
			}
			lapses := map[cluster.Held]string{cluster.Lapses: "yes", cluster.AtOnce: "no"}[l.Held]
			if !slices.ContainsFunc(rows, func(r row) bool {
				return strings.Contains(r.kinds, "["+k.Name+"]") && strings.Contains(r.where, strings.TrimSuffix(l.Where, "s")) && strings.Contains(r.object, l.Object) &&
					(l.Action == "" || strings.Contains(r.object, "`"+l.Action+"`")) && strings.HasPrefix(r.lapses, lapses)
			}) {
				t.Errorf("docs/kubernetes.md does not say of %s: %+v", k.Name, l)
			}
		}
	}
	if len(rows) < 15 {
		t.Errorf("%d rows were read", len(rows))
	}
}
