package crier

import (
	"maps"
	"slices"
	"strings"

	"gameday/announce"
)

// ready reports whether a channel can be told from here, and says why it cannot, once.
func (c *Crier) ready(id string) bool {
	i := slices.IndexFunc(c.Channels, func(x *announce.Channel) bool { return x.ID() == id })
	if i < 0 || c.Sender == nil {
		return false
	}
	why := strings.Join(c.Sender.Missing(c.Channels[i]), "; ")
	c.held.Lock()
	defer c.held.Unlock()
	if why == "" {
		delete(c.unready, id)
		return true
	}
	if c.unready[id] != why {
		c.unready[id] = why
		c.Say(id + " cannot be told from here: " + why + "; it is left to whoever comes next")
	}
	return false
}

// Unready returns of which channels something is due that was left to others, with the reasons, by the channels' IDs.
func (c *Crier) Unready() map[string]string {
	c.held.Lock()
	defer c.held.Unlock()
	return maps.Clone(c.unready)
}
