package main

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/rehearsals/bundle"
	"gameday/rehearsals/kept"
)

// regionDay is a game day in a region: its name, and its fault.
const regionDay = `variable "region" {
  type = string
}
variable "endpoint" {
  type = string
}
variable "port" {
  type = number
}
variable "restart" {
  default = "always"
}

lab "regions" {
  node "west-1" {
    process "web-1" {
      command       = ["world", "-listen", ":8081"]
      listen        = 8081
      restart       = var.restart
      restart_delay = "500ms"
    }
  }
  node "west-2" {
    process "web-2" {
      command       = ["world", "-listen", ":8082"]
      listen        = 8082
      restart       = var.restart
      restart_delay = "500ms"
    }
  }
}

alarms "builtin" "main" {
  rule "WebFailing" {
    when   = sli.error_ratio > 0.2
    over   = "1s"
    labels = { severity = "page" }
  }
}

scenario "%[1]s" {
  summary = "In ${var.region}."
  timeline {
    baseline = "2s"
    load     = "6s"
    recovery = "2s"
  }
  traffic "visitors" {
    request "get" { url = "${var.endpoint}/" }
    baseline { rate = 10 }
  }
  steady_state {
    expect "availability" {
      that = sli.error_ratio < 0.05
      over = "1s"
    }
  }
  target "web" {
    process {
      listen = var.port
    }
  }
  target "node" {
    node {
      name = var.region
    }
  }
%[2]s
  score { pass = 60 }
}
`

// regionFaults are the faults of the five scenarios.
var regionFaults = map[string]string{
	"crash": `  fault "process_kill" "crash" {
    target          = target.web
    at              = "1s"
    restarts_within = "3s"
  }`,
	"freeze": `  fault "process_pause" "freeze" {
    target   = target.web
    at       = "1s"
    duration = "2s"
  }`,
	"stuck": `  fault "command" "stuck" {
    target   = target.web
    inject   = ["sh", "-c", "kill -STOP $GAMEDAY_PID"]
    effect   = ["sh", "-c", "grep '^State:.T' /proc/$GAMEDAY_PID/status"]
    revert   = ["sh", "-c", "kill -CONT $GAMEDAY_PID"]
    at       = "1s"
    duration = "2s"
  }`,
	"cut": `  fault "network_partition" "cut" {
    target   = target.node
    to       = ["198.18.0.0/15"]
    action   = "reject"
    at       = "1s"
    duration = "2s"
  }`,
	"reboot": `  fault "node_restart" "reboot" {
    target   = target.node
    at       = "1s"
    down_for = "1s"
  }`,
}

