package web

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
	"time"

	"gameday/alarms"
	"gameday/clock"
	"gameday/loadgen"
	"gameday/loadgen/sli"
	"gameday/report"
	"gameday/responders"
	"gameday/room"
)

// shapes are the kinds of event, each with an empty value of the type of its data. TestEveryKindHasAShape holds it to be whole.
var shapes = map[report.EventKind]any{
	report.RunStarted: report.Started{}, report.PreflightFound: report.Found{}, report.PhaseStarted: report.PhaseChange{},
	report.PhaseEnded: report.PhaseChange{}, report.WindowClosed: loadgen.Window{}, report.ReadingTaken: report.Reading{},
	report.ExpectSeen: report.ExpectChange{}, report.Injecting: report.Injection{}, report.Injected: report.Injection{},
	report.InjectFailed: report.Injection{}, report.Lapsed: report.Injection{}, report.Reverting: report.Injection{},
	report.Reverted: report.Injection{}, report.RevertFailed: report.Injection{}, report.Recovered: report.Comeback{},
	report.PodsReady: report.Readiness{}, report.AlarmSeen: report.AlarmSighting{}, report.AlarmHistory: report.AlarmRecord{},
	report.AlarmBefore: report.AlarmPast{}, report.ResponseSeen: responders.Event{}, report.ResponseRecord: report.ResponseAccount{},
	report.OnCallSeen: report.OnCallRecord{}, report.LinkAsked: report.LinkAnswer{}, report.RulesStudied: report.RuleRecord{},
	report.Marked: report.Mark{}, report.AbortSeen: report.Abort{}, report.StopAsked: report.Stop{}, report.GeneratorSaid: report.GeneratorNote{},
	report.CapacityStepped: report.CapacityStep{}, report.CapacityFound: report.CapacityAnswer{}, report.Overrode: report.Override{},
	report.Noted: report.Note{}, report.RunEnded: report.Ended{},
	report.HoldBegan: report.Hold{}, report.HoldEnded: report.Release{}, report.WaitSkipped: report.Skip{}, report.InjectAsked: report.InjectNow{},
	"of_a_later_version": report.Injection{},
}

// TestEveryKindHasAShape looks into the source of package report, so that nobody adds a kind of event that these tests do not try.
func TestEveryKindHasAShape(t *testing.T) {
	known := map[string]bool{}
	for kind := range shapes {
		known[string(kind)] = true
	}
	found := 0
	files, err := filepath.Glob("../../report/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != "EventKind" || len(spec.Values) != 1 {
				return true
			}
			kind, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil || !known[kind] {
				t.Errorf("the kind of event %s is not tried: add it to shapes", spec.Names[0].Name)
			}
			found++
			return true
		})
	}
	if found < 30 {
		t.Errorf("found %d kinds of event, which cannot be all", found)
	}
}

// filler fills values of any type: every text with a word that is found nowhere else, every number and time with its own.
type filler struct {
	salt  string
	words []string
	n     int64
}

func (f *filler) word(path string) string {
	f.n++
	w := fmt.Sprintf("zq%sx%dqz", f.salt, f.n)
	f.words = append(f.words, w)
	return w
}

func (f *filler) number() int64 {
	f.n++
	return f.n*1_000_003 + int64(len(f.salt))*7_777_777_777
}

var times = time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)

func (f *filler) fill(v reflect.Value, depth int) {
	if depth > 12 || !v.CanSet() {
		return
	}
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(times.Add(time.Duration(f.number()))))
		return
	case clock.Outcome:
		v.Set(reflect.ValueOf(clock.Outcome(f.number() % 3)))
		return
	case *sli.Expr:
		limit := float64(f.number())
		v.Set(reflect.ValueOf(&sli.Expr{Op: "<", Args: []*sli.Expr{{SLI: "p95"}, {Const: &limit}}}))
		return
	case *loadgen.Histogram, json.RawMessage:
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(f.word(v.Type().String()))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(f.number())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(f.number()))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(f.number()) / 7)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			f.fill(v.Index(i), depth+1)
		}
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(k, depth+1)
		f.fill(e, depth+1)
		v.SetMapIndex(k, e)
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i), depth+1)
		}
	}
}

func filled[T any](f *filler) T {
	var v T
	f.fill(reflect.ValueOf(&v).Elem(), 0)
	return v
}

// step is one event as a story tells it: what everybody may know of it is in it, and the same whoever fills the rest.
type step struct {
	kind report.EventKind
	at   time.Duration
	set  func(any) // sets what is allowed in a pointer to the event's data
}

// fataler is a test, or a property's.
type fataler interface {
	Helper()
	Fatal(...any)
}

