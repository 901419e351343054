package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"gameday/announce"
	"gameday/scenarios"
)

// TestServedLost loses the folder of what was told while a server has it, as when its disk is not mounted any more: nobody is told anew of what they
// were told, and nothing is made in its place. When it is there again, it goes on.
func TestServedLost(t *testing.T) {
	for name, empty := range map[string]bool{"an empty folder is in its place": true, "it is gone": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("GAMEDAY_LEDGER", filepath.Join(dir, "ledger"))
			c := (&app{errw: io.Discard}).newCriers(filepath.Join(dir, "audit.jsonl"))
			c.state = filepath.Join(dir, "state")
			days := filepath.Join(c.state, "game-days")
			cal := &scenarios.Calendar{Name: "game-days", Notify: []*announce.Channel{{Kind: announce.Slack, Name: "a", On: announce.Events, Address: announce.Secret{Env: "NOT_SET"}}}}
			s := &servedCrier{calendar: cal}
			if _, err := c.due(s, cal); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(days, days+"-away"); err != nil {
				t.Fatal(err)
			}
			if empty {
				if err := os.Mkdir(days, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := c.due(s, cal); err == nil {
				t.Error("people are told by nothing")
			}
			if err := os.Remove(days); (err == nil) != empty {
				t.Errorf("in its place: %v", err)
			}
			if err := os.Rename(days+"-away", days); err != nil {
				t.Fatal(err)
			}
			if _, err := c.due(s, cal); err != nil {
				t.Errorf("when it is there again: %v", err)
			}
		})
	}
}
