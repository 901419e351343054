package node

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"gameday/internal/dockerrig"
	"gameday/internal/kuberig"
)

const daemonPort = "31767"

// startDaemon starts chaos-daemon, and tells Chaos Mesh's controllers where it is. It has a mount namespace of its own, in
// which Chaos Mesh's small programs are where its image has them.
func (n *Node) startDaemon(ctx context.Context) error {
	program, err := n.c.Program("chaos-daemon")
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(n.dir, "chaos-daemon.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	const prepare = `mount -t tmpfs -o mode=755 tmpfs /usr/local/bin && cp "$0/nsexec" "$0/pause" /usr/local/bin/ && mount -t tmpfs tmpfs /run && exec "$@"`
	cmd := exec.Command("sh", "-c", prepare, filepath.Join(n.dir, "bin"), program, "--runtime", "docker",
		"--runtime-socket-path", n.Engine.Socket, "--grpc-port", daemonPort, "--http-port", "31766")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := n.c.Run(cmd); err != nil {
		return err
	}
	n.daemon = cmd
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	err = dockerrig.Poll(ctx, func() (bool, error) {
		conn, err := n.c.Dial(net.JoinHostPort(kuberig.Address, daemonPort))
		if err != nil {
			return false, nil
		}
		return true, conn.Close()
	})
	if err != nil {
		return fmt.Errorf("starting chaos-daemon: %w; its log ends with:\n%s", err, n.DaemonLog())
	}
	var ends []object
	for _, name := range n.options.Names {
		ends = append(ends, object{"addresses": []string{kuberig.Address}, "nodeName": name, "conditions": object{"ready": true}})
	}
	return n.c.Post("/apis/discovery.k8s.io/v1/namespaces/"+kuberig.MeshNamespace+"/endpointslices", object{"apiVersion": "discovery.k8s.io/v1",
		"kind": "EndpointSlice", "metadata": object{"name": "chaos-daemon-rig", "labels": object{"kubernetes.io/service-name": "chaos-daemon"}},
		"addressType": "IPv4", "endpoints": ends, "ports": []object{{"name": "grpc", "port": 31767}}}, nil)
}

// stopDaemon ends the daemon.
func (n *Node) stopDaemon() {
	if n.daemon != nil {
		_ = n.daemon.Process.Kill()
		_ = n.daemon.Wait()
	}
}

// DaemonLog returns the end of the daemon's log.
func (n *Node) DaemonLog() string {
	text, err := os.ReadFile(filepath.Join(n.dir, "chaos-daemon.log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}
