package nagios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gameday/clock"
	"gameday/sources/web"
)

// meta is what every answer of the JSON CGIs says of itself. Times are milliseconds, of whole seconds.
type meta struct {
	Now     int64  `json:"query_time"`
	Updated int64  `json:"last_data_update"` // when Nagios wrote its status
	Started int64  `json:"program_start"`
	Code    *int   `json:"type_code"`
	Word    string `json:"type_text"`
	Message string `json:"message"`
}

func moment(ms int64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// ask asks one of the CGIs. An answer that it does not call a success is an error.
func (s *Source) ask(ctx context.Context, cgi, query string, more url.Values, data any) (meta, web.Reply, error) {
	var answer struct {
		Result *meta           `json:"result"`
		Data   json.RawMessage `json:"data"`
	}
	if more == nil {
		more = url.Values{}
	}
	more.Set("query", query)
	more.Set("formatoptions", "enumerate")
	reply, err := s.api.JSON(ctx, "/"+cgi+".cgi", more, &answer)
	switch {
	case err != nil:
		return meta{}, reply, err
	case answer.Result == nil || answer.Result.Code == nil || answer.Result.Now == 0:
		return meta{}, reply, fmt.Errorf("%s.cgi?query=%s: the answer is none of Nagios'", cgi, query)
	case *answer.Result.Code != 0:
		return meta{}, reply, fmt.Errorf("%s.cgi?query=%s: %s: %s", cgi, query, answer.Result.Word, answer.Result.Message)
	}
	if err := json.Unmarshal(answer.Data, data); err != nil {
		return meta{}, reply, fmt.Errorf("%s.cgi?query=%s: the answer is not the JSON expected: %w", cgi, query, err)
	}
	return *answer.Result, reply, nil
}

// thing is a host or a service as the status has it.
type thing struct {
	Host    string `json:"host_name"`
	Service string `json:"description"`
	Output  string `json:"plugin_output"`
	Status  string `json:"status"` // ok, warning, unknown, critical; up, down, unreachable; pending
	Type    string `json:"state_type"`
	Since   int64  `json:"last_state_change"`
	OK      int64  `json:"last_time_ok"`
	Up      int64  `json:"last_time_up"`
	Most    int    `json:"max_attempts"`
	Active  bool   `json:"checks_enabled"`
	Passive bool   `json:"accept_passive_checks"`
	Tells   bool   `json:"notifications_enabled"`
	Acked   bool   `json:"problem_has_been_acknowledged"`
	Flaps   bool   `json:"is_flapping"`
	Depth   int    `json:"scheduled_downtime_depth"`
}

// well reports whether there is no problem.
func (t thing) well() bool { return t.Status == "ok" || t.Status == "up" || t.Status == "pending" }

// held words why nobody is told of a problem; the empty string when somebody is.
func (t thing) held() string {
	var why []string
	for _, w := range []struct {
		is   bool
		word string
	}{{t.Depth > 0, "a downtime"}, {t.Acked, acknowledgement}, {t.Flaps, "flapping"}, {!t.Tells, "disabled notifications"}} {
		if w.is {
			why = append(why, w.word)
		}
	}
	return strings.Join(why, ", ")
}

const acknowledgement = "an acknowledgement"

func key(host, service string) string {
	if service == "" {
		return host
	}
	return host + ";" + service
}

// status reads how all hosts and services are.
func (s *Source) status(ctx context.Context) (map[string]thing, meta, error) {
	var services struct {
		List map[string]map[string]thing `json:"servicelist"`
	}
	var hosts struct {
		List map[string]thing `json:"hostlist"`
	}
	if _, _, err := s.ask(ctx, "statusjson", "hostlist", url.Values{"details": {"true"}}, &hosts); err != nil {
		return nil, meta{}, err
	}
	m, _, err := s.ask(ctx, "statusjson", "servicelist", url.Values{"details": {"true"}}, &services)
	if err != nil {
		return nil, meta{}, err
	}
	if hosts.List == nil || services.List == nil {
		return nil, meta{}, errors.New("statusjson.cgi: the answer has no list")
	}
	out := map[string]thing{}
	for host, t := range hosts.List {
		t.Host, t.Service = host, ""
		out[host] = t
	}
	for host, list := range services.List {
		for service, t := range list {
			t.Host, t.Service = host, service
			out[key(host, service)] = t
		}
	}
	return out, m, nil
}

// object is a host or a service as it is configured.
type object struct {
	Display string            `json:"display_name"`
	Text    string            `json:"notes"`
	Runbook string            `json:"notes_url"`
	Action  string            `json:"action_url"`
	Custom  map[string]string `json:"custom_variables"`
}

// configured reads labels and annotations of all hosts and services.
func (s *Source) configured(ctx context.Context) error {
	var services struct {
		List map[string]map[string]object `json:"servicelist"`
	}
	var hosts struct {
		List map[string]object `json:"hostlist"`
	}
	if _, _, err := s.ask(ctx, "objectjson", "hostlist", url.Values{"details": {"true"}}, &hosts); err != nil {
		return err
	}
	if _, _, err := s.ask(ctx, "objectjson", "servicelist", url.Values{"details": {"true"}}, &services); err != nil {
		return err
	}
	labels, notes := map[string]map[string]string{}, map[string]map[string]string{}
	enter := func(host, service string, o object) {
		l := map[string]string{"alertname": service, "host": host, "service": service, "type": "service"}
		if service == "" {
			l = map[string]string{"alertname": host, "host": host, "type": "host"}
		}
		if o.Display != "" {
			l["alertname"] = o.Display
		}
		for label, variable := range s.labels {
			if v := o.Custom[strings.ToUpper(variable)]; v != "" {
				l[label] = v
			}
		}
		n := map[string]string{}
		for name, text := range map[string]string{"runbook_url": o.Runbook, "dashboard": o.Action, "description": o.Text} {
			if text != "" {
				n[name] = text
			}
		}
		labels[key(host, service)], notes[key(host, service)] = l, n
	}
	for host, o := range hosts.List {
		enter(host, "", o)
	}
	for host, list := range services.List {
		for service, o := range list {
			enter(host, service, o)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known, s.notes = labels, notes
	return nil
}

// entry is a line of the log, as the archive has it.
type entry struct {
	At      int64  `json:"timestamp"`
	Of      string `json:"object_type"`
	Host    string `json:"host_name"` // of a service
	Name    string `json:"name"`      // of a host
	Service string `json:"description"`
	Type    string `json:"state_type"`
	State   string `json:"state"`
	Output  string `json:"plugin_output"`
	Contact string `json:"contact"`
	Notice  string `json:"notification_type"`
}

func (e entry) key() string {
	if e.Host == "" {
		return key(e.Name, e.Service)
	}
	return key(e.Host, e.Service)
}

// archive reads what the log tells of a span: alerts and notifications.
func (s *Source) archive(ctx context.Context, span clock.Span) (alerts, notices []entry, err error) {
	when := func() url.Values {
		return url.Values{"starttime": {strconv.FormatInt(span.Start.Unix(), 10)}, "endtime": {strconv.FormatInt(span.End.Unix()+1, 10)}}
	}
	var a struct {
		List *[]entry `json:"alertlist"`
	}
	var n struct {
		List *[]entry `json:"notificationlist"`
	}
	if _, _, err := s.ask(ctx, "archivejson", "alertlist", when(), &a); err != nil {
		return nil, nil, err
	}
	if _, _, err := s.ask(ctx, "archivejson", "notificationlist", when(), &n); err != nil {
		return nil, nil, err
	}
	if a.List == nil || n.List == nil {
		return nil, nil, errors.New("archivejson.cgi: the answer has no list")
	}
	return *a.List, *n.List, nil
}

// probes is how often the other clock is asked.
const probes = 3

// measure estimates the server's clock offset from query_time, which is cut to the second.
func (s *Source) measure(ctx context.Context) (clock.Offset, error) {
	var asked []clock.Probe
	for range probes {
		var program struct {
			P struct{} `json:"programstatus"`
		}
		m, reply, err := s.ask(ctx, "statusjson", "programstatus", nil, &program)
		if err != nil {
			return clock.Offset{}, err
		}
		asked = append(asked, clock.Probe{Sent: reply.Sent, Stamp: moment(m.Now), Received: reply.Received})
	}
	o, _ := clock.EstimateOffset(asked, time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset = o
	return o, nil
}
