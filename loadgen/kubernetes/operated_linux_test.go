package kubernetes

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gameday/internal/dockerrig"
	"gameday/internal/kuberig"
	"gameday/loadgen"
)

// prepare makes images, installs the operator, and makes users and a service.
func (w *operated) prepare() {
	t := w.t
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	build := exec.Command("make", "-C", "../..", "image-root", "IMAGE_ROOT="+root)
	build.Env = append(os.Environ(), "MAKEFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("making the root of the image: %v\n%s", err, out)
	}
	w.bin = filepath.Join(root, "usr", "local", "bin")
	lines, err := dockerrig.Settings("../../Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.n.Engine.ImportRoot(t.Context(), gamedayImage, root, lines...); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := w.n.InstallK6Operator(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	t.Logf("the k6 operator runs after %s", time.Since(began).Round(100*time.Millisecond))
	for _, name := range []string{"load", "people"} {
		if err := w.c.Namespace(name); err != nil {
			t.Fatal(err)
		}
	}
	// No pod is let in that is not as Pod Security's "restricted" asks: whoever makes it.
	if err := w.c.Patch("/api/v1/namespaces/load", fields{"metadata": fields{"labels": fields{"pod-security.kubernetes.io/enforce": "restricted"}}}, nil); err != nil {
		t.Fatal(err)
	}
	w.kubeconfig = w.within(w.c.Kubeconfig(t, kuberig.User{Name: "operator", Namespace: "people", In: map[string][]kuberig.Rule{"load": rulesOf(loadgen.K6Operator, "")}}))
	w.admin = w.within(w.c.Admin)
	l, err := w.c.Listen(kuberig.Address + ":8088")
	if err != nil {
		t.Fatal(err)
	}
	service := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { w.hits.Add(1) })}
	go service.Serve(l)
	t.Cleanup(func() { service.Close() })
	w.url = "http://" + kuberig.Address + ":8088/"
	if err := os.WriteFile(filepath.Join(w.dir, "get.js"), []byte(getScript), 0o600); err != nil {
		t.Fatal(err)
	}
}

// within returns a copy of a kubeconfig that leads to the API server from the cluster's network.
func (w *operated) within(path string) string {
	w.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	to := filepath.Join(w.dir, "within-"+filepath.Base(path))
	if err := os.WriteFile(to, []byte(strings.ReplaceAll(string(text), w.c.API(), w.c.InsideAPI())), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return to
}

// day is a game day that runs.
type day struct {
	w    *operated
	cmd  *exec.Cmd
	out  strings.Builder
	dir  string // of its record
	over chan error
}

// start starts a game day, with its load phase as long as said, and more lines in its run_on.
func (w *operated) start(t *testing.T, name, load string, more ...string) *day {
	t.Helper()
	w.port++
	text := fmt.Sprintf(gameDay, w.kubeconfig, w.url, w.port, load, loadgen.K6Operator)
	text = strings.NewReplacer(`"127.0.0.1:`, `"`+kuberig.Address+`:`, `"built"`, strconv.Quote(gamedayImage)+"\n      "+strings.Join(more, "\n      ")).Replace(text)
	path := filepath.Join(w.dir, name+".hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &day{w: w, dir: filepath.Join(w.dir, name), over: make(chan error, 1)}
	d.cmd = w.gameday("run", "--record", d.dir, path)
	d.cmd.Stdout, d.cmd.Stderr = &d.out, &d.out
	if err := w.c.Run(d.cmd); err != nil {
		t.Fatal(err)
	}
	go func() { d.over <- d.cmd.Wait() }()
	return d
}

// gameday returns a command of gameday, in the cluster's network when it is started there.
func (w *operated) gameday(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(w.bin, "gameday"), args...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "HOME="+w.dir, "GAMEDAY_LEDGER="+filepath.Join(w.dir, "ledger"))
	return cmd
}

// ends waits for a game day's end, and returns its exit code.
func (d *day) ends(t *testing.T) int {
	t.Helper()
	select {
	case <-d.over:
		return d.cmd.ProcessState.ExitCode()
	case <-time.After(3 * time.Minute):
		t.Fatalf("the game day does not end:\n%s", d.record())
		return 0
	}
}

// record returns what is in the record by now.
func (d *day) record() string {
	b, _ := os.ReadFile(filepath.Join(d.dir, "record.jsonl")) // which may not be there yet
	return string(b)
}

// reaches waits until the record has a text.
func (d *day) reaches(t *testing.T, text string) {
	t.Helper()
	limit := time.Now().Add(2 * time.Minute)
	for !strings.Contains(d.record(), text) {
		select {
		case <-d.over:
			t.Fatalf("it ended before its record had %q:\n%s\n%s", text, d.out.String(), d.record())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(limit) {
			t.Fatalf("the record has no %q:\n%s\n%s", text, d.record(), d.w.n.K6OperatorLog(t.Context()))
		}
	}
}

// here returns what is in the namespace of what a TestRun needs and leaves.
func (w *operated) here(t *testing.T) []string {
	t.Helper()
	out := left(t, w.c)
	for _, kind := range []string{"services", "configmaps"} {
		var list struct {
			Items []struct{ Metadata struct{ Name string } }
		}
		if err := w.c.Get("/api/v1/namespaces/load/"+kind, &list); err != nil {
			t.Fatal(err)
		}
		for _, i := range list.Items {
			if i.Metadata.Name != "kube-root-ca.crt" {
				out = append(out, kind+" "+i.Metadata.Name)
			}
		}
	}
	return out
}

// nothing waits until nothing is left, and says how long that took.
func (w *operated) nothing(t *testing.T, since string) {
	t.Helper()
	began := time.Now()
	var out []string
	defer func() {
		if len(out) > 0 {
			t.Logf("left are %v", out)
		}
	}()
	kuberig.Eventually(t, 2*time.Minute, "nothing is left", func() bool {
		out = w.here(t)
		return len(out) == 0
	})
	t.Logf("nothing was left %s after %s", time.Since(began).Round(100*time.Millisecond), since)
}
