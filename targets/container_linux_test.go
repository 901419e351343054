package targets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/internal/dockerrig"
)

// shop is three containers of a real engine, as Compose would label them, and a real guard beside them.
type shop struct {
	*dockerrig.Engine
	t      *testing.T
	guard  *guard.Client
	ledger *faults.Ledger
	made   map[string]dockerrig.Container
}

const shopNetwork = "198.18.240."

func newShop(t *testing.T) *shop {
	s := &shop{Engine: dockerrig.ForTest(t), t: t, made: map[string]dockerrig.Container{}}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "svc")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Import(t.Context(), "shop", program), s.Network(t.Context(), "shop", shopNetwork+"0/24")); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"storefront", "payments", "ledger"} {
		s.made[name] = dockerrig.Container{Name: "shop-" + name + "-1", Image: "shop", Command: []string{"/svc", name}, Stdin: true,
			Env: []string{roleVariable + "=sought"}, Restart: "always", Network: "shop", Address: fmt.Sprint(shopNetwork, 10+i),
			Labels: map[string]string{composeProject: "shop", composeService: name, "tier": "back"}}
		s.run(name)
	}
	s.stand()
	return s
}

func (s *shop) run(name string) (id string) {
	s.t.Helper()
	id, err := s.Run(s.t.Context(), s.made[name])
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// resolve resolves a selector against the shop's engine.
func (s *shop) resolve(c Container, choice Choice) ([]Place, error) {
	c.Engine = s.Host
	if err := c.Validate(); err != nil {
		s.t.Fatal(err)
	}
	return (&Machine{}).Target("web", &c, choice).Places(s.t.Context())
}

// service returns the one place of a service.
func (s *shop) service(name string) faults.Place {
	s.t.Helper()
	places, err := s.resolve(Container{Compose: &Compose{Project: "shop", Service: name}}, Choice{AtMost: Amount{Count: 1}})
	if err != nil || len(places) != 1 {
		s.t.Fatalf("%s: %v, %v", name, places, err)
	}
	return places[0].Where()
}

// stand starts the guard.
func (s *shop) stand() {
	s.t.Helper()
	program := filepath.Join(s.t.TempDir(), "guard")
	if out, err := exec.Command("go", "build", "-o", program, "gameday/cmd/gameday-guard").CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	dir := filepath.Join(s.t.TempDir(), "ledger")
	var err error
	if s.ledger, err = faults.OpenLedger(dir); err != nil {
		s.t.Fatal(err)
	}
	s.guard, err = guard.Start(context.Background(), exec.Command(program, "--ledger", dir))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := s.guard.Close(context.Background()); err != nil {
			s.t.Error(err)
		}
	})
}

func (s *shop) inject(kind, config string, p faults.Place) error {
	s.t.Helper()
	answer, err := s.guard.Inject(s.t.Context(), guard.InjectRequest{ID: kind, Run: "r1", Fault: kind, Kind: kind,
		Config: json.RawMessage(config), Place: p, Lease: 20 * time.Second, Deadline: time.Minute})
	if err == nil && !answer.Effect.Proven {
		err = fmt.Errorf("unproven: %s", answer.Effect.Summary)
	}
	return err
}

// standing returns the entries of the ledger.
func (s *shop) standing() []faults.Standing {
	s.t.Helper()
	out, err := s.ledger.Standing()
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// TestContainers works on one real engine, whose start takes longer than any of its parts.
func TestContainers(t *testing.T) {
	s := newShop(t)
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"found", s.found}, {"at most", s.bounded}, {"not allowed", s.notAllowed}, {"kinds", s.kinds}, {"killed", s.killed}, {"restarted", s.restarted},
		{"removed while cut", s.removedWhileCut}, {"removed while paused", s.removedWhilePaused}, {"removed while down", s.removedWhileDown},
		{"made anew", s.madeAnew}, {"another process namespace", s.elsewhere},
	} {
		t.Run(part.name, func(t *testing.T) {
			outer := s.t
			s.t = t
			defer func() { s.t = outer }()
			part.run(t)
		})
		if t.Failed() {
			t.Log(s.Log())
			break
		}
	}
}

