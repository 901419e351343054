package chaosmesh

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"gameday/faults"
)

// counted is a record that says how often its target was injected.
func counted(id, phase string, times int64) tree {
	r := record(id, phase)
	r["injectedCount"] = times
	return r
}

// TestPassed: a fault that ends by itself, and is over before anybody sees it stand, has taken effect if the records count that.
func TestPassed(t *testing.T) {
	over := map[string]string{"Selected": "True", "AllInjected": "False", "AllRecovered": "True"}
	late := sight{at: time.Now(), before: time.Now().Add(-31 * time.Second), blame: errors.New("refused")}
	for _, k := range []struct {
		name    string
		ends    bool
		object  *unstructured.Unstructured
		proven  bool
		summary string
	}{
		{"over", true, chaosObject(t, "Stop", over, counted("shop/a/x", "Not Injected", 1), counted("shop/a/y", "Not Injected", 2)), true,
			"injected, and over by now, as each record's injectedCount says: shop/a/x; shop/a/y; that was seen after 31s in which nobody could look: refused"},
		{"one was never hit", true, chaosObject(t, "Stop", over, counted("shop/a/x", "Not Injected", 1), counted("shop/a/y", "Not Injected", 0)), false, "Selected, not injected"},
		{"one is being lifted", true, chaosObject(t, "Stop", over, counted("shop/a/x", "Not Injected", 1), counted("shop/a/y", "Injected/Wait", 1)), false, "Selected, not injected"},
		{"another was hit", true, chaosObject(t, "Stop", over, counted("shop/b/x", "Not Injected", 1)), false, "did not select shop/a"},
		{"nobody was selected", true, chaosObject(t, "Stop", over), false, "not selected"},
		{"it is to stand", true, chaosObject(t, "Run", over, counted("shop/a/x", "Not Injected", 1)), false, "Selected, not injected"},
		{"of a kind that stands until it is lifted", false, chaosObject(t, "Stop", over, counted("shop/a/x", "Not Injected", 1)), false, "Selected, not injected"},
	} {
		t.Run(k.name, func(t *testing.T) {
			i := &injection{ends: k.ends, place: faults.Place{Cluster: &faults.Cluster{Pod: &faults.Pod{Namespace: "shop", Name: "a"}}}}
			s := late
			s.object = k.object
			e, err := i.effect(s)
			if err != nil || e.Proven != k.proven || !strings.Contains(e.Summary, k.summary) {
				t.Errorf("proven %v: %s, %v", e.Proven, e.Summary, err)
			}
		})
	}
}

// TestPassedUnseen: of a fault that nobody saw stand, nobody knows when it was over, from the moment on in which it was asked for. Of one
// that somebody did, it is known.
func TestPassedUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ready := &unstructured.Unstructured{Object: tree{"apiVersion": "v1", "kind": "Pod", "metadata": tree{"namespace": "shop", "name": "a"},
			"status": tree{"conditions": []any{tree{"type": "Ready", "status": "True"}}}}}
		stands := chaosObject(t, "Run", map[string]string{"AllInjected": "True"}, counted("shop/a", "Injected", 1))
		over := chaosObject(t, "Stop", map[string]string{"AllRecovered": "True"}, counted("shop/a", "Not Injected", 1))
		for name, k := range map[string]struct {
			first *unstructured.Unstructured
			look  bool // for the effect, and not only for the end
			want  string
		}{
			"never seen to stand":       {over, true, "7s"},
			"seen to stand":             {stands, true, ""},
			"seen to stand, by a watch": {stands, false, ""},
		} {
			i := &injection{ends: true, asked: time.Now(), place: faults.Place{Cluster: &faults.Cluster{Pod: &faults.Pod{Namespace: "shop", Name: "a"}}}}
			seen := func(u *unstructured.Unstructured) sight { return sight{object: u, at: time.Now()} }
			time.Sleep(2 * time.Second) // on the bubble's clock
			if !k.look {
				if _, ended, err := i.judge(seen(k.first), seen(ready)); ended || err != nil {
					t.Fatalf("%s: ended %v, %v", name, ended, err)
				}
			} else if e, err := i.effect(seen(k.first)); err != nil || !e.Proven {
				t.Fatalf("%s: %+v, %v", name, e, err)
			}
			time.Sleep(5 * time.Second)
			e, ended, err := i.judge(seen(over), seen(ready))
			if err != nil || !ended || !e.Proven || e.Details[faults.UnseenDetail] != k.want {
				t.Errorf("%s: ended %v, %v, unseen for %q", name, ended, err, e.Details[faults.UnseenDetail])
			}
			if why := e.Details["unseen because"]; (why == errPassed.Error()) != (k.want != "") {
				t.Errorf("%s: it was not seen because %q", name, why)
			}
		}
	})
}
