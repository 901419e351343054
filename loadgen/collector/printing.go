package collector

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/podlogs"
	"gameday/loadgen/remote"
)

const (
	// FilesVariable names, in a runner's environment, the folder with what it is given when it reaches nobody: StreamFile has what it is
	// to send, and OrdersFile what it is to do, which changes.
	FilesVariable = "GAMEDAY_RUNNER_FILES"
	StreamFile    = "stream"
	OrdersFile    = "orders"
)

const (
	// orderLook is how often a runner looks whether there are orders.
	orderLook = 100 * time.Millisecond
	// sign is how often at least it prints something.
	sign = 5 * time.Second
	// lineEach is how often what runs the stream hears that there is still somebody.
	lineEach = time.Second
)

var errLapsed = fmt.Errorf("nothing was heard of the game day for %s: its orders were not renewed", loadgen.LogsLease)

// speaking is a runner that prints.
type speaking struct {
	printer *podlogs.Printer
	inbox   podlogs.Inbox // of listen
	read    func() ([]byte, error)
	taken   atomic.Uint64
	printed atomic.Int64 // when it last did, Unix nanoseconds
}

// print sends the segment without a connection: what it is to send and to do is in files, and what it has to tell it prints.
func (r *Runner) print(ctx context.Context, engine loadgen.Generator) error {
	t, err := readToken(r.Token)
	if err != nil {
		return err
	}
	dir := os.Getenv(FilesVariable)
	packed, err := os.ReadFile(filepath.Join(dir, StreamFile))
	if err != nil {
		return fmt.Errorf("%w: reading what it is to send: %w", ErrRefused, err)
	}
	version, spec, err := podlogs.UnpackStream(packed, r.Segment)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	first, err := remote.First(version, spec)
	if err != nil {
		return err
	}
	out := r.out
	if out == nil {
		out = os.Stdout
	}
	read := r.orders
	if read == nil {
		read = func() ([]byte, error) { return os.ReadFile(filepath.Join(dir, OrdersFile)) }
	}
	key, session := podlogs.NewKey(t.secret[:], r.Segment.Index), podlogs.NewSession()
	s := &speaking{printer: podlogs.NewPrinter(out, key, session), inbox: podlogs.Inbox{Key: key, Session: session}, read: read}
	hello, err := json.Marshal(printedHello{Protocol: Protocol, Version: r.Version, Segment: r.Segment, Who: plain(r.Who)})
	if err != nil {
		return err
	}
	if err := s.say(hello); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	orders, told := io.Pipe()
	defer orders.Close()
	go s.listen(ctx, told, first, cmp.Or(r.Patience, loadgen.LogsLease), cancel)
	return r.serve(ctx, engine, orders, s)
}

// Write prints what the far end of the stream says: a line each time.
func (s *speaking) Write(line []byte) (int, error) {
	if err := s.say(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
		return 0, err
	}
	return len(line), nil
}

func (s *speaking) say(message []byte) error {
	s.printed.Store(time.Now().UnixNano())
	return s.printer.Print(message, s.taken.Load())
}

// listen hands the stream on, and then each order, and ends the traffic when nothing was heard for as long as the lease is; patience is how
// long the first word may take.
func (s *speaking) listen(ctx context.Context, told *io.PipeWriter, first []byte, patience time.Duration, cancel context.CancelCauseFunc) {
	defer told.Close()
	var heard atomic.Bool
	lease := time.AfterFunc(patience, func() {
		if heard.Load() {
			cancel(errLapsed)
			return
		}
		cancel(fmt.Errorf("%w: there were no orders within %s", ErrUnreached, patience))
	})
	defer lease.Stop()
	if _, err := told.Write(first); err != nil {
		return
	}
	tick := time.NewTicker(orderLook)
	defer tick.Stop()
	lined := time.Now()
	var last []byte
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		text, err := s.read() // what is not there yet is looked for again
		if err == nil && !bytes.Equal(text, last) {
			last = text
			lines, fresh := s.inbox.Take(text)
			if fresh {
				heard.Store(true)
				lease.Reset(loadgen.LogsLease)
				s.taken.Store(s.inbox.Taken())
				_ = s.say(nil) // so that it is known there what was heard here
			}
			for _, l := range lines {
				if _, err := told.Write(append(l, '\n')); err != nil {
					return
				}
			}
		}
		now := time.Now()
		if now.Sub(lined) >= lineEach {
			lined = now
			if _, err := told.Write([]byte("\n")); err != nil {
				return
			}
		}
		if now.UnixNano()-s.printed.Load() >= int64(sign) {
			_ = s.say(nil)
		}
	}
}
