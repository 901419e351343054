package conductor

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gameday/report"
)

// TestForeignState checks that a fault which cannot be injected leaves the run going, with a hint.
func TestForeignState(t *testing.T) {
	inner := steadyBlock +
		fault("hold", "blocked", "target = target.web\nat = \"2s\"\nduration = \"3s\"\nway = \"foreign_later\"") +
		fault("hold", "fine", "target = target.db\nat = \"6s\"\nduration = \"3s\"")
	play(t, "", inner, nil, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		failed := seen[report.Injection](d.t, rec, report.InjectFailed)
		if len(failed) != 1 || failed[0].Fault != "blocked" || !strings.Contains(failed[0].Error, "table gameday is there") ||
			!strings.Contains(failed[0].Hint, "Nothing was touched") {
			d.t.Errorf("failed %+v", failed)
		}
		same(d.t, "steps", steps(d.t, rec, report.Injected, report.Reverted), []string{"injected fine 11.0", "reverted fine 14.0"})
		if !report.Score(rec).Safety.Clean {
			d.t.Error("not clean")
		}
	})
}

// TestUnproven checks that a fault without effect is taken back, and said to have done nothing.
func TestUnproven(t *testing.T) {
	play(t, "", steadyBlock+fault("hold", "idle", "target = target.web\nat = \"2s\"\nduration = \"3s\"\nway = \"never\""), nil,
		func(d *day, rec *report.Record) {
			wantEnd(d.t, rec, report.EndComplete)
			failed := seen[report.Injection](d.t, rec, report.InjectFailed)
			if len(failed) != 1 || !strings.Contains(failed[0].Hint, "changed nothing that could be seen") || failed[0].Effect == nil ||
				failed[0].Effect.Summary != "nothing was seen" {
				d.t.Errorf("failed %+v", failed)
			}
			if left := d.world.stands(); len(left) > 0 {
				d.t.Errorf("%v still stands", left)
			}
		})
}

// TestTargetGone checks that a target which is gone when its fault is due makes that fault fail, not the run.
func TestTargetGone(t *testing.T) {
	play(t, "", steadyBlock+fault("hold", "cut", "target = target.web\nat = \"4s\"\nduration = \"3s\""), func(d *day) {
		d.at(7*time.Second, func() { writePid(d.t, d.pidfile, 1<<22-1) })
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		failed := seen[report.Injection](d.t, rec, report.InjectFailed)
		if len(failed) != 1 || !strings.Contains(failed[0].Error, "selects nothing") {
			d.t.Errorf("failed %+v", failed)
		}
	})
}

// TestLeases checks that a standing fault is renewed every fifth of its lease.
func TestLeases(t *testing.T) {
	play(t, "", steadyBlock+fault("hold", "cut", "target = target.web\nat = \"2s\"\nduration = \"12s\"\nlease = \"10s\""), nil,
		func(d *day, rec *report.Record) {
			var got []time.Duration
			for _, r := range d.world.renewed["run-1-cut-1"] {
				got = append(got, r.Round(time.Second))
			}
			// At the sixth, 12 s after the injection, the fault goes.
			want := []time.Duration{9 * time.Second, 11 * time.Second, 13 * time.Second, 15 * time.Second, 17 * time.Second}
			if len(got) < 5 || !slices.Equal(got[:5], want) {
				d.t.Errorf("renewed at %v, want %v", got, want)
			}
			if l := steps(d.t, rec, report.Lapsed); len(l) > 0 {
				d.t.Errorf("lapsed %v", l)
			}
		})
}

// TestLapse checks that a fault which let go before its time is noticed within a fifth of its lease, and told once.
func TestLapse(t *testing.T) {
	play(t, "", steadyBlock+fault("hold", "cut", "target = target.web\nat = \"2s\"\nduration = \"12s\""), func(d *day) {
		d.at(10500*time.Millisecond, func() { d.world.with(func() { clear(d.world.standing) }) })
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		same(d.t, "steps", steps(d.t, rec, report.Lapsed, report.Reverted, report.RevertFailed), []string{"lapsed cut 11.0"})
		if l := seen[report.Injection](d.t, rec, report.Lapsed)[0]; l.Error == "" || l.Gone.IsZero() {
			d.t.Errorf("lapsed %+v", l)
		}
	})
}

