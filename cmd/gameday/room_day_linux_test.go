package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gameday/report"
	"gameday/responders"
)

// blindWholeDay is a blind game day in which everything that could be given away has a name that is found nowhere else.
const blindWholeDay = `responders "desk" "ops" {
  level {
    people = ["ann"]
  }
}
alarms "builtin" "main" {
  notify = [responders.desk.ops]
  rule "WebFailing" {
    when   = sli.error_ratio > 0.5
    over   = "2s"
    labels = { severity = "page", team = "echidna" }
  }
}
lab "quoll" {
  node "quokka" {
    process "web" {
      command = ["world", "-listen", ":8080"]
      listen  = 8080
    }
  }
  node "numbat" {
  }
KAKAPO_NODES}
scenario "wallaroo" {
  summary = "The dunnart dies while the bilby is cut off."
  owner   = "team-potoroo"
  blind   = true
  timeline {
    baseline = "4s"
    load     = "5m"
    recovery = "1s"
  }
  traffic "wombats" {
    baseline {
      rate = 20
    }
    request "galah" {
      url     = "http://quokka:8080/brolga"
      timeout = "1s"
    }
  }
  steady_state {
    expect "kookaburra" {
      that = sli.error_ratio < 0.5
      over = "2s"
    }
  }
  target "bettong" {
    process {
      listen = 8080
    }
  }
  target "numbat" {
    node {
      name = "numbat"
    }
  }
  fault "network_partition" "cassowary" {
    between  = [target.numbat, target.bettong]
    at       = "4m"
    duration = "60s"
  }
KAKAPO_FAULTS  fault "process_kill" "bandicoot" {
    target = target.bettong
    at     = "4m30s"
  }
  alarm "WebFailing" {
    source       = alarms.builtin.main
    cause        = fault.bandicoot
    fires_within = "20s"
  }
  response "lorikeet" {
    source = responders.desk.ops
    to     = alarm.WebFailing
    acknowledge {
      within = "60s"
    }
    mark "drongo checked" {
      within = "5m"
    }
  }
  abort "taipan" {
    when = sli.error_ratio > 2
    held = "1s"
  }
}
`

// kakapos is how many more partitions stand when the facilitator aborts.
const kakapos = 7

// theDay is blindWholeDay with those.
func theDay() string {
	var nodes, inner strings.Builder
	for n := range kakapos {
		fmt.Fprintf(&nodes, "  node \"kakapo%d\" {\n  }\n", n)
		fmt.Fprintf(&inner, "  target \"kakapo%[1]d\" {\n    node {\n      name = \"kakapo%[1]d\"\n    }\n  }\n  fault \"network_partition\" \"kakapo%[1]d\" {\n"+
			"    between  = [target.kakapo%[1]d, target.bettong]\n    at       = \"4m10s\"\n    duration = \"45s\"\n  }\n", n)
	}
	return strings.NewReplacer("KAKAPO_NODES", nodes.String(), "KAKAPO_FAULTS", inner.String()).Replace(blindWholeDay)
}

// hiddenOfTheDay are the words of blindWholeDay that nobody who plays may be told.
var hiddenOfTheDay = []string{"echidna", "quoll", "quokka", "numbat", "wallaroo", "dunnart", "bilby", "potoroo", "wombats", "galah", "brolga", "kookaburra", "bettong",
	"cassowary", "bandicoot", "kakapo", "lorikeet", "drongo", "taipan", "network_partition", "process_kill", "partition", "fay's secret", "fay's file"}

// hidesIn looks for what is hidden in all that somebody was told.
func hidesIn(t *testing.T, who, when, told string) {
	t.Helper()
	told = strings.ToLower(told)
	for _, w := range hiddenOfTheDay {
		if i := strings.Index(told, w); i >= 0 {
			t.Errorf("%s is told %q %s: …%s…", who, w, when, told[max(0, i-200):min(len(told), i+100)])
		}
	}
}

// player is somebody in the room by HTTP, for what a browser does not send.
type player struct{ *visitor }

