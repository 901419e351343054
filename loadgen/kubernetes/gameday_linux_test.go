package kubernetes

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gameday/internal/kuberig"
)

// gameDay is a game day whose traffic comes from the cluster.
const gameDay = `scenario "from the cluster" {
  kubernetes {
    kubeconfig = %[1]q
  }
  timeline {
    baseline = "3s"
    load     = "%[4]s"
    recovery = "1s"
  }
  traffic "visitors" {
    script   = "get.js"
    env      = { URL = %[2]q }
    multiple = 2
    baseline {
      rate = 30
    }
    run_on %[5]q {
      parallelism = 3
      namespace   = "load"
      image       = "built"
      collector   = "127.0.0.1:%[3]d"
    }
  }
  steady_state {
    expect "availability" {
      that = sli.error_ratio < 0.05
      over = "2s"
    }
  }
  capacity {
    expect "fast" {
      that = sli.p95 < seconds("5s")
    }
  }
}
`

const getScript = `import http from "k6/http";
export default function () { http.get(__ENV.URL); }
`

// buildInto builds programs into a folder.
func buildInto(t *testing.T, dir string, packages ...string) {
	t.Helper()
	for _, pkg := range packages {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, filepath.Base(pkg)), pkg).CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", pkg, err, out)
		}
	}
}

// testGameDay runs gameday itself, as it is built, with its traffic from the cluster's pods, as somebody who may do no more than runners need: to
// the end, and until it is killed.
func testGameDay(t *testing.T, o *operator, kubeconfig map[string]string) {
	k := o.k
	o.mayBegin()
	dir := t.TempDir()
	buildInto(t, dir, "../../cmd/gameday", "../../cmd/gameday-k6", "../../cmd/gameday-kubernetes")
	if err := os.Symlink("gameday", filepath.Join(dir, "k6")); err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	k.image = dir
	k.mu.Unlock()
	var hits atomic.Int64
	service := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer service.Close()
	if err := os.WriteFile(filepath.Join(dir, "get.js"), []byte(getScript), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(record, load, kind string, port int) (*exec.Cmd, *strings.Builder) {
		path := filepath.Join(dir, record+".hcl")
		if err := os.WriteFile(path, fmt.Appendf(nil, gameDay, kubeconfig[kind], service.URL, port, load, kind), 0o600); err != nil {
			t.Fatal(err)
		}
		c, out := exec.Command(filepath.Join(dir, "gameday"), "run", "--record", record, path), &strings.Builder{}
		c.Dir, c.Stdout, c.Stderr = dir, out, out
		c.Env = append(os.Environ(), "HOME="+dir, "GAMEDAY_LEDGER="+filepath.Join(dir, "ledger"))
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c, out
	}
	read := func(record, name string) string {
		b, _ := os.ReadFile(filepath.Join(dir, record, name)) // which may not be there yet
		return string(b)
	}

	for i, kind := range []string{"k6-operator", "jobs"} {
		c, out := run([]string{"operated", "rec"}[i], []string{"2s", "6s"}[i], kind, 27442+i)
		if err := c.Wait(); err != nil || !strings.Contains(out.String(), "PASSED") {
			t.Errorf("%s: it ended with %v:\n%s", kind, err, out)
		}
		if strings.Contains(out.String(), "cannot be seen") {
			t.Errorf("%s: what runners need does not do to see that they are gone:\n%s", kind, out)
		}
	}
	if text := read("operated", "record.jsonl"); strings.Contains(text, "cannot leave its initializer out") || !strings.Contains(text, ": started") {
		t.Errorf("of an operator that can leave its initializer out it says:\n%s", text)
	}
	if !strings.Contains(read("rec", "plan.json"), "3 Jobs in namespace load") || hits.Load() < 300 {
		t.Errorf("%d requests came, and the plan is %s", hits.Load(), read("rec", "plan.json"))
	}
	if _, err := os.Stat(filepath.Join(dir, "rec", "logs", "runners-visitors")); err != nil {
		t.Error(err)
	}
	if l := left(t, k.c); len(l) > 0 || k.alive() > 0 {
		t.Errorf("left are %v and %d processes", l, k.alive())
	}

	c, _ := run("killed", "60s", "k6-operator", 27444)
	kuberig.Eventually(t, 2*time.Minute, "it is in the load phase", func() bool { return strings.Contains(read("killed", "record.jsonl"), `"phase":"load"`) })
	sending := k.alive()
	revert := exec.Command(filepath.Join(dir, "gameday"), "revert", "--kubernetes", "--kubeconfig", k.c.Admin)
	revert.Dir, revert.Env = dir, c.Env
	if said, err := revert.CombinedOutput(); err != nil || !strings.Contains(string(said), "is of a run in progress here, and left alone") {
		t.Errorf("reverting beside a run in progress ends with %v:\n%s", err, said)
	}
	if n := k.alive(); n != sending || n < 3 {
		t.Errorf("of %d runners of a run in progress %d are left", sending, n)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	before := time.Now()
	kuberig.Eventually(t, time.Minute, "no runner is left", func() bool { return k.alive() == 0 })
	t.Logf("the runners were gone %s after gameday was killed", time.Since(before).Round(100*time.Millisecond))
	kuberig.Eventually(t, 2*time.Minute, "nothing is left of it in the cluster", func() bool { return len(left(t, k.c)) == 0 })
}
