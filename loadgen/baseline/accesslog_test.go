package baseline

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gameday/clock"
)

// combined writes a line as nginx does.
func combined(at time.Time, request string, status int) string {
	return fmt.Sprintf("10.0.0.7 - - [%s] %q %d 512 \"-\" \"curl/8.5\"\n", at.Format(commonTime), request, status)
}

// hour is the hour before now, in which a log is written.
var hour = now.Add(-time.Hour)

// written is a log of an hour at four requests a second, of which change says what becomes of each line.
func written(change func(i int, at time.Time, line string) string) string {
	var b strings.Builder
	for i := range 4 * 3600 {
		at := hour.Add(time.Duration(i) * time.Second / 4)
		status, request := 200, fmt.Sprintf("GET /cart/%d HTTP/1.1", i)
		switch {
		case i%10 == 0:
			status, request = 503, "POST /cart/7/pay?token=abc HTTP/1.1"
		case i%2 == 0:
			request = "GET / HTTP/2.0"
		}
		line := combined(at, request, status)
		if change != nil {
			line = change(i, at, line)
		}
		b.WriteString(line)
	}
	return b.String()
}

// TestLogMeasures reads the rate and the mix of a log, also of one that is compressed, and of one whose last line is being
// written.
func TestLogMeasures(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := io.WriteString(z, written(nil)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"plain": written(nil), "compressed": packed.String(), "half a line at the end": written(nil) + "10.0.0.7 - - [28/Nov/2026:20:4",
		"line ends of Windows": strings.ReplaceAll(written(nil), "\n", "\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			m, err := DefaultLog().measure(t.Context(), strings.NewReader(text), now)
			if err != nil {
				t.Fatal(err)
			}
			mix := m.Mix
			m.Mix = nil
			// The first and the last step are not whole: 359 of 360 are left of an hour that begins with one.
			want := &Measured{Rate: 4, Low: 4, High: 4, Statistic: "0.95 quantile", Samples: 359, Worth: 359, Each: 10 * time.Second,
				Chosen: "the last 59m59s of the log", From: hour, To: hour.Add(3590 * time.Second)}
			if diff := cmp.Diff(want, m); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			ok := map[string]float64{"2xx": 1}
			wantMix := &Mix{Requests: 14400, Lines: 14400, Statuses: map[string]float64{"2xx": 0.9, "5xx": 0.1}, Routes: []Route{
				{"GET /cart/:id", 7200, 0.5, ok}, {"GET /", 5760, 0.4, ok}, {"POST /cart/:id/pay", 1440, 0.1, map[string]float64{"5xx": 1}}}}
			if diff := cmp.Diff(wantMix, mix); diff != "" {
				t.Errorf("the mix (-want +got):\n%s", diff)
			}
		})
	}
}

// TestQuietSecondsCount takes a log with a pause shorter than a jump: its seconds are true zeros.
func TestQuietSecondsCount(t *testing.T) {
	text := written(func(_ int, at time.Time, line string) string {
		if m := at.Minute() % 10; m == 5 || m == 6 {
			return ""
		}
		return line
	})
	l := DefaultLog()
	l.Quantile = 0.1
	if m, err := l.measure(t.Context(), strings.NewReader(text), now); err == nil {
		t.Errorf("a tenth of the time nothing was asked, and that is %+v", m)
	}
	l.Quantile = 0.5
	if m, err := l.measure(t.Context(), strings.NewReader(text), now); err != nil || m.Rate != 4 || m.Samples != 359 {
		t.Errorf("%+v, %v", m, err)
	}
}

// without is a log that has no line of some times.
func without(gone func(time.Time) bool) string {
	return written(func(_ int, at time.Time, line string) string {
		if gone(at) {
			return ""
		}
		return line
	})
}

// cutOff is the first half of a packed log.
func cutOff() string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	r := rand.New(rand.NewPCG(1, 2)) // so that there is something to pack
	for i := range 20_000 {
		fmt.Fprintf(z, "%s", combined(hour.Add(time.Duration(i)*time.Second/8), fmt.Sprintf("GET /%x HTTP/1.1", r.Uint64()), 200))
	}
	z.Close()
	return b.String()[:b.Len()/2]
}

