package node

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gameday/internal/kuberig"
)

// TestDaemon has the real chaos-daemon act on real containers behind pods, as far as this kernel goes, and looks at what the
// kernel and the containers say.
func TestDaemon(t *testing.T) {
	r := start(t)
	r.serve(t, "cart")
	r.serve(t, "search")
	t.Run("container-kill", func(t *testing.T) { testKill(t, r) })
	t.Run("partition", func(t *testing.T) { testPartition(t, r) })
	t.Run("partition from a host", func(t *testing.T) { testExternal(t, r) })
	t.Run("bandwidth", func(t *testing.T) {
		r.inflict(t, "NetworkChaos", "narrow", on("cart", object{"action": "bandwidth", "bandwidth": object{"rate": "1mbps", "limit": 20971520, "buffer": 10000}}))
		if got := r.inside(t, "cart", "tc", "qdisc", "show", "dev", "eth0"); !strings.Contains(got, "tbf") {
			t.Errorf("no limit in the pod's network:\n%s", got)
		}
		r.lift(t, "NetworkChaos", "narrow")
		if got := r.inside(t, "cart", "tc", "qdisc", "show", "dev", "eth0"); strings.Contains(got, "tbf") {
			t.Errorf("the limit is left in the pod's network:\n%s", got)
		}
	})
	t.Run("cpu", func(t *testing.T) {
		r.inflict(t, "StressChaos", "busy", on("cart", object{"stressors": object{"cpu": object{"workers": 1, "load": 20}}}))
		r.eventually(t, "the pod is stressed", func() bool { return others(t, r.pid(t, "cart"))["stress-ng"] })
		r.lift(t, "StressChaos", "busy")
		r.eventually(t, "the pod is no longer stressed", func() bool { return len(others(t, r.pid(t, "cart"))) == 0 })
	})
	t.Run("memory", func(t *testing.T) {
		if _, err := exec.LookPath("memStress"); err == nil {
			const why = "this machine has memStress, so what happens without it cannot be shown: take it out of PATH"
			if os.Getenv("CI") != "" {
				t.Fatal(why)
			}
			t.Skip(why)
		}
		// The daemon's program for it is not there, and Chaos Mesh does not notice.
		r.inflict(t, "StressChaos", "full", on("cart", object{"stressors": object{"memory": object{"workers": 1, "size": "32MB"}}}))
		r.eventually(t, "what should have become it has ended", func() bool { return len(others(t, r.pid(t, "cart"))) == 0 })
		if got := r.conditions(t, "StressChaos", "full")["AllInjected"]; got != "True" {
			t.Errorf("AllInjected is %s", got)
		}
		r.lift(t, "StressChaos", "full")
	})
	t.Run("time", func(t *testing.T) {
		r.inflict(t, "TimeChaos", "late", on("cart", object{"timeOffset": "-1h"}))
		if off := r.clock(t, "cart"); off < -3610 || off > -3590 {
			t.Errorf("the pod's clock is off by %d s", off)
		}
		r.lift(t, "TimeChaos", "late")
		if off := r.clock(t, "cart"); off < -10 || off > 10 {
			t.Errorf("the pod's clock is still off by %d s", off)
		}
	})
	t.Run("pod-failure", func(t *testing.T) {
		r.inflict(t, "PodChaos", "fail", on("search", object{"action": "pod-failure"}))
		r.eventually(t, "the pod is not ready", func() bool { return !r.get(t, "search").ready() })
		r.lift(t, "PodChaos", "fail")
		r.eventually(t, "the pod is ready again", func() bool { return r.get(t, "search").ready() })
	})
	t.Run("delay", func(t *testing.T) { testDelay(t, r) })
}

