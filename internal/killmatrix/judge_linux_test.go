package killmatrix

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"gameday/faults"
	"gameday/faults/guard"
	"gameday/internal/vm"
)

// Waits of the harness that are no bounds.
const (
	mercy = 3 * time.Second // beyond a bound, to tell what is late from what leaks
	brief = time.Second     // for what may end by itself
)

// slack is how much longer bounds are on a processor that is emulated.
func slack() time.Duration {
	if os.Getenv(vm.InsideVariable) != "" {
		return 3
	}
	return 1
}

func guardBound() time.Duration { return GuardBound * slack() }
func leaseBound() time.Duration { return LeaseBound * slack() }

// hungBound is leaseBound, which counts from the proof: before it, nobody could renew.
func (e *experiment) hungBound() time.Duration {
	order := faults.Checkpoints()
	if slices.Index(order, e.Point) < slices.Index(order, faults.Stands) {
		return leaseBound() + guard.DefaultEffectTimeout
	}
	return leaseBound()
}

// mustStand asserts that a fault which is renewed stands for longer than a lease.
func (e *experiment) mustStand() {
	if !e.kind.Reversible || e.kind.Name == "node_restart" { // they are over by themselves
		return
	}
	if until(Lease*3/2, func() bool { yes, _ := e.w.touched(); return !yes }) {
		e.settle(Late, "it was over before its time, although it was renewed")
	}
}

// judge watches what becomes of the fault, ends what is left of conductor and guard, has gameday revert mend what they
// left, and compares.
func (e *experiment) judge(touched bool) error {
	var err error
	switch e.Victim {
	case Conductor:
		e.watchAlone(guardBound(), true)
	case Hung, Cut:
		e.watchAlone(e.hungBound(), false)
	case Target, DiskFull, ReadOnly, ClockBack, ClockOn:
		err = e.watchTold()
	default:
		e.watchOrphan(touched)
	}
	if err != nil {
		return err
	}
	if err := e.finish(); err != nil {
		return err
	}
	return e.mend()
}

// settle keeps the first bad outcome.
func (e *experiment) settle(o Outcome, why string) {
	if e.Outcome == "" || (o.Bad() && !e.Outcome.Bad()) {
		e.Outcome = o
		if o.Bad() {
			e.Why = why
		}
	}
}

// clean waits until the effect is gone and notes when.
func (e *experiment) clean(limit time.Duration) bool {
	ok := until(limit, func() bool {
		if yes, _ := e.w.touched(); !yes {
			return true
		}
		return e.likeDead()
	})
	if ok && e.Clean == 0 {
		e.Clean = time.Since(e.began)
	}
	return ok
}

// likeDead reports whether all is as it is when the target dies without any fault: what looks like the effect is our
// own strike's then.
func (e *experiment) likeDead() bool {
	if e.Victim != Target {
		return false
	}
	now, err := e.w.snapshot(e.s.ours())
	return err == nil && now == e.expected[1]
}

// spotless reports whether all is as expected; ours are processes that may still run.
func (e *experiment) spotless(ours map[int]bool) (bool, string) {
	now, err := e.w.snapshot(ours)
	if err != nil {
		return false, err.Error()
	}
	for _, want := range e.expected {
		if now == want {
			return true, ""
		}
	}
	return false, difference(e.expected[len(e.expected)-1], now)
}

// watchAlone expects the guard to undo the fault without being told, within the bound. With ends it must also have
// ended by then.
func (e *experiment) watchAlone(bound time.Duration, ends bool) {
	if e.kind.Reversible && !e.clean(bound+mercy) {
		e.settle(Leaks, "the guard lives, and the effect stands")
		return
	}
	why := ""
	ok := until(max(0, bound+mercy-time.Since(e.began)), func() bool {
		if data, _ := e.entryFile(); data != nil {
			why = "the ledger still has the entry"
			return false
		}
		if ends && !e.s.ended() {
			why = "the guard still runs"
			return false
		}
		var clean bool
		clean, why = e.spotless(e.s.ours())
		return clean
	})
	took := time.Since(e.began)
	switch {
	case !ok:
		e.settle(Leaks, "the guard left something: "+why)
	case took > bound:
		e.settle(Late, fmt.Sprintf("clean after %v, spotless after %v; the bound is %v", e.Clean, took, bound))
	default:
		if e.Spotless = took; e.Point != faults.Stands { // the effect may have come and gone between two looks
			e.Clean = took
		}
		e.settleAlive()
	}
}

// settleAlive is the outcome when the guard did its work.
func (e *experiment) settleAlive() {
	if e.kind.Reversible {
		e.settle(ByGuard, "")
		return
	}
	if yes, _ := e.w.touched(); yes {
		e.settle(ByNature, "")
	} else {
		e.settle(Untouched, "")
	}
}

