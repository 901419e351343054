package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/internal/runrig"
	"gameday/rehearsals"
	"gameday/rehearsals/kept"
	"gameday/report"
	"gameday/scenarios"
)

// rehearsalRig is a folder with a calendar of two regions' rehearsals and the records that a test puts there.
type rehearsalRig struct {
	*testing.T
	began time.Time
}

const regions = `rehearsal "west-1" {
  scenarios = ["shop.hcl", "till.hcl"]
  variables = { region = "west-1" }
}
rehearsal "west-2" {
  scenarios = ["shop.hcl", "till.hcl"]
  variables = { region = "west-2" }
  sign_off  = ["sre"]
  require {
    coverage     = 50
    fresh_within = "2d"
  }
}
`

func newRehearsalRig(t *testing.T) *rehearsalRig {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("GAMEDAY_LEDGER", filepath.Join(dir, "ledger"))
	t.Cleanup(closeLooks)
	r := &rehearsalRig{T: t, began: time.Now().Add(-time.Hour)}
	r.write("launch.hcl", regions)
	for _, name := range []string{"shop", "till"} {
		r.write(name+".hcl", `variable "region" {
  type = string
}
scenario "`+name+`" {
  summary = "In ${var.region}."
  timeline {
    baseline = "8s"
    load     = "60s"
    recovery = "8s"
  }
  traffic "shoppers" {
    request "get" { url = "http://127.0.0.1:9/" }
    baseline { rate = 1 }
  }
  steady_state {
    expect "is sent" { that = sli.rate < 100 }
  }
}
`)
	}
	return r
}

func (r *rehearsalRig) write(name, text string) {
	r.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		r.Fatal(err)
	}
}

// ran leaves the record of a run of a scenario for a rehearsal, as `gameday rehearse` would: of requests of which a share fails.
func (r *rehearsalRig) ran(rehearsal, scenario string, failing float64) string {
	r.Helper()
	c, f := scenarios.LoadCalendar("launch.hcl", calendarOptions())
	if c == nil {
		r.Fatal(f.Diags)
	}
	s, ok := c.Rehearsal(rehearsal).Step(scenario)
	if !ok {
		r.Fatal("no such scenario")
	}
	r.began = r.began.Add(time.Minute)
	dir := recordIn(runsDir, scenario, r.began)
	w := runrig.New(1)
	w.Errors = failing
	rec := w.Run(filepath.Base(dir), r.began, 1)
	rec.Plan.Scenario = scenario
	l := kept.Label{Rehearsal: rehearsal, Scenario: scenario, Fingerprint: s.Fingerprint, Variables: s.Item.Vars, At: r.began}
	if err := errors.Join(kept.WriteLabel(dir, l), runrig.Write(dir, rec)); err != nil {
		r.Fatal(err)
	}
	return dir
}

// gameday runs a command line here, and returns what it prints and its exit code.
func (r *rehearsalRig) gameday(args ...string) (out, said string, code int) {
	r.Helper()
	var o, e bytes.Buffer
	err := root(&o, &e).execute(args)
	var c *codeError
	switch {
	case errors.As(err, &c):
		code = c.code
	case err != nil:
		code = exitUsage
	}
	if err != nil {
		e.WriteString(err.Error())
	}
	return o.String(), e.String(), code
}

// wants runs a command line, and expects its exit code and what it says.
func (r *rehearsalRig) wants(code int, line string, want ...string) string {
	r.Helper()
	out, said, got := r.gameday(strings.Fields(line)...)
	text := strings.Join(strings.Fields(out+" "+said), " ")
	for _, w := range want {
		if !strings.Contains(text, w) {
			r.Errorf("%s says\n%s\n%s\nand not %q", line, out, said, w)
		}
	}
	if got != code {
		r.Errorf("%s exits %d, not %d, and says\n%s\n%s", line, got, code, out, said)
	}
	return out
}