// TestSlowProofElsewhere checks that a fault at one place is renewed while the proof at another takes longer than a lease.
func TestSlowProofElsewhere(t *testing.T) {
	d := newDay(t, "", steadyBlock+fault("hold", "cut", "target = target.both\nat = \"2s\"\nduration = \"3s\"\nlease = \"2s\"\nway = \"slow\"")+
		"target \"both\" {\n process { command = \"^sleep "+pair+"$\" }\n at_most = 2\n}\n")
	inBubble(t, d, func(ctx context.Context) {
		d.world.fast = "both/1"
		rec := d.conduct(ctx)
		wantEnd(d.t, rec, report.EndComplete)
		if l := steps(d.t, rec, report.Lapsed, report.InjectFailed); len(l) > 0 {
			d.t.Errorf("%v while the other place was waited for", l)
		}
		if in, gone := steps(d.t, rec, report.Injected), steps(d.t, rec, report.Reverted); len(in) != 2 || len(gone) != 2 {
			d.t.Errorf("%v, %v", in, gone)
		}
	})
}

// TestGuardDies checks that what a dead guard left is reverted from the ledger, soon.
func TestGuardDies(t *testing.T) {
	play(t, "", steadyBlock+fault("hold", "cut", "target = target.web\nat = \"2s\"\nduration = \"12s\""), func(d *day) {
		d.at(10500*time.Millisecond, d.killGuard)
	}, func(d *day, rec *report.Record) {
		same(d.t, "steps", steps(d.t, rec, report.Injected, report.Reverting, report.Reverted, report.RevertFailed, report.Lapsed),
			[]string{"injected cut 7.0", "reverting cut 11.0", "reverted cut 11.0"})
		if e := ended(d.t, rec); len(e.Residue) > 0 {
			d.t.Errorf("residue %v", e.Residue)
		}
		if left := d.world.stands(); len(left) > 0 {
			d.t.Errorf("%v still stands", left)
		}
		if s := report.Score(rec).Safety; !s.Clean {
			d.t.Errorf("safety %+v", s)
		}
	})
}

// TestLateRevert checks that a fault which its guard could not revert when it was told to, and then did by itself, is gone and has not
// lapsed, and that nothing is said to be left.
func TestLateRevert(t *testing.T) {
	play(t, "", steadyBlock+fault("hold", "cut", "target = target.web\nat = \"2s\"\nduration = \"2s\""), func(d *day) {
		d.at(8*time.Second, func() { d.world.with(func() { d.world.stuck = true }) })
		d.at(11*time.Second, func() { d.world.with(func() { d.world.stuck = false }) })
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndComplete)
		same(d.t, "steps", steps(d.t, rec, report.Reverting, report.RevertFailed, report.Reverted, report.Lapsed),
			[]string{"reverting cut 9.0", "revert_failed cut 9.0", "reverted cut 12.0"})
		if s := report.Score(rec).Safety; !s.Clean {
			d.t.Errorf("safety %+v", s)
		}
	})
}

// TestResidue checks that what can be reverted by nobody is named, and outranks every verdict.
func TestResidue(t *testing.T) {
	play(t, "", steadyBlock+fault("hold", "cut", "target = target.web\nat = \"2s\"\nduration = \"12s\""), func(d *day) {
		d.at(10500*time.Millisecond, func() {
			d.world.with(func() { d.world.stuck = true })
			d.killGuard()
		})
	}, func(d *day, rec *report.Record) {
		e := ended(d.t, rec)
		if !slices.Equal(e.Residue, []string{"cut on web"}) {
			d.t.Errorf("residue %q", e.Residue)
		}
		failed := seen[report.Injection](d.t, rec, report.RevertFailed)
		if len(failed) == 0 || !strings.Contains(failed[0].Error, "does not let go") || !strings.Contains(failed[0].Hint, "gameday revert") {
			d.t.Errorf("failed %+v", failed)
		}
		if s := report.Score(rec); s.ExitCode() != 5 {
			d.t.Errorf("exit code %d", s.ExitCode())
		}
	})
}

// TestRecovery checks that a killed process is found again when a new one stands in its place, and only then.
func TestRecovery(t *testing.T) {
	inner := steadyBlock + fault("kill", "crash", "target = target.web\nat = \"2s\"\nrestarts_within = \"8s\"") +
		fault("hold", "cut", "target = target.db\nafter = fault.crash\nduration = \"1s\"")
	for name, c := range map[string]struct {
		back time.Duration
		want []string
	}{
		"in time": {10 * time.Second, []string{"injected crash 7.0", "recovered crash 10.0", "injected cut 10.0", "reverted cut 11.0"}},
		"late":    {17 * time.Second, []string{"injected crash 7.0", "injected cut 15.0", "reverted cut 16.0", "recovered crash 17.0"}},
		"never":   {time.Hour, []string{"injected crash 7.0", "injected cut 15.0", "reverted cut 16.0"}},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, "", inner, func(d *day) {
				d.at(c.back, func() { writePid(d.t, d.pidfile, sleepers[2].Process.Pid) })
			}, func(d *day, rec *report.Record) {
				wantEnd(d.t, rec, report.EndComplete)
				same(d.t, "steps", steps(d.t, rec, report.Injected, report.Reverting, report.Recovered, report.Reverted)[:len(c.want)+1],
					slices.Insert(slices.Clone(c.want), slices.IndexFunc(c.want, func(s string) bool {
						return strings.HasPrefix(s, "reverted")
					}), strings.Replace(c.want[slices.IndexFunc(c.want, func(s string) bool {
						return strings.HasPrefix(s, "reverted")
					})], "reverted", "reverting", 1)))
				backs := seen[report.Comeback](d.t, rec, report.Recovered)
				if (len(backs) == 1) != (c.back < time.Minute) {
					d.t.Fatalf("came back %+v", backs)
				}
				for _, b := range backs {
					if width := b.At.Hi.Sub(b.At.Lo); width > 2*recoveryPoll || !b.Effect.Proven || b.Place != "web" {
						d.t.Errorf("came back %+v", b)
					}
				}
			})
		})
	}
}

