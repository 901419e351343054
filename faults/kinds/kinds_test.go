package kinds_test

import (
	"os"
	"path/filepath"
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
		if err := k.New().Validate(); err != nil {
			t.Errorf("%s: its defaults are invalid: %v", k.Name, err)
		}
		if _, err := k.New().Bind(faults.Place{Name: "nowhere"}); err == nil {
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
