package web

// Patterns returns all that is served.
func (s *Site) Patterns() []string { return s.patterns }

// Outward is outward.
var Outward = outward

// HoursWords is hoursWords.
var HoursWords = hoursWords

// Shelf is a shelf.
type Shelf struct{ of shelf[string] }

// NewShelf returns one for as much.
func NewShelf(most int) *Shelf { return &Shelf{shelf[string]{most: most}} }

// Put puts something on it.
func (s *Shelf) Put(key string, size int) { s.of.put(key, key, size) }

// Has reports whether something is on it.
func (s *Shelf) Has(key string) bool {
	what, ok := s.of.get(key)
	return ok && what == key
}
