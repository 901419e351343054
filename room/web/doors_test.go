package web

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/audit"
	"gameday/room"
	"gameday/room/door"
)

// TestWhoMayDoWhat asks for everything as everybody. What is allowed is a list here of its own.
func TestWhoMayDoWhat(t *testing.T) {
	facilitators := []string{"hold", "release", "skip", "inject", "stop", "mark", "judge", "evidence", "note"}
	responding := []string{"acknowledge", "escalate", "resolve", "bridge", "join", "customers", "diagnose", "note"}
	form := url.Values{"text": {"hm"}, "page": {"2"}, "fault": {"cut"}, "mark": {"bridge opened"}, "judge": {"right"}}
	for _, role := range append(room.Roles(), "nobody") {
		for _, what := range slices.Sorted(maps.Keys(deeds)) {
			k := newRig(t, t.TempDir())
			may := role == room.Facilitator && slices.Contains(facilitators, what) || role == room.Responder && slices.Contains(responding, what)
			w := k.ask(role, http.MethodPost, "/do/"+what, form)
			want := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[may]
			if role == "nobody" {
				want = http.StatusUnauthorized
			}
			if w.Code != want || may != (len(k.asker.asked) == 1) {
				t.Errorf("%s asking for %s: %d, and the run was asked %v; want %d", role, what, w.Code, k.asker.asked, want)
			}
		}
	}
}

// TestWhatTheRunIsAsked shows each deed as it comes to the run: with who did it, as what.
func TestWhatTheRunIsAsked(t *testing.T) {
	k := newRig(t, t.TempDir())
	var lines []audit.Line
	k.Audit = func(l audit.Line) error { lines = append(lines, l); return nil }
	for _, tt := range []struct {
		role room.Role
		what string
		form url.Values
		want string
	}{
		{room.Facilitator, "hold", nil, "hold some facilitator (facilitator)"},
		{room.Facilitator, "inject", url.Values{"fault": {"cut"}}, "inject some facilitator (facilitator) cut"},
		{room.Facilitator, "stop", url.Values{"text": {"real incident"}}, "stop some facilitator (facilitator) real incident"},
		{room.Facilitator, "mark", url.Values{"mark": {"bridge opened"}}, "mark some facilitator (facilitator) bridge opened"},
		{room.Facilitator, "judge", url.Values{"judge": {"partly"}}, "mark some facilitator (facilitator) diagnosis partly right"},
		{room.Facilitator, "evidence", url.Values{"text": {"shot 3"}}, "mark some facilitator (facilitator) evidence shot 3"},
		{room.Responder, "note", url.Values{"text": {"a\nb\u202e"}}, "mark some responder (responder) note a b "},
		{room.Responder, "acknowledge", url.Values{"page": {"2"}}, "act some responder acknowledge 2 room"},
		{room.Responder, "diagnose", url.Values{"text": {"the disk"}}, "act some responder diagnose the disk room"},
	} {
		k.asker.asked, lines = nil, nil
		if w := k.ask(tt.role, http.MethodPost, "/do/"+tt.what, tt.form); w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", tt.what, w.Code, w.Body)
			continue
		}
		r := k.asker.asked[0]
		words := []string{r.Do, r.By, r.Fault, r.Why, r.Name, r.Text}
		if r.Act != nil {
			words = append(words, string(r.Act.Verb), r.Act.Page, r.Act.Text, r.Act.Channel)
		}
		words = slices.DeleteFunc(words, func(s string) bool { return s == "" })
		if got := strings.Join(words, " "); strings.TrimSpace(got) != strings.TrimSpace(tt.want) {
			t.Errorf("%s asks the run for %q, want %q", tt.what, got, tt.want)
		}
		if len(lines) != 1 || lines[0].What != audit.Room || !strings.Contains(lines[0].Why, string(tt.role)+" some "+string(tt.role)) || !strings.Contains(lines[0].Why, tt.what) {
			t.Errorf("%s is in the audit log as %+v", tt.what, lines)
		}
	}
}