// tryAll asks for everything that the room serves, by its own method, and returns all that is said; and how often with which status.
func (p player) tryAll(all []served) (string, map[int]int) {
	p.t.Helper()
	var told strings.Builder
	codes := map[int]int{}
	for _, e := range all {
		var r *http.Response
		var err error
		switch {
		case strings.HasPrefix(e.path, "/stream"): // the browser reads those
			continue
		case e.path == "/evidence":
			r, err = p.Post(p.base+e.path, "multipart/form-data; boundary=x", strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nhere\r\n--x--\r\n"))
		case e.method == http.MethodPost: // about a page that there is not, so that none is answered
			r, err = p.PostForm(p.base+e.path, url.Values{"page": {"999"}, "text": {"hm"}, "fault": {"x"}, "mark": {"x"}, "judge": {"right"}, "name": {"x"}, "role": {"observer"}})
		default:
			r, err = p.Get(p.base + e.path)
		}
		text, code := p.read(r, err)
		if !strings.HasPrefix(e.path, "/in") { // links that let nobody in have a bound of their own
			codes[code]++
		}
		fmt.Fprintln(&told, e, code, r.Header, text)
	}
	return told.String(), codes
}

// day is a whole day with its people.
type day struct {
	*brakeRig
	fay, ann *seat
	base     string
	said     string // where the run's own output is
	all      []served
	guests   int
}

// invite makes a link in the facilitator's page, as a facilitator does.
func (d *day) invite(name, role string) string {
	d.t.Helper()
	d.fay.run(fmt.Sprintf(`document.getElementById("who").value = %q; document.getElementById("role").value = %q; document.getElementById("who").form.requestSubmit()`, name, role))
	d.fay.until(has("answer", "For "+name+", as "+role))
	var text string
	if err := d.fay.Eval(`document.getElementById("answer").innerText`, &text); err != nil {
		d.t.Fatal(err)
	}
	link := roomLink.FindString(text)
	if link == "" {
		d.t.Fatalf("no link is in %q", text)
	}
	return link
}

var roomLink = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+/in/\S+`)

// openDay starts the run with its room, and has fay come in by the link that it prints.
func openDay(t *testing.T, scenario string) *day {
	t.Helper()
	if testing.Short() {
		t.Skip("it is a whole game day, with two browsers")
	}
	fay, ann := newSeat(t, "fay"), newSeat(t, "ann")
	d, link := startDay(t, scenario)
	d.fay, d.ann = fay, ann
	d.fay.comeIn(link)
	return d
}

// startDay starts the run with its room, and returns the link that it prints.
func startDay(t *testing.T, scenario string) (d *day, link string) {
	t.Helper()
	if !canLab(t) {
		t.Skip("this system forbids labs")
	}
	d = &day{brakeRig: newRig(t), all: roomEndpoints(t)}
	if err := os.WriteFile(filepath.Join(d.dir, "day.hcl"), []byte(scenario), 0o644); err != nil {
		t.Fatal(err)
	}
	said, err := os.Create(filepath.Join(d.dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { said.Close() })
	d.said = said.Name()
	d.cmd = d.command("run", "--record", "rec", "--room", "127.0.0.1:0", "day.hcl")
	d.cmd.Stdout, d.cmd.Stderr = said, said
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.cmd.ProcessState == nil {
			d.cmd.Process.Signal(os.Interrupt)
			d.cmd.Wait()
		}
	})
	for deadline := time.Now().Add(20 * time.Second); link == ""; time.Sleep(20 * time.Millisecond) {
		b, err := os.ReadFile(d.said)
		if link = roomLink.FindString(string(b)); err != nil || time.Now().After(deadline) {
			t.Fatalf("no link comes, %v; it said\n%s", err, b)
		}
	}
	d.base, _, _ = strings.Cut(link, "/in/")
	return d, link
}

// blindNow looks at everything that those who play can see and fetch in some moment. Who tries everything comes in for it and leaves then, for
// nobody may ask so much again and again.
func (d *day) blindNow(when string) {
	d.t.Helper()
	hidesIn(d.t, "ann, who fetches,", when, d.ann.fetchAll(paths(d.all)))
	hidesIn(d.t, "ann, who looks,", when, d.ann.shown())
	for _, role := range []string{"responder", "observer"} {
		d.guests++
		p := player{comeIn(d.t, d.invite(fmt.Sprint("guest ", d.guests), role))}
		told, codes := p.tryAll(d.all)
		hidesIn(d.t, "a "+role+" who tries everything", when, told)
		if codes[http.StatusTooManyRequests]+codes[http.StatusUnauthorized] > 0 || codes[http.StatusForbidden] < 9 || codes[http.StatusOK] < 4 {
			d.t.Errorf("a %s who tries everything %s is answered %v", role, when, codes)
		}
		if told, codes := p.tryAll([]served{{"GET", "/"}, {"POST", "/do/note"}}); codes[http.StatusUnauthorized] != 2 {
			d.t.Errorf("who has left is answered %v: %s", codes, told)
		}
	}
}

// TestAWholeBlindDay has a facilitator and a responder at two browsers through a whole game day of a real run, with two more who try all
// that the room serves while it prepares, in its baseline, before and after faults stand, and after a page.
func TestAWholeBlindDay(t *testing.T) {
	d := openDay(t, theDay())
	fay, ann := d.fay, d.ann
	ann.comeIn(d.invite("ann", "responder"))
	d.blindNow("at the begin")
	fay.until(has("part-clock", "load"))
	ann.until(has("part-clock", "under load"))

	fay.press("h")
	ann.until(has("part-banner", "Held."))
	fay.until(has("answer", "held at"))
	fay.click(`[data-key="r"]`)
	ann.until(`!document.getElementById("part-banner").innerText.includes("Held.")`)
	fay.click("#inject-cassowary")
	fay.until(has("part-faults", "network_partition on"))
	d.blindNow("while a fault stands")
	fay.press("s") // the wait for the others
	d.wait(report.Injected, 1+kakapos)
	fay.until(has("part-faults", fmt.Sprint("kakapo", kakapos-1)))
	fay.until(`Date.now() - (window.since = window.since || Date.now()) > 2500`) // a second skip at once is taken for the first
	fay.press("s")                                                               // and for the last
	fay.until(has("part-log", "fault bandicoot"))

	ann.until(has("part-pages", "page 1 (WebFailing)"))
	ann.until(has("part-pages", "ann has not answered"))
	ann.click(`#part-pages button[formaction$="/do/acknowledge"]`)
	ann.until(has("part-pages", "acknowledged by ann"))
	fay.until(has("part-pages", "acknowledged by ann"))
	ann.press("b")
	ann.until(has("part-people", "bridge opened"))
	ann.write("diagnose", "the web server is gone")
	fay.until(has("part-diagnosis", "the web server is gone"))
	fay.click(`button[value="partly"]`)
	fay.until(has("part-diagnosis", "diagnosis partly right"))
	fay.press("1")
	fay.until(has("part-log", `mark "drongo checked"`))
	fay.write("note", "fay's secret")
	fay.until(has("part-log", "fay's secret"))
	fay.run(`{ const d = new DataTransfer(); d.items.add(new File(["what fay saw"], "fay's file.txt")); document.getElementById("file").files = d.files }`)
	fay.write("evidence", "seen by fay's secret eye")
	fay.until(has("part-evidence", "fay's file.txt"))
	var file string
	if err := fay.Eval(`document.querySelector("#part-evidence a").getAttribute("href")`, &file); err != nil {
		t.Fatal(err)
	}
	d.blindNow("after a page")
	if text := ann.fetchAll([]string{file}); !strings.Contains(text, " 404 ") {
		t.Errorf("a responder fetching what the facilitator attached is told %s", text)
	}
	if text := fay.fetchAll([]string{file}); !strings.Contains(text, " 200 ") || !strings.Contains(text, "what fay saw") {
		t.Errorf("the facilitator fetching it is told %s", text)
	}
	d.abortsIn(t)
	ann.until(has("part-banner", "Nothing is hidden any more"))
	ann.until(has("part-title", "wallaroo"))
	ann.until(has("part-log", "cassowary"))
	d.cmd.Wait()
	d.recorded(t)
	d.audited(t)
}

