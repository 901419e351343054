package stress

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

// TestSwapLimitBesideSomebodyElse has somebody else set the limit between the looks and the settings of a swap: theirs is what
// stands in the end.
func TestSwapLimitBesideSomebodyElse(t *testing.T) {
	const from, to, a, b, c = 100, 50, 77, 78, 79
	type step struct{ soft, lower uint64 } // it takes no root to lower the hard limit
	for name, x := range map[string]struct {
		steps []step // before our first setting, our second and so on
		want  uint64
		err   error
	}{
		"nobody":                       {nil, to, nil},
		"once":                         {[]step{{a, 0}}, a, faults.ErrForeign},
		"twice":                        {[]step{{a, 0}, {b, 0}}, b, faults.ErrForeign},
		"three times":                  {[]step{{a, 0}, {b, 0}, {c, 0}}, c, faults.ErrForeign},
		"to ours":                      {[]step{{to, 0}}, to, faults.ErrForeign},
		"there and back":               {[]step{{a, 0}, {from, 0}}, to, nil},
		"the hard one too":             {[]step{{a, 1}}, a, faults.ErrForeign},
		"the hard one alone":           {[]step{{from, 1}}, to, nil},
		"the hard one alone, twice":    {[]step{{from, 1}, {from, 1}}, to, nil},
		"twice, and the hard one then": {[]step{{a, 0}, {b, 1}}, b, faults.ErrForeign},
	} {
		t.Run(name, func(t *testing.T) {
			p := idler(t)
			real := limitOf(p.PID)
			var now unix.Rlimit
			if err := real(nil, &now); err != nil {
				t.Fatal(err)
			}
			hard := now.Max
			if err := real(&unix.Rlimit{Cur: from, Max: hard}, nil); err != nil {
				t.Fatal(err)
			}
			err := prlimit(func(set, was *unix.Rlimit) error {
				if set != nil && len(x.steps) > 0 {
					hard -= x.steps[0].lower
					if err := real(&unix.Rlimit{Cur: x.steps[0].soft, Max: hard}, nil); err != nil {
						t.Fatal(err)
					}
					x.steps = x.steps[1:]
				}
				return real(set, was)
			}).swap(p.PID, from, to)
			if !errors.Is(err, x.err) {
				t.Errorf("%v, want %v", err, x.err)
			}
			if err := real(nil, &now); err != nil || now.Cur != x.want || now.Max != hard {
				t.Errorf("the limit is %+v, want %d of %d; %v", now, x.want, hard, err)
			}
			if len(x.steps) > 0 {
				t.Errorf("there was no time to set %v", x.steps)
			}
		})
	}
}

// idler starts a process that does nothing until the test's end.
func idler(t *testing.T) faults.Process {
	t.Helper()
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, start, err := statIdentity(stat)
	if err != nil {
		t.Fatal(err)
	}
	return faults.Process{PID: cmd.Process.Pid, Start: start}
}
