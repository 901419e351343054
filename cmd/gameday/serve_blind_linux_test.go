package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/report"
)

// hushDay is a blind game day that sends next to nothing to nobody for a minute, unless somebody skips the rest of it.
var hushDay = strings.Replace(strings.Replace(fmt.Sprintf(tinyDay, "quetzal"), "timeline {", "blind = true\n  timeline {", 1), `load     = "1s"`, `load     = "60s"`, 1)

// hushCalendar is one of such a game day, and of a rehearsal. Its zone and anchor are to be filled in.
const hushCalendar = `time_zone = "$NOON_ZONE"
schedule "quagga" {
  scenarios = ["quokka.hcl"]
  every     = "12mo"
  anchor    = "$ANCHOR"
  window {
    from = "00:00"
    to   = "24:00"
  }
}
rehearsal "launch" {
  scenarios = ["quokka.hcl"]
  sign_off  = ["sre"]
}
`

// hushed are words of which none may come to those who play.
var hushed = []string{"quetzal", "quagga", "quokka"}

// blindPaths are the pages that all ask for while a blind game day goes on; %s is the folder of its record.
var blindPaths = []string{"/", "/screen", "/calendar", "/calendar?week=-26", "/runs", "/runs/%s", "/reports/%s", "/trends", "/fresh", "/rehearsals", "/rehearsals/launch",
	"/badge/x.svg", "/people", "/stop", "/healthz"}

// blindServer is a server of a blind game day, and all who may come in.
type blindServer struct {
	*brakeRig
	server *exec.Cmd
	said   bytes.Buffer
	at     string
	people map[string]*http.Client
}

// serveBlind starts a server of a blind game day, and lets people in.
func serveBlind(t *testing.T) *blindServer {
	t.Helper()
	r := &blindServer{brakeRig: newRig(t), people: map[string]*http.Client{"nobody": http.DefaultClient}}
	r.write("quokka.hcl", hushDay)
	r.write("days.hcl", noonAt(time.Now()).fill(hushCalendar))
	r.server = r.command("serve", "days.hcl", "--listen", "127.0.0.1:0", "--public-badges", "--fresh-within", "30d", "--invite", "fay=facilitator", "--invite", "ann=responder", "--invite", "olga=observer")
	out, err := os.Create(filepath.Join(r.dir, "links"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	r.server.Stdout, r.server.Stderr = out, &r.said
	if err := r.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.server.Process.Kill(), r.server.Wait() })
	links := regexp.MustCompile(`(\w+) +(http://[^/]+)/in/(\S+)`)
	var found [][]string
	r.awaits("three links", func() bool {
		text, err := os.ReadFile(out.Name())
		found = links.FindAllStringSubmatch(string(text), -1)
		return err == nil && len(found) == 3
	})
	r.at = found[0][2]
	for _, f := range found {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		r.people[f[1]] = &http.Client{Jar: jar, Timeout: 20 * time.Second}
		if _, code := r.fetch(r.people[f[1]], r.at, "POST", "/in", url.Values{"token": {f[3]}}); code != http.StatusOK {
			t.Fatalf("%s comes in: %d", f[1], code)
		}
	}
	return r
}

// page is what somebody gets.
func (r *blindServer) page(who, path string) string {
	r.t.Helper()
	text, _ := r.fetch(r.people[who], r.at, "GET", path, nil)
	return text
}

// told is what those who play are told by every page.
func (r *blindServer) told(folder string) map[string]string {
	r.t.Helper()
	told := map[string]string{}
	for _, who := range []string{"ann", "olga", "nobody"} {
		for _, path := range blindPaths {
			path = strings.Replace(path, "%s", folder, 1)
			text, code := r.fetch(r.people[who], r.at, "GET", path, nil)
			told[who+" "+path] = fmt.Sprint(code, " ", text)
		}
	}
	return told
}

// hushes fails the test where something is told that is hidden.
func (r *blindServer) hushes(told map[string]string) {
	r.t.Helper()
	for what, text := range told {
		if strings.Contains(text, "/rooms/") { // nobody was paged
			r.t.Fatalf("%s tells that there is a room", what)
		}
		for _, word := range hushed {
			if i := strings.Index(text, word); i >= 0 {
				r.t.Fatalf("%s tells of it while it goes on: …%s", what, text[max(0, i-200):min(len(text), i+60)])
			}
		}
	}
}

