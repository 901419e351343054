package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gameday/faults"
)

// fakeEngine is one container behind the three requests of the Engine API that are used here.
type fakeEngine struct {
	mu       sync.Mutex
	status   string // "" is gone
	starts   int    // how often it has been started: its StartedAt
	remove   bool   // AutoRemove
	stuck    bool   // a kill is accepted and does nothing
	noStart  bool   // a start is refused
	stays    bool   // a start is accepted and does nothing
	answer   string // of inspect, instead of JSON
	code     int    // of every answer, instead of the right one
	killed   int
	afterGet func(*fakeEngine) // after an inspect was answered, once
	socket   string
}

func (f *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	verb := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	switch {
	case f.code != 0:
		w.WriteHeader(f.code)
		fmt.Fprint(w, `{"message":"the disk is full"}`)
	case f.status == "":
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"message":"No such container: c1"}`)
	case verb == "json" && f.answer != "":
		fmt.Fprint(w, f.answer)
	case verb == "json":
		c := container{Name: "/ledger"}
		c.State.Status, c.State.Running = f.status, f.status == "running" || f.status == "paused"
		c.State.Paused, c.State.Restarting, c.State.Dead = f.status == "paused", f.status == "restarting", f.status == "dead"
		c.State.StartedAt = fmt.Sprintf("start-%d", f.starts)
		if c.State.Running {
			c.State.Pid = 1000 + f.starts
		}
		c.HostConfig.AutoRemove = f.remove
		_ = json.NewEncoder(w).Encode(c)
		if f.afterGet != nil {
			f.afterGet(f)
			f.afterGet = nil
		}
	case verb == "kill" && r.URL.Query().Get("signal") == "SIGKILL":
		f.killed++
		if f.status != "running" {
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"message":"container c1 is not running"}`)
		} else if !f.stuck {
			f.status = "exited"
		}
	case verb == "start" && f.noStart:
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"message":"driver failed programming external connectivity: port is already allocated"}`)
	case verb == "start" && !f.stays:
		if f.status == "running" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		f.status, f.starts = "running", f.starts+1
		w.WriteHeader(http.StatusNoContent)
	}
}

// with changes the engine while it serves.
func (f *fakeEngine) with(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func serveEngine(t *testing.T, f *fakeEngine) *fakeEngine {
	t.Helper()
	f.socket = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", f.socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: f}}
	s.Start()
	t.Cleanup(s.Close)
	return f
}

func (f *fakeEngine) place() faults.Place {
	return faults.Place{Name: "ledger", Node: &faults.Node{Name: "ledger", Engine: f.socket, Container: "c1"}}
}

// bound returns the restart of the engine's container, with a time down that no scenario may ask for.
func bound(t *testing.T, f *fakeEngine, down time.Duration) *containerRestart {
	t.Helper()
	i, err := (&Restart{}).Bind(f.place())
	if err != nil {
		t.Fatal(err)
	}
	r := i.(*containerRestart)
	r.down = down
	return r
}

// killedNow is a restart that has killed its container, and its entry.
func killedNow(t *testing.T, f *fakeEngine, down time.Duration) (*containerRestart, faults.Entry) {
	t.Helper()
	r := bound(t, f, down)
	undo, err := r.Undo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Inject(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	return r, faults.Entry{ID: "i1", Undo: undo, Place: f.place()}
}

func TestContainerRestart(t *testing.T) {
	f := serveEngine(t, &fakeEngine{status: "running"})
	r, e := killedNow(t, f, 300*time.Millisecond)
	if got, err := r.Effect(t.Context()); err != nil || !got.Proven || !strings.Contains(got.Summary, "is exited, its first process (pid 1000) is gone") {
		t.Errorf("effect %+v, %v", got, err)
	}
	got, err := r.Watch(t.Context())
	if err != nil || !got.Proven || got.Summary != "pid 1000 → 1001" || got.Details["started_at"] != "start-0" || got.Details["new_started_at"] != "start-1" {
		t.Errorf("watch %+v, %v", got, err)
	}
	if took := time.Since(r.off); took < 300*time.Millisecond {
		t.Errorf("it was down for %v", took)
	}
	for range 2 {
		if err := RestartKind().Revert(t.Context(), e); err != nil {
			t.Error(err)
		}
	}
	if f.starts != 1 || f.killed != 1 {
		t.Errorf("%d starts, %d kills", f.starts, f.killed)
	}
}

// TestContainerRefused injects where it must not.
func TestContainerRefused(t *testing.T) {
	for want, f := range map[string]*fakeEngine{
		"is paused":                {status: "paused"},
		"by its restart policy":    {status: "restarting"},
		"is exited already":        {status: "exited"},
		"is dead already":          {status: "dead"},
		"removed when it stops":    {status: "running", remove: true},
		"it was removed, or made":  {},
		"the disk is full":         {status: "running", code: http.StatusInternalServerError},
		"in literal true":          {status: "running", answer: `{"Id":"c1","State":{"Running":tr`},
		"not say when it was":      {status: "running", answer: `{}`},
		"cannot unmarshal":         {status: "running", answer: `{"State":7}`},
		"invalid character '<'":    {status: "running", answer: `<html>`},
		"refuses (403 Forbidden)":  {status: "running", code: http.StatusForbidden},
		"is it running?":           nil,
		"has no power switch":      {socket: "none"},
		"is exited already; nothi": {status: "exited", noStart: true},
	} {
		place := faults.Place{Name: "ledger", Node: &faults.Node{Name: "ledger", Engine: "/nonexistent/docker.sock", Container: "c1"}}
		switch {
		case f != nil && f.socket == "none":
			place.Node.Engine = ""
		case f != nil:
			place = serveEngine(t, f).place()
		}
		i, err := (&Restart{}).Bind(place)
		if err == nil {
			_, err = i.Undo(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if foreign := f != nil && (f.status == "paused" || f.status == "restarting"); foreign != errors.Is(err, faults.ErrForeign) {
			t.Errorf("%v: foreign %v", err, foreign)
		}
		if f != nil && f.killed > 0 {
			t.Errorf("%q: it was killed", want)
		}
	}
}

// TestContainerEnds shows what Watch says when the container does not come back as it should.
func TestContainerEnds(t *testing.T) {
	t.Run("started by somebody else", func(t *testing.T) {
		f := serveEngine(t, &fakeEngine{status: "running"})
		r, _ := killedNow(t, f, time.Minute)
		f.with(func() { f.status, f.starts = "running", 7 })
		if got, err := r.Watch(t.Context()); err != nil || !got.Proven || !strings.Contains(got.Summary, "pid 1000 → 1007, started by somebody else after") {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("removed", func(t *testing.T) {
		f := serveEngine(t, &fakeEngine{status: "running"})
		r, e := killedNow(t, f, time.Minute)
		f.with(func() { f.status = "" })
		if _, err := r.Watch(t.Context()); !errors.Is(err, faults.ErrLapsed) || !strings.Contains(err.Error(), "removed while it was down") {
			t.Error(err)
		}
		if err := RestartKind().Revert(t.Context(), e); err != nil {
			t.Error(err)
		}
	})
	t.Run("cannot start", func(t *testing.T) {
		f := serveEngine(t, &fakeEngine{status: "running", noStart: true})
		r, e := killedNow(t, f, time.Millisecond)
		if _, err := r.Watch(t.Context()); err == nil || !strings.Contains(err.Error(), "port is already allocated") {
			t.Error(err)
		}
		if err := RestartKind().Revert(t.Context(), e); err == nil || !strings.Contains(err.Error(), "starting container ledger (c1) again") {
			t.Error(err)
		}
		f.with(func() { f.noStart = false })
		if err := RestartKind().Revert(t.Context(), e); err != nil || f.starts != 1 {
			t.Errorf("%v, %d starts", err, f.starts)
		}
	})
	t.Run("ends at once", func(t *testing.T) {
		f := serveEngine(t, &fakeEngine{status: "running"})
		r, _ := killedNow(t, f, time.Minute)
		f.with(func() { f.status, f.starts = "exited", 1 })
		if got, err := r.Watch(t.Context()); err != nil || !strings.Contains(got.Summary, "pid 1000 → started again and exited") {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("stays up", func(t *testing.T) {
		r, _ := killedNow(t, serveEngine(t, &fakeEngine{status: "running", stuck: true}), time.Minute)
		looksUnproven(t, r, "still runs as pid 1000")
	})
	t.Run("ended before the kill", func(t *testing.T) {
		f := serveEngine(t, &fakeEngine{status: "running"})
		r := bound(t, f, time.Minute)
		f.with(func() { f.afterGet = func(f *fakeEngine) { f.status = "exited" } })
		if _, err := r.Undo(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.Inject(t.Context(), time.Second); err == nil || !strings.Contains(err.Error(), "is not running") {
			t.Error(err)
		}
	})
}

// TestContainerRevert reverts from entries alone, in states that a dead guard may have left, and somebody else.
func TestContainerRevert(t *testing.T) {
	raw, err := json.Marshal(containerUndo{Engine: "/nonexistent/docker.sock", Container: "c1", Name: "ledger", StartedAt: "start-0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := RestartKind().Revert(t.Context(), faults.Entry{Undo: raw}); err == nil || !strings.Contains(err.Error(), "is it running?") {
		t.Errorf("an engine that is away was reverted: %v", err)
	}
	for _, row := range []struct {
		what   string
		engine *fakeEngine
		status string
		starts int
	}{
		{"killed, and nobody left", &fakeEngine{status: "exited"}, "running", 1},
		{"never killed", &fakeEngine{status: "running"}, "running", 0},
		{"the kill comes through after the guard's death", &fakeEngine{status: "running", afterGet: func(f *fakeEngine) { f.status = "exited" }}, "running", 1},
		{"somebody else started it", &fakeEngine{status: "running", starts: 3}, "running", 3},
		{"somebody else stopped it after that", &fakeEngine{status: "exited", starts: 3}, "exited", 3},
		{"being removed", &fakeEngine{status: "removing"}, "removing", 0},
		{"dead", &fakeEngine{status: "dead"}, "dead", 0},
		{"removed", &fakeEngine{}, "", 0},
	} {
		t.Run(row.what, func(t *testing.T) {
			f := serveEngine(t, row.engine)
			raw, err := json.Marshal(containerUndo{Engine: f.socket, Container: "c1", Name: "ledger", StartedAt: "start-0"})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := RestartKind().Revert(t.Context(), faults.Entry{Undo: raw}); err != nil {
					t.Error(err)
				}
			}
			if f.status != row.status || f.starts != row.starts {
				t.Errorf("it is %q after %d starts, want %q after %d", f.status, f.starts, row.status, row.starts)
			}
		})
	}
	t.Run("accepted and never done", func(t *testing.T) {
		f := serveEngine(t, &fakeEngine{status: "exited", stays: true})
		raw, err := json.Marshal(containerUndo{Engine: f.socket, Container: "c1", Name: "ledger", StartedAt: "start-0"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if err := RestartKind().Revert(ctx, faults.Entry{Undo: raw}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}
