package web

import (
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gameday/audit"
	"gameday/report"
	"gameday/report/trends"
	"gameday/room"
	"gameday/room/door"
	"gameday/room/gate"
	roomweb "gameday/room/web"
)

// Config is what the pages are made of.
type Config struct {
	Data Data
	Gate *gate.Gate // for gate.Server
	// Asker asks the run whose record is in a folder on disk.
	Asker func(dir string) room.Asker
	// FreshWithin is how long ago a scenario or a service may have passed to be fresh; 0 asks for nothing.
	FreshWithin time.Duration
	// PublicBadges lets badges be seen by everybody who reaches the server.
	PublicBadges bool
	Now          func() time.Time  // the clock; nil is time.Now
	Say          func(text string) // tells the operator what went wrong
}

// Limits of the pages.
const (
	askLimit    = 10 * time.Second // for Data to answer
	stopPatient = 40 * time.Second // for everything to be stopped
	signPatient = 30 * time.Second // for what is new to be looked at, before somebody signs for it
	textLimit   = 2000             // bytes of what somebody writes
)

// Site serves the pages of a server, and the rooms of its runs. It is an http.Handler, safe for concurrent use.
type Site struct {
	Config
	handler  http.Handler
	patterns []string      // all that is served
	reading  chan struct{} // a place for each record that is read at once
	cards    shelf[*card]
	made     shelf[string] // reports
}

// New returns the pages. Data may be set afterwards, before anything is served.
func New(c Config) *Site {
	if c.Say == nil {
		c.Say = func(string) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Gate.Recognise = roomweb.Recognise
	s := &Site{Config: c, reading: make(chan struct{}, mostReading), cards: shelf[*card]{most: cardsKept}, made: shelf[string]{most: pagesKept}}
	mux := http.NewServeMux()
	handle := func(pattern string, h http.HandlerFunc) {
		s.patterns = append(s.patterns, pattern)
		mux.HandleFunc(pattern, h)
	}
	handle("GET /{$}", s.page("now", s.now))
	handle("GET /screen", s.page("screen", s.now))
	handle("GET /calendar", s.page("calendar", s.calendar))
	handle("GET /runs", s.page("runs", s.runs))
	handle("GET /runs/{run...}", s.page("run", s.run))
	handle("GET /reports/{run...}", limited(s.report))
	handle("POST /reveal/{run...}", limited(s.reveal))
	handle("GET /trends", s.page("trends", s.trends))
	handle("GET /fresh", s.page("fresh", s.fresh))
	handle("GET /rehearsals", s.page("rehearsals", s.rehearsals))
	handle("GET /rehearsals/{name}", s.page("rehearsal", s.rehearsal))
	handle("POST /rehearsals/{name}/sign", limited(s.sign))
	handle("GET /people", s.page("people", s.people))
	handle("GET /stop", s.page("stop", s.stopPage))
	handle("POST /stop", s.halt)
	handle("POST /lift", s.lift)
	handle("GET /badge/{file}", limited(s.badge))
	handle("/rooms/{id}/{rest...}", s.room)
	handle("GET /healthz", s.health)
	handle("GET /site.css", static("text/css; charset=utf-8", styleText()))
	handle("GET /site.js", static("text/javascript; charset=utf-8", scriptText))
	s.Gate.Handle(gate.Place{Called: "gameday", Home: s.Gate.Path + "/", Show: s.say}, handle)
	handle("/", func(w http.ResponseWriter, r *http.Request) { s.refuse(w, r, http.StatusNotFound, nothingHere) })
	s.handler = s.Gate.Guard(mux, gate.Rules{Refuse: s.refuse, Urgent: urgent, Body: bodyLimit})
	return s
}

// inRoom returns what is asked of a room, if that is what is asked.
func inRoom(r *http.Request) (*http.Request, bool) {
	in, ok := strings.CutPrefix(r.URL.Path, "/rooms/")
	_, path, within := strings.Cut(in, "/")
	if !ok || !within {
		return nil, false
	}
	return &http.Request{Method: r.Method, URL: &url.URL{Path: "/" + path}}, true
}

// urgent reports whether somebody asks to stop one game day, or all.
func urgent(r *http.Request, g door.Guest) bool {
	if in, ok := inRoom(r); ok {
		return roomweb.Urgent(in, g)
	}
	return g.Role == room.Facilitator && r.Method == http.MethodPost && r.URL.Path == "/stop"
}

// bodyLimit returns how much a request may bring, in bytes.
func bodyLimit(r *http.Request) int64 {
	if in, ok := inRoom(r); ok {
		return roomweb.BodyLimit(in)
	}
	return gate.BodyLimit
}

// ServeHTTP serves the pages.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Invite makes a link for somebody and returns its address.
func (s *Site) Invite(name string, role room.Role) (string, error) { return s.Gate.Invite(name, role) }

// OpenRoom returns the room of a run, whose record is or will be in a folder on disk: to be answered by Data.Rooms under this ID. Whoever
// asks for it runs its Follow.
func (s *Site) OpenRoom(id, run, dir string) *roomweb.Room {
	c := roomweb.Config{Run: run, Dir: dir, Base: s.Gate.Path + "/rooms/" + id, Up: s.Gate.Path + "/", Gate: s.Gate}
	if s.Asker != nil {
		c.Asker = s.Asker(dir)
	}
	return roomweb.New(c)
}

// nothingHere is said of everything that is not there, and of everything that is hidden: one cannot be told from the other.
const nothingHere = "There is nothing here."

//go:embed pages.html.tmpl
var pagesText string

//go:embed site.css
var siteStyle string

//go:embed site.js
var scriptText string

// styleText is the style of all pages: that of the report, of the tables of trends within their own page, and theirs.
func styleText() string {
	return report.PageStyle() + "\n.trends {\n" + trends.Style() + "\n}\n" + siteStyle
}

// static serves a text of the program.
func static(kind, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write([]byte(text))
	}
}

