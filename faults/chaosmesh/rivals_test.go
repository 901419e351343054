package chaosmesh

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"gameday/faults"
	"gameday/faults/cluster"
)

// TestRivals picks the objects of other game days that are on the pods of one.
func TestRivals(t *testing.T) {
	of := func(run string, o *unstructured.Unstructured) *unstructured.Unstructured {
		o.SetAnnotations(map[string]string{cluster.AnnotationRun: run})
		return o
	}
	naming := func(path ...string) *unstructured.Unstructured {
		o := chaosObject(t, "Run", nil)
		if err := unstructured.SetNestedMap(o.Object, map[string]any{"shop": []any{"cart-1", "cart-2"}}, path...); err != nil {
			t.Fatal(err)
		}
		return o
	}
	deleted := func(o *unstructured.Unstructured) *unstructured.Unstructured {
		o.SetDeletionTimestamp(&metav1.Time{Time: time.Now()})
		return o
	}
	past, ahead := time.Now().Add(-time.Minute), time.Now().Add(time.Minute)
	kill := func(action string, until time.Time, conditions map[string]string, phase string) *unstructured.Unstructured {
		o := of("theirs", chaosObject(t, "Run", conditions, record("shop/cart-1", phase)))
		o.SetKind("PodChaos")
		o.SetAnnotations(map[string]string{cluster.AnnotationRun: "theirs", cluster.AnnotationUntil: until.UTC().Format(time.RFC3339)})
		if err := unstructured.SetNestedField(o.Object, action, "spec", "action"); err != nil {
			t.Fatal(err)
		}
		return o
	}
	done := map[string]string{"Selected": "True", "AllInjected": "True"}
	for name, c := range map[string]struct {
		object *unstructured.Unstructured
		want   []string
	}{
		"a kill of a game day that died since":                     {kill("pod-kill", past, done, "Injected"), nil},
		"a container's kill of a game day that died since":         {kill("container-kill", past, done, "Injected"), nil},
		"a kill of a game day that goes on":                        {kill("pod-kill", ahead, done, "Injected"), []string{"shop/cart-1"}},
		"a kill that nobody has carried out yet, and somebody may": {kill("pod-kill", past, nil, "Not Injected"), []string{"shop/cart-1"}},
		"a pod that was to be back, of a game day that died since": {kill("pod-failure", past, done, "Injected"), []string{"shop/cart-1"}},
		"injected":                 {of("theirs", chaosObject(t, "Run", nil, record("shop/cart-2/web", "Injected"))), []string{"shop/cart-2"}},
		"selected":                 {of("theirs", chaosObject(t, "Run", nil, record("shop/cart-1", "Not Injected"))), []string{"shop/cart-1"}},
		"nobody has looked yet":    {of("theirs", naming("spec", "selector", "pods")), []string{"shop/cart-1", "shop/cart-2"}},
		"the other side of a cut":  {of("theirs", naming("spec", "target", "selector", "pods")), []string{"shop/cart-1", "shop/cart-2"}},
		"being lifted":             {of("theirs", deleted(chaosObject(t, "Stop", nil, record("shop/cart-1", "Injected/Wait")))), []string{"shop/cart-1"}},
		"lifted":                   {of("theirs", deleted(chaosObject(t, "Stop", nil, record("shop/cart-1", "Not Injected")))), nil},
		"over":                     {of("theirs", chaosObject(t, "Stop", nil, record("shop/cart-1", "Not Injected"))), nil},
		"its own":                  {of("ours", chaosObject(t, "Run", nil, record("shop/cart-1", "Injected"))), nil},
		"nobody's":                 {of("", chaosObject(t, "Run", nil, record("shop/cart-1", "Injected"))), nil},
		"other pods":               {of("theirs", chaosObject(t, "Run", nil, record("shop/search-1", "Injected"))), nil},
		"the name elsewhere":       {of("theirs", chaosObject(t, "Run", nil, record("bank/cart-1", "Injected"))), nil},
		"a name that begins alike": {of("theirs", chaosObject(t, "Run", nil, record("shop/cart-10", "Injected"))), nil},
	} {
		var got []string
		for _, r := range rivalsAmong([]unstructured.Unstructured{*c.object}, "NetworkChaos", "ours", []string{"shop/cart-1", "shop/cart-2"}) {
			got = append(got, r.pods...)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	for until, want := range map[time.Time]string{ahead: "(fault cut, by ann, until ", past: "(fault cut, by ann, which should have been gone by "} {
		o := kill("pod-failure", until, done, "Injected")
		a := o.GetAnnotations()
		a[cluster.AnnotationFault], a[cluster.AnnotationOwner] = "cut", "ann"
		o.SetAnnotations(a)
		if got := (rival{o, []string{"shop/cart-1"}}).text(); !strings.Contains(got, want+until.UTC().Format(time.RFC3339)) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	pod := func(name string) *faults.Cluster {
		return &faults.Cluster{Pod: &faults.Pod{Namespace: "shop", Name: name}}
	}
	between := faults.Place{Cluster: pod("cart-1"), Peers: []faults.Peer{{Cluster: pod("db-1")}, {Cluster: pod("cart-1")}, {}}}
	if got := meant(between); !slices.Equal(got, []string{"shop/cart-1", "shop/db-1"}) {
		t.Errorf("a cut is meant for %v", got)
	}
}

// TestGoing holds what is being deleted to hanging only when nothing is to be hoped for.
func TestGoing(t *testing.T) {
	object := func(desired, phase string) *unstructured.Unstructured {
		o := chaosObject(t, desired, nil, record("shop/cart-1", phase))
		o.SetFinalizers([]string{recordsFinalizer})
		return o
	}
	ignored, heeded, free := sight{object: object("Run", "Injected")}, sight{object: object("Stop", "Injected")}, sight{object: object("Stop", "Not Injected")}
	away := sight{object: object("Run", "Injected"), since: time.Now()}
	type step struct {
		after time.Duration
		seen  sight
		hangs bool
	}
	for name, c := range map[string]struct {
		other  bool          // of a kind that is not Chaos Mesh's
		behind time.Duration // until other controllers have taken up their part
		steps  []step
	}{
		"controllers look late": {false, 0, []step{{60 * time.Second, ignored, false}, {9 * time.Second, heeded, false}, {9 * time.Second, heeded, false}, {time.Second, heeded, true}}},
		"controllers are gone":  {false, 0, []step{{69 * time.Second, ignored, false}, {time.Second, ignored, true}}},
		"it hangs":              {false, 0, []step{{0, heeded, false}, {10 * time.Second, heeded, true}}},
		"the API server is away, and the controllers look after it is back": {false, 0, []step{{69 * time.Second, away, false}, {69 * time.Second, ignored, false},
			{0, heeded, false}, {9 * time.Second, heeded, false}, {time.Second, heeded, true}}},
		"what is collected for pods is taken up late": {false, 50 * time.Second, []step{{5 * time.Second, heeded, false}, {20 * time.Second, heeded, false},
			{24 * time.Second, heeded, false}, {9 * time.Second, heeded, false}, {time.Second, heeded, true}}},
		"what is collected for pods is never taken up": {false, time.Hour, []step{{5 * time.Second, heeded, false}, {64 * time.Second, heeded, false}, {9 * time.Second, heeded, false}, {time.Second, heeded, true}}},
		"it was lifted before that":                    {false, 0, []step{{59 * time.Second, free, false}, {10 * time.Second, free, false}, {time.Second, free, true}}},
		"it is lifted late":                            {false, 0, []step{{65 * time.Second, ignored, false}, {time.Second, heeded, false}, {5 * time.Second, free, false}, {9 * time.Second, free, false}, {time.Second, free, true}}},
		"a Job":                                        {true, 0, []step{{time.Hour, heeded, false}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				g := goes{notice: noticeLimit, began: now, asked: now, forever: c.other,
					behind: func(context.Context, *unstructured.Unstructured) bool { return time.Since(now) < c.behind }}
				for i, s := range c.steps {
					time.Sleep(s.after) // on the bubble's clock
					if _, hangs := g.judge(t.Context(), s.seen); hangs != s.hangs {
						t.Errorf("step %d: hangs is %v", i, hangs)
					}
				}
			})
		})
	}
}

// TestFirstUnseen tells of an injection of which nobody could see whether another game day came at the same moment.
func TestFirstUnseen(t *testing.T) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		status(w, 400, metav1.StatusReasonBadRequest, "no such list")
	})
	c := bad(t, answer)
	i := &injection{c: c, undo: undo{Kind: "NetworkChaos", Namespace: "shop", Name: "cut"},
		place: faults.Place{Cluster: &faults.Cluster{Pod: &faults.Pod{Namespace: "shop", Name: "cart-1"}}}}
	if err := i.first(t.Context(), "ours", chaosObject(t, "", nil)); err != nil {
		t.Fatalf("before, nobody was there: %v", err)
	}
	e := faults.Effect{Details: map[string]string{}}
	i.tell(&e)
	if told := e.Details["other game days"]; !strings.Contains(told, "whether one came there at the same moment could not be seen") || !strings.Contains(told, "no such list") {
		t.Errorf("told is %v", e.Details)
	}
}
