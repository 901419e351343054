package told

import "time"

// Bounds of what is tried for one message.
const (
	// mostRounds bounds how many callers try, each of whom may try several times.
	mostRounds = 12
	// firstPause is between the first two rounds; it doubles with each further one, up to lastPause.
	firstPause = time.Minute
	lastPause  = time.Hour
	// stubborn is after how many rounds of one message another one is tried behind it: it may be the message that is not taken, and not the channel that is down.
	stubborn = 3
)

// rounds counts how often somebody set out to send it when it was its turn.
func (k *Kept) rounds() int {
	n := 0
	for _, l := range k.Lines {
		if l.What == Sending && !l.Early {
			n++
		}
	}
	return n
}

// due reports whether the message is to be sent now, and otherwise when it may be; zero is never. Early does not wait for the next
// round, unless the server asked for that.
func (k *Kept) due(now time.Time, early bool) (bool, time.Time) {
	last := k.Last()
	if last.Settled() {
		return false, time.Time{}
	}
	at := k.Draft.NotBefore
	if last.Next.After(at) && (last.Asked || !early) {
		at = last.Next
	}
	if at.After(now) {
		return false, at
	}
	return true, time.Time{}
}

// calls reports whether the message is a reason to try its channel now: it is its turn, and if nobody has tried it yet, that is so since the channel did not take another one.
// What waits behind that has no turn of its own.
func (k *Kept) calls(now, failed time.Time) bool {
	due, _ := k.due(now, false)
	return due && (len(k.Lines) > 0 || failed.After(now) || !k.since().Before(failed))
}

// pause returns how long to wait after so many rounds before this one.
func pause(rounds int) time.Duration {
	d := firstPause
	for range rounds {
		if d *= 2; d >= lastPause {
			return lastPause
		}
	}
	return d
}
