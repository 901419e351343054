package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/internal/crowd"
	"gameday/internal/simrun"
	"gameday/loadgen"
	"gameday/report"
)

// roomOf opens the room of a record in a process of its own, until the test ends, and returns the links of those who are invited.
func roomOf(r *brakeRig, record string, invited ...string) (links map[string]string, c *exec.Cmd) {
	r.t.Helper()
	args := []string{"room", record, "--listen", "127.0.0.1:0"}
	for _, i := range invited {
		args = append(args, "--invite", i)
	}
	c = r.command(args...)
	out, err := c.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		c.Process.Signal(os.Interrupt)
		if err := c.Wait(); err != nil {
			r.t.Errorf("the room ended with %v", err)
		}
	})
	links = map[string]string{}
	for lines := bufio.NewScanner(out); len(links) < len(invited) && lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) == 3 {
			links[f[1]] = f[2]
		}
	}
	if len(links) < len(invited) {
		r.t.Fatalf("%d of %d are invited", len(links), len(invited))
	}
	return links, c
}

// TestRoomTokens tries links that were used, replayed, or made for another run at real rooms, and cookies of another. That links expire is
// tried where a day passes in no time: TestLinks, TestLinkIsUsedOnce.
func TestRoomTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var rooms []map[string]string
	for _, name := range []string{"one", "two"} {
		dir := filepath.Join(r.dir, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := simrun.WriteGameDay(dir); err != nil {
			t.Fatal(err)
		}
		links, _ := roomOf(r, name, "fay=facilitator")
		rooms = append(rooms, links)
	}
	here, token, _ := strings.Cut(rooms[0]["fay"], "/in/")
	there, theirs, _ := strings.Cut(rooms[1]["fay"], "/in/")
	fay := comeIn(t, rooms[0]["fay"])
	nobody := &visitor{t: t, base: here, Client: http.Client{Timeout: 20 * time.Second}}
	for range 3 {
		if text, code := nobody.post("/in", url.Values{"token": {token}}); code != http.StatusGone || !strings.Contains(text, "used already") {
			t.Errorf("a link that is used again: %d %s", code, text)
		}
	}
	if text, code := nobody.post("/in", url.Values{"token": {theirs}}); code != http.StatusForbidden {
		t.Errorf("the link of another run's room: %d %s", code, text)
	}
	at, err := url.Parse(here)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	cookies := fay.Jar.Cookies(at)
	elsewhere, err := url.Parse(there)
	if err != nil {
		t.Fatal(err)
	}
	owner := comeIn(t, rooms[1]["fay"]) // whoever is in there sends both rooms' cookies, for cookies know no ports
	for _, c := range owner.Jar.Cookies(elsewhere) {
		cookies = append(cookies, &http.Cookie{Name: c.Name, Value: cookies[0].Value}) // a session of the first room under the other's name
	}
	jar.SetCookies(elsewhere, cookies)
	replay := &visitor{t: t, base: there, Client: http.Client{Jar: jar, Timeout: 20 * time.Second}}
	for _, path := range []string{"/", "/screen", "/stream?size=desk", "/evidence/" + strings.Repeat("0", 64)} {
		if text, code := replay.get(path); code != http.StatusUnauthorized {
			t.Errorf("a session of one room in another: %s: %d %s", path, code, text)
		}
	}
	for _, path := range []string{"/do/stop", "/links", "/revoke", "/evidence"} {
		if text, code := replay.post(path, nil); code != http.StatusUnauthorized {
			t.Errorf("a session of one room asking another for %s: %d %s", path, code, text)
		}
	}
	for name, v := range map[string]*visitor{"the first": fay, "the other": owner} {
		if text, code := v.get("/"); code != http.StatusOK {
			t.Errorf("who came into %s room: %d %s", name, code, text)
		}
	}
}

