package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const lookedAt = `scenario "s" {
  kubernetes { kubeconfig = "kubeconfig" }
  timeline {
    baseline = "1s"
    load     = "1s"
    recovery = "1s"
  }
  traffic "visitors" {
    request "home" { url = "http://127.0.0.1:1/" }
    baseline { rate = 1 }
  }
  target "payments" {
    pods {
      namespace = "shop"
      labels    = { app = "payments" }
    }
  }
  fault "process_kill" "crash" {
    target = target.payments
    at     = "0s"
  }
}
`

// TestInterruptedPlan interrupts a plan while it waits for a cluster that never speaks. What it made for looking goes with it; what one
// left that was killed, goes with the next.
func TestInterruptedPlan(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan net.Conn)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			asked <- c // and never a word
		}
	}()
	dir := gamedayFolder(t, map[string]string{"day.hcl": lookedAt, "kubeconfig": fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: stage\n"+
		"clusters: [{name: c, cluster: {server: \"http://%s\"}}]\nusers: [{name: u, user: {}}]\ncontexts: [{name: stage, context: {cluster: c, user: u}}]\n", l.Addr())})
	env := append(os.Environ(), "HOME="+dir, "GAMEDAY_LEDGER="+filepath.Join(dir, "ledger"), "PATH="+clusterProgram(t)+":"+os.Getenv("PATH"),
		"TMPDIR="+dir, "TEST_MACHINE_POLICY="+filepath.Join(dir, "none.hcl"))
	looking := func() []string {
		all, err := filepath.Glob(filepath.Join(dir, "gameday-look-*"))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	start := func() *exec.Cmd {
		t.Helper()
		c := exec.Command(filepath.Join(dir, "gameday"), "plan", "day.hcl")
		c.Dir, c.Env = dir, env
		var said strings.Builder
		c.Stdout, c.Stderr = &said, &said
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case conn := <-asked:
			t.Cleanup(func() { _ = conn.Close() })
		case <-time.After(30 * time.Second):
			t.Fatalf("nobody asks: %s", &said)
		}
		if now := looking(); len(now) != 1 {
			t.Fatalf("while it looks there is %v", now)
		}
		return c
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		c := start()
		if err := c.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		if s := c.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != sig {
			t.Errorf("after %v it ended with %v", sig, c.ProcessState)
		}
		if left := looking(); len(left) > 0 {
			t.Errorf("after %v there is %v", sig, left)
		}
	}
	c := start()
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	left := looking()
	if len(left) != 1 {
		t.Fatalf("after a kill there is %v", left)
	}
	c = start() // one of its own alone is there now
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if left := looking(); len(left) > 0 {
		t.Errorf("in the end there is %v", left)
	}
}
