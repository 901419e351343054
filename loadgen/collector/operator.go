package collector

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"gameday/loadgen"
)

// What the k6 operator runs in a pod is "k6 run", with arguments of its own, and what it expects of that is k6's REST interface. A runner
// in such a pod takes of the arguments which segment it has and where the interface is to be; what it sends comes from the
// collector.

// K6Run is what the k6 operator's arguments to k6 say to a runner.
type K6Run struct {
	Segment loadgen.Segment
	Address string // of the REST interface
	Paused  bool   // it is not to begin before it is told to by that
}

// defaultAddress is where k6 has its REST interface when the operator does not say.
const defaultAddress = "0.0.0.0:6565"

// ReadK6Run reads the arguments of a k6 command, beginning with "run". What a runner does not need is passed over.
func ReadK6Run(args []string) (K6Run, error) {
	r := K6Run{Segment: loadgen.Segment{Of: 1}, Address: defaultAddress}
	if len(args) == 0 || args[0] != "run" {
		return K6Run{}, errors.New("as k6, a runner knows only k6 run")
	}
	for i := 1; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		next := func() string {
			if !joined && i+1 < len(args) {
				i++
				return args[i]
			}
			return value
		}
		var err error
		switch name {
		case "--execution-segment":
			r.Segment, err = readSegment(next())
		case "--address", "-a":
			if r.Address = next(); r.Address == "" {
				err = errors.New("--address says no address")
			}
		case "--paused", "-p":
			r.Paused = value != "false"
		}
		if err != nil {
			return K6Run{}, err
		}
	}
	return r, nil
}

// readSegment reads a segment as k6 writes it, "1/3:2/3".
func readSegment(s string) (loadgen.Segment, error) {
	wrong := fmt.Errorf("%q is not one of several equal execution segments, such as 1/3:2/3", s)
	begin, end, ok := strings.Cut(s, ":")
	from, ok1 := fraction(begin)
	to, ok2 := fraction(end)
	if !ok || !ok1 || !ok2 {
		return loadgen.Segment{}, wrong
	}
	length := new(big.Rat).Sub(to, from)
	if length.Sign() <= 0 || !length.Num().IsInt64() || length.Num().Int64() != 1 || !length.Denom().IsInt64() {
		return loadgen.Segment{}, wrong
	}
	of := length.Denom().Int64()
	index := new(big.Rat).Mul(from, new(big.Rat).SetInt64(of))
	if of > maxSegments || !index.IsInt() || index.Sign() < 0 || index.Num().Int64() >= of {
		return loadgen.Segment{}, wrong
	}
	return loadgen.Segment{Index: int(index.Num().Int64()), Of: int(of)}, nil
}

// fraction reads "0", "1/3" or "0.5". It bounds what it computes with.
func fraction(s string) (*big.Rat, bool) {
	if s = strings.TrimSpace(s); len(s) > 32 || strings.ContainsAny(s, "eEpPxX_+-") {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

// maxPatch bounds a request to the REST interface.
const maxPatch = 64 << 10

// Control answers for a runner what k6 answers by its REST interface, as far as the k6 operator asks: its status, "begin", and "stop". Its
// methods may be called from any goroutine.
type Control struct {
	mu               sync.Mutex
	paused, stopped  bool
	begun, stopAsked chan struct{}
}

// NewControl returns the control of a runner that is paused, or not.
func NewControl(paused bool) *Control {
	c := &Control{paused: paused, begun: make(chan struct{}), stopAsked: make(chan struct{})}
	if !paused {
		close(c.begun)
	}
	return c
}

// Begun is closed when the runner may begin.
func (c *Control) Begun() <-chan struct{} { return c.begun }

// Stopped is closed when the runner is to stop.
func (c *Control) Stopped() <-chan struct{} { return c.stopAsked }

// status is k6's document of a run's status.
type status struct {
	Data struct {
		Type       string     `json:"type"`
		ID         string     `json:"id"`
		Attributes attributes `json:"attributes"`
	} `json:"data"`
}

type attributes struct {
	Paused  *bool `json:"paused,omitempty"`
	Stopped *bool `json:"stopped,omitempty"`
	Running bool  `json:"running"`
	Tainted bool  `json:"tainted"`
}

// ServeHTTP answers one request.
func (c *Control) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	switch {
	case q.URL.Path != "/v1/status":
		http.NotFound(w, q)
		return
	case q.Method == http.MethodGet:
	case q.Method != http.MethodPatch:
		w.Header().Set("Allow", "GET, PATCH")
		http.Error(w, "GET or PATCH", http.StatusMethodNotAllowed)
		return
	default:
		var asked status
		body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxPatch))
		if err == nil {
			err = json.Unmarshal(body, &asked)
		}
		if err == nil {
			err = c.patch(asked.Data.Attributes)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(c.status())
}

func (c *Control) status() (s status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	paused, stopped := c.paused, c.stopped
	s.Data.Type, s.Data.ID = "status", "default"
	s.Data.Attributes = attributes{Paused: &paused, Stopped: &stopped, Running: !paused && !stopped}
	return s
}

// patch does what is asked for.
func (c *Control) patch(a attributes) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.Paused != nil && *a.Paused && !c.paused {
		return errors.New("a run that has begun cannot be paused")
	}
	if a.Paused != nil && !*a.Paused && c.paused {
		c.paused = false
		close(c.begun)
	}
	if a.Stopped != nil && *a.Stopped && !c.stopped {
		c.stopped = true
		close(c.stopAsked)
	}
	return nil
}

// Serve answers at an address until the function that it returns is called.
func (c *Control) Serve(address string) (stop func(), err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("answering for k6: %w", err)
	}
	s := &http.Server{Handler: c, ReadHeaderTimeout: greeting, ReadTimeout: greeting, WriteTimeout: greeting, IdleTimeout: time.Minute,
		MaxHeaderBytes: maxHello}
	go s.Serve(l)
	return func() { s.Close() }, nil
}
