package report

import (
	"fmt"
	"iter"
	"strings"

	"gameday/loadgen"
)

// complaint begins what the generator says of a request that came to nothing, be it one that could not even be sent.
const complaint = "request failed"

// unsent returns, by stream, what the generator said of requests that failed without ever being counted.
//
// While a script has made no request, its iterations stand for requests, and one that was not thrown counts as good.
// That is right for a script that calls nothing k6 counts; but one that was said to have failed a request under traffic
// meant to make some, and all that is known is that none arrived.
func (j *judge) unsent() map[string]string {
	out := map[string]string{}
	for _, name := range j.load.streams {
		if !iterationsOnly(j.load.of(name)) {
			continue
		}
		begin := j.load.had[name][0].Start
		for _, n := range j.tl.Notes {
			// What is said before the first second of traffic is the script's setup, which is not traffic.
			if n.V.Stream == name && !n.At.Before(begin) && strings.Contains(strings.ToLower(n.V.Message), complaint) {
				out[name] = j.people.scrub(strings.TrimSpace(n.V.Message))
				break
			}
		}
	}
	return out
}

// iterationsOnly reports whether the outcomes of the windows are nothing but iterations.
func iterationsOnly(ws iter.Seq[*loadgen.Window]) bool {
	var completed uint64
	for w := range ws {
		if w.Requests > 0 {
			return false
		}
		completed += w.Completed
	}
	return completed > 0
}

// uncounted makes an item unknown when it is judged by the requests of a stream that made none that was counted.
func (j *judge) uncounted(it *Item, expects ...ExpectPlan) bool {
	for _, e := range expects {
		for _, s := range e.That.SLIs() {
			if !ofRequests(s[1]) {
				continue
			}
			for _, name := range sortedKeys(j.lost) {
				if s[0] == "" || s[0] == name {
					it.unknown(fmt.Sprintf("%s made no request that was counted, although its script said %q", name, j.lost[name]))
					it.Hint = fmt.Sprintf("The requests of %s failed before they could be sent, and its iterations were counted "+
						"instead: mend the script, beginning with the address that it calls.", name)
					return true
				}
			}
		}
	}
	return false
}

// ofRequests reports whether an indicator is about requests, rather than arrivals or checks.
func ofRequests(name string) bool {
	switch name {
	case "error_ratio", "p50", "p90", "p95", "p99", "max":
		return true
	}
	return false
}