// TestRehearsalOfRegions goes through the rehearsals of two regions: one scenario fails in the second, no-go; it is mended, not yet known,
// for nobody has signed; it is signed for, go; the evidence is packed, verified, and one byte of it changed.
func TestRehearsalOfRegions(t *testing.T) {
	r := newRehearsalRig(t)
	r.wants(2, "rehearse launch.hcl", "has 2 rehearsals: west-1, west-2; name one")
	r.wants(2, "rehearse launch.hcl west-3", `has no rehearsal "west-3"`, "did you mean")
	r.wants(3, "rehearse launch.hcl west-1 --show", "NOT YET KNOWN rehearsal west-1", "shop: it was not run yet.", "till: it was not run yet.")
	if _, err := os.Stat(runsDir); err == nil {
		t.Error("looking makes a folder")
	}
	r.ran("west-1", "shop", 0)
	r.ran("west-1", "till", 0)
	r.wants(0, "rehearse launch.hcl west-1 --show", "GO rehearsal west-1")

	r.ran("west-2", "shop", 0)
	failed := r.ran("west-2", "till", 0.4)
	r.wants(1, "rehearse launch.hcl west-2 --show", "NO-GO rehearsal west-2", "till: it failed: ", "sign-off of sre: nobody has signed.", "beside rehearsal west-1", "worse")
	r.ran("west-2", "till", 0)
	out := r.wants(3, "rehearse launch.hcl west-2 --show", "NOT YET KNOWN", "till was run once before: "+filepath.Base(failed)+" failed.")
	var card rehearsals.Scorecard
	if err := json.Unmarshal([]byte(r.wants(3, "rehearse launch.hcl west-2 --show --json")), &card); err != nil || card.State != rehearsals.NotYetKnown || !strings.Contains(out, card.Digest) || len(card.Why) != 1 {
		t.Fatalf("%v, as JSON it is %s for %q", err, card.State, card.Why)
	}

	sign := "sign-off launch.hcl west-2 --by ann --saw " + card.Digest[:8]
	r.wants(2, sign+" --as boss", "asks for the sign-off of sre")
	r.wants(2, "sign-off launch.hcl west-1 --as sre", "rehearsal west-1 asks for no sign-off")
	r.wants(2, "sign-off launch.hcl west-2 --as sre --by ann --saw "+strings.Repeat("0", 64), "is not what there is now", "Nothing was signed")
	r.wants(2, "sign-off launch.hcl west-2 --as sre --by ann", "say what was seen: --saw")
	r.wants(2, sign+" --as sre --refuse", "say why it is refused")
	r.wants(1, sign+" --as sre --refuse --why pager", "NO-GO", "sign-off of sre: ann refused at", "pager")
	r.wants(0, sign+" --as sre", "GO rehearsal west-2", "ann signed at")
	r.wants(0, "audit", "sign off", "as sre refused", "as sre signed", "who saw "+card.Digest)

	r.wants(2, "rehearse launch.hcl west-2 --show --sign key", "name its file with --bundle")
	r.wants(2, "rehearse launch.hcl west-2 --show --bundle no/such/launch.zip", "there is no folder no/such")
	r.wants(0, "rehearse launch.hcl west-2 --show --bundle launch.zip", "the evidence is in launch.zip", "lines about the run")
	r.wants(0, "verify launch.zip", "WHOLE launch.zip", "those of 3 records were derived again, and are the same", "nobody signed it", "says go, by its records")
	r.wants(2, "verify nowhere.zip", "opening the bundle")
	r.wants(1, "verify launch.hcl", "is no bundle that can be verified")
	r.wants(2, "verify launch.zip --allowed-signers nobody", "reading the allowed signers")
	r.elsewhere()
	r.changes()
	r.signs()

	r.ran("west-2", "shop", 0) // run again: the sign-off is of something else
	r.wants(3, "rehearse launch.hcl west-2 --show", "what was signed for has changed since")
	r.write("till.hcl", strings.Replace(readText(t, "till.hcl"), "rate = 1 ", "rate = 2 ", 1))
	r.wants(3, "rehearse launch.hcl west-2 --show", "till: the scenario or its variables were changed since the run", "which passed")
	r.wants(3, "rehearse launch.hcl west-1 --show", "till: the scenario or its variables were changed since the run")
}

func readText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// elsewhere verifies where there is no place for what is unpacked: of the bundle that says nothing.
func (r *rehearsalRig) elsewhere() {
	r.Helper()
	was, _ := os.LookupEnv("TMPDIR")
	r.Setenv("TMPDIR", filepath.Join(r.TempDir(), "nowhere"))
	r.wants(3, "verify launch.zip", "launch.zip cannot be verified here", "no such file or directory")
	r.Setenv("TMPDIR", was)
}

// changes changes one byte of a record in the bundle.
func (r *rehearsalRig) changes() {
	r.Helper()
	b := []byte(readText(r.T, "launch.zip"))
	at := bytes.Index(b, []byte(`"phase":"load"`))
	if at < 0 {
		r.Fatal("the bundle has no load phase")
	}
	b[at+9] = 'r'
	r.write("changed.zip", string(b))
	r.wants(1, "verify changed.zip", "CHANGED changed.zip", "/record.jsonl: byte ", "it is 'r', and was 'l'", "what is packed is not what follows from the records")
	r.wants(1, "verify changed.zip --json", `"exit_code": 1`, `"archive_byte": `)
	r.write("cut.zip", string(b[:len(b)/2]))
	r.wants(1, "verify cut.zip", "it is cut off")
}

