package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// InsideVariable is set in the environment of tests that Test runs in a machine. A test that needs what the machine
// has, such as a kernel with emulated networks, is skipped without it and fails with it.
const InsideVariable = "GAMEDAY_VM_INSIDE"

// Outcome counts what a package's tests did in a machine, subtests included.
type Outcome struct {
	Passed, Failed, Skipped int
}

// Test builds the tests of a package, runs those that match run in a machine of their own, and fails if one fails, if
// none passes, or if they run longer than limit. What they print is in the log.
func Test(t testing.TB, pkg, run string, limit time.Duration) Outcome {
	t.Helper()
	return Start(t, Options{}).Test(t, pkg, run, limit)
}

// Test is as the function of that name, in a machine that is up. Several may run at once.
func (m *Machine) Test(t testing.TB, pkg, run string, limit time.Duration) Outcome {
	t.Helper()
	outcome, said, err := m.test(t.Context(), pkg, run, limit)
	t.Logf("%s -run %s in the machine:\n%s", pkg, run, said)
	if err := errors.Join(err, outcome.verdict()); err != nil {
		t.Fatalf("testing %s in the machine: %v", pkg, err)
	}
	return outcome
}

// verdict is an error unless something passed and nothing failed.
func (o Outcome) verdict() error {
	if o.Failed > 0 {
		return fmt.Errorf("%d tests failed", o.Failed)
	}
	if o.Passed == 0 {
		return fmt.Errorf("no test passed, %d were skipped: no data is never a pass", o.Skipped)
	}
	return nil
}

// test runs the tests, and returns what they printed whatever became of them.
func (m *Machine) test(ctx context.Context, pkg, run string, limit time.Duration) (o Outcome, said string, err error) {
	name := strings.ReplaceAll(strings.TrimPrefix(pkg, "gameday/"), "/", "-")
	binary := m.path(name + ".test")
	if err := build("test", "-c", "-ldflags=-s -w", "-o", binary, pkg); err != nil {
		return o, "", err
	}
	defer os.Remove(binary)
	dir := path.Join("/tests", name)
	if err := m.Copy(ctx, binary, path.Join(dir, "test")); err != nil {
		return o, "", err
	}
	source, err := exec.Command("go", "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		return o, "", fmt.Errorf("finding the folder of %s: %w", pkg, err)
	}
	data := filepath.Join(strings.TrimSpace(string(source)), "testdata")
	if _, err := os.Stat(data); err == nil {
		if err := m.CopyFolder(ctx, data, path.Join(dir, "testdata")); err != nil {
			return o, "", err
		}
	}
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	code, err := m.Exec(ctx, Command{
		Args: []string{"./test", "-test.v", "-test.run", run, "-test.timeout", limit.String()},
		Env:  []string{InsideVariable + "=1", "CI=true"}, Dir: dir, Stdout: &out, Stderr: &out})
	o = count(out.String())
	if err == nil && code != 0 && o.Failed == 0 {
		err = fmt.Errorf("they ended with %d", code)
	}
	return o, out.String(), err
}

// count reads the outcome from what tests print with -test.v.
func count(said string) Outcome {
	var o Outcome
	for line := range strings.Lines(said) {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "--- PASS: "):
			o.Passed++
		case strings.HasPrefix(line, "--- FAIL: "):
			o.Failed++
		case strings.HasPrefix(line, "--- SKIP: "):
			o.Skipped++
		}
	}
	return o
}
