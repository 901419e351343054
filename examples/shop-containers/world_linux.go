package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gameday/internal/dockerrig"
)

// The world's own network. Its first address is the machine's side of the bridge, where gameday and its desk are.
const (
	network = "198.18.41."
	desk    = network + "1"
	ready   = 30 * time.Second // until every service answers
)

// service is one container of the shop's Compose project.
type service struct {
	name    string
	address string
	command []string
	health  string // port of /healthz; empty when it has none
}

var services = []service{
	{"storefront", network + "10", []string{"/shop", "storefront"}, "9101"},
	{"payments", network + "11", []string{"/shop", "payments"}, "9102"},
	{"ledger", network + "12", []string{"/shop", "ledger"}, "9103"},
	{"bob", network + "13", []string{"/oncall", "-desk", "http://gameday:9911", "-person", "bob", "-after", "2s", "-bridge"}, ""},
}

// hosts are the names of the world, one "name:address" each.
func hosts() []string {
	out := []string{"gameday:" + desk}
	for _, s := range services {
		out = append(out, s.name+":"+s.address)
	}
	return out
}

// inside brings the world up, runs the command in it, and takes it down again.
func inside(dir string, command []string) (code int, err error) {
	ctx := context.Background()
	if err := furnish(dir); err != nil {
		return failed, err
	}
	engine, err := dockerrig.Start(ctx, dockerrig.Options{Dir: dir, Joined: true})
	if err != nil {
		return failed, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	if err := open(ctx, engine); err != nil {
		return failed, fmt.Errorf("%w; the engine's log ends with:\n%s", err, engine.Log())
	}
	c := exec.Command(command[0], command[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	// What a fault leaves behind here is gone with the world, and so is the ledger that tells of it.
	c.Env = append(os.Environ(), "DOCKER_HOST="+engine.Host, "GAMEDAY_LEDGER="+filepath.Join(dir, "state", "ledger"))
	return run(c)
}

// furnish gives the new namespaces their /proc, a loopback interface that is up, and the world's names.
func furnish(dir string) error {
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("bringing lo up: %w: %s", err, out)
	}
	lines := "127.0.0.1 localhost\n"
	for _, h := range hosts() {
		name, address, _ := strings.Cut(h, ":")
		lines += address + " " + name + "\n"
	}
	names := filepath.Join(dir, "hosts")
	if err := os.WriteFile(names, []byte(lines), 0o644); err != nil {
		return err
	}
	if err := syscall.Mount(names, "/etc/hosts", "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("naming the containers: %w", err)
	}
	return nil
}

// open starts the shop, and returns when every service answers.
func open(ctx context.Context, engine *dockerrig.Engine) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	bin := filepath.Dir(self)
	if err := engine.Import(ctx, "shop", filepath.Join(bin, "shop"), filepath.Join(bin, "oncall")); err != nil {
		return err
	}
	if err := engine.Network(ctx, "shop", network+"0/24"); err != nil {
		return err
	}
	for _, s := range services {
		_, err := engine.Run(ctx, dockerrig.Container{Name: "shop-" + s.name + "-1", Image: "shop", Command: s.command, Restart: "always",
			Network: "shop", Address: s.address, Hosts: hosts(),
			Labels: map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": s.name}})
		if err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, ready)
	defer cancel()
	for _, s := range services {
		if s.health == "" {
			continue
		}
		url := "http://" + s.address + ":" + s.health + "/healthz"
		if err := dockerrig.Poll(ctx, func() (bool, error) { return healthy(ctx, url), nil }); err != nil {
			return fmt.Errorf("waiting for %s: %w", s.name, err)
		}
	}
	return nil
}

func healthy(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}
