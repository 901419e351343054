package child

import (
	"fmt"
	"os"
	"sync"
)

const (
	headBytes = 512 << 10 // of a log are written as they come
	tailBytes = 64 << 10  // of what comes after are kept, and written at the end
)

// Log is a log file of bounded size: its beginning, and the end of the rest. It is safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	file    *os.File
	written int
	left    int    // bytes that are neither in the file nor in rest
	rest    []byte // what came after the head
	recent  []byte // the last bytes, wherever they are
}

// OpenLog makes a log file anew.
func OpenLog(path string) (*Log, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the generator's log: %w", err)
	}
	return &Log{file: f}, nil
}

// Write takes everything; an error of the file must not end the program that logs.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	head := p[:min(len(p), headBytes-l.written)]
	n, _ := l.file.Write(head)
	l.written += max(n, len(head))
	rest, cut := keepEnd(append(l.rest, p[len(head):]...))
	l.rest, l.left = rest, l.left+cut
	l.recent, _ = keepEnd(append(l.recent, p...))
	return len(p), nil
}

// keepEnd cuts b to its last bytes, once it is twice as long.
func keepEnd(b []byte) (kept []byte, cut int) {
	if len(b) <= 2*tailBytes {
		return b, 0
	}
	cut = len(b) - tailBytes
	return append([]byte(nil), b[cut:]...), cut
}

// Tail returns the last bytes written.
func (l *Log) Tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.recent)
}

// Close writes the end of the log to the file.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left > 0 {
		fmt.Fprintf(l.file, "\n… %d bytes left out …\n", l.left)
	}
	if _, err := l.file.Write(l.rest); err != nil {
		l.file.Close()
		return fmt.Errorf("writing the generator's log: %w", err)
	}
	return l.file.Close()
}
