package faults_test

import (
	"fmt"
	"slices"
	"testing"

	"gameday/faults"
)

// TestRevertOrder keeps the order at each place, and makes nobody else wait.
func TestRevertOrder(t *testing.T) {
	type injection struct {
		name, host, place string
		needs             faults.Need
	}
	about := func(i injection) (faults.Place, faults.Need) {
		return faults.Place{Host: i.host, Name: i.place}, i.needs
	}
	var got []string
	for _, chain := range faults.RevertOrder([]injection{
		{"a", "", "web", faults.NeedProcess},
		{"b", "", "web", faults.NeedNetwork},
		{"c", "", "db", faults.NeedProcess},
		{"d", "", "web", faults.NeedMachine},
		{"e", "h1", "web", faults.NeedProcess},
		{"f", "", "web", faults.NeedNetwork},
		{"g", "", "db", faults.NeedProcess},
	}, about) {
		line := ""
		for _, i := range chain {
			line += i.name
		}
		got = append(got, line)
	}
	if want := []string{"gc", "f", "e", "da", "b"}; !slices.Equal(got, want) {
		t.Errorf("%s, want %s", fmt.Sprint(got), want)
	}
	same := &faults.Process{PID: 7, Start: 1}
	twice := faults.RevertOrder([]string{"x", "y"}, func(target string) (faults.Place, faults.Need) {
		return faults.Place{Name: target, Process: same}, faults.NeedProcess
	})
	if len(twice) != 1 || !slices.Equal(twice[0], []string{"y", "x"}) {
		t.Errorf("one process found by two targets: %v", twice)
	}
	pod := &faults.Cluster{Pod: &faults.Pod{Namespace: "shop", Name: "web-1", UID: "u"}}
	for what, there := range map[string]*faults.Cluster{"one pod": pod, "manifests": {Access: faults.Access{Context: "stage"}}} {
		apart := faults.RevertOrder([]string{"x", "y"}, func(string) (faults.Place, faults.Need) {
			return faults.Place{Name: "cluster", Cluster: there}, faults.NeedProcess
		})
		if len(apart) != 2 {
			t.Errorf("%s: one of two objects in a cluster waits for the other: %v", what, apart)
		}
	}
	if len(faults.RevertOrder(nil, about)) != 0 {
		t.Error("nothing makes chains")
	}
}
