package follow

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"gameday/clock"
	"gameday/responders"
	"gameday/sources/web"
)

const (
	// skewWorthSaying is the clock offset from which it is reported, skewTooLarge the one that blocks; both beyond doubt.
	skewWorthSaying = 2 * time.Second
	skewTooLarge    = 60 * time.Second
	// Unmeasured is how well a clock is known that nobody could compare.
	Unmeasured = 2 * time.Second
)

// Asking is one conversation with a system: what was asked for together, and what the answers tell of its clock. It is for one
// goroutine.
type Asking struct {
	API    *web.Client
	probes []clock.Probe
}

// Get asks for one JSON value.
func (a *Asking) Get(ctx context.Context, path string, query url.Values, into any) error {
	reply, err := a.API.JSON(ctx, path, query, into)
	if stamp, bad := http.ParseTime(reply.Header.Get("Date")); bad == nil {
		a.probes = append(a.probes, clock.Probe{Sent: reply.Sent, Stamp: stamp, Received: reply.Received})
	}
	return err
}

// Offset is how far the system's clock is from ours, by the Date headers of all answers so far, which are cut to the second; told
// is false when none had any.
func (a *Asking) Offset() (o clock.Offset, told bool) {
	if o, told = clock.EstimateOffset(a.probes, time.Second); told {
		return o, true
	}
	return clock.Offset{Err: Unmeasured}, false
}

// Skew reports a clock that is too far from ours, or not told. name is the source's.
func Skew(name string, o clock.Offset, told bool) []responders.Finding {
	by := o.Ahead.Abs()
	where := "ahead of"
	if o.Ahead < 0 {
		where = "behind"
	}
	grain := 100 * time.Millisecond
	if by > skewTooLarge {
		grain = time.Second
	}
	f := responders.Finding{Summary: fmt.Sprintf("the clock of %s is %s off: it is %s this machine's", name, by.Round(grain), where)}
	switch {
	case !told:
		return []responders.Finding{{Summary: "the clock of " + name + " cannot be compared",
			Detail: fmt.Sprintf("Its answers have no Date header; does a proxy remove it? Its times are taken to be right to %s.", Unmeasured)}}
	case by-o.Err > skewTooLarge:
		f.Blocks, f.Detail = true, "So large an offset is more likely a fault than a difference: one of the two clocks is wrong. Is this machine's set by NTP?"
	case by-o.Err > skewWorthSaying:
		f.Detail = "Its times are corrected by that."
	default:
		return nil
	}
	return []responders.Finding{f}
}