// abortsIn has the facilitator press the button, and measures from the click until the last fault is gone, by the record's clock.
func (d *day) abortsIn(t *testing.T) {
	t.Helper()
	var clicked int64
	if err := d.fay.Eval(`{ document.getElementById("why").value = "enough seen"; const at = Date.now(); document.getElementById("abort").click(); at }`, &clicked); err != nil {
		t.Fatal(err)
	}
	d.wait(report.RunEnded, 1)
	n, last := count(d.events(), report.Reverted)
	if n != 1+kakapos {
		t.Fatalf("%d faults were reverted, want the %d that stood", n, 1+kakapos)
	}
	took := last.Sub(time.UnixMilli(clicked))
	t.Logf("from the click to the last of %d faults reverted: %s", n, took)
	if took > brakeLimit || took < 0 {
		t.Errorf("from the click to the last fault reverted it took %s, want %s at most", took, brakeLimit)
	}
}

// recorded checks that all that was done is in the record, by whom, and in its report.
func (d *day) recorded(t *testing.T) {
	t.Helper()
	var all strings.Builder
	for _, e := range d.events() {
		switch e.Kind {
		case report.Marked, report.StopAsked, report.HoldBegan, report.HoldEnded, report.WaitSkipped, report.InjectAsked:
			fmt.Fprintf(&all, "%s %s\n", e.Kind, e.Data)
		case report.ResponseSeen:
			var r responders.Event
			if err := json.Unmarshal(e.Data, &r); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&all, "%s %s by %s in %s: %s\n", e.Kind, r.Kind, r.Actor.ID, r.Channel, r.Text)
		}
	}
	by := `"by":"` + whoami() + ` \(facilitator\)"`
	for _, want := range []string{"hold " + `\{` + by, "release " + `\{` + by, "skip " + `\{` + by, "inject_now " + `\{` + by + `.*"cassowary"`, `mark \{"name":"diagnosis partly right",` + by,
		`mark \{"name":"drongo checked",` + by, `mark \{"name":"note",` + by + `,"text":"fay's secret"`, `mark \{"name":"evidence",` + by + `,"text":"seen by fay's secret eye","file":\{"name":"fay's file.txt","path":"evidence/[0-9a-f]{64}.txt","size":12`,
		`stop.*` + by + `,"why":"enough seen"`, "acknowledged by ann in room", "marked by ann in room: bridge opened", "diagnosed by ann in room: the web server is gone"} {
		if !regexp.MustCompile(want).MatchString(all.String()) {
			t.Errorf("the record lacks %s:\n%s", want, all.String())
		}
	}
	out, err := d.command("report", "rec").CombinedOutput()
	if text := strings.Join(strings.Fields(string(out)), " "); !strings.Contains(text, "attached evidence") || !strings.Contains(text, "file.txt of 12 bytes") {
		t.Errorf("the report lacks the evidence (%v):\n%s", err, out)
	}
}

// audited checks that all that was done, or refused, is in the audit log, and no token is.
func (d *day) audited(t *testing.T) {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(d.dir, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"facilitator .*: came in", "responder ann .*: came in", "made a link for responder ann", "facilitator .*: hold", "facilitator .*: release", "facilitator .*: skip",
		"facilitator .*: inject .*cassowary", "responder ann .*: acknowledge .*1", "responder ann .*: bridge", "responder ann .*: diagnose .*web server is gone", "facilitator .*: judge .*partly right",
		"facilitator .*: mark .*drongo checked", "facilitator .*: note .*fay's secret", "facilitator .*: evidence .*fay's file.txt", "facilitator .*: stop .*enough seen",
		"responder guest 1 .*: was kept from: stop", "observer guest 2 .*: was kept from: acknowledge", "observer guest 2 .*: left"} {
		if !regexp.MustCompile(`(?m)^.*"what":"room".*` + want).Match(log) {
			t.Errorf("the audit log lacks %q:\n%s", want, log)
		}
	}
	said, err := os.ReadFile(d.said)
	if err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(roomLink.FindString(string(said)), "/in/")
	if strings.Contains(string(log), token) {
		t.Error("a token is in the audit log")
	}
}
