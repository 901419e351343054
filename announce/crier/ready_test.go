package crier

import (
	"strings"
	"testing"
	"time"

	"gameday/announce"
	"gameday/announce/deliver"
	"gameday/schedules"
)

// TestLeftToOthers has a machine without the secrets look every minute for hours: it says so once, and whoever has them tells the message afterwards.
func TestLeftToOthers(t *testing.T) {
	c := startChat(t)
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	c.set(now)
	dir := t.TempDir()
	s := weekly(t, schedules.AtStart)
	s.Items[0].Blind = false
	o, _ := s.Next(now.AddDate(0, 0, -1), nil)
	var said []string
	poor := crierTo(t, c, dir, func(text string) { said = append(said, text) })
	poor.Channels = poor.Channels[:1]
	poor.Ended(s, &o, announce.End{At: now, Results: []announce.Result{{Scenario: "a", Judged: true, Verdict: "passed"}}})
	for _, getenv := range []func(string) string{func(string) string { return "" }, func(string) string { return "hooks.example.com" }} {
		poor.Sender = &deliver.Sender{Getenv: getenv}
		for range 120 {
			now = now.Add(time.Minute)
			c.set(now)
			poor.Flush(t.Context())
		}
	}
	if len(said) != 2 || !strings.Contains(said[0], "slack.everyone cannot be told from here: $EVERYONE is not set") || !strings.Contains(said[1], "is not an address") || len(poor.Unready()) != 1 {
		t.Errorf("it says %q", said)
	}
	crierTo(t, c, dir, nil).Flush(t.Context())
	if heard := c.heard("/everyone", now.Add(time.Hour)); !strings.Contains(heard, "passed") {
		t.Errorf("everyone hears %q", heard)
	}
}
