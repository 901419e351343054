package conductor

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gameday/clock"
	"gameday/report"
)

func TestOverride(t *testing.T) {
	play(t, `alarms "probe" "main" {}`, controlled, nil, func(d *day, rec *report.Record) {
		dir := d.options.Dir
		path := filepath.Join(dir, report.EventsFile)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		good := report.Override{Item: "down.fired", Outcome: clock.Met, By: " Dana ", Reason: "seen on the wall"}
		for what, bad := range map[string]report.Override{
			"name":       {Item: good.Item, Reason: "r"},
			"reason":     {Item: good.Item, By: "Dana", Reason: " "},
			"characters": {Item: good.Item, By: "Dana", Reason: strings.Repeat("x", 1001)},
			"no item":    {Item: "nothing", By: "Dana", Reason: "r"},
			"safety":     {Item: "safety", By: "Dana", Reason: "r"},
			"withdraw":   {Item: good.Item, By: "Dana", Reason: "r", Withdrawn: true},
		} {
			if _, err := Override(dir, bad); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("%s: %v", what, err)
			}
		}
		held, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := lockRecord(t.Context(), held); err != nil {
			t.Fatal(err)
		}
		if _, err := Override(dir, good); err == nil || !strings.Contains(err.Error(), "locking the record") {
			t.Errorf("a record in use: %v", err)
		}
		held.Close()
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, before) {
			t.Fatalf("the record was changed: %v", err)
		}
		it, err := Override(dir, good)
		if err != nil || it.ID != "alarm.Down.fired" || it.Outcome != clock.Missed {
			t.Fatalf("%+v, %v", it, err)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(now, before) {
			t.Errorf("the record was not only added to: %v", err)
		}
		again, err := report.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		it, err = report.Score(again).Find("alarm.Down.fired")
		if err != nil || it.Outcome != clock.Met || it.Override == nil || it.Override.By != "Dana" {
			t.Errorf("%+v, %v", it, err)
		}
		if _, err := Override(dir, report.Override{Item: "down.fired", Withdrawn: true, By: "Eve", Reason: "no"}); err != nil {
			t.Error(err)
		}
	})
}