// watchTold has the conductor revert, whatever became of the injection, and expects the effect to be gone by then.
func (e *experiment) watchTold() error {
	if e.Point == faults.Stands {
		if e.Victim == ClockBack || e.Victim == ClockOn {
			e.mustStand()
		}
		e.orderRevert()
	}
	for {
		word, rest, err := e.s.hear(patience)
		if err != nil {
			return fmt.Errorf("waiting for the conductor after the strike: %w", err)
		}
		switch word {
		case "":
			return fmt.Errorf("the conductor ended: %s", e.s.err)
		case saidRefused:
			e.began = time.Now()
			return e.refused(rest)
		case saidInjected:
			if e.kind.Reversible && !e.told {
				e.orderRevert()
				continue
			}
		}
		break
	}
	if e.kind.Reversible && !e.clean(guardBound()+mercy) {
		e.settle(Leaks, "the fault was reverted when told to, and the effect stands")
		return nil
	}
	if e.Clean > guardBound() {
		e.settle(Late, fmt.Sprintf("clean %v after it was told; the bound is %v", e.Clean, guardBound()))
	}
	e.settleAlive()
	return nil
}

func (e *experiment) orderRevert() {
	e.told = true
	e.began = time.Now()
	e.s.tell(tellRevert)
}

// refused judges an injection that failed after the strike: nothing may stand of it.
func (e *experiment) refused(why string) error {
	yes, how := e.w.touched()
	switch {
	case !e.kind.Reversible && yes:
		e.settle(ByNature, "")
	case yes && !e.clean(guardBound()):
		e.settle(Leaks, fmt.Sprintf("the injection was refused (%s), and the effect stands: %s", why, how))
	default:
		e.settle(Refused, "")
	}
	return nil
}

// watchOrphan is what nobody of ours sees: the guard is dead.
func (e *experiment) watchOrphan(touched bool) {
	switch {
	case !touched && (e.Point == faults.MidRevert || e.Point == faults.BeforeClose):
		e.settle(Gone, "")
	case !touched:
		e.settle(Untouched, "")
	case !e.kind.Reversible:
		e.settle(ByNature, "")
	case e.renews && !e.clean(leaseBound()+mercy):
		if e.kind.Needs == faults.NeedNetwork {
			e.settle(Leaks, "the lease is over, and the kernel has not let go")
		} else {
			e.settle(ByRevert, "")
		}
	case e.renews:
		if e.Clean > leaseBound() {
			e.settle(Late, fmt.Sprintf("the kernel let go after %v; the bound is %v", e.Clean, leaseBound()))
		}
		if e.Clean < Lease/2 { // it did not wait for the kernel
			e.settle(ByItself, "")
		} else {
			e.settle(ByKernel, "")
		}
	case e.clean(brief):
		e.settle(ByItself, "")
	default:
		e.settle(ByRevert, "")
	}
}

// finish ends conductor and guard. From here on, nobody of ours is alive.
func (e *experiment) finish() error {
	e.s.tell(tellClose)
	if e.Victim == Hung || e.Victim == Cut {
		if err := e.s.killAll(append(e.s.wire, e.s.pids.conductor)...); err != nil {
			return err
		}
	}
	if !until(patience, e.s.ended) {
		return errors.New("conductor and guard do not end")
	}
	return e.w.repair(e.Victim)
}

// mend has a fresh process revert what the ledger names, if it names anything, and asserts that all is as expected
// afterwards. It then puts the entry back and reverts it again: a revert of what is reverted changes nothing.
func (e *experiment) mend() error {
	entry, err := e.s.orphan()
	if err != nil {
		e.settle(Leaks, err.Error())
		return nil
	}
	e.Entry = entry
	if !entry {
		e.compare("nothing is in the ledger, and something is left")
		return nil
	}
	data, path := e.entryFile()
	for round := range 2 {
		results, err := e.w.revert()
		if err != nil {
			return err
		}
		if len(results) != 1 || !results[0].Reverted || results[0].Err != "" {
			e.settle(Leaks, fmt.Sprintf("revert %d: %+v", round+1, results))
			return nil
		}
		if left, _ := e.entryFile(); left != nil {
			e.settle(Leaks, fmt.Sprintf("revert %d did not close the entry", round+1))
			return nil
		}
		e.compare(fmt.Sprintf("after revert %d", round+1))
		if round == 0 {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// unplugged reports whether the kernel has taken away the cable of a target that died, which it does when it comes to it: that is the strike, and not
// what a fault leaves.
func (e *experiment) unplugged() bool {
	if strings.Contains(e.expected[len(e.expected)-1], "wire-b") { // its death takes none away
		return true
	}
	lines, err := e.w.networks()
	return err == nil && !strings.Contains(strings.Join(lines, "\n"), "wire-b")
}

// compare asserts that the effect is gone and all is as expected, at once or very soon.
func (e *experiment) compare(when string) {
	if e.Victim == Target {
		until(patience, e.unplugged)
	}
	var why string
	if !until(brief, func() bool {
		yes, how := e.w.touched()
		if yes && e.kind.Reversible && !e.likeDead() {
			why = "the effect stands: " + how
			return false
		}
		var clean bool
		clean, why = e.spotless(nil)
		return clean
	}) {
		e.settle(Leaks, when+":\n"+why)
	}
}
