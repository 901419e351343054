package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/internal/bound"
	"gameday/report"
	"gameday/schedules"
	"gameday/schedules/claims"
)

// smallDisk is a server's disk of four megabytes, which nobody else on the machine sees: all that the server keeps is on it.
type smallDisk struct {
	*brakeRig
	server *exec.Cmd
	base   string
	fay    *http.Client
}

// path is a file of the disk, as this process reaches it.
func (d *smallDisk) path(names ...string) string {
	return filepath.Join(append([]string{fmt.Sprintf("/proc/%d/root", d.server.Process.Pid), d.dir, "disk"}, names...)...)
}

// fill leaves no byte of the disk.
func (d *smallDisk) fill() {
	d.t.Helper()
	f, err := os.Create(d.path("ballast"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			d.t.Fatal(err)
		}
	}
}

// said is what the server has said.
func (d *smallDisk) said() string { return readText(d.t, filepath.Join(d.dir, "said")) }

// page is what fay gets.
func (d *smallDisk) page(path string) (string, int) {
	d.t.Helper()
	v := &visitor{t: d.t, base: d.base, Client: *d.fay}
	return v.get(path)
}

// serveOnDisk starts a server whose disk is small, and lets fay in.
func serveOnDisk(t *testing.T, many int, calendar string) *smallDisk {
	t.Helper()
	d := &smallDisk{brakeRig: newRig(t)}
	d.write("days.hcl", calendar)
	for n := range many {
		d.write(fmt.Sprintf("day%d.hcl", n), fmt.Sprintf(tinyDay, fmt.Sprintf("day%d", n)))
	}
	if err := os.Mkdir(filepath.Join(d.dir, "disk"), 0o700); err != nil {
		t.Fatal(err)
	}
	own := []string{"serve", "days.hcl", "--listen", "127.0.0.1:0", "--invite", "fay=facilitator", "--state", "disk/schedules", "--runs", "disk/runs", "--audit", "disk/audit.jsonl"}
	d.server = exec.Command("sh", append([]string{"-c", `mount -t tmpfs -o size=4m tmpfs disk && exec ./gameday "$@"`, "sh"}, own...)...)
	said, err := os.Create(filepath.Join(d.dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	d.server.Dir, d.server.Stderr = d.dir, said
	d.server.Env = append(slices.Clone(d.env), "GAMEDAY_LEDGER="+filepath.Join(d.dir, "disk", "ledger"))
	d.server.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
	out, err := d.server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bound.Start(d.server, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			kept, _ := filepath.Glob(d.path("*", "*", "*"))
			t.Logf("on the disk are %q, and the server says %s", kept, d.said())
		}
		_, _ = d.server.Process.Kill(), d.server.Wait()
	})
	base, token := printedLink(out)
	if token == "" {
		t.Fatalf("it prints no link, and says %s", d.said())
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	d.base, d.fay = base, &http.Client{Jar: jar, Timeout: 20 * time.Second}
	answer, err := d.fay.PostForm(base+"/in", url.Values{"token": {token}})
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return d
}

// TestServeOnAFullDisk fills the disk on which a real server keeps everything, before game days come due. Its pages are there all the same, and
// say what is the matter; nothing is begun that could not be recorded. When there is space again all goes on: each that is still due is begun, once,
// and the pages show it.
func TestServeOnAFullDisk(t *testing.T) {
	t.Parallel()
	from := time.Now().Truncate(time.Minute).Add(time.Minute)
	if time.Until(from) < 15*time.Second {
		from = from.Add(time.Minute)
	}
	from = from.In(noonAt(from).location(t))
	var calendar strings.Builder
	fmt.Fprintf(&calendar, "time_zone = %q\n", from.Location())
	const many = 2
	for n := range many {
		fmt.Fprintf(&calendar, "schedule \"s%d\" {\n  scenarios = [\"day%d.hcl\"]\n  every = \"1d\"\n  window {\n    from = %q\n    to = %q\n  }\n}\n", n, n,
			from.Format("15:04"), from.Add(20*time.Minute).Format("15:04"))
	}
	d := serveOnDisk(t, many, calendar.String())
	shows := func(path string) func() bool {
		return func() bool {
			text, code := d.page(path)
			return code == http.StatusOK && strings.Contains(text, "day0") && strings.Contains(text, "day1")
		}
	}
	d.awaits("the pages show the calendar", shows("/calendar"))
	if !time.Now().Before(from) {
		t.Fatalf("the calendar took until %s to be seen", time.Now())
	}
	d.fill()
	d.awaits("it says that it cannot begin", func() bool {
		return strings.Contains(d.said(), "nothing can be written there: ") && strings.Contains(d.said(), "no space left")
	})
	for _, path := range []string{"/", "/calendar", "/runs", "/healthz"} {
		if text, code := d.page(path); code != http.StatusOK && path != "/healthz" {
			t.Errorf("with a full disk %s is %d %s", path, code, text)
		} else {
			t.Logf("with a full disk %s is %d, %d bytes", path, code, len(text))
		}
	}
	if runs, _ := filepath.Glob(d.path("runs", "*", report.EventsFile)); len(runs) > 0 {
		t.Errorf("with a full disk there are runs: %v", runs)
	}
	if err := os.Remove(d.path("ballast")); err != nil {
		t.Fatal(err)
	}
	folder, err := claims.Open(d.path("schedules", "days"))
	if err != nil {
		t.Fatal(err)
	}
	reader := folder.Reader()
	var all []claims.Kept
	d.awaits("both are over", func() bool {
		if all, _, err = reader.Read(); err != nil {
			t.Fatal(err)
		}
		return len(all) == many && !slices.ContainsFunc(all, func(k claims.Kept) bool { return k.Running || k.End == nil })
	})
	t.Logf("the server says %s", d.said())
	runs, err := filepath.Glob(d.path("runs", "*", report.EventsFile))
	if err != nil {
		t.Fatal(err)
	}
	if len(runs) != many {
		t.Errorf("there are the records %v, want one of each", runs)
	}
	for _, k := range all {
		if k.Outcome == schedules.Skipped || len(k.End.Runs) != 1 {
			t.Errorf("%s was %s (%s), with %+v", k.Schedule, k.Outcome, k.Why, k.End)
		}
	}
	d.awaits("the pages show the runs", shows("/runs"))
}
