package child

import (
	"fmt"
	"sync/atomic"
	"time"
)

// beat is how often a parent lets its child know that it runs, by an empty line. Tests make it shorter.
var beat = time.Second

// missable is how many beats in a row may be missing until a child takes its parent for dead: one that is stopped, by a
// Ctrl-Z at its terminal or by somebody's SIGSTOP, leaves all descriptors open, and nobody looks at what its traffic does.
const missable = 10

// silent is what a child says that ends because of that.
func silent() string {
	return fmt.Sprintf("it heard nothing of the gameday that started it for %s (was that stopped?), and sent nothing more", missable*beat)
}

// pulse lets the child know that this process runs, until the child is gone. It does not wait for anything that this process
// does: what keeps a record from being written is no reason to send no traffic.
func (p *Process) pulse() {
	t := time.NewTicker(beat)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if _, err := p.commands.Write([]byte{'\n'}); err != nil {
				return
			}
		case <-p.Exited:
			return
		}
	}
}

// listener counts beats that are missing.
type listener struct{ missing atomic.Int32 }

func (l *listener) heard() { l.missing.Store(0) }

// watch calls silent when too many beats are missing, unless over is closed before. It counts its own beats and not the time
// that has gone by: while the machine sleeps, or both processes are frozen, neither has any.
func (l *listener) watch(over <-chan struct{}, silent func()) {
	t := time.NewTicker(beat)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if l.missing.Add(1) > missable {
				silent()
				return
			}
		case <-over:
			return
		}
	}
}
