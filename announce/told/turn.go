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

// calls reports whether the message is a reason to try its channel now, and otherwise when it will be one for the sake of what the channel did not take: it is its turn,
// and if nobody has tried it yet, no failure since holds it back. What waits behind one that failed has no turn of its own as long as that holds.
func (k *Kept) calls(now time.Time, failed []Line) (bool, time.Time) {
	if due, _ := k.due(now, false); !due || len(k.Lines) > 0 {
		return due, time.Time{}
	}
	var at time.Time
	for _, l := range failed {
		if ends := holds(l); k.since().Before(l.At) && !l.At.After(now) && ends.After(now) && ends.After(at) {
			at = ends
		}
	}
	return at.IsZero(), at
}

// holds returns until when a failure holds back what waits behind it: the message's next turn, and the longest pause at most. A server that asks for longer is believed of that
// message; that its channel takes nothing for a day nobody has to believe.
func holds(failed Line) time.Time {
	if most := failed.At.Add(lastPause); most.Before(failed.Next) {
		return most
	}
	return failed.Next
}

// sooner returns the first of two instants; zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
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