// TestBadForms are refused before the run is asked; but whoever wants to stop it does.
func TestBadForms(t *testing.T) {
	long := strings.Repeat("x", textLimit+1)
	for _, tt := range []struct {
		role room.Role
		what string
		form url.Values
		want int
	}{
		{room.Facilitator, "inject", nil, http.StatusBadRequest},
		{room.Facilitator, "mark", nil, http.StatusBadRequest},
		{room.Facilitator, "judge", url.Values{"judge": {"perhaps"}}, http.StatusBadRequest},
		{room.Responder, "note", url.Values{"text": {"  "}}, http.StatusBadRequest},
		{room.Responder, "note", url.Values{"text": {long}}, http.StatusBadRequest},
		{room.Responder, "note", url.Values{"text": {"\xff"}}, http.StatusBadRequest},
		{room.Responder, "diagnose", nil, http.StatusBadRequest},
		{room.Responder, "acknowledge", url.Values{"page": {strings.Repeat("9", 101)}}, http.StatusBadRequest},
		{room.Responder, "note", url.Values{"text": {strings.Repeat("x", bodyLimit)}}, http.StatusBadRequest},
		{room.Facilitator, "stop", url.Values{"text": {long}}, http.StatusOK},
		{room.Facilitator, "stop", url.Values{"text": {strings.Repeat("x", bodyLimit)}}, http.StatusOK},
	} {
		k := newRig(t, t.TempDir())
		w := k.ask(tt.role, http.MethodPost, "/do/"+tt.what, tt.form)
		if w.Code != tt.want || (w.Code == http.StatusOK) != (len(k.asker.asked) == 1) {
			t.Errorf("%s with %.40v: %d, the run was asked %v", tt.what, tt.form, w.Code, k.asker.asked)
		}
	}
}

// TestStoppingIsNeverHeldUp: neither by the bound on what one may ask, nor by an audit log that takes nothing.
func TestStoppingIsNeverHeldUp(t *testing.T) {
	k := newRig(t, t.TempDir())
	k.people.Burst, k.people.Second = 3, 0
	said := ""
	k.Say = func(text string) { said = text }
	k.Audit = func(audit.Line) error { return errors.New("no space left") }
	for range 5 {
		k.ask(room.Facilitator, http.MethodPost, "/do/hold", nil)
	}
	if n := len(k.asker.asked); n != 3 {
		t.Errorf("the run was asked %d times, want the 3 that are allowed", n)
	}
	if w := k.ask(room.Facilitator, http.MethodPost, "/do/stop", nil); w.Code != http.StatusOK || len(k.asker.asked) != 4 {
		t.Errorf("stopping: %d %s", w.Code, w.Body)
	}
	if !strings.Contains(said, "no space left") {
		t.Errorf("the operator is told %q", said)
	}
}

// TestStoppingFromABusyAddress: strangers who ask all that their address may ask keep nobody out who is in, and no facilitator from
// stopping; and being in is no leave to ask without end.
func TestStoppingFromABusyAddress(t *testing.T) {
	k := newRig(t, t.TempDir())
	*k.address = door.Rate{Burst: 5}
	for range 100 {
		k.ask("nobody", http.MethodGet, "/", nil)
	}
	if w := k.ask("nobody", http.MethodPost, "/do/stop", nil); w.Code != http.StatusTooManyRequests {
		t.Errorf("one request too many is answered %d", w.Code)
	}
	for _, path := range []string{"/", "/room.css", "/room.js"} {
		if w := k.ask(room.Observer, http.MethodGet, path, nil); w.Code != http.StatusOK {
			t.Errorf("somebody who is in is answered %d for %s", w.Code, path)
		}
	}
	answered := map[int]int{}
	for range 100 {
		answered[k.ask(room.Responder, http.MethodGet, "/", nil).Code]++
		if w := k.ask(room.Responder, http.MethodPost, "/do/stop", nil); w.Code != http.StatusForbidden && w.Code != http.StatusTooManyRequests {
			t.Errorf("a responder stopping: %d", w.Code)
		}
	}
	if answered[http.StatusOK] > 10 || answered[http.StatusTooManyRequests] < 90 {
		t.Errorf("somebody who asks without end is answered %v", answered)
	}
	for n := range 30 {
		if w := k.ask(room.Facilitator, http.MethodPost, "/do/stop", nil); w.Code != http.StatusOK || len(k.asker.asked) != n+1 {
			t.Fatalf("stopping: %d %s", w.Code, w.Body)
		}
	}
	if w := k.ask(room.Facilitator, http.MethodPost, "/do/hold", nil); w.Code != http.StatusOK {
		t.Errorf("holding: %d", w.Code)
	}
}

