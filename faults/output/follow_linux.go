package output

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// LastWords is how long to wait for the end of a process's output after its own end. Something that it left in the background may
// hold the pipe; its output is read on, so that it can go on writing. What the process itself has written is there however late
// it is read.
const LastWords = 100 * time.Millisecond

// Follower copies what is written to a pipe, until nobody has the pipe open for writing any more.
type Follower struct {
	from *os.File
	to   io.Writer
	over chan struct{} // closed at the pipe's end

	mu     sync.Mutex    // held by who has the copying goroutine catch up
	caught chan struct{} // gets a value when it has
}

// Follow begins to copy from the reading end of a pipe, which it closes at the pipe's end, to a writer that takes everything.
func Follow(from *os.File, to io.Writer) *Follower {
	f := &Follower{from: from, to: to, over: make(chan struct{}), caught: make(chan struct{})}
	go f.copy()
	return f
}

// Settle returns at the pipe's end. When something keeps the pipe open for longer than patience, it returns when all is copied that
// had been written by then, and copying goes on.
func (f *Follower) Settle(patience time.Duration) {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-f.over:
		return
	case <-limit.C:
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.from.SetReadDeadline(time.Now()) != nil {
		return // the copying goroutine has closed the pipe, or cannot be woken
	}
	select {
	case <-f.over:
	case <-f.caught:
	}
}

// copy copies to the pipe's end. A deadline is a request to catch up.
func (f *Follower) copy() {
	defer close(f.over)
	defer f.from.Close()
	for {
		_, err := io.Copy(f.to, f.from)
		if !errors.Is(err, os.ErrDeadlineExceeded) || f.from.SetReadDeadline(time.Time{}) != nil {
			return // a pipe that breaks has ended
		}
		f.take()
		f.caught <- struct{}{}
	}
}

// take copies what is in the pipe now, and waits for no more.
func (f *Follower) take() {
	raw, err := f.from.SyscallConn()
	if err != nil {
		return
	}
	var text []byte
	_ = raw.Read(func(fd uintptr) bool {
		n, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		if err != nil || n <= 0 {
			return true
		}
		text = make([]byte, n)
		n, err = unix.Read(int(fd), text) // nobody else reads: it is all there
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Read(int(fd), text)
		}
		text = text[:max(0, n)]
		return true
	})
	_, _ = f.to.Write(text)
}