// began is when every run of these tests begins.
var began = time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)

// write writes a record of a blind run with everything in it that can be, but what the steps say.
func write(t fataler, dir string, f *filler, steps []step) {
	t.Helper()
	plan := filled[report.Plan](f)
	plan.Blind = true
	limit := 0.02 + 0.003*float64(len(f.salt)) // where the picture would draw it
	plan.Expects = append(plan.Expects, report.ExpectPlan{ID: f.word("id"), Part: report.PartSteady,
		That: &sli.Expr{Op: "<", Args: []*sli.Expr{{SLI: "p95"}, {Const: &limit}}}})
	raw, err := json.Marshal(plan)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, report.PlanFile), raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	var lines []byte
	for i, s := range steps {
		raw := data(t, f, s)
		line, err := json.Marshal(report.Event{Seq: uint64(i + 1), At: began.Add(s.at), T: s.at, Kind: s.kind, Data: raw})
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, line...), '\n')
	}
	if err := os.WriteFile(filepath.Join(dir, report.EventsFile), lines, 0o600); err != nil {
		t.Fatal(err)
	}
}

// data returns a step's data, as it is written.
func data(t fataler, f *filler, s step) json.RawMessage {
	t.Helper()
	v := reflect.New(reflect.TypeOf(shapes[s.kind]))
	f.fill(v.Elem(), 0)
	if s.set != nil {
		s.set(v.Interface())
	}
	raw, err := json.Marshal(v.Interface())
	if err != nil {
		t.Fatal(s.kind, err)
	}
	return raw
}

// second is a window of traffic: its counts are everybody's to see, and no name in it is.
func second(at time.Duration) step {
	return step{report.WindowClosed, at, func(v any) {
		w := v.(*loadgen.Window)
		h := &loadgen.Histogram{}
		for i := range 10 {
			h.Record(time.Duration(20+i) * time.Millisecond)
		}
		w.Start, w.Due, w.Started, w.Requests = began.Add(at), 12, 11, 11
		w.OK = loadgen.Outcome{Count: 10, Response: h}
		w.Failed = loadgen.Outcome{Count: 1}
		w.Missing, w.Of = nil, 0
	}}
}

func phase(at time.Duration, p report.Phase) step {
	return step{report.PhaseStarted, at, func(v any) { v.(*report.PhaseChange).Phase = p }}
}

// alarm is a sighting. Its name is everybody's once it has paged.
func alarm(at time.Duration, s alarms.State) step {
	return step{report.AlarmSeen, at, func(v any) { v.(*report.AlarmSighting).State = s }}
}

func paged(at time.Duration, name string) step {
	return step{report.AlarmSeen, at, func(v any) {
		a := v.(*report.AlarmSighting)
		a.State, a.Labels["alertname"] = alarms.StatePaged, name
	}}
}

// response is something about page 2, by ann.
func response(at time.Duration, k responders.Kind, channel, text string) step {
	return step{report.ResponseSeen, at, func(v any) {
		e := v.(*responders.Event)
		e.Kind, e.Page, e.Level, e.Actor = k, "2", 1, responders.Actor{ID: "ann", Kind: responders.Human}
		e.Targets = []string{"bob"}
		e.Labels["alertname"] = "PaymentsDown"
		if channel != "" {
			e.Channel, e.Text, e.Source = channel, text, "desk.ops"
		}
	}}
}

// elsewhere is a note that was written in a room of another system, which is no room of gameday's.
func elsewhere(at time.Duration) step {
	return step{report.ResponseSeen, at, func(v any) {
		e := v.(*responders.Event)
		e.Kind, e.Page, e.Actor, e.Channel = responders.Noted, "", responders.Actor{ID: "ann", Kind: responders.Human}, room.Channel
	}}
}

// attachedBy is evidence. What a facilitator attached is filled with words.
func attachedBy(at time.Duration, role room.Role, file *report.Attachment) step {
	return step{report.Marked, at, func(v any) {
		m := v.(*report.Mark)
		m.Name, m.By = report.EvidenceMark, room.Signed("bob", role)
		if file != nil {
			m.Text, m.File = "the queue", file
		}
	}}
}

func machine(at time.Duration, k responders.Kind) step {
	return step{report.ResponseSeen, at, func(v any) {
		e := v.(*responders.Event)
		e.Kind, e.Page, e.Level, e.Actor.Kind = k, "2", 1, responders.Bot
		e.Targets = nil
		delete(e.Labels, "alertname")
	}}
}

func signed(at time.Duration, by, name, text string) step {
	return step{report.Marked, at, func(v any) { *v.(*report.Mark) = report.Mark{Name: name, By: by, Text: text} }}
}
