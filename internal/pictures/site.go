package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"gameday/internal/browser"
	"gameday/internal/siterig"
	"gameday/report"
	"gameday/report/badge"
	"gameday/report/history"
	"gameday/room"
	"gameday/room/door"
	"gameday/room/gate"
	roomweb "gameday/room/web"
	"gameday/serve/web"
)

// mostSite bounds the size of a picture of a server's page.
const mostSite = 120 << 10

// The screens on which a server's pages are shown.
var (
	desk  = browser.Screen{Width: 1280, Height: 900, Still: true}
	wall  = browser.Screen{Width: 1920, Height: 1080, Still: true}
	phone = browser.Screen{Width: 390, Height: 844, Still: true}
)

func dark(s browser.Screen) browser.Screen {
	s.Dark = true
	return s
}

// siteShots are what is kept of the pages of a server.
var siteShots = []struct {
	name   string
	screen browser.Screen
	path   string
	as     room.Role
	height float64
}{
	{"calendar-desk-light.png", desk, "/calendar", room.Facilitator, 1000},
	{"calendar-wall-dark.png", dark(wall), "/calendar", room.Facilitator, 1080},
	{"calendar-phone-light.png", phone, "/calendar", room.Responder, 1000},
	{"history-desk-dark.png", dark(desk), "/runs", room.Facilitator, 900},
	{"history-wall-light.png", wall, "/runs", room.Facilitator, 1080},
	{"history-phone-dark.png", dark(phone), "/runs", room.Observer, 1000},
	{"rehearsal-desk-light.png", desk, "/rehearsals/launch-eu-west-2", room.Responder, 1100},
	{"rehearsal-wall-dark.png", dark(wall), "/rehearsals/launch-eu-west-2", room.Responder, 1080},
	{"rehearsal-phone-light.png", phone, "/rehearsals/launch-eu-west-2", room.Responder, 1000},
	{"fresh-desk-dark.png", dark(desk), "/fresh", room.Observer, 800},
	{"fresh-phone-light.png", phone, "/fresh", room.Observer, 1000},
	{"now-wall-dark.png", dark(wall), "/screen", room.Observer, 900},
	{"now-desk-light.png", desk, "/", room.Facilitator, 900},
}

// site takes the pictures of a server's pages: of a simulated autumn, with the record of a game day in a folder.
func site(dir, record string) (err error) {
	g := gate.New(gate.Config{For: gate.Server, Door: door.New()})
	s := web.New(web.Config{Data: siterig.Autumn(record), Gate: g, FreshWithin: 30 * 24 * time.Hour, Now: func() time.Time { return siterig.Now }})
	cookies := map[room.Role]string{}
	for name, role := range map[string]room.Role{"fay": room.Facilitator, "ann": room.Responder, "wall": room.Observer} {
		token, err := g.Door.Link(door.Guest{Name: name, Role: role, Run: gate.Server}, time.Hour)
		if err != nil {
			return err
		}
		if cookies[role], _, err = g.Door.Enter(token, gate.Server, time.Hour); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l, err := roomweb.Listen("127.0.0.1:0", nil, false)
	if err != nil {
		return err
	}
	var as atomic.Value // of room.Role: who asks for what is asked for now
	served := make(chan error, 1)
	go func() {
		served <- roomweb.Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.AddCookie(&http.Cookie{Name: g.Cookie, Value: cookies[as.Load().(room.Role)]})
			s.ServeHTTP(w, r)
		}))
	}()
	b, err := browser.StartLoopback(context.Background())
	if err != nil {
		return err
	}
	defer b.Close()
	for _, shot := range siteShots {
		as.Store(shot.as)
		if err := b.Show(shot.screen); err != nil {
			return err
		}
		if _, err := b.Visit("http://" + l.Addr().String() + shot.path); err != nil {
			return err
		}
		data, err := b.Picture(&browser.Clip{Width: float64(shot.screen.Width), Height: shot.height, Scale: 1})
		if err == nil {
			data, err = smaller(data)
		}
		if err != nil {
			return fmt.Errorf("taking %s: %w", shot.name, err)
		}
		if len(data) > mostSite {
			return fmt.Errorf("%s has %d bytes, more than %d: cut it shorter", shot.name, len(data), mostSite)
		}
		if err := os.WriteFile(filepath.Join(dir, shot.name), data, 0o644); err != nil {
			return err
		}
		fmt.Printf("%s  %d KB\n", filepath.Join(dir, shot.name), len(data)>>10)
	}
	cancel()
	if err := <-served; err != nil {
		return err
	}
	return sample(filepath.Join(dir, "badge.svg"))
}

// sample draws the badge of a scenario.
func sample(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	passed := history.Entry{Scenario: "checkout", Started: siterig.Now.AddDate(0, 0, -3), End: report.EndComplete, Verdict: report.Passed}
	return errors.Join(badge.SVG(f, badge.Of("checkout", []history.Entry{passed}, 0, siterig.Now)), f.Close())
}
