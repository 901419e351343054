package web_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gameday/internal/browser"
	"gameday/internal/browser/browsertest"
	"gameday/internal/siterig"
	"gameday/report"
	"gameday/room"
	roomweb "gameday/room/web"
	"gameday/serve/web"
)

// screens are a desk, a wall and a phone.
var screens = map[string]browser.Screen{"desk": {Width: 1280, Height: 800, Still: true}, "wall": {Width: 1920, Height: 1080, Still: true},
	"phone": {Width: 390, Height: 844, Still: true}}

// serving serves a site, as somebody of the role that is stored, until the test ends.
func (k *rig) serving(t *testing.T, as *atomic.Value) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l, err := roomweb.Listen("127.0.0.1:0", nil, false)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		served <- roomweb.Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c, ok := k.cookies[as.Load().(room.Role)]; ok {
				r.AddCookie(&http.Cookie{Name: k.Gate.Cookie, Value: c})
			}
			k.ServeHTTP(w, r)
		}))
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// TestPagesAreAccessible lets axe look at every page on every screen, in the light and in the dark, and checks that nothing sticks out
// to the side and that nothing is refused by the pages' own policy. GAMEDAY_PICTURES names a folder for pictures of them.
func TestPagesAreAccessible(t *testing.T) {
	source, b := browsertest.Axe(t), browsertest.StartLoopback(t)
	d := siterig.Autumn(record(t))
	killed := d.R.All[0]
	killed.Folder, killed.Blind, killed.Over, killed.End = "killed", true, false, report.EndInterrupted
	d.R.All, d.Dirs["killed"] = append(d.R.All, killed), d.Dirs[d.R.All[0].Folder]
	k := rigged(t, d)
	quiet := rigged(t, &siterig.Data{Trouble: []web.Trouble{{Text: "The database cannot be written, so that what is shown may be old.", Detail: "no space left on device"}},
		Halted: &web.Halt{By: "fay (facilitator)", Why: "a real incident", At: siterig.Now}})
	var role atomic.Value
	at, still := k.serving(t, &role), quiet.serving(t, &role)
	folder := d.R.All[2].Folder
	for _, p := range []struct {
		name, address string
		as            room.Role
	}{
		{"now", at + "/", room.Facilitator}, {"now-responder", at + "/", room.Responder}, {"screen", at + "/screen", room.Observer}, {"calendar", at + "/calendar", room.Facilitator},
		{"calendar-observer", at + "/calendar", room.Observer}, {"runs", at + "/runs", room.Facilitator}, {"run", at + "/runs/" + folder, room.Observer}, {"killed", at + "/runs/killed", room.Facilitator},
		{"trends", at + "/trends", room.Facilitator},
		{"fresh", at + "/fresh", room.Observer}, {"rehearsals", at + "/rehearsals", room.Observer}, {"rehearsal", at + "/rehearsals/launch-eu-west-2", room.Responder},
		{"people", at + "/people", room.Facilitator}, {"stop", at + "/stop", room.Facilitator}, {"nobody", at + "/", nobody}, {"nothing", at + "/nothing", room.Observer},
		{"stopped", still + "/stop", room.Facilitator}, {"empty", still + "/", room.Observer}, {"empty-fresh", still + "/fresh", room.Observer},
	} {
		role.Store(p.as)
		for on, screen := range screens {
			for _, dark := range []bool{false, true} {
				screen.Dark = dark
				var found []string
				var out struct{ Scroll, Width, Styles int }
				shown := b.Show(screen)
				_, opened := b.Visit(p.address)
				err := errors.Join(shown, opened, b.Eval(source+";undefined", nil),
					b.Eval(`axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.html.slice(0, 160))))`, &found),
					b.Eval(`({Scroll: document.documentElement.scrollWidth, Width: document.documentElement.clientWidth, Styles: document.styleSheets.length && document.styleSheets[0].cssRules.length})`, &out))
				if err != nil {
					t.Fatal(p.name, err)
				}
				if len(found) > 0 {
					t.Errorf("%s on a %s, dark %v:\n%s", p.name, on, dark, strings.Join(found, "\n"))
				}
				if out.Scroll > out.Width {
					t.Errorf("%s on a %s is %d wide, of %d", p.name, on, out.Scroll, out.Width)
				}
				if out.Styles < 20 {
					t.Errorf("%s has a style of %d rules", p.name, out.Styles)
				}
				if dir := os.Getenv("GAMEDAY_PICTURES"); dir != "" {
					picture(t, b, filepath.Join(dir, fmt.Sprintf("%s-%s-%v.png", p.name, on, dark)))
				}
			}
		}
	}
}

