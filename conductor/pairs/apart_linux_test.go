package pairs

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestDaemons: a server that leaves its group, as most daemons do, ends with its world, and one that is deaf is killed.
func TestDaemons(t *testing.T) {
	if _, err := exec.LookPath("setsid"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("there is no setsid")
	}
	for name, trap := range map[string]string{"ends": "", "is deaf": `trap "" TERM; `} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			command := "setsid sh -c '" + trap + "echo $$ > pid; touch ready; while :; do sleep 1; done' & " +
				"until test -e ready; do sleep 0.05; done"
			side := &place{Side: Side{Name: "base", Command: command}, folder: dir}
			w := &world{side: side, pair: 1, within: 30 * time.Second, grace: time.Second}
			if err := w.start(t.Context()); err != nil {
				t.Fatal(err)
			}
			pid := pidIn(t, filepath.Join(dir, "pid"))
			if !alive(pid) {
				t.Fatal("it is not there")
			}
			if err := w.stop(); err != nil {
				t.Error(err)
			}
			if left(pid) {
				t.Errorf("process %d is left", pid)
				if p, err := os.FindProcess(pid); err == nil {
					_ = p.Kill()
				}
			}
		})
	}
}
