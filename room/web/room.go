// Package web serves a room: pages, a stream of what changes, and what people ask of the run. What a role sees is rendered once,
// however many look at it.
package web

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gameday/audit"
	"gameday/room"
	"gameday/room/door"
)

// Config is what a room is made of.
type Config struct {
	Run   string // for which links are given out; it is not shown to those who play blind
	Dir   string // the record's folder, which need not have a record yet
	Base  string // the path under which the room is served, which whoever serves it there strips: "" or "/rooms/7f3a"; no slash at its end
	Asker room.Asker
	Door  *door.Door
	Proxy *Proxy // nil: nobody is believed who somebody is
	// Hosts are the names and addresses, without ports, by which the room may be asked for, beside those of loopback.
	Hosts []string
	// Secure says that browsers come by TLS, here or at a proxy.
	Secure bool
	// Address makes an address that people can open of a path of the room: "https://room.example.com" before it.
	Address func(path string) string
	// Audit takes a line for each thing that somebody did, or was kept from; nil takes none. Say tells the operator what went wrong.
	Audit func(audit.Line) error
	Say   func(text string)
}

// Proxy is a proxy in front of the room that knows who people are.
type Proxy struct {
	From   []netip.Prefix       // its addresses: from others its headers say nothing
	User   string               // the header with a person's name: "X-Auth-Request-User"
	Groups string               // the header with their groups, separated by commas
	Roles  map[string]room.Role // by group; who is in several has the first of facilitator, responder, observer
}

// Limits of a room.
const (
	linkLasts    = 24 * time.Hour
	sessionLasts = 12 * time.Hour
	askLimit     = 6 * time.Second
	writeLimit   = 10 * time.Second
	bodyLimit    = 16 << 10
	textLimit    = 2000 // bytes of what somebody writes
	mostStreams  = 1000
	personLimit  = 4 // streams: a browser has six connections to a place, and forms need one
	mostAsked    = 8 // questions to the run at once, of the sixteen that it takes
	keepAlive    = 15 * time.Second
	lookEvery    = 250 * time.Millisecond
	looksUnread  = 20
	looksDrawn   = 4 // looks at the record for each picture: windows of many streams come at many times within a second
)

// Room serves one run. It is an http.Handler, safe for concurrent use; Follow must run meanwhile.
type Room struct {
	Config
	hub      *hub
	handler  http.Handler
	patterns []string // all that is served
	streams  streams
	shelf    *shelf
	asking   chan struct{} // a place for each question to the run
	people   door.Rate     // what one person may ask
	doors    door.Rate     // links that let nobody in, of one address
	address  door.Rate     // all that one address may ask
	inside   door.Rate     // what one person may ask beyond that
}

// New returns a room.
func New(c Config) *Room {
	if c.Audit == nil {
		c.Audit = func(audit.Line) error { return nil }
	}
	if c.Say == nil {
		c.Say = func(string) {}
	}
	if c.Address == nil {
		c.Address = func(path string) string { return path }
	}
	s := &Room{Config: c, hub: newHub(c.Dir, c.Base, c.Say), streams: streams{people: map[string]int{}}, asking: make(chan struct{}, mostAsked),
		people: door.Rate{Burst: 20, Second: 2}, doors: door.Rate{Burst: 10, Second: 0.5}, address: door.Rate{Burst: 4000, Second: 400},
		inside: door.Rate{Burst: 8, Second: 4}, shelf: newShelf(c.Dir)}
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
	handle("GET /in/{token}", s.knock)
	handle("POST /in", s.enter)
	handle("POST /out", s.leave)
	handle("POST /links", s.link)
	handle("POST /revoke", s.revoke)
	handle("POST /do/{what}", s.do)
	handle("POST /evidence", s.attach)
	handle("GET /evidence/{file}", s.attached)
	handle("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, http.StatusNotFound, "There is nothing here.")
	})
	s.handler = s.guard(mux)
	return s
}

// Follow follows the record until ctx ends. It carries on over what it cannot read, and says so in the room.
func (s *Room) Follow(ctx context.Context) { s.hub.run(ctx) }

