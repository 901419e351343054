package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gameday/report"
	"gameday/schedules"
	"gameday/schedules/claims"
)

// tinyDay is a game day of four seconds that sends next to nothing to nobody.
const tinyDay = `scenario %q {
  timeline {
    baseline = "2s"
    load     = "1s"
    recovery = "1s"
  }
  traffic "nobody" {
    request "get" { url = "http://127.0.0.1:9/" }
    baseline { rate = 1 }
  }
  steady_state {
    expect "is sent" {
      that = sli.rate < 100
      over = "1s"
    }
  }
}
`

// servedDays is a calendar of schedules that come in the minutes from now, at random seconds, in the zone of the first minute.
func servedDays(many int, from, to time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "time_zone = %q\n", from.Location())
	for n := range many {
		fmt.Fprintf(&b, "schedule \"s%d\" {\n  scenarios = [\"day%d.hcl\"]\n  every = \"1d\"\n  moment = \"random\"\n  window {\n    from = %q\n    to = %q\n  }\n}\n",
			n, n, from.Format("15:04"), to.Format("15:04"))
	}
	return b.String()
}

// TestServeKilled kills a real server at random moments while real game days come due: each is begun once, goes on without the server, and has its
// record.
func TestServeKilled(t *testing.T) {
	t.Parallel()
	const many, kills = 6, 16
	from := time.Now().Truncate(time.Minute)
	from = from.In(noonAt(from).location(t))
	to := from.Add(2 * time.Minute)
	r := newRig(t)
	for n := range many {
		r.write(fmt.Sprintf("day%d.hcl", n), fmt.Sprintf(tinyDay, fmt.Sprintf("day%d", n)))
	}
	r.write("days.hcl", servedDays(many, from, to))
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("GAMEDAY_SERVE_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("the moments are those of GAMEDAY_SERVE_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	start := func() *exec.Cmd {
		c := r.command("serve", "days.hcl", "--listen", "127.0.0.1:0")
		said, err := os.Create(filepath.Join(r.dir, "said"))
		if err != nil {
			t.Fatal(err)
		}
		defer said.Close()
		c.Stderr = said
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Process.Kill() })
		return c
	}
	said := func() string { return readText(t, filepath.Join(r.dir, "said")) }
	for range kills {
		c := start()
		time.Sleep(time.Duration(random.Int64N(int64(5 * time.Second)))) // that is the moment, and what the test is about
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
	}
	c := start()
	all := r.settled(many, said)
	r.awaits("the last server serves", func() bool { return strings.Contains(said(), "serving days.hcl") }) // all may have been settled before it began
	if err := errors.Join(c.Process.Signal(os.Interrupt), c.Wait()); err != nil {
		t.Errorf("the last server ends with %v: %s", err, said())
	}
	records := map[string]int{}
	dirs, _, err := report.Folders(filepath.Join(r.dir, "runs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		rec, err := report.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if last := rec.Events[len(rec.Events)-1]; !slices.ContainsFunc(rec.Events, func(e report.Event) bool { return e.Kind == report.RunEnded }) {
			t.Errorf("%s ends with %s: the run did not go on", dir, last.Kind)
		}
		records[rec.Plan.Scenario]++
	}
	for _, k := range all {
		switch day := strings.Replace(k.Schedule, "s", "day", 1); {
		case k.Outcome == schedules.Skipped:
			t.Logf("%s is skipped: %s", k.Schedule, k.Why)
			if k.Why == "" || records[day] != 0 {
				t.Errorf("%s is skipped because of %q, and has %d records", k.Schedule, k.Why, records[day])
			}
		case records[day] != 1 || k.End == nil || len(k.End.Runs) != 1:
			t.Errorf("%s has %d records, and ended with %+v", k.Schedule, records[day], k.End)
		}
	}
	t.Logf("%d occasions, %d records", len(all), len(dirs))
	if len(dirs) < many/2 {
		t.Errorf("only %d of %d were begun: the test shows little", len(dirs), many)
	}
}

// write writes a file of the rig.
func (r *brakeRig) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// settled waits until so many occasions are settled and over.
func (r *brakeRig) settled(many int, said func() string) []claims.Kept {
	r.t.Helper()
	folder, err := claims.Open(filepath.Join(r.dir, "schedules", "days"))
	if err != nil {
		r.t.Fatal(err)
	}
	reader, poll, limit := folder.Reader(), time.NewTicker(100*time.Millisecond), time.After(3*time.Minute)
	defer poll.Stop()
	for {
		all, _, err := reader.Read()
		if err != nil {
			r.t.Fatal(err)
		}
		if len(all) >= many && !slices.ContainsFunc(all, func(k claims.Kept) bool { return k.Running }) {
			return all
		}
		select {
		case <-poll.C:
		case <-limit:
			text, _ := json.Marshal(all)
			r.t.Fatalf("what is settled after three minutes: %s\nthe server says %s", text, said())
		}
	}
}

// printedLink is the link that a server prints: where it serves, and the token that lets somebody in, empty when there is none.
func printedLink(out io.Reader) (base, token string) {
	for lines := bufio.NewScanner(out); token == "" && lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) == 3 {
			base, token, _ = strings.Cut(f[2], "/in/")
		}
	}
	return base, token
}

// TestServeKeepsPeople kills a server in which somebody has come in: they are in the next one as well. Where it cannot be read who was in, it serves
// all the same.
func TestServeKeepsPeople(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("day.hcl", fmt.Sprintf(tinyDay, "day"))
	r.write("days.hcl", noonAt(time.Now()).fill("time_zone = \"$NOON_ZONE\"\nschedule \"rare\" {\n  scenarios = [\"day.hcl\"]\n  cron = \"0 0 29 2 *\"\n}\n"))
	start := func(listen string) (kill func(), base, token string) {
		t.Helper()
		c := r.command("serve", "days.hcl", "--listen", listen, "--invite", "fay=facilitator")
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		c.Stderr = &r.out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Process.Kill() })
		if base, token = printedLink(out); token == "" {
			t.Fatalf("it prints no link, and says %s", &r.out)
		}
		return func() { _, _ = c.Process.Kill(), c.Wait() }, base, token
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	fay := http.Client{Jar: jar, Timeout: 20 * time.Second}
	in := func(base string) bool {
		t.Helper()
		answer, err := fay.Get(base + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode == http.StatusOK && bytes.Contains(text, []byte("fay")) && bytes.Contains(text, []byte("Stop everything"))
	}
	enter := func(base, token string) {
		t.Helper()
		answer, err := fay.PostForm(base+"/in", url.Values{"token": {token}})
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	// Cookies are named by the port, so the next server needs the same one. At an address of its own nobody else takes it in the meantime.
	kill, base, token := start("127.83.0.1:0")
	if enter(base, token); !in(base) {
		t.Fatal("the link lets nobody in")
	}
	kill()
	kill, _, _ = start(strings.TrimPrefix(base, "http://"))
	if !in(base) {
		t.Error("the next server knows nobody")
	}
	kill()
	r.write("schedules/.serve/door.json", "{")
	kill, _, token = start(strings.TrimPrefix(base, "http://"))
	if in(base) {
		t.Error("who was in is in, though nobody can read it")
	}
	if enter(base, token); !in(base) {
		t.Error("the new link lets nobody in")
	}
	kill()
	if text := r.out.String(); !strings.Contains(text, "it is set aside, and people need new links") {
		t.Errorf("it says %s", text)
	}
}
