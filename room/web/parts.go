package web

import (
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"gameday/report"
	"gameday/room"
	"gameday/room/door"
	"gameday/sizes"
)

//go:embed room.html.tmpl
var pagesText string

//go:embed room.css
var roomStyle string

//go:embed room.js
var scriptText string

// pages are the parsed templates; their text is part of the program.
var pages = template.Must(template.New("room").Funcs(template.FuncMap{
	"clock": clockWords, "seconds": func(d time.Duration) string { return fmt.Sprintf("%.0f", d.Seconds()) },
	"span":    func(d time.Duration) string { return strings.TrimSuffix(d.Round(time.Second).String(), "m0s") },
	"until":   func(a, b time.Duration) time.Duration { return max(0, a-b) },
	"field":   func(what, label, button string, needs bool) field { return field{what, label, button, needs} },
	"message": func(base, title string) message { return message{Base: base, Title: title} },
	"key":     markKey, "bytes": func(n int64) string { return sizes.Show(uint64(n)) }, "base": path.Base,
}).Parse(pagesText))

// field is a form of one line.
type field struct {
	What, Label, Button string
	Needs               bool
}

func styleText() string { return report.PageStyle() + roomStyle }

// face is what a part's template sees.
type face struct {
	room.View
	Trouble string
	Base    string
	Here    []string // who looks on; for facilitators
}

// quietAfter is how long a run may say nothing before that is said: its traffic tells of each second.
const quietAfter = 4 * time.Second

// Silent reports whether nothing was heard of the run for longer than it should be.
func (f face) Silent() bool { return f.Quiet >= quietAfter }

// News is the last thing that happened to a page, in a sentence.
func (f face) News() string {
	var last *room.Page
	for i := range f.Seen.Pages {
		if p := &f.Seen.Pages[i]; last == nil || p.Since >= last.Since {
			last = p
		}
	}
	if last == nil {
		return ""
	}
	return last.Called() + ": " + last.State
}

// PhaseWord is the phase, or as much of it as the role may know; and that it is over, when it is.
func (f face) PhaseWord() string {
	if f.Told != nil && f.Told.Phase != "" && f.Seen.Stage != room.Over && f.Seen.Stage != room.Ending {
		return string(f.Told.Phase)
	}
	return string(f.Seen.Stage)
}

// Evidence is what was attached and the role may see, the newest first.
func (f face) Evidence() []room.Remark {
	if f.Told != nil {
		return newest(f.Told.Evidence)
	}
	return newest(f.Seen.Evidence)
}

// NewestLines are the log's lines, the newest first.
func (f face) NewestLines() []room.Line { return newest(f.Told.Log) }

// NewestSaid is what was said, the newest first.
func (f face) NewestSaid() []room.Remark { return newest(f.Seen.Said) }

func newest[T any](list []T) []T {
	out := slices.Clone(list)
	slices.Reverse(out)
	return out
}

// Elapsed is how far the phase is, in percent; -1 when nobody knows how long it is.
func (f face) Elapsed() int {
	if f.Told == nil || f.Told.PhaseLength == 0 {
		return -1
	}
	return int(min(100, 100*(f.Now-f.Told.PhaseBegan)/f.Told.PhaseLength))
}

// partsOf lists the parts of the page that change by themselves.
func partsOf() []part {
	var out []part
	for _, name := range []string{"title", "hidden", "clock", "banner", "news", "traffic", "pages", "people", "said", "faults", "alarms", "inject", "marks", "diagnosis", "evidence", "guests", "log"} {
		out = append(out, part{name: name})
	}
	for _, size := range report.LiveSizes() {
		out = append(out, part{name: "chart-" + size, size: size})
	}
	return out
}

// markKeys are the keys of a facilitator's marks, without those of what else a facilitator does.
const markKeys = "1234567890qwetyuiopadfgjklzxcvbnm"

// markKey returns the key of a mark by its number, "" when there are none left.
func markKey(i int) string {
	if i >= len(markKeys) {
		return ""
	}
	return markKeys[i : i+1]
}

// clockWords prints a time on the run's clock: "4:31", "1:04:31".
func clockWords(d time.Duration) string {
	n := int(max(0, d) / time.Second)
	if n >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", n/3600, n/60%60, n%60)
	}
	return fmt.Sprintf("%d:%02d", n/60, n%60)
}

// sheet is what a page's template sees.
type sheet struct {
	face
	Up    string
	frame *frame
	Name  string
	ID    string // of the last event that is in the page
	Big   bool
	Sizes []string
}

// Part returns a part as it was rendered for all who have the role.
func (s sheet) Part(name string) template.HTML { return s.frame.html(name) }

// sees returns as whom somebody looks on. A wall is looked at by everybody, so that it shows what everybody may see, whoever opened it.
func sees(g door.Guest, wall bool) room.Role {
	if wall {
		return room.Observer
	}
	return g.Role
}

// page serves one of the room's pages.
func (s *Room) page(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g, err := s.who(r)
		if err != nil {
			s.refuse(w, r, http.StatusUnauthorized, "You need a link of your own to come in. The facilitator of the game day gives it to you. "+
				"If you are in already, and came here from another page, go on.")
			return
		}
		big := name == "screen"
		f, _ := s.hub.look(sees(g, big))
		s.show(w, http.StatusOK, name, sheet{face: face{View: f.view, Base: s.Base}, Up: s.Up, frame: f, Name: g.Name, ID: s.hub.id(f), Big: big,
			Sizes: report.LiveSizes()})
	}
}

// show writes a page.
func (s *Room) show(w http.ResponseWriter, status int, name string, data any) {
	var b strings.Builder
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		s.Say("the room's page could not be made: " + err.Error())
		http.Error(w, "This page could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(b.String())) // whoever asked may have gone
}

// message is a page that says one thing.
type message struct {
	Base, Title, Text, Link string
	Token                   string // of a link that is about to be used
	Back                    bool
}

// refuse says why something was not done: in plain text to the room's script, else as a page.
func (s *Room) refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	s.answer(w, r, status, message{Base: s.Base, Title: "Not this way", Text: text, Back: true})
}

func (s *Room) answer(w http.ResponseWriter, r *http.Request, status int, m message) {
	if r.Header.Get("Accept") == "text/plain" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintln(w, strings.TrimSpace(m.Text+" "+m.Link))
		return
	}
	s.show(w, status, "message", m)
}

// static serves a text of the program.
func static(kind, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write([]byte(text))
	}
}
