package kuberig

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Schemas starts an API server that serves Chaos Mesh's kinds, by definitions made of its API's types, and nothing else of
// Kubernetes: no namespaces (any name will do), no pods, no webhooks, no controllers. It returns the path of a kubeconfig
// with which everything is allowed. The server ends with the test.
func Schemas(t testing.TB) string {
	t.Helper()
	v, err := look()
	if err != nil {
		t.Fatal(err)
	}
	program, err := v.schemaServer()
	if err != nil {
		t.Fatal(err)
	}
	if err := missing([]string{program, v.definitions()}, []string{"etcd"}); err != nil {
		unable(t, err)
	}
	address, err := freeLoopback("2379", "2380")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	store := etcd(dir, address, (*exec.Cmd).Start)
	t.Cleanup(store.kill)
	if err := store.up(t.Context()); err != nil {
		t.Fatal(err)
	}
	path, err := serveSchemas(t, program, dir, "http://"+net.JoinHostPort(address, "2379"), v.definitions())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// serveSchemas starts the schema server and returns the path of the kubeconfig that it names when it is ready.
func serveSchemas(t testing.TB, program, dir, store, definitions string) (string, error) {
	says, out, err := os.Pipe()
	if err != nil {
		return "", err
	}
	in, hold, err := os.Pipe()
	if err != nil {
		return "", errors.Join(err, says.Close(), out.Close())
	}
	line := make(chan []byte, 1)
	go func() {
		text, _ := bufio.NewReader(says).ReadBytes('\n')
		line <- text
	}()
	var answer struct{ Kubeconfig string }
	s := &process{name: "schemaserver", dir: dir, start: (*exec.Cmd).Start}
	s.make = func() *exec.Cmd {
		cmd := exec.Command(program, "-etcd", store, "-dir", dir, definitions)
		cmd.Stdin, cmd.Stdout = in, out
		return cmd
	}
	s.ready = func() bool {
		select {
		case text := <-line:
			return json.Unmarshal(text, &answer) == nil && answer.Kubeconfig != ""
		default:
			return false
		}
	}
	t.Cleanup(func() {
		s.kill()
		_, _, _, _ = hold.Close(), in.Close(), out.Close(), says.Close()
	})
	if err := s.up(context.Background()); err != nil {
		return "", err
	}
	return answer.Kubeconfig, nil
}

// etcd returns an etcd that is not started, in a folder and at a loopback address.
func etcd(dir, address string, start func(*exec.Cmd) error) *process {
	clients, peers := "http://"+net.JoinHostPort(address, "2379"), "http://"+net.JoinHostPort(address, "2380")
	return &process{name: "etcd", dir: dir, start: start,
		make: func() *exec.Cmd {
			return exec.Command("etcd", "--name", "rig", "--data-dir", filepath.Join(dir, "etcd"),
				"--listen-client-urls", clients, "--advertise-client-urls", clients,
				"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", "rig="+peers,
				"--logger", "zap", "--log-level", "warn", "--unsafe-no-fsync")
		},
		// Whoever uses it waits until it answers.
		ready: func() bool { return true }}
}

// freeLoopback returns a loopback address at which nobody listens on some ports.
func freeLoopback(ports ...string) (string, error) {
	var err error
	for range 20 {
		address := fmt.Sprintf("127.%d.%d.%d", 64+rand.IntN(128), rand.IntN(256), 1+rand.IntN(254))
		free := true
		for _, port := range ports {
			var l net.Listener
			if l, err = net.Listen("tcp", net.JoinHostPort(address, port)); err != nil {
				free = false
				break
			}
			_ = l.Close()
		}
		if free {
			return address, nil
		}
	}
	return "", fmt.Errorf("finding a loopback address: %w", err)
}
