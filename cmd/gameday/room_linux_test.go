package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gameday/report"
)

// visitor is somebody in a room, by HTTP as a browser speaks it.
type visitor struct {
	t    *testing.T
	base string
	http.Client
}

// comeIn uses a link.
func comeIn(t *testing.T, link string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	base, token, ok := strings.Cut(link, "/in/")
	if !ok {
		t.Fatalf("%q is no link", link)
	}
	v := &visitor{t: t, base: base, Client: http.Client{Jar: jar, Timeout: 20 * time.Second}}
	if text, code := v.get("/in/" + token); code != http.StatusOK || !strings.Contains(text, token) {
		t.Fatalf("the link shows %d %s", code, text)
	}
	if text, code := v.post("/in", url.Values{"token": {token}}); code != http.StatusOK || !strings.Contains(text, "What happened") {
		t.Fatalf("the link lets in to %d %s", code, text)
	}
	return v
}

func (v *visitor) get(path string) (string, int) {
	v.t.Helper()
	return v.read(v.Get(v.base + path))
}

func (v *visitor) post(path string, form url.Values) (string, int) {
	v.t.Helper()
	return v.read(v.PostForm(v.base+path, form))
}

func (v *visitor) read(r *http.Response, err error) (string, int) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return string(text), r.StatusCode
}

// stream takes what comes until something is in it.
func (v *visitor) stream(until string) string {
	v.t.Helper()
	h := v.hear(until)
	if h.err != nil {
		v.t.Fatal(h.err)
	}
	return h.text
}

// heard is what came by a stream until something was in it, or why it did not come.
type heard struct {
	text string
	err  error
}

// hear is stream for whoever listens beside the test, whose own goroutine alone may end it.
func (v *visitor) hear(until string) heard {
	f, err := v.open()
	if err != nil {
		return heard{err: err}
	}
	return f.hear(until)
}

// feed is a stream that is open.
type feed struct {
	body io.ReadCloser
	done context.CancelFunc
}

// open opens a stream.
func (v *visitor) open() (*feed, error) {
	ctx, cancel := context.WithTimeout(v.t.Context(), 20*time.Second)
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+"/stream?size=desk", nil)
	if err != nil {
		cancel()
		return nil, err
	}
	r, err := v.Do(q)
	if err != nil {
		cancel()
		return nil, err
	}
	return &feed{r.Body, cancel}, nil
}

// hear takes what comes until something is in it, and closes the stream.
func (f *feed) hear(until string) heard {
	defer f.done()
	defer f.body.Close()
	var all strings.Builder
	in := bufio.NewScanner(f.body)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		all.WriteString(in.Text() + "\n")
		if strings.Contains(in.Text(), until) {
			return heard{text: all.String()}
		}
	}
	return heard{err: fmt.Errorf("%q does not come by the stream (%v):\n%s", until, in.Err(), &all)}
}

// blindDay is a game day in which partitions stand, and nobody who plays may know.
func blindDay() string {
	return strings.Replace(braked(2), "scenario \"brakes\" {\n", "scenario \"brakes\" {\n  blind = true\n", 1)
}

// TestRoomOfABlindRun has a facilitator and a responder in the room of a real run in a lab: the responder learns nothing of the
// faults that stand and is heard, the facilitator sees them and aborts, and then both see all.
func TestRoomOfABlindRun(t *testing.T) {
	r := newDayRig(t, blindDay())
	r.wait("injected", cuts)
	c := r.command("room", "rec", "--listen", "127.0.0.1:0", "--invite", "fay=facilitator", "--invite", "ann=responder")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Signal(os.Interrupt)
		if err := c.Wait(); err != nil {
			t.Errorf("the room ended with %v", err)
		}
	})
	links, lines := map[string]string{}, bufio.NewScanner(out)
	for len(links) < 2 && lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 3 {
			links[f[1]] = f[2]
		}
	}
	fay, ann := comeIn(t, links["fay"]), comeIn(t, links["ann"])
	told := ann.stream("arrivals a second") + ann.stream("arrivals a second")
	page, _ := ann.get("/")
	said, code := ann.post("/do/note", url.Values{"text": {"it is slow"}})
	if code != http.StatusOK || !strings.Contains(said, "Written.") {
		t.Errorf("a note is answered %d %s", code, said)
	}
	refused, code := ann.post("/do/stop", nil)
	if code != http.StatusForbidden {
		t.Errorf("a responder who stops the run is answered %d", code)
	}
	ann.stream("it is slow")
	for _, hidden := range []string{"cut0", "partition", "brakes", "storm", "crash", "n3", "visitors"} {
		// But for what the stream's events are numbered by, which is drawn at random.
		all := regexp.MustCompile(`(id: |data-id=")[0-9A-Z]+-[0-9]+`).ReplaceAllString(told+page+said+refused, "")
		if strings.Contains(strings.ToLower(all), hidden) {
			t.Errorf("the responder is told %q:\n%s", hidden, all)
		}
	}
	if !strings.Contains(page, "under load") {
		t.Errorf("the responder sees\n%s", page)
	}
	if text := fay.stream("cut7"); strings.Count(text, "network_partition") < cuts {
		t.Errorf("the facilitator sees\n%s", text)
	}
	if said, code := fay.post("/do/stop", url.Values{"text": {"enough"}}); code != http.StatusOK {
		t.Fatalf("abort is answered %d %s", code, said)
	}
	r.cmd.Wait()
	took := stopTook(t, filepath.Join(r.dir, "rec"))
	t.Logf("from the abort in the room to the last fault reverted: %s", took)
	if took > brakeLimit {
		t.Errorf("from the abort in the room to the last fault reverted it took %s, want %s at most", took, brakeLimit)
	}
	ann.stream("Nothing is hidden any more")
	if page, _ := ann.get("/"); !strings.Contains(page, "cut0") || !strings.Contains(page, "Somebody stopped it") {
		t.Errorf("after the end the responder sees\n%s", page)
	}
	log, err := os.ReadFile(filepath.Join(r.dir, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`responder ann from 127\.0\.0\.1: came in`, `responder ann from 127\.0\.0\.1: note .*it is slow`,
		`responder ann from 127\.0\.0\.1: was kept from: stop`, `facilitator fay from 127\.0\.0\.1: stop .*enough`} {
		if !regexp.MustCompile(`"what":"room".*` + want).Match(log) {
			t.Errorf("the audit log lacks %q:\n%s", want, log)
		}
	}
}

