package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"gameday/report"
	"gameday/room"
	"gameday/room/gate"
)

// quietBefore is how long a record must not have changed for its run to be taken as dead.
const quietBefore = 2 * time.Minute

// Revealed says who revealed a run, and when.
type Revealed struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// revealed reports whether somebody has revealed a run. What cannot be told is no.
func (s *Site) revealed(r *Run) bool {
	dir, err := s.Data.Dir(r.Folder)
	return err == nil && report.IsRevealed(dir)
}

// Revealable reports whether a run is one that only a facilitator can show to those who play.
func (r *Run) Revealable() bool { return r.Blind && !r.Over && !r.Going }

var (
	errAlive = errors.New("its record changed within the last two minutes, so that it may go on")
	errCopy  = errors.New("it is a copy, in which nothing is written; reveal it where the record is")
	errOther = errors.New(report.RevealedFile + " in its record is no file; move it away")
)

// write keeps in a record that its run is revealed: whole and on disk before it returns, or not at all.
func (v Revealed) write(dir string, now time.Time) error {
	changed, err := lastChange(dir)
	switch {
	case err != nil:
		return err
	case now.Sub(changed) < quietBefore:
		return errAlive
	case report.IsCopy(dir):
		return errCopy
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return place(dir, report.RevealedFile, append(text, '\n'))
}

// lastChange returns when a record was last written: of a run that was killed before it had an event, when its plan was.
func lastChange(dir string) (time.Time, error) {
	for _, name := range []string{report.EventsFile, report.PlanFile, "."} {
		info, err := os.Stat(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return time.Time{}, err
		}
		return info.ModTime(), nil
	}
	return time.Time{}, fmt.Errorf("%s: %w", dir, fs.ErrNotExist)
}

// place puts a file into a folder that is not there yet. A link to a file that is on disk already is what makes it seen.
func place(dir, name string, text []byte) error {
	draft, err := os.CreateTemp(dir, ".draft-*")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(text)
	if err = errors.Join(err, draft.Chmod(0o644), draft.Sync(), draft.Close()); err != nil {
		return err
	}
	path := filepath.Join(dir, name)
	if err := os.Link(draft.Name(), path); errors.Is(err, fs.ErrExist) {
		return nil // somebody else has
	} else if err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// reveal shows a blind run that was killed to everybody, for good.
func (s *Site) reveal(w http.ResponseWriter, r *http.Request) {
	v, ok := s.leads(w, r, "revealing a run")
	if !ok {
		return
	}
	if !s.Gate.People.Allow(gate.Person(v.Guest)) {
		s.tooMuch(w, r)
		return
	}
	all, err := s.past(r.Context(), v.Role)
	if err != nil {
		s.Say("a run could not be revealed: " + err.Error())
		s.refuse(w, r, http.StatusServiceUnavailable, "Which runs there are is not known just now, so nothing was revealed.")
		return
	}
	run := all.find(r.PathValue("run"))
	if run == nil || !run.Revealable() {
		s.note(r, v.Guest, fmt.Sprintf("was kept from revealing %.100q, which is no blind run that was killed", r.PathValue("run")))
		s.refuse(w, r, http.StatusConflict, "Nothing was revealed: only a blind run that was killed is hidden for good.")
		return
	}
	dir, err := s.Data.Dir(run.Folder)
	if err == nil {
		err = Revealed{By: room.Signed(v.Name, v.Role), At: v.at.UTC().Round(0)}.write(dir, time.Now())
	}
	if err == nil && !s.revealed(run) {
		err = errOther
	}
	if err != nil && s.revealed(run) { // what people can see is what counts
		s.Say("revealing a run: " + err.Error())
		err = nil
	}
	if err != nil {
		s.note(r, v.Guest, fmt.Sprintf("was kept from revealing the run %s: %v", run.Folder, err))
		s.refuse(w, r, http.StatusConflict, "Nothing was revealed: "+err.Error()+".")
		return
	}
	s.note(r, v.Guest, fmt.Sprintf("revealed the run %s, which is blind and has no end", run.Folder))
	http.Redirect(w, r, s.Gate.Path+"/runs/"+string(pathOf(run.Folder)), http.StatusSeeOther)
}