// signs signs the bundle with a key, and asks who may.
func (r *rehearsalRig) signs() {
	r.Helper()
	program, err := exec.LookPath("ssh-keygen")
	if err != nil {
		if os.Getenv("CI") != "" {
			r.Fatal(err)
		}
		return
	}
	if out, err := exec.Command(program, "-q", "-t", "ed25519", "-N", "", "-C", "ann", "-f", "key").CombinedOutput(); err != nil {
		r.Fatalf("%v: %s", err, out)
	}
	r.write("allowed", "ann@example.org "+readText(r.T, "key.pub"))
	r.write("others", "")
	r.wants(0, "rehearse launch.hcl west-2 --show --bundle signed.zip --sign key", "the evidence is in signed.zip")
	r.wants(0, "verify signed.zip", "the key SHA256:", "nobody vouched for whose that is")
	r.wants(0, "verify signed.zip --allowed-signers allowed", "ann@example.org signed it with the key SHA256:")
	r.wants(1, "verify signed.zip --allowed-signers others", "NOT SIGNED AS ASKED", "is none of others")
	r.wants(1, "verify launch.zip --allowed-signers allowed", "NOT SIGNED AS ASKED", "nobody signed it")
}

// TestRehearsalRefused takes a damaged record for what it is, and does not run what somebody else runs.
func TestRehearsalRefused(t *testing.T) {
	r := newRehearsalRig(t)
	dir := r.ran("west-1", "shop", 0)
	if err := os.WriteFile(filepath.Join(dir, report.PlanFile), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.wants(3, "rehearse launch.hcl west-1 --show", "shop: the record "+filepath.Base(dir)+" cannot be judged: reading plan.json:1:")
	unlock, err := lockRehearsal(runsDir, "west-1")
	if err != nil {
		t.Fatal(err)
	}
	r.wants(2, "rehearse launch.hcl west-1", "somebody runs rehearsal west-1 in runs now")
	unlock()
}

// TestRehearsalDoubt has a label that nobody can read: the run may be the newest of this rehearsal, and may have failed.
func TestRehearsalDoubt(t *testing.T) {
	r := newRehearsalRig(t)
	r.ran("west-1", "shop", 0)
	r.ran("west-1", "till", 0)
	r.wants(0, "rehearse launch.hcl west-1 --show", "GO rehearsal west-1")
	failed := r.ran("west-1", "till", 0.4)
	r.write(filepath.Join(failed, kept.LabelFile), "{")
	r.wants(3, "rehearse launch.hcl west-1 --show", "NOT YET KNOWN rehearsal west-1", "reading the label runs/"+filepath.Base(failed)+"/rehearsal.json", "may be of this rehearsal: mend it, or move the record away")
	r.wants(3, "rehearse launch.hcl west-1 --show --json", `"state": "not yet known"`, `"exit_code": 3`)
	r.wants(2, "rehearse launch.hcl west-1 --show --bundle launch.zip", "packing: reading the label runs/")
	if err := os.Rename(failed, "elsewhere"); err != nil {
		t.Fatal(err)
	}
	r.wants(0, "rehearse launch.hcl west-1 --show", "GO rehearsal west-1")
	r.write(filepath.Join("runs", kept.SignOffsFile), "{\n")
	r.wants(0, "rehearse launch.hcl west-1 --show", "GO rehearsal west-1") // nobody is asked to sign for it
	r.write("launch.hcl", strings.Replace(regions, `region = "west-1" }`, "region = \"west-1\" }\n  sign_off = [\"sre\"]", 1))
	r.wants(3, "rehearse launch.hcl west-1 --show", "NOT YET KNOWN rehearsal west-1", "1 line(s) of runs/sign-offs.jsonl cannot be read, and may refuse to sign")
}

// TestPrefixed writes whole lines of several that print at once.
func TestPrefixed(t *testing.T) {
	r := &rehearsing{}
	var b bytes.Buffer
	one, two := &prefixed{mu: &r.mu, to: &b, head: "one | "}, &prefixed{mu: &r.mu, to: &b, head: "two | "}
	for _, x := range []struct {
		to   *prefixed
		text string
	}{{one, "a"}, {two, "x\ny"}, {one, "b\n\nc"}, {two, "z\n"}} {
		if n, err := x.to.Write([]byte(x.text)); n != len(x.text) || err != nil {
			t.Fatal(n, err)
		}
	}
	one.flush()
	two.flush()
	if want := "two | x\none | ab\none | \ntwo | yz\none | c\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
