package output

import (
	"bytes"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// heard keeps what was copied.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

// String returns it.
func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return r, w
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

// TestSettle has all that was written, however late the copying goroutine comes to it, while something keeps the pipe open.
func TestSettle(t *testing.T) {
	for _, first := range []string{"a word\n", strings.Repeat("the whole pipe\n", 4<<10), ""} {
		for range 200 {
			var got heard
			r, w := pipe(t)
			f := &Follower{}
			want := ""
			for i, text := range []string{first, "more\n", "", "and more\n"} {
				want += text
				write(t, w, text)
				if i == 0 {
					f = Follow(r, &got)
				}
				f.Settle(0)
				if got.String() != want {
					t.Fatalf("heard %d bytes of %d", len(got.String()), len(want))
				}
			}
			write(t, w, "the end\n")
			w.Close()
			f.Settle(time.Hour)
			if want += "the end\n"; got.String() != want {
				t.Fatalf("heard %d bytes of %d after the end", len(got.String()), len(want))
			}
			f.Settle(0)
		}
	}
}

// TestSettleBesideChatter comes back although something writes into the pipe all the time, with what was written before.
func TestSettleBesideChatter(t *testing.T) {
	var got heard
	r, w := pipe(t)
	write(t, w, "last words\n")
	f := Follow(r, &got)
	chatter := make(chan struct{})
	go func() {
		defer close(chatter)
		for {
			if _, err := w.WriteString("and on\n"); err != nil {
				return
			}
		}
	}()
	for range 20 {
		f.Settle(0)
	}
	if !strings.HasPrefix(got.String(), "last words\n") {
		t.Errorf("heard %d bytes", len(got.String()))
	}
	w.Close()
	<-chatter
}
