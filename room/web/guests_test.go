package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gameday/room"
	"gameday/room/door"
)

// TestOneLinkEach: a new link takes the place of one that the person did not use, and of nobody else's, and ends no session.
func TestOneLinkEach(t *testing.T) {
	k := newRig(t, t.TempDir())
	invite := func(name string, role room.Role) string {
		t.Helper()
		link, err := k.Invite(name, role)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(link, "/in/")
	}
	astray, other, ofBob := invite("ann", room.Responder), invite("ann", room.Observer), invite("bob", room.Responder)
	good := invite("ann", room.Responder)
	if w, c := k.come(astray); c != "" || !strings.Contains(w.Body.String(), "nobody gave out this link") {
		t.Errorf("a link that another took the place of: %d %s", w.Code, w.Body)
	}
	_, cookie := k.come(good)
	again := invite("ann", room.Responder)
	for name, token := range map[string]string{"of another role": other, "of somebody else": ofBob, "that is new": again} {
		if w, c := k.come(token); c == "" {
			t.Errorf("a link %s: %d %s", name, w.Code, w.Body)
		}
	}
	k.cookies["ann"] = cookie
	if w := k.ask("ann", http.MethodGet, "/", nil); w.Code != http.StatusOK {
		t.Errorf("the session of the first link: %d", w.Code)
	}
	if w, _ := k.come(good); w.Code != http.StatusGone {
		t.Errorf("the link that was used: %d", w.Code)
	}
}

// TestRoomsOnOneHost: cookies know no ports, so that rooms without a path do not take each other's.
func TestRoomsOnOneHost(t *testing.T) {
	a, b := New(Config{Run: run, Dir: t.TempDir(), Door: door.New()}), New(Config{Run: run, Dir: t.TempDir(), Door: door.New()})
	if a.cookie() == b.cookie() || strings.Contains(a.cookie(), "checkout") {
		t.Errorf("two rooms have the cookies %s and %s", a.cookie(), b.cookie())
	}
}

// TestInstead: what people did or said that is about no page, because there is none or no paging desk, is marked in its place; and what is
// about a page alone is not.
func TestInstead(t *testing.T) {
	k := newRig(t, t.TempDir())
	var asked []room.Request
	k.Asker = askerFunc(func(r room.Request) (string, error) {
		if asked = append(asked, r); r.Do == "act" {
			return "", errors.New("this scenario has no paging desk")
		}
		return "marked", nil
	})
	for what, want := range map[string]string{"diagnose": "diagnosis the disk", "bridge": "bridge opened the disk", "customers": "customers told the disk", "join": "takes part the disk",
		"acknowledge": "", "escalate": "", "resolve": ""} {
		asked = nil
		w := k.ask(room.Responder, http.MethodPost, "/do/"+what, url.Values{"text": {"the disk"}})
		got := ""
		if len(asked) == 2 {
			if asked[1].By != "some responder (responder)" {
				t.Errorf("%s is signed by %q", what, asked[1].By)
			}
			got = asked[1].Name + " " + asked[1].Text
		}
		if got != want || (w.Code == http.StatusOK) != (want != "") {
			t.Errorf("%s without a desk: %d, marked as %q, want %q", what, w.Code, got, want)
		}
	}
	asked, k.Asker = nil, askerFunc(func(r room.Request) (string, error) { asked = append(asked, r); return "", room.ErrOver })
	if w := k.ask(room.Responder, http.MethodPost, "/do/diagnose", url.Values{"text": {"the disk"}}); w.Code != http.StatusConflict || len(asked) != 1 {
		t.Errorf("a diagnosis when the run is over: %d, asked %v", w.Code, asked)
	}
}
