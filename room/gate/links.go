package gate

import (
	"errors"
	"fmt"
	"net/http"

	"gameday/audit"
	"gameday/room"
	"gameday/room/door"
)

// Message is a page that says one thing.
type Message struct {
	Title, Text string
	Link        string // that was made, and is shown this once
	Token       string // of a link that is about to be used
	Back        bool   // to where one came from
}

// Place is where the gate's own pages are.
type Place struct {
	Called string // "the room"
	Home   string // where those who came in are led: "/"
	// About is what is said of the place in the audit log.
	About audit.Line
	// Show answers with a page.
	Show func(w http.ResponseWriter, r *http.Request, status int, m Message)
}

// Handle has the gate's own pages handled: links, and what becomes of them.
func (g *Gate) Handle(p Place, handle func(pattern string, h http.HandlerFunc)) {
	k := &keeper{g, p}
	handle("GET /in/{token}", k.knock)
	handle("POST /in", k.enter)
	handle("POST /out", k.leave)
	handle("POST /links", k.link)
	handle("POST /revoke", k.revoke)
}

// keeper is a gate at a place.
type keeper struct {
	*Gate
	Place
}

func (k *keeper) note(r *http.Request, g door.Guest, what string) { k.Note(r, g, k.About, what) }

func (k *keeper) refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	k.Show(w, r, status, Message{Title: "Not this way", Text: text, Back: true})
}

// knock shows what a link is for. It does not use it: programs that preview links, or look for malware behind them, come before
// the person does, and press no buttons.
func (k *keeper) knock(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	if err := k.Door.Look(token, k.For); err != nil {
		k.turnAway(w, r, door.Guest{}, err)
		return
	}
	k.Show(w, r, http.StatusOK, Message{Title: "Come into " + k.Called, Token: token,
		Text: "This link is yours alone, and lets you in once, with this browser. Whoever uses it is you in the game day's record."})
}

// enter exchanges a link for a cookie.
func (k *keeper) enter(w http.ResponseWriter, r *http.Request) {
	cookie, g, err := k.Door.Enter(r.PostFormValue("token"), k.For, SessionLasts)
	if err != nil {
		k.turnAway(w, r, g, err)
		return
	}
	k.note(r, g, "came in")
	k.set(w, cookie, int(SessionLasts.Seconds()))
	http.Redirect(w, r, k.Home, http.StatusSeeOther)
}

func (k *keeper) set(w http.ResponseWriter, cookie string, age int) {
	http.SetCookie(w, &http.Cookie{Name: k.Cookie, Value: cookie, Path: k.Path + "/", MaxAge: age, HttpOnly: true, Secure: k.Secure, SameSite: http.SameSiteStrictMode})
}

// turnAway says why a link does not let anybody in. Whoever tries very many is told nothing, and fills no audit log.
func (k *keeper) turnAway(w http.ResponseWriter, r *http.Request, g door.Guest, err error) {
	if !k.Doors.Allow(door.Address(r.RemoteAddr)) {
		w.Header().Set("Retry-After", "20")
		k.refuse(w, r, http.StatusTooManyRequests, "Too many links that let nobody in were tried from this address; wait a little.")
		return
	}
	status, text := http.StatusForbidden, "Ask the facilitator of the game day for a new one."
	switch {
	case errors.Is(err, door.ErrUsed):
		status = http.StatusGone
		text = "If it was not you who used it, tell the facilitator at once, who can take it back. A new link is needed either way."
	case errors.Is(err, door.ErrExpired):
		status = http.StatusGone
	case !errors.Is(err, door.ErrUnknown) && !errors.Is(err, door.ErrOther): // the file, or the bound
		k.Say("somebody could not be let into " + k.Called + ": " + err.Error())
		k.refuse(w, r, http.StatusServiceUnavailable, "Nobody can be let in just now. Tell the facilitator of the game day.")
		return
	}
	k.note(r, g, "was not let in: "+err.Error())
	k.refuse(w, r, status, fmt.Sprintf("No: %s. %s", err, text))
}

