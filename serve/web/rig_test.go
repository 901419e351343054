package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/audit"
	"gameday/internal/simrun"
	"gameday/internal/siterig"
	"gameday/room"
	"gameday/room/door"
	"gameday/room/gate"
	"gameday/serve/web"
)

// fataler is a test, or a property's.
type fataler interface {
	Helper()
	Fatal(...any)
}

// rig is a site with somebody of each role in it.
type rig struct {
	*web.Site
	data    *siterig.Data
	cookies map[room.Role]string
	lines   []string // of the audit log
	said    []string
}

// rigged makes a site over some data, whose clock stands still.
func rigged(t fataler, data *siterig.Data) *rig {
	t.Helper()
	k := &rig{data: data, cookies: map[room.Role]string{}}
	g := gate.New(gate.Config{For: gate.Server, Door: door.New(), Audit: func(l audit.Line) error { k.lines = append(k.lines, l.Why); return nil }})
	g.People.Burst, g.Addresses.Burst, g.Doors.Burst = 1e6, 1e6, 1e6
	k.Site = web.New(web.Config{Data: data, Gate: g, FreshWithin: 30 * 24 * time.Hour, Now: func() time.Time { return siterig.Now },
		Say: func(text string) { k.said = append(k.said, text) }})
	for _, r := range room.Roles() {
		token, err := g.Door.Link(door.Guest{Name: "some " + string(r), Role: r, Run: gate.Server}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		cookie, _, err := g.Door.Enter(token, gate.Server, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		k.cookies[r] = cookie
	}
	return k
}

// ask asks for something as somebody of a role, or as nobody.
func (k *rig) ask(role room.Role, method, path string, form url.Values) *httptest.ResponseRecorder {
	return k.askWithin(context.Background(), role, method, path, form)
}

// askWithin asks as long as a context lasts.
func (k *rig) askWithin(ctx context.Context, role room.Role, method, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, method, "http://localhost"+path, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c, ok := k.cookies[role]; ok {
		r.AddCookie(&http.Cookie{Name: k.Gate.Cookie, Value: c})
	}
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	return w
}

// get returns a page that must be there.
func (k *rig) get(t fataler, role room.Role, path string) string {
	t.Helper()
	w := k.ask(role, http.MethodGet, path, nil)
	if w.Code != http.StatusOK {
		t.Fatal(role, path, w.Code, w.Body.String(), k.said)
	}
	return w.Body.String()
}

const nobody room.Role = "nobody"

// record returns the folder of the record of a simulated game day.
func record(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := simrun.WriteGameDay(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// keptRecord returns the folder of a record with a report in it, where none need be made.
func keptRecord(t *testing.T) string {
	t.Helper()
	dir := record(t)
	if err := os.WriteFile(filepath.Join(dir, "report.html"), []byte("<h1>the report</h1>"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
