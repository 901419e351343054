package baseline

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// Format is how a line of an access log is written.
type Format string

// The formats.
const (
	// Combined is that of Apache and nginx: address, names, [time], "request", status, size, "referer", "agent".
	Combined Format = "combined"
	// Common is the same without the last two. Each is read by the other's name: what follows the status is not looked at.
	Common Format = "common"
	// JSON is an object a line.
	JSON Format = "json"
	// Regexp is a pattern of the user's own.
	Regexp Format = "regexp"
)

// Formats lists the formats, in the order of the documentation.
func Formats() []string {
	return []string{string(Combined), string(Common), string(JSON), string(Regexp)}
}

// Fields are the paths, as gjson writes them, at which the JSON of a log has what is read from it: "request.uri".
type Fields struct {
	Time, Method, Path, Status string
}

// DefaultFields returns the names that are read where none are given.
func DefaultFields() Fields {
	return Fields{Time: "time", Method: "method", Path: "path", Status: "status"}
}

// entry is one request in a log. Its bytes are those of the line.
type entry struct {
	at           int64 // nanoseconds since the epoch
	method, path []byte
	status       int // 0 when it is not known
}

// parser reads one line; ok is false for one that is no request.
type parser func(line []byte) (e entry, ok bool)

// Check reports a format that cannot be read, before the log is.
func (l Log) Check() error {
	_, err := l.parser()
	return err
}

// parser returns the reader of the log's lines.
func (l Log) parser() (parser, error) {
	switch l.Format {
	case Combined, Common:
		return parseCommon, nil
	case JSON:
		return l.parseJSON(), nil
	case Regexp:
		p, err := CompilePattern(l.Pattern)
		if err != nil {
			return nil, fmt.Errorf("the pattern: %w", err)
		}
		return l.parseRegexp(p), nil
	}
	return nil, fmt.Errorf("there is no format %q: there are %s", l.Format, strings.Join(Formats(), ", "))
}

// lastYear bounds times: nanoseconds since the epoch fit until 2262.
const lastYear = 2200

const (
	commonTime = "02/Jan/2006:15:04:05 -0700"
	months     = "JanFebMarAprMayJunJulAugSepOctNovDec"
)

// parseCommon reads the common and the combined format. The time is looked for from the left, as names may hold brackets.
func parseCommon(line []byte) (e entry, ok bool) {
	rest := line
	for !ok {
		i := bytes.IndexByte(rest, '[')
		if i < 0 || len(rest) < i+len(commonTime)+2 {
			return entry{}, false
		}
		rest = rest[i+1:]
		e.at, ok = parseCommonTime(rest[:len(commonTime)])
		ok = ok && rest[len(commonTime)] == ']'
	}
	rest = rest[len(commonTime)+1:]
	if !bytes.HasPrefix(rest, []byte(` "`)) {
		return entry{}, false
	}
	rest = rest[2:]
	end := closingQuote(rest)
	if end < 0 {
		return entry{}, false
	}
	e.method, e.path = splitRequest(rest[:end])
	rest = rest[end+1:]
	if len(rest) < 4 || rest[0] != ' ' {
		return entry{}, false
	}
	status, ok := number(rest[1:4])
	if !ok || len(rest) > 4 && rest[4] != ' ' {
		return entry{}, false
	}
	e.status = statusOf(float64(status))
	return e, true
}

// parseCommonTime reads 10/Oct/2000:13:55:36 -0700. It takes a tenth of the time of time.Parse, of which there is one a line.
func parseCommonTime(b []byte) (int64, bool) {
	if b[2] != '/' || b[6] != '/' || b[11] != ':' || b[14] != ':' || b[17] != ':' || b[20] != ' ' {
		return 0, false
	}
	month := strings.Index(months, string(b[3:6]))
	var n [7]int
	for i, at := range [...][2]int{{0, 2}, {7, 11}, {12, 14}, {15, 17}, {18, 20}, {22, 24}, {24, 26}} {
		var ok bool
		if n[i], ok = number(b[at[0]:at[1]]); !ok {
			return 0, false
		}
	}
	day, year, hour, minute, second := n[0], n[1], n[2], n[3], n[4]
	offset := n[5]*3600 + n[6]*60
	switch {
	case month < 0 || month%3 != 0 || day < 1 || day > 31 || year < 1970 || year > lastYear || hour > 23 || minute > 59 || second > 60 || n[6] > 59:
		return 0, false
	case b[21] == '-':
		offset = -offset
	case b[21] != '+':
		return 0, false
	}
	t := time.Date(year, time.Month(month/3+1), day, hour, minute, second, 0, time.UTC)
	return (t.Unix() - int64(offset)) * int64(time.Second), t.Day() == day
}

// number reads digits and nothing else.
func number(b []byte) (n int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, len(b) > 0
}

