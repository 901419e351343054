package collector

import (
	"encoding/json"
	"errors"
	"io"
	"sync"
)

// poster hands on what runners are to be told, the newest of each: what was said before is in it.
type poster struct {
	mu     sync.Mutex
	latest map[int]string
	kick   chan struct{}
}

// newPoster writes Words to out until over is closed or nobody reads them.
func newPoster(out io.Writer, over <-chan struct{}) *poster {
	p := &poster{latest: map[int]string{}, kick: make(chan struct{}, 1)}
	go func() {
		words := json.NewEncoder(out)
		for {
			select {
			case <-p.kick:
			case <-over:
				return
			}
			p.mu.Lock()
			now := p.latest
			p.latest = map[int]string{}
			p.mu.Unlock()
			for i, text := range now {
				if words.Encode(Word{Runner: i, Orders: text}) != nil {
					return
				}
			}
		}
	}()
	return p
}

// post has a runner told. It does not wait.
func (p *poster) post(i int, sealed string) {
	p.mu.Lock()
	p.latest[i] = sealed
	p.mu.Unlock()
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// silence says of every runner that prints that nothing more is heard of it here.
func (h *handed) silence() {
	if h.order.Logs == nil {
		return
	}
	for i := range h.order.RunOn.Parallelism {
		h.order.Logs.Lost(i, errors.New("the program that speaks to the cluster has ended"))
		h.order.Logs.ended(i)
	}
}
