package truth

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"gameday/report"
)

// scored scores a world from its record.
func scored(t rapid.TB, dir string, w *World) *report.Scorecard {
	if err := w.Write(dir); err != nil {
		t.Fatal(err)
	}
	rec, err := report.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return report.Score(rec)
}

func anyWorld(t *rapid.T) uint64 { return rapid.Uint64Range(1, 1<<40).Draw(t, "world") }

// within is what adding up shares of 100 loses.
const within = 1e-9

// TestScoresAreBounded holds the numbers of a scorecard to what they mean.
func TestScoresAreBounded(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		c := scored(t, dir, New(anyWorld(t)))
		if !(0 <= c.Low && c.Low <= c.High && c.High <= 100) || !(0 <= c.Coverage && c.Coverage <= 1) {
			t.Fatalf("%g to %g, coverage %g", c.Low, c.High, c.Coverage)
		}
		low, high, points := 0.0, 0.0, 0.0
		for _, p := range c.Parts {
			low, high, points = low+p.Low, high+p.High, points+p.Points
			if p.Low > p.High+within || p.High > p.Points+within || p.Coverage < 0 || p.Coverage > 1 {
				t.Fatalf("%s: %g to %g of %g, coverage %g", p.Part, p.Low, p.High, p.Points, p.Coverage)
			}
		}
		if points > 0 && (low > c.Low+within || high < c.High-within || points > 100+within) {
			t.Fatalf("parts add up to %g to %g of %g, and the score is %g to %g", low, high, points, c.Low, c.High)
		}
	})
}

// TestTheSameRecordIsTheSameScore scores a record twice, byte for byte.
func TestTheSameRecordIsTheSameScore(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		w := New(anyWorld(t))
		if err := w.Write(dir); err != nil {
			t.Fatal(err)
		}
		var forms [2][]byte
		for i := range forms {
			rec, err := report.Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			if forms[i], err = json.Marshal(report.Score(rec)); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(forms[0], forms[1]) {
			t.Fatal("scored again, it is another scorecard")
		}
	})
}

// TestOrderOfAccountsIsNothing has sources tell their stories in another order.
func TestOrderOfAccountsIsNothing(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		seed := anyWorld(t)
		before, w := scored(t, dir, New(seed)), New(seed)
		w.shuffle = rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 1))
		after := scored(t, dir, w)
		if before.Verdict != after.Verdict || before.Low != after.Low || before.High != after.High {
			t.Fatalf("%v, %g to %g; in another order %v, %g to %g", before.Verdict, before.Low, before.High, after.Verdict,
				after.Low, after.High)
		}
		items := after.Items()
		for i, it := range before.Items() {
			if o := items[i]; it.ID != o.ID || it.Outcome != o.Outcome || it.Value != o.Value || it.Why != o.Why {
				t.Fatalf("%s: %v, %g, %q; in another order %v, %g, %q", it.ID, it.Outcome, it.Value, it.Why, o.Outcome, o.Value,
					o.Why)
			}
		}
	})
}

// TestEvidenceNeverHurts takes a source's whole account away: then no more is known, and no more is sure.
func TestEvidenceNeverHurts(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		seed := anyWorld(t)
		source := rapid.SampledFrom([]func(*World) *source{rules, router, desk}).Draw(t, "source")
		neverHurts(t, dir, seed, source)
	})
}

// TestEvidenceOnceHurt has worlds that were drawn once and in which it did.
func TestEvidenceOnceHurt(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		seed   uint64
		source func(*World) *source
	}{
		{0x37da3d, desk},      // a run that was killed went on for as long as its sources told of it, so less was asked of one that told less
		{0x144a90ab7, router}, // a source of which a killed run's record had nothing was not asked for
		{0x14971, rules},      // what a source with gaps might have held back, one without any account might not
	} {
		neverHurts(t, dir, c.seed, c.source)
	}
}

func rules(w *World) *source  { return w.rules }
func router(w *World) *source { return w.router }
func desk(w *World) *source   { return w.desk }

func neverHurts(t rapid.TB, dir string, seed uint64, of func(*World) *source) {
	with, w := scored(t, dir, New(seed)), New(seed)
	source := of(w)
	source.silent, source.away = true, []span{{0, forever}}
	without := scored(t, dir, w)
	if without.Coverage > with.Coverage+within {
		t.Fatalf("world %#x: without %s the coverage is %g, with it %g", seed, source.name, without.Coverage, with.Coverage)
	}
	if without.Low > with.Low+within {
		t.Fatalf("world %#x: without %s it scores %g at the least, with it %g", seed, source.name, without.Low, with.Low)
	}
}
