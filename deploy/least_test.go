package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/find"
	"gameday/faults/guard"
	"gameday/internal/kuberig"
)

// TestLeast takes each verb of the chart's roles away in turn, and sees a small game day miss it: what faults need fails by itself,
// with the permission's name, and is foretold by the preflight; what only lets more be seen is said not to be seen.
func TestLeast(t *testing.T) {
	c := kuberig.Start(t, kuberig.Options{})
	program := filepath.Join(t.TempDir(), cluster.Program)
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/gameday-kubernetes").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := errors.Join(c.Namespace("shop"), c.Node("node-1")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Kubectl(t.Context(), "", "apply", "-k", base); err != nil {
		t.Fatal(err)
	}
	who := c.Kubeconfig(t, kuberig.User{Name: "gameday", Namespace: "gameday"})
	w := &world{Cluster: c, program: program, access: faults.Access{Kubeconfig: who}}

	whole := w.day(t)
	if whole.err != nil || whole.blocked() != "" || whole.findings("not allowed") != "" {
		t.Fatalf("with all that the chart allows:\n%v\n%s", whole.err, whole)
	}
	t.Logf("with all of it:\n%s", whole)
	for _, r := range []struct{ path, only string }{
		{"namespaces/shop/roles/gameday-target", "podchaos"}, // the other kinds go the same way
		{"clusterroles/gameday-look", ""},
		{"namespaces/chaos-mesh/roles/gameday-look", ""},
		{"namespaces/gameday/roles/gameday-verdict", ""},
	} {
		path := "/apis/rbac.authorization.k8s.io/v1/" + r.path
		var is map[string]any
		if err := c.Get(path, &is); err != nil {
			t.Fatal(err)
		}
		for _, p := range each(t, is) {
			if r.only != "" && strings.HasSuffix(p.resource, "chaos") && p.resource != r.only {
				continue
			}
			t.Run(p.String(), func(t *testing.T) {
				w.without(t, path, is, p)
				got := w.day(t)
				t.Logf("%v\n%s", got.err, got)
				w.judge(t, p, got)
			})
			w.restore(t, path, is, p)
		}
	}
}

// world is a cluster with the chart in it, and what a game day there is held by.
type world struct {
	*kuberig.Cluster
	program string
	access  faults.Access
	days    int
}

// verb is one permission of a role.
type verb struct{ group, resource, verb, namespace string }

func (v verb) String() string { return v.verb + " " + v.resource }

// each lists the permissions of a role as the API has it.
func each(t *testing.T, is map[string]any) []verb {
	t.Helper()
	ns, _ := is["metadata"].(map[string]any)["namespace"].(string)
	var out []verb
	for _, r := range rulesOf(t, is) {
		for _, resource := range r.Resources {
			for _, v := range r.Verbs {
				out = append(out, verb{r.Groups[0], resource, v, ns})
			}
		}
	}
	return out
}

