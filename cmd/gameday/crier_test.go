package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gameday/announce"
	"gameday/announce/crier"
	"gameday/announce/deliver"
	"gameday/announce/told"
	"gameday/internal/runrig"
	"gameday/report"
	"gameday/scenarios"
)

// heardBy is what a chat that plays along hears.
type heardBy struct {
	mu   sync.Mutex
	said []string
}

func (h *heardBy) all() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.said, "\n")
}

// crierRig returns a crier with one channel, and what that hears.
func crierRig(t *testing.T) (*crier.Crier, *heardBy) {
	t.Helper()
	heard := &heardBy{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		heard.mu.Lock()
		heard.said = append(heard.said, string(body))
		heard.mu.Unlock()
		fmt.Fprint(w, "ok")
	}))
	t.Cleanup(server.Close)
	box, err := told.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return crier.New(crier.Config{Box: box, By: "ann", Host: "here", Sender: &deliver.Sender{Getenv: func(string) string { return server.URL + "/x" }},
		Channels: []*announce.Channel{{Kind: announce.Slack, Name: "a", On: announce.Events, Address: announce.Secret{Env: "A"}}}}), heard
}

// TestFateOf knows what became of a run by its record and by who holds that, whatever stands in it.
func TestFateOf(t *testing.T) {
	dir := t.TempDir()
	record := func(name string, change func([]byte) []byte) string {
		t.Helper()
		rec := filepath.Join(dir, name)
		if err := runrig.Write(rec, runrig.New(1).Run("rec", time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC), 1)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(rec, report.EventsFile)
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, change(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	same := func(text []byte) []byte { return text }
	broken := func(text []byte) []byte { return []byte("{\n") }
	endless := func(text []byte) []byte {
		before, _, found := bytes.Cut(text, []byte("\"run_ended\""))
		if !found {
			t.Fatal("a record without an end")
		}
		return before[:bytes.LastIndexByte(before, '\n')+1]
	}
	held := func(rec string) string {
		t.Helper()
		f, err := os.Open(filepath.Join(rec, report.EventsFile))
		if err == nil {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return rec
	}
	for what, tt := range map[string]struct {
		watch string
		want  told.Fate
	}{
		"it ended":                    {watched(record("ended", same)), told.FateEnded},
		"it has no end":               {watched(record("endless", endless)), told.FateDied},
		"nobody can read it":          {watched(record("broken", broken)), told.FateDied},
		"it is gone":                  {watched(filepath.Join(dir, "gone")), told.FateDied},
		"it is being written":         {watched(held(record("going", endless))), told.FateGoesOn},
		"it is written and has ended": {watched(held(record("late", same))), told.FateGoesOn},
		"it is written, unreadable":   {watched(held(record("torn", broken))), told.FateGoesOn},
		"another machine's":           {"elsewhere.example.com:" + record("other", same), told.FateUnknown},
	} {
		if got := fateOf(tt.watch); got != tt.want {
			t.Errorf("%s: its fate is %d, want %d", what, got, tt.want)
		}
	}
}

// TestRunTellsItsResidue tells of a run by hand that it left something standing when the exit code says so and its record does not: it was the lab, or the run broke off.
func TestRunTellsItsResidue(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{{nil, false}, {&codeError{code: 1}, false}, {errors.New("no code of its own"), false}, {labResidue(nil), true}, {labResidue(&codeError{code: 1}), true}} {
		dir := filepath.Join(t.TempDir(), "rec")
		if err := runrig.Write(dir, runrig.New(1).Run("rec", time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC), 1)); err != nil {
			t.Fatal(err)
		}
		c, heard := crierRig(t)
		f := &runFlags{notify: notifyFlag{crier: c}}
		root(io.Discard, io.Discard).tellRun(f, &scenarios.Scenario{Name: "small"}, dir)(tt.err)
		all := heard.all()
		if !strings.Contains(all, "Game day small") || strings.Contains(all, "RESIDUE") != tt.want || strings.Contains(all, "Run `gameday revert`") != tt.want {
			t.Errorf("of a run that ended with %v people hear %s", tt.err, all)
		}
	}
}
