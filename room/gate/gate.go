// Package gate lets people in over HTTP: it says who asks, keeps other sites and floods out, and serves links. Rooms and the pages of a
// server share it, so that somebody who has come in by one link is in everywhere behind the same gate.
package gate

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

// Server is what links are for that let somebody into a whole server, and not into the room of one run. No run is called so: the names
// of records begin with a date.
const Server = "server"

// Limits of what is asked.
const (
	LinkLasts    = 24 * time.Hour
	SessionLasts = 12 * time.Hour
	BodyLimit    = 16 << 10 // bytes
	ReadLimit    = 10 * time.Second
	WriteLimit   = 10 * time.Second
)

// Config is what a gate is made of.
type Config struct {
	For    string // what links are given out for: a run, or Server
	Path   string // under which all is that the gate leads to: "" or "/rooms/7f3a"; no slash at its end
	Cookie string // its name: cookies know no ports, and what shares a host needs names of its own; "" is "gameday-" and For
	Door   *door.Door
	// Proxy is believed who somebody is; nil: nobody is.
	Proxy *Proxy
	// Hosts are the names and addresses, without ports, by which this may be asked for, beside those of loopback.
	Hosts []string
	// Secure says that browsers come by TLS, here or at a proxy.
	Secure bool
	// Address makes an address that people can open of a path: "https://room.example.com" before it.
	Address func(path string) string
	// Recognise is told the context of each request of somebody who is in; nil is told nothing.
	Recognise func(context.Context)
	// Audit takes a line for each thing that somebody did, or was kept from; nil takes none. Say tells the operator what went wrong.
	Audit func(audit.Line) error
	Say   func(text string)
}

// Proxy is a proxy in front of the gate that knows who people are.
type Proxy struct {
	From   []netip.Prefix       // its addresses: from others its headers say nothing
	User   string               // the header with a person's name: "X-Auth-Request-User"
	Groups string               // the header with their groups, separated by commas
	Roles  map[string]room.Role // by group; who is in several has the first of facilitator, responder, observer
}

// Gate is safe for concurrent use. Its fields are not changed once something is asked.
type Gate struct {
	Config
	People    door.Rate // what one person may ask
	Doors     door.Rate // links that let nobody in, of one address
	Addresses door.Rate // all that one address may ask
	Inside    door.Rate // what one person who is in may ask beyond that
}

// New returns a gate.
func New(c Config) *Gate {
	if c.Cookie == "" {
		c.Cookie = "gameday-" + c.For
	}
	if c.Audit == nil {
		c.Audit = func(audit.Line) error { return nil }
	}
	if c.Say == nil {
		c.Say = func(string) {}
	}
	if c.Address == nil {
		c.Address = func(path string) string { return path }
	}
	if c.Recognise == nil {
		c.Recognise = func(context.Context) {}
	}
	return &Gate{Config: c, People: door.Rate{Burst: 20, Second: 2}, Doors: door.Rate{Burst: 10, Second: 0.5}, Addresses: door.Rate{Burst: 4000, Second: 400},
		Inside: door.Rate{Burst: 8, Second: 4}}
}

// policy is what a page may load and do: its own style, script and stream, and no more.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Rules say what is asked through a gate.
type Rules struct {
	// Refuse says why something was not done.
	Refuse func(w http.ResponseWriter, r *http.Request, status int, text string)
	// Urgent reports whether somebody who is in asks for what nobody is told to wait for; nil: there is no such thing.
	Urgent func(r *http.Request, g door.Guest) bool
	// Body bounds what a request brings, in bytes; nil is BodyLimit.
	Body func(r *http.Request) int64
}

// Guard is what every request passes, whatever it asks.
func (g *Gate) Guard(next http.Handler, rules Rules) http.Handler {
	cross := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer") // a link's token is in its address
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !g.Addresses.Allow(door.Address(r.RemoteAddr)) && !g.proxied(r) && !g.welcome(r, rules) {
			h.Set("Retry-After", "5")
			http.Error(w, "Too many requests from this address; wait a few seconds.", http.StatusTooManyRequests)
			return
		}
		if !g.known(r.Host) { // another site's name that leads here
			http.Error(w, "Nothing is served here under that name.", http.StatusMisdirectedRequest)
			return
		}
		if cross.Check(r) != nil {
			rules.Refuse(w, r, http.StatusForbidden, "That came from another site, so nothing was done.")
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			limit := int64(BodyLimit)
			if rules.Body != nil {
				limit = rules.Body(r)
			}
			r.Body = http.MaxBytesReader(w, r.Body, limit)
		}
		// From here on the body is read, and then the answer written. Streams set their own.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(ReadLimit + WriteLimit))
		next.ServeHTTP(w, r)
	})
}

// welcome reports whether a request is answered although its address asks too much. Many may come from one address, and who is in is not
// kept out by strangers there; and nobody who may stop a game day is told to wait.
func (g *Gate) welcome(r *http.Request, rules Rules) bool {
	who, err := g.Who(r)
	if err != nil {
		return false
	}
	return rules.Urgent != nil && rules.Urgent(r, who) || g.Inside.Allow(Person(who))
}

// known reports whether a request's Host is one of ours.
func (g *Gate) known(host string) bool {
	name := host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name = host[:i]
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	if a, err := netip.ParseAddr(name); err == nil && a.IsLoopback() {
		return true
	}
	return name == "localhost" || slices.Contains(g.Hosts, name)
}

// proxied reports whether a request comes from the trusted proxy.
func (g *Gate) proxied(r *http.Request) bool {
	if g.Proxy == nil {
		return false
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && slices.ContainsFunc(g.Proxy.From, func(p netip.Prefix) bool { return p.Contains(from.Addr().Unmap()) })
}

// ErrNobody says that nobody said who asks.
var ErrNobody = errors.New("nobody said who this is")

// Who returns who asks: as the proxy says it, if it does, else by a link that they used.
func (g *Gate) Who(r *http.Request) (door.Guest, error) {
	if g.proxied(r) {
		if who, err := g.Proxy.guest(r, g.For); err == nil {
			g.Recognise(r.Context())
			return who, nil
		}
	}
	c, err := r.Cookie(g.Cookie)
	if err != nil {
		return door.Guest{}, ErrNobody
	}
	who, err := g.Door.Who(c.Value, g.For)
	if err == nil {
		g.Recognise(r.Context())
	}
	return who, err
}

// guest returns whom a proxy says somebody is.
func (p *Proxy) guest(r *http.Request, run string) (door.Guest, error) {
	names := r.Header.Values(p.User)
	if len(names) != 1 || door.CheckName(names[0]) != nil {
		return door.Guest{}, ErrNobody
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
	return door.Guest{}, ErrNobody
}

// Person tells persons apart who have one name and several roles.
func Person(g door.Guest) string { return string(g.Role) + " " + g.Name }

// Note writes what somebody did to the audit log, in a line that says about what. It keeps nobody from anything: a button that stops a
// game day works also when a disk is full.
func (g *Gate) Note(r *http.Request, who door.Guest, about audit.Line, what string) {
	name := Person(who)
	if who.Name == "" {
		name = "somebody"
	}
	about.What, about.Why = audit.Room, name+" from "+door.Address(r.RemoteAddr)+": "+what
	if err := g.Audit(about); err != nil {
		g.Say("what somebody did is not in the audit log: " + err.Error())
	}
}