// TestRoomOfARun has a run open its room itself: it is there before anything is injected, sees the run to its end, and is gone
// with it. A signal to all of them ends the run, and not the room before it.
func TestRoomOfARun(t *testing.T) {
	t.Parallel()
	if !canLab(t) {
		t.Skip("this system forbids labs")
	}
	r := newRig(t)
	script, err := os.ReadFile("testdata/common/get.js")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"day.hcl": blindDay(), "get.js": string(script)} {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	said, err := os.Create(filepath.Join(r.dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	r.cmd = r.command("run", "--record", "rec", "--room", "127.0.0.1:0", "day.hcl")
	r.cmd.Stdout, r.cmd.Stderr = said, said
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if r.cmd.ProcessState == nil {
			r.cmd.Process.Signal(os.Interrupt)
			r.cmd.Wait()
		}
	})
	link := regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+/in/\S+`)
	text := ""
	for deadline := time.Now().Add(20 * time.Second); !link.MatchString(text); time.Sleep(20 * time.Millisecond) {
		b, err := os.ReadFile(said.Name())
		if text = string(b); err != nil || time.Now().After(deadline) {
			t.Fatalf("no link comes, %v; it said\n%s", err, text)
		}
	}
	fay := comeIn(t, link.FindString(text))
	fay.stream("cut7")
	open, err := fay.open() // before anybody ends the run, and the room with it
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan heard, 1)
	go func() { over <- open.hear("Nothing is hidden any more") }()
	if answer, code := fay.post("/do/stop", nil); code != http.StatusOK {
		t.Fatalf("abort is answered %d %s", code, answer)
	}
	if end := <-over; end.err != nil || !strings.Contains(end.text, "Somebody stopped it") {
		t.Errorf("the end is told as %v\n%s", end.err, end.text)
	}
	r.cmd.Wait()
	if _, err := fay.Get(fay.base + "/"); err == nil {
		t.Error("the room is open after its run")
	}
}

// TestRoomIsOpenedFirst: when a run has opened its room, the link is printed, so that no screen of the run can be drawn over it; and a room
// that cannot be opened is said to be not, and keeps nobody waiting.
func TestRoomIsOpenedFirst(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &app{out: &out, errw: &out}
	close1 := a.openRoom(&runFlags{room: "127.0.0.1:0", audit: filepath.Join(t.TempDir(), "audit.jsonl")}, t.TempDir())
	said := out.String()
	at := regexp.MustCompile(`127\.0\.0\.1:[0-9]+`).FindString(said)
	if !strings.Contains(said, "/in/") || !strings.Contains(said, "the link lets you in once") {
		t.Errorf("when the room is opened this is said: %q", said)
	}
	began := time.Now()
	close2 := a.openRoom(&runFlags{room: at, audit: filepath.Join(t.TempDir(), "audit.jsonl")}, t.TempDir())
	if took := time.Since(began); took > roomOpens-time.Second || !strings.Contains(out.String(), "address already in use") {
		t.Errorf("a room where another is took %s: %q", took, out.String())
	}
	close2()
	close1()
	if text := out.String(); strings.Count(text, "the room has ended") != 1 {
		t.Errorf("of two rooms, of which one could not be opened, is said: %q", text)
	}
}

// stopTook returns how long it took by the record from the asking to the last revert, and looks that all is in it.
func stopTook(t *testing.T, dir string) time.Duration {
	t.Helper()
	rec, err := report.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var asked, last time.Duration
	reverted, all := 0, ""
	for _, e := range rec.Events {
		switch e.Kind {
		case report.StopAsked, report.Marked:
			all += string(e.Data)
			if e.Kind == report.StopAsked {
				asked = e.T
			}
		case report.Reverted:
			reverted, last = reverted+1, e.T
		}
	}
	for _, want := range []string{`"by":"fay (facilitator)"`, `"why":"enough"`, `"by":"ann (responder)"`, `"text":"it is slow"`} {
		if !strings.Contains(all, want) {
			t.Errorf("the record lacks %s: %s", want, all)
		}
	}
	if reverted != cuts || asked == 0 {
		t.Fatalf("%d faults were reverted, and somebody asked at %s", reverted, asked)
	}
	return last - asked
}
