package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"gameday/responders"
)

// shapes says for each kind of event how to tell that its data has the kind's type. Windows are decoded apart, once.
var shapes = map[EventKind]func(Event) error{
	RunStarted:      shape[Started],
	PreflightFound:  shape[Found],
	PhaseStarted:    shape[PhaseChange],
	PhaseEnded:      shape[PhaseChange],
	ReadingTaken:    func(e Event) error { _, err := decodeReading(e); return err },
	ExpectSeen:      shape[ExpectChange],
	Injecting:       shape[Injection],
	Injected:        shape[Injection],
	InjectFailed:    shape[Injection],
	Lapsed:          shape[Injection],
	Reverting:       shape[Injection],
	Reverted:        shape[Injection],
	RevertFailed:    shape[Injection],
	Recovered:       shape[Comeback],
	PodsReady:       shape[Readiness],
	AlarmSeen:       shape[AlarmSighting],
	AlarmHistory:    shape[AlarmRecord],
	AlarmBefore:     shape[AlarmPast],
	ResponseSeen:    shape[responders.Event],
	ResponseRecord:  shape[ResponseAccount],
	OnCallSeen:      shape[OnCallRecord],
	LinkAsked:       shape[LinkAnswer],
	RulesStudied:    shape[RuleRecord],
	Marked:          shape[Mark],
	AbortSeen:       shape[Abort],
	StopAsked:       shape[Stop],
	HoldBegan:       shape[Hold],
	HoldEnded:       shape[Release],
	WaitSkipped:     shape[Skip],
	InjectAsked:     shape[InjectNow],
	GeneratorSaid:   shape[GeneratorNote],
	Overrode:        shape[Override],
	Noted:           shape[Note],
	CapacityStepped: shape[CapacityStep],
	CapacityFound:   shape[CapacityAnswer],
	RunEnded:        shape[Ended],
}

// kinds are the kinds that are known, by their names.
var kinds = func() map[string]EventKind {
	out := map[string]EventKind{string(WindowClosed): WindowClosed}
	for kind := range shapes {
		out[string(kind)] = kind
	}
	return out
}()

var errNoData = errors.New("the event has no data")

func dataError(err error) error { return fmt.Errorf("reading the event's data: %w", err) }

func shape[T any](e Event) error {
	_, err := decode[T](e)
	return err
}

// decode returns an event's data as the type of its kind.
func decode[T any](e Event) (T, error) {
	var v T
	if len(e.Data) == 0 {
		return v, errNoData
	}
	if err := json.Unmarshal(e.Data, &v); err != nil {
		return v, dataError(err)
	}
	return v, nil
}

// decodeReading is decode for the one kind beside windows that comes every second.
func decodeReading(e Event) (Reading, error) {
	if r, ok := writtenReading(e.Data); ok {
		return r, nil
	}
	return decode[Reading](e)
}

// writtenReading reads a known reading as this version writes it.
func writtenReading(data []byte) (r Reading, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"sli":"`))
	name, rest, _ := bytes.Cut(rest, []byte(`","known":true,"value":`))
	number, end := bytes.CutSuffix(rest, []byte(`}`))
	odd := bytes.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' })
	if !ok || !end || odd || !json.Valid(number) {
		return r, false
	}
	r.SLI, r.Known = string(name), true
	v, err := strconv.ParseFloat(string(number), 64)
	r.Value = v
	return r, err == nil
}

// seen is one event's data together with where it stands.
type seen[T any] struct {
	Event
	V T
}

// line returns the event's line in record.jsonl, from 1.
func (s seen[T]) line() int { return int(s.Seq) }

// all returns the events of the kinds, decoded, in order. Events that cannot be decoded are left out; Read lets none
// in.
func all[T any](rec *Record, kinds ...EventKind) []seen[T] {
	var out []seen[T]
	for _, e := range rec.Events {
		for _, k := range kinds {
			if e.Kind != k {
				continue
			}
			if v, err := decode[T](e); err == nil {
				out = append(out, seen[T]{e, v})
			}
		}
	}
	return out
}
