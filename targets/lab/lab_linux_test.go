package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNodesReachEachOther(t *testing.T) {
	asEach(t, func(t *testing.T, u user) {
		r := u.enter(t)
		r.do(order{Do: "start", Config: shop(t, u, r, "a", "b")})

		if got := r.do(order{Do: "get", URL: "http://a:8080/name"}).Text; !strings.HasPrefix(got, "a a 198.18.0.1:") {
			t.Errorf("a says it is %q, and the conductor did not come from 198.18.0.1", got)
		}
		got := r.do(order{Do: "get", URL: "http://a:8080/get?url=http://b:8080/name"}).Text
		if !strings.HasPrefix(got, "b b 198.18.0.2:") {
			t.Errorf("a's request to b came to %q", got)
		}
		for from, to := range map[string]string{"a": "b", "b": "gameday"} {
			url := "http://" + from + ":8080/ping?host=" + to
			if got := r.do(order{Do: "get", URL: url}).Text; got != "pong" {
				t.Errorf("%s pings %s: %s", from, to, got)
			}
		}
		unknown := r.do(order{Do: "get", URL: "http://a:8080/get?url=http://nowhere/"})
		if !strings.Contains(unknown.Text, "no such host") && !strings.Contains(unknown.Text, "refused") {
			t.Errorf("an unknown name gives %q", unknown.Text)
		}
		if unknown.Took > 4*time.Second { // who asks a name service that is silent waits for five
			t.Errorf("an unknown name took %s to fail", unknown.Took)
		}
		if got := r.do(order{Do: "links"}).Text; got != "lab lo node1 node2" {
			t.Errorf("the core has the links %s", got)
		}
		if got := r.do(order{Do: "get", URL: "http://b:8080/links"}).Text; got != "eth0 lo" {
			t.Errorf("b has the links %s", got)
		}
		if code := r.exit(0); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}

func TestNodeIsAHostOfItsOwn(t *testing.T) {
	asEach(t, func(t *testing.T, u user) {
		r := u.enter(t, "SECRET_TOKEN=hunter2")
		r.do(order{Do: "start", Config: shop(t, u, r, "a", "b")})
		read := func(node, path string) string {
			return r.do(order{Do: "get", URL: "http://" + node + ":8080/file?path=" + path}).Text
		}

		var pids []string
		for _, name := range strings.Fields(r.do(order{Do: "get", URL: "http://a:8080/list?path=/proc"}).Text) {
			if strings.Trim(name, "0123456789") == "" {
				pids = append(pids, name)
			}
		}
		if len(pids) != 2 || pids[0] != "1" {
			t.Errorf("a sees the processes %v, want its first one and its server", pids)
		}
		if env := read("a", "/proc/1/environ") + read("a", "/proc/self/environ"); strings.Contains(env, "hunter2") {
			t.Error("a node sees the conductor's environment")
		}
		if got := r.do(order{Do: "get", URL: "http://a:8080/list?path=/run"}).Text; got != "gameday\n" {
			t.Errorf("a's /run has %q", got)
		}
		if _, err := os.Stat("/run/gameday/control"); err == nil {
			t.Error("the control socket is on the machine")
		}
		if got := r.try(order{Do: "read", URL: "/run/gameday/hosts"}).Text; !strings.Contains(got, "198.18.0.3\tb\n") {
			t.Errorf("the hosts file is %q", got)
		}
		if a, b := read("a", "/etc/hosts"), r.do(order{Do: "read", URL: "/etc/hosts"}).Text; a != b || a == "" {
			t.Errorf("a's hosts are %q, the conductor's %q", a, b)
		}

		own, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
		if err != nil {
			t.Fatal(err)
		}
		a, b := read("a", "/proc/sys/kernel/random/boot_id"), read("b", "/proc/sys/kernel/random/boot_id")
		if a == b || a == string(own) || len(a) != len(own) {
			t.Errorf("boot ids: a %q, b %q, machine %q", a, b, own)
		}
		s := r.node("a")
		if s.BootID+"\n" != a {
			t.Errorf("the lab says that a's boot id is %q", s.BootID)
		}
		w := s.Processes[0]
		if !w.Running || !w.Ready || w.Process.PID == 0 || !strings.Contains(w.Process.Command, r.outer.Path) {
			t.Errorf("the lab knows a's server as %+v", w)
		}
	})
}

func TestPlacesNameProcessesTheLabCanSignal(t *testing.T) {
	u := user{uid: -1}
	r := u.enter(t)
	c := shop(t, u, r, "a", "b")
	c.Nodes[1].Processes[0].Restart, c.Nodes[1].Processes[0].RestartDelay = RestartAlways, "50ms"
	r.do(order{Do: "start", Config: c})
	before := r.node("b")
	place, ok := before.ProcessPlace("web")
	if !ok || place.Process.PID == 0 || place.Network.Inode == r.node("a").Network.Inode {
		t.Fatalf("place %+v", place)
	}
	r.do(order{Do: "kill", Code: place.Process.PID})
	eventually(t, 5*time.Second, "b's server is back", func() bool {
		w := r.node("b").Processes[0]
		return w.Ready && w.Restarts == 1 && w.LastExit == "signal: killed" && w.Process.PID != place.Process.PID
	})
	if r.node("a").Processes[0].Restarts != 0 || r.node("b").BootID != before.BootID {
		t.Error("more than b's server was hit")
	}
}

func TestRestartPolicy(t *testing.T) {
	u := user{uid: -1}
	r := u.enter(t)
	always, never := serverProcess(r, 8080), serverProcess(r, 8081)
	always.Name, always.Restart, always.RestartDelay = "always", RestartAlways, "50ms"
	never.Name = "never"
	r.do(order{Do: "start", Config: &Config{Name: "x", Nodes: []NodeConfig{{Name: "a",
		Processes: []ProcessConfig{always, never}}}}})
	r.try(order{Do: "get", URL: "http://a:8080/exit"})
	r.try(order{Do: "get", URL: "http://a:8081/exit"})
	eventually(t, 5*time.Second, "one restarted and the other did not", func() bool {
		p := r.node("a").Processes
		return p[0].Restarts == 1 && p[0].Ready && !p[1].Running && p[1].LastExit == "exit status 3"
	})
	if got := r.do(order{Do: "get", URL: "http://a:8080/name"}).Text; !strings.HasPrefix(got, "a ") {
		t.Errorf("the restarted server says %q", got)
	}
	log, err := os.ReadFile(filepath.Join(r.dir, "logs", "a-always.log"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(log), "always started, pid"); n != 2 {
		t.Errorf("%d starts in the log:\n%s", n, log)
	}
	for _, want := range []string{"serving on 8080\n", "always ended: exit status 3; it starts again in 50ms\n"} {
		if !strings.Contains(string(log), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	tests := []struct {
		name    string
		process ProcessConfig
		want    []string
	}{
		{"not listening", ProcessConfig{Command: []string{"sh", "-c", "echo stuck on the way; exec sleep 60"}, Listen: 80,
			ReadyWithin: "2s"}, []string{"node a: process p: it does not listen on port 80 after 2s", "a-p.log:\n",
			"  stuck on the way"}},
		{"ends first", ProcessConfig{Command: []string{"sh", "-c", "echo no database >&2; exit 7"}, Listen: 80},
			[]string{"it ended (exit status 7) before it listened on port 80", "  no database"}},
		{"no program", ProcessConfig{Command: []string{"no-such-program"}},
			[]string{`there is no program "no-such-program" in PATH`, "./no-such-program"}},
		{"no file", ProcessConfig{Command: []string{"bin/none"}}, []string{"starting /tmp/lab-test-", "no such file"}},
		{"no folder", ProcessConfig{Command: []string{"true"}, Dir: "nowhere"},
			[]string{"its working directory /tmp/lab-test-", "nowhere is not there"}},
	}
	u := user{uid: -1}
	r := u.enter(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.process.Name = "p"
			a := r.try(order{Do: "start", Config: &Config{Name: "x", Nodes: []NodeConfig{{Name: "a",
				Processes: []ProcessConfig{test.process}}}}})
			for _, want := range append(test.want, "starting lab x: ") {
				if !strings.Contains(a.Error, want) {
					t.Errorf("%q lacks %q", a.Error, want)
				}
			}
			if n := r.node("a"); !n.On || n.Trouble == "" {
				t.Errorf("afterwards the node is %+v", n)
			}
			again := r.try(order{Do: "start", Config: &Config{Name: "y", Nodes: []NodeConfig{{Name: "a"}}}})
			if !strings.Contains(again.Error, "stop it first") {
				t.Errorf("a second start says %q", again.Error)
			}
			r.do(order{Do: "stop"})
		})
	}
}

func TestStopLetsProcessesEnd(t *testing.T) {
	u := user{uid: -1}
	r := u.enter(t)
	script := `trap 'echo goodbye; exit 0' TERM; echo hello; while :; do sleep 0.05; done`
	c := &Config{Name: "x", Nodes: []NodeConfig{{Name: "a",
		Processes: []ProcessConfig{{Name: "p", Command: []string{"sh", "-c", script}, Restart: RestartAlways}}}}}
	log := filepath.Join(r.dir, "logs", "a-p.log")
	for round := 1; round <= 2; round++ { // a stopped lab can be started again
		r.do(order{Do: "start", Config: c})
		eventually(t, 5*time.Second, "the trap is set", func() bool {
			b, _ := os.ReadFile(log)
			return strings.Count(string(b), "hello\n") == round
		})
		r.do(order{Do: "stop"})
		b, _ := os.ReadFile(log)
		if strings.Count(string(b), "goodbye\n") != round || strings.Count(string(b), "p started") != round {
			t.Fatalf("round %d: the log says\n%s", round, b)
		}
		if n := r.do(order{Do: "nodes"}).Nodes; len(n) != 0 {
			t.Fatalf("after stop there are %v", n)
		}
		if got := r.do(order{Do: "links"}).Text; got != "lab lo" {
			t.Fatalf("after stop the core has the links %s", got)
		}
	}
}

func TestManyNodesStartQuickly(t *testing.T) {
	u := user{uid: -1}
	for _, n := range []int{1, 5, 20} {
		r := u.enter(t)
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("n%d", i))
		}
		bare := &Config{Name: "bare"}
		for _, name := range names {
			bare.Nodes = append(bare.Nodes, NodeConfig{Name: name})
		}
		empty := r.do(order{Do: "start", Config: bare}).Took
		r.do(order{Do: "stop"})
		served := r.do(order{Do: "start", Config: shop(t, u, r, names...)}).Took
		last := names[n-1]
		if got := r.do(order{Do: "get", URL: "http://" + last + ":8080/name"}).Text; !strings.HasPrefix(got, last) {
			t.Errorf("the last node says %q", got)
		}
		stop := r.do(order{Do: "stop"}).Took
		t.Logf("%2d nodes: started in %s without processes, in %s with a server each; stopped in %s", n,
			empty.Round(time.Millisecond), served.Round(time.Millisecond), stop.Round(time.Millisecond))
		if served > 10*time.Second {
			t.Errorf("%d nodes took %s to start", n, served)
		}
	}
}

func TestWideLab(t *testing.T) {
	u := user{uid: -1}
	r := u.enter(t)
	c := &Config{Name: "wide"}
	for i := range 260 {
		c.Nodes = append(c.Nodes, NodeConfig{Name: fmt.Sprintf("n%d", i)})
	}
	c.Nodes[259].Processes = []ProcessConfig{serverProcess(r, 8080)}
	t.Logf("260 nodes started in %s", r.do(order{Do: "start", Config: c}).Took.Round(time.Millisecond))
	if got := r.node("n259").Address.String(); got != "198.18.1.5" {
		t.Errorf("the last of 260 nodes has the address %s", got)
	}
	if got := r.do(order{Do: "get", URL: "http://n259:8080/ping?host=n0"}).Text; got != "pong" {
		t.Errorf("the last node pings the first: %s", got)
	}
}
