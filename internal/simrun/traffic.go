package simrun

import (
	"math"
	"math/rand/v2"
	"time"

	"gameday/loadgen"
	"gameday/report"
)

// settle is how long after its end a second arrives, and jitter by how much more.
const (
	settle = 250 * time.Millisecond
	jitter = 50 * time.Millisecond
)

// sender makes the windows of one stream.
type sender struct {
	Stream
	story *story
	random
	owed float64 // what the schedule has owed so far
}

// random draws what traffic is made of.
type random struct{ *rand.Rand }

func newSender(s *story, stream Stream, number uint64) *sender {
	return &sender{Stream: stream, story: s, random: random{rand.New(rand.NewPCG(s.run.Seed, number))}}
}

// lognormal draws a duration around a median.
func (r random) lognormal(median time.Duration, sigma float64) time.Duration {
	return time.Duration(float64(median) * math.Exp(sigma*r.NormFloat64()))
}

// second makes the window of one second, and when it arrives.
func (s *sender) second(number int) event {
	start := s.Offset + time.Duration(number)*time.Second
	w := &loadgen.Window{Stream: s.Name, Start: began.Add(start), Multiple: s.story.multiple(start)}
	before := uint64(s.owed)
	s.owed += s.Rate * w.Multiple * daylight(start)
	w.Due = uint64(s.owed) - before
	ill := s.story.illness(start)
	w.Dropped = uint64(float64(w.Due) * ill * 0.02)
	busy := time.Duration(0)
	for range w.Due - w.Dropped {
		busy += s.request(w, ill)
	}
	w.Completed, w.Requests = w.Started, w.OK.Count+w.Failed.Count
	w.ChecksPassed, w.ChecksFailed = 2*w.OK.Count, w.Failed.Count
	g := &w.Generator
	g.CPU = time.Duration(w.Started)*320*time.Microsecond + s.lognormal(4*time.Millisecond, 0.3)
	g.RunQueue = s.lognormal(3*time.Millisecond, 0.6)
	g.GCPause = s.lognormal(180*time.Microsecond, 0.4)
	g.VUs = min(s.MaxVUs, int(busy/time.Second)+s.IntN(3)) // as many as wait at a time, by Little's law
	g.MaxVUs = s.MaxVUs
	g.Memory = 90<<20 + s.Uint64N(4<<20)
	arrives := start + time.Second + settle + time.Duration(s.Int64N(int64(jitter)))
	return event{arrives, report.WindowClosed, w}
}

// request sends one request and returns how long it kept a user busy. ill is from 0, all well, to 1.
func (s *sender) request(w *loadgen.Window, ill float64) time.Duration {
	delay := s.lognormal(110*time.Microsecond, 0.8)
	w.Begin(delay)
	if s.Float64() < ill*s.Failing {
		service := s.lognormal(time.Second, 0.2)
		w.Failed.Record(delay+service, service)
		return service
	}
	service := s.lognormal(s.Median, 0.45+0.5*ill)
	if s.Float64() < 0.002 {
		service *= 8 // now and then something else is in the way
	}
	w.OK.Record(delay+service, service)
	return service
}

// daylight is how much of its rate traffic has at a time of day: least in the night, most in the afternoon.
func daylight(since time.Duration) float64 {
	return 1 - 0.35*math.Cos(2*math.Pi*(since.Hours()+3)/24)
}
