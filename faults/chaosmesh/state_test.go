package chaosmesh

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"gameday/faults"
)

// chaosObject is an object of Chaos Mesh as its controllers leave it.
func chaosObject(t *testing.T, desired string, conditions map[string]string, records ...tree) *unstructured.Unstructured {
	t.Helper()
	var list, all []any
	for k, v := range conditions {
		list = append(list, tree{"type": k, "status": v})
	}
	for _, r := range records {
		r["selectorKey"] = "."
		all = append(all, r)
	}
	return &unstructured.Unstructured{Object: tree{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "NetworkChaos",
		"metadata": tree{"namespace": "shop", "name": "cut", "uid": "u1"},
		"status":   tree{"conditions": list, "experiment": tree{"desiredPhase": desired, "containerRecords": all}}}}
}

func record(id, phase string, events ...tree) tree {
	r := tree{"id": id, "phase": phase, "injectedCount": int64(0), "recoveredCount": int64(0)}
	if len(events) > 0 {
		var list []any
		for _, e := range events {
			list = append(list, e)
		}
		r["events"] = list
	}
	return r
}

var failed = tree{"type": "Failed", "operation": "Apply", "message": "no daemon\n on node-1", "timestamp": "2026-11-29T06:33:22Z"}

func TestEffect(t *testing.T) {
	selected := map[string]string{"Selected": "True", "AllInjected": "False"}
	injected := map[string]string{"Selected": "True", "AllInjected": "True"}
	for _, k := range []struct {
		name    string
		object  *unstructured.Unstructured
		want    []string
		proven  bool
		summary string
	}{
		{"nobody looked", chaosObject(t, "", nil), nil, false, "not selected"},
		// Chaos Mesh calls a list without members all injected.
		{"nothing selected", chaosObject(t, "Run", injected), nil, false, "not selected"},
		{"selected", chaosObject(t, "Run", selected, record("shop/a", "Not Injected")), nil, false, "Selected, not injected: shop/a: Not Injected"},
		{"waits", chaosObject(t, "Run", selected, record("shop/a", "Not Injected/Wait", failed)), nil, false,
			"Selected, not injected: shop/a: Not Injected/Wait (Apply failed: no daemon on node-1, at 06:33:22)"},
		{"one of two", chaosObject(t, "Run", selected, record("shop/a", "Injected"), record("shop/b", "Injected/Wait")), nil, false, "shop/b: Injected/Wait; 1 of 2 injected"},
		// Conditions are those of an earlier look at the records, either way.
		{"condition runs behind", chaosObject(t, "Run", selected, record("shop/a", "Injected")), nil, false, "the condition AllInjected does not yet"},
		{"condition runs ahead", chaosObject(t, "Run", injected, record("shop/a", "Not Injected")), nil, false, "Selected, not injected"},
		{"injected", chaosObject(t, "Run", injected, record("shop/a", "Injected"), record("shop/b", "Injected")), []string{"shop/b"}, true, "AllInjected: shop/a; shop/b"},
		{"a container of it", chaosObject(t, "Run", injected, record("shop/a/main", "Injected")), []string{"shop/a"}, true, "AllInjected: shop/a/main"},
		{"another", chaosObject(t, "Run", injected, record("shop/ab", "Injected")), []string{"shop/a"}, false, "did not select shop/a"},
	} {
		t.Run(k.name, func(t *testing.T) {
			s, err := stateOf(k.object)
			if err != nil {
				t.Fatal(err)
			}
			e := effectOf(s, k.want)
			if e.Proven != k.proven || !strings.Contains(e.Summary, k.summary) {
				t.Errorf("proven %v: %s", e.Proven, e.Summary)
			}
			for _, r := range s.status.Experiment.Records {
				if !strings.HasPrefix(e.Details[r.Id], string(r.Phase)) {
					t.Errorf("of %s it tells %q", r.Id, e.Details[r.Id])
				}
			}
		})
	}
}

