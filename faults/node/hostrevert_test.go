package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/faults"
	"gameday/internal/scriptrig"
)

// TestHostRevertCutShort has a revert end while the host is asked once more: what is said is what was known of it, and not that
// this question was cut short.
func TestHostRevertCutShort(t *testing.T) {
	for said, want := range map[string]string{
		"echo " + oldBoot + "; echo system stopping": "host web1 is going down",
		"echo " + oldBoot: "host web1 still has its old boot",
		"echo connect to port 22: Connection refused >&2; exit 255": "Connection refused",
	} {
		t.Run(want, func(t *testing.T) {
			asked := hangsSecond(t, said)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			go func() {
				_, _ = os.ReadFile(asked)
				cancel()
			}()
			err := revertHost(ctx, hostUndo{SSH: faults.SSH{Destination: "web1"}, BootID: oldBoot})
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "no answer in time") {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

// hangsSecond makes an ssh that does something once, and after that hangs. It returns a pipe whose writer is gone when it does.
func hangsSecond(t *testing.T, once string) (asked string) {
	t.Helper()
	dir := t.TempDir()
	asked = filepath.Join(dir, "asked")
	if err := syscall.Mkfifo(asked, 0o600); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\ncd %q\nif mkdir once 2>/dev/null; then %s; exit; fi\n: >asked\nexec sleep 60\n", dir, once)
	scriptrig.Write(t, filepath.Join(dir, "ssh"), script)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return asked
}
