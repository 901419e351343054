package k6

import (
	"encoding/json"
	"strings"

	"gameday/loadgen/internal/child"
)

// logLine is a line of k6's log in JSON.
type logLine struct {
	Level   string `json:"level"`
	Message string `json:"msg"`
	Error   string `json:"error"`
	Hint    string `json:"hint"`
}

// lastError finds in the end of k6's log what it died of: the last line of level error, or where the process itself says it.
func lastError(tail string) string {
	found := ""
	for line := range strings.Lines(tail) {
		if word := child.Died(line); word != "" {
			return word
		}
		var l logLine
		switch {
		case json.Unmarshal([]byte(line), &l) != nil:
		case l.Level == "error" || l.Level == "fatal" || l.Level == "panic":
			found = l.Message
			if l.Error != "" {
				found += ": " + l.Error
			}
		}
	}
	return found
}
