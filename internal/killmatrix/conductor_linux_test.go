package killmatrix

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
)

// What the roles are told by their environment.
const (
	ledgerVariable  = "GAMEDAY_KILLMATRIX_LEDGER"  // folder
	gateVariable    = "GAMEDAY_KILLMATRIX_GATE"    // socket at which the guard asks whether it may go on
	requestVariable = "GAMEDAY_KILLMATRIX_REQUEST" // a guard.InjectRequest
)

// What a conductor says on its standard output, one to a line, and is told on its standard input.
const (
	saidGuard    = "guard"    // and the guard's pid
	saidInjected = "injected" // and the evidence
	saidRefused  = "refused"  // and why
	saidReverted = "reverted"
	saidResidue  = "residue" // and why
	tellRevert   = "revert"
	tellClose    = "close"
)

// playConductor does what gameday does with a guard: start it in a session of its own, inject, renew five times a
// lease, and revert when told. It ends, as gameday does, by closing the guard's input.
func playConductor() error {
	var request guard.InjectRequest
	if err := json.Unmarshal([]byte(os.Getenv(requestVariable)), &request); err != nil {
		return err
	}
	cmd := as(roleGuard)
	if dir := os.Getenv(wireVariable); dir != "" {
		var err error
		if cmd, err = sshGuard(dir); err != nil {
			return err
		}
	}
	cmd.Stderr = nil
	ctx := context.Background()
	c, err := guard.Start(ctx, cmd)
	if err != nil {
		return err
	}
	welcome, err := c.Hello(ctx)
	if err != nil {
		return err
	}
	fmt.Println(saidGuard, welcome.PID)
	orders := make(chan string)
	go func() {
		defer close(orders)
		scan := bufio.NewScanner(os.Stdin)
		for scan.Scan() {
			orders <- scan.Text()
		}
	}()
	injecting := make(chan struct{})
	go func() {
		defer close(injecting)
		got, err := c.Inject(ctx, request)
		if err != nil {
			say(saidRefused, err.Error())
			return
		}
		say(saidInjected, got.Effect.Summary)
	}()
	go func() {
		<-injecting
		for tick := time.NewTicker(request.Lease / 5); ; <-tick.C {
			if _, err := c.Renew(ctx, request.Lease, request.ID); err != nil {
				return
			}
		}
	}()
	for order := range orders {
		if order == tellClose {
			break
		}
		go func() {
			if err := c.Revert(ctx, request.ID); err != nil && !errors.Is(err, guard.ErrUnknown) {
				say(saidResidue, err.Error())
				return
			}
			say(saidReverted, "")
		}()
	}
	return c.Close(ctx)
}

var saying sync.Mutex

func say(word, rest string) {
	saying.Lock()
	defer saying.Unlock()
	line, _ := json.Marshal(rest)
	fmt.Printf("%s %s\n", word, line)
}

// gate is the guard's end of the socket at which it stops.
type gate struct {
	conn net.Conn
	in   *bufio.Reader
}

func dialGate(path string) (*gate, error) {
	c, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	return &gate{conn: c, in: bufio.NewReader(c)}, nil
}

// reach says where the injection is and blocks until told to go on. A worker that is gone stops nobody.
func (g *gate) reach(at faults.Checkpoint) {
	if _, err := fmt.Fprintln(g.conn, at); err != nil {
		return
	}
	_, _ = g.in.ReadString('\n')
}
