package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gameday/internal/portrig"
)

// roleVariable makes the test program play a role, with the words in it as arguments: what a role does to its process would
// stay done to the tests'.
const roleVariable = "GAMEDAY_SUITE_TEST_ROLE"

func TestMain(m *testing.M) {
	if args := os.Getenv(roleVariable); args != "" {
		os.Exit(run(context.Background(), strings.Fields(args), os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// A service without a share of its own has the least that there is in all of its threads, and in its session.
func TestLeftovers(t *testing.T) {
	lowest := strconv.Itoa(lowestNice)
	for share, want := range map[string]struct{ threads, session string }{
		"own":       {nicenessOf(t, "/proc/self/stat"), "0"}, // inherited from the tests
		"leftovers": {lowest, lowest},
	} {
		address := portrig.Address(t)
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), roleVariable+"=quotes -work 1ms -listen "+address+" -share "+share)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // whose niceness is its own
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		client := &http.Client{Timeout: patience} // who has the least that there is may take long
		until(t, "it serves quotes", func() bool {
			code, _, err := ask(t.Context(), client, http.MethodGet, "http://"+address+"/quotes", nil)
			return err == nil && code == http.StatusOK
		})
		folder := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid))
		threads, err := filepath.Glob(filepath.Join(folder, "task", "*", "stat"))
		if err != nil || len(threads) == 0 {
			t.Fatalf("no threads: %v", err)
		}
		for _, path := range threads {
			if got := nicenessOf(t, path); got != want.threads && got != "" {
				t.Errorf("share %s: %s has niceness %s, want %s", share, path, got, want.threads)
			}
		}
		group, err := os.ReadFile(filepath.Join(folder, "autogroup"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without them
		}
		if err != nil || !strings.HasSuffix(strings.TrimSpace(string(group)), " nice "+want.session) {
			t.Errorf("share %s: the session is %q, %v, want nice %s", share, group, err, want.session)
		}
	}
}

// nicenessOf reads a thread's niceness from its stat; empty when it has ended.
func nicenessOf(t *testing.T, path string) string {
	t.Helper()
	stat, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	// Field 19, counted from the name's last parenthesis, after which comes the third.
	return string(bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])[19-3])
}
