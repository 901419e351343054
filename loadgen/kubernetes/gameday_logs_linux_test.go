package kubernetes

import (
	"encoding/json"
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

// printedDay is a game day whose traffic comes from pods that reach nobody of gameday's.
const printedDay = `scenario "by their logs" {
  kubernetes {
    kubeconfig = %[1]q
  }
  timeline {
    baseline = "6s"
    ramp     = "5s"
    load     = %[3]q
    recovery = "1s"
  }
  traffic "visitors" {
    script   = "get.js"
    env      = { URL = %[2]q }
    multiple = 2
    baseline {
      rate = 30
    }
    run_on "jobs" {
      parallelism = 3
      namespace   = "load"
      image       = "built"
      collector   = "logs"
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

// testPrintedDay runs gameday as it is built, by its pods' logs alone: to the end, and until it is killed.
func testPrintedDay(t *testing.T, k *kubelet, kubeconfig string) {
	dir := t.TempDir()
	all, err := filepath.Glob("../../cmd/gameday*")
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	buildInto(t, dir, all...)
	k.mu.Lock()
	k.image = dir
	k.mu.Unlock()
	var hits atomic.Int64
	service := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer service.Close()
	if err := os.WriteFile(filepath.Join(dir, "get.js"), []byte(getScript), 0o600); err != nil {
		t.Fatal(err)
	}
	command := func(verb, load string, more ...string) (*exec.Cmd, *strings.Builder) {
		path := filepath.Join(dir, "day-"+load+".hcl")
		if err := os.WriteFile(path, fmt.Appendf(nil, printedDay, kubeconfig, service.URL, load), 0o600); err != nil {
			t.Fatal(err)
		}
		c, out := exec.Command(filepath.Join(dir, "gameday"), append(append([]string{verb}, more...), path)...), &strings.Builder{}
		c.Dir, c.Stdout, c.Stderr = dir, out, out
		c.Env = append(os.Environ(), "HOME="+dir, "GAMEDAY_LEDGER="+filepath.Join(dir, "ledger"))
		return c, out
	}
	c, out := command("plan", "8s")
	err = c.Run()
	for _, want := range []string{"3 Jobs in namespace load, by their logs", "they cannot be stopped, and go on for up to 1m30s"} {
		if said := strings.Join(strings.Fields(out.String()), " "); err == nil && !strings.Contains(said, want) {
			err = fmt.Errorf("it does not say %q", want)
		}
	}
	if err != nil {
		t.Errorf("plan ends with %v:\n%s", err, out)
	}
	c, out = command("run", "8s", "--record", "rec")
	if err := c.Run(); err != nil || !strings.Contains(out.String(), "PASSED") {
		t.Errorf("it ended with %v:\n%s", err, out)
	}
	if n := hits.Load(); n < 30*6+45*5+60*8-30 {
		t.Errorf("%d requests came", n)
	}
	t.Logf("%d requests came:\n%s", hits.Load(), out)
	if l := left(t, k.c); len(l) > 0 || k.alive() > 0 {
		t.Errorf("left are %v and %d processes", l, k.alive())
	}
	atTheMultiple(t, filepath.Join(dir, "rec", "record.jsonl"))
	c, _ = command("run", "60s", "--record", "killed")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	kuberig.Eventually(t, 2*time.Minute, "it is in the load phase", func() bool {
		b, _ := os.ReadFile(filepath.Join(dir, "killed", "record.jsonl")) // which may not be there yet
		return strings.Contains(string(b), `"phase":"load"`)
	})
	if n := k.alive(); n != 3 {
		t.Errorf("%d runners are there", n)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	at := time.Now()
	kuberig.Eventually(t, time.Minute, "no runner is left", func() bool { return k.alive() == 0 })
	t.Logf("the runners were gone %s after gameday was killed", time.Since(at).Round(100*time.Millisecond))
	kuberig.Eventually(t, time.Minute, "nothing is left of it in the cluster", func() bool { return len(left(t, k.c)) == 0 })
}

// atTheMultiple checks by a record that the multiple was reached when the load phase began, although runners hear of it late: but for the second on
// either side, since their clocks are not known better.
func atTheMultiple(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var load time.Time
	before, after := 0, 0
	for line := range strings.Lines(string(b)) {
		var e struct {
			At   time.Time
			Kind string
			Data struct {
				Phase  string
				Start  time.Time
				Due    uint64
				Stream string
			}
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			continue // of another form
		}
		switch {
		case e.Data.Phase == "load" && load.IsZero():
			load = e.At
		case e.Data.Stream != "visitors" || e.Data.Start.IsZero():
		case load.IsZero() || e.Data.Start.Before(load.Add(-3*time.Second)): // before the last of the ramp
			before++
			if e.Data.Due > 60 {
				t.Errorf("%d were due in a second before the load phase", e.Data.Due)
			}
		case e.Data.Start.After(load.Add(time.Second)) && e.Data.Start.Before(load.Add(6*time.Second)):
			after++
			if e.Data.Due != 60 {
				t.Errorf("%d were due in the second that began %s after the load phase", e.Data.Due, e.Data.Start.Sub(load))
			}
		}
	}
	if before < 5 || after < 4 {
		t.Errorf("%d seconds before the load phase, and %d in it", before, after)
	}
}
