package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// channelToken is in every address that channel makes; no script may print it.
const channelToken = "T0KEN-of-a-channel-that-nobody-may-see"

// channel starts what plays a chat, puts its address into a variable, and keeps what is posted to it, one body a line, in a file:
// channel SLACK_URL chat. What is in the file chat.mode says what it answers: "ok" when it is not there, "broken", "gone", "busy" once, or nothing: "hang".
func channel(t *testing.T, ts *testscript.TestScript, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: channel VARIABLE NAME")
	}
	var mu sync.Mutex
	got, mode := ts.MkAbs(args[1]+".got"), ts.MkAbs(args[1]+".mode")
	ts.Check(os.WriteFile(got, nil, 0o600))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		what, _ := os.ReadFile(mode)
		if strings.TrimSpace(string(what)) == "hang" {
			<-r.Context().Done()
			return
		}
		mu.Lock()
		defer mu.Unlock()
		switch strings.TrimSpace(string(what)) {
		case "broken":
			http.Error(w, "broken at "+r.URL.Path, http.StatusInternalServerError)
			return
		case "gone":
			http.Error(w, "no_service", http.StatusNotFound)
			return
		case "busy":
			if err := os.Remove(mode); err != nil {
				t.Error(err)
			}
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		f, err := os.OpenFile(got, os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = fmt.Fprintf(f, "%s\n", body)
		}
		if err != nil {
			t.Error(err)
		}
		f.Close()
		fmt.Fprint(w, "ok")
	}))
	t.Cleanup(server.Close)
	ts.Setenv(args[0], server.URL+"/services/"+channelToken)
	ts.Defer(func() { leaks(t, filepath.Dir(got)) })
}

// leaks looks for a channel's token in everything that a script has left, but for its folder secrets: records, state, audit log, output that it kept.
func leaks(t *testing.T, dir string) {
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "secrets" {
			return filepath.SkipDir
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), channelToken) {
			t.Errorf("%s has the secret of a channel in it", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
