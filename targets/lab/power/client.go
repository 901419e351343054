package power

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// maxSocketPath is the longest path that fits in a Unix socket's address, without its final zero byte.
const maxSocketPath = 107

// Client asks one lab. It holds no connection, so it survives anything but the lab's end, and may be used by many
// goroutines at once.
type Client struct {
	path string
}

// New returns a client of the lab whose control socket is at path, and touches nothing. The path may be longer than a
// socket's address allows.
func New(path string) *Client { return &Client{path: path} }

// Dial is New after one connection that proves that a lab listens there.
func Dial(path string) (*Client, error) {
	c := New(path)
	conn, err := c.connect(context.Background())
	if err != nil {
		return nil, err
	}
	return c, conn.Close()
}

// Path returns the path of the lab's control socket.
func (c *Client) Path() string { return c.path }

// Nodes returns all nodes in order of declaration.
func (c *Client) Nodes(ctx context.Context) ([]State, error) {
	r, err := c.Call(ctx, Request{Do: DoNodes})
	return r.Nodes, err
}

// Node returns one node, or an error that wraps ErrUnknownNode.
func (c *Client) Node(ctx context.Context, name string) (State, error) {
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return State{}, err
	}
	i := slices.IndexFunc(nodes, func(s State) bool { return s.Name == name })
	if i < 0 {
		return State{}, fmt.Errorf("finding node %q: %w", name, ErrUnknownNode)
	}
	return nodes[i], nil
}

// PowerOff takes the node's power away and returns when all of its processes are dead and its address is gone. After
// down, counted from then, it boots by itself; with down zero it stays off until PowerOn. Powering off a node that is
// off already only changes when it boots.
func (c *Client) PowerOff(ctx context.Context, node string, down time.Duration) error {
	_, err := c.Call(ctx, Request{Do: DoPowerOff, Node: node, Down: down})
	return err
}

// PowerOn boots the node now and returns when it is on the network; its processes may still be starting. It does
// nothing to a node that is on.
func (c *Client) PowerOn(ctx context.Context, node string) error {
	_, err := c.Call(ctx, Request{Do: DoPowerOn, Node: node})
	return err
}

// Call sends one request and returns the lab's answer. When ctx ends first, Call returns its error; the lab may still
// do what it was asked.
func (c *Client) Call(ctx context.Context, r Request) (Response, error) {
	if err := r.Check(); err != nil {
		return Response{}, err
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return Response{}, err
	}
	defer conn.Close()
	// Closing is the only thing that ends a read at once, and tells the lab that nobody waits any more.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	answer, err := exchange(conn, r)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return Response{}, fmt.Errorf("asking the lab for %s: %w", r.Do, err)
	}
	return answer, answer.Err()
}

// exchange writes the request and reads the response.
func exchange(conn net.Conn, r Request) (Response, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return Response{}, err
	}
	if _, err := conn.Write(append(line, '\n')); err != nil {
		return Response{}, err
	}
	answer, err := bufio.NewReader(io.LimitReader(conn, MaxMessage)).ReadBytes('\n')
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the lab hung up without an answer")
		}
		return Response{}, err
	}
	var out Response
	if err := json.Unmarshal(answer, &out); err != nil {
		return Response{}, fmt.Errorf("reading the answer: %w", err)
	}
	return out, nil
}

// connect opens one connection. A path too long for a socket's address is reached through a descriptor of its folder.
func (c *Client) connect(ctx context.Context) (net.Conn, error) {
	path := c.path
	if len(path) > maxSocketPath {
		dir, err := os.Open(filepath.Dir(path))
		if err != nil {
			return nil, fmt.Errorf("reaching the lab's control socket: %w", err)
		}
		defer dir.Close()
		path = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("reaching the lab's control socket: %w; it is there only inside the lab, while it runs", err)
	}
	return conn, nil
}
