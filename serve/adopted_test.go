package serve

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
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
