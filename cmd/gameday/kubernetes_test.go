package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/cluster"
)

// TestWithNotes: what closing an entry has to say is said with its object, once.
func TestWithNotes(t *testing.T) {
	lifted := []cluster.Lifted{{Object: cluster.Object{ID: "a"}, Gone: true}, {Object: cluster.Object{ID: "b"}, Gone: true, Note: "pod web is not Ready"},
		{Object: cluster.Object{ID: "c"}, Gone: true, Note: "forced"}, {Object: cluster.Object{ID: "d"}, Blocks: "a finalizer"}, {Gone: true}}
	if got := goneIDs(lifted); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("gone: %v", got)
	}
	closed := []faults.RevertResult{{ID: "a"}, {ID: "b", Note: "pod web is not Ready"}, {ID: "c", Note: "pod web is not Ready"}, {ID: "d", Note: "x"}}
	for i, want := range []string{"", "pod web is not Ready", "forced; pod web is not Ready", "", ""} {
		if got := withNotes(lifted, closed)[i].Note; got != want {
			t.Errorf("the note of %q is %q, want %q", lifted[i].ID, got, want)
		}
	}
	if lifted[2].Note != "forced" {
		t.Error("what was given is changed")
	}
}

// TestToLift: by label alone only what is over goes, unless somebody says more.
func TestToLift(t *testing.T) {
	now := time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)
	object := func(run, id, owner string, until time.Duration) cluster.Object {
		return cluster.Object{Kind: "PodChaos", Namespace: "shop", Name: "gameday-" + run, Run: run, ID: id, Owner: owner, Until: now.Add(until).Format(time.RFC3339)}
	}
	objects := []cluster.Object{
		object("over", "over-1", "ann@here", time.Minute),
		object("live", "", "ann@here", time.Minute),
		object("held", "held-1", "ann@here", time.Minute),
		object("theirs", "theirs-1", "bob@there", time.Minute),
		object("theirs", "theirs-2", "bob@there", -time.Minute),
		object("lapsed", "lapsed-1", "bob@there", -time.Minute),
		{Kind: "Secret", Namespace: "shop", Name: "old", Run: "unsigned"},
	}
	unclear := object("unclear", "unclear-1", "eve@elsewhere", 0)
	unclear.Until = "soon"
	objects = append(objects, unclear)
	for _, c := range []struct {
		name  string
		flags liftFlags
		want  []string
	}{
		{"what is over", liftFlags{}, []string{"over", "lapsed", "unsigned"}},
		{"everything", liftFlags{all: true}, []string{"over", "theirs", "lapsed", "unsigned", "unclear"}},
		{"what was named", liftFlags{run: "theirs"}, []string{"over", "theirs", "lapsed", "unsigned", "unclear"}}, // the cluster was asked for that run alone
	} {
		var said bytes.Buffer
		a := &app{errw: &said}
		if got := a.toLift(objects, c.flags, []string{"held-1"}, []string{"live"}, "here", now); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if n := strings.Count(said.String(), "is bob@there's, whose run may be in progress there until 2026-11-29T08:01:00Z"); (n == 1) != (c.name == "what is over") || n > 1 {
			t.Errorf("%s says %d times whose it is:\n%s", c.name, n, &said)
		}
		for _, want := range []string{"its guard lives", "gameday stop live"} {
			if !strings.Contains(said.String(), want) {
				t.Errorf("%s: %q is not in:\n%s", c.name, want, &said)
			}
		}
	}
}