// visit is one look at a page by somebody.
type visit struct {
	*http.Request
	door.Guest
	at time.Time
	// unknown says what could not be answered; with reasons for facilitators.
	unknown []Trouble
}

// leads reports whether they may see and do everything.
func (v *visit) leads() bool { return v.Role == room.Facilitator }

// missing notes that something could not be answered.
func (v *visit) missing(what string, err error) {
	v.unknown = append(v.unknown, Trouble{Text: what + " is not known just now.", Detail: err.Error()})
}

// refusal is why a page is not shown.
type refusal struct {
	status int
	text   string
}

// Error returns what is said to whoever asked.
func (e *refusal) Error() string { return e.text }

var errNothing = &refusal{http.StatusNotFound, nothingHere}

// sheet is what a page's template sees.
type sheet struct {
	Base, Page  string
	Title       string
	Name        string
	Role        room.Role
	Leads       bool
	At          time.Time
	Stopped     *Halt // with details for facilitators alone
	Troubles    []Trouble
	FreshWithin time.Duration
	Body        any
}

// titles are those of the pages, by their templates' names.
var titles = map[string]string{"now": "Now", "screen": "Big screen", "calendar": "Calendar", "runs": "Runs", "run": "Run", "trends": "Trends", "fresh": "Freshness",
	"rehearsals": "Rehearsals", "rehearsal": "Rehearsal", "people": "People", "stop": "Stop"}

// page serves a page to those who have come in. What it shows is made by a function, with what the visitor may see and nothing else.
func (s *Site) page(name string, build func(*visit) (any, error)) http.HandlerFunc {
	return limited(func(w http.ResponseWriter, r *http.Request) {
		v, ok := s.come(w, r)
		if !ok {
			return
		}
		if name == "screen" { // everybody looks at a wall, whoever opened it
			v.Role = room.Observer
		}
		body, err := build(v)
		if no, ok := err.(*refusal); ok {
			if no.status == http.StatusForbidden && s.Gate.People.Allow(gate.Person(v.Guest)) {
				s.note(r, v.Guest, "was kept from the page /"+name)
			}
			s.refuse(w, r, no.status, no.text)
			return
		}
		if err != nil {
			s.Say("a page could not be made: " + err.Error())
			s.refuse(w, r, http.StatusServiceUnavailable, "This cannot be answered just now. Load the page again in a while.")
			return
		}
		s.show(w, http.StatusOK, name, s.sheet(v, name, body))
	})
}