// TestUnanswered: that the run did not answer is not that it did nothing, and no words of its own reach those who play blind.
func TestUnanswered(t *testing.T) {
	k := newRig(t, t.TempDir())
	k.asker.err = fmt.Errorf("%w: the disk of payments", room.ErrUnanswered)
	for _, role := range []room.Role{room.Facilitator, room.Responder} {
		w := k.ask(role, http.MethodPost, "/do/note", url.Values{"text": {"hm"}})
		if w.Code != http.StatusGatewayTimeout || !strings.Contains(w.Body.String(), "nobody knows what became of that") || strings.Contains(w.Body.String(), "payments") {
			t.Errorf("%s: %d %s", role, w.Code, w.Body)
		}
	}
}

// TestStoppingHasAPlace when all others wait for the run's answers.
func TestStoppingHasAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRig(t, t.TempDir())
		for range mostAsked {
			k.asking <- struct{}{}
		}
		began := time.Now()
		if w := k.ask(room.Facilitator, http.MethodPost, "/do/hold", nil); w.Code != http.StatusConflict || time.Since(began) != askLimit {
			t.Errorf("holding: %d after %s", w.Code, time.Since(began))
		}
		began = time.Now()
		if w := k.ask(room.Facilitator, http.MethodPost, "/do/stop", nil); w.Code != http.StatusOK || time.Since(began) != 0 {
			t.Errorf("stopping: %d after %s", w.Code, time.Since(began))
		}
	})
}

// come uses a link as a browser does, and returns the cookie.
func (k *rig) come(token string) (*httptest.ResponseRecorder, string) {
	w := k.ask("", http.MethodPost, "/in", url.Values{"token": {token}})
	for _, c := range w.Result().Cookies() {
		if c.Value != "" {
			return w, c.Value
		}
	}
	return w, ""
}

// TestLinks: a link lets one person in once, and says why it does not another time.
func TestLinks(t *testing.T) {
	k := newRig(t, t.TempDir())
	var lines []string
	k.Audit = func(l audit.Line) error { lines = append(lines, l.Why); return nil }
	w := k.ask(room.Facilitator, http.MethodPost, "/links", url.Values{"name": {"ann"}, "role": {"responder"}})
	_, token, ok := strings.Cut(w.Body.String(), "/in/")
	token, _, _ = strings.Cut(token, `"`)
	if w.Code != http.StatusOK || !ok || len(token) != 43 {
		t.Fatalf("making a link: %d %s", w.Code, w.Body)
	}
	for range 3 { // whatever looks at links beforehand
		if w := k.ask("", http.MethodGet, "/in/"+token, nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Come in") {
			t.Errorf("looking at a link: %d %s", w.Code, w.Body)
		}
	}
	w, cookie := k.come(token)
	if c := w.Header().Get("Set-Cookie"); w.Code != http.StatusSeeOther || !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Strict") || strings.Contains(c, token) {
		t.Errorf("coming in: %d, %s", w.Code, c)
	}
	k.cookies["ann"] = cookie
	if w := k.ask("ann", http.MethodGet, "/", nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "ann, responder") {
		t.Errorf("ann's page: %d %s", w.Code, w.Body)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		w := k.ask("", method, map[string]string{"GET": "/in/" + token, "POST": "/in"}[method], url.Values{"token": {token}})
		if w.Code != http.StatusGone || !strings.Contains(w.Body.String(), "used already") || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s of a link that was used: %d %s", method, w.Code, w.Body)
		}
	}
	other, err := k.Door.Link(door.Guest{Name: "ann", Role: room.Facilitator, Run: "another"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	late, err := k.Door.Link(door.Guest{Name: "ann", Role: room.Facilitator, Run: run}, -time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]string{other: "for another game day", late: "has expired", "guess": "nobody gave out this link", cookie: "nobody gave out this link"} {
		if w, c := k.come(token); c != "" || w.Code/100 != 4 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("a link that should say %q: %d %s", want, w.Code, w.Body)
		}
	}
	k.cookies["replay"] = token // a token is no cookie
	if w := k.ask("replay", http.MethodGet, "/", nil); w.Code != http.StatusUnauthorized {
		t.Errorf("a token as a cookie: %d", w.Code)
	}
	if w := k.ask(room.Facilitator, http.MethodPost, "/revoke", url.Values{"name": {"ann"}}); w.Code != http.StatusOK {
		t.Errorf("taking back: %d %s", w.Code, w.Body)
	}
	if w := k.ask("ann", http.MethodGet, "/", nil); w.Code != http.StatusUnauthorized {
		t.Errorf("ann after her link was taken back: %d", w.Code)
	}
	all := strings.Join(lines, "\n")
	for _, want := range []string{"made a link for responder ann", "responder ann from 192.0.2.1: came in", "was not let in: this link was used already", "took back"} {
		if !strings.Contains(all, want) {
			t.Errorf("the audit log lacks %q:\n%s", want, all)
		}
	}
	if strings.Contains(all, token) || strings.Contains(all, cookie) {
		t.Error("a token is in the audit log")
	}
	if w := k.ask(room.Responder, http.MethodPost, "/links", url.Values{"name": {"eve"}, "role": {"facilitator"}}); w.Code != http.StatusForbidden {
		t.Errorf("a responder making a link: %d", w.Code)
	}
	for _, name := range []string{"", "ann (facilitator)", strings.Repeat("x", 61), "a\nb", " ann"} {
		if w := k.ask(room.Facilitator, http.MethodPost, "/links", url.Values{"name": {name}, "role": {"observer"}}); w.Code != http.StatusBadRequest {
			t.Errorf("a link for %q: %d", name, w.Code)
		}
	}
}

