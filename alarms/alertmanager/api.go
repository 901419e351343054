package alertmanager

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gameday/sources/web"
)

// alert is an alarm that the Alertmanager holds.
type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Fingerprint string            `json:"fingerprint"`
	StartsAt    time.Time         `json:"startsAt"` // by the sender's clock
	Receivers   []struct {
		Name string `json:"name"`
	} `json:"receivers"`
	Status struct {
		State       string   `json:"state"` // unprocessed, active, suppressed
		SilencedBy  []string `json:"silencedBy"`
		InhibitedBy []string `json:"inhibitedBy"`
		MutedBy     []string `json:"mutedBy"` // absent before 0.28
	} `json:"status"`
}

// suppression words why an alarm is suppressed, the empty string when it is not.
func (a alert) suppression() string {
	if a.Status.State != "suppressed" {
		return ""
	}
	var parts []string
	for _, p := range []struct {
		verb string
		by   []string
	}{{"silenced by ", a.Status.SilencedBy}, {"inhibited by ", a.Status.InhibitedBy}, {"muted by ", a.Status.MutedBy}} {
		if len(p.by) > 0 {
			parts = append(parts, p.verb+strings.Join(p.by, ", "))
		}
	}
	if len(parts) == 0 {
		return "suppressed"
	}
	return strings.Join(parts, "; ")
}

// goesTo reports whether the alarm is routed to one of the receivers, to any when there are none.
func (a alert) goesTo(receivers []string) bool {
	for _, r := range a.Receivers {
		if len(receivers) == 0 || slices.Contains(receivers, r.Name) {
			return true
		}
	}
	return false
}

// alerts returns what the Alertmanager holds, suppressed or not.
func (s *Source) alerts(ctx context.Context) ([]alert, web.Reply, error) {
	var out []alert
	reply, err := s.api.JSON(ctx, "/api/v2/alerts",
		url.Values{"active": {"true"}, "silenced": {"true"}, "inhibited": {"true"}, "unprocessed": {"true"}}, &out)
	return out, reply, err
}

// matcher is one condition of a silence.
type matcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual *bool  `json:"isEqual"` // absent means true
}

// holds reports whether the matcher is satisfied by a value.
func (m matcher) holds(value string) bool {
	same := value == m.Value
	if m.IsRegex {
		re, err := regexp.Compile("^(?:" + m.Value + ")$")
		same = err == nil && re.MatchString(value)
	}
	return same == (m.IsEqual == nil || *m.IsEqual)
}

// silence is a silence.
type silence struct {
	ID        string    `json:"id"`
	CreatedBy string    `json:"createdBy"`
	Comment   string    `json:"comment"`
	StartsAt  time.Time `json:"startsAt"`
	EndsAt    time.Time `json:"endsAt"`
	Matchers  []matcher `json:"matchers"`
	Status    struct {
		State string `json:"state"` // expired, active, pending
	} `json:"status"`
}

// covers says whether the silence matches an alarm of which only some labels are known: certainly, or perhaps.
func (s silence) covers(labels map[string]string) (certainly, perhaps bool) {
	certainly = len(s.Matchers) > 0
	for _, m := range s.Matchers {
		value, known := labels[m.Name]
		if !known {
			certainly = false
			continue
		}
		if !m.holds(value) {
			return false, false
		}
	}
	return certainly, !certainly && len(s.Matchers) > 0
}

// silences returns all silences.
func (s *Source) silences(ctx context.Context) ([]silence, error) {
	var out []silence
	_, err := s.api.JSON(ctx, "/api/v2/silences", nil, &out)
	return out, err
}

// counters are what the metrics say of notifications.
type counters struct {
	delivered map[string]float64 // integration → notifications that were accepted
	failed    map[string]float64 // integration → notifications given up
	started   float64            // start of the process, seconds since the epoch; 0 when not told
}

// The counters of notifications. Requests are counted when they are over, notifications when they begin: so the
// requests say better that one has left, and the notifications stand in for them where there are none.
const (
	requests       = "alertmanager_notification_requests_total"
	requestsFailed = "alertmanager_notification_requests_failed_total"
	notified       = "alertmanager_notifications_total"
	notifyFailed   = "alertmanager_notifications_failed_total"
	processStart   = "process_start_time_seconds"
)

// count reads the counters; an error says that there are none.
func (s *Source) count(ctx context.Context) (counters, error) {
	reply, err := s.api.Get(ctx, "/metrics", nil)
	if err != nil {
		return counters{}, err
	}
	sums := read(reply.Body)
	total, failed := sums[requests], sums[requestsFailed]
	if len(total) == 0 {
		total, failed = sums[notified], sums[notifyFailed]
	}
	if len(total) == 0 {
		return counters{}, fmt.Errorf("/metrics has no %s", notified)
	}
	c := counters{delivered: map[string]float64{}, failed: sums[notifyFailed]}
	for integration, n := range total {
		c.delivered[integration] = n - failed[integration]
	}
	for _, v := range sums[processStart] {
		c.started = v
	}
	return c, nil
}

// read sums the series of a text exposition that matter here, by integration.
func read(body []byte) map[string]map[string]float64 {
	out := map[string]map[string]float64{}
	scanner := bufio.NewScanner(bytes.NewReader(body))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		name, labels, value, ok := metric(scanner.Text())
		if !ok {
			continue
		}
		switch name {
		case requests, requestsFailed, notified, notifyFailed, processStart:
			if out[name] == nil {
				out[name] = map[string]float64{}
			}
			out[name][integration(labels)] += value
		}
	}
	return out
}

// metric splits one line of a text exposition; ok is false for comments and for what is not of that form.
func metric(line string) (name, labels string, value float64, ok bool) {
	if strings.HasPrefix(line, "#") {
		return "", "", 0, false
	}
	rest := ""
	if open := strings.IndexByte(line, '{'); open >= 0 {
		end := strings.LastIndexByte(line, '}')
		if end < open {
			return "", "", 0, false
		}
		name, labels, rest = line[:open], line[open+1:end], line[end+1:]
	} else {
		name, rest, _ = strings.Cut(line, " ")
	}
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return "", "", 0, false
	}
	value, err := strconv.ParseFloat(fields[0], 64)
	return name, labels, value, err == nil && !math.IsNaN(value)
}

// integration finds the label of that name.
func integration(labels string) string {
	const label = `integration="`
	i := strings.Index(labels, label)
	if i < 0 {
		return ""
	}
	value, _, _ := strings.Cut(labels[i+len(label):], `"`)
	return value
}