func testKill(t *testing.T, r *rig) {
	before := r.get(t, "cart")
	r.inflict(t, "PodChaos", "kill", on("cart", object{"action": "container-kill", "containerNames": []string{"web"}}))
	r.eventually(t, "the container is back", func() bool {
		s := r.get(t, "cart").Status.ContainerStatuses[0]
		return s.RestartCount == 1 && s.Ready
	})
	after := r.get(t, "cart")
	last := after.Status.ContainerStatuses[0].LastState.Terminated
	if after.Metadata.UID != before.Metadata.UID || after.Status.PodIP != before.Status.PodIP || last == nil || last.ExitCode != 137 ||
		after.Status.ContainerStatuses[0].ContainerID == before.Status.ContainerStatuses[0].ContainerID {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
}

func testPartition(t *testing.T, r *rig) {
	both := func() (there, back bool) {
		return r.reaches(t, "cart", r.address(t, "search")), r.reaches(t, "search", r.address(t, "cart"))
	}
	if there, back := both(); !there || !back {
		t.Fatal("the pods do not reach each other to begin with")
	}
	r.inflict(t, "NetworkChaos", "cut", on("cart", object{"action": "partition", "direction": "both", "duration": "1h",
		"target": object{"mode": "all", "selector": selector("search")}}))
	if there, back := both(); there || back {
		t.Errorf("the pods still reach each other: %v, %v", there, back)
	}
	r.lift(t, "NetworkChaos", "cut")
	if there, back := both(); !there || !back {
		t.Errorf("the pods do not reach each other again: %v, %v", there, back)
	}
}

// testExternal cuts a pod off from a host that is no pod: the machine itself.
func testExternal(t *testing.T, r *rig) {
	const host = kuberig.Address + ":9000"
	l, err := r.c.Listen(host)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	if !r.reaches(t, "cart", host) {
		t.Fatal("the pod does not reach the host to begin with")
	}
	r.inflict(t, "NetworkChaos", "away", on("cart", object{"action": "partition", "direction": "to", "externalTargets": []string{kuberig.Address}}))
	if r.reaches(t, "cart", host) || !r.reaches(t, "search", host) || !r.reaches(t, "cart", r.address(t, "search")) {
		t.Error("the pod still reaches the host, or somebody no longer reaches what is not meant")
	}
	r.lift(t, "NetworkChaos", "away")
	if !r.reaches(t, "cart", host) {
		t.Error("the pod does not reach the host again")
	}
}

// testDelay is what Chaos Mesh says of a delay on a kernel that has none: the pod is selected, and never injected, and then
// the object does not go when it is deleted, for its finalizer waits for a recovery that fails as well.
func testDelay(t *testing.T, r *rig) {
	r.serve(t, "slow")
	if out, err := r.run("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "0ms"); err == nil {
		r.inflict(t, "NetworkChaos", "wait", on("slow", object{"action": "delay", "delay": object{"latency": "100ms"}}))
		r.lift(t, "NetworkChaos", "wait")
		return
	} else if !strings.Contains(out, "unknown") {
		t.Fatalf("%s, %v", out, err)
	}
	if err := r.c.Post(meshAPI+"networkchaos", chaos("NetworkChaos", "wait", on("slow", object{"action": "delay", "delay": object{"latency": "100ms"}})), nil); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Metadata struct {
			DeletionTimestamp string
			Finalizers        []string
		}
		Status struct {
			Experiment struct {
				ContainerRecords []struct {
					Events []struct{ Type, Message string }
				}
			}
		}
	}
	r.eventually(t, "the attempt has failed", func() bool {
		if err := r.c.Get(meshAPI+"networkchaos/wait", &got); err != nil {
			t.Fatal(err)
		}
		records := got.Status.Experiment.ContainerRecords
		return len(records) == 1 && len(records[0].Events) > 0 && records[0].Events[0].Type == "Failed" &&
			strings.Contains(records[0].Events[0].Message, "unable to set tcs")
	})
	if c := r.conditions(t, "NetworkChaos", "wait"); c["Selected"] != "True" || c["AllInjected"] != "False" {
		t.Errorf("conditions %v", c)
	}
	if err := r.c.Delete(meshAPI + "networkchaos/wait"); err != nil {
		t.Fatal(err)
	}
	r.eventually(t, "it is being deleted", func() bool {
		return r.c.Get(meshAPI+"networkchaos/wait", &got) == nil && got.Metadata.DeletionTimestamp != "" && len(got.Metadata.Finalizers) > 0
	})
}

// run runs a command in the cluster's network namespace.
func (r *rig) run(name string, args ...string) (string, error) {
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := r.c.Run(cmd); err != nil {
		return "", err
	}
	err := cmd.Wait()
	return out.String(), err
}

// inside returns what a command prints in the network namespace of a pod.
func (r *rig) inside(t *testing.T, pod string, command ...string) string {
	t.Helper()
	out, err := r.run("nsenter", append([]string{"-t", strconv.Itoa(r.pid(t, pod)), "-n"}, command...)...)
	if err != nil {
		t.Fatalf("%v: %v: %s", command, err, out)
	}
	return out
}

// clock returns by how many seconds a pod's clock is off.
func (r *rig) clock(t *testing.T, pod string) int64 {
	t.Helper()
	text, err := r.ask(t, pod, "/")
	if err != nil {
		t.Fatal(err)
	}
	there, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return there - time.Now().Unix()
}

// others are the other processes in the control group of a process, by their names, and whether they are in its process
// namespace as well.
func others(t *testing.T, pid int) map[string]bool {
	t.Helper()
	group := func(pid string) string {
		text, _ := os.ReadFile("/proc/" + pid + "/cgroup")
		groups := strings.Split(string(text), "\n")
		i := slices.IndexFunc(groups, func(g string) bool { return strings.Contains(g, ":cpu") })
		if i < 0 { // all in one hierarchy
			i = slices.IndexFunc(groups, func(g string) bool { return strings.HasPrefix(g, "0::") })
		}
		return groups[max(i, 0)]
	}
	space := func(pid string) string {
		link, _ := os.Readlink("/proc/" + pid + "/ns/pid")
		return link
	}
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		t.Fatal(err)
	}
	out, own := map[string]bool{}, strconv.Itoa(pid)
	for _, path := range names {
		comm, err := os.ReadFile(path)
		other := filepath.Base(filepath.Dir(path))
		if err == nil && other != own && group(other) == group(own) {
			out[strings.TrimSpace(string(comm))] = space(other) == space(own)
		}
	}
	return out
}