// picture keeps what is on the screen, and below it.
func picture(t *testing.T, b *browser.Browser, path string) {
	t.Helper()
	var size struct{ W, H float64 }
	err := b.Eval(`({W: document.documentElement.clientWidth, H: document.documentElement.scrollHeight})`, &size)
	var png []byte
	if err == nil {
		png, err = b.Picture(&browser.Clip{Width: size.W, Height: size.H, Scale: 1})
	}
	if err == nil {
		err = os.WriteFile(path, png, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestReportLooksAsItIs: the report keeps its own style under the policy of its box, runs nothing, and takes no style of the pages'.
func TestReportLooksAsItIs(t *testing.T) {
	b := browsertest.StartLoopback(t)
	d := siterig.Autumn(record(t))
	k := rigged(t, d)
	var role atomic.Value
	role.Store(room.Observer)
	at := k.serving(t, &role)
	if err := b.Show(screens["desk"]); err != nil {
		t.Fatal(err)
	}
	fetched, err := b.Visit(at + "/reports/" + d.R.All[0].Folder)
	var looks struct {
		Padding string
		Origin  string
	}
	err = errors.Join(err, b.Eval(`({Padding: getComputedStyle(document.querySelector("header.top")).paddingTop, Origin: self.origin})`, &looks))
	if err != nil || looks.Padding != "20px" || looks.Origin != "null" || len(fetched) > 0 {
		t.Errorf("%v: %+v, and it asked for %q", err, looks, fetched)
	}
}

// TestOnlyTheMinuteIsNew: when a page was made is not within what its script compares. Without the script the browser loads it anew.
func TestOnlyTheMinuteIsNew(t *testing.T) {
	for _, path := range []string{"/", "/screen"} {
		k := rigged(t, &siterig.Data{})
		before := k.get(t, room.Observer, path)
		k.Now = func() time.Time { return siterig.Now.Add(time.Minute) }
		after := k.get(t, room.Observer, path)
		live := func(page string) string {
			_, page, _ = strings.Cut(page, `<div id="live">`)
			page, _, found := strings.Cut(page, `<p class="key" id="link">As of `)
			if !found {
				t.Errorf("%s does not say when it was made", path)
			}
			return page
		}
		if live(before) != live(after) || before == after {
			t.Errorf("a minute later %s is\n%s", path, after)
		}
		if strings.Count(live(before), "<div") != strings.Count(live(before), "</div>")-1 {
			t.Errorf("the minute of %s is within what is compared", path)
		}
		if !strings.Contains(before, `<noscript><meta http-equiv="refresh"`) {
			t.Errorf("%s stays as it was loaded where there is no JavaScript", path)
		}
	}
}

// TestWithoutJavaScript: what can be pressed is in forms, and each posts to an address that is served.
func TestWithoutJavaScript(t *testing.T) {
	k := rigged(t, siterig.Autumn(record(t)))
	for _, path := range []string{"/stop", "/people", "/rehearsals/launch-eu-west-2"} {
		page := k.get(t, room.Facilitator, path)
		if strings.Contains(page, "<script") || strings.Contains(page, "onclick") || strings.Contains(page, "style=") {
			t.Errorf("%s needs more than forms", path)
		}
		if !strings.Contains(page, `<form method="post"`) {
			t.Errorf("%s has no form", path)
		}
	}
}

// TestStartPageIsLive: what is on comes to a page that is open, what somebody is at stays, and a server that is gone is said to be.
func TestStartPageIsLive(t *testing.T) {
	b := browsertest.StartLoopback(t)
	quiet, busy := rigged(t, &siterig.Data{}), rigged(t, siterig.Autumn(t.TempDir()))
	busy.data.Trouble = []web.Trouble{{Text: "The database cannot be written."}}
	var minutes atomic.Int64
	quiet.Now = func() time.Time { return siterig.Now.Add(time.Duration(minutes.Load()) * time.Minute) }
	var now atomic.Pointer[rig]
	var silent atomic.Bool
	now.Store(quiet)
	l := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k := now.Load()
		if silent.Load() {
			<-r.Context().Done()
			return
		}
		if k == nil {
			http.Error(w, "gone", http.StatusBadGateway)
			return
		}
		r.AddCookie(&http.Cookie{Name: k.Gate.Cookie, Value: k.cookies[room.Responder]})
		k.ServeHTTP(w, r)
	}))
	defer l.Close()
	defer l.CloseClientConnections() // one may wait for an answer
	says := func(want string) {
		t.Helper()
		var text string
		if err := b.Eval(`look().then(() => document.body.innerText)`, &text); err != nil || !strings.Contains(text, want) {
			t.Errorf("%v: the page lacks %q:\n%s", err, want, text)
		}
	}
	_, err := b.Visit(l.URL + "/")
	if err = errors.Join(err, b.Show(screens["desk"])); err != nil {
		t.Fatal(err)
	}
	says("No room is open that you may know of")
	// A minute later nothing is new but the minute, and nothing that could be read out anew is put in the place of what there is.
	if err := b.Eval(`document.querySelector("#live h1").same = "1"`, nil); err != nil {
		t.Fatal(err)
	}
	minutes.Store(1)
	says("As of 2026-12-02 14:21 UTC.")
	var same string
	if err := b.Eval(`document.querySelector("#live h1").same || ""`, &same); err != nil || same != "1" {
		t.Errorf("%v: the page is all new though only the minute is", err)
	}
	now.Store(busy)
	says("The room of a game day")
	says("The database cannot be written.")
	var at string
	err = errors.Join(b.Eval(`document.querySelector('#live a[href="/rooms/k3v9/"]').focus()`, nil), b.Eval(`look().then(() => document.activeElement.getAttribute("href"))`, &at))
	if err != nil || at != "/rooms/k3v9/" {
		t.Errorf("%v: after a look that changed nothing somebody is at %q", err, at)
	}
	busy.data.Trouble = nil
	if err := b.Eval(`look().then(() => document.activeElement.getAttribute("href"))`, &at); err != nil || at != "/rooms/k3v9/" {
		t.Errorf("%v: after a look that changed something somebody is at %q", err, at)
	}
	now.Store(nil)
	says("Not connected: what you see may be old.")
	now.Store(busy)
	says("As of")
	// A network that is gone refuses nothing, and answers nothing.
	silent.Store(true)
	if err := b.Eval(`AbortSignal.timeout = (given => ms => given.call(AbortSignal, ms / 100))(AbortSignal.timeout)`, nil); err != nil {
		t.Fatal(err)
	}
	var text string
	if err := b.Eval(`Promise.race([look(), new Promise(done => setTimeout(done, 5000))]).then(() => document.body.innerText)`, &text); err != nil || !strings.Contains(text, "Not connected: what you see may be old.") {
		t.Errorf("%v: while nobody answers the page says\n%s", err, text)
	}
}

// TestByKeyboard: the first key leads past the navigation, and every page's way to the next is a link or a button.
func TestByKeyboard(t *testing.T) {
	b := browsertest.StartLoopback(t)
	k := rigged(t, siterig.Autumn(t.TempDir()))
	var role atomic.Value
	role.Store(room.Facilitator)
	at := k.serving(t, &role)
	_, err := b.Visit(at + "/calendar")
	var first, second string
	err = errors.Join(err, b.Press("Tab"), b.Eval(`document.activeElement.className`, &first), b.Press("Enter"), b.Press("Tab"), b.Eval(`document.activeElement.textContent`, &second))
	if err != nil || first != "skip" || second != "Earlier weeks" {
		t.Errorf("%v: the keys lead to %q and then %q", err, first, second)
	}
}
