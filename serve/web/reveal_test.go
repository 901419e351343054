package web_test

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/internal/siterig"
	"gameday/report"
	"gameday/room"
	"gameday/serve/web"
)

// killedRun is a site with a blind run that was killed, in a record that was last written some time ago.
func killedRun(t *testing.T, ago time.Duration) (k *rig, run web.Run, dir string) {
	t.Helper()
	d := &siterig.Data{Dirs: map[string]string{}}
	run = blindRun(&filler{salt: "a"}, siterig.Now.AddDate(0, 0, -2), false)
	d.R.All = append(d.R.All, run)
	dir = record(t)
	d.Dirs[run.Folder] = dir
	written := time.Now().Add(-ago)
	for _, name := range []string{report.EventsFile, report.PlanFile} {
		if err := os.Chtimes(filepath.Join(dir, name), written, written); err != nil {
			t.Fatal(err)
		}
	}
	return rigged(t, d), run, dir
}

// refused fails when revealing a run is not refused, said and in the audit log, or if anything of it shows or lies in its record afterwards.
func (k *rig) refused(t *testing.T, run web.Run, dir, why string) {
	t.Helper()
	before := files(t, dir)
	k.lines = nil
	w := k.ask(room.Facilitator, http.MethodPost, "/reveal/"+run.Folder, nil)
	if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "Nothing was revealed") || !strings.Contains(w.Body.String(), why) {
		t.Errorf("revealing is answered %d: %s", w.Code, w.Body)
	}
	if len(k.lines) != 1 || !strings.Contains(k.lines[0], "was kept from revealing the run "+run.Folder) {
		t.Errorf("the audit log has %q", k.lines)
	}
	if after := files(t, dir); after != before {
		t.Errorf("the record had %s, and has %s", before, after)
	}
	if strings.Contains(k.get(t, room.Observer, "/runs"), run.Scenario) {
		t.Error("an observer sees the run")
	}
}

// files names what lies in a folder.
func files(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, ", ")
}

// TestRevealCannotBeWritten has a file that nobody can write a byte to, as on a full disk: then nothing is revealed, as it says, and when
// there is room it is. It is tried in a process of its own: the limit holds for all that a process writes, also for what tests do.
func TestRevealCannotBeWritten(t *testing.T) {
	const alone = "GAMEDAY_TEST_NO_BYTE"
	if os.Getenv(alone) == "" {
		c := exec.Command(os.Args[0], "-test.v", "-test.run", "^"+t.Name()+"$")
		c.Env = append(os.Environ(), alone+"=1")
		if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("%v:\n%s", err, out)
		}
		return
	}
	k, run, dir := killedRun(t, time.Hour)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	full := limit
	full.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
				t.Fatal(err)
			}
		}()
		k.refused(t, run, dir, "file too large")
	}()
	if w := k.ask(room.Facilitator, http.MethodPost, "/reveal/"+run.Folder, nil); w.Code != http.StatusSeeOther {
		t.Errorf("with room for it: %d %s", w.Code, w.Body)
	}
	if !strings.Contains(k.get(t, room.Observer, "/runs"), run.Scenario) || strings.Contains(files(t, dir), "draft") {
		t.Errorf("it is not revealed, or something is left: %s", files(t, dir))
	}
}

// TestRevealWithoutEvents holds a run that was killed before its first event to the same: not while it may go on, and not in a copy.
func TestRevealWithoutEvents(t *testing.T) {
	k, run, dir := killedRun(t, time.Minute)
	if err := os.Remove(filepath.Join(dir, report.EventsFile)); err != nil {
		t.Fatal(err)
	}
	k.refused(t, run, dir, "changed within the last two minutes")
	old := time.Now().Add(-time.Hour)
	plan, mark := filepath.Join(dir, report.PlanFile), filepath.Join(dir, report.BegunMark)
	if err := errors.Join(os.Chtimes(plan, old, old), os.WriteFile(mark, []byte("{}"), 0o600)); err != nil {
		t.Fatal(err)
	}
	k.refused(t, run, dir, "it is a copy")
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	if w := k.ask(room.Facilitator, http.MethodPost, "/reveal/"+run.Folder, nil); w.Code != http.StatusSeeOther {
		t.Errorf("one that was killed long ago: %d %s", w.Code, w.Body)
	}
}

// TestRevealBlocked says that nothing was revealed where something else has the name of the file.
func TestRevealBlocked(t *testing.T) {
	k, run, dir := killedRun(t, time.Hour)
	if err := os.Mkdir(filepath.Join(dir, report.RevealedFile), 0o755); err != nil {
		t.Fatal(err)
	}
	k.refused(t, run, dir, "is no file")
}

// TestRevealedRoom: the room of a blind run that was killed, while it is open, is named on the start page once the run was revealed.
func TestRevealedRoom(t *testing.T) {
	k, run, _ := killedRun(t, time.Hour)
	k.data.Open = append(k.data.Open, web.Room{ID: "k1", Run: run.Folder, Scenario: run.Scenario, Blind: true, Began: run.Started})
	told := func() bool { return strings.Contains(k.get(t, room.Observer, "/"), "/rooms/k1/") }
	if told() {
		t.Error("an observer is told of the room while the run is hidden")
	}
	if w := k.ask(room.Facilitator, http.MethodPost, "/reveal/"+run.Folder, nil); w.Code != http.StatusSeeOther {
		t.Fatal(w.Code, w.Body)
	}
	if !told() {
		t.Error("an observer is not told of the room of a run that was revealed")
	}
}
