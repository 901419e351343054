package cloudwatch

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"

	"gameday/alarms"
)

// fake is a server that answers as CloudWatch does, in the protocol that the SDK speaks (Smithy RPC v2 in CBOR), or badly.
type fake struct {
	mu      sync.Mutex
	ahead   time.Duration // of its clock
	alarms  []standing
	entries []entry
	perPage int      // at most on a page; 0 is what is asked for
	refuse  []string // codes of the next answers; "500" is an error of the server
	cut     bool     // answers end in the middle
	asked   []string
}

// standing is an alarm as it is.
type standing struct {
	name, state string
	since       time.Time
	composite   bool
	off         bool   // its actions are
	by          string // which alarm holds back its actions
	evaluation  string
	actions     []string
}

// entry is one of the history.
type entry struct {
	name, kind, summary, data string
	at                        time.Time // by a clock that is right
	hidden                    bool      // it is not there yet
}

// state writes the entry of a change of state.
func state(name string, at time.Time, before, after string) entry {
	return entry{name: name, kind: "StateUpdate", at: at, summary: "Alarm updated from " + before + " to " + after,
		data: fmt.Sprintf(`{"version":"1.0","oldState":{"stateValue":%q,"stateReason":"x"},"newState":{"stateValue":%q,"stateReason":"y"}}`, before, after)}
}

const pager, chat = "arn:aws:sns:eu-central-1:123456789012:pager", "arn:aws:sns:eu-central-1:123456789012:chat"

// acted writes the entry of an action.
func acted(name string, at time.Time, arn, how string) entry {
	return entry{name: name, kind: "Action", at: at, data: fmt.Sprintf(`{"actionState":%q,"notificationResource":%q,"stateUpdateTimestamp":1}`, how, arn)}
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	operation := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	f.asked = append(f.asked, operation)
	w.Header().Set("Date", time.Now().Add(f.ahead).UTC().Format(http.TimeFormat))
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	w.Header().Set("Content-Type", "application/cbor")
	if len(f.refuse) > 0 {
		code := f.refuse[0]
		f.refuse = f.refuse[1:]
		if code == "500" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write(cbor.Encode(cbor.Map{"__type": cbor.String("com.amazonaws.cloudwatch#" + code), "message": cbor.String("not now")}))
		return
	}
	body, _ := io.ReadAll(r.Body)
	v, err := cbor.Decode(body)
	in, ok := v.(cbor.Map)
	if err != nil || !ok || r.Header.Get("Authorization") == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var out cbor.Map
	switch operation {
	case "DescribeAlarms":
		out = f.describe(in)
	case "DescribeAlarmHistory":
		out = f.history(in)
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	answer := cbor.Encode(out)
	if f.cut {
		answer = answer[:len(answer)/2]
	}
	_, _ = w.Write(answer)
}

func text(v cbor.Value) string {
	s, _ := v.(cbor.String)
	return string(s)
}

func stamp(t time.Time) cbor.Value {
	return &cbor.Tag{ID: 1, Value: cbor.Float64(float64(t.UnixMilli()) / 1000)}
}

// page cuts a list at the token that was given.
func (f *fake) page(in cbor.Map, list []cbor.Map) ([]cbor.Map, string) {
	size := 100
	if f.perPage > 0 {
		size = f.perPage
	}
	from, _ := strconv.Atoi(text(in["NextToken"]))
	end, next := min(from+size, len(list)), ""
	if end < len(list) {
		next = strconv.Itoa(end)
	}
	return list[min(from, len(list)):end], next
}

func (f *fake) describe(in cbor.Map) cbor.Map {
	names, some := in["AlarmNames"].(cbor.List)
	var hits []cbor.Map
	for _, a := range f.alarms {
		if some && !slices.ContainsFunc(names, func(n cbor.Value) bool { return text(n) == a.name }) {
			continue
		}
		m := cbor.Map{"AlarmName": cbor.String(a.name), "AlarmArn": cbor.String("arn:aws:cloudwatch:eu-central-1:123456789012:alarm:" + a.name),
			"AlarmDescription": cbor.String("no payments"), "StateValue": cbor.String(a.state), "ActionsEnabled": cbor.Bool(!a.off),
			"StateUpdatedTimestamp": stamp(time.Now().Add(f.ahead))}
		if !a.since.IsZero() {
			m["StateTransitionedTimestamp"] = stamp(a.since.Add(f.ahead))
		}
		actions := cbor.List{}
		for _, arn := range a.actions {
			actions = append(actions, cbor.String(arn))
		}
		m["AlarmActions"] = actions
		switch {
		case a.composite && a.by != "":
			m["ActionsSuppressor"], m["ActionsSuppressedBy"] = cbor.String(a.by), cbor.String("Alarm")
		case !a.composite:
			m["Dimensions"] = cbor.List{cbor.Map{"Name": cbor.String("Service"), "Value": cbor.String("payments")}}
		}
		if a.evaluation != "" {
			m["EvaluationState"] = cbor.String(a.evaluation)
		}
		m["composite"] = cbor.Bool(a.composite)
		hits = append(hits, m)
	}
	hits, next := f.page(in, hits)
	out := cbor.Map{"MetricAlarms": cbor.List{}, "CompositeAlarms": cbor.List{}}
	for _, m := range hits {
		list := "MetricAlarms"
		if m["composite"] == cbor.Bool(true) {
			list = "CompositeAlarms"
		}
		out[list] = append(out[list].(cbor.List), m)
	}
	if next != "" {
		out["NextToken"] = cbor.String(next)
	}
	return out
}

func (f *fake) history(in cbor.Map) cbor.Map {
	from, _ := cbor.AsTime(in["StartDate"])
	to, _ := cbor.AsTime(in["EndDate"])
	var hits []cbor.Map
	for _, e := range f.entries {
		at := e.at.Add(f.ahead)
		if name := text(in["AlarmName"]); e.hidden || name != "" && name != e.name || at.Before(from) || at.After(to) {
			continue
		}
		hits = append(hits, cbor.Map{"AlarmName": cbor.String(e.name), "HistoryItemType": cbor.String(e.kind), "Timestamp": stamp(at),
			"HistorySummary": cbor.String(e.summary), "HistoryData": cbor.String(e.data)})
	}
	hits, next := f.page(in, hits)
	list := cbor.List{}
	for _, m := range hits {
		list = append(list, m)
	}
	out := cbor.Map{"AlarmHistoryItems": list}
	if next != "" {
		out["NextToken"] = cbor.String(next)
	}
	return out
}

func expectation(name string) alarms.Expectation {
	return alarms.Expectation{Name: name, Match: map[string]string{"alertname": name}}
}

func faked(t *testing.T, f *fake, c Config) *Source {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDTEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	c.Endpoint, c.Region = server.URL, "eu-central-1"
	s, err := New("cloudwatch.main", c, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.backoff = time.Millisecond
	return s
}
