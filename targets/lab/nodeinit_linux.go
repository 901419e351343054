package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What lab init tells a node's first process to do.
const (
	doLink = "link" // the cable is there
	doStop = "stop" // end the processes, then yourself
)

// command is one line from lab init to a node's first process. The first one has the plan.
type command struct {
	Plan *nodePlan `json:"plan,omitempty"`
	Do   string    `json:"do,omitempty"`
}

// event is one line from a node's first process to lab init.
type event struct {
	Up        bool           `json:"up,omitempty"`      // on the network; sent once
	Ready     bool           `json:"ready,omitempty"`   // processes are ready, or one failed; sent once
	Trouble   string         `json:"trouble,omitempty"` // what is wrong
	Processes []processEvent `json:"processes,omitempty"`
}

// processEvent is the state of one process. PID is the one it has in the node; zero while it does not run.
type processEvent struct {
	Name     string `json:"name"`
	PID      int    `json:"pid,omitempty"`
	Ready    bool   `json:"ready,omitempty"`
	Restarts int    `json:"restarts,omitempty"`
	LastExit string `json:"last_exit,omitempty"`
}

// termLimit is how long processes have between SIGTERM and the node's end.
const termLimit = 2 * time.Second

// host is a node's first process.
type host struct {
	plan     nodePlan
	children *children
	stop     chan struct{} // closed when no process shall be started any more

	mu        sync.Mutex // guards what follows, and writes to lab init
	out       *json.Encoder
	processes []*process
	troubled  bool
}

// runNode is a node's life: it sets the node up, runs its processes, and ends on command. More often it is killed,
// which is how a machine loses power.
func runNode() (int, error) {
	link := os.NewFile(linkFD, "lab")
	in := json.NewDecoder(link)
	var c command
	if err := in.Decode(&c); err != nil || c.Plan == nil {
		return 1, fmt.Errorf("a node's first process got no plan: %v", err)
	}
	h := &host{plan: *c.Plan, children: newChildren(), stop: make(chan struct{}), out: json.NewEncoder(link)}
	commands := make(chan string)
	go receive(in, commands)
	if err := h.setUp(commands); err != nil {
		h.report(event{Trouble: err.Error()})
		return 1, nil
	}
	h.report(event{Up: true})
	go h.startAll()
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	for {
		select {
		case do, more := <-commands:
			if more && do != doStop {
				continue
			}
		case <-terminated:
		}
		h.shutDown()
		return 0, nil
	}
}

// receive passes lab init's commands on, and closes the channel when lab init is gone.
func receive(in *json.Decoder, commands chan<- string) {
	defer close(commands)
	for {
		var c command
		if err := in.Decode(&c); err != nil {
			return
		}
		commands <- c.Do
	}
}

// setUp makes this process's namespaces a host's.
func (h *host) setUp(commands <-chan string) error {
	if err := unix.Sethostname([]byte(h.plan.Name)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	if err := mountNode(h.plan.BootID); err != nil {
		return err
	}
	if err := quietNetwork(); err != nil {
		return err
	}
	if do := <-commands; do != doLink {
		return fmt.Errorf("waiting for the cable: got %q", do)
	}
	return joinNetwork(h.plan.Address, h.plan.Prefix)
}

// startAll starts the processes in order. The first one that fails is the node's trouble; the others start all the
// same, so that one look shows everything that is wrong.
func (h *host) startAll() {
	for _, p := range h.plan.Processes {
		log, err := openLog(logsFD, p.Log, logLimit)
		if err != nil {
			h.trouble(fmt.Sprintf("process %s: %v", p.Name, err))
			continue
		}
		one := newProcess(p, h, log)
		h.mu.Lock()
		h.processes = append(h.processes, one)
		h.mu.Unlock()
		h.report(event{})
		if err := one.startAndWait(); err != nil {
			h.trouble(fmt.Sprintf("process %s: %v", p.Name, err))
		}
	}
	h.report(event{Ready: true})
}

// trouble reports the first thing that is wrong; what follows from it would only hide it.
func (h *host) trouble(text string) {
	h.mu.Lock()
	first := !h.troubled
	h.troubled = true
	h.mu.Unlock()
	if first {
		h.report(event{Trouble: text})
	}
}

// report sends an event, with the present state of all processes. When lab init is gone, so are we in a moment.
func (h *host) report(e event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.processes {
		e.Processes = append(e.Processes, p.event())
	}
	_ = h.out.Encode(e)
}

// shutDown asks all processes to end, last started first, and gives them a moment.
func (h *host) shutDown() {
	close(h.stop)
	h.mu.Lock()
	all := slices.Clone(h.processes)
	h.mu.Unlock()
	slices.Reverse(all)
	limit := time.NewTimer(termLimit)
	defer limit.Stop()
	for _, p := range all {
		p.terminate()
	}
	for _, p := range all {
		select {
		case <-p.ended:
		case <-limit.C:
			return
		}
	}
}
