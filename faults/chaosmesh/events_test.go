package chaosmesh

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"gameday/faults"
)

// told is an API server that has nothing but events, of which the n-th answer is that of these, and the last goes on.
func told(t *testing.T, answers ...[]corev1.Event) (*client, *atomic.Int32) {
	t.Helper()
	var asked atomic.Int32
	serve := func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/events") {
			status(w, http.StatusNotFound, metav1.StatusReasonNotFound, "gone")
			return
		}
		n := min(int(asked.Add(1)), len(answers))
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(corev1.EventList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "EventList"}, Items: answers[n-1]})
	}
	config := &rest.Config{Host: "http://cluster", Transport: answering(serve)}
	i, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &client{config: config, Interface: i, watching: i}, &asked
}

// answering is a server that is asked without a network.
type answering http.HandlerFunc

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	a(w, r)
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	return w.Result(), nil
}

// TestLateEvents: what Chaos Mesh says only after the proof is read once more. Nobody waits for it: it is told with the end of a fault
// that ends by itself, and of one that has no undo once its object is gone.
func TestLateEvents(t *testing.T) {
	event := func(reason, message string) corev1.Event {
		return corev1.Event{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Event"}, ObjectMeta: metav1.ObjectMeta{Name: reason, Namespace: "shop"}, Reason: reason, Message: message}
	}
	early := []corev1.Event{event("Started", "Experiment has started")}
	full := append(early[:1:1], event("Applied", "Successfully apply chaos for shop/a"))
	object := chaosObject(t, "Run", map[string]string{"AllInjected": "True"}, record("shop/a", "Injected"))
	proof := func(t *testing.T, answers ...[]corev1.Event) (*injection, *atomic.Int32) {
		c, asked := told(t, answers...)
		i := &injection{c: c, follower: &follower{changed: make(chan struct{})}, events: &events{c: c, of: object}, ends: true,
			place: faults.Place{Cluster: &faults.Cluster{}}, undo: undo{Group: "chaos-mesh.org", Version: "v1alpha1", Resource: "networkchaos", Kind: "NetworkChaos", Namespace: "shop", Name: "cut"}}
		i.follower.seen(object, false)
		return i, asked
	}
	ends := func(t *testing.T, i *injection) faults.Effect {
		s := sight{object: chaosObject(t, "Stop", nil, record("shop/a", "Not Injected")), at: time.Now()}
		e, ended, err := i.judge(s, sight{})
		if !ended || err != nil {
			t.Fatalf("ended %v, %v", ended, err)
		}
		return e
	}
	for name, k := range map[string]struct {
		answers [][]corev1.Event
		asked   int32
		says    bool // in the end, that it was applied
	}{
		"in time":        {[][]corev1.Event{full}, 1, true},
		"late":           {[][]corev1.Event{early, full}, 2, true},
		"later than all": {[][]corev1.Event{early, early, full}, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i, asked := proof(t, k.answers...)
				began := time.Now()
				e, err := i.look(t.Context())
				if err != nil || !e.Proven || time.Since(began) > 0 {
					t.Fatalf("proven %v after %v: %s, %v", e.Proven, time.Since(began), e.Summary, err)
				}
				time.Sleep(eventsPause + eventsLimit) // on the bubble's clock
				if got := ends(t, i).Details["events"]; strings.Contains(got, "Successfully apply chaos") != k.says || asked.Load() != k.asked {
					t.Errorf("asked %d times, it tells %q", asked.Load(), got)
				}
			})
		})
	}
	t.Run("without an undo", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			i, asked := proof(t, early, full)
			i.oneShot = true
			if err := i.shoot(t.Context()); err != nil {
				t.Fatal(err)
			}
			e, err := i.Effect(t.Context())
			if err != nil || !e.Proven || !strings.Contains(e.Details["events"], "Successfully apply chaos") || asked.Load() != 2 {
				t.Errorf("asked %d times, it tells %q, %v", asked.Load(), e.Details["events"], err)
			}
		})
	})
}
