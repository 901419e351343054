package grafana

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gameday/alarms/internal/fold"
)

// transition is one change of an instance, as the state history tells of it.
type transition struct {
	At             time.Time // by Grafana's clock: the evaluation that found it
	Previous, Next string    // states with their reasons
	Labels         map[string]string
	RuleUID        string
}

// frame is Grafana's form of a table: columns, each with a name.
type frame struct {
	Schema *struct {
		Fields []struct {
			Name string `json:"name"`
		} `json:"fields"`
	} `json:"schema"`
	Data *struct {
		Values [][]json.RawMessage `json:"values"`
	} `json:"data"`
}

// columns returns the columns by name, all of one length.
func (f frame) columns() (map[string][]json.RawMessage, int, error) {
	if f.Schema == nil || f.Data == nil {
		return nil, 0, errors.New("the answer is no frame: it has no schema or no data")
	}
	out, rows := map[string][]json.RawMessage{}, 0
	for i, field := range f.Schema.Fields {
		var values []json.RawMessage
		if i < len(f.Data.Values) {
			values = f.Data.Values[i]
		} else if len(f.Data.Values) > 0 {
			return nil, 0, fmt.Errorf("the frame has %d columns, and values for %d", len(f.Schema.Fields), len(f.Data.Values))
		}
		if i > 0 && len(values) != rows {
			return nil, 0, fmt.Errorf("the frame's columns are of %d and %d rows", rows, len(values))
		}
		out[field.Name], rows = values, len(values)
	}
	return out, rows, nil
}

// read takes the transitions out of a frame, of either backend: that of Loki has a column with lines of JSON, that of annotations
// has the states in columns of their own and the labels in a text. title is the rule's, for the latter.
func (f frame) read(title string) (list []transition, annotations bool, err error) {
	columns, rows, err := f.columns()
	if err != nil {
		return nil, false, err
	}
	lines, loki := columns["line"]
	_, annotations = columns["next"]
	if _, ok := columns["time"]; !ok || !loki && !annotations {
		return nil, false, errors.New("the frame is of no known form: it has neither lines nor states")
	}
	for i := range rows {
		var t transition
		if t.At, err = instant(columns["time"][i]); err != nil {
			return nil, false, err
		}
		if loki {
			err = t.line(lines[i])
		} else {
			err = t.annotation(columns, i, title)
		}
		if err != nil {
			return nil, false, fmt.Errorf("row %d: %w", i, err)
		}
		list = append(list, t)
	}
	return list, annotations && !loki, nil
}

// instant reads a frame's time, in milliseconds. Grafana up to 12 takes the milliseconds of annotations for seconds.
func instant(raw json.RawMessage) (time.Time, error) {
	ms, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || ms < 1e11 || ms > 1e17 {
		return time.Time{}, fmt.Errorf("%s is not a time in milliseconds", clip(string(raw)))
	}
	if ms > 1e14 {
		ms /= 1000
	}
	return time.UnixMilli(int64(ms)), nil
}

// line reads a line of JSON, which may stand in the frame as it is or as a text.
func (t *transition) line(raw json.RawMessage) error {
	if text := ""; bytes.HasPrefix(raw, []byte(`"`)) {
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
		raw = json.RawMessage(text)
	}
	var l struct {
		Previous string            `json:"previous"`
		Current  string            `json:"current"`
		RuleUID  string            `json:"ruleUID"`
		Labels   map[string]string `json:"labels"`
	}
	if err := json.Unmarshal(raw, &l); err != nil {
		return fmt.Errorf("a line is not the JSON expected: %w", err)
	}
	if l.Current == "" {
		return errors.New("a line has no state")
	}
	t.Previous, t.Next, t.RuleUID, t.Labels = l.Previous, l.Current, l.RuleUID, public(l.Labels)
	return nil
}

// annotation reads a row of the columns of annotations.
func (t *transition) annotation(columns map[string][]json.RawMessage, i int, title string) error {
	var text string
	for name, to := range map[string]*string{"prev": &t.Previous, "next": &t.Next, "text": &text} {
		column := columns[name]
		if i >= len(column) {
			return fmt.Errorf("there is no column %s", name)
		}
		if err := json.Unmarshal(column[i], to); err != nil {
			return fmt.Errorf("column %s: %w", name, err)
		}
	}
	labels, ok := labelsOf(text, title)
	if !ok {
		return fmt.Errorf("the text %q has no labels", clip(text))
	}
	t.Labels = labels
	return nil
}

// labelsOf reads the labels in the text of an annotation: "Payments down {alertname=Payments down, severity=page} - A=1". A value
// may hold what separates labels, so a part without a sign of equality belongs to the one before.
func labelsOf(text, title string) (map[string]string, bool) {
	rest, ok := strings.CutPrefix(text, title+" {")
	end := strings.LastIndex(rest, "} - ")
	if !ok || end < 0 {
		return nil, false
	}
	labels, last := map[string]string{}, ""
	for part := range strings.SplitSeq(rest[:end], ", ") {
		name, value, found := strings.Cut(part, "=")
		switch {
		case found:
			labels[name], last = value, name
		case last != "":
			labels[last] += ", " + part
		case part != "":
			return nil, false
		}
	}
	return public(labels), true
}

const (
	// mostRows is how many rows are asked for at once: Loki gives no more.
	mostRows = 5000
	// narrowest is the stretch below which an answer that is cut off is not divided any more.
	narrowest = 2 * time.Second
)

// cutOff reports whether an answer of so many rows may be only the newest of more: of the number that was asked for, or of the
// numbers that backends stop at by themselves.
func cutOff(rows int) bool { return rows >= mostRows || rows == 1000 || rows == 100 }

// transitions returns the changes of a rule, or of all without a UID, between two instants of Grafana's clock. An answer that may
// be cut off is asked for again in halves.
func (s *Source) transitions(ctx context.Context, uid, title string, from, to time.Time) (list []transition, annotations bool, err error) {
	query := url.Values{"limit": {strconv.Itoa(mostRows)}, "from": {strconv.FormatInt(from.Unix(), 10)}, "to": {strconv.FormatInt(to.Unix()+1, 10)}}
	if uid != "" {
		query.Set("ruleUID", uid)
	}
	var f frame
	if _, err = s.api.JSON(ctx, "/api/v1/rules/history", query, &f); err != nil {
		return nil, false, err
	}
	if list, annotations, err = f.read(title); err != nil {
		return nil, false, fmt.Errorf("reading the state history: %w", err)
	}
	if !cutOff(len(list)) {
		return list, annotations, nil
	}
	if to.Sub(from) <= narrowest {
		return nil, false, fmt.Errorf("reading the state history: %d changes around %s, and no more are answered at once", len(list), from.Format(time.TimeOnly))
	}
	middle := from.Add(to.Sub(from) / 2)
	list, annotations, err = s.transitions(ctx, uid, title, from, middle)
	if err != nil {
		return nil, false, err
	}
	more, _, err := s.transitions(ctx, uid, title, middle, to)
	return append(list, more...), annotations, err // what both have counts once, as all repetitions do
}

// key names the alarm of a transition.
func (t transition) key() string { return fold.Key(t.Labels) }
