package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"gameday/report"
	"gameday/responders"
	"gameday/room"
	"gameday/room/door"
)

// deed is something that people of a role can do.
type deed struct {
	roles []room.Role
	done  string // what is said of it to those who may not read the run's own answer
	// ask makes the request; a text is why it cannot be.
	ask func(f *http.Request, g door.Guest) (room.Request, string)
	// instead is the mark that stands for it where there is no page that it could be about; "" is none.
	instead string
}

var (
	leading    = []room.Role{room.Facilitator}
	responding = []room.Role{room.Responder}
)

// takesPart is the mark of somebody who takes part, and was paged for nothing.
const takesPart = "takes part"

// deeds are all that people can do, by their names in addresses.
var deeds = map[string]deed{
	"hold":        {leading, "", plain("hold"), ""},
	"release":     {leading, "", plain("release"), ""},
	"skip":        {leading, "", plain("skip"), ""},
	"inject":      {leading, "", inject, ""},
	"stop":        {leading, "", stop, ""},
	"mark":        {leading, "", mark, ""},
	"judge":       {leading, "", judge, ""},
	"evidence":    {leading, "", noted(report.EvidenceMark), ""},
	"note":        {[]room.Role{room.Facilitator, room.Responder}, "Written.", note, ""},
	"acknowledge": {responding, "Acknowledged.", about(responders.DoAcknowledge, false), ""},
	"escalate":    {responding, "Escalated.", about(responders.DoEscalate, false), ""},
	"resolve":     {responding, "Resolved.", about(responders.DoResolve, false), ""},
	"bridge":      {responding, "Noted that a bridge is open.", about(responders.DoBridge, false), report.StepBridge.Mark()},
	"join":        {responding, "Noted that you take part.", about(responders.DoJoin, false), takesPart},
	"customers":   {responding, "Noted that customers were told.", about(responders.DoCustomers, false), report.StepCustomers.Mark()},
	"diagnose":    {responding, "Written down.", about(responders.DoDiagnose, true), report.DiagnosisMark},
}

func plain(do string) func(*http.Request, door.Guest) (room.Request, string) {
	return func(_ *http.Request, g door.Guest) (room.Request, string) {
		return room.Request{Do: do, By: room.Signed(g.Name, g.Role)}, ""
	}
}

// text returns what somebody wrote, as one line.
func text(r *http.Request) (string, string) {
	t := strings.TrimSpace(r.PostFormValue("text"))
	if len(t) > textLimit || !utf8.ValidString(t) {
		return "", fmt.Sprintf("A text has up to %d bytes.", textLimit)
	}
	return report.PlainText(t), ""
}

func inject(r *http.Request, g door.Guest) (room.Request, string) {
	fault := r.PostFormValue("fault")
	if fault == "" {
		return room.Request{}, "Say which fault."
	}
	return room.Request{Do: "inject", By: room.Signed(g.Name, g.Role), Fault: fault}, ""
}

func stop(r *http.Request, g door.Guest) (room.Request, string) {
	why, _ := text(r) // a reason that is too long keeps nobody from stopping
	return room.Request{Do: "stop", By: room.Signed(g.Name, g.Role), Why: why}, ""
}

func mark(r *http.Request, g door.Guest) (room.Request, string) {
	name := strings.TrimSpace(report.PlainText(r.PostFormValue("mark")))
	t, bad := text(r)
	switch {
	case bad != "":
		return room.Request{}, bad
	case name == "" || len(name) > 200:
		return room.Request{}, "A mark needs a name of up to 200 bytes."
	}
	return room.Request{Do: "mark", By: room.Signed(g.Name, g.Role), Name: name, Text: t}, ""
}

func judge(r *http.Request, g door.Guest) (room.Request, string) {
	name, ok := map[string]string{"right": report.DiagnosisRight, "partly": report.DiagnosisPartly, "wrong": report.DiagnosisWrong}[r.PostFormValue("judge")]
	if !ok {
		return room.Request{}, "A diagnosis is right, partly right or wrong."
	}
	return room.Request{Do: "mark", By: room.Signed(g.Name, g.Role), Name: name}, ""
}

func noted(name string) func(*http.Request, door.Guest) (room.Request, string) {
	return func(r *http.Request, g door.Guest) (room.Request, string) {
		t, bad := text(r)
		if bad == "" && t == "" {
			bad = "There is nothing in it."
		}
		return room.Request{Do: "mark", By: room.Signed(g.Name, g.Role), Name: name, Text: t}, bad
	}
}

// note is a mark of the room's own, for both: a page need not be open for it.
func note(r *http.Request, g door.Guest) (room.Request, string) { return noted("note")(r, g) }

