package archive

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gameday/internal/bucketrig"
	"gameday/internal/simrun"
	"gameday/report"
	"gameday/report/history"
	"gameday/report/trends"
)

// insideVariable says that the test binary runs in namespaces of its own, where it may mount.
const insideVariable = "GAMEDAY_TEST_IN_NAMESPACE"

// TestBucket copies a record into a bucket mounted as files, which refuses what such buckets refuse.
func TestBucket(t *testing.T) {
	if os.Getenv(insideVariable) == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self, "-test.run", "^TestBucket$", "-test.v", "-test.timeout", "60s")
		cmd.Env = append(os.Environ(), insideVariable+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		switch {
		case err == nil && strings.Contains(string(out), "--- SKIP"):
			t.Skip("it cannot be mounted here")
		case err != nil:
			t.Fatal(err)
		}
		return
	}
	at := t.TempDir()
	bucket, err := bucketrig.Mount(at)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	defer func() { _ = syscall.Unmount(at, syscall.MNT_DETACH) }()
	refuses(t, bucket, at)

	from := record(t)
	c := begin(t, at, from, "run-1")
	if err := report.CheckCopy(c.Dir); !errors.Is(err, report.ErrHalfCopied) {
		t.Errorf("one that has only begun: %v", err)
	}
	if err := c.Finish(t.Context(), from, noon); err != nil {
		t.Fatal(err)
	}
	if got := bucket.Refused(); len(got) > 0 {
		t.Errorf("copying asked for %q", got)
	}
	if err := report.CheckCopy(c.Dir); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"record.jsonl", "logs/shoppers.log", "empty"} {
		own, err := os.ReadFile(filepath.Join(from, name))
		there, err2 := os.ReadFile(filepath.Join(c.Dir, name))
		if err := errors.Join(err, err2); err != nil || string(own) != string(there) {
			t.Errorf("%s: %v, %d bytes of %d", name, err, len(there), len(own))
		}
	}
	readsThere(t, at)
	if all, _, err := report.Folders(at); err != nil || !slices.Contains(all, c.Dir) {
		t.Errorf("records are %q, %v", all, err)
	}
	if got := bucket.Refused(); len(got) > 0 {
		t.Errorf("reading asked for %q", got)
	}
}

// refuses shows that the bucket is one: what a record needs while its run goes on fails there.
func refuses(t *testing.T, bucket *bucketrig.Bucket, at string) {
	path := filepath.Join(at, "proof")
	if err := os.WriteFile(path, []byte("once"), 0o644); err != nil {
		t.Fatal(err)
	}
	for what, try := range map[string]func() error{
		"open to append": func() error {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			return errors.Join(err, f.Close())
		},
		"open to write again": func() error { f, err := os.OpenFile(path, os.O_RDWR, 0); return errors.Join(err, f.Close()) },
		"rename":              func() error { return os.Rename(path, path+"-2") },
		"unlink":              func() error { return os.Remove(path) },
		"setattr":             func() error { return os.Chmod(path, 0o600) },
		"write elsewhere than at the end": func() error {
			f, err := os.Create(filepath.Join(at, "holes"))
			if err != nil {
				return nil
			}
			_, err = f.WriteAt([]byte("x"), 100)
			return errors.Join(err, f.Close())
		},
	} {
		if err := try(); err == nil {
			t.Errorf("it allows: %s", what)
		}
		if got := bucket.Refused(); !slices.Contains(got, what) {
			t.Errorf("%s: it refuses %q", what, got)
		}
	}
}

// readsThere copies the record of a whole game day, and reads it in the bucket as report, history and trends do: it tells the same, and
// nothing is written beside it.
func readsThere(t *testing.T, at string) {
	from := filepath.Join(t.TempDir(), "day")
	if err := errors.Join(os.Mkdir(from, 0o755), simrun.WriteGameDay(from)); err != nil {
		t.Fatal(err)
	}
	c := begin(t, at, from, "day-1")
	if _, skipped, err := history.List(at, history.Options{Version: "test"}); err != nil || !slices.ContainsFunc(skipped, func(s history.Skipped) bool {
		return strings.Contains(s.Why, report.ErrHalfCopied.Error())
	}) {
		t.Errorf("history of one that has only begun: skipped %+v, %v", skipped, err)
	}
	if err := c.Finish(t.Context(), from, noon); err != nil {
		t.Fatal(err)
	}
	score := func(dir string) string {
		rec, err := report.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := report.JSON(&b, report.Score(rec)); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if score(from) != score(c.Dir) {
		t.Error("the copy tells something else than the record")
	}
	entries, skipped, err := history.List(at, history.Options{Version: "test"})
	if err != nil || len(entries) != 1 || entries[0].Folder != "day" {
		t.Errorf("history: %+v, skipped %+v, %v", entries, skipped, err)
	}
	if err := trends.Text(io.Discard, trends.Of(entries, skipped, noon)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(c.Dir, history.CacheFile)); err == nil {
		t.Error("something is remembered beside a copy")
	}
}
