package chaosmesh

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestRoles compares the roles that are printed for what is missing, from the table, with a golden file.
func TestRoles(t *testing.T) {
	got := roles(Permissions([]string{"NetworkChaos", "Schedule"}, []string{"shop"}))
	file := filepath.Join("testdata", "roles.golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; with -update it is written anew. It is now:\n%s", file, got)
	}
}

func TestPermissions(t *testing.T) {
	line := func(p Permission) string { return p.Verb + " " + p.Resource + " " + p.Namespace + " " + string(p.Use) }
	var all []string
	for _, p := range Permissions([]string{"PodChaos", "NetworkChaos"}, []string{"shop", "till"}) {
		if l := line(p); slices.Contains(all, l) {
			t.Errorf("%s is there twice", l)
		} else {
			all = append(all, l)
		}
		if p.Why == "" {
			t.Errorf("%s: for what?", line(p))
		}
	}
	for _, want := range []string{"create podchaos shop needed", "delete networkchaos till needed", "patch podchaos shop forced", "get podnetworkchaos till forced",
		"list namespaces  better", "list endpointslices chaos-mesh better", "watch pods till needed"} {
		if !slices.Contains(all, want) {
			t.Errorf("%s is not there", want)
		}
	}
	for _, l := range all {
		for _, not := range []string{"podiochaos", "schedules", "physicalmachines", "*"} {
			if strings.Contains(l, " "+not+" ") {
				t.Errorf("%s is not needed for those kinds", l)
			}
		}
	}
	if ps := Permissions([]string{"Schedule"}, []string{"shop"}); !slices.ContainsFunc(ps, func(p Permission) bool { return line(p) == "patch schedules shop needed" }) ||
		slices.ContainsFunc(ps, func(p Permission) bool { return line(p) == "patch schedules shop forced" }) {
		t.Error("a Schedule is paused before it is removed: that is needed, and not for force alone")
	}
}

// page is the users' page, and the marks between which the table stands there.
const (
	page  = "../../docs/kubernetes.md"
	begin = "<!-- permissions: written by a test of faults/chaosmesh -->\n"
	end   = "<!-- end of permissions -->\n"
)

// TestPermissionsPage holds the table on the users' page to the one in the code.
func TestPermissionsPage(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	had, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no marks for the table", page)
	}
	want := permissionTable()
	if *update {
		if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if had != want {
		t.Errorf("%s differs; with -update it is written anew. The table is now:\n%s", page, want)
	}
}

// permissionTable writes the table of the page.
func permissionTable() string {
	var b strings.Builder
	b.WriteString("| where | what | verbs | to | without it |\n| --- | --- | --- | --- | --- |\n")
	without := map[Use]string{Needed: "nothing is injected", Better: "that is not seen, and said", Forced: "`--force` cannot"}
	for _, g := range grants {
		where, what := "each namespace with targets", g.resource
		switch {
		case g.wide:
			where = "the whole cluster"
		case g.plane:
			where = "Chaos Mesh's namespace"
		}
		if what == "*" {
			what = "the kinds of Chaos Mesh that the scenario uses"
		} else if g.group != "" {
			what += "." + g.group
		}
		b.WriteString("| " + where + " | " + what + " | " + strings.Join(strings.Fields(g.verbs), ", ") + " | " + g.why + " | " + without[g.use] + " |\n")
	}
	return b.String()
}
