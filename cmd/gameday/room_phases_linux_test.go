package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gameday/report"
)

// streams returns what comes by every stream that the room serves, of each until it has told how things are and for a moment more.
func (p player) streams(all []served) string {
	p.t.Helper()
	var told strings.Builder
	for _, e := range all {
		if strings.HasPrefix(e.path, "/stream") {
			p.listen(e, &told)
		}
	}
	return told.String()
}

// listen reads one stream.
func (p player) listen(e served, told *strings.Builder) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	over := time.AfterFunc(20*time.Second, cancel)
	defer over.Stop()
	q, err := http.NewRequestWithContext(ctx, e.method, p.base+e.path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := p.Do(q)
	if err != nil {
		return
	}
	defer r.Body.Close()
	fmt.Fprintln(told, e, r.StatusCode, r.Header)
	lines, now := bufio.NewReader(r.Body), false
	for {
		line, err := lines.ReadString('\n')
		told.WriteString(line)
		if err != nil { // the moment is over
			return
		}
		if !now && strings.HasPrefix(line, "event: now") {
			now = true
			over.Reset(300 * time.Millisecond)
		}
	}
}

// TestBlindInEveryPhase tries all that the room of a real run serves, and every stream, in each of the run's phases, with faults that stand and
// when they are gone: a facilitator holds the timeline meanwhile. When the run is over, all is shown.
func TestBlindInEveryPhase(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it is a whole game day")
	}
	d, link := startDay(t, strings.NewReplacer(`load     = "5m"`, "ramp     = \"3s\"\n    load     = \"10s\"", `recovery = "1s"`, `recovery = "5s"`, `at       = "4m10s"`, `at       = "2s"`, `at       = "4m"`, `at       = "1s"`,
		`at     = "4m30s"`, `at     = "8s"`, `duration = "60s"`, `duration = "5s"`, `duration = "45s"`, `duration = "5s"`).Replace(theDay()))
	fay := comeIn(t, link)
	over := make(chan heard, 1)
	for n, phase := range []report.Phase{report.Baseline, report.Ramp, report.Load, report.Recovery} {
		d.wait(report.PhaseStarted, n+1)
		if phase == report.Load {
			d.wait(report.Injected, 1+kakapos)
		}
		held := false
		for range 100 { // in the moment in which a phase begins nobody can
			if _, code := fay.post("/do/hold", nil); code == http.StatusOK {
				held = true
				break
			}
			time.Sleep(600 * time.Millisecond)
		}
		if !held {
			t.Fatalf("the %s phase cannot be held", phase)
		}
		for _, role := range []string{"responder", "observer"} {
			text, code := fay.post("/links", url.Values{"name": {fmt.Sprint(role, n)}, "role": {role}})
			theirs, _, _ := strings.Cut(roomLink.FindString(text), `"`)
			if code != http.StatusOK || theirs == "" {
				t.Fatalf("no link is made: %d %s", code, text)
			}
			p := player{comeIn(t, theirs)}
			want := map[report.Phase]string{report.Baseline: "baseline", report.Ramp: "ramp", report.Load: "under load", report.Recovery: "under load"}[phase]
			page, _ := p.get("/")
			for deadline := time.Now().Add(10 * time.Second); !strings.Contains(page, `<span class="stage">`+want) || !strings.Contains(page, "Held."); page, _ = p.get("/") {
				if time.Now().After(deadline) { // the room looks four times a second
					t.Fatalf("in the %s phase, which is held, a %s sees\n%s", phase, role, page)
				}
				time.Sleep(50 * time.Millisecond)
			}
			streamed := p.streams(d.all)
			told, codes := p.tryAll(d.all)
			hidesIn(t, "a "+role+" who tries everything", "in the "+string(phase)+" phase", page+streamed+told)
			if codes[http.StatusTooManyRequests]+codes[http.StatusUnauthorized] > 0 || codes[http.StatusForbidden] < 9 || codes[http.StatusOK] < 4 || strings.Count(streamed, "event: now") < 6 {
				t.Errorf("in the %s phase a %s who tries everything is answered %v, and told %d times", phase, role, codes, strings.Count(streamed, "event: now"))
			}
		}
		if got, _ := count(d.events(), report.PhaseStarted); got != n+1 {
			t.Errorf("the %s phase was over while everything was tried", phase)
		}
		if phase == report.Recovery {
			text, _ := fay.post("/links", url.Values{"name": {"ann"}, "role": {"responder"}})
			theirs, _, _ := strings.Cut(roomLink.FindString(text), `"`)
			open, err := comeIn(t, theirs).open() // before the phase goes on, after which the run ends, and the room with it
			if err != nil {
				t.Fatal(err)
			}
			go func() { over <- open.hear("cassowary") }()
		}
		if text, code := fay.post("/do/release", nil); code != http.StatusOK {
			t.Fatalf("releasing the %s phase: %d %s", phase, code, text)
		}
	}
	if end := <-over; end.err != nil || !strings.Contains(end.text, "wallaroo") || !strings.Contains(end.text, "Nothing is hidden any more") {
		t.Errorf("at the end a responder is told %v\n%s", end.err, end.text)
	}
	d.cmd.Wait()
}