// TestRoomAfterwards: when a run is over, a facilitator can still judge, and attach evidence, which the record has then and the report tells of;
// and ask the run for nothing more.
func TestRoomAfterwards(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := os.Mkdir(filepath.Join(r.dir, "rec"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := simrun.WriteGameDay(filepath.Join(r.dir, "rec")); err != nil {
		t.Fatal(err)
	}
	links, _ := roomOf(r, "rec", "fay=facilitator", "ann=responder")
	fay, ann := comeIn(t, links["fay"]), comeIn(t, links["ann"])
	attach := func(v *visitor, text string) (string, int) {
		body := "--x\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\n" + text + "\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"graph.txt\"\r\n\r\n" + text + " as a graph\r\n--x--\r\n"
		return v.read(v.Post(v.base+"/evidence", "multipart/form-data; boundary=x", strings.NewReader(body)))
	}
	for what, do := range map[string]func() (string, int){
		"judging":              func() (string, int) { return fay.post("/do/judge", url.Values{"judge": {"partly"}}) },
		"a facilitator's file": func() (string, int) { return attach(fay, "what fay saw") },
		"a responder's file":   func() (string, int) { return attach(ann, "what ann saw") },
		"a responder's note":   func() (string, int) { return ann.post("/do/note", url.Values{"text": {"that was quick"}}) },
	} {
		if text, code := do(); code != http.StatusOK {
			t.Errorf("%s when the run is over: %d %s", what, code, text)
		}
	}
	for _, what := range []string{"stop", "hold", "skip"} {
		if text, code := fay.post("/do/"+what, nil); code != http.StatusConflict || !strings.Contains(text, "the run is over") {
			t.Errorf("%s when the run is over: %d %s", what, code, text)
		}
	}
	if text, code := ann.post("/do/diagnose", url.Values{"text": {"the network, as I see now"}}); code != http.StatusConflict {
		t.Errorf("a diagnosis when all is revealed: %d %s", code, text)
	}
	fay.stream("graph.txt")
	rec, err := report.Read(filepath.Join(r.dir, "rec"))
	if err != nil {
		t.Fatal(err)
	}
	card := report.Score(rec)
	if len(card.Attached) != 2 {
		t.Fatalf("attached is %+v", card.Attached)
	}
	for _, a := range card.Attached {
		text, err := os.ReadFile(filepath.Join(r.dir, "rec", filepath.FromSlash(a.File.Path)))
		if sum := sha256.Sum256(text); err != nil || hex.EncodeToString(sum[:]) != a.File.SHA256 || int64(len(text)) != a.File.Size || !strings.HasSuffix(string(text), " saw as a graph") {
			t.Errorf("%+v is %q, %v", a.File, text, err)
		}
	}
}

// windows returns those of the record's seconds that began in a time.
func (r *brakeRig) windows(from, to time.Time) (out []loadgen.Window) {
	r.t.Helper()
	for _, e := range r.events() {
		var w loadgen.Window
		if e.Kind != report.WindowClosed {
			continue
		}
		if err := json.Unmarshal(e.Data, &w); err != nil {
			r.t.Fatal(err)
		}
		if !w.Start.Before(from) && w.Start.Before(to) {
			out = append(out, w)
		}
	}
	return out
}

// TestFloodOfARoom has strangers ask a room for ten thousand things a second, from the facilitator's own address: the run's traffic goes on as
// if nothing were, the room's memory stays within bounds, who is in still sees, and the facilitator stops the run.
func TestFloodOfARoom(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes load for seconds")
	}
	const rate, length = 10_000, 6 * time.Second
	r := newDayRig(t, strings.Replace(blindDay(), `at     = "4s"`, `at     = "55s"`, 1)) // the service lives
	r.wait(report.Injected, cuts)
	links, c := roomOf(r, "rec", "fay=facilitator", "ann=responder")
	fay, ann := comeIn(t, links["fay"]), comeIn(t, links["ann"])
	ann.stream("arrivals a second")
	before, _, err := crowd.Memory(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	flooded := make(chan crowd.Flood, 1)
	began := time.Now()
	go func() { flooded <- crowd.Storm(ctx, strings.TrimPrefix(fay.base, "http://"), rate, 64) }()
	seen := make(chan heard, 1)
	time.AfterFunc(length/2, func() { seen <- ann.hear("arrivals a second") })
	time.AfterFunc(length, func() { seen <- heard{} })
	if h := <-seen; h.text == "" {
		t.Errorf("for %s a responder who is in was told nothing: %v", length/2, h.err)
	} else {
		<-seen
	}
	quiet := time.Now().Add(-2 * time.Second) // whose seconds are in the record by now
	asked := time.Now()
	if text, code := fay.post("/do/stop", url.Values{"text": {"enough"}}); code != http.StatusOK {
		t.Errorf("stopping in a flood is answered %d %s", code, text)
	}
	gone := r.allGone()
	cancel()
	f := <-flooded
	_, most, err := crowd.Memory(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.0f requests a second for %s, answered %v, %d connections broke; from the facilitator's asking to the last fault reverted %s; the room took %.0f MB before, and %.0f at most",
		f.Rate(), f.Took.Round(time.Millisecond), f.Answered, f.Broken, gone.Sub(asked).Round(time.Millisecond), float64(before)/1e6, float64(most)/1e6)
	if took := gone.Sub(asked); took > brakeLimit {
		t.Errorf("from asking to the last fault reverted it took %s, want %s at most", took, brakeLimit)
	}
	if f.Rate() < rate*8/10 {
		t.Errorf("there were %.0f requests a second, which is no flood", f.Rate())
	}
	if f.Answered[http.StatusTooManyRequests] < f.Sent/2 {
		t.Errorf("strangers without end are answered %v", f.Answered)
	}
	if most > 200<<20 {
		t.Errorf("the room took %d MB", most>>20)
	}
	var sum loadgen.Window
	seconds := r.windows(began, quiet)
	for _, w := range seconds {
		sum.Due, sum.Started, sum.Dropped, sum.Failed.Count = sum.Due+w.Due, sum.Started+w.Started, sum.Dropped+w.Dropped, sum.Failed.Count+w.Failed.Count
	}
	// An arrival may be due at the end of one second and start in the next.
	if len(seconds) < 3 || sum.Due == 0 || sum.Started+3 < sum.Due || sum.Dropped > 0 || sum.Failed.Count > 0 {
		t.Errorf("in %d seconds of the flood the run's traffic had %d of %d arrivals, %d dropped, %d failed", len(seconds), sum.Started, sum.Due, sum.Dropped, sum.Failed.Count)
	}
}

// late returns how late each fault was injected, by the record: the time of its command less what was planned.
func late(t *testing.T, events []report.Event) []time.Duration {
	t.Helper()
	var out []time.Duration
	for _, e := range events {
		if e.Kind != report.Injecting {
			continue
		}
		var in report.Injection
		if err := json.Unmarshal(e.Data, &in); err != nil {
			t.Fatal(err)
		}
		out = append(out, e.T-in.Planned)
	}
	slices.Sort(out)
	return out
}

// settled is how many faults were injected, or could not be: a victim that is not back yet cannot be killed.
func settled(events []report.Event) int {
	var faults []string
	for _, e := range events {
		var in report.Injection
		if (e.Kind == report.Injecting || e.Kind == report.InjectFailed) && json.Unmarshal(e.Data, &in) == nil {
			faults = append(faults, in.Fault)
		}
	}
	slices.Sort(faults)
	return len(slices.Compact(faults))
}

// killsOften is a run in which a fault comes every quarter of a second.
func killsOften(n int) string {
	var world, inner strings.Builder
	for i := range 4 {
		fmt.Fprintf(&world, "  node \"n%d\" {\n    process \"p%d\" {\n      command = [\"world\", \"-listen\", \":%d\"]\n      listen = %d\n      restart = \"always\"\n      restart_delay = \"100ms\"\n    }\n  }\n", i, i, 9000+i, 9000+i)
		fmt.Fprintf(&inner, "  target \"p%d\" {\n    process {\n      listen = %d\n    }\n  }\n", i, 9000+i)
	}
	for i := range n {
		fmt.Fprintf(&inner, "  fault \"process_kill\" \"k%d\" {\n    target = target.p%d\n    at = \"%dms\"\n    restarts_within = \"2s\"\n  }\n", i, i%4, 2000+250*i)
	}
	return "lab \"often\" {\n  node \"web\" {\n    process \"web\" {\n      command = [\"world\", \"-listen\", \":8080\"]\n      listen = 8080\n    }\n  }\n" + world.String() + "}\n" +
		fmt.Sprintf("scenario \"often\" {\n  timeline {\n    baseline = \"2s\"\n    load = \"%dms\"\n    recovery = \"1s\"\n  }\n", 3000+250*n) +
		"  traffic \"visitors\" {\n    baseline {\n      rate = 30\n    }\n    request \"get\" {\n      url = \"http://web:8080/\"\n    }\n  }\n" + inner.String() + "}\n"
}

// TestObserversOfARun has 500 look at the room of a run that goes on, over sockets, beside the same run without: they take a hundredth of a
// processor for each fifty at most, and faults come no later.
func TestObserversOfARun(t *testing.T) {
	if testing.Short() {
		t.Skip("it is two runs of twenty seconds")
	}
	const observers, kills = 500, 60
	alone := newDayRig(t, killsOften(kills))
	alone.cmd.Wait()
	without := late(t, alone.events())
	var invited []string
	for i := range observers {
		invited = append(invited, fmt.Sprintf("o%d=observer", i))
	}
	r := newDayRig(t, killsOften(kills))
	r.wait(report.PhaseStarted, 1)
	links, c := roomOf(r, "rec", invited...)
	var guests []crowd.Guest
	for _, l := range links {
		g, err := crowd.ComeIn(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		guests = append(guests, g)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	look, err := crowd.Look(ctx, guests, report.LiveSizes())
	if err != nil {
		t.Fatal(err)
	}
	began, told := time.Now(), look.Told.Load()
	first, err := crowd.CPU(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	r.awaits("three faults of four", func() bool { return settled(r.events()) >= kills*3/4 })
	took := time.Since(began)
	last, err := crowd.CPU(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if gone := look.Gone.Load(); gone > 0 {
		t.Errorf("%d observers were hung up on", gone)
	}
	each := float64(look.Told.Load()-told) / observers / took.Seconds()
	share := float64(last-first) / float64(took) / (observers / 50)
	r.cmd.Wait()
	with := late(t, r.events())
	if min(len(with), len(without)) < kills/2 { // a busy machine is late to bring a victim back
		t.Fatalf("%d and %d of %d faults were injected", len(without), len(with), kills)
	}
	half := func(l []time.Duration) time.Duration { return l[len(l)/2] }
	most := func(l []time.Duration) time.Duration { return l[len(l)*9/10] }
	t.Logf("%d observers for %s, each told %.1f times a second: %.2f %% of a processor for 50; faults are late by %s (median, without: %s), %s (nine of ten, without: %s)",
		observers, took.Round(time.Millisecond), each, 100*share, half(with), half(without), most(with), most(without))
	if share > 0.01 {
		t.Errorf("50 observers take %.2f %% of a processor, want 1 %% at most", 100*share)
	}
	if each < 0.8 {
		t.Errorf("an observer is told %.2f times a second", each)
	}
	if took < 5*time.Second {
		t.Errorf("they looked on for %s, which is too short to measure", took)
	}
	// What else runs on the machine makes some late, now in the one run and now in the other: of what the observers make late all would be.
	if quarter := func(l []time.Duration) time.Duration { return l[len(l)/4] }; quarter(with) > quarter(without)+5*time.Millisecond {
		t.Errorf("with observers three faults of four are more than %s late, without %s", quarter(with), quarter(without))
	}
}
