package told

import (
	"context"
	"errors"
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

// TestOneIsNotTakenAmongNews has a message that the channel never takes, and something new each minute: that puts the message's own turns off by nothing, so that what waits
// behind it is told after some minutes all the same.
func TestOneIsNotTakenAmongNews(t *testing.T) {
	f := open(t)
	post(t, f, draft("first"), true)
	const minutes = 10
	told := 0
	for i := range minutes {
		now := start.Add(time.Duration(i) * time.Minute)
		if _, err := f.Post(draft(fmt.Sprintf("new%02d", i)), now.Add(time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		flush(t, f, now, func(ctx context.Context, d announce.Draft) announce.Outcome {
			if d.Key == "first" {
				return fails(ctx, d)
			}
			told++
			return takes(ctx, d)
		})
	}
	if told != minutes {
		t.Errorf("in ten minutes %d of %d are told", told, minutes)
	}
}

// TestTwoAreNotTakenAmongNews has two messages that the channel never takes, and something new every eight minutes: both are given up all the same, and all
// else is told then.
func TestTwoAreNotTakenAmongNews(t *testing.T) {
	f := open(t)
	post(t, f, draft("a"), true)
	post(t, f, draft("b"), true)
	given, told, news := "", 0, 0
	for i := range 10 * 60 {
		now := start.Add(time.Duration(i) * time.Minute)
		if i%8 == 4 {
			if _, err := f.Post(draft(fmt.Sprintf("new%02d", i/8)), now.Add(-time.Second)); err != nil {
				t.Fatal(err)
			}
			news++
		}
		said, _ := flush(t, f, now, func(ctx context.Context, d announce.Draft) announce.Outcome {
			if d.Key == "a" || d.Key == "b" {
				return fails(ctx, d)
			}
			told++
			return takes(ctx, d)
		})
		for _, key := range []string{"a", "b"} {
			if strings.Contains(said, key+" "+GivenUp) {
				given += key
			}
		}
	}
	if given != "ab" || told != news {
		t.Errorf("in ten hours %q are given up, and %d of %d others are told", given, told, news)
	}
}

// busyFor is a server that asks to be left alone.
func busyFor(wait time.Duration) Send {
	return func(context.Context, announce.Draft) announce.Outcome {
		return announce.Outcome{Err: errors.New("503"), After: wait, Tries: 1}
	}
}

// TestBusyForADay has a server ask for a day of a message behind which another waits. That one has a turn of its own when the longest pause is over, and the first when the
// day is.
func TestBusyForADay(t *testing.T) {
	for _, tt := range []struct{ asks, waits time.Duration }{{10 * time.Minute, 10 * time.Minute}, {time.Hour, time.Hour}, {24 * time.Hour, time.Hour}} {
		f := open(t)
		post(t, f, draft("first"), true)
		post(t, f, draft("second"), true)
		begun := start.Add(time.Second)
		said, next := flush(t, f, begun, busyFor(tt.asks))
		if said != "first failed" || !next.Equal(begun.Add(tt.waits)) {
			t.Errorf("it asks for %s: %q, and next %s", tt.asks, said, next)
		}
		if said, again := flush(t, f, begun.Add(tt.waits-time.Second), takes); said != "" || !again.Equal(begun.Add(tt.waits)) {
			t.Errorf("it asks for %s, a second too early: %q, and next %s", tt.asks, said, again)
		}
		want := "second delivered"
		if tt.asks == tt.waits {
			want = "first delivered, second delivered"
		}
		if said, next = flush(t, f, begun.Add(tt.waits), takes); said != want {
			t.Errorf("it asks for %s, then: %q", tt.asks, said)
		}
		if tt.asks == tt.waits {
			continue
		}
		if said, _ := flush(t, f, begun.Add(tt.asks), takes); !next.Equal(begun.Add(tt.asks)) || said != "first delivered" {
			t.Errorf("it asks for %s, next is %s, and then: %q", tt.asks, next, said)
		}
	}
}

// TestOutages draws outages of up to an hour and a half, messages that come at any time, and waits of up to a day that the server asks for: each is told once, at most an hour
// after the channel is back unless the server asked for longer, and those for which it asked nothing in the order in which they came.
func TestOutages(t *testing.T) {
	minutes := rapid.SampledFrom([]int{0, 0, 1, 10, 60, 90, 24 * 60})
	rapid.Check(t, func(rt *rapid.T) {
		f, err := Open(filepath.Join(t.TempDir(), "announcements"))
		if err != nil {
			rt.Fatal(err)
		}
		down := rapid.IntRange(1, 90).Draw(rt, "minutes of outage")
		posts := rapid.SliceOfN(rapid.IntRange(0, 89), 1, 6).Draw(rt, "minutes of messages")
		asks := rapid.SliceOfN(minutes, 1, 8).Draw(rt, "minutes of waits")
		slices.Sort(posts)
		var told []string
		asked, tries := map[string]int{}, 0 // by key, the longest wait
		send := func(ctx context.Context, d announce.Draft) announce.Outcome {
			wait := asks[tries%len(asks)]
			tries++
			asked[d.Key] = max(asked[d.Key], wait)
			return busyFor(time.Duration(wait)*time.Minute)(ctx, d)
		}
		back := func(ctx context.Context, d announce.Draft) announce.Outcome {
			told = append(told, d.Key)
			return takes(ctx, d)
		}
		flush := func(minute int, send Send) {
			now := start.Add(time.Duration(minute) * time.Minute)
			if _, _, err := f.Flush(context.Background(), func() time.Time { return now }, "ann", all, send); err != nil {
				rt.Fatal(err)
			}
		}
		key := func(n int) string { return fmt.Sprintf("m%02d", n) }
		for i := range max(down+61, 90) {
			for n, at := range posts {
				if at != i {
					continue
				}
				if _, err := f.Post(draft(key(n)), start.Add(time.Duration(i)*time.Minute+time.Duration(n)*time.Millisecond-time.Second)); err != nil {
					rt.Fatal(err)
				}
			}
			if i < down {
				flush(i, send)
				continue
			}
			flush(i, back)
			for n, at := range posts {
				if i == down+60 && at <= down && asked[key(n)] <= 60 && !slices.Contains(told, key(n)) {
					rt.Fatalf("an hour after the channel is back only these are told: %v", told)
				}
			}
		}
		flush(down+24*60, back)
		unasked := slices.DeleteFunc(slices.Clone(told), func(key string) bool { return asked[key] > 0 })
		if len(told) != len(posts) || !slices.IsSorted(unasked) {
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
	tries := 0
	for i := range 60 {
		flush(t, f, start.Add(time.Duration(i)*time.Minute), func(ctx context.Context, d announce.Draft) announce.Outcome {
			tries++
			return fails(ctx, d)
		})
	}
	if tries > 6 {
		t.Errorf("it was tried %d times in an hour", tries)
	}
}
