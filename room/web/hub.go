package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"gameday/report"
	"gameday/room"
)

// hub follows a record and keeps what each role sees of it, rendered.
type hub struct {
	dir  string
	base string
	say  func(string)
	born string          // tells this hub's events from those of one before it
	here func() []string // who looks on, for facilitators

	present []string // as of the last second

	follower *report.Follower
	state    *room.State
	trouble  error
	unread   int  // looks at a plan that cannot be read
	revealed bool // a facilitator has shown a blind run that was killed

	mu     sync.Mutex
	frames map[room.Role]*frame
	wake   chan struct{} // closed when there are newer frames
	over   chan struct{} // closed when all may see that the run is over
}

// frame is all that one role sees. It is never changed. Its number counts what this role saw change and nothing else: that
// something happened which is hidden does not show in it.
type frame struct {
	number uint64
	blind  bool
	view   room.View // for the pages that are made of it; its picture may not be drawn any more
	parts  []part
	delta  map[string][]byte // by size: what changed since the frame before
	deltas sync.Map          // by missed: what changed since older ones, of those that were asked for
	now    string
}

// part is a piece of the page that changes by itself.
type part struct {
	name   string
	size   string // of a picture; "" for what all sizes have
	since  uint64 // the number of the frame in which it became so
	html   string
	packed []byte // as an event of the stream
}

func newHub(dir, base string, say func(string)) *hub {
	h := &hub{dir: dir, base: base, say: say, born: rand.Text()[:8], here: func() []string { return nil }, frames: map[room.Role]*frame{}, wake: make(chan struct{}), over: make(chan struct{})}
	h.publish(time.Now(), true)
	return h
}

// run follows until ctx ends, and then looks once more.
func (h *hub) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	defer func() {
		if h.follower != nil {
			_ = h.follower.Close()
		}
	}()
	// What is rendered, and when, must not tell when something was read that is hidden: pictures are drawn by the count of looks alone,
	// and a look is left out only where nothing can have changed.
	for n := 0; ; n++ {
		h.once(n%looksDrawn == 0)
		if n%looksDrawn == looksDrawn-1 {
			h.present = h.here()
		}
		select {
		case <-ctx.Done():
			h.once(true) // the end of the run may have come since
			return
		case <-tick.C:
		}
	}
}

// once looks, and publishes what is new.
func (h *hub) once(draw bool) {
	some, now := h.read(), time.Now()
	if draw {
		h.reveal()
	}
	if draw || some || h.ticked(now) {
		h.publish(now, draw)
	}
}

// ticked reports whether the run's clock shows another second than it did.
func (h *hub) ticked(now time.Time) bool {
	v := h.frames[room.Facilitator].view
	return v.Seen.Stage != room.Over && !v.Start.IsZero() && now.Sub(v.Start).Truncate(time.Second) != v.Now
}

// read takes what is new in the record, and reports whether something is.
func (h *hub) read() (some bool) {
	if h.trouble != nil {
		return false
	}
	if h.follower == nil {
		f, err := report.Follow(h.dir)
		if err != nil {
			return h.waits(err)
		}
		h.follower, h.state = f, room.NewState(f.Plan())
	}
	for {
		events, err := h.follower.Next()
		for _, e := range events {
			h.state.Take(e)
			some = true
		}
		if err != nil {
			h.trouble = err
			h.say("the room cannot go on: " + err.Error())
			return true
		}
		if len(events) == 0 {
			return some
		}
	}
}

// reveal shows a blind run to everybody once a facilitator has said so in its record: one that was killed is never over.
func (h *hub) reveal() {
	if h.follower != nil && !h.revealed && h.follower.Plan().Blind && report.IsRevealed(h.dir) {
		h.revealed = true
		h.state.Reveal()
	}
}

// waits is for a record that cannot be read yet. A plan that is only half written soon is whole; one that stays as it is will not be.
func (h *hub) waits(err error) (some bool) {
	if errors.Is(err, report.ErrNotARecord) { // the run has not begun to write
		h.unread = 0
		return false
	}
	if h.unread++; h.unread < looksUnread {
		return false
	}
	h.trouble = err
	h.say("the room cannot begin: " + err.Error())
	return true
}

