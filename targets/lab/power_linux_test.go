package lab

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestPowerOffAndBoot(t *testing.T) {
	asEach(t, func(t *testing.T, u user) {
		r := u.enter(t)
		r.do(order{Do: "start", Config: shop(t, u, r, "a", "b")})
		before := r.node("a")
		_, _, _, all := r.cast()

		const down = 3 * time.Second
		took := r.do(order{Do: "off", Node: "a", Down: down}).Took
		off := r.node("a")
		back := func() bool { return !time.Now().Before(off.BootsAt) } // so that what was seen since says nothing
		if off.On || off.Init.PID != 0 || off.BootsAt.IsZero() || off.Trouble != "" || len(off.Processes) != 1 ||
			off.Processes[0].Running {
			t.Errorf("powered off, the node is %+v", off)
		}
		if off.BootID != before.BootID || off.Address != before.Address {
			t.Errorf("powered off, the node forgot who it was: %+v", off)
		}
		if got := r.do(order{Do: "links"}).Text; got != "lab lo node2" && !back() {
			t.Errorf("with a off the core has the links %s", got)
		}
		if got := r.try(order{Do: "get", URL: "http://a:8080/name", Within: time.Second}); got.Error == "" && !back() {
			t.Errorf("a node without power says %q", got.Text)
		}
		if got := r.do(order{Do: "get", URL: "http://b:8080/name"}).Text; !strings.HasPrefix(got, "b ") {
			t.Errorf("b says %q while a is off", got)
		}

		eventually(t, down+5*time.Second, "a is on and ready again", func() bool {
			n := r.node("a")
			return n.On && n.Processes[0].Ready
		})
		t.Logf("powered off in %s", took.Round(time.Millisecond))
		after := r.node("a")
		if after.BootID == before.BootID || after.Boots != 2 || after.Address != before.Address || !after.BootsAt.IsZero() {
			t.Errorf("booted again, the node is %+v, was %+v", after, before)
		}
		if after.Init.PID == 0 || after.Init == before.Init || after.Network.PID != after.Init.PID {
			t.Errorf("the node's first process is %+v in %+v, was %+v", after.Init, after.Network, before.Init)
		}
		seen := r.do(order{Do: "get", URL: "http://a:8080/file?path=/proc/sys/kernel/random/boot_id"}).Text
		if seen != after.BootID+"\n" {
			t.Errorf("the node sees the boot id %q, the lab %q", seen, after.BootID)
		}
		// Its peers find it at once: it has the hardware address that they remember.
		if got := r.do(order{Do: "get", URL: "http://b:8080/ping?host=a"}).Text; got != "pong" {
			t.Errorf("b pings a: %s", got)
		}
		for _, m := range all { // what lived on the node is dead for good
			if strings.Contains(fmt.Sprint(m.spaces), fmt.Sprintf("net:[%d]", before.Network.Inode)) {
				if p := describe(m.pid); p.PID != 0 && p.Start == m.start {
					t.Errorf("pid %d outlived its node", m.pid)
				}
			}
		}
	})
}

func TestPowerSwitchIsIdempotent(t *testing.T) {
	u := user{uid: -1}
	r := u.enter(t)
	r.do(order{Do: "start", Config: shop(t, u, r, "a")})
	first := r.node("a")

	r.do(order{Do: "on", Node: "a"})
	if n := r.node("a"); n.BootID != first.BootID || n.Boots != 1 {
		t.Errorf("powering on a node that is on changed it: %+v", n)
	}
	r.do(order{Do: "off", Node: "a"})
	if n := r.node("a"); n.On || !n.BootsAt.IsZero() {
		t.Errorf("off until switched on, the node is %+v", n)
	}
	r.do(order{Do: "off", Node: "a", Down: time.Hour})
	if n := r.node("a"); n.On || time.Until(n.BootsAt) < 50*time.Minute {
		t.Errorf("off for an hour, the node is %+v", n)
	}
	took := r.do(order{Do: "on", Node: "a"}).Took
	if n := r.node("a"); !n.On || !n.BootsAt.IsZero() || n.Boots != 2 || n.BootID == first.BootID {
		t.Errorf("switched on, the node is %+v", n)
	}
	t.Logf("powered on in %s", took.Round(time.Millisecond))
	began := time.Now()
	r.do(order{Do: "off", Node: "a", Down: time.Millisecond})
	eventually(t, 5*time.Second, "a boots by itself", func() bool {
		n := r.node("a")
		return n.Boots == 3 && n.Processes[0].Ready
	})
	t.Logf("powered off, booted by itself and ready in %s", time.Since(began).Round(time.Millisecond))
	for _, do := range []string{"on", "off"} {
		if a := r.try(order{Do: do, Node: "zz"}); !strings.Contains(a.Error, `"zz"; it has a`) {
			t.Errorf("power %s of a node that is not there: %q", do, a.Error)
		}
	}
}

// TestPowerOffSendsNothing holds a connection to a node and takes its power: a machine without power says no goodbye.
func TestPowerOffSendsNothing(t *testing.T) {
	u := user{uid: -1}
	r := u.enter(t)
	c := shop(t, u, r, "a")
	c.Nodes[0].Processes = append(c.Nodes[0].Processes, ProcessConfig{Name: "tick",
		Command: []string{"sh", "-c", "while :; do sleep 0.01; done"}})
	r.do(order{Do: "start", Config: c})
	for range 5 {
		// Connecting at once after a boot shows that peers, who asked in vain, know that the node is back.
		if a := r.do(order{Do: "hold", URL: "a:8080"}); a.Text != "connected" || a.Round > 300*time.Millisecond {
			t.Fatalf("%q in %s", a.Text, a.Round)
		}
		r.do(order{Do: "off", Node: "a"})
		if got := r.do(order{Do: "held"}).Text; !strings.Contains(got, "timeout") {
			t.Errorf("when the node lost power its peer saw %q", got)
		}
		r.do(order{Do: "on", Node: "a"})
		eventually(t, 5*time.Second, "a serves again", func() bool { return r.node("a").Processes[0].Ready })
	}
}

func TestNodeWhoseFirstProcessDiesIsOff(t *testing.T) {
	u := user{uid: -1}
	r := u.enter(t)
	r.do(order{Do: "start", Config: shop(t, u, r, "a", "b")})
	r.do(order{Do: "kill", Code: r.node("a").Init.PID})
	eventually(t, 5*time.Second, "the lab notices", func() bool {
		n := r.node("a")
		return !n.On && n.Trouble == "its first process died (signal: killed)" && n.BootsAt.IsZero()
	})
	eventually(t, 5*time.Second, "its cable is gone", func() bool {
		return r.do(order{Do: "links"}).Text == "lab lo node2"
	})
	r.do(order{Do: "on", Node: "a"})
	if n := r.node("a"); !n.On || n.Boots != 2 || n.Trouble != "" {
		t.Errorf("switched on again, the node is %+v", n)
	}
}

func TestLogGoesOnAfterABoot(t *testing.T) {
	u := user{uid: -1}
	r := u.enter(t)
	r.do(order{Do: "start", Config: shop(t, u, r, "a")})
	r.do(order{Do: "off", Node: "a"})
	r.do(order{Do: "on", Node: "a"})
	eventually(t, 5*time.Second, "both starts are in the log", func() bool {
		b, err := os.ReadFile(r.dir + "/logs/a-web.log")
		return err == nil && strings.Count(string(b), "web started") == 2
	})
}
