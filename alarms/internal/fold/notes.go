package fold

import (
	"maps"
	"sync"
	"time"

	"gameday/alarms"
)

// mostNotes bounds the episodes whose annotations are kept.
const mostNotes = 10_000

// Notes keeps the annotations of alarms, an entry for each time that one began: a rule may say something else the next
// time. The zero value is ready. It is safe for concurrent use.
type Notes struct {
	mu   sync.Mutex
	kept map[string][]noted // by key, in the order they were kept
	n    int
}

// noted are the annotations of an alarm since it began.
type noted struct {
	since time.Time
	notes map[string]string
}

// Keep keeps what an alarm says of itself that began at an instant, instead of what it said before.
func (n *Notes) Keep(key string, since time.Time, notes map[string]string) {
	if len(notes) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.kept[key]
	for i := range list {
		if list[i].since.Equal(since) {
			list[i].notes = maps.Clone(notes)
			return
		}
	}
	if n.n == mostNotes {
		return
	}
	if n.kept == nil {
		n.kept = map[string][]noted{}
	}
	n.n++
	n.kept[key] = append(list, noted{since, maps.Clone(notes)})
}

// Of returns the annotations that an episode had: those of the latest begin that is not after its own by more than the
// slack, which is how far apart the same begin may be told. It is nil when none are known.
func (n *Notes) Of(e alarms.Episode, slack time.Duration) map[string]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	limit := Begin(e).Hi.Add(slack)
	var best noted
	for _, one := range n.kept[e.Key] {
		if !one.since.After(limit) && (best.notes == nil || one.since.After(best.since)) {
			best = one
		}
	}
	return maps.Clone(best.notes)
}
