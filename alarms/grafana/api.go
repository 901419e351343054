package grafana

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gameday/sources/web"
)

// alertName is the label that holds a rule's title.
const alertName = "alertname"

// rule is an alerting rule with its instances.
type rule struct {
	UID            string            `json:"uid"` // absent before Grafana 11
	Name           string            `json:"name"`
	Type           string            `json:"type"`
	Health         string            `json:"health"` // ok, error, nodata, unknown
	LastError      string            `json:"lastError"`
	Labels         map[string]string `json:"labels"`
	Annotations    map[string]string `json:"annotations"`
	LastEvaluation time.Time         `json:"lastEvaluation"`
	EvaluationTime float64           `json:"evaluationTime"` // seconds
	IsPaused       bool              `json:"isPaused"`
	Alerts         []instance        `json:"alerts"`

	interval time.Duration
}

// instance is what a rule found for one set of labels.
type instance struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	State       string            `json:"state"`
	ActiveAt    *time.Time        `json:"activeAt"` // since when it is in this state
}

// mostPages bounds how many pages of one list are asked for.
const mostPages = 200

// rules returns the alerting rules of these names, all without any. A server that does not know the filter returns more.
func (s *Source) rules(ctx context.Context, names []string) ([]rule, web.Reply, error) {
	query := url.Values{}
	for _, n := range names {
		query.Add("rule_name", n)
	}
	var out []rule
	for range mostPages {
		var answer struct {
			Status string `json:"status"`
			Error  string `json:"error"`
			Data   *struct {
				Groups []struct {
					Interval float64 `json:"interval"`
					Rules    []rule  `json:"rules"`
				} `json:"groups"`
				Next string `json:"groupNextToken"`
			} `json:"data"`
		}
		reply, err := s.api.JSON(ctx, "/api/prometheus/grafana/api/v1/rules", query, &answer)
		switch {
		case err != nil:
			return nil, reply, err
		case answer.Status != "success" || answer.Data == nil:
			return nil, reply, fmt.Errorf("asking for the rules: the answer is not a success: %s", clip(answer.Error))
		}
		for _, g := range answer.Data.Groups {
			for _, r := range g.Rules {
				if r.Type == "" || r.Type == "alerting" {
					r.interval = time.Duration(g.Interval * float64(time.Second))
					out = append(out, r)
				}
			}
		}
		if answer.Data.Next == "" {
			return out, reply, nil
		}
		query.Set("group_next_token", answer.Data.Next)
	}
	return nil, web.Reply{}, fmt.Errorf("asking for the rules: there are more than %d pages", mostPages)
}

// held is an alarm in Grafana's own Alertmanager.
type held struct {
	Labels map[string]string `json:"labels"`
	Status struct {
		State       string   `json:"state"`
		SilencedBy  []string `json:"silencedBy"`
		InhibitedBy []string `json:"inhibitedBy"`
		MutedBy     []string `json:"mutedBy"`
	} `json:"status"`
}

// suppression words why an alarm is suppressed; empty when it is not.
func (h held) suppression() string {
	if h.Status.State != "suppressed" {
		return ""
	}
	var parts []string
	for _, p := range []struct {
		verb string
		by   []string
	}{{"silenced by ", h.Status.SilencedBy}, {"inhibited by ", h.Status.InhibitedBy}, {"muted by ", h.Status.MutedBy}} {
		if len(p.by) > 0 {
			parts = append(parts, p.verb+strings.Join(p.by, ", "))
		}
	}
	if len(parts) == 0 {
		return "suppressed"
	}
	return strings.Join(parts, "; ")
}

