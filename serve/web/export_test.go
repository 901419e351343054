package web

// Patterns returns all that is served.
func (s *Site) Patterns() []string { return s.patterns }

// Outward is outward.
var Outward = outward

// HoursWords is hoursWords.
var HoursWords = hoursWords