func rulesOf(t *testing.T, is map[string]any) (rules []rule) {
	t.Helper()
	text, err := json.Marshal(is["rules"])
	if err == nil {
		err = json.Unmarshal(text, &rules)
	}
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// without takes one permission out of a role, and returns when the server goes by that.
func (w *world) without(t *testing.T, path string, is map[string]any, p verb) {
	t.Helper()
	var less []rule
	for _, r := range rulesOf(t, is) {
		for _, resource := range r.Resources {
			one := rule{Groups: r.Groups, Resources: []string{resource}, Verbs: slices.Clone(r.Verbs)}
			if r.Groups[0] == p.group && resource == p.resource {
				one.Verbs = slices.DeleteFunc(one.Verbs, func(v string) bool { return v == p.verb })
			}
			if len(one.Verbs) > 0 {
				less = append(less, one)
			}
		}
	}
	if err := w.Patch(path, map[string]any{"rules": less}, nil); err != nil {
		t.Fatal(err)
	}
	w.await(t, p, false)
}

// restore puts a role back, and removes what a game day without it has left standing.
func (w *world) restore(t *testing.T, path string, is map[string]any, p verb) {
	t.Helper()
	if err := w.Patch(path, map[string]any{"rules": is["rules"]}, nil); err != nil {
		t.Fatal(err)
	}
	w.await(t, p, true)
	if _, err := w.Kubectl(t.Context(), "", "-n", "shop", "delete", "podchaos", "--all", "--wait", "--timeout=30s"); err != nil {
		t.Fatal(err)
	}
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

// seen is what a game day's dealings with the cluster came to.
type seen struct {
	preflight []cluster.Finding
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

// judge holds what was seen to what the permission is for.
func (w *world) judge(t *testing.T, p verb, got seen) {
	t.Helper()
	named := p.verb + " " + p.resource
	switch {
	case p.namespace == "gameday": // the verdict's Event, which no preflight is about
		if got.err == nil || !strings.Contains(got.err.Error(), "events is forbidden") || !strings.Contains(got.err.Error(), `cannot create resource "events"`) {
			t.Errorf("it does not say what is missing: %v", got.err)
		}
	case p.namespace == "shop" && (strings.HasSuffix(p.resource, "chaos") || p.resource == "pods"):
		if !mentions(got.blocked(), named) {
			t.Errorf("the preflight does not block by naming %s:\n%s", named, got)
		}
		// Without watches everything can still be asked for again and again, and is seen seconds late: no clock would be right, so the
		// preflight refuses what would go on.
		if p.verb != "watch" && (got.err == nil || !mentions(got.err.Error(), named)) {
			t.Errorf("nothing fails for want of %s: %v", named, got.err)
		}
	default:
		if !mentions(got.findings("not allowed, and done without"), named) {
			t.Errorf("it is not said that %s is done without:\n%s", named, got)
		}
		if got.blocked() != "" || got.err != nil {
			t.Errorf("a game day is to go on without %s: %v\n%s", named, got.err, got.blocked())
		}
	}
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

// day does in the cluster what a small game day does there: it finds a pod, asks whether it may, injects whatever the answer is, looks
// at the effect, reverts, asks what is left, lifts, and tells of the verdict. The first that fails ends it.
func (w *world) day(t *testing.T) (out seen) {
	t.Helper()
	w.days++
	run := fmt.Sprintf("least-%d", w.days)
	pod := fmt.Sprintf("ledger-%d", w.days)
	w.Pod(t, "shop", pod, "node-1", "app", pod)
	defer func() {
		if err := w.Delete("/api/v1/namespaces/shop/pods/" + pod); err != nil {
			t.Error(err)
		}
	}()
	g, err := guard.Start(t.Context(), exec.Command(w.program, "--ledger", filepath.Join(t.TempDir(), "ledger")))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	defer g.Close(context.WithoutCancel(ctx)) // what it leaves is removed with the role's restoration
	var found find.Result
	if out.err = w.ask(ctx, g, cluster.Query{Pods: &cluster.Pods{Namespace: "shop", Labels: map[string]string{"app": pod}}}, &found); out.err != nil {
		// The preflight has no place to ask about; it is asked about the pod as its owner sees it.
		found = find.Result{Found: []find.Found{{Place: faults.Place{Name: "shop/" + pod, Cluster: &faults.Cluster{Access: w.access,
			Pod: &faults.Pod{Namespace: "shop", Name: pod, UID: "unknown"}}}}}}
	}
	if len(found.Found) != 1 {
		t.Fatalf("found %d pods: %s", len(found.Found), found.Hint)
	}
	request := guard.InjectRequest{ID: run + "-reboot", Run: run, Scenario: "least", Fault: "reboot", Kind: "node_restart", Config: json.RawMessage(`{"down_for":"40s"}`),
		Place: found.Found[0].Place, Lease: time.Minute, Deadline: time.Minute, EffectTimeout: 20 * time.Second}
	if err := w.ask(ctx, g, cluster.Query{Preflight: &cluster.Preflight{Requests: []guard.InjectRequest{request}}}, &out.preflight); err != nil {
		t.Fatalf("the preflight: %v", err)
	}
	steps := []func() error{
		func() error { _, err := g.Inject(ctx, request); return err },
		func() error { _, err := g.Effect(ctx, request.ID, time.Second); return err },
		func() error { return g.Revert(ctx, request.ID) },
		func() error {
			var ours []cluster.Object
			err := w.ask(ctx, g, cluster.Query{Ours: &cluster.Ours{Run: run, Namespaces: []string{"shop"}}}, &ours)
			if err == nil && len(ours) > 0 {
				err = fmt.Errorf("%v is left", ours)
			}
			return err
		},
		func() error {
			return w.ask(ctx, g, cluster.Query{Lift: &cluster.Lift{Run: run, Namespaces: []string{"shop"}}}, nil)
		},
		func() error {
			return w.ask(ctx, g, cluster.Query{Event: &cluster.Event{Namespace: "gameday", Kind: "Job", Name: "today", UID: "7", Reason: "GameDayPassed", Message: run}}, nil)
		},
	}
	for i := 0; i < len(steps) && out.err == nil; i++ {
		out.err = steps[i]()
	}
	return out
}

// ask asks the guard as the chart's service account.
func (w *world) ask(ctx context.Context, g *guard.Client, q cluster.Query, answer any) error {
	q.Access = w.access
	text, err := json.Marshal(q)
	if err != nil {
		return err
	}
	got, err := g.Find(ctx, text)
	if err != nil || answer == nil {
		return err
	}
	return json.Unmarshal(got, answer)
}
