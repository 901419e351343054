package collector

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"sync"
	"time"

	"gameday/loadgen"
)

const (
	// greeting bounds how long it may take until a connection has said who it is.
	greeting = 10 * time.Second
	// maxStrangers bounds how many connections may be at that at once. The eldest makes room: a runner is through in a moment.
	maxStrangers = 64
	// certificateLife is more than the longest run.
	certificateLife = 30 * 24 * time.Hour
)

// Collector takes in the runners of one run. Its methods may be called from any goroutine.
type Collector struct {
	version  string
	log      func(level, text string)
	config   *tls.Config
	pin      [sha256.Size]byte
	listener net.Listener

	mu        sync.Mutex
	streams   []*Stream
	strangers []net.Conn
	said      map[string]bool
	closed    bool
	work      sync.WaitGroup
}

// Listen begins to listen on a TCP address, ":0" for any port, for runners of a version of gameday. Log, when not nil, hears who was
// refused: each reason once.
func Listen(address, version string, log func(level, text string)) (*Collector, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for runners: %w", err)
	}
	c, err := serve(l, version, log)
	if err != nil {
		l.Close()
	}
	return c, err
}

func serve(l net.Listener, version string, log func(level, text string)) (*Collector, error) {
	c := &Collector{version: version, log: log, said: map[string]bool{}, listener: l}
	if err := c.identity(); err != nil {
		return nil, fmt.Errorf("making the collector's certificate: %w", err)
	}
	c.work.Go(c.accept)
	return c, nil
}

// identity makes a certificate that nobody but who knows its digest has a reason to trust.
func (c *Collector) identity() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(certificateLife)}
	made, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	c.pin = sha256.Sum256(made)
	c.config = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{made}, PrivateKey: key}}}
	return nil
}

// Addr returns the address that it listens on.
func (c *Collector) Addr() *net.TCPAddr { return c.listener.Addr().(*net.TCPAddr) }

// Close refuses everybody from now on, and returns when nobody is being greeted any more. Runners that were taken in are their
// streams' own.
func (c *Collector) Close() error {
	c.mu.Lock()
	c.closed = true
	err := c.listener.Close()
	for _, conn := range c.strangers {
		conn.Close()
	}
	c.mu.Unlock()
	c.work.Wait()
	return err
}

func (c *Collector) accept() {
	for {
		conn, err := c.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // too many open files, for one: it passes
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if !c.stranger(conn) {
			conn.Close()
			return
		}
		c.work.Go(func() {
			if !c.greet(conn) {
				conn.Close()
				c.known(conn)
			}
		})
	}
}

// stranger counts a connection among those that have not said who they are, and makes room for it.
func (c *Collector) stranger(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	if len(c.strangers) >= maxStrangers {
		c.strangers[0].Close()
		c.strangers = c.strangers[1:]
	}
	c.strangers = append(c.strangers, conn)
	return true
}

// known counts a connection as a stranger's no more, and reports whether it was one up to now: it may have had to make room.
func (c *Collector) known(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.strangers)
	c.strangers = slices.DeleteFunc(c.strangers, func(s net.Conn) bool { return s == conn })
	return len(c.strangers) < before
}

// greet takes a connection in, and reports whether it is somebody's now.
func (c *Collector) greet(raw net.Conn) bool {
	_ = raw.SetDeadline(time.Now().Add(greeting))
	conn := tls.Server(raw, c.config)
	from := bufio.NewReaderSize(conn, maxHello)
	line, err := from.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return false // a port scan, a probe
	}
	h, err := readHello(line)
	var claim func(*Conn) error
	if err == nil {
		claim, err = c.admit(h)
	}
	if err != nil {
		c.refuse(conn, raw, err)
		return false
	}
	if !c.known(raw) {
		return false // it was closed to make room: it comes again, and finds its segment free
	}
	r := &Conn{Conn: conn, from: from, who: h.Who}
	if err := claim(r); err != nil {
		c.refuse(conn, raw, err)
		return false
	}
	return true
}

// errStranger is said to whoever does not know the secret, whatever else is wrong.
var errStranger = errors.New("the token is not one of this run's")

// admit finds the stream whose secret a runner knows, and returns how its segment is claimed.
func (c *Collector) admit(h hello) (claim func(*Conn) error, err error) {
	var stream *Stream
	c.mu.Lock()
	for _, s := range c.streams { // all of them, whichever it is
		if s.token.is(h.Secret) {
			stream = s
		}
	}
	c.mu.Unlock()
	switch {
	case stream == nil:
		return nil, errStranger
	case h.Protocol != Protocol:
		return nil, fmt.Errorf("%s speaks version %d of the runners' protocol, and this is %d", h.Who, h.Protocol, Protocol)
	case h.Version != c.version:
		return nil, fmt.Errorf("%s is gameday %s, and the game day is of %s: give the runners an image of the same version", h.Who, h.Version, c.version)
	case h.Segment.Of != len(stream.segments):
		return nil, fmt.Errorf("%s claims a segment of %d, and the stream has %d", h.Who, h.Segment.Of, len(stream.segments))
	}
	return func(r *Conn) error { return stream.claim(h.Segment.Index, r) }, nil
}