// found resolves each way to the same place, and compares it with the kernel's own account.
func (s *shop) found(t *testing.T) {
	for _, c := range []Container{
		{Name: "shop-payments-1"}, {Compose: &Compose{Project: "shop", Service: "payments"}},
		{Name: "shop-payments-1", Label: map[string]string{"tier": "back"}, Compose: &Compose{Project: "shop"}},
	} {
		places, err := s.resolve(c, Choice{AtMost: Amount{Count: 1}})
		if err != nil {
			t.Fatal(err)
		}
		p := places[0].Where()
		var st syscall.Stat_t
		if err := syscall.Stat(fmt.Sprintf("/proc/%d/ns/net", p.Process.PID), &st); err != nil {
			t.Fatal(err)
		}
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.Process.PID))
		if err != nil {
			t.Fatal(err)
		}
		if p.Network.Inode != st.Ino || string(line) != "/svc\x00payments\x00" || p.Process.Start == 0 {
			t.Errorf("%+v: %+v, inode %d, %q", c, p, st.Ino, line)
		}
		if !slices.Equal(p.Addresses, []netip.Addr{netip.MustParseAddr(shopNetwork + "11")}) {
			t.Errorf("addresses %v", p.Addresses)
		}
		if n := p.Node; n == nil || n.Name != "shop-payments-1" || n.Engine != s.Socket || len(n.Container) != 64 {
			t.Errorf("node %+v", p.Node)
		}
		if want := fmt.Sprintf("container shop-payments-1, pid %d /svc payments", p.Process.PID); places[0].Describe() != want {
			t.Errorf("%q, want %q", places[0].Describe(), want)
		}
	}
}

func (s *shop) bounded(t *testing.T) {
	_, err := s.resolve(Container{Label: map[string]string{"tier": "back"}}, Choice{AtMost: Amount{Count: 1}})
	if many := new(TooManyError); !errors.As(err, &many) || many.Of != 3 || !strings.Contains(err.Error(), "container shop-ledger-1, pid") {
		t.Errorf("%v", err)
	}
	places, err := s.resolve(Container{Label: map[string]string{"tier": "back"}}, Choice{Pick: Amount{Percent: 50}, AtMost: Amount{Count: 2}, Seed: 7})
	if err != nil || len(places) != 2 {
		t.Errorf("%v, %v", places, err)
	}
}

// notAllowed asks as somebody whom the socket is not for.
func (s *shop) notAllowed(t *testing.T) {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine, and nobody else gets its user
		if err := unix.Setfsuid(65534); err != nil {
			result <- err
			return
		}
		_, err := s.resolve(Container{Name: "shop-payments-1"}, Choice{})
		result <- err
	}()
	if err := <-result; err == nil || !strings.Contains(err.Error(), "not allowed to use the Docker Engine at "+s.Socket) {
		t.Error(err)
	}
}

// kinds injects what works on processes, networks and machines into a container, proves it, and reverts it.
func (s *shop) kinds(t *testing.T) {
	for kind, config := range map[string]string{
		"process_pause": `{}`, "network_partition": `{"to":["198.18.240.12/32"]}`, "network_rate": `{"to":["198.18.240.12"],"rate":"1mbit"}`,
		"dns_outage": `{}`, "fd_exhaustion": `{}`, "port_exhaustion": `{}`, "command": `{"inject":["true"],"revert":["true"]}`,
	} {
		p := s.service("payments")
		if err := s.inject(kind, config, p); err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if err := s.guard.Revert(t.Context(), kind); err != nil {
			t.Errorf("reverting %s: %v", kind, err)
		}
	}
	if left := s.standing(); len(left) > 0 {
		t.Errorf("left in the ledger: %+v", left)
	}
}

// killed ends a container's first process; its restart policy brings it back, and the target finds the new one.
func (s *shop) killed(t *testing.T) {
	old := s.service("payments")
	if err := s.inject("process_kill", `{}`, old); err != nil {
		t.Fatal(err)
	}
	s.await("the target finds what came back", func() bool {
		places, err := s.resolve(Container{Name: "shop-payments-1"}, Choice{})
		return err == nil && len(places) == 1 && places[0].Where().Process.PID != old.Process.PID && places[0].Where().Node.Container == old.Node.Container
	})
}

