package cloudwatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go/middleware"

	"gameday/alarms"
	"gameday/clock"
	"gameday/sources/web"
)

const (
	alertName = "alertname" // the label that holds an alarm's name
	perPage   = 100
	mostPages = 200
	mostTries = 6
)

// alarm is an alarm of any sort as it is now.
type alarm struct {
	name, arn, description string
	labels                 map[string]string
	state                  string
	since                  time.Time // when the state last became another; not when its reason did
	actionsOff             bool
	suppressed             string // by what another alarm holds back its actions
	evaluation             string // why it is not evaluated well; empty when it is
	actions                []string
}

// of makes an alarm of what all sorts have.
func of(name, arn, description *string, state types.StateValue, since *time.Time, enabled *bool, actions []string) alarm {
	a := alarm{name: aws.ToString(name), arn: aws.ToString(arn), description: aws.ToString(description), state: string(state), since: aws.ToTime(since),
		actionsOff: enabled != nil && !*enabled, actions: actions}
	a.labels = map[string]string{alertName: a.name}
	if parts := strings.Split(a.arn, ":"); len(parts) > 4 {
		a.labels["region"], a.labels["account"] = parts[3], parts[4]
	}
	return a
}

// client returns the SDK's client; it is made at its first use.
func (s *Source) client(ctx context.Context) (*cloudwatch.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sdk != nil {
		return s.sdk, nil
	}
	retryer := func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = mostTries
			if s.backoff > 0 {
				o.MaxBackoff = s.backoff
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return s.backoff, nil })
			}
		})
	}
	options := []func(*config.LoadOptions) error{config.WithRetryer(retryer), config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(s.timeout)),
		config.WithAppID(web.UserAgent)}
	if s.config.Region != "" {
		options = append(options, config.WithRegion(s.config.Region))
	}
	if s.config.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(s.config.Profile))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("reading AWS's configuration: %w", err)
	}
	if loaded.Region == "" {
		return nil, errors.New("no region: say region, or set AWS_REGION")
	}
	s.sdk = cloudwatch.NewFromConfig(loaded, func(o *cloudwatch.Options) {
		if s.config.Endpoint != "" {
			o.BaseEndpoint = aws.String(s.config.Endpoint)
		}
	})
	return s.sdk, nil
}

// alarms returns the alarms of these names as they are, all without any.
func (s *Source) alarms(ctx context.Context, names []string) ([]alarm, error) {
	client, err := s.client(ctx)
	if err != nil {
		return nil, err
	}
	in := &cloudwatch.DescribeAlarmsInput{AlarmNames: names, MaxRecords: aws.Int32(perPage), AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}}
	var list []alarm
	for range mostPages {
		sent := time.Now()
		out, err := client.DescribeAlarms(ctx, in)
		if err != nil {
			return nil, plain(err)
		}
		s.probe(sent, out.ResultMetadata)
		for _, m := range out.MetricAlarms {
			a := of(m.AlarmName, m.AlarmArn, m.AlarmDescription, m.StateValue, m.StateTransitionedTimestamp, m.ActionsEnabled, m.AlarmActions)
			for _, d := range m.Dimensions {
				a.labels[aws.ToString(d.Name)] = aws.ToString(d.Value)
			}
			a.labels[alertName] = a.name
			if m.EvaluationState != "" {
				a.evaluation = string(m.EvaluationState)
			}
			list = append(list, a)
		}
		for _, c := range out.CompositeAlarms {
			a := of(c.AlarmName, c.AlarmArn, c.AlarmDescription, c.StateValue, c.StateTransitionedTimestamp, c.ActionsEnabled, c.AlarmActions)
			if c.ActionsSuppressedBy != "" {
				a.suppressed = fmt.Sprintf("%s (%s)", aws.ToString(c.ActionsSuppressor), c.ActionsSuppressedBy)
			}
			list = append(list, a)
		}
		switch next := aws.ToString(out.NextToken); {
		case next == "":
			return list, nil
		case next == aws.ToString(in.NextToken):
			return nil, errors.New("asking for alarms: the next page is this one")
		}
		in.NextToken = out.NextToken
	}
	return nil, fmt.Errorf("asking for alarms: there are more than %d pages", mostPages)
}

// probe keeps what an answer tells of the other clock.
func (s *Source) probe(sent time.Time, m middleware.Metadata) {
	stamp, ok := awsmiddleware.GetServerTime(m)
	received, got := awsmiddleware.GetResponseAt(m)
	if !ok || !got || stamp.IsZero() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probes = append(s.probes, clock.Probe{Sent: sent, Stamp: stamp, Received: received})
}

// item is one entry of an alarm's history.
type item struct {
	name, kind, summary, data string
	at                        time.Time
}

