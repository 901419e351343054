package loadgen

import "fmt"

// Segment is the part of a stream that one of several generators sends: the Index-th, from 0, of Of equal ones. The zero
// value is all of it.
type Segment struct {
	Index int `json:"index"`
	Of    int `json:"of"`
}

// Whole reports whether the segment is all of the stream.
func (s Segment) Whole() bool { return s.Of <= 1 }

func (s Segment) of() uint64 { return uint64(max(1, s.Of)) }

// Share returns the segment's part of the stream, at most 1.
func (s Segment) Share() float64 { return 1 / float64(s.of()) }

// Nth returns the number in the whole stream of the segment's k-th arrival, or iteration, both from 1. Segments are dealt
// them in turn, so that together they have each number once, and none has a burst.
func (s Segment) Nth(k uint64) uint64 { return (k-1)*s.of() + uint64(s.Index) + 1 }

// Count returns how many of the stream's first n are the segment's.
func (s Segment) Count(n uint64) uint64 { return (n + s.of() - 1 - uint64(s.Index)) / s.of() }

// Part returns the segment's part of a number of things that cannot be split; all segments together have n. Each has one at least.
func (s Segment) Part(n int) int { return max(1, int(s.Count(uint64(max(0, n))))) }

// String returns the segment as k6 writes it: "1/3:2/3".
func (s Segment) String() string { return fmt.Sprintf("%s:%s", s.edge(s.Index), s.edge(s.Index+1)) }

// Edges returns where all segments of the stream begin and end, as k6 writes it: "0,1/3,2/3,1".
func (s Segment) Edges() string {
	out := "0"
	for i := 1; i <= int(s.of()); i++ {
		out += "," + s.edge(i)
	}
	return out
}

func (s Segment) edge(i int) string {
	switch i {
	case 0:
		return "0"
	case int(s.of()):
		return "1"
	}
	return fmt.Sprintf("%d/%d", i, s.Of)
}
