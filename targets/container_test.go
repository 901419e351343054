package targets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeContainer is one line of a fake engine's list.
type fakeContainer struct {
	name, state string
	labels      map[string]string
	pid         int
	gone        bool // at the second look
}

// fakeEngine answers the two questions that resolving asks of an engine.
type fakeEngine struct {
	containers []fakeContainer
	version    string       // of the API; 1.41 when empty
	list       http.Handler // instead of the right answer
	inspect    http.Handler
}

func (f *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	version := f.version
	if version == "" {
		version = "1.41"
	}
	w.Header().Set("Api-Version", version)
	w.Header().Set("Content-Type", "application/json")
	path := r.URL.Path
	if i := strings.Index(path, "/containers/"); i >= 0 {
		path = path[i:]
	}
	switch {
	case strings.HasSuffix(path, "/_ping"):
		fmt.Fprint(w, "OK")
	case path == "/containers/json" && f.list != nil:
		f.list.ServeHTTP(w, r)
	case path == "/containers/json":
		_ = json.NewEncoder(w).Encode(f.summaries())
	case f.inspect != nil:
		f.inspect.ServeHTTP(w, r)
	default:
		f.show(w, strings.TrimSuffix(strings.TrimPrefix(path, "/containers/"), "/json"))
	}
}

// summaries is the list, unfiltered: an engine's filters only spare it work.
func (f *fakeEngine) summaries() []map[string]any {
	out := []map[string]any{}
	for _, c := range f.containers {
		out = append(out, map[string]any{"Id": fakeID(c.name), "Names": []string{"/other/link", "/" + c.name}, "State": c.state, "Labels": c.labels})
	}
	return out
}

func (f *fakeEngine) show(w http.ResponseWriter, id string) {
	for _, c := range f.containers {
		if fakeID(c.name) == id && !c.gone {
			_ = json.NewEncoder(w).Encode(map[string]any{"Id": id, "State": map[string]any{"Running": c.state == "running", "Pid": c.pid}})
			return
		}
	}
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprintf(w, `{"message":"No such container: %s"}`, id)
}

func fakeID(name string) string { return fmt.Sprintf("%064x", name) }

func serveFake(t *testing.T, h http.Handler) (host string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gd-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	s.Start()
	t.Cleanup(s.Close)
	return "unix://" + socket
}

func text(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s) })
}

func status(code int, s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprint(w, s)
	})
}

// cut announces more than it sends.
func cut(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10000")
		fmt.Fprint(w, s)
	})
}

// TestEngineErrors resolves against engines on their bad days.
func TestEngineErrors(t *testing.T) {
	service := func(project, service string) map[string]string {
		return map[string]string{composeProject: project, composeService: service}
	}
	shop := []fakeContainer{
		{name: "payments", state: "running", pid: 1 << 30, labels: service("shop", "payments")},
		{name: "ledger", state: "running", pid: 1 << 30, labels: service("shop", "ledger")},
		{name: "old", state: "exited"}, {name: "held", state: "paused"},
		{name: "crash", state: "restarting", labels: map[string]string{"tier": "web"}},
	}
	for _, row := range []struct {
		what   string
		engine fakeEngine
		s      Container
		want   []string
	}{
		{"none such", fakeEngine{containers: shop}, Container{Name: "paymnets"},
			[]string{"selects nothing: no container paymnets; running are ledger, payments; did you mean \"payments\"?"}},
		{"no such service", fakeEngine{containers: shop}, Container{Compose: &Compose{Project: "shop", Service: "legder"}},
			[]string{"no container of service legder in Compose project shop; running services are shop/ledger, shop/payments; did you mean \"shop/ledger\"?"}},
		{"no such label", fakeEngine{containers: shop}, Container{Label: map[string]string{"tier": "db"}},
			[]string{"no container with label tier=db; running are ledger, payments"}},
		{"both must hold", fakeEngine{containers: shop}, Container{Name: "payments", Label: map[string]string{"tier": "web"}},
			[]string{"no container payments with label tier=web; running are"}},
		{"exited", fakeEngine{containers: shop}, Container{Name: "old"}, []string{"old is exited; only running containers are selected"}},
		{"paused", fakeEngine{containers: shop}, Container{Name: "held"}, []string{"held is paused; only running"}},
		{"restarting", fakeEngine{containers: shop}, Container{Label: map[string]string{"tier": "web"}}, []string{"crash is restarting; only running"}},
		{"nothing runs", fakeEngine{}, Container{Name: "x"}, []string{"no container runs on that engine"}},
		{"nothing of Compose", fakeEngine{containers: []fakeContainer{{name: "a", state: "running"}}}, Container{Compose: &Compose{Project: "shop"}},
			[]string{"no container of Compose runs on that engine"}},
		{"vanished between two looks", fakeEngine{containers: []fakeContainer{{name: "a", state: "running", gone: true}}}, Container{Name: "a"},
			[]string{"selects nothing: no container a"}},
		{"a pid of another machine", fakeEngine{containers: shop}, Container{Name: "payments"},
			[]string{"container payments: pid 1073741824: it is not that container's process here", "run gameday where the containers' processes are"}},
		{"somebody else's pid", fakeEngine{containers: []fakeContainer{{name: "a", state: "running", pid: os.Getpid()}}}, Container{Name: "a"},
			[]string{fmt.Sprintf("pid %d: it is not that container's process here", os.Getpid())}},
		{"500", fakeEngine{list: status(500, `{"message":"the disk is full"}`)}, Container{Name: "a"}, []string{"listing containers", "the disk is full"}},
		{"500 at the second look", fakeEngine{containers: shop, inspect: status(500, `{"message":"context canceled"}`)}, Container{Name: "payments"},
			[]string{"looking at container", "context canceled"}},
		{"half a JSON", fakeEngine{list: text(`[{"Id":"a","Names":["/a"],"Sta`)}, Container{Name: "a"}, []string{"listing containers", "unexpected EOF"}},
		{"half an answer", fakeEngine{list: cut(`[{"Id":"a"`)}, Container{Name: "a"}, []string{"listing containers", "unexpected EOF"}},
		{"half a JSON at the second look", fakeEngine{containers: shop, inspect: text(`{"Id":"a","Sta`)}, Container{Name: "payments"},
			[]string{"looking at container", "unexpected EOF"}},
		{"no JSON", fakeEngine{list: text(`<html>`)}, Container{Name: "a"}, []string{"listing containers", "invalid character"}},
		{"another type", fakeEngine{list: text(`{"a":1}`)}, Container{Name: "a"}, []string{"listing containers", "cannot unmarshal"}},
		{"no state", fakeEngine{containers: shop, inspect: text(`{}`)}, Container{Name: "payments"}, []string{"selects nothing"}},
		{"an API of old", fakeEngine{containers: shop, version: "1.24"}, Container{Name: "payments"}, []string{"1.24 is not supported"}},
	} {
		t.Run(row.what, func(t *testing.T) {
			row.s.Engine = serveFake(t, &row.engine)
			_, err := (&Machine{}).Target("web", &row.s, Choice{}).Resolve(t.Context())
			if err == nil {
				t.Fatal("it was resolved")
			}
			for _, want := range append(row.want, `target "web"`) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\nwant %s", err, want)
				}
			}
			empty := new(EmptyError)
			if strings.Contains(err.Error(), "selects nothing") != errors.As(err, &empty) {
				t.Errorf("%T", err)
			}
		})
	}
}

