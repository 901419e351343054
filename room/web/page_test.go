package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/internal/browser"
	"gameday/internal/browser/browsertest"
	"gameday/internal/simrun"
	"gameday/report"
	"gameday/responders"
	"gameday/room"
	"gameday/room/door"
)

// middle writes the record of a simulated game day up to some moment of it.
func middle(t *testing.T, blind bool, until time.Duration) string {
	t.Helper()
	whole, dir := t.TempDir(), t.TempDir()
	if err := simrun.WriteGameDay(whole); err != nil {
		t.Fatal(err)
	}
	f, err := report.Follow(whole)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g := &grow{t: t, dir: dir}
	plan := *f.Plan()
	plan.Blind = blind
	g.plan(plan)
	for {
		events, err := f.Next()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.T <= until {
				g.again(e)
			}
		}
		if len(events) == 0 {
			sum := strings.Repeat("5e", 32)
			for _, who := range []string{"ann (responder)", "fay (facilitator)"} {
				g.add(until, report.Marked, report.Mark{Name: report.EvidenceMark, By: who, Text: "What the dashboard showed", File: &report.Attachment{
					Name: "graph.png", Path: "evidence/" + sum + ".png", Size: 34112, SHA256: sum}})
			}
			return dir
		}
	}
}

// shown are the pages that people come to see, each with the screens on which they are looked at.
func shown(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	dir := t.TempDir()
	save := func(name, text string) {
		text = strings.ReplaceAll(strings.ReplaceAll(text, `"/room.css"`, `"room.css"`), `<script src="/room.js" defer></script>`, "")
		out[name] = filepath.Join(dir, name+".html")
		if err := os.WriteFile(out[name], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, at := range map[string]time.Duration{"begun": 100 * time.Second, "middle": 330 * time.Second, "over": time.Hour} {
		k := newRig(t, middle(t, true, at))
		k.hub.read()
		start := k.hub.state.View(room.Facilitator, time.Now()).Start
		k.hub.publish(start.Add(at+time.Second), true)
		for _, role := range room.Roles() {
			save(name+"-"+string(role), k.ask(role, http.MethodGet, "/", nil).Body.String())
		}
		save(name+"-screen", k.ask(room.Observer, http.MethodGet, "/screen", nil).Body.String())
	}
	k := newRig(t, t.TempDir())
	save("waiting", k.ask(room.Facilitator, http.MethodGet, "/", nil).Body.String())
	save("nobody", k.ask("", http.MethodGet, "/", nil).Body.String())
	token, err := k.Door.Link(door.Guest{Name: "ann", Role: room.Responder, Run: run}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	save("link", k.ask("", http.MethodGet, "/in/"+token, nil).Body.String())
	if err := os.WriteFile(filepath.Join(dir, "room.css"), []byte(styleText()), 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

// screens are a desk, a wall and a phone.
var screens = map[string]browser.Screen{"desk": {Width: 1280, Height: 800, Still: true}, "wall": {Width: 1920, Height: 1080, Still: true},
	"phone": {Width: 390, Height: 844, Still: true}}

// TestPagesAreAccessible lets axe look at every page on every screen, in the light and in the dark, and checks that nothing sticks out
// to the side. GAMEDAY_PICTURES names a folder for pictures of them.
func TestPagesAreAccessible(t *testing.T) {
	source, b := browsertest.Axe(t), browsertest.StartLoopback(t)
	for name, path := range shown(t) {
		for on, screen := range screens {
			for _, dark := range []bool{false, true} {
				screen.Dark = dark
				var found []string
				var out struct{ Scroll, Width int }
				_, opened := b.Open(path)
				err := errors.Join(b.Show(screen), opened, b.Eval(source+";undefined", nil),
					b.Eval(`axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.html.slice(0, 160))))`, &found),
					b.Eval(`({Scroll: document.documentElement.scrollWidth, Width: document.documentElement.clientWidth})`, &out))
				if err != nil {
					t.Fatal(name, err)
				}
				if len(found) > 0 {
					t.Errorf("%s on a %s, dark %v:\n%s", name, on, dark, strings.Join(found, "\n"))
				}
				if out.Scroll > out.Width {
					t.Errorf("%s on a %s is %d wide, of %d", name, on, out.Scroll, out.Width)
				}
				if dir := os.Getenv("GAMEDAY_PICTURES"); dir != "" {
					picture(t, b, filepath.Join(dir, fmt.Sprintf("%s-%s-%v.png", name, on, dark)))
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

// seat is somebody at a browser of their own.
type seat struct {
	t *testing.T
	*browser.Browser
}

// until waits until something is true in the page.
func (s seat) until(what string) {
	s.t.Helper()
	if err := s.Until(what, 20*time.Second); err != nil {
		s.t.Fatal(err)
	}
}

func (s seat) run(script string) {
	s.t.Helper()
	if err := s.Eval(script+";undefined", nil); err != nil {
		s.t.Fatal(err)
	}
}

// come opens a link and goes in by it.
func (s seat) come(link string) {
	s.t.Helper()
	if _, err := s.Visit(link); err != nil {
		s.t.Fatal(err)
	}
	s.run(`setTimeout(() => document.querySelector("form button").click())`)
	for range 100 { // the page with the button goes away while it is asked
		if err := s.Eval(`document.getElementById("link").id`, nil); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.until(`document.getElementById("link").textContent === "Live."`)
}

// has is a condition that an element's text has something in it.
func has(id, text string) string {
	return fmt.Sprintf(`document.getElementById(%q).innerText.includes(%q)`, id, text)
}

// serveTo serves a room to browsers until the test ends.
func serveTo(t *testing.T, k *rig) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l, err := Listen("127.0.0.1:0", nil, false)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, k) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	go k.Follow(ctx)
	k.Address = func(path string) string { return "http://" + l.Addr().String() + path }
}

// askedFor is what people in a room ask the run for.
type askedFor struct {
	t  *testing.T
	of chan room.Request
}

// want waits for the next request, which asks for this.
func (a askedFor) want(do, name, text string) {
	a.t.Helper()
	r := <-a.of
	if r.Act != nil {
		r.Name, r.Text = string(r.Act.Verb), r.Act.Page
	}
	if r.Do != do || r.Name != name || r.Text != text {
		a.t.Errorf("the run was asked for %+v, want %s %s %s", r, do, name, text)
	}
}

// TestTwoAtBrowsers has a facilitator and a responder in two browsers at a blind run: what changes comes to both without a reload, keys
// and forms ask the run, what is typed stays while the page changes, and all is shown at the end.
func TestTwoAtBrowsers(t *testing.T) {
	fay, ann := seat{t, browsertest.StartLoopback(t)}, seat{t, browsertest.StartLoopback(t)}
	g := &grow{t: t, dir: t.TempDir()}
	g.plan(small(true))
	start := time.Now()
	g.add(0, report.RunStarted, report.Started{Run: "r1"})
	g.add(0, report.PhaseStarted, report.PhaseChange{Phase: report.Load})
	k := newRig(t, g.dir)
	asked := askedFor{t, make(chan room.Request, 10)}
	k.Asker = askerFunc(func(r room.Request) (string, error) { asked.of <- r; return "the run did it", nil })
	serveTo(t, k)
	invite := func(name string, role room.Role) string {
		link, err := k.Invite(name, role)
		if err != nil {
			t.Fatal(err)
		}
		return link
	}
	fay.come(invite("fay", room.Facilitator))
	ann.come(invite("ann", room.Responder))
	ann.run(`document.getElementById("note").focus(); document.getElementById("note").value = "half a sen"`)
	g.windowAt(start)
	g.add(time.Since(start), report.Injected, cut("1"))
	g.add(time.Since(start), report.ResponseSeen, opened())
	fay.until(has("part-faults", "network_partition on payments"))
	ann.until(has("part-pages", "page 7 (PaymentsDown)"))
	ann.until(has("part-traffic", "1 of 1 arrivals"))
	ann.until(`document.querySelector("#part-pages [data-began]").textContent !== ""`)
	var clock string // runs from the moment on in which the page is told what time it is, and not from its next second
	if err := ann.Eval(`source.dispatchEvent(new MessageEvent("now", {data: "3700", lastEventId: id})); document.querySelector("#part-pages [data-began]").textContent`, &clock); err != nil || !strings.HasPrefix(clock, "(6") {
		t.Errorf("after an hour the clock of a page shows %s, %v", clock, err)
	}
	ann.until(`document.activeElement.id === "note" && document.activeElement.value === "half a sen"`)
	ann.until(`!document.documentElement.innerHTML.includes("network_partition") && !document.documentElement.innerHTML.includes("checkout")`)
	ann.run(`document.getElementById("note").form.requestSubmit()`)
	asked.want("mark", "note", "half a sen")
	ann.until(has("answer", "Written."))
	ann.run(`document.getElementById("ack-7").click()`)
	asked.want("act", "acknowledge", "7")
	ann.run(`document.activeElement.blur(); document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "a", bubbles: true}))`)
	asked.want("act", "acknowledge", "")
	fay.run(`document.activeElement.blur(); document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "h", bubbles: true}))`)
	asked.want("hold", "", "")
	fay.until(has("answer", "the run did it"))
	fay.run(`document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "1", bubbles: true}))`)
	asked.want("mark", "bridge opened", "")
	fay.run(`document.getElementById("abort").click()`)
	asked.want("stop", "", "")
	g.add(time.Since(start), report.Reverted, cut("1"))
	g.add(time.Since(start), report.RunEnded, report.Ended{Reason: report.EndStopped})
	fay.until(has("part-faults", "No fault stands"))
	ann.until(has("part-log", "network_partition"))
	ann.until(has("part-banner", "Nothing is hidden any more"))
	if n, err := k.Door.Revoke("ann", run); err != nil || n != 2 {
		t.Errorf("sending ann away: %d, %v", n, err)
	}
}

type askerFunc func(room.Request) (string, error)

func (f askerFunc) Ask(_ context.Context, r room.Request) (string, error) { return f(r) }

// TestPartsHavePlaces: every part of the stream has its place in the page that shows it.
func TestPartsHavePlaces(t *testing.T) {
	k := newRig(t, middle(t, false, 330*time.Second))
	k.hub.read()
	k.hub.publish(time.Now(), true)
	page := k.ask(room.Facilitator, http.MethodGet, "/", nil).Body.String()
	var missing []string
	for _, p := range partsOf() {
		if !strings.Contains(page, `id="part-`+p.name+`"`) {
			missing = append(missing, p.name)
		}
	}
	if slices.Sort(missing); len(missing) > 0 {
		t.Errorf("there is no place for %v", missing)
	}
}

// TestAfterTheEnd: what is to be said of a run when it is over can be said, and what can be asked of it no more is not offered.
func TestAfterTheEnd(t *testing.T) {
	for at, over := range map[time.Duration]bool{330 * time.Second: false, time.Hour: true} {
		k := newRig(t, middle(t, true, at))
		k.look(t, 340*time.Second)
		pages := map[room.Role]string{}
		for _, r := range room.Roles() {
			pages[r] = k.ask(r, http.MethodGet, "/", nil).Body.String()
		}
		for _, tt := range []struct {
			role          room.Role
			what          string
			before, after bool
		}{{room.Facilitator, "/do/stop", true, false}, {room.Facilitator, "/do/hold", true, false}, {room.Facilitator, "/links", true, false}, {room.Facilitator, "/do/judge", true, true},
			{room.Facilitator, "/do/mark", true, true}, {room.Facilitator, "/do/note", true, true}, {room.Facilitator, `"/evidence"`, true, true}, {room.Responder, "/do/bridge", true, false},
			{room.Responder, "/do/diagnose", true, false}, {room.Responder, "/do/note", true, true}, {room.Responder, `"/evidence"`, true, true},
			{room.Observer, "/do/note", false, false}, {room.Observer, `"/evidence"`, false, false}} {
			want := map[bool]bool{false: tt.before, true: tt.after}[over]
			if got := strings.Contains(pages[tt.role], tt.what); got != want {
				t.Errorf("over %v: the %s is offered %s: %v", over, tt.role, tt.what, got)
			}
		}
	}
}

// TestTheWallIsEverybodys: the big screen of a blind run shows what everybody may see, also when a facilitator opened it, who sees all
// on a page of their own.
func TestTheWallIsEverybodys(t *testing.T) {
	dir, f := t.TempDir(), &filler{salt: "a"}
	write(t, dir, f, story())
	k := newRig(t, dir)
	k.look(t, time.Minute)
	wall := k.ask(room.Facilitator, http.MethodGet, "/screen", nil).Body.String() + k.ask(room.Facilitator, http.MethodGet, "/stream?size=desk&wall", nil).Body.String()
	for _, w := range append(f.words, run) {
		if strings.Contains(wall, w) {
			t.Fatalf("the wall shows %s", w)
		}
	}
	if !strings.Contains(wall, "PaymentsDown") || !strings.Contains(wall, "wall") || !strings.Contains(scriptText, "dataset.wall") {
		t.Errorf("the wall shows\n%s", wall)
	}
	if own := k.ask(room.Facilitator, http.MethodGet, "/stream?size=desk", nil).Body.String(); count(own, f.words) < 10 {
		t.Error("a facilitator's own stream is that of the wall")
	}
}

// TestTheEndReveals: the page's head tells at the end, without being loaded anew, what it hid; and no longer that something is hidden.
func TestTheEndReveals(t *testing.T) {
	g := &grow{t: t, dir: t.TempDir()}
	g.plan(small(true))
	g.add(0, report.RunStarted, report.Started{Run: "r1"})
	k := newRig(t, g.dir)
	head := func() string {
		k.reread()
		f := k.hub.frames[room.Responder]
		return string(f.html("title")) + "|" + string(f.html("hidden"))
	}
	if got := head(); got != "Game day|What is broken is hidden until the end." {
		t.Errorf("before the end: %s", got)
	}
	g.add(time.Second, report.RunEnded, report.Ended{Reason: report.EndComplete})
	if got := head(); got != "checkout|" {
		t.Errorf("at the end: %s", got)
	}
}

// TestPagesComeFirstOnAPhone: who is paged need not scroll past the traffic there to answer.
func TestPagesComeFirstOnAPhone(t *testing.T) {
	b, path := browsertest.StartLoopback(t), shown(t)["middle-responder"]
	for name, first := range map[string]bool{"phone": true, "desk": false} {
		var above bool
		_, err := b.Open(path)
		err = errors.Join(b.Show(screens[name]), err, b.Eval(`document.getElementById("h-pages").getBoundingClientRect().top < document.getElementById("h-traffic").getBoundingClientRect().top`, &above))
		if err != nil || above != first {
			t.Errorf("on a %s pages come before the traffic: %v, %v", name, above, err)
		}
	}
}

// TestMarksComeWithThePlan: who comes in before the run has written its plan has its marks to press as soon as it is there.
func TestMarksComeWithThePlan(t *testing.T) {
	g := &grow{t: t, dir: t.TempDir()}
	k := newRig(t, g.dir)
	if page := k.ask(room.Facilitator, http.MethodGet, "/", nil).Body.String(); !strings.Contains(page, `id="part-marks"`) || strings.Contains(page, "/do/mark") {
		t.Errorf("before there is a plan the page is\n%s", page)
	}
	plan := small(true)
	plan.Responses = []report.ResponsePlan{{Marks: []report.MarkPlan{{Name: "drongo checked"}}}}
	g.plan(plan)
	k.reread()
	if text := string(k.hub.frames[room.Facilitator].html("marks")); !strings.Contains(text, `value="drongo checked" data-key="1"`) {
		t.Errorf("with the plan come the marks %s", text)
	}
	if text := string(k.hub.frames[room.Responder].html("marks")); text != "" {
		t.Errorf("a responder is told of the marks %s", text)
	}
}

// TestMarkKeys: each mark has a key of its own, which does nothing else on a facilitator's page, as long as there are keys.
func TestMarkKeys(t *testing.T) {
	seen := map[string]bool{"h": true, "r": true, "s": true}
	for n := range 33 {
		if k := markKey(n); len(k) != 1 || seen[k] {
			t.Errorf("the key of mark %d is %q", n, k)
		} else {
			seen[k] = true
		}
	}
	if markKey(33) != "" {
		t.Error("there are more keys than there are")
	}
}

// again adds an event of another record.
func (g *grow) again(e report.Event) {
	g.t.Helper()
	g.seq++
	e.Seq = g.seq
	line, err := json.Marshal(e)
	if err != nil {
		g.t.Fatal(err)
	}
	g.write(string(line) + "\n")
}

// opened is a page about an alarm.
func opened() responders.Event {
	return responders.Event{Source: "desk.ops", Page: "7", Kind: responders.Opened, Labels: map[string]string{"alertname": "PaymentsDown"}}
}
