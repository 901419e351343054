package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// A lock keeps a second process out while the first one has it. Whether it outlives a process that was killed is what
// tells the two kinds apart; here the killed process is one that never releases.
func TestLocks(t *testing.T) {
	for name, take := range map[string]func(string) (func() error, error){"kernel": lockByKernel, "file": lockByFile} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "lock")
			release, err := take(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := take(path); err == nil || !strings.Contains(err.Error(), "another process") {
				t.Fatalf("the second process got: %v, want to hear of another one", err)
			}
			if err := release(); err != nil {
				t.Fatal(err)
			}
			if release, err = take(path); err != nil {
				t.Fatalf("after the release: %v", err)
			}
			if err := release(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestOrders(t *testing.T) {
	h := ordersHandler()
	for path, want := range map[string]int{"/orders/1": http.StatusOK, "/orders/1000": http.StatusOK, "/healthz": http.StatusOK,
		"/orders/0": http.StatusNotFound, "/orders/1001": http.StatusNotFound, "/orders/x": http.StatusNotFound} {
		if code, body := get(h, http.MethodGet, path); code != want {
			t.Errorf("%s: %d %s, want %d", path, code, body, want)
		}
	}
}
