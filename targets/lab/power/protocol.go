package power

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Do names what a Request asks for.
type Do string

// What can be asked of a lab. Only Nodes, PowerOff and PowerOn concern guards; the others are the conductor's.
const (
	DoNodes    Do = "nodes"
	DoPowerOff Do = "power_off"
	DoPowerOn  Do = "power_on"
	DoStart    Do = "start"
	DoStop     Do = "stop"
)

// MaxMessage bounds one request or response, in bytes.
const MaxMessage = 16 << 20

// Request is one line of JSON from a client to the lab, and the only one on its connection.
type Request struct {
	Do   Do              `json:"do"`
	Node string          `json:"node,omitempty"`
	Down time.Duration   `json:"down,omitempty"` // nanoseconds; power_off only; zero: until switched on
	Body json.RawMessage `json:"body,omitempty"` // start only: what to start
}

// Response is the lab's one line of JSON in return.
type Response struct {
	Error       string  `json:"error,omitempty"`
	UnknownNode bool    `json:"unknown_node,omitempty"` // Error is about a node that the lab does not have
	Nodes       []State `json:"nodes,omitempty"`
}

// ErrUnknownNode says that the lab has no node of that name.
var ErrUnknownNode = errors.New("the lab has no such node")

// Failed returns the response that carries err.
func Failed(err error) Response {
	return Response{Error: err.Error(), UnknownNode: errors.Is(err, ErrUnknownNode)}
}

// Err returns the error that the response carries, or nil.
func (r Response) Err() error {
	switch {
	case r.Error == "":
		return nil
	case r.UnknownNode:
		return &remoteError{text: r.Error, is: ErrUnknownNode}
	default:
		return errors.New(r.Error)
	}
}

// remoteError keeps the lab's words and still answers errors.Is.
type remoteError struct {
	text string
	is   error
}

// Error returns the lab's words.
func (e *remoteError) Error() string { return e.text }

// Unwrap returns the sentinel that the lab's error was about.
func (e *remoteError) Unwrap() error { return e.is }

// Check reports a request that no lab can answer.
func (r Request) Check() error {
	switch r.Do {
	case DoNodes, DoStop:
		return nil
	case DoStart:
		if len(r.Body) == 0 {
			return errors.New("start: the request has no body")
		}
		return nil
	case DoPowerOff, DoPowerOn:
		if r.Node == "" {
			return fmt.Errorf("%s: the request names no node", r.Do)
		}
		if r.Down < 0 {
			return fmt.Errorf("%s %s: down time %s is negative", r.Do, r.Node, r.Down)
		}
		return nil
	default:
		return fmt.Errorf("unknown request %q", r.Do)
	}
}
