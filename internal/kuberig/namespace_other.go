//go:build !linux

package kuberig

import (
	"errors"
	"net"
	"os/exec"
)

type namespace struct{}

func possible() error { return errors.New("a network namespace of a cluster's own needs Linux") }

func newNamespace(string) (*namespace, error) { return nil, possible() }

func (*namespace) do(func() error) error               { return possible() }
func (*namespace) start(*exec.Cmd) error               { return possible() }
func (*namespace) dial(string) (net.Conn, error)       { return nil, possible() }
func (*namespace) listen(string) (net.Listener, error) { return nil, possible() }
func (*namespace) close()                              {}
