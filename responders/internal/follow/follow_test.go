package follow

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"gameday/clock"
	"gameday/responders"
	"gameday/sources/looks"
	"gameday/sources/web"
)

// story is a system whose clock is ahead, and which tells of things late.
type story struct {
	ahead  time.Duration
	broken bool
	happen map[string][2]time.Time // id → when it happened, and from when on it is told of
	blind  []looks.Fault
	f      *Follower
}

func (s *story) follower() *Follower {
	s.f = &Follower{Name: "fake.main", Every: 10 * time.Second, Settle: time.Minute,
		Ask: func(context.Context) (web.Reply, error) {
			now := time.Now()
			h := http.Header{"Date": {now.Add(s.ahead).UTC().Format(http.TimeFormat)}}
			return web.Reply{Header: h, Sent: now, Received: now}, nil
		},
		Read: func(_ context.Context, span clock.Span) (Told, error) {
			if s.broken {
				return Told{}, errors.New("connection refused")
			}
			t := Told{Blind: s.blind}
			theirs := s.f.Theirs(span)
			for id, when := range s.happen {
				stamp := when[0].Add(s.ahead)
				if !time.Now().Before(when[1]) && !stamp.Before(theirs.Start) && !stamp.After(theirs.End) {
					e := responders.Event{ID: id, Kind: responders.Noted, At: s.f.Ours(stamp, 0)}
					t.Events = append(t.Events, e, e) // told twice
				}
			}
			return t, nil
		}}
	return s.f
}

func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := &story{ahead: 90 * time.Second, happen: map[string][2]time.Time{}}
		f := s.follower()
		at := func(sec int) time.Time { return began.Add(time.Duration(sec) * time.Second) }
		s.happen["early"] = [2]time.Time{at(-30), at(0)}
		s.happen["there"] = [2]time.Time{at(100), at(100)}
		s.happen["late"] = [2]time.Time{at(280), at(310)}
		time.Sleep(300 * time.Second)
		span := clock.Span{Start: began, End: time.Now()}
		events, c, err := f.History(t.Context(), span)
		if err != nil || len(events) != 1 || events[0].ID != "there" {
			t.Fatalf("%+v, %v", events, err)
		}
		if i := events[0].At; i.Lo.After(at(100)) || i.Hi.Before(at(100)) || i.Hi.Sub(i.Lo) > 2*time.Second {
			t.Errorf("it was at 100 s, and is told to be at %v", i)
		}
		if got := clock.Share(c.Spans, span); got != 240.0/300 || !strings.Contains(strings.Join(c.Why, "\n"), "finalize") {
			t.Errorf("covered %v, %q", got, c.Why)
		}
		time.Sleep(2 * time.Minute)
		s.blind = []looks.Fault{{Span: clock.Span{Start: at(10), End: at(20)}, Why: "nobody understood it"}}
		events, c, err = f.History(t.Context(), span)
		if err != nil || len(events) != 2 || clock.Share(c.Spans, span) != 290.0/300 || len(c.Why) != 1 {
			t.Errorf("later: %+v, %+v, %v", events, c, err)
		}
		s.broken = true
		if events, c, err = f.History(t.Context(), span); err == nil || len(events) > 0 || len(c.Spans) > 0 {
			t.Errorf("broken: %+v, %+v", events, c)
		}
	})
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := &story{happen: map[string][2]time.Time{}}
		f := s.follower()
		at := func(sec int) time.Time { return began.Add(time.Duration(sec) * time.Second) }
		s.happen["old"] = [2]time.Time{at(-60), at(-60)}
		s.happen["one"] = [2]time.Time{at(15), at(15)}
		s.happen["30 s late"] = [2]time.Time{at(30), at(60)}
		s.happen["while it was away"] = [2]time.Time{at(110), at(110)}
		ctx, cancel := context.WithCancel(t.Context())
		got := map[string]time.Duration{}
		done := make(chan error)
		go func() {
			done <- f.Watch(ctx, func(e responders.Event) {
				if _, twice := got[e.ID]; twice {
					t.Errorf("%s was emitted twice", e.ID)
				}
				got[e.ID] = time.Since(began)
			})
		}()
		time.Sleep(105 * time.Second)
		s.broken = true
		time.Sleep(3 * time.Minute)
		s.broken = false
		time.Sleep(15 * time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for id, want := range map[string]time.Duration{"one": 20 * time.Second, "30 s late": time.Minute, "while it was away": 290 * time.Second} {
			if got[id] != want {
				t.Errorf("%s was emitted after %v, want %v", id, got[id], want)
			}
		}
		if len(got) != 3 {
			t.Errorf("%v", got)
		}
	})
}

func TestSkew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for ahead, want := range map[time.Duration]string{0: "", 5 * time.Second: "corrected", -90 * time.Second: "NTP"} {
			f := (&story{ahead: ahead}).follower()
			o, ok, err := f.Measure(t.Context())
			found := f.Skew(o, ok)
			if err != nil || (want == "") != (len(found) == 0) || len(found) > 0 && (!strings.Contains(found[0].Detail, want) || found[0].Blocks != (want == "NTP")) {
				t.Errorf("%v: %+v, %v", ahead, found, err)
			}
		}
		s := &story{}
		f := s.follower()
		f.Measure(t.Context())
		s.ahead = 20 * time.Second // it was set meanwhile
		if o, _, _ := f.Measure(t.Context()); o.Ahead < 9*time.Second || o.Ahead-o.Err > 0 || o.Ahead+o.Err < 20*time.Second {
			t.Errorf("%+v", o)
		}
		f.Ask = func(context.Context) (web.Reply, error) { return web.Reply{}, nil }
		if o, ok, err := f.Measure(t.Context()); ok || err != nil || len(f.Skew(o, ok)) != 1 {
			t.Errorf("without a header: %+v, %v", o, err)
		}
	})
}

func TestScrub(t *testing.T) {
	for text, want := range map[string]string{
		"it is the ledger, since 2026-11-20 14:03":   "it is the ledger, since 2026-11-20 14:03",
		"ask ann.b@shop.example or <mailto:x@y.com>": "ask [e-mail] or <mailto:[e-mail]>",
		"call +44 20 7946 0958 now":                  "call [phone] now",
		"call (020) 7946 0958 now":                   "call [phone] now",
		"join https://x.zoom.us/j/1?pwd=abcd1234":    "join https://x.zoom.us/j/1?…",
		"password: hunter22 works":                   "[secret] works",
		"xoxb-123456789012-abcdef":                   "[secret]",
		"Authorization: Bearer abcd.efgh":            "Authorization: [secret]",
		"p95 is 2300 ms on 12 nodes":                 "p95 is 2300 ms on 12 nodes",
	} {
		if got := Scrub(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if got := Scrub(strings.Repeat("ä ", 1000)); len(got) > mostText+4 || !utf8.ValidString(got) {
		t.Errorf("%d bytes", len(got))
	}
}

var address = regexp.MustCompile(`[\pL\pN._%+-]+@[\pL\pN-]+(?:\.[\pL\pN-]+)+`)

// FuzzScrub cuts any text to valid UTF-8 without an address in it.
func FuzzScrub(f *testing.F) {
	f.Add("a@b.c +44 20 7946 0958")
	f.Add("\xff\xfe")
	f.Fuzz(func(t *testing.T, text string) {
		got := Scrub(text)
		if !utf8.ValidString(got) || len(got) > mostText+3 {
			t.Errorf("%q", got)
		}
		if len(got) < mostText && address.MatchString(got) {
			t.Errorf("%q of %q", got, text)
		}
	})
}
