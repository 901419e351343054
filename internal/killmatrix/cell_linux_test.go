package killmatrix

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gameday/faults"
	"gameday/faults/kinds"
)

// laboratory runs cells one after the other, and keeps what it finds out about kinds.
type laboratory struct {
	number int
	atomic map[Cell]bool     // by kind and point: the kind never comes there
	dead   map[string]string // by kind: the snapshot of a world whose target was killed without any fault
}

// experiment is one cell at work.
type experiment struct {
	Result
	lab   *laboratory
	kind  faults.Kind
	w     *world
	s     *stage
	held  bool // the guard stands at a checkpoint
	told  bool // the conductor was told to revert
	began time.Time
	// expected are the snapshots that count as spotless: as before, or as after the target's own death.
	expected []string
	renews   bool // the kernel lets go of the fault by itself
}

// allKinds are those of gameday, and those that are made to leak.
func allKinds() []faults.Kind { return append(kinds.All(), leakyKinds()...) }

// kindNamed returns the kind of a fixture, whose name is the kind's, or the kind's with more behind a space.
func kindNamed(name string) (faults.Kind, error) {
	name, _, _ = strings.Cut(name, " ")
	i := slices.IndexFunc(allKinds(), func(k faults.Kind) bool { return k.Name == name })
	if i < 0 {
		return faults.Kind{}, fmt.Errorf("there is no kind %q", name)
	}
	return allKinds()[i], nil
}

// run runs one cell and says what became of it.
func (l *laboratory) run(c Cell) Result {
	e := &experiment{Result: Result{Cell: c}, lab: l}
	if err := e.run(); err != nil {
		e.Outcome, e.Why = Broken, err.Error()
	}
	return e.Result
}

func (e *experiment) run() (err error) {
	if e.kind, err = kindNamed(e.Kind); err != nil {
		return err
	}
	fx, ok := fixtures()[e.Kind]
	if !ok {
		return fmt.Errorf("kind %s has no fixture", e.Kind)
	}
	if fx.needs != nil {
		if why := fx.needs(); why != "" {
			e.Outcome, e.Why = NotRun, why
			return nil
		}
	}
	if e.Victim == Cut {
		if why := lacksWire(); why != "" {
			e.Outcome, e.Why = NotRun, why
			return nil
		}
	}
	if e.lab.atomic[e.point()] {
		e.Outcome = Atomic
		return nil
	}
	var dead string
	if e.Victim == Target || !e.kind.Reversible {
		if dead, err = e.lab.deadSnapshot(e.Kind, fx); err != nil {
			return fmt.Errorf("a world whose target dies: %w", err)
		}
	}
	if e.w, err = e.lab.newWorld(fx, e.Victim == Reboot); e.w != nil {
		defer func() { err = errors.Join(err, e.w.close()) }()
	}
	if err != nil {
		return fmt.Errorf("making the world: %w", err)
	}
	before, err := e.w.steady()
	if err != nil {
		return err
	}
	if e.expected = []string{before}; dead != "" {
		e.expected = append(e.expected, dead)
	}
	return e.perform()
}

func (e *experiment) point() Cell { return Cell{Kind: e.Kind, Point: e.Point} }

func (l *laboratory) newWorld(fx fixture, lasting bool) (*world, error) {
	l.number++
	w, err := newWorld(l.number, lasting)
	if err != nil {
		return w, err
	}
	if err := fx.build(w); err != nil {
		return w, err
	}
	var how string
	if !until(mercy, func() bool { // the kernel may look at a new cable only once a second
		var yes bool
		yes, how = w.touched()
		return !yes
	}) {
		return w, fmt.Errorf("the effect is there before the fault: %s", how)
	}
	return w, nil
}

// deadSnapshot is what is left when the target dies and there is no fault at all.
func (l *laboratory) deadSnapshot(kind string, fx fixture) (_ string, err error) {
	if text, known := l.dead[kind]; known {
		return text, nil
	}
	w, err := l.newWorld(fx, false)
	if w != nil {
		defer func() { err = errors.Join(err, w.close()) }()
	}
	if err != nil {
		return "", err
	}
	if err := w.kill(); err != nil {
		return "", err
	}
	text, err := w.steady()
	l.dead[kind] = text
	return text, err
}

