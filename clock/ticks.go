package clock

import "time"

// tickJitter is how much earlier than a second after the last a tick may come.
const tickJitter = 100 * time.Millisecond

// Lasted reports whether what ticks of a second have seen for so long, from the first of them to the last, has lasted for as long as is wanted: what has held
// at the ticks of its whole time is not made to wait for another one because the last came a moment early.
func Lasted(seen, wanted time.Duration) bool {
	return seen >= wanted || seen > 0 && seen+tickJitter >= wanted
}