// history returns the entries of an alarm, or of all without a name, between two instants of AWS's time.
func (s *Source) history(ctx context.Context, name string, from, to time.Time) ([]item, error) {
	client, err := s.client(ctx)
	if err != nil {
		return nil, err
	}
	in := &cloudwatch.DescribeAlarmHistoryInput{AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm, types.AlarmTypeCompositeAlarm}, StartDate: &from, EndDate: &to,
		MaxRecords: aws.Int32(perPage), ScanBy: types.ScanByTimestampAscending}
	if name != "" {
		in.AlarmName = &name
	}
	var list []item
	for range mostPages {
		sent := time.Now()
		out, err := client.DescribeAlarmHistory(ctx, in)
		if err != nil {
			return nil, plain(err)
		}
		s.probe(sent, out.ResultMetadata)
		for _, h := range out.AlarmHistoryItems {
			if h.Timestamp == nil || h.AlarmName == nil {
				return nil, errors.New("asking for the history: an entry has no time, or no alarm")
			}
			list = append(list, item{name: *h.AlarmName, kind: string(h.HistoryItemType), summary: aws.ToString(h.HistorySummary), data: aws.ToString(h.HistoryData), at: *h.Timestamp})
		}
		switch next := aws.ToString(out.NextToken); {
		case next == "":
			return list, nil
		case next == aws.ToString(in.NextToken):
			return nil, errors.New("asking for the history: the next page is this one")
		}
		in.NextToken = out.NextToken
	}
	return nil, fmt.Errorf("asking for the history: there are more than %d pages", mostPages)
}

// plain takes the SDK's words around it off an error that AWS answered, and says what to do.
func plain(err error) error {
	var api interface {
		ErrorCode() string
		ErrorMessage() string
	}
	if errors.As(err, &api) {
		hint := ""
		switch code := strings.ToLower(api.ErrorCode()); {
		case strings.Contains(code, "accessdenied"), strings.Contains(code, "unauthorized"):
			hint = ": it needs cloudwatch:DescribeAlarms and cloudwatch:DescribeAlarmHistory on *"
		case strings.Contains(code, "throttl"):
			hint = ": it is asked too often; set poll higher"
		case strings.Contains(code, "expired"), strings.Contains(code, "token"), strings.Contains(code, "signature"):
			hint = ": are the credentials still good, and this machine's clock right?"
		}
		return &refused{text: fmt.Sprintf("%s: %s%s", api.ErrorCode(), clip(api.ErrorMessage()), hint), cause: err}
	}
	return err
}

// refused is an error that AWS answered.
type refused struct {
	text  string
	cause error
}

func (r *refused) Error() string { return r.text }
func (r *refused) Unwrap() error { return r.cause }

// parseState reads the value of a state. INSUFFICIENT_DATA is StateBroken.
func (s *Source) parseState(value, name string) (alarms.State, string) {
	switch value {
	case string(types.StateValueOk):
		return alarms.StateInactive, ""
	case string(types.StateValueAlarm):
		return alarms.StateFiring, ""
	case string(types.StateValueInsufficientData):
		if s.quietWithoutData(name) {
			return alarms.StateInactive, ""
		}
		return alarms.StateBroken, "it had insufficient data"
	}
	return alarms.StateBroken, fmt.Sprintf("its state %q is not known here", clip(value))
}

// update reads the entry of a change of state.
func (i item) update() (before, after string, err error) {
	var data struct {
		Old struct {
			Value string `json:"stateValue"`
		} `json:"oldState"`
		New struct {
			Value string `json:"stateValue"`
		} `json:"newState"`
	}
	if err := json.Unmarshal([]byte(i.data), &data); err != nil || data.New.Value == "" {
		return "", "", fmt.Errorf("an entry of %s is of no known form: %s", i.name, clip(i.data))
	}
	return data.Old.Value, data.New.Value, nil
}

// action reads the entry of an action: its ARN, and whether it was carried out; ok is false when that cannot be told.
func (i item) action() (arn string, done, ok bool) {
	var data struct {
		State    string `json:"actionState"`
		Resource string `json:"notificationResource"`
	}
	if json.Unmarshal([]byte(i.data), &data) == nil && data.State != "" {
		return data.Resource, data.State == "Succeeded", data.State == "Succeeded" || data.State == "Failed" || data.State == "InProgress"
	}
	if rest, found := strings.CutPrefix(i.summary, "Successfully executed action "); found {
		return strings.TrimSpace(rest), true, true
	}
	if rest, found := strings.CutPrefix(i.summary, "Failed to execute action "); found {
		arn, _, _ = strings.Cut(rest, " ")
		return arn, false, true
	}
	return "", false, false
}

// deleted reports whether the entry says that the alarm is there no more.
func (i item) deleted() bool {
	var data struct {
		Type string `json:"type"`
	}
	return i.kind == string(types.HistoryItemTypeConfigurationUpdate) && json.Unmarshal([]byte(i.data), &data) == nil && data.Type == "Delete"
}

// clip bounds a text that others wrote.
func clip(text string) string { return text[:min(len(text), 80)] }
