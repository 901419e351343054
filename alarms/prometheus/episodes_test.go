package prometheus

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gameday/clock"
)

// zero is second 0 of the stories below.
var zero = time.Unix(1_700_000_000, 0)

func second(n int) time.Time { return zero.Add(time.Duration(n) * time.Second) }

// told makes a line from a story with one evaluation a second: '.' quiet, 'p' pending, 'f' firing, ' ' not evaluated.
// since gives the pending start at a second, when it differs from that of the evaluation before.
func told(story string, since map[int]int) *line {
	l := &line{key: "{}", labels: map[string]string{alertName: "A"}, since: map[int64]time.Time{}, interval: time.Second}
	at, active := 0, false
	for i, c := range story {
		if c == '.' || c == ' ' {
			active = active && c == ' '
			continue
		}
		if s, ok := since[i]; ok {
			at = s
		} else if !active {
			at = i
		}
		active = true
		l.marks = append(l.marks, mark{at: second(i), firing: c == 'f'})
		l.since[second(i).UnixMilli()] = second(at)
	}
	l.sort()
	return l
}

// works makes the server's past: at work wherever the story is not blank.
func works(story string) *past {
	p := &past{from: zero, to: second(len(story) - 1), scrape: time.Second}
	var stamps []time.Time
	for i, c := range story {
		if c != ' ' {
			stamps = append(stamps, second(i))
		}
	}
	p.up = runs(stamps, p.to, 3*time.Second)
	return p
}

// TestEpisodes reads stories of samples as episodes.
func TestEpisodes(t *testing.T) {
	for _, c := range []struct {
		name, story string
		since       map[int]int
		unknown     bool     // without ALERTS_FOR_STATE
		want        []string // pending firing ended, in seconds; "-" for none
	}{
		{"hit", "..pppffff....", nil, false, []string{"2 5 8..9"}},
		{"fires at once", "..fff....", nil, false, []string{"2 2 4..5"}},
		{"never fired", "..pp.....", nil, false, []string{"2 - 3..4"}},
		{"fires still", "..pff", nil, false, []string{"2 3 -"}},
		{"flap", "..ff...ff...", nil, false, []string{"2 2 3..4", "7 7 8..9"}},
		{"one quiet evaluation", "..ff.ff...", nil, false, []string{"2 2 3..4", "5 5 6..7"}},
		{"one quiet evaluation, untold", "..ff.ff...", nil, true, []string{"2 2 6..7"}},
		{"an evaluation left out", "..ff ff...", nil, false, []string{"2 2 6..7"}},
		{"frozen", "..ff      ff...", nil, false, []string{"2 2 11..12"}},
		{"frozen, and fired meanwhile", "..pp      ff...", nil, false, []string{"2 3..10 11..12"}},
		{"restart forgets the start", "..pff      pff...", map[int]int{11: 11}, false, []string{"2 3 13..14"}},
		{"restart, scrapes later", "..pff       pff...", map[int]int{12: 11}, false, []string{"2 3 14..15"}},
		{"restart, rules before scrapes", "..pff      pff.....", map[int]int{11: 11}, false, []string{"2 3 13..14"}},
		{"ended before the stop", "..pff...      pff...", map[int]int{14: 14}, false, []string{"2 3 4..5", "14 15 16..17"}},
		{"began long after the start", "..pff      .....pff...", map[int]int{16: 16}, false, []string{"2 3 4..13",
			"16 17 18..19"}},
		{"quiet after the stop", "..pff      .........", nil, false, []string{"2 3 4..13"}},
		{"stopped, and never back", "..pff      ", nil, false, []string{"2 3 -"}},
		{"began before what was read", "fff...", map[int]int{0: -100}, false, []string{"-100..-99 -100..0 2..3"}},
	} {
		l, p := told(c.story, c.since), works(c.story)
		if c.name == "restart, rules before scrapes" {
			p = works(".....            ..")
		}
		if c.unknown {
			l.since = map[int64]time.Time{}
		}
		var got []string
		for _, e := range l.episodes(p, clock.Offset{}) {
			got = append(got, shown(e.Pending)+" "+shown(e.Firing)+" "+shown(e.Ended))
		}
		if strings.Join(got, ", ") != strings.Join(c.want, ", ") {
			t.Errorf("%s %q: %v, want %v", c.name, c.story, got, c.want)
		}
	}
}

// shown prints an interval in seconds since zero; a millisecond is nothing.
func shown(i clock.Interval) string {
	if i.IsZero() {
		return "-"
	}
	lo, hi := i.Lo.Sub(zero).Truncate(time.Second).Seconds(), i.Hi.Sub(zero).Truncate(time.Second).Seconds()
	if lo == hi {
		return fmt.Sprint(lo)
	}
	return fmt.Sprintf("%v..%v", lo, hi)
}

// TestEpisodesInOrder checks, for any story, that nothing overlaps and that phases come in order.
func TestEpisodesInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		story := rapid.StringOfN(rapid.RuneFrom([]rune(". pf")), 0, 60, -1).Draw(t, "story")
		var before clock.Interval
		for _, e := range told(story, nil).episodes(works(story), clock.Offset{Ahead: time.Hour}) {
			if e.Pending.IsZero() {
				t.Fatalf("%q: an episode without a beginning", story)
			}
			if !before.IsZero() && before.Lo.After(e.Pending.Hi) {
				t.Fatalf("%q: episodes overlap", story)
			}
			for _, i := range []clock.Interval{e.Pending, e.Firing, e.Ended} {
				if i.Hi.Before(i.Lo) {
					t.Fatalf("%q: an interval is turned about: %+v", story, e)
				}
			}
			if !e.Firing.IsZero() && e.Firing.Hi.Before(e.Pending.Lo) {
				t.Fatalf("%q: it fired before it was pending", story)
			}
			before = e.Ended
		}
	})
}

// TestDuration reads the durations of a printed configuration.
func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"15s": 15 * time.Second, "1m30s": 90 * time.Second,
		"1d":    24 * time.Hour,
		"500ms": 500 * time.Millisecond, "": 0, "1.5s": 0, "s": 0, "0s": 0, "99999999999999s": 0} {
		if got, ok := duration(text); ok != (want > 0) || (ok && got != want) {
			t.Errorf("%q: %v, %v; want %v", text, got, ok, want)
		}
	}
}
