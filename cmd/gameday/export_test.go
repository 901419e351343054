package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gameday/internal/runrig"
)

// drills makes records of game days that never took place and in which not all went well: drills DIR N. They are called
// DIR/1 to DIR/N, a day apart.
func drills(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: drills DIR N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	for i := range n {
		w := runrig.New(uint64(i + 1))
		w.Baseline, w.Load, w.Recovery, w.Outliers = 3, 45, 3, 0
		rec := w.Drill(fmt.Sprintf("drill-%d", i+1), time.Date(2026, 11, 20+i, 9, 0, 0, 0, time.UTC))
		ts.Check(runrig.Write(filepath.Join(ts.MkAbs(args[0]), strconv.Itoa(i+1)), rec))
	}
}

// receiverCommand starts something that takes what is exported: receiver LOG. It is at $RECEIVER, writes a line into LOG for
// each request, keeps annotations as Grafana does, and refuses every token but "hush-hush".
func receiverCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: receiver LOG")
	}
	log, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	r := &receiving{log: log}
	server := httptest.NewServer(r)
	ts.Defer(func() { server.Close(); log.Close() })
	ts.Setenv("RECEIVER", server.URL)
}

type receiving struct {
	mu          sync.Mutex
	log         io.Writer
	annotations []map[string]any
}

func (r *receiving) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	fmt.Fprintf(r.log, "%s %s %s %d\n", q.Method, q.URL.Path, q.Header.Get("X-Scope-OrgID"), min(len(body), 1))
	if sent := q.Header.Get("Authorization"); sent != "" && sent != "Bearer hush-hush" {
		http.Error(w, "no such token: "+sent, http.StatusUnauthorized)
		return
	}
	var answer any = map[string]string{}
	switch {
	case q.URL.Path != "/api/annotations":
	case q.Method == http.MethodGet:
		answer = append([]map[string]any{}, r.annotations...)
	default:
		var a map[string]any
		if err := json.Unmarshal(body, &a); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a["id"] = len(r.annotations) + 1
		r.annotations = append(r.annotations, a)
	}
	if strings.HasPrefix(q.URL.Path, "/api/v1/write") {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	_ = json.NewEncoder(w).Encode(answer) // who asked may be gone
}
