package told

import (
	"cmp"
	"time"
)

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

// order compares messages by when they are to be told.
func (k *Kept) order(b *Kept) int {
	return cmp.Or(k.since().Compare(b.since()), cmp.Compare(k.Draft.Key, b.Draft.Key))
}

// calls reports whether the message is a reason to try its channel now, and otherwise when it will be one for the sake of what the channel did not take: it is its turn, and
// none of those that failed holds it back.
func (k *Kept) calls(now time.Time, failed []*Kept) (bool, time.Time) {
	if due, _ := k.due(now, false); !due {
		return false, time.Time{}
	}
	var at time.Time
	for _, f := range failed {
		if ends := holds(f.Last()); f.before(k) && !f.Last().At.After(now) && ends.After(now) && ends.After(at) {
			at = ends
		}
	}
	return at.IsZero(), at
}

// before reports whether another message waits behind this one, which failed: one that nobody has tried waits behind all that failed since it is to be told, and one that
// failed itself behind what would be tried first again with it.
func (k *Kept) before(b *Kept) bool {
	if len(b.Lines) == 0 {
		return b.since().Before(k.Last().At)
	}
	return !k.Last().Asked && k.order(b) < 0
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

// after returns when the next round may begin of a message that was not taken, and of which the server asked for a wait. A try that was not its turn puts that off by nothing
// else: news that come more often than its pauses would keep it from ever having one.
func (k *Kept) after(now time.Time, asked time.Duration, turn bool) time.Time {
	if turn {
		return now.Add(max(asked, pause(k.rounds())))
	}
	if at := now.Add(asked); at.After(k.Last().Next) {
		return at
	}
	return k.Last().Next
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