func TestOver(t *testing.T) {
	i := &injection{undo: undo{Kind: "NetworkChaos", Namespace: "shop", Name: "cut"}}
	paused := chaosObject(t, "Stop", nil, record("shop/a", "Injected"))
	paused.SetAnnotations(map[string]string{"experiment.chaos-mesh.org/pause": "true"})
	now := time.Now()
	for _, k := range []struct {
		name string
		s    sight
		ends bool
		why  string
	}{
		{"gone, and nobody looked", sight{gone: true, at: now, before: now.Add(-2 * time.Second), blame: errors.New("watches are forbidden")}, false,
			"somebody deleted NetworkChaos shop/cut; that was seen after 2s in which nobody could look: watches are forbidden"},
		{"stands", sight{object: chaosObject(t, "Run", nil, record("shop/a", "Injected"))}, false, ""},
		// AllRecovered is true of what is selected and not injected yet.
		{"not injected yet", sight{object: chaosObject(t, "Run", map[string]string{"AllRecovered": "True"}, record("shop/a", "Not Injected"))}, false, ""},
		{"nothing seen", sight{}, false, ""},
		{"gone", sight{gone: true}, false, "somebody deleted NetworkChaos shop/cut"},
		{"paused", sight{object: paused}, false, "paused"},
		{"lifted", sight{object: chaosObject(t, "Stop", nil, record("shop/a", "Not Injected"))}, false, "Chaos Mesh lifted"},
		{"ended by itself", sight{object: chaosObject(t, "Stop", nil, record("shop/a", "Not Injected"))}, true, ""},
	} {
		t.Run(k.name, func(t *testing.T) {
			i.ends = k.ends
			err := i.over(k.s)
			if k.why == "" {
				if err != nil {
					t.Errorf("it says %v", err)
				}
				return
			}
			says(t, err, k.why)
			if l := lapsed(""); !l.Is(faults.ErrLapsed) {
				t.Error("it is no ErrLapsed")
			}
		})
	}
}

// TestBorne: what bears a fault is the pod for its network, and the container for what is inside one.
func TestBorne(t *testing.T) {
	pod := func(id string) *corev1.Pod {
		return &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "main", ContainerID: id}}}}
	}
	there := sight{object: &unstructured.Unstructured{}}
	for _, k := range []struct {
		name, kind, record string
		s                  sight
		now                *corev1.Pod
		why                string
	}{
		{"the same", "StressChaos", "shop/a/main", there, pod("docker://1"), ""},
		{"container restarted", "StressChaos", "shop/a/main", there, pod("docker://2"), "container main of pod shop/a was restarted"},
		{"container starting", "StressChaos", "shop/a/main", there, pod(""), ""},
		{"another container", "StressChaos", "shop/a/side", there, pod("docker://2"), ""},
		{"network outlives containers", "NetworkChaos", "shop/a", there, pod("docker://2"), ""},
		{"meant to restart", "PodChaos", "shop/a", there, pod("docker://2"), ""},
		{"pod gone", "NetworkChaos", "shop/a", sight{gone: true}, nil, "pod shop/a is gone, and the fault with it"},
		{"pod not seen yet", "NetworkChaos", "shop/a", sight{}, nil, ""},
	} {
		t.Run(k.name, func(t *testing.T) {
			i := &injection{undo: undo{Kind: k.kind}, containers: map[string]string{"main": "docker://1", "side": "docker://9"},
				place: faults.Place{Cluster: &faults.Cluster{Pod: &faults.Pod{Namespace: "shop", Name: "a"}}}}
			s, err := stateOf(chaosObject(t, "Run", nil, record(k.record, "Injected")))
			if err != nil {
				t.Fatal(err)
			}
			err = i.borne(s, k.s, k.now)
			switch {
			case k.why == "" && err != nil:
				t.Errorf("it says %v", err)
			case k.why != "":
				says(t, err, k.why)
			}
		})
	}
}

