package kubernetes

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/internal/kuberig"
)

// testGameDayKilled ends a game day whose traffic comes from the cluster by SIGKILL at each step, alone and with everything that it started:
// runners end by themselves, and of what was made for them nothing is left, or what `gameday revert` lifts. It works with the programs that
// testGameDay built.
func testGameDayKilled(t *testing.T, k *kubelet, kubeconfig string) {
	k.mu.Lock()
	programs := k.image
	k.mu.Unlock()
	service := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer service.Close()
	port := 27450
	for _, step := range []string{"its runners are being made", "baseline", "load", "recovery"} {
		for _, all := range []bool{false, true} {
			name := step + ", alone"
			if all {
				name = step + ", with all"
			}
			port++
			t.Run(name, func(t *testing.T) {
				text := fmt.Sprintf(gameDay, kubeconfig, service.URL, port, "3s", "jobs")
				killAt(t, k, programs, strings.Replace(text, `recovery = "1s"`, `recovery = "20s"`, 1), step, all)
			})
		}
	}
}

func killAt(t *testing.T, k *kubelet, programs, scenario, step string, all bool) {
	dir := t.TempDir()
	for name, text := range map[string]string{"day.hcl": scenario, "get.js": getScript} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := func(args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(programs, "gameday"), args...)
		c.Dir, c.Env = dir, append(os.Environ(), "HOME="+dir, "GAMEDAY_LEDGER="+filepath.Join(dir, "ledger"))
		return c
	}
	c := command("run", "--record", "rec", "day.hcl")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	kuberig.Eventually(t, 2*time.Minute, "it is there: "+step, func() bool {
		if step == "its runners are being made" {
			return len(left(t, k.c)) > 0
		}
		text, _ := os.ReadFile(filepath.Join(dir, "rec", "record.jsonl"))
		return strings.Contains(string(text), `"phase":"`+step+`"`)
	})
	whole := family(c.Process.Pid)
	dying := whole[:1]
	if all {
		dying = whole
	}
	for _, pid := range dying {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Error(err)
		}
	}
	began := time.Now()
	_ = c.Wait()
	if all {
		// What was asked for by then may still come to be; runners find no collector, and end.
		kuberig.Eventually(t, time.Minute, "no runner is left", func() bool { return k.alive() == 0 })
		for range 2 {
			out, err := command("revert", "--kubernetes", "--kubeconfig", k.c.Admin).CombinedOutput()
			if err != nil {
				t.Errorf("gameday revert: %v:\n%s", err, out)
			}
		}
	}
	kuberig.Eventually(t, time.Minute, "nothing is left of it in the cluster", func() bool { return len(left(t, k.c)) == 0 && k.alive() == 0 })
	t.Logf("nothing was left after %v", time.Since(began).Round(100*time.Millisecond))
	if out, err := command("report", "rec").CombinedOutput(); err == nil || strings.Contains(string(out), "PASSED") {
		t.Errorf("the report ends with %v:\n%s", err, out)
	}
	if out, err := command("revert").CombinedOutput(); err != nil {
		t.Errorf("gameday revert: %v:\n%s", err, out)
	}
}

// family returns the ids of a process and of all that came from it.
func family(pid int) []int {
	out := []int{pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	children := map[int][]int{}
	for _, path := range stats {
		text, _ := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(text), ") ") // names of ours have no parenthesis
		if fields := strings.Fields(rest); len(fields) > 1 {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			parent, _ := strconv.Atoi(fields[1])
			children[parent] = append(children[parent], child)
		}
	}
	for i := 0; i < len(out); i++ {
		out = append(out, children[out[i]]...)
	}
	return out
}
