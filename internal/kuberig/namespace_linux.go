package kuberig

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// namespace is a network namespace, and a thread in it that starts programs and opens sockets there.
type namespace struct {
	work  chan func()
	ended chan struct{}
}

// possible returns why a namespace cannot be made here, or nil.
func possible() error {
	if os.Geteuid() != 0 {
		return errors.New("a network namespace of a cluster's own needs root")
	}
	return nil
}

// newNamespace makes a namespace in which lo and the address are up. The address is on a bridge of its own, since whoever
// asks for a cluster's address means one that is not loopback.
func newNamespace(address string) (*namespace, error) {
	n := &namespace{work: make(chan func()), ended: make(chan struct{})}
	made := make(chan error, 1)
	go n.live(made)
	if err := <-made; err != nil {
		return nil, fmt.Errorf("making a network namespace: %w", err)
	}
	for _, args := range [][]string{{"link", "set", "lo", "up"}, {"link", "add", "gd0", "type", "bridge"},
		{"address", "add", address, "dev", "gd0"}, {"link", "set", "gd0", "up"}} {
		cmd := exec.Command("ip", args...)
		var out []byte
		if err := n.do(func() (err error) { out, err = cmd.CombinedOutput(); return err }); err != nil {
			n.close()
			return nil, fmt.Errorf("making a network namespace: ip %v: %w: %s", args, err, out)
		}
	}
	return n, nil
}

// live takes a thread into a namespace of its own and works there until the channel is closed. The thread ends with the
// goroutine, and so do programs that it started and that are still there.
func (n *namespace) live(made chan error) {
	defer close(n.ended)
	runtime.LockOSThread()
	if syscall.Gettid() == os.Getpid() {
		// The first thread stands for the whole process in /proc. It waits here; another one goes.
		other := make(chan struct{})
		go func() {
			defer close(other)
			n.within(made)
		}()
		<-other
		runtime.UnlockOSThread()
		return
	}
	n.within(made)
}

func (n *namespace) within(made chan error) {
	runtime.LockOSThread()
	err := syscall.Unshare(syscall.CLONE_NEWNET)
	made <- err
	if err != nil {
		return
	}
	for f := range n.work {
		f()
	}
}

// do calls f on the thread that is in the namespace.
func (n *namespace) do(f func() error) error {
	result := make(chan error, 1)
	n.work <- func() { result <- f() }
	return <-result
}

// start starts a program in the namespace.
func (n *namespace) start(cmd *exec.Cmd) error { return n.do(cmd.Start) }

// dial connects to a TCP address in the namespace.
func (n *namespace) dial(address string) (conn net.Conn, err error) {
	err = n.do(func() error {
		conn, err = net.DialTimeout("tcp", address, 2*time.Second)
		return err
	})
	return conn, err
}

// listen listens on a TCP address in the namespace.
func (n *namespace) listen(address string) (l net.Listener, err error) {
	err = n.do(func() error {
		l, err = net.Listen("tcp", address)
		return err
	})
	return l, err
}

// close gives the namespace up. Nothing may be asked of it afterwards.
func (n *namespace) close() {
	close(n.work)
	<-n.ended
}
