package slack

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"gameday/clock"
	"gameday/responders"
)

// mostRemembered bounds the messages and reactions that are remembered.
const mostRemembered = 20_000

// memory is what Slack itself does not tell: when somebody reacted, or joined without a word of it, and what was deleted. It is safe
// for concurrent use.
type memory struct {
	mu     sync.Mutex
	looked map[string]time.Time         // thing → when it was last looked at
	seen   map[string]map[string]*stint // thing → what was seen of it
	count  int
	kept   map[string]map[string][]responders.Event // place → stamp of a message → what it showed
}

// stint is the time from when on something was there, and until it was not.
type stint struct {
	first, gone clock.Interval // gone is zero while it is there
}

func newMemory() *memory {
	return &memory{looked: map[string]time.Time{}, seen: map[string]map[string]*stint{}, kept: map[string]map[string][]responders.Event{}}
}

// look books what a thing has now, asked for and answered at two instants, and returns since when each of all that it ever had was
// there: at the earliest since an instant, or since the look before. What came back is there a second time, as "NAME #2".
func (m *memory) look(thing string, has []string, since, asked, answered time.Time) map[string]stint {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := since
	if last, ok := m.looked[thing]; ok && last.After(from) {
		from = last
	}
	if m.seen[thing] == nil {
		m.seen[thing] = map[string]*stint{}
	}
	there := map[string]bool{}
	for _, one := range has {
		name := one
		for n := 2; m.seen[thing][name] != nil && !m.seen[thing][name].gone.IsZero(); n++ {
			name = fmt.Sprintf("%s #%d", one, n) // it was gone, and came back
		}
		there[name] = true
		if m.seen[thing][name] == nil && m.count < mostRemembered {
			m.seen[thing][name] = &stint{first: clock.Between(from, answered)}
			m.count++
		}
	}
	out := map[string]stint{}
	for one, s := range m.seen[thing] {
		if !there[one] && s.gone.IsZero() {
			s.gone = clock.Between(from, answered)
		}
		out[one] = *s
	}
	m.looked[thing] = asked
	return out
}

// deleted books what the messages of a place showed, all of those in [from, to], and returns what earlier ones showed that are not
// there any more.
func (m *memory) deleted(place string, shown map[string][]responders.Event, from, to time.Time) []responders.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept[place] == nil {
		m.kept[place] = map[string][]responders.Event{}
	}
	var out []responders.Event
	for _, ts := range slices.Sorted(maps.Keys(m.kept[place])) {
		at, err := parseStamp(ts)
		if _, there := shown[ts]; there || err != nil || at.Before(from) || at.After(to) {
			continue
		}
		for _, e := range m.kept[place][ts] {
			e.Grade = gradeLowered
			e.Text += " (deleted afterwards)"
			out = append(out, e)
		}
	}
	for ts, events := range shown {
		if len(events) > 0 && (m.kept[place][ts] != nil || len(m.kept[place]) < mostRemembered) {
			m.kept[place][ts] = events
		}
	}
	return out
}
