package gate

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gameday/audit"
	"gameday/room"
	"gameday/room/door"
)

// TestWelcome: strangers who flood from an address keep nobody out who is in, and nobody from what is urgent.
func TestWelcome(t *testing.T) {
	g := New(Config{For: Server, Door: door.New()})
	g.Addresses, g.Inside = door.Rate{Burst: 3}, door.Rate{Burst: 2}
	token, err := g.Invite("fay", room.Facilitator)
	if err != nil {
		t.Fatal(err)
	}
	cookie, _, err := g.Door.Enter(token[len("/in/"):], Server, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	h := g.Guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), Rules{
		Refuse: func(w http.ResponseWriter, _ *http.Request, status int, text string) { http.Error(w, text, status) },
		Urgent: func(r *http.Request, _ door.Guest) bool { return r.URL.Path == "/stop" }})
	ask := func(path string, in bool) int {
		r := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
		if in {
			r.AddCookie(&http.Cookie{Name: g.Cookie, Value: cookie})
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for i, x := range []struct {
		path string
		in   bool
		want int
	}{
		{"/", false, 200}, {"/", false, 200}, {"/", false, 200}, {"/", false, 429}, {"/stop", false, 429},
		{"/", true, 200}, {"/", true, 200}, {"/", true, 429}, {"/stop", true, 200}, {"/stop", true, 200},
	} {
		if got := ask(x.path, x.in); got != x.want {
			t.Errorf("request %d, %s: %d, want %d", i+1, x.path, got, x.want)
		}
	}
}

// TestServersAndRooms have cookies that do not throw each other out.
func TestServersAndRooms(t *testing.T) {
	names := map[string]bool{}
	for _, c := range []Config{{For: Server}, {For: "20261129-checkout"}, {For: "20261129-checkout", Cookie: "gameday-room-a"}} {
		names[New(c).Cookie] = true
	}
	if len(names) != 3 {
		t.Errorf("the cookies are called %v", names)
	}
}

// TestProxyAndLinks: whom the proxy gives no role comes in by a link as everybody does, through the proxy too; and the proxy's word stands before a link.
func TestProxyAndLinks(t *testing.T) {
	g := New(Config{For: Server, Door: door.New(), Proxy: &Proxy{From: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, User: "X-User", Groups: "X-Groups",
		Roles: map[string]room.Role{"oncall": room.Responder}}})
	link, err := g.Invite("ann", room.Facilitator)
	if err != nil {
		t.Fatal(err)
	}
	cookie, _, err := g.Door.Enter(strings.TrimPrefix(link, "/in/"), Server, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		from, user, groups, cookie string
		want                       string
	}{
		{"10.1.2.3:1", "ann", "staff", "", ""},
		{"10.1.2.3:1", "ann", "staff", cookie, "facilitator ann"},
		{"10.1.2.3:1", "ann", "staff", "a guess", ""},
		{"10.1.2.3:1", "ann", "oncall", cookie, "responder ann"},
		{"10.1.2.3:1", "", "oncall", cookie, "facilitator ann"},
		{"10.1.2.3:1", "", "oncall", "", ""},
		{"10.2.2.3:1", "eve", "oncall", "", ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
		r.RemoteAddr = tt.from
		if tt.user != "" {
			r.Header.Set("X-User", tt.user)
		}
		r.Header.Set("X-Groups", tt.groups)
		if tt.cookie != "" {
			r.AddCookie(&http.Cookie{Name: g.Cookie, Value: tt.cookie})
		}
		got := ""
		if who, err := g.Who(r); err == nil {
			got = Person(who)
		}
		if got != tt.want {
			t.Errorf("%+v is %q", tt, got)
		}
	}
}

// TestLeavingIsNotedOnce: somebody whom a proxy lets in has no session here, and leaves it as often as they like without a line in the audit log.
func TestLeavingIsNotedOnce(t *testing.T) {
	lines := 0
	g := New(Config{For: Server, Door: door.New(), Audit: func(audit.Line) error { lines++; return nil }, Proxy: &Proxy{From: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, User: "X-User", Groups: "X-Groups",
		Roles: map[string]room.Role{"staff": room.Observer}}})
	link, err := g.Invite("ann", room.Observer)
	if err != nil {
		t.Fatal(err)
	}
	cookie, _, err := g.Door.Enter(strings.TrimPrefix(link, "/in/"), Server, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	g.Handle(Place{Called: "the room", Home: "/", Show: func(w http.ResponseWriter, _ *http.Request, status int, m Message) { http.Error(w, m.Text, status) }}, func(pattern string, h http.HandlerFunc) { mux.HandleFunc(pattern, h) })
	leave := func(value string) {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/out", nil)
		r.RemoteAddr = "10.1.2.3:1"
		r.Header.Set("X-User", "bob")
		r.Header.Set("X-Groups", "staff")
		r.AddCookie(&http.Cookie{Name: g.Cookie, Value: value})
		mux.ServeHTTP(httptest.NewRecorder(), r)
	}
	for range 100 {
		leave("no cookie of ours")
	}
	if lines != 0 {
		t.Errorf("leaving what one is not in is %d lines", lines)
	}
	for range 100 {
		leave(cookie)
	}
	if lines != 1 {
		t.Errorf("leaving once is %d lines", lines)
	}
}
