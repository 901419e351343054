package serve

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gameday/schedules"
	"gameday/schedules/claims"
)

// TestAdopted is told of calendars that are taken, and not of what has a mistake or the name of another one.
func TestAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for text, name := range map[string]string{"one": "one", "two": "two", "taken": "two", "renamed": "three"} {
			r.calendars[text] = func(file string) *Calendar {
				return &Calendar{Name: name, File: file, Own: text}
			}
		}
		var mu sync.Mutex
		var told []string
		c := r.config(r.file("a.hcl", "one"), r.file("b.hcl", "two"))
		c.Adopted = func(cal *Calendar) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, cal.Own.(string))
		}
		_, end := r.serve(c)
		defer end()
		for _, step := range []struct {
			text string
			want []string
		}{{"taken", nil}, {"nonsense", nil}, {"renamed", []string{"renamed"}}} {
			time.Sleep(time.Second)
			mu.Lock()
			told = nil
			mu.Unlock()
			r.file("a.hcl", step.text)
			time.Sleep(3 * filesEvery)
			mu.Lock()
			if !slices.Equal(told, step.want) {
				t.Errorf("with %s in the file it is told of %v, want %v", step.text, told, step.want)
			}
			mu.Unlock()
		}
	})
}

// TestRenamedMeanwhile gives a calendar another name while a process decides about what it had before: it is another calendar, whose schedules are begun
// at once. When there is no seed for that one, it goes on under its old name, by what it knew.
func TestRenamedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.children.Wait()
		daily := &schedules.Schedule{Name: "daily", Items: item(time.Minute), Every: every(t, "1d"), Zone: time.UTC, Window: &schedules.Window{From: 0, To: clock(2, 0)}}
		for _, name := range []string{"days", "nights", "seedless"} {
			r.calendars[name] = func(file string) *Calendar {
				return &Calendar{Name: name, File: file, Schedules: []*schedules.Schedule{daily}}
			}
		}
		r.delays = []time.Duration{20 * time.Minute}
		c := r.config(r.file("days.hcl", "days"))
		c.Seed = func(dir string) (schedules.Seed, error) {
			if filepath.Base(dir) == "seedless" {
				return nil, errors.New("it has no seed")
			}
			return schedules.Seed("a seed of the tests"), nil
		}
		_, end := r.serve(c)
		defer end()
		begun := func(name string) (n int) {
			t.Helper()
			f, err := claims.Open(filepath.Join(c.State, name))
			if err != nil {
				t.Fatal(err)
			}
			all, _, err := f.Reader().Read()
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range all {
				if k.Outcome == schedules.Begun {
					n++
				}
			}
			return n
		}
		time.Sleep(10*time.Second + 70*time.Millisecond) // not at the instant of a look, which would find half of a file
		r.file("days.hcl", "nights")
		time.Sleep(10 * time.Second)
		if n := begun("nights"); n != 1 {
			t.Errorf("under its new name %d are begun", n)
		}
		r.file("days.hcl", "seedless")
		time.Sleep(5 * time.Minute)
		if text := r.says(); len(r.called()) != 2 || strings.Count(text, "\n") != 0 || !strings.Contains(text, "goes on as it was") || !strings.Contains(text, "it has no seed") {
			t.Errorf("%d processes were started, it says %q", len(r.called()), text)
		}
		time.Sleep(20 * time.Minute)
		if n := begun("days"); n != 1 {
			t.Errorf("under its old name %d are begun", n)
		}
	})
}
