package door

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/room"
)

var ann = Guest{Name: "ann", Role: room.Responder, Run: "r1"}

func link(t *testing.T, d *Door, g Guest, within time.Duration) string {
	t.Helper()
	token, err := d.Link(g, within)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestLinkIsUsedOnce tries a link before, at and after its time, twice, and for another run.
func TestLinkIsUsedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New()
		token, late := link(t, d, ann, time.Hour), link(t, d, ann, time.Hour)
		if token == late || len(token) != 43 {
			t.Errorf("links are %q and %q", token, late)
		}
		if _, g, err := d.Enter(token, "r2", time.Hour); !errors.Is(err, ErrOther) || g != ann {
			t.Errorf("for another run: %v, %v", g, err)
		}
		time.Sleep(time.Hour - time.Nanosecond)
		cookie, g, err := d.Enter(token, "r1", 2*time.Hour)
		if err != nil || g != ann {
			t.Errorf("the first use: %v, %v", g, err)
		}
		time.Sleep(time.Nanosecond)
		if _, _, err := d.Enter(late, "r1", time.Hour); !errors.Is(err, ErrExpired) {
			t.Errorf("an hour later: %v", err)
		}
		for range 3 {
			if c, g, err := d.Enter(token, "r1", time.Hour); !errors.Is(err, ErrUsed) || c != "" || g != ann {
				t.Errorf("another use: %q, %v, %v", c, g, err)
			}
		}
		if g, err := d.Who(cookie, "r1"); err != nil || g != ann {
			t.Errorf("the session: %v, %v", g, err)
		}
		if _, err := d.Who(cookie, "r2"); !errors.Is(err, ErrOther) {
			t.Errorf("the session in another run: %v", err)
		}
		if _, err := d.Who(token, "r1"); !errors.Is(err, ErrUnknown) {
			t.Errorf("a link as a session: %v", err)
		}
		time.Sleep(2*time.Hour - 2*time.Nanosecond)
		if _, err := d.Who(cookie, "r1"); err != nil {
			t.Errorf("just before its end: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := d.Who(cookie, "r1"); !errors.Is(err, ErrExpired) {
			t.Errorf("at its end: %v", err)
		}
		if _, _, err := d.Enter(token, "r1", time.Hour); !errors.Is(err, ErrUsed) {
			t.Errorf("long after its own time a link that was used is %v", err)
		}
		time.Sleep(30 * 24 * time.Hour)
		link(t, d, ann, time.Hour)
		if len(d.links) != 1 || len(d.sessions) != 0 {
			t.Errorf("after a month %d links and %d sessions are kept", len(d.links), len(d.sessions))
		}
		if _, _, err := d.Enter(token, "r1", time.Hour); !errors.Is(err, ErrUnknown) {
			t.Errorf("after a month: %v", err)
		}
	})
}

