package told

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gameday/announce"
)

// TestPatience has a server look every minute while a channel takes nothing for hours, with messages that wait behind the one that failed: each is told when the channel
// is back, and neither is tried more often than the pauses between rounds have it.
func TestPatience(t *testing.T) {
	f := open(t)
	for _, key := range []string{"first", "second", "third"} {
		post(t, f, draft(key), true)
	}
	tries, now := 0, start
	counts := func(ctx context.Context, d announce.Draft) announce.Outcome {
		tries++
		return fails(ctx, d)
	}
	for ; now.Before(start.Add(4 * time.Hour)); now = now.Add(time.Minute) {
		if said, _ := flush(t, f, now, counts); strings.Contains(said, GivenUp) || strings.Contains(said, "third") {
			t.Fatalf("after %s: %s", now.Sub(start), said)
		}
	}
	if tries > 2*mostRounds {
		t.Errorf("it was tried %d times in four hours", tries)
	}
	if said, _ := flush(t, f, now.Add(time.Hour), takes); said != "first delivered, second delivered, third delivered" {
		t.Errorf("when the channel is back: %q", said)
	}
}

// TestNewDuringOutage posts something new every ten minutes while a channel takes nothing: with each, what failed is tried once more, and that brings nothing nearer to being
// given up.
func TestNewDuringOutage(t *testing.T) {
	f := open(t)
	post(t, f, draft("first"), true)
	const news = 24
	tries := 0
	counts := func(ctx context.Context, d announce.Draft) announce.Outcome {
		tries++
		return fails(ctx, d)
	}
	for i := range 10 * news {
		now := start.Add(time.Duration(i) * time.Minute)
		if i%10 == 5 {
			if _, err := f.Post(draft(fmt.Sprintf("new%02d", i/10)), now.Add(-time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		if said, _ := flush(t, f, now, counts); strings.Contains(said, GivenUp) {
			t.Fatalf("after %d minutes: %s", i, said)
		}
	}
	if tries < news || tries > 2*(news+mostRounds) {
		t.Errorf("it was tried %d times", tries)
	}
	if said, _ := flush(t, f, start.Add(6*time.Hour), takes); strings.Count(said, "delivered") != news+1 {
		t.Errorf("when the channel is back: %q", said)
	}
}

// TestOneIsNotTaken has a message that the channel never takes, while it is up for all others: those that wait behind it are told after some minutes, and not when that
// one is given up after hours.
func TestOneIsNotTaken(t *testing.T) {
	f := open(t)
	for _, key := range []string{"first", "second", "third"} {
		post(t, f, draft(key), true)
	}
	var all []string
	for i := range 10 {
		said, _ := flush(t, f, start.Add(time.Duration(i)*time.Minute), func(ctx context.Context, d announce.Draft) announce.Outcome {
			if d.Key == "first" {
				return fails(ctx, d)
			}
			return takes(ctx, d)
		})
		all = append(all, said)
	}
	if said := strings.Join(all, "; "); strings.Count(said, "second delivered, third delivered") != 1 || strings.Contains(said, GivenUp) {
		t.Errorf("in ten minutes: %s", said)
	}
}

// TestOutages draws outages of up to an hour and a half, and messages that come at any time: each is told once, in the order in which they came, and at most an hour after the channel is
// back.
func TestOutages(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f, err := Open(filepath.Join(t.TempDir(), "announcements"))
		if err != nil {
			rt.Fatal(err)
		}
		down := rapid.IntRange(1, 90).Draw(rt, "minutes of outage")
		posts := rapid.SliceOfN(rapid.IntRange(0, 89), 1, 6).Draw(rt, "minutes of messages")
		slices.Sort(posts)
		var told []string
		for i := range max(down+61, 90) {
			now := start.Add(time.Duration(i) * time.Minute)
			for n, at := range posts {
				if at != i {
					continue
				}
				if _, err := f.Post(draft(fmt.Sprintf("m%02d", n)), now.Add(time.Duration(n)*time.Millisecond-time.Second)); err != nil {
					rt.Fatal(err)
				}
			}
			_, _, err := f.Flush(context.Background(), func() time.Time { return now }, "ann", all, func(ctx context.Context, d announce.Draft) announce.Outcome {
				if i < down {
					return fails(ctx, d)
				}
				told = append(told, d.Key)
				return takes(ctx, d)
			})
			if err != nil {
				rt.Fatal(err)
			}
			if i == down+60 && len(told) < len(slices.DeleteFunc(slices.Clone(posts), func(at int) bool { return at > down })) {
				rt.Fatalf("an hour after the channel is back only these are told: %v", told)
			}
		}
		if len(told) != len(posts) || !slices.IsSorted(told) {
			rt.Fatalf("of %d messages these are told: %v", len(posts), told)
		}
	})
}

// TestWatchedIsNotNew has a message at hand whose run has ended, and that whoever would tell it still holds: what failed before waits for its time.
func TestWatchedIsNotNew(t *testing.T) {
	f := open(t)
	f.Fate = func(string) Fate { return FateEnded }
	post(t, f, draft("failing"), true)
	d := draft("watched")
	d.Watch = "run"
	if w, err := f.Watch(d, start); err != nil || w == nil {
		t.Fatal(err)
	}
	for i := range 60 {
		flush(t, f, start.Add(time.Duration(i)*time.Minute), fails)
	}
	k, err := read(filepath.Join(f.dir, "failing.jsonl"))
	if err != nil || k.rounds() > 6 {
		t.Errorf("it was tried %d times in an hour: %v", k.rounds(), err)
	}
}
