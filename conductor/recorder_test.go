package conductor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"gameday/clock"
	"gameday/report"
)

// holdRecord opens the record in a folder and takes its lock in some way, until the file is closed.
func holdRecord(t *testing.T, dir string, how int) *os.File {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, report.EventsFile))
	if err == nil {
		err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestMarksAtOnce has eight people mark something at once after a run, while somebody looks whether the record is being written: none is lost.
func TestMarksAtOnce(t *testing.T) {
	play(t, "", steadyBlock, nil, func(d *day, rec *report.Record) {
		const people = 8
		held := holdRecord(d.t, d.options.Dir, syscall.LOCK_SH)
		var marking sync.WaitGroup
		for i := range people {
			marking.Go(func() {
				if _, err := MarkAfter(d.t.Context(), d.options.Dir, report.Mark{Name: fmt.Sprintf("seen by %d", i), By: "ann"}); err != nil {
					d.t.Error(err)
				}
			})
		}
		synctest.Wait()
		held.Close()
		marking.Wait()
		had := len(rec.Events)
		rec, err := report.Read(d.options.Dir)
		if err != nil {
			d.t.Fatal(err)
		}
		names := map[string]bool{}
		for _, m := range report.NewTimeline(rec).Marks {
			names[m.V.Name] = true
		}
		if len(names) != people || len(rec.Events) != had+people {
			d.t.Errorf("in the record are %d events, were %d, and the marks %v", len(rec.Events), had, names)
		}
		last := rec.Events[had-1].Seq
		for i, e := range rec.Events[had:] {
			if e.Seq != last+uint64(i)+1 {
				d.t.Errorf("mark %d has the number %d, and what was before it %d", i+1, e.Seq, last)
			}
		}
	})
}

// TestRecordHeld adds to a record of which somebody else has the lock: who lets go of it soon keeps nobody from that, and who keeps it does, after a while.
func TestRecordHeld(t *testing.T) {
	adding := map[string]func(*day) error{
		"mark": func(d *day) error {
			_, err := MarkAfter(d.t.Context(), d.options.Dir, report.Mark{Name: "post-mortem filed", By: "ann"})
			return err
		},
		"override": func(d *day) error {
			_, err := Override(d.options.Dir, report.Override{Item: "down.fired", Outcome: clock.Met, By: "Dana", Reason: "seen on the wall"})
			return err
		},
		"finalize": func(d *day) error {
			_, err := Finalize(d.t.Context(), d.options.Dir, d.options.Scenario)
			return err
		},
	}
	holding := map[string]int{"looks": syscall.LOCK_SH, "writes": syscall.LOCK_EX}
	play(t, `alarms "probe" "main" {}`, controlled, nil, func(d *day, _ *report.Record) {
		path := filepath.Join(d.options.Dir, report.EventsFile)
		for what, add := range adding {
			for who, how := range holding {
				before, err := os.ReadFile(path)
				if err != nil {
					d.t.Fatal(err)
				}
				held, began := holdRecord(d.t, d.options.Dir, how), time.Now()
				if err := add(d); !errors.Is(err, syscall.EWOULDBLOCK) || time.Since(began) != lockPatience {
					d.t.Errorf("%s while somebody %s: after %s %v", what, who, time.Since(began), err)
				}
				if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
					d.t.Errorf("%s while somebody %s changed the record: %v", what, who, err)
				}
				done := make(chan error, 1)
				go func() { done <- add(d) }()
				synctest.Wait()
				held.Close()
				if err := <-done; err != nil {
					d.t.Errorf("%s while somebody %s for a moment: %v", what, who, err)
				}
			}
		}
	})
}

// TestRecordHeldContext marks in a record that somebody else writes, and waits for that no longer than its context lasts.
func TestRecordHeldContext(t *testing.T) {
	play(t, "", steadyBlock, nil, func(d *day, _ *report.Record) {
		held, began := holdRecord(d.t, d.options.Dir, syscall.LOCK_EX), time.Now()
		defer held.Close()
		ctx, cancel := context.WithTimeout(d.t.Context(), time.Second)
		defer cancel()
		_, err := MarkAfter(ctx, d.options.Dir, report.Mark{Name: "post-mortem filed", By: "ann"})
		if !errors.Is(err, syscall.EWOULDBLOCK) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			d.t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

// TestRecordSeenEarly has somebody look at a record after it was made and before its run has locked it: the run begins all the same.
func TestRecordSeenEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		f, err := os.Create(filepath.Join(dir, report.EventsFile))
		if err != nil {
			t.Fatal(err)
		}
		held, done := holdRecord(t, dir, syscall.LOCK_SH), make(chan error, 1)
		var rec *recorder
		go func() {
			var err error
			rec, err = recordIn(f, time.Now(), func(s string) string { return s }, nil)
			done <- err
		}()
		synctest.Wait()
		held.Close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if writing, err := Writing(dir); err != nil || !writing {
			t.Errorf("nobody seems to write it: %v", err)
		}
		if err := rec.close(); err != nil {
			t.Error(err)
		}
	})
}
