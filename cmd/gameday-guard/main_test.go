package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
)

// orphan is an entry whose guard is dead: a command that can be reverted here.
const orphan = `{"id":"old-own-1","run":"old","scenario":"s","fault":"own","kind":"command","place":{"name":"web"},
 "config":{"inject":["true"],"revert":["rm","-f","FILE"]},
 "undo":{"directory":"/","environment":{"PATH":"/usr/bin:/bin"}},"opened":"2026-01-01T00:00:03Z","deadline":"2026-01-01T00:01:00Z","guard":1}`

// TestSupervised runs what the timer runs on a machine where only the guard is, as the unit has it: it reverts what is left, says so
// once, and is silent when there is nothing.
func TestSupervised(t *testing.T) {
	unit, err := template.ParseFiles("../gameday/install.service")
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	err = unit.Execute(&text, map[string]any{"Program": "/usr/local/sbin/gameday-guard", "Ledger": "/l", "User": false, "Strict": false})
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(text.String(), "\nExecStart=/usr/local/sbin/gameday-guard ")
	command, _, found := strings.Cut(after, "\n")
	if !found {
		t.Fatalf("the unit starts something else:\n%s", text.String())
	}
	dir := t.TempDir()
	ledger, mark := filepath.Join(dir, "ledger"), filepath.Join(dir, "mark")
	t.Setenv("GAMEDAY_LEDGER", ledger)
	if err := os.Mkdir(ledger, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{mark: "", filepath.Join(ledger, "old-own-1.json"): strings.Replace(orphan, "FILE", mark, 1)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, errw bytes.Buffer
	if code := run(strings.Fields(command), nil, &out, &errw); code != 0 || out.String() != "reverted own (command) on web, of run old\n" {
		t.Errorf("%s: %d, %q, %q", command, code, out.String(), errw.String())
	}
	if _, err := os.Stat(mark); !os.IsNotExist(err) {
		t.Errorf("it was not reverted: %v", err)
	}
	out.Reset()
	if code := run(strings.Fields(command), nil, &out, &errw); code != 0 || out.Len()+errw.Len() > 0 {
		t.Errorf("with nothing left: %d, %q, %q", code, out.String(), errw.String())
	}
	if code := run([]string{"--quiet"}, strings.NewReader(""), &out, &errw); code != 2 {
		t.Errorf("--quiet without revert: %d", code)
	}
}
