package audit

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// maxLine bounds one line with its end, in bytes: whatever a run is called, its lines stay whole in one write.
const maxLine = 64 << 10

// bound is how much of a line is kept: of each text so many bytes, of each list so many elements.
type bound struct{ text, list int }

// bounds are tried in order for a line that is too long as it is. A byte may take six in JSON; with the last one a line of
// the longest texts has less than 30 KB.
var bounds = [...]bound{{4 << 10, 100}, {1 << 10, 100}, {256, 50}, {64, 10}}

// encode returns a line with its end, and shortens what would make it too long.
func encode(l Line) ([]byte, error) {
	raw, err := json.Marshal(l)
	for i := 0; i < len(bounds) && err == nil && len(raw) >= maxLine; i++ {
		raw, err = json.Marshal(bounds[i].line(l))
	}
	return append(raw, '\n'), err
}

// line returns a shorter copy of a line. What was cut off ends in an ellipsis.
func (b bound) line(l Line) Line {
	for _, text := range []*string{&l.What, &l.User, &l.SudoUser, &l.Login, &l.Host, &l.Run, &l.Scenario, &l.File, &l.Digest, &l.Record,
		&l.ApprovedBy, &l.ID, &l.Fault, &l.Kind, &l.Place, &l.Verdict, &l.Item, &l.Why} {
		*text = clip(*text, b.text)
	}
	var places []string
	for _, p := range l.Places[:min(len(l.Places), b.list)] {
		places = append(places, clip(p, b.text))
	}
	if more := len(l.Places) - b.list; more > 0 {
		places = append(places, fmt.Sprintf("… and %d more", more))
	}
	var policies []Policy
	for _, p := range l.Policies[:min(len(l.Policies), b.list)] {
		policies = append(policies, Policy{File: clip(p.File, b.text), Digest: clip(p.Digest, b.text)})
	}
	if more := len(l.Policies) - b.list; more > 0 {
		policies = append(policies, Policy{File: fmt.Sprintf("… and %d more", more)})
	}
	l.Places, l.Policies = places, policies
	return l
}

// clip returns the first n bytes of a text, fewer where they would end within a letter.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for back := 0; back < utf8.UTFMax && n > 0 && !utf8.RuneStart(s[n]); back++ {
		n--
	}
	return s[:n] + "…"
}
