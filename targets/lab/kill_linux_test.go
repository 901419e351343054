package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/internal/bound"
)

func TestCleanExitLeavesNothing(t *testing.T) {
	asEach(t, func(t *testing.T, u user) {
		before := mounts(t)
		r := u.enter(t)
		r.do(order{Do: "start", Config: shop(t, u, r, "a", "b")})
		_, _, _, all := r.cast()
		r.hold(all)
		if code := r.exit(7); code != 7 {
			t.Errorf("exit code %d, want the conductor's 7", code)
		}
		r.assertGone(all, before, 2*time.Second)
		if u.uid < 0 {
			return
		}
		info, err := os.Stat(filepath.Join(r.dir, "logs", "a-web.log"))
		if err != nil {
			t.Fatal(err)
		}
		if owner := info.Sys().(*syscall.Stat_t).Uid; owner != uint32(u.uid) {
			t.Errorf("the log belongs to user %d", owner)
		}
	})
}

// TestKillMatrix ends each process of a lab in turn by SIGKILL while a guard holds a fault.
func TestKillMatrix(t *testing.T) {
	tests := []struct {
		victim string
		notes  []string      // what must have happened
		code   int           // of the outer process, if it lives: -1 is a signal
		limit  time.Duration // until nothing is left
	}{
		{"outer", []string{"signal power failure", "unwound", "undone"}, -1, 5 * time.Second},
		{"lab init", nil, 98, 2 * time.Second},
		{"conductor", []string{"undone"}, 137, 2 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.victim, func(t *testing.T) {
			asEach(t, func(t *testing.T, u user) {
				before := mounts(t)
				r := u.enter(t)
				r.do(order{Do: "start", Config: shop(t, u, r, "a", "b")})
				r.do(order{Do: "guard"})
				init, conductor, _, all := r.cast()
				r.hold(all)
				victim := map[string]int{"outer": r.outer.Process.Pid, "lab init": init.pid, "conductor": conductor.pid}
				if err := syscall.Kill(victim[test.victim], syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				if code := r.wait(); code != test.code {
					t.Errorf("the outer process ended with %d, want %d", code, test.code)
				}
				r.assertGone(all, before, test.limit)
				for _, want := range test.notes {
					if !strings.Contains(r.notes(), want+"\n") {
						t.Errorf("%q did not happen; notes:\n%s", want, r.notes())
					}
				}
				if test.victim == "lab init" && !strings.Contains(r.err.String(), "its first process was killed") {
					t.Errorf("the outer process said %q", r.err.String())
				}
			})
		})
	}
}

func TestKilledNodeInitLeavesNothing(t *testing.T) {
	asEach(t, func(t *testing.T, u user) {
		before := mounts(t)
		r := u.enter(t)
		r.do(order{Do: "start", Config: shop(t, u, r, "a")})
		_, _, node, all := r.cast()
		r.hold(all)
		if err := syscall.Kill(node.pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		// What lived on the node goes with it, while the lab goes on.
		var onNode []member
		for _, m := range all {
			if m.pid == node.pid || m.parent == node.pid {
				onNode = append(onNode, m)
			}
		}
		if len(onNode) != 2 {
			t.Fatalf("the node had the processes %v", onNode)
		}
		vanish(t, 2*time.Second, "nothing of the node is left, and it is said to be off", func() []string {
			left := r.leftovers(onNode)
			if r.node("a").On {
				left = append(left, "node a is said to be on")
			}
			return left
		})
		if code := r.exit(0); code != 0 {
			t.Errorf("exit code %d", code)
		}
		r.assertGone(all, before, 2*time.Second)
	})
}

// TestLeftovers starts a lab when another is dead: the kernel would give it the dead one's numbers of namespaces. Whoever has
// kept a namespace of the dead one is found.
func TestLeftovers(t *testing.T) {
	u := user{uid: -1}
	r := u.enter(t)
	r.do(order{Do: "start", Config: shop(t, u, r, "a", "b")})
	before := mounts(t)
	_, _, node, all := r.cast()
	r.hold(all)
	living := strings.Join(r.leftovers(all), "\n")
	for _, m := range all {
		if !strings.Contains(living, fmt.Sprintf("pid %d: ", m.pid)) {
			t.Errorf("pid %d lives and is not among\n%s", m.pid, living)
		}
	}

	keeper := exec.Command("cat")
	keeper.ExtraFiles = []*os.File{r.held[node.spaces[0]]}
	end, err := keeper.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bound.Start(keeper, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := r.exit(0); code != 0 {
		t.Errorf("exit code %d", code)
	}
	other := u.enter(t)
	other.do(order{Do: "start", Config: shop(t, u, other, "a", "b")})

	want := fmt.Sprintf("/proc/%d/fd/3 of \"cat\" holds %s", keeper.Process.Pid, node.spaces[0])
	vanish(t, 2*time.Second, "of the dead lab only that is left which was kept", func() []string {
		return slices.DeleteFunc(r.leftovers(all), func(l string) bool { return l == want })
	})
	if got := r.leftovers(all); !slices.Equal(got, []string{want}) {
		t.Errorf("left are %q, want %q", got, want)
	}
	end.Close()
	if err := keeper.Wait(); err != nil {
		t.Error(err)
	}
	r.assertGone(all, before, 2*time.Second)
}

func TestDeafConductorAndGuardAreBounded(t *testing.T) {
	u := user{uid: -1}
	before := mounts(t)
	r := u.enter(t, "LAB_TEST_DEAF=1", "LAB_TEST_GRACE=200ms")
	r.do(order{Do: "start", Config: shop(t, u, r, "a")})
	r.do(order{Do: "guard", Stay: true})
	_, _, _, all := r.cast()
	r.hold(all)
	began := time.Now()
	if err := r.outer.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	r.wait()
	r.assertGone(all, before, guardLimit+3*time.Second)
	if took := time.Since(began); took < guardLimit {
		t.Errorf("the guard had only %s, want %s", took, guardLimit)
	}
}

func TestConductorKilledByASignal(t *testing.T) {
	u := user{uid: -1}
	r := u.enter(t)
	r.do(order{Do: "nodes"})
	_, conductor, _ := r.core()
	if err := syscall.Kill(conductor.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := r.wait(); code != 128+9 {
		t.Errorf("exit code %d, want 137", code)
	}
}
