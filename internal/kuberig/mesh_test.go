package kuberig

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// lateServer stands for an API server that learns of webhooks a while after they were made or deleted: those that fill in later than those
// that judge.
type lateServer struct {
	mu         sync.Mutex
	has, knows map[string]bool // mutating and validating webhooks
	asked      int             // for trials, since the last change
	silent     bool            // the webhooks do not answer
}

func (s *lateServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range []string{"mutating", "validating"} {
		if strings.Contains(r.URL.Path, kind) {
			s.has[kind], s.asked = r.Method == http.MethodPost, 0
			return
		}
	}
	s.asked++
	s.knows["validating"] = s.knows["validating"] && s.asked <= 4 || s.has["validating"] && s.asked > 4
	s.knows["mutating"] = s.knows["mutating"] && s.asked <= 8 || s.has["mutating"] && s.asked > 8
	var o struct{ Spec map[string]any }
	if r.URL.Query().Get("dryRun") != "All" || json.NewDecoder(r.Body).Decode(&o) != nil {
		http.Error(w, "no trial", http.StatusBadRequest)
		return
	}
	refuse := func(text string) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `{"message":%q}`, text)
	}
	switch {
	case s.knows["mutating"] && s.silent:
		refuse(`failed calling webhook "mpodchaos.kb.io": nobody listens`)
	case s.knows["validating"] && s.silent:
		refuse(`failed calling webhook "vauth.kb.io": nobody listens`)
	case s.knows["validating"] && o.Spec["value"] == "none":
		refuse(`admission webhook "vpodchaos.kb.io" denied the request: no number`)
	case s.knows["mutating"]:
		fmt.Fprint(w, `{"spec":{"selector":{"namespaces":["chaos-mesh"]}}}`)
	default:
		fmt.Fprint(w, `{"spec":{"selector":{}}}`)
	}
}

// TestWebhooksInEffect: webhooks are asked when InstallWebhooks has returned, and are not when RemoveWebhooks has.
func TestWebhooksInEffect(t *testing.T) {
	for _, silent := range []bool{false, true} {
		t.Run(fmt.Sprintf("silent %v", silent), func(t *testing.T) {
			s := &lateServer{has: map[string]bool{}, knows: map[string]bool{}, silent: silent}
			server := httptest.NewServer(s)
			defer server.Close()
			c := &Cluster{Client: &Client{Server: server.URL, http: server.Client()}, servers: &authority{}}
			for range 2 {
				if err := c.InstallWebhooks(); err != nil {
					t.Fatal(err)
				}
				if good, err := c.trial("1"); err != nil || good == takenAsIs || (good == filledIn) == silent {
					t.Errorf("what is right comes to be %q, %v", good, err)
				}
				if bad, err := c.trial("none"); err != nil || bad == takenAsIs || bad == filledIn {
					t.Errorf("what is wrong comes to be %q, %v", bad, err)
				}
				if err := c.RemoveWebhooks(); err != nil {
					t.Fatal(err)
				}
				for _, value := range []string{"1", "none"} {
					if got, err := c.trial(value); err != nil || got != takenAsIs {
						t.Errorf("without webhooks %q comes to be %q, %v", value, got, err)
					}
				}
			}
		})
	}
}