// TestEngineUnreachable resolves where no engine answers.
func TestEngineUnreachable(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for host, want := range map[string]string{
		"unix://" + dir + "/none":      "no Docker Engine at " + dir + "/none: start it (systemctl start docker), or name its socket",
		"unix://" + stale:              "nobody serves " + stale,
		"tcp://127.0.0.1:2375":         "DOCKER_HOST: \"tcp://127.0.0.1:2375\" is not the socket of an engine on this machine",
		"ssh://shop@example.com":       "run gameday over there",
		"unix:///" + dir + "//../none": "no Docker Engine at " + filepath.Join(filepath.Dir(dir), "none"),
	} {
		t.Setenv("DOCKER_HOST", host)
		_, err := (&Machine{}).Target("web", &Container{Name: "a"}, Choice{}).Resolve(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", host, err, want)
		}
	}
	t.Run("hung", func(t *testing.T) {
		hold := make(chan struct{})
		host := serveFake(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-hold:
			}
		}))
		defer close(hold)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := (&Machine{}).Target("web", &Container{Name: "a", Engine: host}, Choice{}).Resolve(ctx)
		if err == nil || !strings.Contains(err.Error(), "accepts connections and does not answer") {
			t.Error(err)
		}
	})
}

// TestContainerString holds the words that plan and errors use.
func TestContainerString(t *testing.T) {
	for want, c := range map[string]Container{
		"container payments": {Name: "payments"},
		"container of service payments in Compose project shop": {Compose: &Compose{Project: "shop", Service: "payments"}},
		"container in Compose project shop with label a=1 with label b=2": {Compose: &Compose{Project: "shop"},
			Label: map[string]string{"b": "2", "a": "1"}},
	} {
		if got := c.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// TestContainerEndsMeanwhile passes over a container whose first process has ended, of which its engine comes to know a moment later.
func TestContainerEndsMeanwhile(t *testing.T) {
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		knows, fails int // at which question
		want         string
	}{"soon": {4, 0, "selects nothing"}, "never": {0, 0, "its engine runs on another machine"}, "it fails": {0, 2, "its disk is full"}} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			f := &fakeEngine{containers: []fakeContainer{{name: "shop", state: "running", pid: ended.Process.Pid}}}
			f.inspect = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked++; asked == c.knows {
					f.containers[0].state = "exited"
				}
				if asked == c.fails {
					status(500, `{"message":"its disk is full"}`).ServeHTTP(w, r)
					return
				}
				f.show(w, fakeID("shop"))
			})
			_, err := (&Machine{}).Target("web", &Container{Engine: serveFake(t, f), Name: "shop"}, Choice{}).Resolve(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