// ServeHTTP serves the room.
func (s *Room) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// guard is what every request passes, whatever it asks.
func (s *Room) guard(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer") // a link's token is in its address
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !s.address.Allow(door.Address(r.RemoteAddr)) && !s.proxied(r) && !s.welcome(r) {
			h.Set("Retry-After", "5")
			http.Error(w, "Too many requests from this address; wait a few seconds.", http.StatusTooManyRequests)
			return
		}
		if !s.known(r.Host) { // another site's name that leads here
			http.Error(w, "This room is not served under that name.", http.StatusMisdirectedRequest)
			return
		}
		if cross.Check(r) != nil {
			s.refuse(w, r, http.StatusForbidden, "That came from another site, so nothing was done.")
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			limit := int64(bodyLimit)
			if r.URL.Path == "/evidence" {
				limit = fileLimit + bodyLimit
			}
			r.Body = http.MaxBytesReader(w, r.Body, limit)
		}
		// From here on the body is read, and then the answer written. Streams set their own.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(readLimit + writeLimit))
		next.ServeHTTP(w, r)
	})
}

// welcome reports whether a request is answered although its address asks too much. Many may come from one address, and who is in is not
// kept out by strangers there; and nobody who may stop a game day is told to wait.
func (s *Room) welcome(r *http.Request) bool {
	g, err := s.who(r)
	if err != nil {
		return false
	}
	return g.Role == room.Facilitator && r.Method == http.MethodPost && r.URL.Path == "/do/stop" || s.inside.Allow(person(g))
}

// known reports whether a request's Host is one of the room's.
func (s *Room) known(host string) bool {
	name := host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name = host[:i]
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	if a, err := netip.ParseAddr(name); err == nil && a.IsLoopback() {
		return true
	}
	return name == "localhost" || slices.Contains(s.Hosts, name)
}

// proxied reports whether a request comes from the trusted proxy.
func (s *Room) proxied(r *http.Request) bool {
	if s.Proxy == nil {
		return false
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && slices.ContainsFunc(s.Proxy.From, func(p netip.Prefix) bool { return p.Contains(from.Addr().Unmap()) })
}

var errNobody = errors.New("nobody said who this is")

// who returns who asks.
func (s *Room) who(r *http.Request) (door.Guest, error) {
	if s.proxied(r) && len(r.Header.Values(s.Proxy.User)) > 0 {
		return s.Proxy.guest(r, s.Run)
	}
	c, err := r.Cookie(s.cookie())
	if err != nil {
		return door.Guest{}, errNobody
	}
	g, err := s.Door.Who(c.Value, s.Run)
	if err == nil {
		recognise(r.Context())
	}
	return g, err
}

// guest returns whom a proxy says somebody is.
func (p *Proxy) guest(r *http.Request, run string) (door.Guest, error) {
	names := r.Header.Values(p.User)
	if len(names) != 1 || door.CheckName(names[0]) != nil {
		return door.Guest{}, errNobody
	}
	var groups []string
	for _, g := range strings.Split(strings.Join(r.Header.Values(p.Groups), ","), ",") {
		groups = append(groups, strings.TrimSpace(g))
	}
	for _, role := range room.Roles() {
		for _, g := range groups {
			if r, ok := p.Roles[g]; ok && r == role {
				return door.Guest{Name: names[0], Role: role, Run: run}, nil
			}
		}
	}
	return door.Guest{}, errNobody
}

// cookie is named by the room's path, for cookies know no ports and rooms may share a host. A room without a path has a name of its own,
// which nobody can tell anything from.
func (s *Room) cookie() string {
	if s.Base == "" {
		return "gameday-room-" + s.hub.born
	}
	return "gameday-room" + strings.ReplaceAll(strings.TrimRight(s.Base, "/"), "/", "-")
}

// note writes what somebody did to the audit log. It keeps nobody from anything: a button that stops a game day works also when a
// disk is full.
func (s *Room) note(r *http.Request, g door.Guest, what string) {
	who := string(g.Role) + " " + g.Name
	if g.Name == "" {
		who = "somebody"
	}
	line := audit.Line{What: audit.Room, Run: s.Run, Record: s.Dir, Why: who + " from " + door.Address(r.RemoteAddr) + ": " + what}
	if err := s.Audit(line); err != nil {
		s.Say("what happened in the room is not in the audit log: " + err.Error())
	}
}
