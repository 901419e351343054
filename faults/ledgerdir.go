package faults

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// LedgerVariable is the environment variable that names another folder for the ledger.
const LedgerVariable = "GAMEDAY_LEDGER"

// MachineLedgerDir is the folder of root's ledger.
const MachineLedgerDir = "/var/lib/gameday/ledger"

// DefaultLedgerDir returns the folder of the machine's ledger: $GAMEDAY_LEDGER, else /var/lib/gameday/ledger for
// root, else $XDG_STATE_HOME/gameday/ledger or ~/.local/state/gameday/ledger. Somebody who is root only inside a
// user namespace gets the folder of an ordinary user, so that it is the same inside and outside.
func DefaultLedgerDir() (string, error) {
	if dir := os.Getenv(LedgerVariable); dir != "" {
		return dir, nil
	}
	if os.Geteuid() == 0 && !inUserNamespace() {
		return MachineLedgerDir, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "gameday", "ledger"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("finding the ledger: none of " + LedgerVariable +
			", XDG_STATE_HOME and HOME is set; set one of them")
	}
	return filepath.Join(home, ".local", "state", "gameday", "ledger"), nil
}

// inUserNamespace reports whether this process's user ids are mapped; the first user namespace maps all to
// themselves.
func inUserNamespace() bool {
	data, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Join(strings.Fields(string(data)), " ") != "0 0 4294967295"
}
