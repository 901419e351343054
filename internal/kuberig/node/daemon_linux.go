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

// daemonRoot makes a root in which Chaos Mesh's small programs, and what it is to see of the machine, are where its image has
// them, and becomes the daemon there. $0 is an empty folder, $1 has the programs, $2 is the daemon. All of it is in a mount
// namespace, and ends with it.
const daemonRoot = `set -e
mkdir -p "$0"
mount -t tmpfs -o mode=755 tmpfs "$0"
mkdir "$0/upper" "$0/work" "$0/root"
mount -t overlay -o "lowerdir=/,upperdir=$0/upper,workdir=$0/work" overlay "$0/root"
for d in proc sys dev tmp; do mount --rbind "/$d" "$0/root/$d"; done
mount -t tmpfs tmpfs "$0/root/run"
mkdir -p "$0/root/host-sys" "$0/root/usr/local/bin"
mount --rbind /sys "$0/root/host-sys"
cp "$1/nsexec" "$1/pause" "$0/root/usr/local/bin/"
cp "$2" "$0/root/usr/local/bin/chaos-daemon"
root=$0/root
shift 2
exec chroot "$root" /usr/local/bin/chaos-daemon "$@"`

// startDaemon starts chaos-daemon, and tells Chaos Mesh's controllers where it is. It has a mount namespace of its own.
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
	cmd := exec.Command("sh", "-c", daemonRoot, filepath.Join(n.dir, "daemon"), filepath.Join(n.dir, "bin"), program,
		"--runtime", "docker", "--runtime-socket-path", n.Engine.Socket, "--grpc-port", daemonPort, "--http-port", "31766")
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

// StopDaemon ends the daemon at once, and for good. The cluster goes on saying that it is there.
func (n *Node) StopDaemon() {
	n.stopping.Do(func() {
		if n.daemon != nil {
			_ = n.daemon.Process.Kill()
			_ = n.daemon.Wait()
		}
	})
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