// refuse says why somebody is not taken in: to him, and once to the log.
func (c *Collector) refuse(conn *tls.Conn, raw net.Conn, why error) {
	_ = json.NewEncoder(conn).Encode(welcome{Protocol: Protocol, Refused: why.Error()})
	_ = conn.CloseWrite()
	c.mu.Lock()
	first := !c.said[why.Error()] && len(c.said) < maxStrangers
	if first {
		c.said[why.Error()] = true
	}
	c.mu.Unlock()
	if first && c.log != nil {
		c.log("warning", fmt.Sprintf("somebody at %s was refused as a runner: %s", host(raw), why))
	}
}

func host(conn net.Conn) string {
	h, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		return conn.RemoteAddr().String()
	}
	return h
}

// Conn is a runner's connection.
type Conn struct {
	*tls.Conn
	from *bufio.Reader
	who  string
}

// Read reads what the runner says.
func (c *Conn) Read(p []byte) (int, error) { return c.from.Read(p) }

// Stream is a stream whose segments are to be claimed by runners.
type Stream struct {
	c        *Collector
	name     string
	token    token
	patience time.Duration
	segments []*segment
}

// segment is what one runner sends.
type segment struct {
	mu      sync.Mutex
	claimed string        // by whom
	taken   chan *Conn    // of one
	given   chan struct{} // closed when nobody can come any more
	why     error         // for that; read after given
}

// Stream makes a stream of so many segments, which runners may claim from now on, at the latest when patience is over after its traffic
// was asked for.
func (c *Collector) Stream(name string, segments int, patience time.Duration) (*Stream, error) {
	if segments < 1 || segments > maxSegments {
		return nil, fmt.Errorf("a stream of %d segments: there are 1 to %d", segments, maxSegments)
	}
	s := &Stream{c: c, name: name, token: token{pin: c.pin}, patience: patience}
	_, _ = rand.Read(s.token.secret[:]) // it never fails
	for range segments {
		s.segments = append(s.segments, &segment{taken: make(chan *Conn, 1), given: make(chan struct{})})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams = append(c.streams, s)
	return s, nil
}

// Token returns what runners of the stream need to be given. It is a secret.
func (s *Stream) Token() string { return s.token.String() }

// claim gives a segment to a runner, once.
func (s *Stream) claim(i int, r *Conn) error {
	g := s.segments[i]
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.given:
		return errors.New("nobody is waited for any more")
	default:
	}
	if g.claimed != "" {
		return fmt.Errorf("%s claims segment %d/%d of %s, which %s has claimed before: a segment is given out once", r.who, i+1, len(s.segments),
			s.name, g.claimed)
	}
	if err := json.NewEncoder(r).Encode(welcome{Protocol: Protocol}); err != nil {
		return fmt.Errorf("welcoming %s: %w", r.who, err)
	}
	_ = r.SetDeadline(time.Time{})
	g.claimed = r.who
	g.taken <- r
	return nil
}

// Lost says that the i-th runner, from 0, has come to its end and will not come, or not come again, and why. One that was taken in is heard to
// the end of its connection all the same.
func (s *Stream) Lost(i int, why error) {
	if i >= 0 && i < len(s.segments) {
		s.segments[i].give(why)
	}
}

// give lets nobody come any more. When that was so before, it returns why.
func (g *segment) give(why error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.given:
		return g.why
	default:
		g.why = why
		close(g.given)
		return nil
	}
}

// Runners returns what the stream's runners send by, in the order of their segments. Each can be run once.
func (s *Stream) Runners() []loadgen.Runner {
	var out []loadgen.Runner
	for i := range s.segments {
		out = append(out, loadgen.Runner{Name: loadgen.RunnerName(i), Generator: &sender{stream: s, index: i}})
	}
	return out
}

// Close gives the stream's segments to nobody any more.
func (s *Stream) Close() {
	for _, g := range s.segments {
		g.give(errors.New("the stream is over"))
		select {
		case r := <-g.taken:
			r.Close() // nobody has asked for it
		default:
		}
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.c.streams = slices.DeleteFunc(s.c.streams, func(o *Stream) bool { return o == s })
}

// sender sends one segment by the runner that claims it.
type sender struct {
	stream *Stream
	index  int
}

var _ loadgen.Generator = (*sender)(nil)

// Check finds nothing: the stream was checked here.
func (*sender) Check(context.Context, loadgen.Spec) []loadgen.Problem { return nil }