// TestServeBlind has a real server begin a blind game day, and all who may come in ask for every page while it goes on: those who play see
// nothing of it, and all of it when it is over.
func TestServeBlind(t *testing.T) {
	t.Parallel()
	r := serveBlind(t)
	rounds, roomed, skipped, pace := 0, false, false, time.NewTicker(500*time.Millisecond) // else the server tells them to wait
	defer pace.Stop()
	for folder, over := "", false; !over; <-pace.C {
		r.awaits("the record", func() bool { folder, over = r.newestRun(); return folder != "" })
		told := r.told(folder)
		if _, over = r.newestRun(); over {
			break
		}
		rounds++
		roomed = roomed || strings.Contains(r.page("fay", "/"), `href="/rooms/`)
		r.hushes(told)
		if text := r.page("fay", "/rehearsals/launch"); !strings.Contains(text, "quetzal") {
			t.Errorf("the facilitator is told nothing of it: %s", text)
		}
		if badge := r.page("nobody", "/badge/quetzal.svg"); !strings.Contains(badge, ">unknown</text>") {
			t.Errorf("its badge says %s", badge)
		}
		if rounds >= 8 && !skipped && r.under(folder, report.Load) {
			skipped = r.skip(folder)
		}
	}
	if !roomed {
		t.Error("the facilitator saw no room while it went on")
	}
	if rounds < 2 {
		t.Errorf("everything was asked for %d times while it went on: the test shows little", rounds)
	}
	for path, want := range map[string]string{"/runs": "quetzal", "/fresh": "quetzal", "/calendar": "quagga", "/rehearsals/launch": "a blind scenario"} {
		r.awaits(path+" to tell of it when it is over", func() bool { return strings.Contains(r.page("olga", path), want) })
	}
	if badge := r.page("nobody", "/badge/quetzal.svg"); strings.Contains(badge, ">unknown</text>") {
		t.Errorf("when it is over its badge says %s", badge)
	}
	if err := errors.Join(r.server.Process.Signal(os.Interrupt), r.server.Wait()); err != nil {
		t.Errorf("the server ends with %v: %s", err, &r.said)
	}
}

// nearEnd is what a skip says that comes when the phase begins or ends by itself.
var nearEnd = regexp.MustCompile("just beginning or ending|comes within a second")

// skip skips the rest of the load phase, and reports whether nobody need ask again.
func (r *blindServer) skip(folder string) bool {
	r.t.Helper()
	out, err := r.command("skip", "--run", filepath.Join("runs", folder), "--by", "fay").CombinedOutput()
	switch {
	case err == nil:
		return true
	case nearEnd.Match(out) || !r.under(folder, report.Load):
		return false
	}
	r.t.Errorf("skipping the rest of it: %v: %s", err, out)
	return true
}

// under reports whether the newest phase of a run, by its record, is this one.
func (r *brakeRig) under(folder string, phase report.Phase) bool {
	r.t.Helper()
	rec, err := report.Read(filepath.Join(r.dir, "runs", folder))
	if err != nil {
		r.t.Fatal(err)
	}
	newest := report.PhaseChange{}
	for _, e := range rec.Events {
		if e.Kind == report.PhaseStarted {
			if err := json.Unmarshal(e.Data, &newest); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	return newest.Phase == phase
}

// awaits waits until something is so.
func (r *brakeRig) awaits(what string, so func() bool) {
	r.t.Helper()
	poll, limit := time.NewTicker(50*time.Millisecond), time.After(2*time.Minute)
	defer poll.Stop()
	for !so() {
		select {
		case <-poll.C:
		case <-limit:
			r.t.Fatalf("waiting two minutes for %s", what)
		}
	}
}

// fetch asks a server for something.
func (r *brakeRig) fetch(c *http.Client, at, method, path string, form url.Values) (string, int) {
	r.t.Helper()
	q, err := http.NewRequest(method, at+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	if method == http.MethodPost {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	a, err := c.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text), a.StatusCode
}

// newestRun returns the folder of a run whose record has begun, and whether it is over.
func (r *brakeRig) newestRun() (folder string, over bool) {
	dirs, _, err := report.Folders(filepath.Join(r.dir, "runs"))
	if err != nil || len(dirs) == 0 {
		return "", false
	}
	rec, err := report.Read(dirs[0])
	if err != nil || len(rec.Events) == 0 {
		return "", false
	}
	return filepath.Base(dirs[0]), slices.ContainsFunc(rec.Events, func(e report.Event) bool { return e.Kind == report.RunEnded })
}
