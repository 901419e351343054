package archive

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gameday/report"
)

// Variables that make the test binary copy a record, and nothing else.
const (
	fromVariable = "GAMEDAY_TEST_COPY_FROM"
	toVariable   = "GAMEDAY_TEST_COPY_TO"
)

func TestMain(m *testing.M) {
	if from := os.Getenv(fromVariable); from != "" {
		c, err := Begin(os.Getenv(toVariable), from, "run-1", noon)
		if err == nil {
			err = c.Finish(context.Background(), from, noon)
		}
		if err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// call is one line of strace: when, its name, its arguments, and what it returned.
var call = regexp.MustCompile(`^([\d.]+) (\w+)\((.*)\) += (.*)$`)

// toggled is how Go's runtime looks whether a file can be waited for, which none of these can: no call to whoever keeps the file.
var toggled = regexp.MustCompile(`F_SETFL, O_(WR|RD)ONLY(\|O_NONBLOCK)?\|O_LARGEFILE$`)

// TestCalls has the kernel tell every system call that reaches the copy: those are what a bucket mounted as files takes.
func TestCalls(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	from, to, logs := record(t), t.TempDir(), t.TempDir()
	cmd := exec.Command(strace, "-ff", "-ttt", "-y", "-qq", "-s", "0", "-o", filepath.Join(logs, "calls"), self) // a file for each thread
	cmd.Env = append(os.Environ(), fromVariable+"="+from, toVariable+"="+to)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(logs, "calls.*"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Split(string(text), "\n")...)
	}
	slices.Sort(lines) // by time
	seen, last := map[string]int{}, ""
	for _, line := range lines {
		if !strings.Contains(line, to) || strings.Contains(line, " execve(") {
			continue
		}
		m := call.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			t.Errorf("not understood: %s", line)
			continue
		}
		name, args, answer := m[2], m[3], m[4]
		seen[name]++
		switch name {
		case "newfstatat", "fstat", "statx", "mkdirat", "write", "read", "close":
		case "openat":
			creates, reads := strings.Contains(args, "O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0666"), strings.HasSuffix(args, "O_RDONLY|O_CLOEXEC")
			if !creates && !reads {
				t.Errorf("opened otherwise: %s", line)
			}
			if creates {
				last = args
			}
		case "fcntl": // Go asks how a file was opened
			if !strings.HasSuffix(args, "F_GETFL") && !toggled.MatchString(args) {
				t.Errorf("%s", line)
			}
		case "epoll_ctl": // whether it can be waited for, which no file can
			if !strings.HasPrefix(answer, "-1 EPERM") {
				t.Errorf("%s", line)
			}
		default:
			t.Errorf("a call that a bucket may not take: %s", line)
		}
	}
	t.Log(seen)
	if seen["write"] < 6 || seen["mkdirat"] != 3 || !strings.Contains(last, report.WholeMark) {
		t.Errorf("calls %v, and the last file is %s", seen, last)
	}
}
