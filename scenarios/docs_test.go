package scenarios

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"gameday/loadgen/sli"
	"gameday/targets"
	"gameday/targets/lab"
)

// TestLanguagePage holds docs/language.md to every block and attribute that the loader knows, every indicator and every
// function.
func TestLanguagePage(t *testing.T) {
	b, err := os.ReadFile("../docs/language.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	mentioned := func(word string) bool {
		for _, around := range []string{"`" + word + "`", "`" + word + " ", " " + word + " ", " " + word + "`", " " + word + ",", "\n" + word + "`", "{ " + word} {
			if strings.Contains(page, around) {
				return true
			}
		}
		return strings.Contains(page, "`"+word)
	}
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			name, kind, _ := strings.Cut(typ.Field(i).Tag.Get("hcl"), ",")
			if name != "" && kind != "label" && kind != "label_range" && !mentioned(name) {
				t.Errorf("docs/language.md does not mention %s of %s", name, typ.Name())
			}
			walk(typ.Field(i).Type)
		}
	}
	for _, v := range []any{fileBlocks{}, scenarioBlock{}, sliBlock{}, builtinBlock{}, hostBlock{}, rampShape{}, stepsShape{}, spikeShape{},
		sineShape{}, replayShape{}, lab.Config{}, targets.Process{}, targets.Container{}, targets.Node{}, targets.Pods{}.Pods, targets.Instance{}, targets.PhysicalMachines{}.Machines} {
		walk(reflect.TypeOf(v))
	}
	for _, n := range sli.Names() {
		if !mentioned(n.Name) {
			t.Errorf("docs/language.md does not mention the indicator %s", n.Name)
		}
	}
	for name := range (&loader{}).functions() {
		if !mentioned(name) {
			t.Errorf("docs/language.md does not mention the function %s", name)
		}
	}
}
