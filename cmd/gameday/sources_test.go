package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestSourceKinds holds every kind of source to what all of them promise: a page in the docs that the language names, settings
// that print no secret, and an address, where they have one, that faults on this machine are kept off.
func TestSourceKinds(t *testing.T) {
	language, err := os.ReadFile(filepath.Join("..", "..", "docs", "language.md"))
	if err != nil {
		t.Fatal(err)
	}
	check := func(block, name, summary string, config any) {
		page := filepath.Join(block, name+".md")
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
		if err != nil {
			t.Errorf("%s %s has no page: %v", block, name, err)
		}
		if !strings.Contains(string(language), "["+name+"]("+filepath.ToSlash(page)+")") {
			t.Errorf("docs/language.md does not name %s", page)
		}
		if strings.Contains(summary, "xperimental") != strings.Contains(string(text), "xperimental") {
			t.Errorf("%s %s: only one of its summary and its page says that it is experimental", block, name)
		}
		secrets := fillSecrets(reflect.ValueOf(config).Elem())
		_, prints := config.(fmt.GoStringer)
		value := reflect.ValueOf(config).Elem().Interface()
		coded, err := json.Marshal(config)
		if err != nil {
			t.Error(err)
		}
		for _, printed := range []string{fmt.Sprint(config), fmt.Sprintf("%+v", value), fmt.Sprintf("%#v", value), string(coded)} {
			if strings.Contains(printed, hush) {
				t.Errorf("%s %s prints its secret: %s", block, name, printed)
			}
		}
		if secrets > 0 && !prints {
			t.Errorf("%s %s has a secret and no way to print itself without", block, name)
		}
		if _, asked := reflect.TypeOf(config).Elem().FieldByName("URL"); asked {
			if _, ok := config.(interface{ Address() string }); !ok {
				t.Errorf("%s %s has a url and no Address, so a fault may cut off the way to it", block, name)
			}
		}
	}
	c := catalogue()
	for _, k := range c.Alarms {
		check("alarms", k.Name, k.Summary, k.New())
	}
	for _, k := range c.Responders {
		check("responders", k.Name, k.Summary, k.New())
	}
}

const hush = "hush-hush"

// fillSecrets sets every text that is left out of JSON, also in blocks, and returns how many there are.
func fillSecrets(v reflect.Value) int {
	n := 0
	for i := range v.NumField() {
		f, kind := v.Field(i), v.Type().Field(i)
		block := strings.HasSuffix(kind.Tag.Get("hcl"), ",block")
		switch {
		case kind.Tag.Get("json") == "-" && f.Kind() == reflect.String:
			f.SetString(hush)
			n++
		case block && f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
			n += fillSecrets(f.Index(0))
		case block && f.Kind() == reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
			n += fillSecrets(f.Elem())
		}
	}
	return n
}