// TestLogRefuses names what is wrong with a log, and what to do.
func TestLogRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		text string
		set  func(*Log)
		want []string
	}{
		{"empty", "", nil, []string{"the log is empty", "rotated"}},
		{"only line ends", "\n\n\n", nil, []string{"the log is empty"}},
		{"no log", "\x00\x01\x02\nexport GOFLAGS=-mod=mod\n\n[28/Nov/2026]\nmore\n", nil, []string{"4 of 4 lines (100 %) cannot be read",
			`line 1 "\x00\x01\x02", line 2 "export GOFLAGS=-mod=mod", line 4 "[28/Nov/2026]"`, "Is the format right?"}},
		{"a tenth is garbage", written(func(i int, _ time.Time, line string) string {
			if i%10 == 3 {
				return "panic: runtime error\n"
			}
			return line
		}), nil, []string{"1440 of 14400 lines (10 %)", `line 4 "panic: runtime error", line 14 `}},
		{"two logs, the newer first", written(nil) + strings.ReplaceAll(written(nil), "28/Nov", "27/Nov"), nil,
			[]string{"time goes backwards in line 14401, from 2026-11-28 20:39:59 UTC to 2026-11-27 19:40:00 UTC", "14400 of 28800 lines", "Sort it"}},
		{"the clock was set back", written(func(i int, at time.Time, line string) string {
			if i > 7200 {
				return strings.ReplaceAll(line, at.Format("15:04"), at.Add(-time.Hour).Format("15:04"))
			}
			return line
		}), nil, []string{"time goes backwards in line 7202", "was the clock set?"}},
		{"one line is far ahead", written(func(i int, _ time.Time, line string) string {
			if i == 100 {
				return strings.Replace(line, "2026", "2027", 1)
			}
			return line
		}), nil, []string{"time goes backwards in line 102, from 2027"}},
		{"in the future", strings.ReplaceAll(written(nil), "+0000", "-0300"), nil, []string{"the newest line is 2h59m59s in the future", "time_zone"}},
		{"stale", strings.ReplaceAll(written(nil), "Nov", "Oct"), nil, []string{"the newest line is 31d1s old", "1d is the most", "max_age"}},
		{"rotated", without(func(at time.Time) bool { return at.Before(now.Add(-10 * time.Minute)) }), nil,
			[]string{"the log covers 9m59s, from 2026-11-28 20:30:00 UTC", "of 1h", "rotated", "(over)"}},
		{"a jump", without(func(at time.Time) bool { return at.Hour() == 20 && at.Minute() < 20 }), nil,
			[]string{"time jumps: there is no line from 2026-11-28 20:00:00 UTC to 2026-11-28 20:20:00 UTC", `max_gap = "20m1s"`}},
		{"longer than max_gap", without(func(at time.Time) bool { return at.Minute() == 50 }), func(l *Log) { l.MaxGap = 30 * time.Second }, []string{"time jumps"}},
		{"cut off", cutOff(), nil, []string{"reading line ", "unpacking: unexpected EOF", "cut off"}},
		{"no gzip", "\x1f\x8bno", nil, []string{"unpacking"}},
		{"hardly more than a step", combined(now.Add(-30*time.Second), "GET / HTTP/1.1", 200) + combined(now.Add(-11*time.Second), "GET / HTTP/1.1", 200),
			func(l *Log) { l.Over = 20 * time.Second }, []string{"too few samples: 1 of 10s each, and 3 are needed"}},
		{"a pattern without a time", "x\n", func(l *Log) { l.Format, l.Pattern = Regexp, "(?P<path>.*)" }, []string{"the pattern", "(?P<time>…)"}},
		{"no such format", "x\n", func(l *Log) { l.Format = "iis" }, []string{`no format "iis"`, "combined, common, json, regexp"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := DefaultLog()
			if c.set != nil {
				c.set(&l)
			}
			m, err := l.measure(t.Context(), strings.NewReader(c.text), now)
			if err == nil {
				t.Fatalf("measured %+v", m)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
		})
	}
}

// TestLogForgives takes what is a log all the same: a few lines that cannot be read, lines that come late, a line of another
// century, a quiet night that the scenario speaks of.
func TestLogForgives(t *testing.T) {
	for name, c := range map[string]struct {
		change func(i int, at time.Time, line string) string
		set    func(*Log)
		notes  string
	}{
		"some garbage": {func(i int, _ time.Time, line string) string {
			if i%100 == 0 {
				return "\xff\xfe password=hush\n"
			}
			return line
		}, nil, "144 of 14400 lines (1 %) cannot be read; the first ones: line 1, line 101, line 201"},
		"late lines": {func(i int, at time.Time, line string) string {
			return combined(at.Add(-time.Duration(i%50)*time.Second), "GET / HTTP/1.1", 200)
		}, nil, ""},
		"another century": {func(i int, _ time.Time, line string) string {
			if i == 5000 {
				return strings.Replace(line, "2026", "1970", 1)
			}
			return line
		}, nil, ""},
		"endless lines": {func(i int, _ time.Time, line string) string {
			if i%7000 == 10 {
				return strings.Repeat("x", 3*readBuffer) + "\n"
			}
			return line
		}, nil, "3 of 14400 lines (0.0208 %) cannot be read; the first ones: line 11, line 7011, line 14011"},
		"a quiet time": {func(_ int, at time.Time, line string) string {
			if at.Hour() == 20 && at.Minute() < 20 {
				return ""
			}
			return line
		}, func(l *Log) { l.MaxGap = 21 * time.Minute }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := DefaultLog()
			if c.set != nil {
				c.set(&l)
			}
			m, err := l.measure(t.Context(), strings.NewReader(written(c.change)), now)
			if err != nil {
				t.Fatal(err)
			}
			if m.Rate < 3.9 || m.Rate > 4.1 {
				t.Errorf("the rate is %g", m.Rate)
			}
			if notes := strings.Join(m.Notes, "; "); notes != c.notes {
				t.Errorf("notes %q, want %q", notes, c.notes)
			}
		})
	}
}

