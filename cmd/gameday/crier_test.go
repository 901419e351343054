package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gameday/announce"
	"gameday/announce/crier"
	"gameday/announce/deliver"
	"gameday/announce/told"
	"gameday/internal/runrig"
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
	return crier.New(crier.Config{Box: box, By: "ann", Host: "here", Sender: &deliver.Sender{Getenv: func(string) string { return server.URL }},
		Channels: []*announce.Channel{{Kind: announce.Slack, Name: "a", On: announce.Events, Address: announce.Secret{Env: "A"}}}}), heard
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
