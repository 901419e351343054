package loadgen

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// Point is one value of a series, such as a rate per second, at a time since whatever the series counts from.
type Point struct {
	At    time.Duration
	Value float64
}

// SeriesError is a mistake in a series, with its line.
type SeriesError struct {
	Line int    // from 1
	Text string // a sentence without its period
}

// Error returns the text with its line.
func (e *SeriesError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// centuries are longer than any series.
const centuries = 200 * 365 * 24 * time.Hour

// bom may begin a text file that was written on Windows.
var bom = []byte("\xef\xbb\xbf")

// ReadSeries reads a series of rates as CSV (RFC 4180): two columns, the time and how many a second there were then.
// Times are seconds from anywhere, such as the epoch, or all of them RFC 3339, and go forward; points count from the
// first one. A first line that has neither a time nor a rate is a heading, and lines that begin with # are remarks. A
// mistake is a *SeriesError; nothing is guessed for a rate that is missing.
func ReadSeries(r io.Reader) ([]Point, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("reading a series: %w", err)
	}
	rows := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, bom)))
	rows.Comment, rows.FieldsPerRecord, rows.TrimLeadingSpace, rows.ReuseRecord = '#', -1, true, true
	var s seriesReader
	for first := true; ; first = false {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var bad *csv.ParseError
		if errors.As(err, &bad) {
			return nil, &SeriesError{bad.Line, bad.Err.Error()}
		}
		line, _ := rows.FieldPos(0)
		if text := s.add(row, first); text != "" {
			return nil, &SeriesError{line, text}
		}
	}
	if len(s.points) < 2 {
		return nil, &SeriesError{1, fmt.Sprintf("there are %d points, and a series has two at least", len(s.points))}
	}
	return s.points, nil
}

// seriesReader takes the rows of a series.
type seriesReader struct {
	points []Point
	dated  bool // times are RFC 3339
	date   time.Time
	second float64
}

// add takes one row, and returns what is wrong with it.
func (s *seriesReader) add(row []string, first bool) string {
	if len(row) != 2 {
		return fmt.Sprintf("there are %d columns, and two are expected: the time and the rate per second", len(row))
	}
	when, rate := strings.TrimSpace(row[0]), strings.TrimSpace(row[1])
	value, err := strconv.ParseFloat(rate, 64)
	since, wrong := s.since(when)
	switch {
	case rate == "":
		return "the rate is missing; take the line out to have a straight line in its place"
	case err != nil && wrong != "" && first:
		return "" // the heading
	case err != nil || math.IsNaN(value) || math.IsInf(value, 0):
		return fmt.Sprintf("%q is not a rate per second", rate)
	case value < 0:
		return fmt.Sprintf("the rate is %s, and less than nothing cannot be sent", rate)
	case len(s.points) == MaxLegs:
		return fmt.Sprintf("there are more than %d points", MaxLegs)
	case wrong != "":
		return wrong
	case len(s.points) > 0 && since <= s.points[len(s.points)-1].At:
		return fmt.Sprintf("the time %s does not come after that of the line before", when)
	}
	s.points = append(s.points, Point{since, value})
	return ""
}

// since reads a time, and counts it from the first one.
func (s *seriesReader) since(text string) (time.Duration, string) {
	begun := len(s.points) > 0
	second, notNumber := strconv.ParseFloat(text, 64)
	date, notDate := time.Parse(time.RFC3339, text)
	switch {
	case (notNumber != nil || math.IsNaN(second) || math.IsInf(second, 0)) && notDate != nil:
		return 0, fmt.Sprintf("%q is not a time: write seconds, or RFC 3339 such as 2026-11-20T14:00:00Z", text)
	case begun && s.dated != (notDate == nil):
		return 0, "some times are seconds and others RFC 3339"
	case !begun:
		s.dated, s.date, s.second = notDate == nil, date, second
		return 0, ""
	}
	since := date.Sub(s.date).Seconds() // at the end of what a Duration holds when the dates are too far apart
	if !s.dated {
		since = second - s.second
	}
	if since > centuries.Seconds() {
		return 0, fmt.Sprintf("the time %s is centuries after the first one", text)
	}
	return time.Duration(math.Round(since * float64(time.Second))), ""
}