// about does something about a page: the one that is named, else the newest.
func about(v responders.Verb, needs bool) func(*http.Request, door.Guest) (room.Request, string) {
	return func(r *http.Request, g door.Guest) (room.Request, string) {
		t, bad := text(r)
		page := r.PostFormValue("page")
		switch {
		case bad == "" && needs && t == "":
			bad = "There is nothing in it."
		case len(page) > 100:
			bad = "There is no such page."
		}
		return room.Request{Do: "act", By: g.Name, Act: &responders.Action{Page: page, Verb: v, By: g.Name, Text: t, Channel: room.Channel}}, bad
	}
}

// do asks the run for what somebody wants.
func (s *Room) do(w http.ResponseWriter, r *http.Request) {
	g, err := s.who(r)
	if err != nil {
		s.refuse(w, r, http.StatusUnauthorized, "You need a link of your own to come in.")
		return
	}
	what := r.PathValue("what")
	d, ok := deeds[what]
	if !ok {
		s.refuse(w, r, http.StatusNotFound, "There is no such thing to do.")
		return
	}
	allowed := may(d, g.Role)
	if (what != "stop" || !allowed) && !s.people.Allow(person(g)) { // nobody who may stop a game day is told to wait
		s.tooMuch(w, r)
		return
	}
	if !allowed {
		s.note(r, g, "was kept from: "+what)
		s.refuse(w, r, http.StatusForbidden, "That is not for you to do here: you are "+string(g.Role)+".")
		return
	}
	if err := r.ParseForm(); err != nil && what != "stop" {
		s.refuse(w, r, http.StatusBadRequest, "That could not be read, so nothing was done.")
		return
	}
	req, bad := d.ask(r, g)
	if bad != "" {
		s.refuse(w, r, http.StatusBadRequest, bad)
		return
	}
	s.carry(w, r, g, what, d, req)
}

func may(d deed, role room.Role) bool {
	for _, r := range d.roles {
		if r == role {
			return true
		}
	}
	return false
}

// carry puts a request to the run and says what it said, and reports whether it may have been done. Those who play blind are not told that
// in the run's words, which may name what they are to find.
func (s *Room) carry(w http.ResponseWriter, r *http.Request, g door.Guest, what string, d deed, req room.Request) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), askLimit) // a browser that goes away takes nothing back
	defer cancel()
	said, err := s.put(ctx, req)
	f, _ := s.hub.look(g.Role)
	if err != nil && !errors.Is(err, room.ErrUnanswered) && !errors.Is(err, room.ErrOver) && d.instead != "" {
		said, err = s.instead(ctx, g, d, req)
	}
	// The run may have taken its time, and the answer has its own.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeLimit))
	if errors.Is(err, room.ErrUnanswered) {
		s.note(r, g, what+detail(req)+": "+err.Error())
		s.refuse(w, r, http.StatusGatewayTimeout, "The run did not answer, so nobody knows what became of that. Look at what has happened before you ask again.")
		return true
	}
	if err != nil {
		s.note(r, g, what+" was refused: "+err.Error())
		text := "The run did not do it: " + err.Error() + "."
		if f.blind {
			text = "The run did not do it. Somebody else may have done it already, there may be no such page, or the game day may be over: look at the pages. " +
				"What pages you by a system of its own is answered there."
		}
		s.refuse(w, r, http.StatusConflict, text)
		return false
	}
	s.note(r, g, what+detail(req))
	text := said
	if f.blind || text == "" {
		text = d.done
	}
	s.answer(w, r, http.StatusOK, message{Base: s.Base, Title: "Done", Text: text, Back: true})
	return true
}

// instead asks for a mark in place of something about a page, where there is no page that it could be about, or no paging desk: that it
// was done, or said, is in the record all the same.
func (s *Room) instead(ctx context.Context, g door.Guest, d deed, req room.Request) (said string, err error) {
	return s.put(ctx, room.Request{Do: "mark", By: room.Signed(g.Name, g.Role), Name: d.instead, Text: req.Act.Text})
}

// put asks the run. A run takes few questions at once, and some of them are kept for those who want to stop it.
func (s *Room) put(ctx context.Context, req room.Request) (string, error) {
	if req.Do == "stop" {
		return s.Asker.Ask(ctx, req)
	}
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
		return s.Asker.Ask(ctx, req)
	case <-ctx.Done():
		return "", errors.New("too many others ask for something just now")
	}
}

// detail says for the audit log what was asked, beside its name.
func detail(r room.Request) string {
	var words []string
	if r.Act != nil {
		words = append(words, r.Act.Page, r.Act.Text)
	}
	words = append(words, r.Fault, r.Name, r.Text, r.Why)
	if r.File != nil {
		words = append(words, r.File.Name, r.File.Path)
	}
	out := ""
	for _, t := range words {
		if t != "" {
			out += " " + fmt.Sprintf("%q", t)
		}
	}
	return out
}