func TestWithout(t *testing.T) {
	u := &unstructured.Unstructured{Object: tree{"spec": tree{"iptables": []any{tree{"source": "shop/cut"}, tree{"source": "shop/other"}}, "tcs": []any{}}}}
	if !without(u, perPod["NetworkChaos"].lists, "shop/cut") || without(u, perPod["NetworkChaos"].lists, "shop/cut") {
		t.Error("it is removed once")
	}
	if list, _, _ := unstructured.NestedSlice(u.Object, "spec", "iptables"); len(list) != 1 {
		t.Errorf("left: %v", list)
	}
}

func TestDescends(t *testing.T) {
	owned := func(label, value string, owners ...any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: tree{"metadata": tree{"labels": tree{label: value}, "ownerReferences": owners}}}
	}
	owner := tree{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "Schedule", "name": "gameday-x", "uid": "1"}
	for _, k := range []struct {
		o    *unstructured.Unstructured
		want bool
	}{
		{owned("managed-by", "gameday-x", owner), true},
		{owned("chaos-mesh.org/workflow", "gameday-x-8fk2", owner), true},
		{owned("managed-by", "gameday-xy", owner), false},
		{owned("managed-by", "gameday-x"), false}, // anybody may set a label
		{owned("app", "gameday-x", owner), false},
	} {
		if got := descends(k.o, "gameday-x"); got != k.want {
			t.Errorf("%v: %v", k.o.Object, got)
		}
	}
}

func TestChildren(t *testing.T) {
	workflow := tree{"entry": "a", "templates": []any{tree{"templateType": "Serial"}, tree{"templateType": "StressChaos"},
		tree{"templateType": "Schedule", "schedule": tree{"type": "PodChaos"}}, tree{"templateType": "Suspend"}}}
	for _, k := range []struct {
		object tree
		want   string
	}{
		{tree{"kind": "PodChaos", "spec": tree{"type": "x"}}, ""},
		{tree{"kind": "Schedule", "spec": tree{"type": "NetworkChaos"}}, "NetworkChaos"},
		{tree{"kind": "Workflow", "spec": workflow}, "PodChaos Schedule StressChaos"},
		{tree{"kind": "Schedule", "spec": tree{"type": "Workflow", "workflow": workflow}}, "PodChaos Schedule StressChaos Workflow"},
		{tree{"kind": "Schedule"}, ""},
	} {
		if got := strings.Join(childrenOf(&unstructured.Unstructured{Object: k.object}), " "); got != k.want {
			t.Errorf("%v: %q, want %q", k.object, got, k.want)
		}
	}
}

// TestWanted is what must have a record for a fault to count as injected: Chaos Mesh leaves out what is gone when it looks.
func TestWanted(t *testing.T) {
	pod := func(name string) *faults.Cluster {
		return &faults.Cluster{Pod: &faults.Pod{Namespace: "shop", Name: name}}
	}
	injected := map[string]string{"Selected": "True", "AllInjected": "True"}
	between := faults.Place{Cluster: pod("a"), Peers: []faults.Peer{{Cluster: pod("b")}, {Cluster: pod("c")}}}
	for _, k := range []struct {
		name       string
		place      faults.Place
		containers []any
		records    []string
		absent     string
	}{
		{"the other side", between, nil, []string{"shop/a", "shop/b", "shop/c"}, ""},
		{"a pod of the other side is gone", between, nil, []string{"shop/a", "shop/b"}, "shop/c"},
		{"two containers", faults.Place{Cluster: pod("a")}, []any{"x", "y"}, []string{"shop/a/x", "shop/a/y"}, ""},
		{"one of two containers", faults.Place{Cluster: pod("a")}, []any{"x", "y"}, []string{"shop/a/x"}, "shop/a/y"},
		{"a manifest's own", faults.Place{Cluster: &faults.Cluster{}}, nil, []string{"shop/z"}, ""},
	} {
		t.Run(k.name, func(t *testing.T) {
			var records []tree
			for _, id := range k.records {
				records = append(records, record(id, "Injected"))
			}
			o := chaosObject(t, "Run", injected, records...)
			if k.containers != nil {
				o.Object["spec"] = tree{"containerNames": k.containers}
			}
			e, err := (&injection{place: k.place}).effect(sight{object: o})
			if err != nil || e.Proven != (k.absent == "") || !strings.Contains(e.Summary, k.absent) {
				t.Errorf("proven %v: %s, %v", e.Proven, e.Summary, err)
			}
		})
	}
}