// TestUnderAPath: a room among others keeps to its own path, with its cookie and all its addresses.
func TestUnderAPath(t *testing.T) {
	k := newRig(t, t.TempDir())
	r := New(Config{Run: run, Dir: t.TempDir(), Base: "/rooms/7f3a", Asker: k.asker, Door: k.Door})
	all := http.StripPrefix("/rooms/7f3a", r)
	link, err := r.Invite("fay", room.Facilitator)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, body string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
		q := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range cookies {
			q.AddCookie(c)
		}
		w := httptest.NewRecorder()
		all.ServeHTTP(w, q)
		return w
	}
	token := strings.TrimPrefix(link, "/rooms/7f3a/in/")
	w := ask(http.MethodPost, "/rooms/7f3a/in", "token="+token)
	c := w.Result().Cookies()
	if w.Header().Get("Location") != "/rooms/7f3a/" || len(c) != 1 || c[0].Path != "/rooms/7f3a/" || c[0].Name == k.cookie() {
		t.Fatalf("coming in: %d %v", w.Code, w.Header())
	}
	page := ask(http.MethodGet, "/rooms/7f3a/", "", c...)
	if page.Code != http.StatusOK {
		t.Errorf("the page: %d", page.Code)
	}
	for _, attribute := range []string{`href="/`, `src="/`, `action="/`} {
		if n, own := strings.Count(page.Body.String(), attribute), strings.Count(page.Body.String(), attribute+"rooms/7f3a/"); n == 0 || n != own {
			t.Errorf("%d of %d addresses in %s are the room's", own, n, attribute)
		}
	}
}

// TestLeaving ends the session on the server, and not in the browser alone.
func TestLeaving(t *testing.T) {
	k := newRig(t, t.TempDir())
	if w := k.ask(room.Observer, http.MethodPost, "/out", nil); w.Code != http.StatusOK {
		t.Errorf("leaving: %d", w.Code)
	}
	if w := k.ask(room.Observer, http.MethodGet, "/", nil); w.Code != http.StatusUnauthorized {
		t.Errorf("after leaving: %d", w.Code)
	}
}

