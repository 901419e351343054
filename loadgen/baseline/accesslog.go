package baseline

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"gameday/clock"
)

// Log measures 1x from an access log: a quantile of the rates in its last stretch, and what was asked for.
//
// The log is read once, from its begin to where it ended when it was opened, in memory that does not grow with it; one that
// is compressed by gzip is unpacked on the way.
type Log struct {
	Path    string
	Format  Format
	Pattern string // of the format Regexp
	Fields  Fields // of the format JSON
	// Over is how far to look back from the newest line, Step what one sample stands for.
	Over, Step time.Duration
	Quantile   float64
	Zone       *time.Location // of times without an offset
	// MaxAge is how old the newest line may be, and MaxGap how long there may be no line. 0 are a day, and a tenth of what is
	// covered.
	MaxAge, MaxGap time.Duration
	// Ours is when game days sent traffic of their own, which may be in the log.
	Ours []clock.Span
}

// DefaultLog returns a log with what is usual: only its Path is missing.
func DefaultLog() Log {
	return Log{Format: Combined, Fields: DefaultFields(), Over: time.Hour, Step: 10 * time.Second,
		Quantile: DefaultQuantile, Zone: time.UTC}
}

const (
	// MinLogSteps is how many steps Over must have: the ends of a log are lost to steps that are not whole.
	MinLogSteps = 10
	// MaxLogOver is how far Over may reach: what is counted of each step is held in memory.
	MaxLogOver = 31 * day
)

const (
	// readBuffer bounds a line: a longer one is not read.
	readBuffer = 256 << 10
	// maxUnread is the share of lines that may be unreadable.
	maxUnread = 0.05
	// shownLines is how many unreadable lines are shown, and shownBytes how much of each.
	shownLines, shownBytes = 3, 80
	// lateness is by how much a line may be older than one before it: servers write a line when a request ends, and some with
	// the time at which it began.
	lateness = time.Minute
	// maxBackwards is the share of lines that may be later than that.
	maxBackwards = 0.01
	// maxAhead is by how much the newest line may be ahead of the clock.
	maxAhead = 5 * time.Minute
	// gapShare is the share of what is covered for which there may be no line, and gapLines how many lines must be missing then,
	// going by the others, for it to be strange.
	gapShare, gapLines = 0.10, 100
	// usualLogAge is how old the newest line may be when nothing tells.
	usualLogAge = day
)

// Measure reads the log. now is the time at which it is asked.
func (l Log) Measure(ctx context.Context, now time.Time) (*Measured, error) {
	info, err := os.Stat(l.Path) // before it is opened, for a pipe that nobody writes to would not be
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", l.Path)
	}
	f, err := os.Open(l.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	return l.measure(ctx, io.LimitReader(f, info.Size()), now)
}

// measure reads a log from a stream.
func (l Log) measure(ctx context.Context, from io.Reader, now time.Time) (*Measured, error) {
	parse, err := l.parser()
	if err != nil {
		return nil, err
	}
	r := &reading{tally: newTally(l.Over, l.Step)}
	if err := r.read(ctx, from, parse); err != nil {
		return nil, fmt.Errorf("reading line %d: %w", r.number, err)
	}
	if err := r.check(l, now); err != nil {
		return nil, err
	}
	samples := r.tally.samples()
	if len(samples) < MinSamples {
		return nil, tooFew(len(samples), l.Step)
	}
	m := quantile(samples, l.Quantile, l.Step)
	m.Chosen = "the last " + Span(r.tally.span().Length().Truncate(time.Second)) + " of the log"
	m.Mix = r.tally.mix()
	m.Mix.Lines, m.Mix.Unread = r.lines, r.unread
	if r.unread > 0 {
		m.Notes = append(m.Notes, r.unreadable(false))
	}
	for _, note := range []string{ownTraffic(samples, l.Step, l.Ours), chanceAlone(samples, m)} {
		if note != "" {
			m.Notes = append(m.Notes, note)
		}
	}
	return settled(m)
}

const (
	// aboveMean is by what share 1x may be above the mean of steps that differ by chance alone, without a word.
	aboveMean = 0.1
	// dispersion is up to what variance, in means, counts are taken for those of a Poisson process, which has 1.
	dispersion = 1.5
)

// chanceAlone says of steps with few requests that what they differ by is chance: the highest of them are no rate that the
// service was asked for on purpose.
func chanceAlone(samples []Sample, m *Measured) string {
	mean, variance := 0.0, 0.0 // of the counts
	for _, s := range samples {
		mean += s.Value * m.Each.Seconds() / float64(len(samples))
	}
	for _, s := range samples {
		d := s.Value*m.Each.Seconds() - mean
		variance += d * d / float64(len(samples))
	}
	usual := mean / m.Each.Seconds()
	if m.Rate <= (1+aboveMean)*usual || variance > dispersion*mean {
		return ""
	}
	return fmt.Sprintf("the steps differ by no more than chance: each has %.3g requests on average, and the %s is %.0f %% more "+
		"than their mean, %.3g/s. Take a longer step", mean, m.Statistic, 100*(m.Rate/usual-1), usual)
}

// reading is a log as it is read.
type reading struct {
	tally *tally

	number        uint64    // of the line being read, from 1
	lines, unread uint64    // lines that are not empty, and those of them that cannot be read
	bad           []badLine // the first of those
	latest        int64     // newest time so far
	backwards     uint64    // lines that are older than they may be
	back          struct {  // the first of them
		line     uint64
		from, to int64
	}
}

