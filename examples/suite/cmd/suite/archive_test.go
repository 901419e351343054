package main

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
)

// An archive locks itself when the disk is nearly full. Only one that unlocks itself takes documents again when it is not.
func TestArchiveLocksItself(t *testing.T) {
	for _, unlocks := range []bool{true, false} {
		free := 0.5
		var log bytes.Buffer
		a := &archive{dir: t.TempDir(), unlocks: unlocks, free: func() (float64, error) { return free, nil }, log: &log}
		h := a.routes()
		after := http.StatusCreated
		if !unlocks {
			after = http.StatusInsufficientStorage
		}
		if got := answered(t, h, "GET", "/documents/newest", nil); got != http.StatusNotFound {
			t.Errorf("without a document reading is answered %d", got)
		}
		for _, step := range []struct {
			free  float64
			write int
		}{
			{0.5, http.StatusCreated},
			{0.11, http.StatusCreated},
			{0.06, http.StatusInsufficientStorage},
			{0.12, http.StatusInsufficientStorage}, // not enough yet
			{0.6, after},
		} {
			free = step.free
			if got := answered(t, h, "POST", "/documents", nil); got != step.write {
				t.Errorf("unlocks itself %v, %.2f free: writing is answered %d, want %d", unlocks, free, got, step.write)
			}
			var newest struct{ Bytes int }
			if answered(t, h, "GET", "/documents/newest", &newest); newest.Bytes != documentSize {
				t.Errorf("%.2f free: the newest document has %d bytes", free, newest.Bytes)
			}
			var disk struct{ Low bool }
			if answered(t, h, "GET", "/disk", &disk); disk.Low != (free < diskLow) {
				t.Errorf("%.2f free: low is %v", free, disk.Low)
			}
		}
		var state struct{ Locked bool }
		if answered(t, h, "POST", "/unlock", &state); state.Locked {
			t.Error("an operator cannot unlock it")
		}
		if got := answered(t, h, "POST", "/documents", nil); got != http.StatusCreated {
			t.Errorf("unlocked, writing is answered %d", got)
		}
		if !strings.Contains(log.String(), "locked against writing") || strings.Contains(log.String(), "unlocked") != unlocks {
			t.Errorf("it says %q", log.String())
		}
	}
}

// Documents make room for each other, so that the archive itself never fills its disk.
func TestArchiveKeepsSoMany(t *testing.T) {
	a := &archive{dir: t.TempDir(), free: func() (float64, error) { return 1, nil }, log: os.Stderr}
	h := a.routes()
	for range documentsKept + 5 {
		if got := answered(t, h, "POST", "/documents", nil); got != http.StatusCreated {
			t.Fatalf("writing is answered %d", got)
		}
	}
	if left, err := os.ReadDir(a.dir); err != nil || len(left) != documentsKept {
		t.Errorf("%d documents are kept, %v", len(left), err)
	}
}

// What cannot be looked at counts as full.
func TestArchiveCannotLook(t *testing.T) {
	a := &archive{dir: t.TempDir(), free: func() (float64, error) { return 0, errors.New("no") }, log: os.Stderr}
	if got := answered(t, a.routes(), "POST", "/documents", nil); got != http.StatusInsufficientStorage {
		t.Errorf("writing is answered %d", got)
	}
}
