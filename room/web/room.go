// Package web serves a room: pages, a stream of what changes, and what people ask of the run. What a role sees is rendered once,
// however many look at it.
package web

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"strings"
	"time"

	"gameday/audit"
	"gameday/room"
	"gameday/room/door"
	"gameday/room/gate"
)

// Config is what a room is made of.
type Config struct {
	Run   string // for which links are given out; it is not shown to those who play blind
	Dir   string // the record's folder, which need not have a record yet
	Base  string // the path under which the room is served, which whoever serves it there strips: "" or "/rooms/7f3a"; no slash at its end
	Asker room.Asker
	// Gate lets people in where the room is a part of something larger, whose Guard every request has passed. nil is a gate of the room's own,
	// made of what follows, as package gate describes it.
	Gate    *gate.Gate
	Up      string // the address of the pages that the room is a part of; "" is none
	Door    *door.Door
	Proxy   *Proxy
	Hosts   []string
	Secure  bool
	Address func(path string) string
	Audit   func(audit.Line) error
	Say     func(text string)
}

// Proxy is a proxy in front of the room that knows who people are.
type Proxy = gate.Proxy

// Limits of a room.
const (
	askLimit    = 6 * time.Second
	writeLimit  = gate.WriteLimit
	bodyLimit   = gate.BodyLimit
	textLimit   = 2000 // bytes of what somebody writes
	mostStreams = 1000
	personLimit = 4 // streams: a browser has six connections to a place, and forms need one
	mostAsked   = 8 // questions to the run at once, of the sixteen that it takes
	keepAlive   = 15 * time.Second
	lookEvery   = 250 * time.Millisecond
	turns       = 10 // of observers, in which they are told what is new: one after the other until the next look
	turnEvery   = lookEvery / turns
	lastLook    = 2 * time.Second // how long who closes a room waits for what is in the record: its disk may answer no more
	looksUnread = 20
	looksDrawn  = 4 // looks at the record for each picture: windows of many streams come at many times within a second
)

// Room serves one run. It is an http.Handler, safe for concurrent use; Follow must run meanwhile, unless Serve does.
type Room struct {
	Run, Dir, Base, Up string
	Asker              room.Asker
	*gate.Gate
	hub      *hub
	opened   time.Time // from when turns count
	handler  http.Handler
	patterns []string // all that is served
	streams  streams
	shelf    *shelf
	asking   chan struct{} // a place for each question to the run
	people   *door.Rate    // the gate's: what one person may ask
	doors    *door.Rate
	address  *door.Rate
	inside   *door.Rate
}

// New returns a room.
func New(c Config) *Room {
	g := c.Gate
	if g == nil {
		g = gate.New(gate.Config{For: c.Run, Path: c.Base, Cookie: cookieOf(c.Base), Door: c.Door, Proxy: c.Proxy, Hosts: c.Hosts, Secure: c.Secure, Address: c.Address,
			Recognise: Recognise, Audit: c.Audit, Say: c.Say})
	}
	s := &Room{Run: c.Run, Dir: c.Dir, Base: c.Base, Up: c.Up, Asker: c.Asker, Gate: g, hub: newHub(c.Dir, c.Base, g.Say), opened: time.Now(), streams: streams{people: map[string]int{}},
		asking: make(chan struct{}, mostAsked), people: &g.People, doors: &g.Doors, address: &g.Addresses, inside: &g.Inside, shelf: newShelf(c.Dir)}
	s.hub.here = s.streams.here
	mux := http.NewServeMux()
	handle := func(pattern string, h http.HandlerFunc) {
		s.patterns = append(s.patterns, pattern)
		mux.HandleFunc(pattern, h)
	}
	handle("GET /{$}", s.page("room"))
	handle("GET /screen", s.page("screen"))
	handle("GET /stream", s.stream)
	handle("GET /room.css", static("text/css; charset=utf-8", styleText()))
	handle("GET /room.js", static("text/javascript; charset=utf-8", scriptText))
	handle("POST /do/{what}", s.do)
	handle("POST /evidence", s.attach)
	handle("GET /evidence/{file}", s.attached)
	s.Handle(gate.Place{Called: "the room", Home: c.Base + "/", About: s.about(), Show: s.say}, handle)
	handle("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, http.StatusNotFound, "There is nothing here.")
	})
	if s.handler = mux; c.Gate == nil {
		s.handler = g.Guard(mux, gate.Rules{Refuse: s.refuse, Urgent: Urgent, Body: BodyLimit})
	}
	return s
}

// Follow follows the record until ctx ends, and to what is in it then. It carries on over what it cannot read, and says so in the room.
func (s *Room) Follow(ctx context.Context) { s.hub.run(ctx) }

// Serve serves the room until ctx ends, and follows the record meanwhile. That the run is over is told to all who look on also where it is in the
// record only when ctx ends: they are not sent away before the record was read to its end.
func (s *Room) Serve(ctx context.Context, l net.Listener) error {
	following, end := context.WithCancel(ctx)
	defer end()
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		s.Follow(following)
	}()
	go func() {
		defer stop()
		<-following.Done()
		select {
		case <-followed:
		case <-time.After(lastLook):
		}
	}()
	return Serve(serving, l, s)
}

// Look tells how far the run is: whether somebody was paged in it, and whether it is over.
func (s *Room) Look() (paged, over bool) {
	f, _ := s.hub.look(room.Facilitator)
	return len(f.view.Seen.Pages) > 0, f.view.Seen.Stage == room.Over
}

// ServeHTTP serves the room.
func (s *Room) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Urgent reports whether somebody asks a room for what nobody who may is told to wait for: to stop its game day.
func Urgent(r *http.Request, g door.Guest) bool {
	return g.Role == room.Facilitator && r.Method == http.MethodPost && r.URL.Path == "/do/stop"
}

// BodyLimit returns how much a request to a room may bring, in bytes.
func BodyLimit(r *http.Request) int64 {
	if r.URL.Path == "/evidence" {
		return fileLimit + bodyLimit
	}
	return bodyLimit
}

// who returns who asks.
func (s *Room) who(r *http.Request) (door.Guest, error) { return s.Who(r) }

// cookie returns the name of the cookie.
func (s *Room) cookie() string { return s.Cookie }

// cookieOf returns the name of a room's cookie by its path, for cookies know no ports and rooms may share a host. A room without a path has a
// name of its own, which nobody can tell anything from.
func cookieOf(base string) string {
	if base == "" {
		return "gameday-room-" + rand.Text()[:8]
	}
	return "gameday-room" + strings.ReplaceAll(strings.TrimRight(base, "/"), "/", "-")
}

// about is what the audit log says of the room in every line.
func (s *Room) about() audit.Line { return audit.Line{Run: s.Run, Record: s.Dir} }

// note writes what somebody did to the audit log.
func (s *Room) note(r *http.Request, g door.Guest, what string) { s.Note(r, g, s.about(), what) }

// say answers with a page of the gate's.
func (s *Room) say(w http.ResponseWriter, r *http.Request, status int, m gate.Message) {
	s.answer(w, r, status, message{Base: s.Base, Title: m.Title, Text: m.Text, Link: m.Link, Token: m.Token, Back: m.Back})
}

func (s *Room) tooMuch(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "2")
	s.refuse(w, r, http.StatusTooManyRequests, gate.TooMuch)
}
