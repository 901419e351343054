package web_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"gameday/internal/siterig"
	"gameday/report"
	"gameday/room"
	"gameday/serve/web"
)

// TestReportsAskedTooOften: nobody may ask for reports without end.
func TestReportsAskedTooOften(t *testing.T) {
	k := rigged(t, siterig.Autumn(keptRecord(t)))
	k.Gate.People.Burst, k.Gate.People.Second = 3, 0
	path := "/reports/" + k.data.R.All[0].Folder
	for n, want := range []int{http.StatusOK, http.StatusOK, http.StatusOK, http.StatusTooManyRequests} {
		if w := k.ask(room.Observer, http.MethodGet, path, nil); w.Code != want {
			t.Errorf("asked for the %d. time it is answered %d, want %d", n+1, w.Code, want)
		}
	}
	if w := k.ask(room.Responder, http.MethodGet, path, nil); w.Code != http.StatusOK {
		t.Errorf("somebody else is answered %d", w.Code)
	}
}

// nowhere takes an answer and keeps nothing of it but how long it was.
type nowhere struct {
	header http.Header
	size   int
}

func (n *nowhere) Header() http.Header { return n.header }
func (n *nowhere) WriteHeader(int)     {}
func (n *nowhere) Write(p []byte) (int, error) {
	n.size += len(p)
	return len(p), nil
}

// TestLargeReport sends a report that is kept, as large as there may be one, without taking it into memory.
func TestLargeReport(t *testing.T) {
	dir := keptRecord(t)
	const size = 32 << 20
	if err := os.Truncate(filepath.Join(dir, "report.html"), size); err != nil {
		t.Fatal(err)
	}
	k := rigged(t, siterig.Autumn(dir))
	r := httptest.NewRequest(http.MethodGet, "http://localhost/reports/"+k.data.R.All[0].Folder, nil)
	r.AddCookie(&http.Cookie{Name: k.Gate.Cookie, Value: k.cookies[room.Observer]})
	w := &nowhere{header: http.Header{}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	k.ServeHTTP(w, r)
	runtime.ReadMemStats(&after)
	if w.size != size || w.header.Get("Content-Length") != "33554432" {
		t.Errorf("it is answered with %d bytes, %v", w.size, w.header)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20 {
		t.Errorf("sending it took %d MB of memory", took>>20)
	}
}

// TestReportIsMadeOnce makes a report of a record that is newer than its own once, and again when the record has changed.
func TestReportIsMadeOnce(t *testing.T) {
	dir := record(t)
	k := rigged(t, siterig.Autumn(dir))
	path := "/reports/" + k.data.R.All[0].Folder
	made := k.get(t, room.Observer, path)
	events := filepath.Join(dir, report.EventsFile)
	info, err := os.Stat(events)
	if err != nil {
		t.Fatal(err)
	}
	// Nothing can be made of this, whose first line is none of a record and is not its last, and nothing tells that it has changed.
	spoilt := append([]byte("}\n"), bytes.Repeat([]byte("}"), int(info.Size())-2)...)
	if err := errors.Join(os.WriteFile(events, spoilt, 0o600), os.Chtimes(events, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	if again := k.get(t, room.Responder, path); again != made {
		t.Errorf("it was made again: %.60q", again)
	}
	if err := os.WriteFile(events, append(spoilt, '}'), 0o600); err != nil {
		t.Fatal(err)
	}
	if w := k.ask(room.Observer, http.MethodGet, path, nil); w.Code != http.StatusServiceUnavailable {
		t.Errorf("of a record that has changed the old report is shown: %d", w.Code)
	}
}

// TestShelf keeps the newest, up to a size.
func TestShelf(t *testing.T) {
	s := web.NewShelf(10)
	for _, x := range []struct {
		key  string
		size int
	}{{"a", 4}, {"b", 4}, {"a", 4}, {"c", 4}, {"large", 11}, {"d", 1}} {
		s.Put(x.key, x.size)
	}
	for key, want := range map[string]bool{"a": false, "b": true, "c": true, "d": true, "large": false} {
		if got := s.Has(key); got != want {
			t.Errorf("%s is kept: %v, want %v", key, got, want)
		}
	}
}

// patient is a connection that is told until when what is sent must have gone.
type patient struct {
	*httptest.ResponseRecorder
	until time.Time
}

// SetWriteDeadline keeps the deadline.
func (p *patient) SetWriteDeadline(t time.Time) error { p.until = t; return nil }

// TestReportTakesItsTime: a report has more time to be sent than a page, whether it is kept or made, for it may be large, and a telephone slow.
func TestReportTakesItsTime(t *testing.T) {
	for name, dir := range map[string]string{"kept": keptRecord(t), "made": record(t)} {
		k := rigged(t, siterig.Autumn(dir))
		r := httptest.NewRequest(http.MethodGet, "http://localhost/reports/"+k.data.R.All[0].Folder, nil)
		r.AddCookie(&http.Cookie{Name: k.Gate.Cookie, Value: k.cookies[room.Observer]})
		w := &patient{ResponseRecorder: httptest.NewRecorder()}
		k.ServeHTTP(w, r)
		if left := time.Until(w.until); w.Code != http.StatusOK || left < time.Minute {
			t.Errorf("one that is %s is answered %d, and has %s to be sent", name, w.Code, left)
		}
	}
}

// TestRunsAskedTooOften: nobody may have records judged without end by going through the pages of runs; what was judged once is shown all the same, and
// nobody else waits.
func TestRunsAskedTooOften(t *testing.T) {
	d := siterig.Autumn(record(t))
	k := rigged(t, d)
	var folders []string
	for _, r := range d.R.All {
		if r.Over && !r.Going {
			folders = append(folders, r.Folder)
		}
	}
	for _, folder := range folders[:3] { // each a record of its own
		d.Dirs[folder] = record(t)
	}
	k.Gate.People.Burst, k.Gate.People.Second = 2, 0
	judged := func(role room.Role, folder string) bool {
		t.Helper()
		page := k.get(t, role, "/runs/"+folder)
		if too := strings.Contains(page, "Too many records were asked for at once"); too == strings.Contains(page, "points could be judged") {
			t.Errorf("the page of %s for %s says both, or neither", folder, role)
		}
		return strings.Contains(page, "points could be judged")
	}
	for i, folder := range folders[:3] {
		if got := judged(room.Observer, folder); got != (i < 2) {
			t.Errorf("the %d. record is judged: %v", i+1, got)
		}
	}
	if !judged(room.Observer, folders[0]) || !judged(room.Responder, folders[2]) || !judged(room.Observer, folders[2]) {
		t.Error("what was judged already, or somebody else asks for, is not shown")
	}
	if len(k.said) != 0 {
		t.Errorf("the operator is told %q", k.said)
	}
}