type badLine struct {
	number uint64
	text   string
}

// read counts every line of a log. A last line that is not whole yet, as in a log that is being written, does not count when
// it cannot be read.
func (r *reading) read(ctx context.Context, from io.Reader, parse parser) error {
	in, err := unpacked(from)
	if err != nil {
		return err
	}
	for {
		r.number++
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			r.garbage(line)
			if err := skipLine(in); err != nil {
				return err
			}
		case err == nil, errors.Is(err, io.EOF):
			r.line(bytes.TrimRight(line, "\r\n"), err == nil, parse)
			if err != nil {
				return nil
			}
		default:
			return err
		}
		if r.number%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// line reads one line, which is whole or what there is of the last one.
func (r *reading) line(line []byte, whole bool, parse parser) {
	if len(line) == 0 {
		return
	}
	e, ok := parse(line)
	switch {
	case ok && e.at >= 0:
		r.lines++
		r.count(e)
	case whole:
		r.garbage(line)
	}
}

// unpacked returns a buffered reader of what a stream holds.
func unpacked(from io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(from, readBuffer)
	if magic, err := in.Peek(2); err != nil || magic[0] != 0x1f || magic[1] != 0x8b {
		return in, nil // whatever is wrong is met again by the first read
	}
	packed, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	return bufio.NewReaderSize(&unpacker{packed}, readBuffer), nil
}

// unpacker says of a compressed log that it is cut off, which is not the end of it.
type unpacker struct{ *gzip.Reader }

func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("unpacking: %w. Is the file still being written, or cut off?", err)
	}
	return n, err
}

// skipLine reads up to the end of a line.
func skipLine(in *bufio.Reader) error {
	for {
		_, err := in.ReadSlice('\n')
		switch {
		case err == nil, errors.Is(err, io.EOF):
			return nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

// garbage notes a line that cannot be read.
func (r *reading) garbage(line []byte) {
	r.lines++
	r.unread++
	if len(r.bad) < shownLines {
		r.bad = append(r.bad, badLine{r.number, string(line[:min(len(line), shownBytes)])})
	}
}

// count counts a request.
func (r *reading) count(e entry) {
	if r.latest-e.at > int64(lateness) {
		if r.backwards == 0 {
			r.back.line, r.back.from, r.back.to = r.number, r.latest, e.at
		}
		r.backwards++
	}
	r.latest = max(r.latest, e.at)
	r.tally.add(e)
}

// check refuses a log that cannot be trusted, or does not reach.
func (r *reading) check(l Log, now time.Time) error {
	newest := time.Unix(0, r.latest)
	switch {
	case r.lines == 0:
		return errors.New("the log is empty. Was it rotated just now? Name the one before")
	case float64(r.unread) > maxUnread*float64(r.lines):
		return errors.New(r.unreadable(true) + ". Is the format right?")
	case float64(r.backwards) > maxBackwards*float64(r.lines):
		return fmt.Errorf("time goes backwards in line %d, from %s to %s, and %d of %d lines are out of order. "+
			"Are these several logs, or was "+
			"the clock set? Sort it, or take a part of it", r.back.line, stamp(time.Unix(0, r.back.from)),
			stamp(time.Unix(0, r.back.to)),
			r.backwards, r.lines)
	case newest.Sub(now) > maxAhead:
		return fmt.Errorf("the newest line is %s in the future (%s). Is time_zone right? Times without an offset "+
			"are read as %s",
			Span(newest.Sub(now).Truncate(time.Second)), stamp(newest), l.Zone)
	}
	if err := TooOld("the newest line", newest, now, cmp.Or(l.MaxAge, usualLogAge), "Is this the right log?"); err != nil {
		return err
	}
	span := r.tally.span()
	if covered := span.Length(); float64(covered) < MinCoverage*float64(l.Over) {
		return fmt.Errorf("the log covers %s, from %s to %s, of %s that are asked for. Was it rotated? Look back "+
			"less far (over), or name a log that "+
			"reaches further", Span(covered.Truncate(time.Second)), stamp(span.Start), stamp(span.End), Span(l.Over))
	}
	return r.jump(l)
}

// jump refuses a log in which a stretch is missing. Seconds without a line count as such, but for a long time without any the
// log itself may be what is missing.
func (r *reading) jump(l Log) error {
	span, gap := r.tally.span(), r.tally.gap()
	most, strange := l.MaxGap, true
	if most == 0 {
		most = max(time.Minute, time.Duration(gapShare*float64(span.Length())))
		usual := float64(r.tally.requests()) / (span.Length() - gap.Length()).Seconds()
		strange = usual*gap.Length().Seconds() >= gapLines
	}
	if gap.Length() <= most || !strange {
		return nil
	}
	return fmt.Errorf("time jumps: there is no line from %s to %s. Is a part of the log missing, or was nothing "+
		"served? Look back less far (over); "+
		"if it is as quiet as that, say so: max_gap = \"%s\"", stamp(gap.Start), stamp(gap.End),
		gap.Length().Round(time.Second)+time.Second)
}

// unreadable says which lines cannot be read, with their text or without: a line may hold what is not for a record.
func (r *reading) unreadable(text bool) string {
	var b strings.Builder
	share := 100 * float64(r.unread) / float64(r.lines)
	fmt.Fprintf(&b, "%d of %d lines (%.3g %%) cannot be read; the first ones:", r.unread, r.lines, share)
	for i, l := range r.bad {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " line %d", l.number)
		if text {
			fmt.Fprintf(&b, " %q", l.text)
		}
	}
	return b.String()
}
