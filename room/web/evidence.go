package web

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gameday/report"
	"gameday/room"
	"gameday/room/door"
)

// attaching are those who attach evidence.
var attaching = deed{roles: []room.Role{room.Facilitator, room.Responder}, done: "Attached."}

// attach keeps a file and has the run mark it, with what somebody says of it; or without a file what they say alone.
func (s *Room) attach(w http.ResponseWriter, r *http.Request) {
	g, err := s.who(r)
	if err != nil {
		s.refuse(w, r, http.StatusUnauthorized, "You need a link of your own to come in.")
		return
	}
	if !s.people.Allow(person(g)) {
		s.tooMuch(w, r)
		return
	}
	if !may(attaching, g.Role) {
		s.note(r, g, "was kept from: evidence")
		s.refuse(w, r, http.StatusForbidden, "That is not for you to do here: you are "+string(g.Role)+".")
		return
	}
	select {
	case s.shelf.coming <- struct{}{}:
		defer func() { <-s.shelf.coming }()
	default:
		w.Header().Set("Retry-After", "10")
		s.refuse(w, r, http.StatusTooManyRequests, "Others attach something just now; nothing was attached. Try again in a moment.")
		return
	}
	// A file may take longer than what else is sent here.
	rc := http.NewResponseController(w)
	_ = errors.Join(rc.SetReadDeadline(time.Now().Add(uploadLimit)), rc.SetWriteDeadline(time.Now().Add(uploadLimit+writeLimit)))
	req, forget, status, bad := s.brought(r, g)
	if bad != "" {
		s.refuse(w, r, status, bad)
		return
	}
	if !s.carry(w, r, g, "evidence", attaching, req) {
		forget()
	}
}

// brought reads what somebody attaches, and keeps the file. A text is why it was not taken.
func (s *Room) brought(r *http.Request, g door.Guest) (req room.Request, forget func(), status int, bad string) {
	req, forget = room.Request{Do: "mark", By: room.Signed(g.Name, g.Role), Name: report.EvidenceMark}, func() {}
	const unread = "That could not be read, so nothing was attached."
	form, err := r.MultipartReader()
	if err != nil {
		return req, forget, http.StatusBadRequest, unread
	}
	for {
		p, err := form.NextPart()
		switch {
		case errors.Is(err, io.EOF) && req.File == nil && req.Text == "":
			return req, forget, http.StatusBadRequest, "There is nothing in it."
		case errors.Is(err, io.EOF):
			return req, forget, 0, ""
		case err != nil:
			forget()
			return req, forget, http.StatusBadRequest, unread
		}
		switch {
		case p.FormName() == "text":
			text, err := io.ReadAll(io.LimitReader(p, textLimit+1))
			if err != nil || len(text) > textLimit || !utf8.Valid(text) {
				forget()
				return req, forget, http.StatusBadRequest, fmt.Sprintf("A text has up to %d bytes.", textLimit)
			}
			req.Text = strings.TrimSpace(report.PlainText(string(text)))
		case p.FormName() == "file" && p.FileName() != "" && req.File == nil:
			if req.File, forget, status, bad = s.keep(p); bad != "" {
				return req, func() {}, status, bad
			}
		}
	}
}

// keep keeps the file in a part of a form.
func (s *Room) keep(p *multipart.Part) (a *report.Attachment, forget func(), status int, bad string) {
	a, forget, err := s.shelf.take(p, p.FileName())
	var over *http.MaxBytesError
	switch {
	case err == nil:
		return a, forget, 0, ""
	case errors.Is(err, errTooLarge), errors.As(err, &over):
		return nil, nil, http.StatusRequestEntityTooLarge, "Nothing was attached: " + errTooLarge.Error() + "."
	case errors.Is(err, errEmpty):
		return nil, nil, http.StatusBadRequest, "Nothing was attached: " + err.Error() + "."
	case errors.Is(err, errFull):
		return nil, nil, http.StatusInsufficientStorage, "Nothing was attached: " + err.Error() + "."
	}
	s.Say(err.Error()) // it names folders, which are not for everybody
	return nil, nil, http.StatusInternalServerError, "The file did not come, or could not be kept, so nothing was attached. If it happens again, tell the facilitator of the game day."
}

// attached sends a file that was attached, to those who may see that it was. A browser saves it and shows nothing of it, whatever is in it.
func (s *Room) attached(w http.ResponseWriter, r *http.Request) {
	g, err := s.who(r)
	if err != nil {
		s.refuse(w, r, http.StatusUnauthorized, "You need a link of your own to come in.")
		return
	}
	f, _ := s.hub.look(g.Role)
	var found *report.Attachment
	for _, e := range (face{View: f.view}).Evidence() {
		if e.File != nil && path.Base(e.File.Path) == r.PathValue("file") {
			found = e.File
		}
	}
	if found == nil {
		s.refuse(w, r, http.StatusNotFound, "There is nothing here.")
		return
	}
	if !s.people.Allow(person(g)) { // it is read twice, and may be large
		s.tooMuch(w, r)
		return
	}
	file, err := s.shelf.open(*found)
	switch {
	case errors.Is(err, errChanged):
		s.Say("evidence in the record: " + found.Path + ": " + err.Error())
		s.refuse(w, r, http.StatusConflict, "The file is not as it was attached, so it is not sent.")
		return
	case err != nil:
		if !errors.Is(err, fs.ErrNotExist) {
			s.Say("evidence in the record: " + err.Error())
		}
		s.refuse(w, r, http.StatusNotFound, "The file is not in the record any more.")
		return
	}
	defer file.Close()
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(uploadLimit))
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(found.Size, 10))
	h.Set("Content-Disposition", disposition(found.Name))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	_, _ = io.CopyN(w, file, found.Size) // whoever asked may have gone
}

// disposition has a browser save a file under a name.
func disposition(name string) string {
	if d := mime.FormatMediaType("attachment", map[string]string{"filename": name}); d != "" {
		return d
	}
	return "attachment"
}
