package chaosmesh

import (
	"slices"
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
	for name, c := range map[string]struct {
		object *unstructured.Unstructured
		want   []string
	}{
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
	object := func(desired string) *unstructured.Unstructured {
		o := chaosObject(t, desired, nil, record("shop/cart-1", "Injected"))
		o.SetFinalizers([]string{recordsFinalizer})
		return o
	}
	ignored, heeded := sight{object: object("Run")}, sight{object: object("Stop")}
	away := sight{object: object("Run"), since: time.Now()}
	type step struct {
		after time.Duration
		seen  sight
		hangs bool
	}
	for name, c := range map[string]struct {
		other bool // of a kind that is not Chaos Mesh's
		steps []step
	}{
		"controllers look late": {false, []step{{30 * time.Second, ignored, false}, {5 * time.Second, heeded, false}, {9 * time.Second, heeded, false}, {time.Second, heeded, true}}},
		"controllers are gone":  {false, []step{{39 * time.Second, ignored, false}, {time.Second, ignored, true}}},
		"it hangs":              {false, []step{{0, heeded, false}, {10 * time.Second, heeded, true}}},
		"the API server is away, and the controllers look after it is back": {false, []step{{39 * time.Second, away, false}, {39 * time.Second, ignored, false},
			{0, heeded, false}, {9 * time.Second, heeded, false}, {time.Second, heeded, true}}},
		"a Job": {true, []step{{time.Hour, heeded, false}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				g := goes{notice: noticeLimit, began: now, asked: now, forever: c.other}
				for i, s := range c.steps {
					time.Sleep(s.after) // on the bubble's clock
					if _, hangs := g.judge(s.seen); hangs != s.hangs {
						t.Errorf("step %d: hangs is %v", i, hangs)
					}
				}
			})
		})
	}
}