// alerts returns what Grafana's Alertmanager holds.
func (s *Source) alerts(ctx context.Context) ([]held, error) {
	var out []held
	_, err := s.api.JSON(ctx, "/api/alertmanager/grafana/api/v2/alerts", url.Values{"active": {"true"}, "silenced": {"true"}, "inhibited": {"true"}}, &out)
	return out, err
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

// silences returns all silences.
func (s *Source) silences(ctx context.Context) ([]silence, error) {
	var out []silence
	_, err := s.api.JSON(ctx, "/api/alertmanager/grafana/api/v2/silences", nil, &out)
	return out, err
}

// health asks for what needs no permission, for the Date header of the answer.
func (s *Source) health(ctx context.Context) (web.Reply, error) {
	return s.api.Get(ctx, "/api/health", nil)
}

// processStart begins the line with the start of the process in Grafana's own metrics.
const processStart = "process_start_time_seconds "

// started returns since when this Grafana runs, by its clock; ok is false where it does not tell, as to those outside.
func (s *Source) started(ctx context.Context) (at time.Time, ok bool) {
	reply, err := s.api.Get(ctx, "/metrics", nil)
	if err != nil {
		return time.Time{}, false
	}
	for line := range strings.Lines(string(reply.Body)) {
		if text, found := strings.CutPrefix(line, processStart); found {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			return time.UnixMilli(int64(v * 1000)), err == nil && v > 0
		}
	}
	return time.Time{}, false
}

// seesAll reports whether we may read the rules of all folders: of what we may not read Grafana says nothing, as if it were not
// there.
func (s *Source) seesAll(ctx context.Context) bool {
	var may map[string][]string
	if _, err := s.api.JSON(ctx, "/api/access-control/user/permissions", nil, &may); err != nil {
		return false
	}
	for _, scope := range may["alert.rules:read"] {
		if scope == "folders:*" || scope == "folders:uid:*" || scope == "*" {
			return true
		}
	}
	return false
}

// entry is one notification that was tried, as the notification history tells of it.
type entry struct {
	Timestamp time.Time `json:"timestamp"`
	UUID      string    `json:"uuid"`
	Receiver  string    `json:"receiver"`
	Status    string    `json:"status"`  // firing, resolved
	Outcome   string    `json:"outcome"` // success, error
	RuleUIDs  []string  `json:"ruleUIDs"`
	Duration  int64     `json:"duration"`
}

// mostEntries bounds the notifications asked for at once.
const mostEntries = 1000

var errNoNotifications = errors.New("its notification history is not switched on, or may not be read")

// notifications returns the notifications of a stretch of Grafana's time that were delivered about firing alarms, to receivers
// that count. The error is errNoNotifications where there is no such history.
func (s *Source) notifications(ctx context.Context, from, to time.Time) ([]entry, error) {
	var answer struct {
		Entries *[]entry `json:"entries"`
	}
	if err := s.historian(ctx, "notification/query", map[string]any{"from": from, "to": to, "limit": mostEntries, "status": "firing"}, &answer); err != nil {
		return nil, err
	}
	switch {
	case answer.Entries == nil:
		return nil, errors.New("asking for notifications: the answer has no entries")
	case len(*answer.Entries) >= mostEntries:
		return nil, fmt.Errorf("asking for notifications: there are %d or more, and no more are answered at once", mostEntries)
	}
	return *answer.Entries, nil
}

// notified returns the labels of the alarms that fired in a notification.
func (s *Source) notified(ctx context.Context, e entry, from, to time.Time) ([]map[string]string, error) {
	var answer struct {
		Alerts []struct {
			Status string            `json:"status"`
			Labels map[string]string `json:"labels"`
		} `json:"alerts"`
	}
	if err := s.historian(ctx, "notifications/queryalerts", map[string]any{"uuid": e.UUID, "from": from, "to": to, "limit": mostEntries}, &answer); err != nil {
		return nil, err
	}
	var out []map[string]string
	for _, a := range answer.Alerts {
		if a.Status == "firing" {
			out = append(out, public(a.Labels))
		}
	}
	return out, nil
}

// historian asks Grafana's history of notifications.
func (s *Source) historian(ctx context.Context, what string, question, into any) error {
	reply, err := s.api.Post(ctx, "/apis/historian.alerting.grafana.app/v0alpha1/namespaces/"+s.namespace+"/"+what, question)
	var refused *web.StatusError
	if errors.As(err, &refused) && (refused.Code == 422 || refused.Code == 404 || refused.Code == 403) {
		return errNoNotifications
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(reply.Body, into); err != nil {
		return fmt.Errorf("asking for notifications: the answer is not the JSON expected: %w", err)
	}
	return nil
}