// TestOtherSites can do nothing, by whatever name they come.
func TestOtherSites(t *testing.T) {
	k := newRig(t, t.TempDir())
	k.Hosts = []string{"room.example.com"}
	for _, tt := range []struct {
		host   string
		header [2]string
		want   int
	}{
		{"localhost:8470", [2]string{"Sec-Fetch-Site", "same-origin"}, http.StatusOK},
		{"127.0.0.1:8470", [2]string{}, http.StatusOK},
		{"[::1]:8470", [2]string{}, http.StatusOK},
		{"room.example.com", [2]string{"Origin", "https://room.example.com"}, http.StatusOK},
		{"localhost", [2]string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		{"localhost", [2]string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		{"localhost", [2]string{"Origin", "https://evil.example"}, http.StatusForbidden},
		{"evil.example:8470", [2]string{"Sec-Fetch-Site", "same-origin"}, http.StatusMisdirectedRequest},
		{"localhost.evil.example", [2]string{}, http.StatusMisdirectedRequest},
	} {
		k.asker.asked = nil
		r := httptest.NewRequest(http.MethodPost, "http://"+tt.host+"/do/hold", nil)
		r.AddCookie(&http.Cookie{Name: k.cookie(), Value: k.cookies[room.Facilitator]})
		if tt.header[0] != "" {
			r.Header.Set(tt.header[0], tt.header[1])
		}
		w := httptest.NewRecorder()
		k.ServeHTTP(w, r)
		if w.Code != tt.want || (len(k.asker.asked) == 1) != (tt.want == http.StatusOK) {
			t.Errorf("from %s with %v: %d, want %d", tt.host, tt.header, w.Code, tt.want)
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("the policy for content is %q", csp)
		}
	}
}

// TestProxy: who people are is believed of the proxy and of nobody else.
func TestProxy(t *testing.T) {
	k := newRig(t, t.TempDir())
	k.Proxy = &Proxy{From: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, User: "X-User", Groups: "X-Groups",
		Roles: map[string]room.Role{"leads": room.Facilitator, "oncall": room.Responder}}
	for _, tt := range []struct {
		from   string
		users  []string
		groups string
		want   string
	}{
		{"10.1.2.3:1", []string{"ann"}, "staff, oncall", "ann, responder"},
		{"10.1.2.3:1", []string{"fay"}, "oncall,leads", "fay, facilitator"},
		{"[::ffff:10.1.2.3]:1", []string{"ann"}, "oncall", "ann, responder"},
		{"10.1.2.3:1", []string{"ann"}, "staff", ""},
		{"10.1.2.3:1", []string{"ann", "fay"}, "leads", ""},
		{"10.1.2.3:1", []string{"ann (facilitator)"}, "oncall", ""},
		{"10.2.2.3:1", []string{"fay"}, "leads", ""},
		{"127.0.0.1:1", []string{"fay"}, "leads", ""},
		{"10.1.2.3:1", nil, "leads", ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://localhost/", nil)
		r.RemoteAddr = tt.from
		for _, u := range tt.users {
			r.Header.Add("X-User", u)
		}
		r.Header.Set("X-Groups", tt.groups)
		w := httptest.NewRecorder()
		k.ServeHTTP(w, r)
		if ok := w.Code == http.StatusOK && strings.Contains(w.Body.String(), tt.want); ok != (tt.want != "") {
			t.Errorf("%v: %d", tt, w.Code)
		}
	}
}

// TestFloods: an address that asks too much is told to wait, and links cannot be guessed at any speed.
func TestFloods(t *testing.T) { synctest.Test(t, testFloods) }

func testFloods(t *testing.T) {
	k := newRig(t, t.TempDir())
	*k.doors = door.Rate{Burst: 10, Second: 0.5}
	codes := map[int]int{}
	lines := 0
	k.Audit = func(audit.Line) error { lines++; return nil }
	for range 100 {
		w, _ := k.come("guess")
		codes[w.Code]++
	}
	token, err := k.Door.Link(door.Guest{Name: "ann", Role: room.Observer, Run: run}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if w, c := k.come(token); c == "" {
		t.Errorf("after a hundred guesses from the same address a good link is answered %d", w.Code)
	}
	*k.people = door.Rate{Burst: 5}
	for range 100 {
		k.ask(room.Observer, http.MethodPost, "/do/stop", nil)
		k.ask(room.Observer, http.MethodPost, "/links", nil)
	}
	if lines > 11+1+5 {
		t.Errorf("the audit log has %d lines of it", lines)
	}
	if codes[http.StatusForbidden] > 11 || codes[http.StatusTooManyRequests] < 89 {
		t.Errorf("a hundred guesses are answered %v", codes)
	}
	*k.address = door.Rate{Burst: 50, Second: 1}
	clear(codes)
	for range 1000 {
		codes[k.ask(room.Observer, http.MethodGet, "/room.css", nil).Code]++
	}
	if codes[http.StatusOK] > 60 {
		t.Errorf("a thousand requests of one address are answered %v", codes)
	}
}
