package web

import (
	"errors"
	"fmt"
	"net/http"

	"gameday/room"
	"gameday/room/door"
)

// knock shows what a link is for. It does not use it: programs that preview links, or look for malware behind them, come before
// the person does, and press no buttons.
func (s *Room) knock(w http.ResponseWriter, r *http.Request) {
	token := r.PathValue("token")
	if err := s.Door.Look(token, s.Run); err != nil {
		s.turnAway(w, r, door.Guest{}, err)
		return
	}
	s.show(w, http.StatusOK, "message", message{Base: s.Base, Title: "Come into the room", Token: token,
		Text: "This link is yours alone, and lets you in once, with this browser. Whoever uses it is you in the game day's record."})
}

// enter exchanges a link for a cookie.
func (s *Room) enter(w http.ResponseWriter, r *http.Request) {
	cookie, g, err := s.Door.Enter(r.PostFormValue("token"), s.Run, sessionLasts)
	if err != nil {
		s.turnAway(w, r, g, err)
		return
	}
	s.note(r, g, "came in")
	http.SetCookie(w, &http.Cookie{Name: s.cookie(), Value: cookie, Path: s.Base + "/", MaxAge: int(sessionLasts.Seconds()), HttpOnly: true,
		Secure: s.Secure, SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, s.Base+"/", http.StatusSeeOther)
}

// turnAway says why a link does not let anybody in. Whoever tries very many is told nothing, and fills no audit log.
func (s *Room) turnAway(w http.ResponseWriter, r *http.Request, g door.Guest, err error) {
	if !s.doors.Allow(door.Address(r.RemoteAddr)) {
		w.Header().Set("Retry-After", "20")
		s.refuse(w, r, http.StatusTooManyRequests, "Too many links that let nobody in were tried from this address; wait a little.")
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
		s.Say("somebody could not be let into the room: " + err.Error())
		s.refuse(w, r, http.StatusServiceUnavailable, "Nobody can be let in just now. Tell the facilitator of the game day.")
		return
	}
	s.note(r, g, "was not let in: "+err.Error())
	s.refuse(w, r, status, fmt.Sprintf("No: %s. %s", err, text))
}

// leave ends a session.
func (s *Room) leave(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(s.cookie()); err == nil {
		if g, err := s.who(r); err == nil {
			s.note(r, g, "left")
		}
		if err := s.Door.Leave(c.Value); err != nil {
			s.Say("who left the room is let in again after a restart: " + err.Error())
		}
	}
	http.SetCookie(w, &http.Cookie{Name: s.cookie(), Path: s.Base + "/", MaxAge: -1, HttpOnly: true, Secure: s.Secure, SameSite: http.SameSiteStrictMode})
	s.answer(w, r, http.StatusOK, message{Base: s.Base, Title: "Left", Text: "You have left the room. Its link does not let you in again."})
}

// leads returns the facilitator who asks, or refuses.
func (s *Room) leads(w http.ResponseWriter, r *http.Request) (door.Guest, bool) {
	g, err := s.who(r)
	switch {
	case err != nil:
		s.refuse(w, r, http.StatusUnauthorized, "You need a link of your own to come in.")
	case !s.people.Allow(person(g)):
		s.tooMuch(w, r)
	case g.Role != room.Facilitator:
		s.note(r, g, "was kept from "+r.URL.Path)
		s.refuse(w, r, http.StatusForbidden, "That is for facilitators.")
	default:
		return g, true
	}
	return g, false
}

func (s *Room) tooMuch(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "2")
	s.refuse(w, r, http.StatusTooManyRequests, "That was too much at once; nothing was done. Wait a second or two.")
}

// Invite makes a link for somebody and returns its address. It takes the place of one that they have not used.
func (s *Room) Invite(name string, role room.Role) (string, error) {
	g := door.Guest{Name: name, Role: role, Run: s.Run}
	_, err := s.Door.Forgo(g)
	if err != nil {
		return "", fmt.Errorf("taking back the link that %q has: %w", name, err)
	}
	token, err := s.Door.Link(g, linkLasts)
	if err != nil {
		return "", fmt.Errorf("making a link for %q: %w", name, err)
	}
	return s.Address(s.Base + "/in/" + token), nil
}

// link makes a link for somebody.
func (s *Room) link(w http.ResponseWriter, r *http.Request) {
	g, ok := s.leads(w, r)
	if !ok {
		return
	}
	name := r.PostFormValue("name")
	role, err := room.ParseRole(r.PostFormValue("role"))
	if err == nil {
		err = door.CheckName(name)
	}
	if err != nil {
		s.refuse(w, r, http.StatusBadRequest, "No link was made: "+err.Error()+".")
		return
	}
	address, err := s.Invite(name, role)
	if err != nil {
		s.Say(err.Error())
		s.refuse(w, r, http.StatusServiceUnavailable, "No link could be made: "+err.Error()+".")
		return
	}
	s.note(r, g, "made a link for "+string(role)+" "+name)
	s.answer(w, r, http.StatusOK, message{Base: s.Base, Title: "A link", Back: true, Link: address,
		Text: fmt.Sprintf("For %s, as %s. It works once, within a day, and is shown nowhere again; one that they had and did not use is void. Send it to nobody else.", name, role)})
}

// revoke takes back what somebody has.
func (s *Room) revoke(w http.ResponseWriter, r *http.Request) {
	g, ok := s.leads(w, r)
	if !ok {
		return
	}
	name := r.PostFormValue("name")
	n, err := s.Door.Revoke(name, s.Run)
	if err != nil {
		s.Say(err.Error())
		s.refuse(w, r, http.StatusServiceUnavailable, "They are out for now, but let in again after a restart: "+err.Error()+".")
		return
	}
	s.note(r, g, fmt.Sprintf("took back %d links and sessions of %q", n, name))
	s.answer(w, r, http.StatusOK, message{Base: s.Base, Title: "Taken back", Back: true, Text: fmt.Sprintf("%d links and sessions of %s were taken back.", n, name)})
}