// restarted takes the ledger away for eight seconds; its policy does not bring it back before, and the address is as it
// was.
func (s *shop) restarted(t *testing.T) {
	old := s.service("ledger")
	began := time.Now()
	if err := s.inject("node_restart", `{"down_for":"8s"}`, old); err != nil {
		t.Fatal(err)
	}
	if _, err := s.resolve(Container{Name: "shop-ledger-1"}, Choice{}); err == nil || !strings.Contains(err.Error(), "shop-ledger-1 is exited") {
		t.Errorf("while it is down: %v", err)
	}
	if e := <-s.guard.Events(); e.Type != guard.EventOver || e.ID != "node_restart" {
		t.Errorf("%+v", e)
	}
	if took := time.Since(began); took < 8*time.Second {
		t.Errorf("it was back after %v", took)
	}
	now := s.service("ledger")
	if now.Process.PID == old.Process.PID || !slices.Equal(now.Addresses, old.Addresses) {
		t.Errorf("before %+v, after %+v", old, now)
	}
}

// removedWhileCut removes a container whose network is cut: the namespace is gone with it, and so is the cut.
func (s *shop) removedWhileCut(t *testing.T) {
	if err := s.inject("network_partition", `{"to":["198.18.240.12/32"]}`, s.service("payments")); err != nil {
		t.Fatal(err)
	}
	s.removed("payments", "network_partition")
}

// removedWhilePaused removes a container whose first process is stopped.
func (s *shop) removedWhilePaused(t *testing.T) {
	p := s.service("payments")
	if err := s.inject("process_pause", `{}`, p); err != nil {
		t.Fatal(err)
	}
	s.removed("payments", "process_pause")
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", p.Process.PID)); err == nil {
		t.Errorf("pid %d is still there", p.Process.PID)
	}
}

func (s *shop) removedWhileDown(t *testing.T) {
	if err := s.inject("node_restart", `{"down_for":"1m"}`, s.service("payments")); err != nil {
		t.Fatal(err)
	}
	s.removed("payments", "node_restart")
}

// removed removes a service's container under a fault. The guard notices by itself, or reverts without complaint; nothing is
// left in the ledger, and what is made in its place is found next.
func (s *shop) removed(name, fault string) {
	s.t.Helper()
	if left := s.standing(); len(left) != 1 {
		s.t.Errorf("in the ledger: %+v", left)
	}
	if err := s.Remove(s.t.Context(), "shop-"+name+"-1"); err != nil {
		s.t.Fatal(err)
	}
	if err := s.guard.Revert(s.t.Context(), fault); err != nil && !errors.Is(err, guard.ErrUnknown) {
		s.t.Errorf("reverting: %v", err)
	}
	if left := s.standing(); len(left) != 0 {
		s.t.Errorf("left in the ledger: %+v", left)
	}
	id := s.run(name)
	if p := s.service(name); p.Node.Container != id {
		s.t.Errorf("found %+v, want container %s", p, id)
	}
}

// madeAnew replaces a container as Compose does when its settings change: another id, the same labels.
func (s *shop) madeAnew(t *testing.T) {
	old := s.service("payments")
	if err := s.Remove(t.Context(), "shop-payments-1"); err != nil {
		t.Fatal(err)
	}
	s.run("payments")
	now := s.service("payments")
	if now.Node.Container == old.Node.Container || now.Process.PID == old.Process.PID {
		t.Errorf("before %+v, after %+v", old, now)
	}
	if err := s.inject("node_restart", `{"down_for":"1s"}`, old); err == nil || !strings.Contains(err.Error(), "made anew under another id; nothing was touched") {
		t.Errorf("restarting what is gone: %v", err)
	}
}

// elsewhere asks an engine whose processes have other numbers here than it says: nobody is taken for one of its containers.
func (s *shop) elsewhere(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("unshare", "--pid", "--fork", "--mount-proc", self, "-test.run", "TestElsewhereRole", "-test.v")
	c.Env = append(os.Environ(), "GAMEDAY_TARGETS_TEST_ENGINE="+s.Host)
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "is not that container's process here") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestElsewhereRole is the part of TestContainers that runs in a process namespace of its own.
func TestElsewhereRole(t *testing.T) {
	host := os.Getenv("GAMEDAY_TARGETS_TEST_ENGINE")
	if host == "" {
		return
	}
	_, err := (&Machine{}).Target("web", &Container{Name: "shop-payments-1", Engine: host}, Choice{}).Places(t.Context())
	t.Log(err)
}

func (s *shop) await(what string, done func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	if err := dockerrig.Poll(ctx, func() (bool, error) { return done(), nil }); err != nil {
		s.t.Errorf("%s: %v", what, err)
	}
}
