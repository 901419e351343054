package icinga2

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"gameday/clock"
)

// EventType is a type of the stream of events.
type EventType string

// The types that are followed.
const (
	CheckResult            EventType = "CheckResult"
	StateChange            EventType = "StateChange"
	NotificationSent       EventType = "Notification"
	AcknowledgementSet     EventType = "AcknowledgementSet"
	AcknowledgementCleared EventType = "AcknowledgementCleared"
	CommentAdded           EventType = "CommentAdded"
	DowntimeAdded          EventType = "DowntimeAdded"
	DowntimeRemoved        EventType = "DowntimeRemoved"
	DowntimeStarted        EventType = "DowntimeStarted"
	DowntimeTriggered      EventType = "DowntimeTriggered"
	Flapping               EventType = "Flapping"
)

var eventTypes = []EventType{CheckResult, StateChange, NotificationSent, AcknowledgementSet, AcknowledgementCleared, CommentAdded, DowntimeAdded,
	DowntimeRemoved, DowntimeStarted, DowntimeTriggered, Flapping}

// Event is one event of the stream. Which fields are set follows from its type.
type Event struct {
	Type      EventType
	Checkable string    // payments!checkout, or payments
	Stamp     time.Time // by the server's clock
	At        clock.Interval
	Received  time.Time

	State        int
	Hard         bool
	Acknowledged bool
	Downtime     bool
	Unreachable  bool
	Checked      time.Time // when the check was over that this is the result of
	Output       string

	Notification string // PROBLEM, RECOVERY, ACKNOWLEDGEMENT, …
	Users        []string
	Command      string

	Author, Text string
	Acknowledges bool // the comment is that of an acknowledgement, which is told of by itself
	IsFlapping   bool
}

// wire is an event as it is sent.
type wire struct {
	Type         EventType    `json:"type"`
	Host         string       `json:"host"`
	Service      string       `json:"service"`
	Stamp        float64      `json:"timestamp"`
	State        *float64     `json:"state"`
	StateType    *float64     `json:"state_type"`
	Acknowledged bool         `json:"acknowledgement"`
	Downtimes    float64      `json:"downtime_depth"`
	Result       *checkResult `json:"check_result"`
	Notification string       `json:"notification_type"`
	Users        []string     `json:"users"`
	Command      string       `json:"command"`
	Author       string       `json:"author"`
	Text         string       `json:"text"`
	Comment      any          `json:"comment"` // an object, or the text of an acknowledgement
	Downtime     *struct {
		Host    string `json:"host_name"`
		Service string `json:"service_name"`
		Author  string `json:"author"`
		Comment string `json:"comment"`
	} `json:"downtime"`
	Flapping *bool `json:"is_flapping"`
}

// parse reads one line of the stream. What is not understood is an error: something may have happened that it tells of.
func parse(line []byte) (Event, error) {
	var w wire
	if err := json.Unmarshal(line, &w); err != nil {
		return Event{}, fmt.Errorf("a line of the event stream is not an event: %w", err)
	}
	e := Event{Type: w.Type, Stamp: stamp(w.Stamp), Acknowledged: w.Acknowledged, Downtime: w.Downtimes > 0, Notification: w.Notification,
		Users: w.Users, Command: w.Command, Author: w.Author, Text: w.Text}
	host, service := w.Host, w.Service
	if w.Result != nil {
		e.Checked, e.Output = stamp(w.Result.End), w.Result.Output
		e.Unreachable = w.Result.After != nil && !w.Result.After.Reachable
	}
	var err error
	switch w.Type {
	case CheckResult:
	case StateChange:
		if w.State == nil || w.StateType == nil {
			err = errors.New("it has no state")
			break
		}
		e.State, e.Hard = int(*w.State), *w.StateType == 1
	case NotificationSent:
		if e.Notification == "" {
			err = errors.New("it has no notification_type")
		}
	case AcknowledgementSet, AcknowledgementCleared:
		if w.State == nil {
			err = errors.New("it has no state")
			break
		}
		e.State = int(*w.State)
		e.Text, _ = w.Comment.(string)
	case CommentAdded:
		host, service, err = e.comment(line)
	case DowntimeAdded, DowntimeRemoved, DowntimeStarted, DowntimeTriggered:
		if w.Downtime == nil {
			err = errors.New("it has no downtime")
			break
		}
		host, service, e.Author, e.Text = w.Downtime.Host, w.Downtime.Service, w.Downtime.Author, w.Downtime.Comment
	case Flapping:
		if w.Flapping == nil {
			err = errors.New("it does not say whether it is flapping")
			break
		}
		e.IsFlapping = *w.Flapping
	default:
		err = errors.New("it is of no type that was asked for")
	}
	if e.Checkable = host; service != "" {
		e.Checkable += "!" + service
	}
	switch {
	case err != nil:
	case host == "":
		err = errors.New("it is about no host")
	case e.Stamp.IsZero():
		err = errors.New("it has no time")
	}
	if err != nil {
		return Event{}, fmt.Errorf("an event %q of the stream is not understood: %w", w.Type, err)
	}
	return e, nil
}

// comment reads the comment of an event.
func (e *Event) comment(line []byte) (host, service string, err error) {
	var w struct {
		Comment *comment `json:"comment"`
	}
	if err := json.Unmarshal(line, &w); err != nil || w.Comment == nil {
		return "", "", errors.New("it has no comment")
	}
	c := w.Comment.read()
	e.Author, e.Text, e.Acknowledges = c.Author, c.Text, c.Acknowledges
	return w.Comment.Host, w.Comment.Service, nil
}

// about reports whether an event is of one of the types.
func (e *Event) about(types ...EventType) bool { return slices.Contains(types, e.Type) }
