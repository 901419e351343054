package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"gameday/internal/browser"
	"gameday/internal/simrun"
	"gameday/report"
	"gameday/room"
	"gameday/room/door"
	"gameday/room/web"
)

// roomMoment is when the simulated game day is looked at: nobody has answered yet, somebody has just found what it is, and the network is still
// cut.
const roomMoment = 326500 * time.Millisecond

// roomShot is a picture of a room, as somebody sees it.
type roomShot struct {
	name, who string
	role      room.Role
	path      string
	screen    browser.Screen
	height    float64
}

// roomShots are what is kept.
var roomShots = []roomShot{
	{"room-facilitator-desk-light.png", "fay", room.Facilitator, "/", browser.Screen{Width: 1280, Height: 900}, 1700},
	{"room-facilitator-phone-dark.png", "fay", room.Facilitator, "/", browser.Screen{Width: 390, Height: 844, Scale: 1.5, Dark: true}, 1500},
	{"room-responder-desk-dark.png", "ann", room.Responder, "/", browser.Screen{Width: 1280, Height: 900, Dark: true}, 1300},
	{"room-responder-phone-light.png", "ann", room.Responder, "/", browser.Screen{Width: 390, Height: 844, Scale: 1.5}, 1500},
	{"room-screen-dark.png", "wall", room.Observer, "/screen", browser.Screen{Width: 1920, Height: 1080, Dark: true}, 1080},
	{"room-screen-light.png", "wall", room.Observer, "/screen", browser.Screen{Width: 1920, Height: 1080}, 1080},
}

// remakeRoom makes pictures of the room of the simulated game day, as it would be in the middle of it, blind: served on loopback, and
// looked at by browsers that came in by links.
func remakeRoom(dir string) error {
	work, err := os.MkdirTemp("", "gameday-pictures-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := simrun.WriteGameDay(work); err != nil {
		return err
	}
	f, err := report.Follow(work)
	if err != nil {
		return err
	}
	defer f.Close()
	d := &simulated{plan: *f.Plan()}
	for {
		events, err := f.Next()
		if err != nil {
			return err
		}
		if len(events) == 0 {
			break
		}
		d.events = append(d.events, events...)
	}
	for _, s := range roomShots {
		data, err := d.shoot(s)
		if err == nil && len(data) > 2*most/3 { // else its colours are as they are
			data, err = smaller(data)
		}
		if err == nil && len(data) > most {
			err = fmt.Errorf("it has %d bytes, more than %d: cut it shorter", len(data), most)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, s.name), data, 0o644)
		}
		if err != nil {
			return fmt.Errorf("taking %s: %w", s.name, err)
		}
		fmt.Printf("%s  %d KB\n", filepath.Join(dir, s.name), len(data)>>10)
	}
	return nil
}

// simulated is the game day that is looked at.
type simulated struct {
	plan   report.Plan
	events []report.Event
}

// shoot opens a room of its own, in which it is the moment, comes in, and takes one picture.
func (d *simulated) shoot(s roomShot) (data []byte, err error) {
	work, err := os.MkdirTemp("", "gameday-pictures-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b, err := browser.StartLoopback(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	l, err := web.Listen("127.0.0.1:0", nil, false)
	if err != nil {
		return nil, err
	}
	prefix := "http://" + l.Addr().String()
	r := web.New(web.Config{Run: "simulated", Dir: work, Door: door.New(), Address: func(path string) string { return prefix + path },
		Say: func(text string) { fmt.Fprintln(os.Stderr, "pictures:", text) }})
	served := make(chan error, 1)
	go func() { served <- web.Serve(ctx, l, r) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-served)
	}()
	link, err := r.Invite(s.who, s.role)
	if err != nil {
		return nil, err
	}
	s.screen.Still = true
	if err := b.Show(s.screen); err != nil {
		return nil, err
	}
	if _, err := b.Visit(link); err != nil {
		return nil, err
	}
	if err := d.write(work); err != nil {
		return nil, err
	}
	go r.Follow(ctx)
	if err := b.Eval(`fetch(document.querySelector("form").action, {method: "POST", body: new URLSearchParams(new FormData(document.querySelector("form"))), redirect: "manual"}).then(() => 0)`, nil); err != nil {
		return nil, err
	}
	if _, err := b.Visit(prefix + s.path); err != nil {
		return nil, err
	}
	if err := b.Until(`document.getElementById("link").textContent === "Live." && document.getElementById("part-traffic").innerText.includes("arrivals")`, 20*time.Second); err != nil {
		return nil, err
	}
	return b.Picture(&browser.Clip{Width: float64(s.screen.Width), Height: s.height, Scale: 1})
}

// stamps are the times in a record's lines.
var stamps = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"`)

// soon is how long a page may take to be loaded: until then it is the moment, and not later.
const soon = 5 * time.Second

// write writes the record of the game day as it is at the moment, blind, with what people do in a room, and with all its times moved so that
// the moment is soon.
func (d *simulated) write(dir string) error {
	events := slices.Clone(d.events)
	first := events[0].At
	for _, said := range inRoom {
		data, err := json.Marshal(said.mark)
		if err != nil {
			return err
		}
		events = append(events, report.Event{At: first.Add(said.at), T: said.at, Kind: report.Marked, Data: data})
	}
	slices.SortStableFunc(events, func(a, b report.Event) int { return int(a.T - b.T) })
	move := time.Since(first) - roomMoment + soon
	var lines bytes.Buffer
	for n, e := range events {
		if e.T > roomMoment {
			break
		}
		e.Seq = uint64(n + 1)
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		lines.Write(append(moved(line, move), '\n'))
	}
	plan := d.plan
	plan.Blind = true
	text, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, report.PlanFile), text, 0o600), os.WriteFile(filepath.Join(dir, report.EventsFile), lines.Bytes(), 0o600))
}

func moved(line []byte, by time.Duration) []byte {
	return stamps.ReplaceAllFunc(line, func(text []byte) []byte {
		var at time.Time
		if json.Unmarshal(text, &at) != nil || at.IsZero() {
			return text
		}
		out, err := json.Marshal(at.Add(by))
		if err != nil {
			return text
		}
		return out
	})
}

// inRoom is what people wrote and attached in the room.
var inRoom = []struct {
	at   time.Duration
	mark report.Mark
}{
	{236 * time.Second, report.Mark{Name: "note", By: room.Signed("ann", room.Responder), Text: "Charges take five seconds and then fail. Browsing is fine."}},
	{262 * time.Second, report.Mark{Name: "note", By: room.Signed("fay", room.Facilitator), Text: "ann looks at the right dashboard, and has not seen her pager."}},
	{301 * time.Second, report.Mark{Name: report.EvidenceMark, By: room.Signed("ann", room.Responder), Text: "What the dashboard showed", File: &report.Attachment{
		Name: "charges.png", Path: "evidence/9f2c4be1a8d05577b3f1c8b2f0d7e6a493b1d2c0e5f4a39788c6d5e4b3a29180.png", Size: 84_112, SHA256: "9f2c4be1a8d05577b3f1c8b2f0d7e6a493b1d2c0e5f4a39788c6d5e4b3a29180"}}},
	{312 * time.Second, report.Mark{Name: report.DiagnosisMark, By: room.Signed("ann", room.Responder), Text: "payments cannot reach the ledger"}},
	{321 * time.Second, report.Mark{Name: report.DiagnosisRight, By: room.Signed("fay", room.Facilitator)}},
}