// leave ends a session.
func (k *keeper) leave(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(k.Cookie); err == nil {
		if g, err := k.Door.Who(c.Value, k.For); err == nil { // else there is no session to leave, and saying so without end would fill the audit log
			k.note(r, g, "left")
		}
		if err := k.Door.Leave(c.Value); err != nil {
			k.Say("who left " + k.Called + " is let in again after a restart: " + err.Error())
		}
	}
	k.set(w, "", -1)
	k.Show(w, r, http.StatusOK, Message{Title: "Left", Text: "You have left " + k.Called + ". Its link does not let you in again."})
}

// leads returns the facilitator who asks, or refuses.
func (k *keeper) leads(w http.ResponseWriter, r *http.Request) (door.Guest, bool) {
	g, err := k.Who(r)
	switch {
	case err != nil:
		k.refuse(w, r, http.StatusUnauthorized, "You need a link of your own to come in.")
	case !k.People.Allow(Person(g)):
		w.Header().Set("Retry-After", "2")
		k.refuse(w, r, http.StatusTooManyRequests, TooMuch)
	case g.Role != room.Facilitator:
		k.note(r, g, "was kept from "+r.URL.Path)
		k.refuse(w, r, http.StatusForbidden, "That is for facilitators.")
	default:
		return g, true
	}
	return g, false
}

// TooMuch is what somebody is told who asks too much.
const TooMuch = "That was too much at once; nothing was done. Wait a second or two."

// Invite makes a link for somebody and returns its address. It takes the place of one that they have not used.
func (g *Gate) Invite(name string, role room.Role) (string, error) {
	who := door.Guest{Name: name, Role: role, Run: g.For}
	if _, err := g.Door.Forgo(who); err != nil {
		return "", fmt.Errorf("taking back the link that %q has: %w", name, err)
	}
	token, err := g.Door.Link(who, LinkLasts)
	if err != nil {
		return "", fmt.Errorf("making a link for %q: %w", name, err)
	}
	return g.Address(g.Path + "/in/" + token), nil
}

// link makes a link for somebody.
func (k *keeper) link(w http.ResponseWriter, r *http.Request) {
	g, ok := k.leads(w, r)
	if !ok {
		return
	}
	name := r.PostFormValue("name")
	role, err := room.ParseRole(r.PostFormValue("role"))
	if err == nil {
		err = door.CheckName(name)
	}
	if err != nil {
		k.refuse(w, r, http.StatusBadRequest, "No link was made: "+err.Error()+".")
		return
	}
	address, err := k.Invite(name, role)
	if err != nil {
		k.Say(err.Error())
		k.refuse(w, r, http.StatusServiceUnavailable, "No link could be made: "+err.Error()+".")
		return
	}
	k.note(r, g, "made a link for "+string(role)+" "+name)
	k.Show(w, r, http.StatusOK, Message{Title: "A link", Back: true, Link: address,
		Text: fmt.Sprintf("For %s, as %s. It works once, within a day, and is shown nowhere again; one that they had and did not use is void. Send it to nobody else.", name, role)})
}

// revoke takes back what somebody has.
func (k *keeper) revoke(w http.ResponseWriter, r *http.Request) {
	g, ok := k.leads(w, r)
	if !ok {
		return
	}
	name := r.PostFormValue("name")
	n, err := k.Door.Revoke(name, k.For)
	if err != nil {
		k.Say(err.Error())
		k.refuse(w, r, http.StatusServiceUnavailable, "They are out for now, but let in again after a restart: "+err.Error()+".")
		return
	}
	k.note(r, g, fmt.Sprintf("took back %d links and sessions of %q", n, name))
	k.Show(w, r, http.StatusOK, Message{Title: "Taken back", Back: true, Text: fmt.Sprintf("%d links and sessions of %s were taken back.", n, name)})
}