// closingQuote returns where a quoted text ends. Both servers escape a quote within it.
func closingQuote(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// splitRequest takes "GET /path HTTP/1.1" apart. What is no such line, as when somebody speaks TLS to a plain port, was a
// request all the same, without method and path.
func splitRequest(b []byte) (method, path []byte) {
	method, rest, ok := bytes.Cut(b, []byte(" "))
	if !ok || len(method) == 0 || len(method) > maxMethod {
		return nil, nil
	}
	for _, c := range method {
		if (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return nil, nil
		}
	}
	if i := bytes.LastIndex(rest, []byte(" HTTP/")); i >= 0 {
		rest = rest[:i]
	}
	return method, rest
}

// parseJSON reads objects. A line without a time or a path is no request: other things are logged as JSON too.
func (l Log) parseJSON() parser {
	f := l.Fields
	return func(raw []byte) (entry, bool) {
		if !gjson.ValidBytes(raw) {
			return entry{}, false
		}
		line := string(raw)
		when, path := gjson.Get(line, f.Time), gjson.Get(line, f.Path)
		if !when.Exists() || path.Type != gjson.String {
			return entry{}, false
		}
		e, ok := entry{}, false
		if when.Type == gjson.Number {
			e.at, ok = epoch(when.Num)
		} else {
			e.at, ok = parseTime(when.Str, l.Zone)
		}
		e.path = []byte(path.Str)
		if strings.Contains(path.Str, " ") {
			e.method, e.path = splitRequest(e.path)
		} else {
			e.method = []byte(gjson.Get(line, f.Method).Str)
		}
		e.status = statusOf(gjson.Get(line, f.Status).Float())
		return e, ok
	}
}

// Groups are the names that a pattern's groups may have; the time must be among them.
func Groups() []string { return []string{"time", "method", "path", "status"} }

// CompilePattern compiles the pattern of a log's lines, or says what is wrong with it.
func CompilePattern(pattern string) (*regexp.Regexp, error) {
	p, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	if p.SubexpIndex("time") < 0 {
		return nil, errors.New(`it has no group for the time of a request: (?P<time>…)`)
	}
	for _, name := range p.SubexpNames() {
		if name != "" && !slices.Contains(Groups(), name) {
			return nil, fmt.Errorf("it has a group %q; groups may be named %s", name, strings.Join(Groups(), ", "))
		}
	}
	return p, nil
}

// parseRegexp reads lines by a pattern.
func (l Log) parseRegexp(p *regexp.Regexp) parser {
	indexes := map[string]int{}
	for _, name := range Groups() {
		indexes[name] = p.SubexpIndex(name)
	}
	return func(line []byte) (entry, bool) {
		found := p.FindSubmatchIndex(line)
		if found == nil {
			return entry{}, false
		}
		group := func(name string) []byte {
			i := indexes[name]
			if i < 0 || found[2*i] < 0 {
				return nil
			}
			return line[found[2*i]:found[2*i+1]]
		}
		e := entry{method: group("method"), path: group("path")}
		status, _ := number(group("status"))
		e.status = statusOf(float64(status))
		if bytes.IndexByte(e.path, ' ') >= 0 {
			e.method, e.path = splitRequest(e.path)
		}
		var ok bool
		e.at, ok = parseTime(string(group("time")), l.Zone)
		return e, ok
	}
}

// statusOf returns a status that HTTP knows, or 0.
func statusOf(v float64) int {
	if v >= 100 && v < 600 {
		return int(v)
	}
	return 0
}

// layouts are the times that are understood, beside seconds since the epoch. Those without an offset are in the log's zone.
var layouts = []string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700", "2006-01-02T15:04:05",
	"2006-01-02 15:04:05", "02/Jan/2006:15:04:05", "2006/01/02 15:04:05", time.RFC1123, time.RFC1123Z}

// parseTime reads a time. Fractions of a second are understood after the seconds of every layout.
func parseTime(text string, zone *time.Location) (int64, bool) {
	if len(text) == len(commonTime) {
		if at, ok := parseCommonTime([]byte(text)); ok {
			return at, true
		}
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		return epoch(seconds)
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			// An abbreviation that the zone does not know is read as if it were UTC's.
			if name, offset := t.Zone(); offset == 0 && name != "UTC" && name != "GMT" && name != "" && t.Location() != zone {
				return 0, false
			}
			return t.UnixNano(), t.Year() >= 1970 && t.Year() <= lastYear
		}
	}
	return 0, false
}

// epoch converts seconds since the epoch, or milliseconds, microseconds or nanoseconds, which are so many that they cannot be
// meant as anything longer.
func epoch(v float64) (int64, bool) {
	for _, unit := range []float64{1e9, 1e6, 1e3, 1} {
		if v >= 0 && v < 7e9*1e9/unit { // until the year 2191
			return int64(math.Round(v * unit)), true
		}
	}
	return 0, false
}
