package collector

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/remote"
)

const (
	// dialing bounds one attempt to reach the collector, and firstPause and lastPause are between two of them.
	dialing    = 10 * time.Second
	firstPause = 200 * time.Millisecond
	lastPause  = 3 * time.Second
)

// The ways in which a runner comes to its end before it is asked to.
var (
	// ErrRefused is wrapped when the collector does not want the runner: another attempt would end in the same way.
	ErrRefused = errors.New("the collector refuses this runner")
	// ErrUnreached is wrapped when the collector was not reached in time.
	ErrUnreached = errors.New("the collector was not reached")
	// ErrFailed is wrapped when the traffic itself went wrong, which the collector was told.
	ErrFailed = errors.New("the traffic failed")
)

// Runner is the far end: it sends one segment of a stream for a collector.
type Runner struct {
	// Collector is its address, "host:port", or loadgen.Logs for a runner that reaches nobody: it prints what it has to tell, and is told by
	// files; see FilesVariable.
	Collector string
	// Token is what the collector gave out for the stream.
	Token   string
	Segment loadgen.Segment
	// Who names this runner to people: its pod, its process.
	Who     string
	Version string // of this program; the collector's must be the same
	// Patience bounds how long the collector may not be reached.
	Patience time.Duration
	// Hold, when not nil, keeps the stream from beginning until it is closed.
	Hold <-chan struct{}

	dialer func(context.Context) (net.Conn, error) // nil dials Collector
	out    io.Writer                               // what a runner prints to that reaches nobody; nil is standard output
	orders func() ([]byte, error)                  // reads what it is told; nil reads the file
}

// Run claims the segment and sends it by an engine. It returns nil when the collector has told it to stop, an error that wraps ErrRefused or
// ErrUnreached when it was not taken in, one that wraps ErrFailed when the engine did not end as it should, and otherwise why it stopped: the
// collector was gone or silent, ctx ended.
func (r *Runner) Run(ctx context.Context, engine loadgen.Generator) error {
	if r.Collector == loadgen.Logs {
		return r.print(ctx, engine)
	}
	t, err := readToken(r.Token)
	if err != nil {
		return err
	}
	conn, err := r.reach(ctx, t)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(time.Now().Add(time.Second)) })
	defer stop()
	return r.serve(ctx, engine, conn, conn)
}

// serve sends the segment by what is said on in, and says on out what becomes of it.
func (r *Runner) serve(ctx context.Context, engine loadgen.Generator, in io.Reader, out io.Writer) error {
	if r.Hold != nil {
		engine = held{engine, r.Hold}
	}
	n := &noting{Generator: engine}
	if err := remote.Serve(ctx, r.Version, n, in, out); err != nil {
		return err
	}
	if n.err != nil {
		return fmt.Errorf("%w: %w", ErrFailed, n.err)
	}
	return nil
}

// noting is an engine whose last word is kept.
type noting struct {
	loadgen.Generator
	err error
}

// Run runs the stream.
func (n *noting) Run(ctx context.Context, spec loadgen.Spec, emit func(loadgen.Window)) error {
	n.err = n.Generator.Run(ctx, spec, emit)
	return n.err
}

// reach dials until the collector has answered, or patience is over.
func (r *Runner) reach(ctx context.Context, t token) (*Conn, error) {
	deadline := time.Now().Add(r.Patience)
	pause := firstPause
	for {
		conn, err := r.dial(ctx, t)
		switch {
		case err == nil:
			return conn, nil
		case errors.Is(err, ErrRefused):
			return nil, err
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case time.Now().Add(pause).After(deadline):
			return nil, fmt.Errorf("%w at %s within %s: %w", ErrUnreached, r.Collector, r.Patience, err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		pause = min(2*pause, lastPause)
	}
}

// dial makes one attempt.
func (r *Runner) dial(ctx context.Context, t token) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialing)
	defer cancel()
	dial := r.dialer
	if dial == nil {
		dial = func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", r.Collector)
		}
	}
	raw, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(raw, &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // the digest stands for all of it
		VerifyConnection:   func(s tls.ConnectionState) error { return r.pinned(s, t) },
	})
	conn := &Conn{Conn: secure, from: bufio.NewReaderSize(secure, maxHello)}
	err = secure.HandshakeContext(ctx)
	if err == nil {
		err = r.introduce(conn, t)
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// pinned fails unless the other side has the certificate that the token names.
func (r *Runner) pinned(s tls.ConnectionState, t token) error {
	if len(s.PeerCertificates) > 0 {
		got := sha256.Sum256(s.PeerCertificates[0].Raw)
		if subtle.ConstantTimeCompare(got[:], t.pin[:]) == 1 {
			return nil
		}
	}
	return fmt.Errorf("%w: what answers at %s is not the collector that the token is of", ErrRefused, r.Collector)
}

// introduce says who this is, and hears whether it is wanted.
func (r *Runner) introduce(conn *Conn, t token) error {
	_ = conn.SetDeadline(time.Now().Add(greeting))
	h := hello{Protocol: Protocol, Version: r.Version, Secret: t.word(), Segment: r.Segment, Who: plain(r.Who)}
	if err := json.NewEncoder(conn).Encode(h); err != nil {
		return err
	}
	line, err := conn.from.ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("hearing the collector's answer: %w", err)
	}
	var w welcome
	if err := json.Unmarshal(line, &w); err != nil {
		return fmt.Errorf("reading the collector's answer: %w", err)
	}
	if w.Refused != "" {
		return fmt.Errorf("%w: %s", ErrRefused, plain(w.Refused))
	}
	return conn.SetDeadline(time.Time{})
}

// held is an engine whose streams do not begin before somebody says so.
type held struct {
	loadgen.Generator
	hold <-chan struct{}
}

// Run runs the stream, and is prepared when it is and the hold is over.
func (h held) Run(ctx context.Context, spec loadgen.Spec, emit func(loadgen.Window)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	prepared := spec.Prepared
	spec.Prepared = func() {
		go func() { // commands are heard meanwhile
			select {
			case <-h.hold:
				prepared()
			case <-ctx.Done():
			}
		}()
	}
	return h.Generator.Run(ctx, spec, emit)
}

// Address checks where a collector is said to be: "host:port", "tls://host:port", or loadgen.Logs.
func Address(s string) (string, error) {
	if s == loadgen.Logs {
		return s, nil
	}
	s = strings.TrimPrefix(s, "tls://")
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || port == "" || strings.Contains(s, "/") {
		return "", fmt.Errorf("%q is not an address of a collector, which is host:port", s)
	}
	return s, nil
}

var _ io.ReadWriteCloser = (*Conn)(nil)
