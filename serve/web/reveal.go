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

// RevealedFile is the name of the file in a record by which a facilitator has revealed a blind run that was killed, and is never over.
const RevealedFile = "revealed.json"

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
	if err != nil {
		return false
	}
	info, err := os.Lstat(filepath.Join(dir, RevealedFile))
	return err == nil && info.Mode().IsRegular()
}

// Revealable reports whether a run is one that only a facilitator can show to those who play.
func (r *Run) Revealable() bool { return r.Blind && !r.Over && !r.Going }

var (
	errAlive = errors.New("its record changed within the last two minutes, so that it may go on")
	errCopy  = errors.New("it is a copy, in which nothing is written; reveal it where the record is")
)

// write keeps in a record that its run is revealed, on disk before it returns.
func (v Revealed) write(dir string, now time.Time) error {
	info, err := os.Stat(filepath.Join(dir, report.EventsFile))
	switch {
	case errors.Is(err, fs.ErrNotExist): // it was killed before it began
	case err != nil:
		return err
	case now.Sub(info.ModTime()) < quietBefore:
		return errAlive
	case report.IsCopy(dir):
		return errCopy
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, RevealedFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil // somebody else has
	}
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
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
		s.refuse(w, r, http.StatusConflict, "Nothing was revealed: only a blind run that was killed is hidden for good.")
		return
	}
	dir, err := s.Data.Dir(run.Folder)
	if err == nil {
		err = Revealed{By: room.Signed(v.Name, v.Role), At: v.at.UTC().Round(0)}.write(dir, time.Now())
	}
	if err != nil {
		s.refuse(w, r, http.StatusConflict, "Nothing was revealed: "+err.Error()+".")
		return
	}
	s.note(r, v.Guest, fmt.Sprintf("revealed the run %s, which is blind and has no end", run.Folder))
	http.Redirect(w, r, s.Gate.Path+"/runs/"+string(pathOf(run.Folder)), http.StatusSeeOther)
}
