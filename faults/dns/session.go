package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// serveTCP takes connections until the socket is closed.
func (f *forwarder) serveTCP(l listener) {
	for {
		c, err := l.tcp.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || !f.sleep(acceptPause) { // else out of descriptors, for a while
				return
			}
			continue
		}
		select {
		case f.sessions <- struct{}{}:
			f.work.Go(func() {
				defer func() { <-f.sessions }()
				newSession(f, l, c).serve()
			})
		default:
			f.count.lost.Add(1)
			c.Close()
		}
	}
}

// session is one client's TCP connection. Its queries are dealt with beside each other, and each that passes has a
// connection of its own to the resolver.
type session struct {
	f      *forwarder
	l      listener
	client net.Conn
	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	open   sync.WaitGroup // queries that may still be answered
	write  sync.Mutex
}

func newSession(f *forwarder, l listener, client net.Conn) *session {
	s := &session{f: f, l: l, client: client}
	s.ctx, s.cancel = context.WithCancel(f.ctx)
	return s
}

// serve reads queries until the client ends, and waits for the answers that are due before it closes.
func (s *session) serve() {
	defer s.cancel()
	stop := context.AfterFunc(s.ctx, func() { s.client.Close() })
	defer stop()
	for {
		if err := s.client.SetReadDeadline(time.Now().Add(sessionWait)); err != nil {
			break
		}
		msg, err := readFrame(s.client)
		if err != nil {
			break
		}
		s.open.Add(1)
		if !s.f.begin(func() { s.query(msg, sync.OnceFunc(s.open.Done)) }) {
			s.open.Done()
		}
	}
	s.open.Wait()
	s.client.Close()
}

// query deals with one query. It calls answered when nothing is owed to the client any more.
func (s *session) query(msg []byte, answered func()) {
	defer answered()
	d := s.f.decide(msg)
	if !s.f.sleep(d.wait) {
		return
	}
	if d.pass {
		s.relay(msg, answered)
	} else if d.reply != nil {
		s.send(d.reply)
	}
}

// relay passes a query on, and all that the resolver says to it: a zone transfer is several messages.
func (s *session) relay(msg []byte, answered func()) {
	c, done, err := s.f.connect("tcp", s.l.upstream())
	if err != nil {
		s.cancel() // the client sees what it would have seen: no connection
		return
	}
	defer done()
	defer context.AfterFunc(s.ctx, func() { c.Close() })()
	if err := writeFrame(c, msg); err != nil {
		return
	}
	for {
		reply, err := readFrame(c)
		if err != nil || !s.send(reply) {
			return
		}
		answered()
	}
}

func (s *session) send(msg []byte) bool {
	s.write.Lock()
	defer s.write.Unlock()
	err := s.client.SetWriteDeadline(time.Now().Add(upstreamWait))
	return err == nil && writeFrame(s.client, msg) == nil
}

// readFrame reads one message with its length before it (RFC 1035, section 4.2.2).
func readFrame(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, msg)
	return msg, err
}

func writeFrame(w io.Writer, msg []byte) error {
	if len(msg) > maxMessage {
		return errors.New("the message is too long")
	}
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
	return err
}
