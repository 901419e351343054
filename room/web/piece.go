package web

import (
	"bytes"
	"net/http"
	"sync"
)

// pieces are those that no connection gathers just now.
var pieces = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// inOnePiece has what write writes go out as one piece, and returns its error, or that of sending. net/http writes an event of a stream three times:
// what fits its 4 KB, the rest, and the end of its chunk, each a packet of its own and a reader that wakes. Over TLS it goes as it is written.
func inOnePiece(r *http.Request, write func() error) error {
	s, ok := r.Context().Value(slotKey{}).(*slot)
	if !ok || r.TLS != nil {
		return write()
	}
	s.gathered = pieces.Get().(*bytes.Buffer)
	err := write()
	whole := s.gathered
	s.gathered = nil
	if err == nil {
		_, err = s.Conn.Write(whole.Bytes())
	}
	whole.Reset()
	pieces.Put(whole)
	return err
}

// Write sends, or keeps what is to go out as one piece. Of HTTP/1 without TLS, of which alone something is kept, only the goroutine that answers a request
// writes.
func (s *slot) Write(b []byte) (int, error) {
	if s.gathered != nil {
		return s.gathered.Write(b)
	}
	return s.Conn.Write(b)
}