// steady is the snapshot when it has not changed for a while.
func (w *world) steady() (string, error) {
	var last string
	var err error
	same := 0
	if !until(patience, func() bool {
		var now string
		now, err = w.snapshot(nil)
		if err != nil || now != last {
			last, same = now, 0
			return false
		}
		same++
		return same >= 5
	}) {
		return "", fmt.Errorf("the world does not come to rest: %w", err)
	}
	return last, nil
}

// perform brings the injection to the cell's point, strikes, and judges.
func (e *experiment) perform() error {
	config := e.kind.New()
	err := json.Unmarshal([]byte(e.w.config), config)
	if err != nil {
		return fmt.Errorf("the fixture's config: %w", err)
	}
	e.kind = e.kind.For(config)
	i, err := config.Bind(e.w.place)
	if err != nil {
		return fmt.Errorf("the fixture's config: %w", err)
	}
	_, e.renews = i.(faults.Renewer)
	e.renews = e.renews && !e.w.stands
	if e.s, err = e.w.perform(e.kind.Name, e.Victim == Cut); e.s != nil {
		defer e.s.close()
	}
	if err != nil {
		return err
	}
	reached, err := e.advance()
	if err != nil {
		return err
	}
	if !reached {
		e.lab.atomic[e.point()] = true
		e.Outcome = Atomic
		return nil
	}
	touched, how := e.w.touched()
	if e.Point == faults.Stands && !touched {
		return fmt.Errorf("the fault stands, and the kernel shows no effect: %s", how)
	}
	if e.Victim == Reboot {
		return e.awaitReboot(touched)
	}
	if err := e.s.strike(e.Victim); err != nil {
		return fmt.Errorf("striking %s: %w", e.Victim, err)
	}
	e.release()
	return e.judge(touched)
}

// advance lets the injection go on until it is at the point. It returns false when the kind never comes there.
func (e *experiment) advance() (bool, error) {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	order := faults.Checkpoints()
	for {
		select {
		case at, more := <-e.s.reached:
			if !more {
				return false, fmt.Errorf("the guard ended early: %s", e.s.err)
			}
			if at == e.Point && at != faults.Stands {
				e.held = true
				return true, nil
			}
			past := slices.Index(order, at) > slices.Index(order, e.Point)
			e.s.goOn()
			if past && e.Point != faults.Stands {
				return false, nil
			}
		case line, more := <-e.s.said:
			if !more {
				return false, fmt.Errorf("the conductor ended early: %s", e.s.err)
			}
			if reached, over, err := e.obey(line); over || err != nil {
				return reached, err
			}
		case <-limit.C:
			return false, errors.New("the injection does not come to its point")
		}
	}
}

// obey reacts to what the conductor says on the way to the point. Over says that the way ends here.
func (e *experiment) obey(line string) (reached, over bool, err error) {
	switch word := firstWord(line); {
	case word == saidInjected && e.Point == faults.Stands:
		return true, true, nil
	case word == saidInjected && e.kind.Reversible && (e.Point == faults.MidRevert || e.Point == faults.BeforeClose):
		e.told = true
		e.s.tell(tellRevert)
		return false, false, nil
	case word == saidInjected || word == saidReverted:
		return false, true, nil
	}
	return false, true, fmt.Errorf("the conductor said %s", line)
}

func firstWord(line string) string {
	for i := range len(line) {
		if line[i] == ' ' {
			return line[:i]
		}
	}
	return line
}

// release starts the clock, and lets the guard go on, if it lives, past all other checkpoints.
func (e *experiment) release() {
	e.began = time.Now()
	if e.held {
		e.s.goOn()
	}
	go func() {
		for range e.s.reached {
			e.s.goOn()
		}
	}()
}

// entryFile returns what is in the ledger's file of the injection, or nothing.
func (e *experiment) entryFile() ([]byte, string) {
	path := filepath.Join(e.w.ledgerDir(), e.s.id+".json")
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, path
	}
	return data, path
}
