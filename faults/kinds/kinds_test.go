package kinds_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gameday/faults"
	"gameday/faults/kinds"
)

// TestKindsAreWhole holds every kind to what the guard, the plan and the documentation rely on.
func TestKindsAreWhole(t *testing.T) {
	var names []string
	for _, k := range kinds.All() {
		names = append(names, k.Name)
		if k.Summary == "" || k.Undoing == "" || k.New == nil || k.Needs == "" {
			t.Errorf("%s lacks something: %+v", k.Name, k)
			continue
		}
		if k.Reversible != (k.Revert != nil) {
			t.Errorf("%s: reversible %v, but its Revert says otherwise", k.Name, k.Reversible)
		}
		if err := k.New().Validate(); err != nil && !mustBeGiven(k.New()) {
			t.Errorf("%s: its defaults are invalid: %v", k.Name, err)
		}
		// Every place has a machine, so nowhere is a place for those that need no more.
		if _, err := k.New().Bind(faults.Place{Name: "nowhere"}); err == nil && k.Needs != faults.NeedMachine {
			t.Errorf("%s can be bound to nowhere", k.Name)
		}
		page, err := os.ReadFile(filepath.Join("..", "..", "docs", "faults", k.Name+".md"))
		if err != nil {
			t.Errorf("%s has no page: %v", k.Name, err)
		}
		if !strings.Contains(string(page), `fault "`+k.Name+`"`) {
			t.Errorf("the page of %s has no example", k.Name)
		}
	}
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("names are not in order or not unique: %v", names)
	}
}

// mustBeGiven reports whether a config has a parameter without a default, which no kind can choose for a scenario.
func mustBeGiven(c faults.Config) bool {
	fields := reflect.TypeOf(c).Elem()
	for i := range fields.NumField() {
		if tag := fields.Field(i).Tag.Get("hcl"); tag != "" && !strings.Contains(tag, ",") {
			return true
		}
	}
	return false
}
