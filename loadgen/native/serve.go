package native

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
)

// gcPercent lets the child's heap, which is small, grow to five times what is in use before it is collected.
const gcPercent = 400

// serve is the life of a child: it reads its orders, follows them and the parent's commands, and says why it ended.
func serve(voice *child.Voice) error {
	debug.SetGCPercent(gcPercent)
	var o orders
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return fmt.Errorf("reading the generator's orders: %w", err)
	}
	spec := o.Spec
	fail := func(err error) error {
		voice.Send(child.Event{End: &child.Ending{Reason: child.EndFailed, Error: err.Error()}})
		return nil
	}
	program, err := compile(spec)
	if err != nil {
		return fail(err)
	}
	wire, err := newWire(spec.Wire)
	if err != nil {
		return fail(err)
	}
	tally := child.NewTally()
	c, err := newCrew(program, wire, sizeOf(spec), tally)
	if err != nil {
		return fail(err)
	}
	c.segment = spec.Segment
	c.say, c.fresh = voice.Log, voice.Fresh
	end := &child.Ending{}
	var once sync.Once
	helm, gun := &child.Helm{}, child.NewGun(o.Held)
	over := make(chan struct{})
	halt := func(why child.EndReason) {
		once.Do(func() {
			end.Reason = why
			helm.Stop()
			close(over)
		})
	}
	go voice.Hear(func(m child.Command) {
		switch {
		case m.Begin != nil:
			gun.Fire(*m.Begin)
		case m.Stop:
			halt(child.EndStopped)
		default:
			helm.Turn(m)
		}
	}, 1, func() { halt(child.EndOrphan) })
	start, ok := gun.Wait(func() { voice.Send(child.Event{Prepared: true}) }, over)
	if !ok {
		voice.Send(child.Event{End: end})
		return nil
	}
	schedule := loadgen.NewSchedule(spec.Arrivals(role, 1), start)
	helm.Enlist(schedule)
	time.Sleep(time.Until(start))
	tally.Open(start)
	voice.Send(child.Event{Ready: &start})
	windows := c.windows(voice, schedule)
	windows.Start()
	c.run(schedule, spec.Grace)
	tally.Close(time.Now())
	windows.Stop()
	voice.Send(child.Event{End: end})
	return nil
}

// windows hands out the seconds of a crew.
func (c *crew) windows(voice *child.Voice, schedule *loadgen.Schedule) *child.Windows {
	w := child.NewWindows(c.tally)
	due := uint64(0)
	w.Fill = func(w *loadgen.Window, over time.Time) {
		now := schedule.Due(over)
		w.Multiple = schedule.Multiple(over.Add(-1))
		w.Due, due = now-min(now, due), max(now, due)
		w.Generator.VUs, w.Generator.MaxVUs = int(c.busy.Load()), c.size.MaxVUs
	}
	w.Send = func(w *loadgen.Window) { voice.Send(child.Event{Window: w}) }
	return w
}
