package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"gameday/scenarios"
	"gameday/serve"
)

// TestCriersOfFiles has calendars that are read again, under the same name and under another one: each file has one crier, and those of a name that
// it has no more are told nothing more.
func TestCriersOfFiles(t *testing.T) {
	dir := t.TempDir()
	var said bytes.Buffer
	c := (&app{errw: &said}).newCriers(filepath.Join(dir, "audit.jsonl"))
	c.state, c.runs = filepath.Join(dir, "state"), filepath.Join(dir, "runs")
	defer c.Close()
	stopped := map[string]int{}
	adopt := func(file, name string) {
		t.Helper()
		before := c.crierBy(file)
		c.adopted(&serve.Calendar{Name: name, File: file, Own: &scenarios.Calendar{Name: name, File: file}})
		s := c.crierBy(file)
		if s == nil || s.calendar.Name != name {
			t.Fatalf("nobody tells of %s", name)
		}
		if s != before {
			stop := s.stop
			s.stop = func() {
				stopped[name]++
				stop()
			}
		}
	}
	adopt("a.hcl", "days")
	adopt("b.hcl", "nights")
	first := c.crierBy("a.hcl")
	adopt("a.hcl", "days")
	if c.crierBy("a.hcl") != first || len(stopped) != 0 {
		t.Errorf("read again it begins anew; stopped %v", stopped)
	}
	adopt("a.hcl", "mornings")
	if c.crierBy("a.hcl") == first || stopped["days"] != 1 || len(stopped) != 1 || len(c.all) != 2 {
		t.Errorf("renamed, %d criers, stopped %v", len(c.all), stopped)
	}
	c.look("days") // nobody hears it
	c.Close()
	if stopped["mornings"] != 1 || stopped["nights"] != 1 || len(c.all) != 0 {
		t.Errorf("in the end, stopped %v", stopped)
	}
	if said.Len() > 0 {
		t.Errorf("it says %s", said.String())
	}
}

// crierBy returns who tells the people of a calendar's file, or nil.
func (c *criers) crierBy(file string) *servedCrier {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[file]
}
