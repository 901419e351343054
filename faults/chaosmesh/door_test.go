package chaosmesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/guard"
)

// kubeconfig writes one with contexts that lead to a server, and no current one when current is empty.
func kubeconfig(t *testing.T, server, current string, contexts ...string) string {
	t.Helper()
	var list []tree
	for _, name := range contexts {
		list = append(list, tree{"name": name, "context": tree{"cluster": "c", "user": "u"}})
	}
	text, err := json.Marshal(tree{"apiVersion": "v1", "kind": "Config", "current-context": current, "contexts": list,
		"clusters": []tree{{"name": "c", "cluster": tree{"server": server}}}, "users": []tree{{"name": "u", "user": tree{"token": "secret-token"}}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDoor is what bad ways to a cluster get before anybody is asked. No secret is in any answer.
func TestDoor(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	garbled := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(garbled, []byte("token: [secret-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct {
		name   string
		access faults.Access
		want   []string
	}{
		{"no kubeconfig", faults.Access{}, []string{"there is no kubeconfig", "set $KUBECONFIG"}},
		{"no such file", faults.Access{Kubeconfig: "/nowhere/config"}, []string{"reading the kubeconfig /nowhere/config: no such file", "kubectl can use"}},
		{"no such context", faults.Access{Kubeconfig: kubeconfig(t, "https://127.0.0.1:1", "a", "a", "b"), Context: "c"}, []string{`has no context "c"; it has a, b`}},
		{"no current context", faults.Access{Kubeconfig: kubeconfig(t, "https://127.0.0.1:1", "", "a", "b")}, []string{"none of its contexts that it is the current one", "a, b"}},
		{"current context that is not there", faults.Access{Kubeconfig: kubeconfig(t, "https://127.0.0.1:1", "z", "a")}, []string{`has no context "z"`, "its current one; it has a"}},
		{"garbled", faults.Access{Kubeconfig: garbled}, []string{"reading the kubeconfig (" + garbled}},
	} {
		t.Run(k.name, func(t *testing.T) {
			_, err := connect(k.access)
			says(t, err, k.want...)
			if err != nil && strings.Contains(err.Error(), "secret-token") {
				t.Errorf("it tells a secret: %v", err)
			}
		})
	}
}

// TestResolve: what was left open is settled when a fault is injected, so that a revert goes to the same cluster.
func TestResolve(t *testing.T) {
	path := kubeconfig(t, "https://127.0.0.1:1", "first", "first", "second")
	t.Setenv("KUBECONFIG", path)
	c, err := connect(faults.Access{})
	if err != nil {
		t.Fatal(err)
	}
	if c.access.Context != "first" || c.access.Kubeconfig != path {
		t.Errorf("it is %+v", c.access)
	}
	u := undo{Kind: "PodChaos", Namespace: "shop", Name: "x", Resource: "podchaos", Access: c.access, Server: c.config.Host}
	t.Setenv("KUBECONFIG", "/nowhere")
	if again, err := u.connect(); err != nil || again.config.Host != "https://127.0.0.1:1" {
		t.Errorf("it leads to %v, %v", again, err)
	}
	u.Server = "https://10.0.0.1:6443"
	_, err = u.connect()
	says(t, err, "PodChaos shop/x was made at https://10.0.0.1:6443", "now leads to https://127.0.0.1:1", "nothing was touched")
}

// bad is an API server that answers badly.
func bad(t *testing.T, h http.HandlerFunc) *client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := connect(faults.Access{Kubeconfig: kubeconfig(t, s.URL, "here", "here")})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func status(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(code), Reason: reason, Message: message})
}

func TestBadAnswers(t *testing.T) {
	for _, k := range []struct {
		name string
		h    http.HandlerFunc
		want []string
	}{
		{"401", func(w http.ResponseWriter, _ *http.Request) {
			status(w, 401, metav1.StatusReasonUnauthorized, "Unauthorized")
		},
			[]string{"does not accept the credentials (401) (context here)", "get new ones"}},
		{"403", func(w http.ResponseWriter, _ *http.Request) {
			status(w, 403, metav1.StatusReasonForbidden, "ben cannot list pods")
		},
			[]string{"forbids it (403): ben cannot list pods"}},
		{"webhook", func(w http.ResponseWriter, _ *http.Request) {
			status(w, 403, metav1.StatusReasonForbidden, `admission webhook "vauth.kb.io" denied the request: ben is forbidden on namespace shop`)
		}, []string{`the cluster's webhook "vauth.kb.io" refuses it: ben is forbidden on namespace shop`, "in every namespace that it selects"}},
		{"500", func(w http.ResponseWriter, _ *http.Request) {
			status(w, 500, metav1.StatusReasonInternalError, "etcd is full")
		},
			[]string{"answers, but cannot do it now: etcd is full"}},
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>who are you?</html>") }, []string{"is no API server"}},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"kind":"PodList"`)
		}, []string{"EOF"}},
		{"silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, []string{"does not answer in time"}},
	} {
		t.Run(k.name, func(t *testing.T) {
			c := bad(t, k.h)
			ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
			defer cancel()
			_, err := c.pods(ctx, "shop", nil, nil)
			says(t, err, k.want...)
		})
	}
	t.Run("nobody", func(t *testing.T) {
		s := httptest.NewServer(http.NotFoundHandler())
		s.Close()
		c, err := connect(faults.Access{Kubeconfig: kubeconfig(t, s.URL, "here", "here")})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = c.pods(ctx, "shop", nil, nil)
		says(t, err, "nobody listens at "+s.URL)
	})
}

// TestSteady: what passes is tried again, what is refused is not.
func TestSteady(t *testing.T) {
	var n atomic.Int32
	c := bad(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) < 3 {
			status(w, 503, metav1.StatusReasonServiceUnavailable, "starting")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"kind":"PodList","apiVersion":"v1","items":[]}`)
	})
	if _, err := c.pods(t.Context(), "shop", nil, nil); err != nil {
		t.Errorf("after %d: %v", n.Load(), err)
	}
	var m atomic.Int32
	c = bad(t, func(w http.ResponseWriter, _ *http.Request) {
		m.Add(1)
		status(w, 422, metav1.StatusReasonInvalid, "no")
	})
	if _, err := c.pods(t.Context(), "shop", nil, nil); err == nil || m.Load() != 1 {
		t.Errorf("asked %d times: %v", m.Load(), err)
	}
}

// TestFollow: a watch that breaks, ends, or is refused since it asks for what is too old, is taken up by looking again; what is gone is
// gone, and a server that is away takes nothing of what was last seen.
func TestFollow(t *testing.T) {
	var looks, watches atomic.Int32
	release := make(chan struct{})
	object := func(version int) string {
		return fmt.Sprintf(`{"kind":"PodChaos","apiVersion":"chaos-mesh.org/v1alpha1","metadata":{"name":"x","namespace":"shop","uid":"u1","resourceVersion":"%d"}}`, version)
	}
	c := bad(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("watch") == "" {
			n := looks.Add(1)
			if n == 4 {
				status(w, 503, metav1.StatusReasonServiceUnavailable, "restarting")
				return
			}
			fmt.Fprint(w, object(int(n)))
			return
		}
		switch watches.Add(1) {
		case 1: // truncated
			fmt.Fprintf(w, `{"type":"MODIFIED","object":{"kind":"Pod`)
		case 2: // too old, as an event
			fmt.Fprint(w, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}}`+"\n")
		case 3: // too old, as an answer
			status(w, 410, metav1.StatusReasonExpired, "too old resource version")
		default:
			<-release
			fmt.Fprintf(w, `{"type":"DELETED","object":%s}`+"\n", object(99))
		}
	})
	f := c.follow(t.Context(), resource("PodChaos"), "shop", "x", "u1")
	s, err := f.await(t.Context(), func(s sight) (bool, error) { return !s.since.IsZero(), nil })
	if err != nil || s.object == nil || s.gone {
		t.Fatalf("while it is away: %+v, %v", s, err)
	}
	if !strings.Contains(s.unseen(), "cannot be asked") {
		t.Errorf("it says %q", s.unseen())
	}
	if s, err = f.await(t.Context(), func(s sight) (bool, error) { return s.since.IsZero(), nil }); err != nil || s.gone {
		t.Fatalf("when it is back: %+v, %v", s, err)
	}
	close(release)
	if s, err = f.await(t.Context(), func(s sight) (bool, error) { return s.gone, nil }); err != nil || s.object.GetResourceVersion() != "99" {
		t.Fatalf("gone: %+v, %v", s, err)
	}
	if looks.Load() > 6 || watches.Load() > 5 {
		t.Errorf("%d looks and %d watches: that is busy", looks.Load(), watches.Load())
	}
}

func TestNothingAsked(t *testing.T) {
	path := kubeconfig(t, "https://127.0.0.1:1", "a", "a")
	_, err := query[any](t, cluster.Query{Access: faults.Access{Kubeconfig: path}})
	says(t, err, "nothing is asked")
	if _, err := Answer(t.Context(), json.RawMessage(`{"pods":{"namspace":"shop"}}`)); err == nil || !strings.Contains(err.Error(), "namspace") {
		t.Errorf("an unknown field: %v", err)
	}
	list, err := query[[]cluster.Finding](t, cluster.Query{Access: faults.Access{Kubeconfig: "/nowhere"}, Preflight: &cluster.Preflight{}})
	if err != nil || len(list) != 1 || !list[0].Blocks || !strings.Contains(list[0].Summary, "/nowhere") {
		t.Errorf("a preflight without a way: %+v, %v", list, err)
	}
	if !errors.Is(lapsed("x"), faults.ErrLapsed) {
		t.Error("a lapse is no faults.ErrLapsed")
	}
}

// TestFallsSilent: a server that stops to answer in the middle keeps nobody waiting for ever, whatever limit the asker has.
func TestFallsSilent(t *testing.T) {
	c := bad(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/apis/chaos-mesh.org/v1alpha1" {
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"chaos-mesh.org/v1alpha1","resources":[{"name":"podchaos","kind":"PodChaos"}]}`)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	place := faults.Place{Name: "shop/a", Cluster: &faults.Cluster{Access: c.access, Pod: &faults.Pod{Namespace: "shop", Name: "a", AllContainers: []string{"main"}}}}
	list, err := c.preflight(ctx, cluster.Preflight{Requests: []guard.InjectRequest{kill(place, "k1")}})
	if err != nil {
		t.Fatal(err)
	}
	last := list[len(list)-1]
	if !last.Blocks || !strings.Contains(last.Summary, "does not answer in time") {
		t.Errorf("it ends with %+v", last)
	}
}

// TestLate: an object that comes to be only after somebody looked for it is deleted all the same, and an answer that no page is there
// proves nothing of it.
func TestLate(t *testing.T) {
	const object = `{"kind":"PodChaos","apiVersion":"chaos-mesh.org/v1alpha1","metadata":{"name":"x","namespace":"shop","uid":"u1","resourceVersion":"1",` +
		`"annotations":{"gameday/run":"r1","gameday/injection":"i1"}}}`
	u := undo{Group: "chaos-mesh.org", Version: "v1alpha1", Resource: "podchaos", Kind: "PodChaos", Namespace: "shop", Name: "x"}
	absent := func(w http.ResponseWriter) {
		status(w, 404, metav1.StatusReasonNotFound, `podchaos.chaos-mesh.org "x" not found`)
	}
	t.Run("made late", func(t *testing.T) {
		var looks, deleted atomic.Int32
		c := bad(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodDelete:
				deleted.Add(1)
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Success"}`)
			case looks.Add(1) == 1 || deleted.Load() > 0:
				absent(w)
			default:
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, object)
			}
		})
		if err := (lifting{c: c, undo: u, run: "r1", injection: "i1"}).lift(t.Context()); err != nil || deleted.Load() != 1 {
			t.Errorf("deleted %d times: %v", deleted.Load(), err)
		}
	})
	t.Run("a proxy", func(t *testing.T) {
		c := bad(t, http.NotFound)
		says(t, lifting{c: c, undo: u, run: "r1", injection: "i1"}.lift(t.Context()), "looking for PodChaos shop/x", "does not say what it serves", "no API server")
	})
	t.Run("a proxy comes in between", func(t *testing.T) {
		var deleted atomic.Bool
		c := bad(t, func(w http.ResponseWriter, r *http.Request) {
			switch {
			case deleted.Load():
				http.NotFound(w, r)
			case r.Method == http.MethodDelete:
				deleted.Store(true)
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Success"}`)
			default:
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, object)
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		says(t, lifting{c: c, undo: u, run: "r1", injection: "i1"}.lift(ctx), "PodChaos shop/x was to be deleted", "unknown")
	})
	t.Run("no Chaos Mesh", func(t *testing.T) {
		c := bad(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/apis" {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"apps"}]}`)
		})
		var note string
		ctx := faults.WithNote(t.Context(), func(text string) { note = text })
		if err := (lifting{c: c, undo: u, run: "r1", injection: "i1"}).lift(ctx); err != nil || !strings.Contains(note, "does not serve PodChaos any more") {
			t.Errorf("%v, noted %q", err, note)
		}
	})
}