// TestDiskFull checks that a record that cannot be written ends the run, with its faults reverted.
func TestDiskFull(t *testing.T) {
	d := newDay(t, "", steadyBlock+twoFaults)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("this system has no /dev/full:", err)
	}
	defer full.Close()
	path := filepath.Join(d.options.Dir, report.EventsFile)
	d.on = func(e report.Event) {
		if e.Kind == report.Injected && strings.Contains(string(e.Data), `"second"`) {
			fillDisk(t, path, full)
		}
	}
	inBubble(t, d, func(ctx context.Context) {
		rec := d.conduct(ctx)
		if d.err == nil || !strings.Contains(d.err.Error(), "no space left on device") {
			d.t.Errorf("Run returned %v", d.err)
		}
		same(d.t, "reverted", d.world.reverted, []string{"second", "first"})
		last := d.events[len(d.events)-1]
		if last.Kind != report.RunEnded || !strings.Contains(string(last.Data), `"reason":"error"`) || last.T > 10*time.Second {
			d.t.Errorf("the last event is %s at %v: %s", last.Kind, last.T, last.Data)
		}
		if s := report.Score(rec); s.ExitCode() != 3 {
			d.t.Errorf("exit code %d of a record without an end", s.ExitCode())
		}
	})
}

// fillDisk puts a full device in the place of an open file.
func fillDisk(t *testing.T, path string, full *os.File) {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Error(err)
		return
	}
	for _, o := range open {
		number, _ := strconv.Atoi(o.Name())
		if to, err := os.Readlink("/proc/self/fd/" + o.Name()); err == nil && to == path {
			if err := dup(int(full.Fd()), number); err != nil {
				t.Error(err)
			}
			return
		}
	}
	t.Errorf("%s is not open", path)
}

// TestSecrets checks that no file of the record has a secret's value, in whatever way it is written, and that a secret
// that looks like a number damages nothing.
func TestSecrets(t *testing.T) {
	outer := `
alarms "probe" "main" { token = secret("TOKEN") }
alarms "probe" "other" { token = secret("PIN") }
sli "queue" {
  source = alarms.probe.main
  query  = "queue_depth"
}
`
	inner := steadyBlock + fault("hold", "cut", "target = target.web\nat = \"2s\"\nduration = \"3s\"") +
		"abort \"long queue\" {\n when = sli.queue > 1000\n held = \"5s\"\n}\n"
	play(t, outer, inner, func(d *day) {
		d.probe.query = func(context.Context) (float64, bool, error) {
			return 0, false, &os.PathError{Op: "asking with " + secretValue + " and 1000", Path: secretValue, Err: fs.ErrPermission}
		}
		d.at(8*time.Second, func() { d.stop <- report.Stop{By: secretValue, Why: "1000"} })
	}, func(d *day, rec *report.Record) {
		wantEnd(d.t, rec, report.EndStopped)
		files := 0
		err := filepath.WalkDir(d.options.Dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			files++
			b, err := os.ReadFile(path)
			if bytes.Contains(b, []byte(secretValue)) {
				d.t.Errorf("%s has the secret", path)
			}
			return err
		})
		if err != nil || files < 3 {
			d.t.Errorf("%d files, %v", files, err)
		}
		readings := seen[report.Reading](d.t, rec, report.ReadingTaken)
		if len(readings) == 0 || !strings.Contains(readings[0].Why, "[secret TOKEN]") || strings.Contains(readings[0].Why, secretValue) ||
			!strings.Contains(readings[0].Why, "[secret PIN]") {
			d.t.Errorf("readings %+v", readings)
		}
		if s := seen[report.Stop](d.t, rec, report.StopAsked); s[0].By != "[secret TOKEN]" || s[0].Why != "[secret PIN]" {
			d.t.Errorf("stop %+v", s)
		}
	})
}