// limited bounds how long what somebody asks may wait for Data.
func limited(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), askLimit)
		defer cancel()
		next(w, r.WithContext(ctx))
	}
}

// come returns who asks, or refuses.
func (s *Site) come(w http.ResponseWriter, r *http.Request) (*visit, bool) {
	g, err := s.Gate.Who(r)
	if err != nil {
		s.refuse(w, r, http.StatusUnauthorized, "You need a link of your own to come in. Whoever runs this server, or a facilitator, gives it to you. "+
			"If you are in already, and came here from another page, go on.")
		return nil, false
	}
	return &visit{Request: r, Guest: g, at: s.Now()}, true
}

// sheet returns what all pages have.
func (s *Site) sheet(v *visit, name string, body any) sheet {
	out := sheet{Base: s.Gate.Path, Page: name, Title: titles[name], Name: v.Name, Role: v.Role, Leads: v.leads(), At: v.at, FreshWithin: s.FreshWithin, Body: body}
	halt, err := s.Data.Halt(v.Context())
	if err != nil {
		v.missing("Whether game days are stopped", err)
	}
	out.Stopped = seenHalt(halt, v.Role)
	out.Troubles = seenTroubles(append(s.Data.Troubles(), v.unknown...), v.Role)
	return out
}

// show writes a page.
func (s *Site) show(w http.ResponseWriter, status int, name string, data any) {
	var b strings.Builder
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		s.Say("a page could not be made: " + err.Error())
		http.Error(w, "This page could not be made.", http.StatusInternalServerError)
		return
	}
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = report.PlainText(lines[i]) // others may have written what turns a text around
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(strings.Join(lines, "\n"))) // whoever asked may have gone
}

// say answers with a page that says one thing.
func (s *Site) say(w http.ResponseWriter, _ *http.Request, status int, m gate.Message) {
	s.show(w, status, "message", struct {
		Base string
		gate.Message
	}{s.Gate.Path, m})
}

func (s *Site) refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	s.say(w, r, status, gate.Message{Title: "Not this way", Text: text, Back: true})
}

func (s *Site) note(r *http.Request, g door.Guest, what string) {
	s.Gate.Note(r, g, audit.Line{}, what)
}

// room serves the room of a run.
func (s *Site) room(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.come(w, r); !ok {
		return
	}
	id := r.PathValue("id")
	rooms, err := s.Data.Rooms(r.Context())
	if err != nil {
		s.Say("a room could not be found: " + err.Error())
		s.refuse(w, r, http.StatusServiceUnavailable, "Which rooms are open is not known just now.")
		return
	}
	for _, x := range rooms {
		if x.ID == id && x.Handler != nil {
			http.StripPrefix("/rooms/"+id, x.Handler).ServeHTTP(w, r)
			return
		}
	}
	s.refuse(w, r, http.StatusNotFound, "There is no such room, or it is closed by now: what was in it is among the runs.")
}

// health says to whatever watches the server whether it serves, and nothing of what. What facilitators alone may know does not count, and neither does
// what passes by itself: pages say that they show a part, and game days begin all the same.
func (s *Site) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if slices.ContainsFunc(seenTroubles(s.Data.Troubles(), room.Observer), func(t Trouble) bool { return !t.Passing }) {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "in trouble")
		return
	}
	fmt.Fprintln(w, "well")
}

// pages are the parsed templates; their text is part of the program.
var pages = template.Must(template.New("pages").Funcs(funcs).Parse(pagesText))