// TestDoorIsKept: what was used stays used over a restart, and no token is in the file.
func TestDoorIsKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "door.json")
	open := func() *Door {
		d, err := Open(file, never(t))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := open()
	used, fresh := link(t, d, ann, time.Hour), link(t, d, ann, time.Hour)
	cookie, _, err := d.Enter(used, "r1", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	d = open()
	if _, _, err := d.Enter(used, "r1", time.Hour); !errors.Is(err, ErrUsed) {
		t.Errorf("after a restart a link that was used is %v", err)
	}
	if g, err := d.Who(cookie, "r1"); err != nil || g != ann {
		t.Errorf("after a restart the session is %v, %v", g, err)
	}
	if _, _, err := d.Enter(fresh, "r1", time.Hour); err != nil {
		t.Errorf("after a restart a link that was not used is %v", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{used, fresh, cookie} {
		if strings.Contains(string(text), secret) {
			t.Error("a token is in the file")
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
	if err := d.Leave(cookie); err != nil {
		t.Fatal(err)
	}
	if _, err := open().Who(cookie, "r1"); !errors.Is(err, ErrUnknown) {
		t.Errorf("who left is %v after a restart", err)
	}
	for _, damaged := range []string{"", "{", "{}", `{"links":null,"sessions":{}}`} {
		if err := os.WriteFile(file, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(file, never(t)); (err == nil) != (damaged == "{}") {
			t.Errorf("a file with %q: %v", damaged, err)
		}
	}
}

func never(t *testing.T) func(string) {
	return func(text string) { t.Errorf("it says %q", text) }
}

// TestNothingIsGivenThatCannotBeKept: a link whose use is not on disk could be used again, where the link is.
func TestNothingIsGivenThatCannotBeKept(t *testing.T) {
	d := New()
	token := link(t, d, ann, time.Hour)
	d.file, d.say = filepath.Join(t.TempDir(), "door.json"), never(t)
	if err := os.MkdirAll(filepath.Join(d.file, "full"), 0o755); err != nil { // can neither be written nor removed
		t.Fatal(err)
	}
	if c, _, err := d.Enter(token, "r1", time.Hour); err == nil || c != "" {
		t.Errorf("coming in: %q, %v", c, err)
	}
	if tok, err := d.Link(ann, time.Hour); err == nil || tok != "" {
		t.Errorf("a link: %q, %v", tok, err)
	}
	if len(d.links) != 1 || len(d.sessions) != 0 {
		t.Errorf("%d links and %d sessions are left", len(d.links), len(d.sessions))
	}
	if err := os.RemoveAll(d.file); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Enter(token, "r1", time.Hour); err != nil {
		t.Errorf("once it can be kept: %v", err)
	}
}

// TestDoorWithoutADisk lets people in while nothing can be kept, says so once, and knows none of them after a restart: neither those who
// came in nor a link that was used meanwhile.
func TestDoorWithoutADisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	file := filepath.Join(dir, "door.json")
	var said []string
	open := func() *Door {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		d, err := Open(file, func(text string) { said = append(said, text) })
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := open()
	before := link(t, d, ann, time.Hour)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{before, link(t, d, ann, time.Hour)} {
		cookie, _, err := d.Enter(token, "r1", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if g, err := d.Who(cookie, "r1"); err != nil || g != ann {
			t.Errorf("who came in is %v, %v", g, err)
		}
		if _, _, err := d.Enter(token, "r1", time.Hour); !errors.Is(err, ErrUsed) {
			t.Errorf("a link that was used is %v", err)
		}
	}
	if len(said) != 1 || !strings.Contains(said[0], dir) {
		t.Errorf("it said %q", said)
	}
	if _, _, err := open().Enter(before, "r1", time.Hour); !errors.Is(err, ErrUnknown) {
		t.Errorf("after a restart a link that was used is %v", err)
	}
	link(t, d, ann, time.Hour) // there is a disk again
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	link(t, d, ann, time.Hour)
	if len(said) != 2 {
		t.Errorf("it said %q", said)
	}
}

// TestRate: a burst, then so many a second; and a bounded number of people is known.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Rate{Burst: 3, Second: 2, Most: 4}
		allowed := func(who string, n int) (got int) {
			for range n {
				if r.Allow(who) {
					got++
				}
			}
			return got
		}
		if got := allowed("a", 10); got != 3 {
			t.Errorf("at once %d were allowed, want 3", got)
		}
		if got := allowed("b", 1); got != 1 {
			t.Error("one is held up by another")
		}
		time.Sleep(time.Second)
		if got := allowed("a", 10); got != 2 {
			t.Errorf("a second later %d were allowed, want 2", got)
		}
		time.Sleep(time.Hour)
		if got := allowed("a", 10); got != 3 {
			t.Errorf("an hour later %d were allowed, want 3", got)
		}
		got := 0
		for i := range 1000 {
			got += allowed(fmt.Sprint("n", i), 1)
		}
		if got > 4+3 || len(r.known) > 4 {
			t.Errorf("of a thousand that nobody knows %d were allowed, and %d are known", got, len(r.known))
		}
		time.Sleep(time.Minute)
		if allowed("new", 1) != 1 || r.known["new"] == nil {
			t.Error("a minute after a flood nobody new is known")
		}
	})
}

// TestAddress counts IPv6 addresses by their network.
func TestAddress(t *testing.T) {
	for remote, want := range map[string]string{"192.0.2.7:4711": "192.0.2.7", "[::ffff:192.0.2.7]:1": "192.0.2.7", "[2001:db8:1:2:3:4:5:6]:1": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1": "fe80::/64", "": "unknown", "nonsense": "unknown"} {
		if got := Address(remote); got != want {
			t.Errorf("%q is counted as %q, want %q", remote, got, want)
		}
	}
}

// TestLeaveOfNobody: a stranger who says to leave has nothing written to the disk.
func TestLeaveOfNobody(t *testing.T) {
	file := filepath.Join(t.TempDir(), "door.json")
	d, err := Open(file, never(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Leave("no cookie of ours"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
}
