// Package scriptrig is for tests that write a program and start it.
package scriptrig

import (
	"os"
	"syscall"
	"testing"
)

// Write writes a program that can be started at once. Nothing is forked by the test meanwhile: a child that had the file open for writing for a
// moment, until it is another program, would keep it from being started by "text file busy".
func Write(t testing.TB, path, text string) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}
