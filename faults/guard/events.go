package guard

import "sync"

// eventQueue keeps events for a reader who may be slow, so that answers behind them are not held up.
type eventQueue struct {
	mu    sync.Mutex
	list  []Event
	over  bool
	fresh chan struct{} // has room for one: something changed
}

func newEventQueue() *eventQueue { return &eventQueue{fresh: make(chan struct{}, 1)} }

func (q *eventQueue) push(e Event) {
	q.mu.Lock()
	q.list = append(q.list, e)
	q.mu.Unlock()
	q.signal()
}

// end says that no more events come.
func (q *eventQueue) end() {
	q.mu.Lock()
	q.over = true
	q.mu.Unlock()
	q.signal()
}

func (q *eventQueue) signal() {
	select {
	case q.fresh <- struct{}{}:
	default:
	}
}

// deliver hands the events to out and closes it after the last one. Once quit is closed it does not wait for a
// reader any more.
func (q *eventQueue) deliver(out chan<- Event, quit <-chan struct{}) {
	defer close(out)
	for {
		q.mu.Lock()
		list, over := q.list, q.over
		q.list = nil
		q.mu.Unlock()
		for _, e := range list {
			select {
			case out <- e:
			case <-quit:
				return
			}
		}
		if len(list) > 0 {
			continue
		}
		if over {
			return
		}
		select {
		case <-q.fresh:
		case <-quit:
			return
		}
	}
}
