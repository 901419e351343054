package guard_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/faults/network"
	"gameday/faults/process"
)

// roleVariable makes the test binary a guard with the marker kind, or something that is none.
const roleVariable = "GAMEDAY_GUARD_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "guard":
		os.Exit(guard.Main([]faults.Kind{marker()}, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	case "kernel":
		os.Exit(guard.Main(kernelKinds(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	case "older":
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		fmt.Println(`{"seq":1,"welcome":{"protocol":0,"version":"v0.1.0"}}`)
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	case "broken":
		fmt.Fprintln(os.Stderr, "sudo: a password is required")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// kernelKinds lapse in three ways: in the kernel, only by a guard with a proof that takes its time, and only by a guard.
func kernelKinds() []faults.Kind {
	return []faults.Kind{network.PartitionKind(), process.PauseKind(), marker()}
}

func guardAs(t *testing.T, role string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GORACE=atexit_sleep_ms=0")
	return cmd
}

func askMarker(dir, id, config string) guard.InjectRequest {
	return guard.InjectRequest{ID: id, Fault: "mark", Kind: "marker", Config: json.RawMessage(config),
		Place: faults.Place{Name: dir}, Lease: time.Minute, Deadline: time.Minute}
}

// TestStartFailures starts what is no guard: the error says why.
func TestStartFailures(t *testing.T) {
	for role, want := range map[string]string{"older": "install the same version", "broken": "a password is required"} {
		if _, err := guard.Start(t.Context(), guardAs(t, role)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", role, err, want)
		}
	}
	if _, err := guard.Start(t.Context(), exec.Command("/no/such/guard")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no program: %v", err)
	}
}

// TestPanicInAProcess panics in a real guard: the other mark is wiped, and the client hears of the panic.
func TestPanicInAProcess(t *testing.T) {
	marks := t.TempDir()
	ledger := filepath.Join(t.TempDir(), "ledger")
	c, err := guard.Start(t.Context(), guardAs(t, "guard", "--ledger", ledger))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Inject(t.Context(), askMarker(marks, "i1", `{}`)); err != nil {
		t.Fatal(err)
	}
	_, err = c.Inject(t.Context(), askMarker(marks, "i2", `{"panic":true}`))
	if err == nil || !strings.Contains(err.Error(), "on purpose") {
		t.Errorf("injecting: %v", err)
	}
	<-c.Ended()
	err = c.Err()
	if err == nil || !strings.Contains(err.Error(), "exit status 1") ||
		!strings.Contains(err.Error(), "on purpose") {
		t.Errorf("the guard ended with %v", err)
	}
	for _, dir := range []string{marks, ledger} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left in %s: %v, %v", dir, left, err)
		}
	}
	if err := c.Close(context.Background()); err == nil {
		t.Error("Close hides how the guard ended")
	}
}

// TestDeafClient closes the guard's standard output while a fault stands: the guard lives on until the end of its
// input.
func TestDeafClient(t *testing.T) {
	marks := t.TempDir()
	cmd := guardAs(t, "guard", "--ledger", filepath.Join(t.TempDir(), "ledger"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := json.Marshal(map[string]any{"seq": 1, "op": "inject", "inject": askMarker(marks, "i1", `{}`)})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(in, "%s\n", line)
	if reply, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.Contains(reply, "marked") {
		t.Fatalf("reply %q, %v", reply, err)
	}
	out.Close()
	for range 100 {
		if _, err := fmt.Fprintln(in, `{"seq":2,"op":"list"}`); err != nil {
			t.Fatalf("the guard died of a closed pipe: %v", err)
		}
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, stderr.String())
	}
	if left, err := os.ReadDir(marks); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestNoLedgerNoFault takes the ledger away: injecting is refused and nothing is touched.
func TestNoLedgerNoFault(t *testing.T) {
	marks := t.TempDir()
	ledger := filepath.Join(t.TempDir(), "ledger")
	c, err := guard.Start(t.Context(), guardAs(t, "guard", "--ledger", ledger))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(ledger); err != nil {
		t.Fatal(err)
	}
	_, err = c.Inject(t.Context(), askMarker(marks, "i1", `{}`))
	if err == nil || !strings.Contains(err.Error(), "ledger") {
		t.Errorf("injecting: %v", err)
	}
	if left, err := os.ReadDir(marks); err != nil || len(left) > 0 {
		t.Errorf("injected without a ledger: %v, %v", left, err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestMainUsage(t *testing.T) {
	tests := map[string]struct {
		args     []string
		code     int
		out, err string
	}{
		"version":  {[]string{"--version"}, 0, "protocol 1", ""},
		"help":     {[]string{"--help"}, 0, "", "usage: gameday-guard"},
		"flag":     {[]string{"--nope"}, 2, "", "-nope"},
		"argument": {[]string{"x"}, 2, "", `unexpected argument "x"`},
		"ledger":   {[]string{"--ledger", "/proc/no"}, 1, "", "gameday-guard: opening the ledger"},
	}
	for name, tt := range tests {
		var out, errw bytes.Buffer
		if code := guard.Main(nil, tt.args, strings.NewReader(""), &out, &errw); code != tt.code {
			t.Errorf("%s: exit code %d, want %d", name, code, tt.code)
		}
		if !strings.Contains(out.String(), tt.out) || !strings.Contains(errw.String(), tt.err) {
			t.Errorf("%s: said %q and %q", name, out.String(), errw.String())
		}
	}
}
