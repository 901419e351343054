package chaosmesh

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gameday/faults"
)

// TestSameCluster reverts what was made in one cluster where another may answer by the same address.
func TestSameCluster(t *testing.T) {
	uid := func(uid string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/v1/namespaces/kube-system" {
				t.Errorf("asked for %s", r.URL.Path)
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(tree{"apiVersion": "v1", "kind": "Namespace", "metadata": tree{"name": "kube-system", "uid": uid}})
		}
	}
	fails := func(code int, reason metav1.StatusReason) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { status(w, code, reason, "no") }
	}
	for _, k := range []struct {
		name, made string
		answer     http.HandlerFunc
		note       string
		want       []string
	}{
		{"the same", "a1", uid("a1"), "", nil},
		{"another", "a1", uid("b2"), "", []string{"PodChaos shop/x", "has uid a1", "now is another, whose has uid b2", "nothing was touched", "(context here)"}},
		{"one that was unknown", "", uid("b2"), "", nil},
		{"forbidden", "a1", fails(403, metav1.StatusReasonForbidden), "by the address alone: nothing allows to get namespace kube-system", nil},
		{"none there", "a1", fails(404, metav1.StatusReasonNotFound), "it has no namespace kube-system", nil},
		{"nameless", "a1", uid(""), "has no uid", nil},
		{"broken", "a1", fails(503, metav1.StatusReasonServiceUnavailable), "", []string{"has uid a1", "is not known", "cannot do it now"}},
	} {
		t.Run(k.name, func(t *testing.T) {
			note := ""
			ctx, cancel := context.WithTimeout(faults.WithNote(t.Context(), func(text string) { note = text }), 2*time.Second)
			defer cancel()
			c := bad(t, k.answer)
			err := undo{Kind: "PodChaos", Namespace: "shop", Name: "x", Access: c.access, Cluster: k.made}.sameCluster(ctx, c)
			if k.want == nil && err != nil {
				t.Errorf("refused: %v", err)
			}
			if k.want != nil {
				says(t, err, k.want...)
			}
			if !strings.Contains(note, k.note) || (note == "") != (k.note == "") {
				t.Errorf("noted: %q, want %q", note, k.note)
			}
			if f := c.reached(ctx); !strings.HasPrefix(f.Summary, "reached http://") || (f.Cluster == "") != strings.Contains(f.Summary, "is unknown: ") {
				t.Errorf("%+v", f)
			}
		})
	}
}
