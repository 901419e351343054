// Command pictures remakes docs/pictures: the report of a simulated game day, its room in the middle of it, and the pages of a server, as they look on
// a desk, on a wall and on a phone, in the light and in the dark. It needs Chromium.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"gameday/internal/browser"
	"gameday/internal/simrun"
	"gameday/report"
)

func main() {
	for _, made := range []func(dir string) error{remake, remakeRoom} {
		if err := made(filepath.Join("docs", "pictures")); err != nil {
			fmt.Fprintln(os.Stderr, "pictures:", err)
			os.Exit(1)
		}
	}
}

// most bounds a picture's size, for everybody who clones the repository has them.
const most = 300 << 10

// shots are what is kept. A height cuts off what does not fit on one look.
var shots = []struct {
	name   string
	screen browser.Screen
	from   string // the element that the picture begins with; empty for the top
	height float64
}{
	{"report-desk-light.png", browser.Screen{Width: 1280, Height: 900}, "", 1560},
	{"report-desk-dark.png", browser.Screen{Width: 1280, Height: 900, Dark: true}, "#run", 1000},
	{"report-phone-light.png", browser.Screen{Width: 390, Height: 844, Scale: 1.5}, "", 1240},
	{"report-phone-dark.png", browser.Screen{Width: 390, Height: 844, Scale: 1.5, Dark: true}, "#fault-2", 1240},
}

func remake(dir string) (err error) {
	work, err := os.MkdirTemp("", "gameday-pictures-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	page, err := write(work)
	if err != nil {
		return err
	}
	b, err := browser.Start(context.Background())
	if err != nil {
		return err
	}
	defer b.Close()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, s := range shots {
		if err := b.Show(s.screen); err != nil {
			return err
		}
		if _, err := b.Open(page); err != nil {
			return err
		}
		clip := browser.Clip{Width: float64(s.screen.Width), Height: s.height, Scale: 1}
		if s.from != "" {
			if err := b.Eval(fmt.Sprintf(`document.querySelector(%q).getBoundingClientRect().top + scrollY - 16`, s.from), &clip.Y); err != nil {
				return err
			}
		}
		data, err := b.Picture(&clip)
		if err != nil {
			return fmt.Errorf("taking %s: %w", s.name, err)
		}
		if len(data) > most {
			return fmt.Errorf("%s has %d bytes, more than %d: cut it shorter", s.name, len(data), most)
		}
		if err := os.WriteFile(filepath.Join(dir, s.name), data, 0o644); err != nil {
			return err
		}
		fmt.Printf("%s  %d KB\n", filepath.Join(dir, s.name), len(data)>>10)
	}
	return site(dir, work)
}

// write writes the report of the game day, and returns where.
func write(dir string) (string, error) {
	if err := simrun.WriteGameDay(dir); err != nil {
		return "", err
	}
	rec, err := report.Read(dir)
	if err != nil {
		return "", err
	}
	var page bytes.Buffer
	if err := report.HTML(&page, report.Score(rec)); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "report.html")
	return path, os.WriteFile(path, page.Bytes(), 0o644)
}