// FuzzEffect: whatever a status says, nothing is proven unless a record is there and every one says Injected, and nothing panics.
func FuzzEffect(f *testing.F) {
	for _, seed := range []string{`{}`, `null`, `{"conditions":[{"type":"AllInjected","status":"True"}],"experiment":{"containerRecords":[]}}`,
		`{"conditions":[{"type":"AllInjected","status":"True"}],"experiment":{"desiredPhase":"Run","containerRecords":[{"id":"shop/a","phase":"Injected"}]}}`,
		`{"conditions":[{"type":"AllInjected","status":"True"}],"experiment":{"containerRecords":[{"id":"shop/a","phase":"Injected"},{"id":"","phase":"Not Injected/Wait","events":[{}]}]}}`,
		`{"conditions":{},"experiment":[]}`, `{"experiment":{"containerRecords":[null]}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var status any
		if json.Unmarshal(text, &status) != nil {
			return
		}
		s, err := stateOf(&unstructured.Unstructured{Object: tree{"kind": "PodChaos", "status": status}})
		if err != nil {
			return
		}
		e := effectOf(s, nil)
		injected := 0
		for _, r := range s.status.Experiment.Records {
			if r.Phase == "Injected" {
				injected++
			}
			_ = recordLine(r)
		}
		if e.Proven && (injected == 0 || injected != len(s.status.Experiment.Records)) || e.Summary == "" {
			t.Errorf("%s is %+v", text, e)
		}
		_, _, _ = s.injected(), s.recovered(), s.touched()
	})
}

// TestEndedUnseen lets a pod failure end while the API server is away: when it did, nobody knows, and that is told.
func TestEndedUnseen(t *testing.T) {
	away := time.Now()
	ready := &unstructured.Unstructured{Object: tree{"apiVersion": "v1", "kind": "Pod", "metadata": tree{"namespace": "shop", "name": "a"},
		"status": tree{"conditions": []any{tree{"type": "Ready", "status": "True"}}}}}
	object := chaosObject(t, "Stop", map[string]string{"AllRecovered": "True"}, record("shop/a", "Not Injected"))
	at := func(after time.Duration, before time.Time, u *unstructured.Unstructured) sight {
		return sight{object: u, at: away.Add(after), before: before, blame: errors.New("refused")}
	}
	for _, k := range []struct {
		name      string
		s, bearer sight
		want      string
	}{
		{"seen", at(40*time.Second, time.Time{}, object), at(50*time.Second, time.Time{}, ready), ""},
		{"both while it was away", at(30*time.Second, away, object), at(31*time.Second, away, ready), "31s"},
		{"ready later, and seen", at(30*time.Second, away, object), at(50*time.Second, time.Time{}, ready), ""},
		{"recovered last", at(33*time.Second, away, object), at(32*time.Second, time.Time{}, ready), "33s"},
	} {
		i := &injection{ends: true, place: faults.Place{Cluster: &faults.Cluster{Pod: &faults.Pod{Namespace: "shop", Name: "a"}}}}
		e, ended, err := i.judge(k.s, k.bearer)
		if err != nil || !ended || e.Details[faults.UnseenDetail] != k.want {
			t.Errorf("%s: ended %v, %v, unseen for %q", k.name, ended, err, e.Details[faults.UnseenDetail])
		}
		if why := e.Details["unseen because"]; (why == "refused") != (k.want != "") {
			t.Errorf("%s: it was not seen because %q", k.name, why)
		}
	}
	f := &follower{changed: make(chan struct{})}
	c := bad(t, http.NotFound)
	f.trouble(c, errors.New("away"))
	f.seen(ready, false)
	if s, _, _ := f.see(); s.before.IsZero() || s.at.Before(s.before) {
		t.Errorf("the first sight after it was away: %+v", s)
	}
	f.seen(ready, false)
	if s, _, _ := f.see(); !s.before.IsZero() {
		t.Errorf("the next one: %+v", s)
	}
}
