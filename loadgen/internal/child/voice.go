package child

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// orphanLimit is how long a child may go on once its parent is gone, for iterations and teardown to end.
const orphanLimit = 20 * time.Second

// Role returns the engine that this process was started to be, or "". Main asks before it does anything else.
func Role() string { return os.Getenv(variable) }

// Voice is a child's end of the conversation. Its methods may be called from any goroutine.
type Voice struct {
	commands *os.File
	died     <-chan os.Signal // the parent has, or one of its threads
	parent   int              // its process

	sending sync.Mutex // guards events
	events  *json.Encoder

	mu     sync.Mutex
	logged map[string]bool
}

// Speak returns the voice of this process, which is a child from now on: what it starts itself does not inherit the role. From
// now on too it may hold no more memory than it was told.
func Speak() (*Voice, error) {
	if err := os.Unsetenv(variable); err != nil {
		return nil, err
	}
	// What this process prints goes to its parent too: one that is gone must not end it in the midst of a teardown.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	died := make(chan os.Signal, 1)
	signal.Notify(died, orphaned)
	syscall.CloseOnExec(EventsFD)
	syscall.CloseOnExec(CommandsFD)
	v := NewVoice(os.NewFile(EventsFD, "events"))
	v.commands = os.NewFile(CommandsFD, "commands")
	v.died, v.parent = died, os.Getppid()
	guardMemory(v)
	return v, os.Unsetenv(memoryVariable)
}

// NewVoice returns a voice that speaks to a file and hears nothing.
func NewVoice(events *os.File) *Voice {
	return &Voice{events: json.NewEncoder(events), logged: map[string]bool{}}
}

// Hear calls do with each command, until the parent is gone or has fallen silent; then gone, once. Whatever happens, the
// process ends after orphanLimit, with the exit code.
func (v *Voice) Hear(do func(Command), exit int, gone func()) {
	leave := sync.OnceFunc(func() {
		time.AfterFunc(orphanLimit, func() { os.Exit(exit) })
		gone()
	})
	var l listener
	over := make(chan struct{})
	go func() {
		for {
			select {
			case <-over:
				return
			case <-v.died:
			}
			if os.Getppid() != v.parent { // otherwise only a thread has ended
				leave()
				return
			}
		}
	}()
	go l.watch(over, func() {
		go fmt.Fprintln(os.Stderr, wordPrefix+silent()) // which nobody may take
		leave()
	})
	lines := bufio.NewScanner(v.commands)
	lines.Buffer(nil, maxCommandBytes)
	for lines.Scan() {
		l.heard()
		if len(lines.Bytes()) == 0 {
			continue
		}
		var c Command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			v.Log("error", "a command that cannot be read: "+err.Error())
			continue
		}
		do(c)
	}
	close(over)
	leave()
}

// Send writes one line to the parent. A parent that is gone is noticed on the other descriptor.
func (v *Voice) Send(e Event) {
	v.sending.Lock()
	defer v.sending.Unlock()
	_ = v.events.Encode(e)
}

// Log passes a message on, if it is new and there were not too many.
func (v *Voice) Log(level, text string) {
	text = cut(text)
	v.mu.Lock()
	fresh := v.fresh(text)
	if fresh {
		v.logged[text] = true
	}
	v.mu.Unlock()
	if fresh {
		v.Send(Event{Log: &Message{Level: level, Text: text}})
	}
}

// Fresh reports whether a message would be passed on: one that comes with every iteration should not even be made.
func (v *Voice) Fresh(text string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.fresh(cut(text))
}

// fresh needs v.mu.
func (v *Voice) fresh(text string) bool { return len(v.logged) < maxLogs && !v.logged[text] }

func cut(text string) string {
	if len(text) > maxMessage {
		return text[:maxMessage] + "…"
	}
	return text
}
