package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"time"

	"gameday/sources/web"
)

// rule is an alerting rule as the rules API shows it, with its group's interval.
type rule struct {
	Name           string            `json:"name"`
	Type           string            `json:"type"`
	Labels         map[string]string `json:"labels"`
	Annotations    map[string]string `json:"annotations"`
	Health         string            `json:"health"`
	LastError      string            `json:"lastError"`
	LastEvaluation time.Time         `json:"lastEvaluation"` // in the server's clock; year 1 when never evaluated
	Alerts         []alert           `json:"alerts"`
	Query          string            `json:"query"`
	Duration       float64           `json:"duration"`      // its "for", seconds
	KeepFiring     float64           `json:"keepFiringFor"` // seconds; absent before 2.42
	Interval       time.Duration     `json:"-"`
}

// evaluated reports whether the rule was evaluated since the server started.
func (r rule) evaluated() bool { return r.LastEvaluation.Unix() > 0 }

// alert is an active alert: pending or firing.
type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	State       string            `json:"state"`
	ActiveAt    time.Time         `json:"activeAt"` // start of the pending phase, in the server's clock
}

// sample is one raw sample of a series: milliseconds are exact.
type sample struct {
	At    time.Time
	Value float64
}

// series is a series with its raw samples, in order.
type series struct {
	Metric  map[string]string `json:"metric"`
	Samples []sample          `json:"values"`
}

// UnmarshalJSON reads Prometheus's form: [1700000000.123, "1"].
func (s *sample) UnmarshalJSON(b []byte) error {
	var pair [2]json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	var at float64
	var text string
	if err := errors.Join(json.Unmarshal(pair[0], &at), json.Unmarshal(pair[1], &text)); err != nil {
		return err
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return err
	}
	s.At, s.Value = stamp(at), value
	return nil
}

// stamp converts seconds since the epoch, which the API writes with three decimals.
func stamp(seconds float64) time.Time { return time.UnixMilli(int64(math.Round(seconds * 1000))) }

// answer is a reply with what the server warns of, as that one of its stores did not answer.
type answer struct {
	web.Reply
	warnings []string
}

// ask gets one API path and decodes the data of its envelope.
func (s *Source) ask(ctx context.Context, path string, query url.Values, into any) (answer, error) {
	var envelope struct {
		Status   string          `json:"status"`
		Error    string          `json:"error"`
		Warnings []string        `json:"warnings"`
		Data     json.RawMessage `json:"data"`
	}
	reply, err := s.api.JSON(ctx, path, query, &envelope)
	a := answer{reply, envelope.Warnings}
	if err != nil {
		return a, err
	}
	if envelope.Status != "success" {
		return a, fmt.Errorf("%s: status %q: %s", path, envelope.Status, envelope.Error)
	}
	if err := json.Unmarshal(envelope.Data, into); err != nil {
		return a, fmt.Errorf("%s: the data is not of the form expected: %w", path, err)
	}
	return a, nil
}

// rules returns the alerting rules with these names, all of them when there are none. Servers that do not know the
// filter return all, so callers filter again.
func (s *Source) rules(ctx context.Context, names []string) ([]rule, answer, error) {
	query := url.Values{"type": {"alert"}}
	if len(names) > 0 {
		query["rule_name[]"] = names
	}
	var data struct {
		Groups []struct {
			Interval float64 `json:"interval"` // seconds
			Rules    []rule  `json:"rules"`
		} `json:"groups"`
	}
	reply, err := s.ask(ctx, "/api/v1/rules", query, &data)
	if err != nil {
		return nil, reply, err
	}
	var out []rule
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			if r.Type != "" && r.Type != "alerting" {
				continue
			}
			r.Interval = time.Duration(g.Interval * float64(time.Second))
			out = append(out, r)
		}
	}
	return out, reply, nil
}

// alerts returns the active alerts.
func (s *Source) alerts(ctx context.Context) ([]alert, answer, error) {
	var data struct {
		Alerts []alert `json:"alerts"`
	}
	reply, err := s.ask(ctx, "/api/v1/alerts", nil, &data)
	return data.Alerts, reply, err
}

// matrix asks for the raw samples of a range selector. The end is in the server's clock.
func (s *Source) matrix(ctx context.Context, query string, end time.Time) ([]series, error) {
	out, _, err := s.result(ctx, "/api/v1/query", url.Values{"query": {query}, "time": {seconds(end)}})
	return out, err
}

// span asks for a query's value at each step. Both ends are in the server's clock. It returns what the server warns of too.
func (s *Source) span(ctx context.Context, query string, start, end time.Time, step time.Duration) ([]series, []string, error) {
	return s.result(ctx, "/api/v1/query_range", url.Values{"query": {query}, "start": {seconds(start)},
		"end": {seconds(end)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', 3, 64)}})
}

// result asks for a matrix, and returns it with what the server warns of.
func (s *Source) result(ctx context.Context, path string, query url.Values) ([]series, []string, error) {
	var data struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	}
	reply, err := s.ask(ctx, path, query, &data)
	if err != nil {
		return nil, nil, err
	}
	if data.Type != "matrix" {
		return nil, nil, fmt.Errorf("%s: a matrix was expected, not a %q", path, data.Type)
	}
	var out []series
	if err := json.Unmarshal(data.Result, &out); err != nil {
		return nil, nil, fmt.Errorf("%s: the matrix is not of the form expected: %w", path, err)
	}
	return out, reply.warnings, nil
}

// number asks for a query that yields one number.
func (s *Source) number(ctx context.Context, query string) (float64, bool, error) {
	var data struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	}
	if _, err := s.ask(ctx, "/api/v1/query", url.Values{"query": {query}}, &data); err != nil {
		return 0, false, err
	}
	var found []sample
	switch data.Type {
	case "scalar":
		found = make([]sample, 1)
		if err := json.Unmarshal(data.Result, &found[0]); err != nil {
			return 0, false, fmt.Errorf("the scalar is not of the form expected: %w", err)
		}
	case "vector":
		var vector []struct {
			Value sample `json:"value"`
		}
		if err := json.Unmarshal(data.Result, &vector); err != nil {
			return 0, false, fmt.Errorf("the vector is not of the form expected: %w", err)
		}
		for _, v := range vector {
			found = append(found, v.Value)
		}
	default:
		return 0, false, fmt.Errorf("the query yields a %s, not a number", data.Type)
	}
	if len(found) > 1 {
		return 0, false, fmt.Errorf("the query yields %d numbers: add sum(), max() or narrower labels", len(found))
	}
	if len(found) == 0 || math.IsNaN(found[0].Value) {
		return 0, false, nil
	}
	return found[0].Value, true, nil
}

// serverTime asks the server for its time.
func (s *Source) serverTime(ctx context.Context) (time.Time, answer, error) {
	var data struct {
		Result sample `json:"result"`
	}
	reply, err := s.ask(ctx, "/api/v1/query", url.Values{"query": {"time()"}}, &data)
	if err != nil {
		return time.Time{}, reply, err
	}
	return stamp(data.Result.Value), reply, nil
}

// seconds writes an instant as the API reads it.
func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
