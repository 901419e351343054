// Package icinga2 reads an Icinga 2: what its API says of hosts, services and notifications, and its stream of events, with
// the account of when nothing can have been missed.
//
// The API is that of Icinga 2's manual, chapter 12; what the manual leaves open was measured with version 2.13.6.
package icinga2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gameday/clock"
	"gameday/sources/web"
)

// probes is how often the server's clock is asked.
const probes = 3

// atOnce is how many objects are asked for by name in one question.
const atOnce = 50

// Client asks one Icinga 2. It is safe for concurrent use.
type Client struct {
	options Options
	web     *web.Client
}

// NewClient returns a client. It contacts nobody.
func NewClient(o Options) (*Client, error) {
	trust, err := o.trust()
	if err != nil {
		return nil, err
	}
	o.web.TLS = trust
	c, err := web.New(o.web)
	if err != nil {
		return nil, err
	}
	return &Client{options: o, web: c}, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.web.Close() }

// answer is what the API wraps everything in.
type answer[T any] struct {
	Results *[]T `json:"results"`
}

// ask asks for a list. An answer without one is an error.
func ask[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, web.Reply, error) {
	var a answer[T]
	reply, err := c.web.JSON(ctx, path, query, &a)
	if err != nil {
		return nil, reply, err
	}
	if a.Results == nil {
		return nil, reply, fmt.Errorf("GET %s: the answer has no results", path)
	}
	return *a.Results, reply, nil
}

// Status is what the server says of itself.
type Status struct {
	Version                        string
	Started                        time.Time // by its clock
	Notifications, Services, Hosts bool      // whether they are sent, and checked, at all
	Notifier, Checker              bool      // whether the features that do so are there
	Offset                         clock.Offset
	NodeName                       string
}

// statusPart is one component's part of the status.
type statusPart struct {
	Name   string          `json:"name"`
	Status json.RawMessage `json:"status"`
}

// Status asks the server for its status, several times, and estimates its clock's offset: the start of the program and its age are told in the same
// answer, to the microsecond, and their sum is the server's time.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	var asked []clock.Probe
	for range probes {
		parts, reply, err := ask[statusPart](ctx, c, "/v1/status", nil)
		if err != nil {
			return s, err
		}
		now, err := s.read(parts)
		if err != nil {
			return s, fmt.Errorf("GET /v1/status: %w", err)
		}
		asked = append(asked, clock.Probe{Sent: reply.Sent, Stamp: now, Received: reply.Received})
	}
	s.Offset, _ = clock.EstimateOffset(asked, time.Microsecond)
	return s, nil
}

// read takes the parts of a status that matter here, and returns the server's time.
func (s *Status) read(parts []statusPart) (time.Time, error) {
	var app struct {
		App struct {
			App struct {
				Node          string  `json:"node_name"`
				Version       string  `json:"version"`
				Start         float64 `json:"program_start"`
				Notifications bool    `json:"enable_notifications"`
				Services      bool    `json:"enable_service_checks"`
				Hosts         bool    `json:"enable_host_checks"`
			} `json:"app"`
		} `json:"icingaapplication"`
	}
	var cib struct {
		Uptime *float64 `json:"uptime"`
	}
	var checker struct {
		C map[string]any `json:"checkercomponent"`
	}
	var notifier struct {
		N map[string]any `json:"notificationcomponent"`
	}
	into := map[string]any{"IcingaApplication": &app, "CIB": &cib, "CheckerComponent": &checker, "NotificationComponent": &notifier}
	for _, p := range parts {
		if v := into[p.Name]; v != nil {
			if err := json.Unmarshal(p.Status, v); err != nil {
				return time.Time{}, fmt.Errorf("the status of %s: %w", p.Name, err)
			}
		}
	}
	a := app.App.App
	if a.Start == 0 || cib.Uptime == nil {
		return time.Time{}, errors.New("it does not say when the program was started, and how long ago that is")
	}
	s.NodeName, s.Version, s.Started = a.Node, strings.TrimPrefix(a.Version, "r"), stamp(a.Start)
	s.Notifications, s.Services, s.Hosts = a.Notifications, a.Services, a.Hosts
	s.Notifier, s.Checker = len(notifier.N) > 0, len(checker.C) > 0
	return stamp(a.Start + *cib.Uptime), nil
}

// Permissions asks what the API user may.
func (c *Client) Permissions(ctx context.Context) (Permissions, error) {
	type info struct {
		Permissions []string `json:"permissions"`
	}
	all, _, err := ask[info](ctx, c, "/v1", nil)
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, errors.New("GET /v1: the answer does not say what the user may")
	}
	return all[0].Permissions, nil
}

// object is one object of a list.
type object[T any] struct {
	Name  string `json:"name"`
	Attrs T      `json:"attrs"`
}

// objects asks for objects of a type, all or those named, with some of their attributes. None is no error when the user may see
// them: the server answers that there are none as it answers that they are hidden.
func objects[T any](ctx context.Context, c *Client, plural string, names []string, attrs ...string) (out []object[T], sent, received time.Time, err error) {
	for first := true; first || len(names) > 0; first = false {
		some := names[:min(len(names), atOnce)]
		names = names[len(some):]
		asked := time.Now()
		got, reply, err := ask[object[T]](ctx, c, "/v1/objects/"+plural, url.Values{"attrs": attrs, plural: some})
		var refused *web.StatusError
		if errors.As(err, &refused) && refused.Code == http.StatusNotFound {
			if len(some) > 0 {
				return nil, sent, received, fmt.Errorf("%s that were there are not any more, or may not be read: %w", plural, err)
			}
			return nil, asked, time.Now(), nil
		}
		if err != nil {
			return nil, sent, received, err
		}
		if sent.IsZero() {
			sent = reply.Sent
		}
		received = reply.Received
		out = append(out, got...)
	}
	return out, sent, received, nil
}

// Permissions are an API user's, as patterns.
type Permissions []string

// filteredMark follows a permission that holds for some objects only.
const filteredMark = " (filtered)"

// Has reports whether something is permitted, and whether only for some objects.
func (p Permissions) Has(what string) (has, filtered bool) {
	for _, pattern := range p {
		bare, some := strings.CutSuffix(pattern, filteredMark)
		if !glob(strings.ToLower(bare), strings.ToLower(what)) {
			continue
		}
		if !some {
			return true, false
		}
		has, filtered = true, true
	}
	return has, filtered
}

// glob matches as Icinga does: * is any text, ? any character.
func glob(pattern, text string) bool {
	if pattern == "" {
		return text == ""
	}
	switch pattern[0] {
	case '*':
		for i := 0; i <= len(text); i++ {
			if glob(pattern[1:], text[i:]) {
				return true
			}
		}
		return false
	case '?':
		return text != "" && glob(pattern[1:], text[1:])
	}
	return text != "" && text[0] == pattern[0] && glob(pattern[1:], text[1:])
}

// stamp makes an instant of the API's seconds; those are given to the microsecond. 0 is none.
func stamp(seconds float64) time.Time {
	if seconds <= 0 || math.IsNaN(seconds) || seconds > 1e11 {
		return time.Time{}
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(math.Round(part*1e6))*1000)
}