// regionCalendar has the rehearsals of two regions; in the second nobody restarts what crashed.
func regionCalendar() string {
	var b strings.Builder
	for i := range 2 {
		fmt.Fprintf(&b, "rehearsal \"launch-west-%d\" {\n", i+1)
		for n, name := range regionNames() {
			fmt.Fprintf(&b, "  scenario \"%s.hcl\" {\n    lane = %q\n", name, []string{"a", "b"}[n%2])
			if name == "crash" && i == 1 {
				b.WriteString("    variables = { restart = \"never\" }\n")
			}
			b.WriteString("  }\n")
		}
		fmt.Fprintf(&b, "  variables = {\n    region   = \"west-%d\"\n    endpoint = \"http://west-%d:808%d\"\n    port     = \"808%d\"\n  }\n", i+1, i+1, i+1, i+1)
		if i == 1 {
			b.WriteString("  require {\n    score        = 60\n    fresh_within = \"1d\"\n  }\n  sign_off = [\"sre\"]\n")
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func regionNames() []string { return []string{"crash", "freeze", "cut", "stuck", "reboot"} }

// regionRig is a folder with them, and the programs.
type regionRig struct{ *rehearsed }

// runs a command line, and expects its exit code and what it says.
func (r *regionRig) wants(code int, line string, want ...string) string {
	r.t.Helper()
	c := r.command(strings.Fields(line)...)
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(out)), " ")
	for _, w := range want {
		if !strings.Contains(text, w) {
			r.t.Errorf("%s does not say %q, but\n%s", line, w, out)
		}
	}
	if got := c.ProcessState.ExitCode(); got != code {
		r.t.Fatalf("%s exits %d, not %d:\n%s", line, got, code, out)
	}
	return string(out)
}

// TestTwoRegions is the rehearsal of a launch as it goes: five scenarios in two regions, really run. One fails in the second region: no-go, with
// the reason. It is mended, and run again alone. Somebody signs: go. The evidence is packed, signed, verified, and whatever byte of it is
// changed is named.
func TestTwoRegions(t *testing.T) {
	t.Parallel()
	if !canLab(t) {
		t.Skip("this system forbids labs")
	}
	keygen := installed(t, "ssh-keygen")
	began := time.Now()
	r := &regionRig{newRehearsed(t, regionCalendar(), "", "")}
	for name, fault := range regionFaults {
		r.write(name+".hcl", fmt.Sprintf(regionDay, name, fault))
	}
	r.write("policy.hcl", "kinds {\n  allow = [\"process_kill\", \"process_pause\", \"command\", \"network_partition\", \"node_restart\"]\n}\n")

	// Both at the same time.
	one, two := r.begin("launch-west-1", "--policy", "policy.hcl"), r.begin("launch-west-2", "--policy", "policy.hcl")
	r.ends(two, 1, "NO-GO rehearsal launch-west-2", "crash: it failed: ", "; missed: ")
	r.await("the other ends", func() bool { return isClosed(one.ended) })
	r.wants(0, "rehearse launch.hcl launch-west-1 --show", "GO rehearsal launch-west-1")
	out := r.wants(1, "rehearse launch.hcl launch-west-2 --show", "beside rehearsal launch-west-1", "of 5 scores here", "1 worse")
	t.Logf("after %v:\n%s", time.Since(began).Round(time.Second), out)
	r.wants(1, "sign-off launch.hcl launch-west-2 --as sre --by ann --saw "+seenIn(t, out), "ann signed at", "NO-GO")

	// Mended.
	calendar := readText(t, filepath.Join(r.dir, "launch.hcl"))
	r.write("launch.hcl", strings.Replace(calendar, `restart = "never"`, `restart = "always"`, 1))
	r.wants(3, "rehearse launch.hcl launch-west-2 --show", "crash: the scenario or its variables were changed since the run", "which failed", "what was signed for has changed since")
	r.ends(r.begin("launch-west-2", "--policy", "policy.hcl"), 3, "to be run in lane a: crash", "go already, and not run again: freeze, cut, stuck, reboot",
		"NOT YET KNOWN", "sign-off of sre: ann signed at", "and what was signed for has changed since: crash was run after that", "crash was run once before: ")
	out = r.wants(3, "rehearse launch.hcl launch-west-2 --show")
	r.wants(0, "sign-off launch.hcl launch-west-2 --as sre --by ann --saw "+seenIn(t, out), "GO rehearsal launch-west-2", "ann signed at")
	t.Logf("signed after %v", time.Since(began).Round(time.Second))

	// Packed.
	pack := "rehearse launch.hcl launch-west-2 --show --bundle launch.zip"
	if keygen {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ann", "-f", filepath.Join(r.dir, "key")).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		r.write("allowed", "ann@example.org "+readText(t, filepath.Join(r.dir, "key.pub")))
		pack += " --sign key"
	}
	if out := r.wants(0, pack); strings.Contains(out, "not in the bundle") {
		t.Errorf("something is missing:\n%s", out)
	}
	verify := "verify %s"
	if keygen {
		verify += " --allowed-signers allowed"
	}
	words := r.wants(0, fmt.Sprintf(verify, "launch.zip"), "WHOLE launch.zip", "those of 6 records were derived again, and are the same", "says go, by its records")
	t.Logf("verified after %v:\n%s", time.Since(began).Round(time.Second), words)
	b := []byte(readText(t, filepath.Join(r.dir, "launch.zip")))
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err == nil {
		err = os.CopyFS(filepath.Join(r.dir, "unpacked"), z)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := r.wants(0, fmt.Sprintf(verify, "unpacked")); got != strings.ReplaceAll(words, "launch.zip", "unpacked") {
		t.Errorf("of the folder it says\n%s", got)
	}
	r.everyRegion(b, z, verify)
	t.Logf("all of it took %v", time.Since(began).Round(time.Second))
}

func (r *regionRig) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

var seenLine = regexp.MustCompile(`(?m)^ what was seen  ([0-9a-f]{64})$`)

// seenIn returns the digest below a scorecard.
func seenIn(t *testing.T, text string) string {
	t.Helper()
	m := seenLine.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("there is no digest below\n%s", text)
	}
	return m[1]
}

// part is one byte of a bundle, of which kind its place is, and which file it belongs to.
type part struct {
	kind, file string
	at         int64
}

// parts returns bytes of all kinds of places in an archive: of each file's content the first, the middle and the last one; of headers, of the
// directory and of the archive's end every field.
func parts(t *testing.T, b []byte, z *zip.Reader) []part {
	t.Helper()
	var out []part
	directory := int64(binary.LittleEndian.Uint32(b[len(b)-6:])) // behind the signature of the end, sixteen bytes
	for i, f := range z.File {
		at, err := f.DataOffset()
		if err != nil {
			t.Fatal(err)
		}
		kind := path.Dir(f.Name)
		switch n := path.Base(f.Name); {
		case strings.HasPrefix(f.Name, "records/") && n != "plan.json" && n != "record.jsonl" && n != kept.LabelFile:
			kind = "another file of a record"
		case strings.HasPrefix(f.Name, "records/") || strings.HasPrefix(f.Name, "reports/"):
			kind = n
		case kind == ".":
			kind = f.Name
		}
		if n := int64(f.UncompressedSize64); n > 0 {
			for _, x := range slices.Compact([]int64{0, n / 2, n - 1}) {
				out = append(out, part{kind, f.Name, at + x})
			}
		}
		header := at - int64(len(f.Name)) - 30
		if i == 0 || i == len(z.File)/2 || i == len(z.File)-1 {
			for x := range int64(30 + len(f.Name)) {
				out = append(out, part{"the header of a file", f.Name, header + x})
			}
			for x := range int64(46 + len(f.Name)) {
				out = append(out, part{"the directory", f.Name, directory + x})
			}
		}
		directory += int64(46 + len(f.Name))
	}
	for x := int64(len(b) - 22); x < int64(len(b)); x++ {
		out = append(out, part{"the archive's end", "", x})
	}
	return out
}

// everyRegion changes one byte of every kind of place in the bundle: reading names the byte each time, and `gameday verify` says so of one of
// each kind.
func (r *regionRig) everyRegion(b []byte, z *zip.Reader, verify string) {
	r.t.Helper()
	told := map[string]bool{}
	all := parts(r.t, b, z)
	for _, p := range all {
		b[p.at] ^= 0x01
		a, err := bundle.Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			r.t.Fatalf("byte %d, in %s of %q: %v", p.at, p.kind, p.file, err)
		}
		switch {
		case len(a.Findings) != 1 || a.Findings[0].Archive != p.at || a.Findings[0].File != p.file || a.Findings[0].Place == "":
			r.t.Errorf("byte %d, in %s of %q: found %v", p.at, p.kind, p.file, a.Findings)
		case !told[p.kind]:
			told[p.kind] = true
			r.write("changed.zip", string(b))
			r.wants(1, fmt.Sprintf(verify, "changed.zip"), "CHANGED changed.zip", strings.Join(strings.Fields(a.Findings[0].String()), " "))
		}
		b[p.at] ^= 0x01
	}
	want := []string{"audit", "calendar", "manifest.json", "plan.json", "policies", "record.jsonl", "rehearsal", "rehearsal.json", "report.html", "scorecard.json", "seal.json",
		"the archive's end", "the directory", "the header of a file"}
	if strings.Contains(verify, "allowed") {
		want = append(want, "manifest.json.sig")
	}
	for _, kind := range want {
		if !told[kind] {
			r.t.Errorf("no byte of %s was changed", kind)
		}
	}
	r.t.Logf("%d bytes were changed one by one, and %d of them verified as a whole, one of each kind of place", len(all), len(told))
}
