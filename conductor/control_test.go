package conductor

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/report"
	"gameday/responders"
	"gameday/scenarios"
)

// opened returns a run that serves its socket in dir and does nothing else, with its events.
func opened(t *testing.T, dir string) (*run, *[]report.Event) {
	t.Helper()
	return openedAt(t, dir, nil)
}

// openedAt is opened with another listener than that of the socket.
func openedAt(t *testing.T, dir string, l net.Listener) (*run, *[]report.Event) {
	t.Helper()
	var events []report.Event
	r := &run{Options: Options{Scenario: &scenarios.Scenario{Name: "day"}, Dir: dir, Run: "run-1"}}
	if l != nil {
		r.Options.listen = func(string) (net.Listener, error) { return l, nil }
	}
	rec, err := newRecorder(dir, time.Now(), r.Scenario.Redact, func(e report.Event) { events = append(events, e) })
	if err != nil {
		t.Fatal(err)
	}
	r.rec, r.sources = rec, newSources(r)
	r.ctx, r.cancel = context.WithCancelCause(t.Context())
	if r.control, err = openControl(r); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.control.close(); rec.close() })
	return r, &events
}

func TestControl(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, events := opened(t, dir)
	ask := func(req Request) (string, error) { return Ask(t.Context(), dir, req) }
	for _, c := range []struct {
		name    string
		req     Request
		want    string
		refused string
	}{
		{"status", Request{Do: "status"}, "day runs as run-1", ""},
		{"mark", Request{Do: "mark", Name: "customers told", By: "ann", Text: "by mail"}, `marked "customers told"`, ""},
		{"mark with a file", Request{Do: "mark", Name: "evidence", By: "ann", File: &report.Attachment{Name: "a.png", Path: "evidence/7e.png", Size: 7}}, `marked "evidence"`, ""},
		{"nameless mark", Request{Do: "mark", By: "ann"}, "", "needs a name"},
		{"empty act", Request{Do: "act"}, "", "needs a verb"},
		{"act without desk", Request{Do: "act", Act: &responders.Action{Verb: responders.DoAcknowledge, By: "ann"}}, "", "no paging desk"},
		{"nonsense", Request{Do: "dance"}, "", `unknown request "dance"`},
		{"stop", Request{Do: "stop", By: "ann", Why: "enough"}, "every fault is being reverted", ""},
	} {
		got, err := ask(c.req)
		switch {
		case c.refused == "" && (err != nil || !strings.Contains(got, c.want)):
			t.Errorf("%s: %q, %v", c.name, got, err)
		case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
			t.Errorf("%s: %q, %v, want a refusal with %q", c.name, got, err, c.refused)
		}
	}
	if reason, _ := r.why(); r.ctx.Err() == nil || reason != report.EndStopped {
		t.Errorf("after stop the run goes on, or ends as %q", reason)
	}
	r.rec.mu.Lock()
	defer r.rec.mu.Unlock()
	var mark report.Mark
	var stop report.Stop
	var file *report.Attachment
	for _, e := range *events {
		switch e.Kind {
		case report.Marked:
			var m report.Mark
			if json.Unmarshal(e.Data, &m); m.Name == "evidence" {
				file = m.File
			} else {
				mark = m
			}
		case report.StopAsked:
			json.Unmarshal(e.Data, &stop)
		}
	}
	if mark != (report.Mark{Name: "customers told", By: "ann", Text: "by mail"}) || stop != (report.Stop{By: "ann", Why: "enough"}) {
		t.Errorf("recorded %+v, %+v", mark, stop)
	}
	if file == nil || *file != (report.Attachment{Name: "a.png", Path: "evidence/7e.png", Size: 7}) {
		t.Errorf("recorded the file %+v", file)
	}
}

// TestControlBadRequests checks that a client that misbehaves is told so, and that the next one is served.
func TestControlBadRequests(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opened(t, dir)
	for _, c := range []struct{ name, send, want string }{
		{"not JSON", "hello\n", "invalid character"},
		{"wrong type", `{"do": 7}` + "\n", "cannot unmarshal"},
		{"empty line", "\n", "JSON"},
		{"cut off", `{"do": "status"`, "JSON"},
		{"too large", `{"do": "mark", "name": "` + strings.Repeat("x", maxRequest) + `"}` + "\n", "larger than 64 KB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("unix", filepath.Join(dir, report.SocketFile))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			go func() { // it may not be read to its end
				io.WriteString(conn, c.send)
				conn.(*net.UnixConn).CloseWrite()
			}()
			line, err := bufio.NewReader(conn).ReadBytes('\n')
			var resp Response
			if err != nil || json.Unmarshal(line, &resp) != nil {
				t.Fatalf("the answer is %q, %v", line, err)
			}
			if resp.OK || !strings.Contains(resp.Error, c.want) {
				t.Errorf("the answer is %+v, want %q in it", resp, c.want)
			}
			if got, err := Ask(t.Context(), dir, Request{Do: "status"}); err != nil || got == "" {
				t.Errorf("afterwards: %q, %v", got, err)
			}
		})
	}
}

// TestControlLongPath checks that a record may lie deeper than an address can name.
func TestControlLongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("a", 100), strings.Repeat("b", 200))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r, _ := opened(t, dir)
	socket := filepath.Join(dir, report.SocketFile)
	if _, err := os.Stat(socket); err != nil {
		t.Fatal(err)
	}
	if got, err := Ask(t.Context(), dir, Request{Do: "status"}); err != nil || got != "day runs as run-1" {
		t.Errorf("%q, %v", got, err)
	}
	r.control.close()
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}

// TestControlNoRun checks what is said where no run is in progress: no folder, no socket, or one that a killed run left.
func TestControlNoRun(t *testing.T) {
	t.Parallel()
	dead := t.TempDir()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dead, report.SocketFile), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for name, c := range map[string]struct{ dir, want string }{
		"no folder": {filepath.Join(dead, "none"), "looking for the run"},
		"no socket": {t.TempDir(), "no run is in progress"},
		"killed":    {dead, "no run is in progress"},
	} {
		if got, err := Ask(t.Context(), c.dir, Request{Do: "status"}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
