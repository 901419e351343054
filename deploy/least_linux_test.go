package deploy

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/internal/kuberig"
	"gameday/internal/kuberig/node"
)

// TestLeast takes each verb of each rule of the chart's roles for faults away, and sees a small game day miss it, with a fault of each
// kind: what faults need fails by itself, with the permission's name, and is foretold by the preflight; what only lets more be seen is
// said not to be seen. Containers are real, and so are the controllers and the daemon that act on them. What traffic needs is taken away
// by a test of loadgen/kubernetes, of the chart's own roles.
func TestLeast(t *testing.T) {
	c := kuberig.Start(t, kuberig.Options{Controllers: kuberig.Workloads})
	program := filepath.Join(t.TempDir(), cluster.Program)
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/gameday-kubernetes").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	node.Start(t, c, node.Options{Daemon: true})
	if err := errors.Join(c.Namespace("shop"), c.Node(elsewhere)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Kubectl(t.Context(), "", "apply", "-k", base); err != nil {
		t.Fatal(err)
	}
	who := c.Kubeconfig(t, kuberig.User{Name: "gameday", Namespace: "gameday"})
	w := &world{Cluster: c, program: program, access: faults.Access{Kubeconfig: who}}
	w.populate(t)
	w.guard(t)

	var whole seen
	for i, got := range w.days(t, lives) {
		if got.err != nil || got.blocked() != "" || got.findings("not allowed") != "" || strings.Contains(got.told, "forbidden") {
			t.Fatalf("%s with all that the chart allows: %v\n%s%s", lives[i].kind, got.err, got, got.told)
		}
		t.Logf("%s with all of it: %s\n%s", lives[i].kind, got.told, got)
		if lives[i].kind == "podchaos" {
			whole = got
		}
	}
	for _, path := range []string{"namespaces/shop/roles/gameday-target", "clusterroles/gameday-look", "namespaces/chaos-mesh/roles/gameday-look",
		"namespaces/gameday/roles/gameday-verdict"} {
		r := w.roleAt(t, path)
		for _, p := range r.permits() {
			t.Run(p.String(), func(t *testing.T) {
				kind := "podchaos"
				if p.ofMesh() {
					kind = p.resource
				}
				w.without(t, r, p)
				defer w.restore(t, r, p)
				got := w.day(t, lifeOf(t, kind), lapse(p))
				t.Logf("%v\n%s%s", got.err, got, got.told)
				judge(t, p, got, whole)
			})
		}
	}
}

// verb is one permission of a role.
type verb struct{ group, resource, verb, namespace string }

func (v verb) String() string { return v.verb + " " + v.resource }

// ofMesh reports whether it is about a kind of Chaos Mesh.
func (v verb) ofMesh() bool { return v.group == "chaos-mesh.org" }

// standing is a role in the cluster.
type standing struct {
	path, namespace string
	rules           []rule
}

// roleAt reads a role.
func (w *world) roleAt(t *testing.T, path string) standing {
	t.Helper()
	r := standing{path: "/apis/rbac.authorization.k8s.io/v1/" + path}
	var is struct {
		Metadata struct{ Namespace string }
		Rules    []rule
	}
	if err := w.Get(r.path, &is); err != nil {
		t.Fatal(err)
	}
	r.namespace, r.rules = is.Metadata.Namespace, is.Rules
	return r
}

// permits are its permissions.
func (r standing) permits() (out []verb) {
	for _, one := range r.rules {
		for _, g := range one.Groups {
			for _, resource := range one.Resources {
				for _, v := range one.Verbs {
					out = append(out, verb{g, resource, v, r.namespace})
				}
			}
		}
	}
	return out
}

// without takes a permission out of a role, and returns when the server goes by that.
func (w *world) without(t *testing.T, r standing, p verb) {
	t.Helper()
	var less []rule
	for _, has := range r.permits() {
		if has != p {
			less = append(less, rule{Groups: []string{has.group}, Resources: []string{has.resource}, Verbs: []string{has.verb}})
		}
	}
	if err := w.Patch(r.path, map[string]any{"rules": less}, nil); err != nil {
		t.Fatal(err)
	}
	w.await(t, p, false)
}

// restore puts a role back, and removes what a game day without it has left standing.
func (w *world) restore(t *testing.T, r standing, p verb) {
	t.Helper()
	if err := w.Patch(r.path, map[string]any{"rules": r.rules}, nil); err != nil {
		t.Fatal(err)
	}
	w.await(t, p, true)
	w.clear(t)
}

// await returns when the server allows a permission, or does not.
func (w *world) await(t *testing.T, p verb, allowed bool) {
	t.Helper()
	kuberig.Eventually(t, 10*time.Second, "the server goes by the role", func() bool {
		of, sub, _ := strings.Cut(p.resource, "/")
		var answer struct{ Status struct{ Allowed bool } }
		err := w.Post("/apis/authorization.k8s.io/v1/subjectaccessreviews", map[string]any{"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
			"spec": map[string]any{"user": "system:serviceaccount:gameday:gameday", "groups": []string{"system:serviceaccounts", "system:authenticated"},
				"resourceAttributes": map[string]any{"namespace": p.namespace, "group": p.group, "resource": of, "subresource": sub, "verb": p.verb}}}, &answer)
		return err == nil && answer.Status.Allowed == allowed
	})
}

// lapse says what somebody else is to delete while a fault stands, so that it shows who watches: the fault's object, or its pod.
func lapse(p verb) string {
	switch {
	case p.verb != "watch":
		return ""
	case p.ofMesh():
		return "object"
	}
	return "pod"
}

// days has game days of faults of several kinds, all at once.
func (w *world) days(t *testing.T, of []life) []seen {
	t.Helper()
	out := make([]seen, len(of))
	var all sync.WaitGroup
	for i := range of {
		all.Go(func() { out[i] = w.day(t, of[i], "") })
	}
	all.Wait()
	return out
}

// shows is what each permission lets be seen, where a game day goes on without.
var shows = map[string]string{
	"list events":               "Successfully apply chaos",
	"list poddisruptionbudgets": "budget shop/" + guarded,
	"get namespaces":            `there is no namespace "gamedays"`,
	"list namespaces":           `did you mean "gameday"`,
	"list deployments":          "chaos-controller-manager in namespace chaos-mesh runs",
	"list endpointslices":       "no chaos-daemon serves node " + elsewhere,
}

// judge holds what was seen without a permission, and with all, to what it is for.
func judge(t *testing.T, p verb, got, whole seen) {
	t.Helper()
	named := p.String()
	switch {
	case p.namespace == "gameday": // the verdict's Event, which no preflight is about
		if got.err == nil || !strings.Contains(got.err.Error(), "events is forbidden") || !strings.Contains(got.err.Error(), `cannot create resource "events"`) {
			t.Errorf("it does not say what is missing: %v", got.err)
		}
	case p.namespace == "shop" && (p.ofMesh() || p.resource == "pods"):
		if !mentions(got.blocked(), named) {
			t.Errorf("the preflight does not block by naming %s:\n%s", named, got)
		}
		switch {
		case p.verb == "watch":
			// Without it everything can still be asked for again and again, and what happens is known later: how much, and why, is told.
			if got.err != nil || !mentions(got.told, named) || !strings.Contains(got.told, "nobody could look") && !strings.Contains(got.told, "cannot be asked") {
				t.Errorf("%s is not missed, or not named: %q, %v", named, got.told, got.err)
			}
		case got.err == nil || !mentions(got.err.Error(), named):
			t.Errorf("nothing fails for want of %s: %v", named, got.err)
		}
	default:
		if !mentions(got.findings("not allowed, and done without"), named) {
			t.Errorf("it is not said that %s is done without:\n%s", named, got)
		}
		if got.blocked() != "" || got.err != nil {
			t.Errorf("a game day is to go on without %s: %v\n%s", named, got.err, got.blocked())
		}
		show := shows[named]
		if show == "" {
			t.Fatalf("nobody says what %s lets be seen", named)
		}
		if !strings.Contains(whole.told+whole.sight, show) || strings.Contains(got.told+got.sight, show) {
			t.Errorf("%q is to be seen with %s, and not without:\n%s\n%s\n---\n%s\n%s", show, named, whole.told, whole.sight, got.told, got.sight)
		}
	}
}

// seen is what a game day's dealings with the cluster came to.
type seen struct {
	preflight []cluster.Finding
	told      string // of the effect, or of its end before its time
	sight     string // of what is beside it, in a preflight of another game day
	err       error
}

func (s seen) String() string {
	var b strings.Builder
	for _, f := range s.preflight {
		fmt.Fprintf(&b, "%s (blocks %v): %s\n", f.What, f.Blocks, f.Summary)
	}
	return b.String()
}

// blocked returns the findings that end a run.
func (s seen) blocked() string {
	var out []string
	for _, f := range s.preflight {
		if f.Blocks {
			out = append(out, f.Summary)
		}
	}
	return strings.Join(out, "\n")
}

// findings returns those that begin so.
func (s seen) findings(prefix string) string {
	var out []string
	for _, f := range s.preflight {
		if strings.HasPrefix(f.Summary, prefix) {
			out = append(out, f.Summary)
		}
	}
	return strings.Join(out, "\n")
}

// mentions reports whether a text names a verb and, behind it, a resource: "not allowed: get, watch podchaos in shop, to …; …".
func mentions(text, named string) bool {
	verb, resource, _ := strings.Cut(named, " ")
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(";\n:", r) }) {
		words := strings.FieldsFunc(part, func(r rune) bool { return strings.ContainsRune(" ,\"", r) })
		i := slices.Index(words, verb)
		if i >= 0 && slices.Contains(words[i:], resource) {
			return true
		}
	}
	return false
}
