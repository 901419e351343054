package dns_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/dns"
)

// playWeak gives up the capability of its first argument for good, and goes on as playCheck.
func playWeak() int {
	bit, err := strconv.ParseUint(os.Args[1], 10, 6)
	if err == nil {
		runtime.LockOSThread() // the bounding set is the thread's
		err = unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(bit), 0, 0, 0)
	}
	if err == nil {
		os.Setenv(roleVariable, "check")
		err = syscall.Exec("/proc/self/exe", os.Args, os.Environ())
	}
	fmt.Println(err)
	return 1
}

// playCheck checks an outage at the place of its second argument, and prints what the check says.
func playCheck() int {
	var place faults.Place
	if err := json.Unmarshal([]byte(os.Args[2]), &place); err != nil {
		fmt.Println(err)
		return 1
	}
	o := dns.Outage{Resolvers: []string{"198.18.0.2"}}
	i, err := o.Bind(place)
	if err == nil {
		err = i.(faults.Checker).Check(context.Background())
	}
	fmt.Println(err)
	return 0
}

// TestMissingCapability names the one that is missing.
func TestMissingCapability(t *testing.T) {
	w := newWorld(t)
	place, err := json.Marshal(w.client.place(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, bit := range map[string]int{"CAP_NET_ADMIN": unix.CAP_NET_ADMIN, "CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN} {
		cmd := selfAs("weak", strconv.Itoa(bit), string(place))
		end := time.AfterFunc(patient, func() { _ = cmd.Process.Kill() })
		out, err := cmd.Output()
		end.Stop()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if !strings.Contains(string(out), "the guard lacks "+name+": ") {
			t.Errorf("without %s the check says: %s", name, out)
		}
	}
}