// TestLogFile reads a file up to where it ended when it was opened, and nothing that is no file.
func TestLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	if err := os.WriteFile(path, []byte(written(nil)), 0o644); err != nil {
		t.Fatal(err)
	}
	l := DefaultLog()
	l.Path = path
	if m, err := l.Measure(t.Context(), now); err != nil || m.Rate != 4 {
		t.Errorf("%+v, %v", m, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Measure(ctx, now); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for _, other := range []string{t.TempDir(), os.DevNull, filepath.Join(t.TempDir(), "none")} {
		l.Path = other
		if m, err := l.Measure(t.Context(), now); err == nil {
			t.Errorf("%s is %+v", other, m)
		}
	}
}

// TestLogIsNoPipe refuses a pipe that nobody writes to, instead of waiting for somebody.
func TestLogIsNoPipe(t *testing.T) {
	l := DefaultLog()
	l.Path = filepath.Join(t.TempDir(), "access.log")
	if err := syscall.Mkfifo(l.Path, 0o600); err != nil {
		t.Skip("no pipes here: ", err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := l.Measure(t.Context(), now)
		answered <- err
	}()
	select {
	case err := <-answered:
		if err == nil || !strings.Contains(err.Error(), "is not a regular file") {
			t.Errorf("the error is %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for somebody to write")
	}
}

// TestGameDaysInLogs says of a log in which a game day has left lines.
func TestGameDaysInLogs(t *testing.T) {
	l := DefaultLog()
	l.Ours = []clock.Span{{Start: hour.Add(10 * time.Minute), End: hour.Add(12 * time.Minute)}, {Start: hour.Add(-time.Hour), End: hour.Add(-time.Minute)}}
	m, err := l.measure(t.Context(), strings.NewReader(written(nil)), now)
	if err != nil || len(m.Notes) != 1 || !strings.HasPrefix(m.Notes[0], "of 12 of the 359 samples a part may be what a game day sent") {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestChanceIsNoted says of a log with few requests a step that its quantile is made by chance, and of one with many nothing.
func TestChanceIsNoted(t *testing.T) {
	note := func(rate float64, set func(*Log)) string {
		var b strings.Builder
		r := rand.New(rand.NewPCG(1, 2))
		for at := hour; at.Before(now); at = at.Add(time.Duration(r.ExpFloat64() / rate * float64(time.Second))) {
			b.WriteString(combined(at, "GET / HTTP/1.1", 200))
		}
		l := DefaultLog()
		set(&l)
		m, err := l.measure(t.Context(), strings.NewReader(b.String()), now)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(m.Notes, "; ")
	}
	if got := note(1, func(*Log) {}); !strings.HasPrefix(got, "the steps differ by no more than chance: each has ") || !strings.Contains(got, "the 0.95 quantile is 5") {
		t.Errorf("of ten requests a step: %q", got)
	}
	for name, got := range map[string]string{"40 a second": note(40, func(*Log) {}), "the median": note(1, func(l *Log) { l.Quantile = 0.5 })} {
		if got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestManyRoutes counts routes that are too many to be told apart: how many there are is then not known, and not made up.
func TestManyRoutes(t *testing.T) {
	tally := newTally(time.Hour, 10*time.Second)
	for i := range 3 * maxRoutes {
		method := []byte("GET")
		if i%2 == 1 {
			method = bytes.Repeat([]byte("G"), 1<<10) // of which nothing is kept
		}
		tally.add(entry{at: hour.UnixNano(), method: method, path: fmt.Appendf(nil, "/x%dy", min(i, 2*maxRoutes)), status: 200})
	}
	m := tally.mix()
	if want := (Others{Routes: maxRoutes - listed, More: true, Requests: 3*maxRoutes - listed, Share: m.Others.Share}); m.Others != want || len(m.Routes) != listed {
		t.Errorf("%d routes, and others %+v", len(m.Routes), m.Others)
	}
	for _, r := range m.Routes {
		if len(r.Route) > len("GET /x1000y") {
			t.Errorf("the route %q", r.Route)
		}
	}
}

// TestTallyAgrees compares the rings with a list of all requests: the rate, the gap and the mix are those of the same time.
func TestTallyAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		step := time.Duration(rapid.IntRange(1, 30).Draw(t, "step")) * time.Second
		over := step * time.Duration(rapid.IntRange(10, 400).Draw(t, "steps"))
		tally := newTally(over, step)
		var all []int64
		at := hour.UnixNano()
		for range rapid.IntRange(1, 300).Draw(t, "requests") {
			at += int64(rapid.IntRange(0, 40).Draw(t, "later")) * int64(time.Second)
			all = append(all, at)
			tally.add(entry{at: at, path: []byte("/"), status: 200})
		}
		span := tally.span()
		if span.Length() > over || span.End.UnixNano() != at {
			t.Fatalf("%s to %s for %s until %s", span.Start, span.End, over, time.Unix(0, at))
		}
		if first := all[0]; at-first > int64(over) && span.Length() < over*9/10-step {
			t.Fatalf("only %s of %s are covered", span.Length(), over)
		}
		inside, counts := uint64(0), map[int64]float64{}
		for _, x := range all {
			if x >= span.Start.UnixNano() {
				inside++
			}
			counts[x/int64(step)]++
		}
		if got := tally.requests(); got != inside || tally.mix().Requests != inside {
			t.Fatalf("%d requests, in the mix %d, want %d", got, tally.mix().Requests, inside)
		}
		longest, empty := time.Duration(0), time.Duration(0)
		for _, s := range tally.samples() {
			if want := counts[s.At.UnixNano()/int64(step)-1] / step.Seconds(); s.Value != want {
				t.Fatalf("%g a second before %s, want %g", s.Value, s.At, want)
			}
			empty += step
			if s.Value > 0 {
				empty = 0
			}
			longest = max(longest, empty)
		}
		if got := tally.gap().Length(); got != longest {
			t.Fatalf("the longest gap is %s, want %s", got, longest)
		}
	})
}

// TestMemoryIsBounded reads logs of which one is eight times as long, and has a route of its own in each line.
func TestMemoryIsBounded(t *testing.T) {
	held := func(lines int) uint64 {
		from, to := io.Pipe()
		go func() {
			for i := range lines {
				at := now.Add(-time.Duration(lines-i) * 100 * time.Millisecond)
				if _, err := io.WriteString(to, combined(at, fmt.Sprintf("GET /x%dy/z HTTP/1.1", i), 404)); err != nil {
					break
				}
			}
			to.Close()
		}()
		r := &reading{tally: newTally(time.Hour, 10*time.Second)}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		if err := r.read(t.Context(), from, parseCommon); err != nil {
			t.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if m := r.tally.mix(); len(m.Routes) != listed || m.Others.Routes < maxRoutes || m.Others.Share < 0.9 {
			t.Errorf("%d routes are listed, others %+v", len(m.Routes), m.Others)
		}
		return after.HeapAlloc - min(before.HeapAlloc, after.HeapAlloc)
	}
	short, long := held(40_000), held(320_000)
	if long > short+short/4+1<<20 {
		t.Errorf("it holds %d bytes after 40,000 lines, and %d after 320,000", short, long)
	}
}

// BenchmarkLog reads a log of 100 MB of which one line in a hundred is garbage.
func BenchmarkLog(b *testing.B) {
	const size = 100 << 20
	logs := map[string]Log{"combined": DefaultLog(), "json": DefaultLog(), "regexp": DefaultLog()}
	asJSON, byPattern := logs["json"], logs["regexp"]
	asJSON.Format = JSON
	byPattern.Format, byPattern.Pattern = Regexp, `\[(?P<time>[^\]]+)\] "(?P<method>\S+) (?P<path>\S+) [^"]*" (?P<status>\d+)`
	logs["json"], logs["regexp"] = asJSON, byPattern
	for _, name := range []string{"combined", "json", "regexp"} {
		l := logs[name]
		l.Over = 40 * time.Minute
		text := make([]byte, 0, size+1000)
		r := rand.New(rand.NewPCG(1, 2))
		for i := 0; len(text) < size; i++ {
			at := now.Add(-time.Hour + time.Duration(i)*4*time.Millisecond)
			path := fmt.Sprintf("/shop/%d/items/%08x?page=%d", r.IntN(1000), r.Uint32(), r.IntN(9))
			switch {
			case i%100 == 0:
				text = append(text, "goroutine 17 [running]: main.(*server).handle(0xc000184000) server.go:117 +0x1d\n"...)
			case l.Format == JSON:
				text = fmt.Appendf(text, `{"time":%q,"remote":"10.1.2.3","method":"GET","path":%q,"status":200,"bytes":5123,"agent":"Mozilla/5.0"}`+"\n",
					at.Format(time.RFC3339Nano), path)
			default:
				text = append(text, combined(at, "GET "+path+" HTTP/1.1", 200)...)
			}
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.measure(b.Context(), bytes.NewReader(text), now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
