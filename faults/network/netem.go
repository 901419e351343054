package network

import "time"

// netem holds what one netem qdisc does to its packets. The zero value does nothing.
type netem struct {
	delay, jitter    time.Duration
	delayCorrelation float64 // percent, as all of these are
	distribution     []int16 // nil: uniform
	loss             float64
	lossCorrelation  float64
	duplicate        float64
	dupCorrelation   float64
	corrupt          float64
	corCorrelation   float64
	reorder          float64
	reoCorrelation   float64
	gap              uint32
}

// netemLimit is how many packets a netem qdisc holds at most; more are dropped. They are those of a delay: 20 000 let a
// flow of 200 000 packets a second be delayed by 100 ms.
const netemLimit = 20000

// tickLength is the unit of times in the interface of traffic control: 64 ns (PSCHED_SHIFT).
const tickLength = 64 * time.Nanosecond

// share returns a percentage as the kernel takes a probability: as a part of 2³²-1.
func share(percent float64) uint32 {
	const whole = 1<<32 - 1
	return uint32(min(max(percent, 0), 100)/100*whole + 0.5)
}
