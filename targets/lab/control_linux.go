package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"

	"gameday/targets/lab/power"
)

// serve answers requests on a Unix socket at path until the process ends.
func serve(path string, n *nodes) error {
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("opening the lab's control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("opening the lab's control socket: %w", err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go answer(conn, n)
		}
	}()
	return nil
}

// answer serves the one request of a connection. Its context ends when the client hangs up.
func answer(conn net.Conn, n *nodes) {
	defer conn.Close()
	in := bufio.NewReader(io.LimitReader(conn, power.MaxMessage))
	line, err := in.ReadBytes('\n')
	if err != nil {
		return // a client that only looked whether somebody is there
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = in.ReadByte() // nothing more is to come, so this returns when the client is gone
		cancel()
	}()
	var r power.Request
	var out power.Response
	if err := json.Unmarshal(line, &r); err != nil {
		out = power.Failed(fmt.Errorf("reading the request: %w", err))
	} else if out, err = n.do(ctx, r); err != nil {
		out = power.Failed(err)
	}
	text, err := json.Marshal(out)
	if err != nil {
		return
	}
	// Nobody is left to tell when the client does not take its answer.
	_, _ = conn.Write(append(text, '\n'))
}

// do carries one request out.
func (n *nodes) do(ctx context.Context, r power.Request) (power.Response, error) {
	if err := r.Check(); err != nil {
		return power.Response{}, err
	}
	switch r.Do {
	case power.DoNodes:
		return power.Response{Nodes: n.states()}, nil
	case power.DoStart:
		var p plan
		if err := json.Unmarshal(r.Body, &p); err != nil {
			return power.Response{}, fmt.Errorf("reading what to start: %w", err)
		}
		return power.Response{}, n.start(ctx, p)
	case power.DoStop:
		return power.Response{}, n.stop()
	}
	one, err := n.find(r.Node)
	if err != nil {
		return power.Response{}, err
	}
	if r.Do == power.DoPowerOn {
		return power.Response{}, one.powerOn()
	}
	return power.Response{}, one.powerOff(r.Down)
}
