package lab

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// logLimit is how large a process's log may become, in bytes, without the line that says so.
const logLimit = 10 << 20

// logFile is a process's log: its output, and lines of ours about its starts and ends. It goes on through restarts and
// boots, and ends for good at its limit.
type logFile struct {
	mu    sync.Mutex
	file  *os.File
	size  int64
	limit int64
}

// openLog opens or makes a log in the folder with the descriptor dir.
func openLog(dir int, name string, limit int64) (*logFile, error) {
	// The folder belongs to people: a link there must not make us write elsewhere.
	fd, err := unix.Openat(dir, name, unix.O_CREAT|unix.O_RDWR|unix.O_APPEND|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the log %s: %w", name, err)
	}
	l := &logFile{file: os.NewFile(uintptr(fd), name), limit: limit}
	info, err := l.file.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening the log %s: %w", name, err)
	}
	l.size = info.Size()
	return l, nil
}

// Write appends to the log. It never fails and never writes less for its caller: a full log or disk must not stop a
// process that only wanted to print.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size >= l.limit {
		return len(p), nil
	}
	part := p
	if room := l.limit - l.size; int64(len(part)) >= room {
		end := fmt.Sprintf("\ngameday: this log ends here, at its limit of %d bytes; the process goes on\n", l.limit)
		part = append(bytes.Clone(part[:room]), end...)
	}
	n, _ := l.file.Write(part)
	l.size += int64(n)
	return len(p), nil
}

// note adds a line of ours.
func (l *logFile) note(format string, args ...any) {
	fmt.Fprintf(l, "%s gameday: %s\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), fmt.Sprintf(format, args...))
}

// tail returns the last lines of the log, at most so many, each indented by two spaces.
func (l *logFile) tail(lines int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	const most = 4096
	from := max(0, l.size-most)
	text, err := io.ReadAll(io.NewSectionReader(l.file, from, most))
	if err != nil {
		return ""
	}
	all := bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n"))
	if from > 0 && len(all) > 1 {
		all = all[1:] // most likely half a line
	}
	all = all[max(0, len(all)-lines):]
	return "  " + string(bytes.Join(all, []byte("\n  ")))
}