// publish renders what each role sees, with new pictures or without, and wakes those who look on, if anything is new.
func (h *hub) publish(now time.Time, draw bool) {
	next, some := map[room.Role]*frame{}, false
	for _, role := range room.Roles() {
		v := room.View{Role: role, Blind: role != room.Facilitator, Seen: room.Seen{Stage: room.Preparing}}
		if !v.Blind {
			v.Told = &room.Told{}
		}
		if h.state != nil {
			v = h.state.View(role, now)
		}
		was := h.frames[role]
		f := h.render(v, was, draw)
		next[role] = f
		some = some || f != was
	}
	if !some {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.frames[room.Observer]
	h.frames = next
	close(h.wake)
	h.wake = make(chan struct{})
	if next[room.Observer].view.Seen.Stage == room.Over && (was == nil || was.view.Seen.Stage != room.Over) {
		close(h.over)
	}
}

// render makes the next frame of a role, or returns the one before when nothing has changed.
func (h *hub) render(v room.View, was *frame, draw bool) *frame {
	f := &frame{number: 1, blind: v.Blind, view: v, now: strconv.FormatFloat(v.Now.Seconds(), 'f', 0, 64)}
	if was != nil {
		f.number = was.number + 1
	}
	same := was != nil
	trouble := ""
	if h.trouble != nil {
		trouble = "The room cannot read the game day's record any more, so what you see is old."
		if !v.Blind {
			trouble += " " + h.trouble.Error()
		}
	}
	shown := face{View: v, Trouble: trouble, Base: h.base}
	if v.Role == room.Facilitator {
		shown.Here = h.present
	}
	for i, p := range partsOf() {
		switch {
		case p.size == "":
			p.html = renderPart(p.name, shown)
		case draw || was == nil || was.blind != v.Blind:
			p.html = v.Draw(p.size)
		default:
			p.html = was.parts[i].html
		}
		if was != nil && was.parts[i].html == p.html {
			p.since, p.packed = was.parts[i].since, was.parts[i].packed
		} else {
			p.since, p.packed, same = f.number, pack(p), false
		}
		f.parts = append(f.parts, p)
	}
	if same {
		return was
	}
	f.delta = map[string][]byte{}
	for _, size := range report.LiveSizes() {
		f.delta[size] = h.collect(f, f.number-1, size)
	}
	return f
}

// pack makes an event of a part.
func pack(p part) []byte {
	var b bytes.Buffer
	b.WriteString("event: part\ndata: ")
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // it is no HTML yet, and a picture would be half as long again
	_ = e.Encode(struct {
		Part string `json:"part"`
		HTML string `json:"html"`
	}{p.name, p.html}) // two strings: they can be encoded
	b.WriteString("\n")
	return b.Bytes()
}

// collect returns what became newer than a frame, as events. Only the last one has an id: who got half of them asks again for all.
func (h *hub) collect(f *frame, since uint64, size string) []byte {
	var b bytes.Buffer
	for _, p := range f.parts {
		if p.since > since && (p.size == "" || p.size == size) {
			b.Write(p.packed)
		}
	}
	fmt.Fprintf(&b, "id: %s\nevent: now\ndata: %s\n\n", h.id(f), f.now)
	return b.Bytes()
}

// since returns what somebody must be sent who has seen a frame: shared by all who have seen the same.
func (h *hub) since(f *frame, seen uint64, size string) []byte {
	if seen == f.number-1 {
		return f.delta[size]
	}
	if f.number-seen > fewFrames {
		return h.collect(f, seen, size)
	}
	key := missed{seen, size}
	if b, ok := f.deltas.Load(key); ok {
		return b.([]byte)
	}
	b, _ := f.deltas.LoadOrStore(key, h.collect(f, seen, size))
	return b.([]byte)
}

// fewFrames is how many frames somebody has missed at most who shares what they are sent: of as many as may look on each is told once in two seconds,
// in which there may be nine.
const fewFrames = 16

// missed says what somebody is to be sent: the frame that they saw last, and their size of the pictures.
type missed struct {
	seen uint64
	size string
}

// look returns what a role sees now, and what is closed when there is something newer.
func (h *hub) look(role room.Role) (*frame, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.frames[role], h.wake
}

func (h *hub) id(f *frame) string { return h.born + "-" + strconv.FormatUint(f.number, 10) }

var errStrange = errors.New("not an event of this room")

// number returns which frame an event's id stands for.
func (h *hub) number(id string) (uint64, error) {
	born, n, _ := strings.Cut(id, "-")
	if born != h.born {
		return 0, errStrange
	}
	return strconv.ParseUint(n, 10, 64)
}

// html returns a part's text for the page.
func (f *frame) html(name string) template.HTML {
	for _, p := range f.parts {
		if p.name == name {
			return template.HTML(p.html)
		}
	}
	return ""
}

// renderPart renders a part of the page.
func renderPart(name string, f face) string {
	var b strings.Builder
	if err := pages.ExecuteTemplate(io.Writer(&b), "part-"+name, f); err != nil {
		return "" // the test of all parts shows that none can fail
	}
	return strings.TrimSpace(b.String())
}
