package grafanairm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"gameday/responders/internal/page"
	"gameday/sources/web"
)

// group is an alert group: a page, in our words.
type group struct {
	ID          string `json:"id"`
	Integration string `json:"integration_id"`
	Team        string `json:"team_id"`
	Title       string `json:"title"`
	State       string `json:"state"`
	Created     string `json:"created_at"`
	Acked       string `json:"acknowledged_at"`
	AckedBy     string `json:"acknowledged_by"` // a user's id
	Resolved    string `json:"resolved_at"`
	ResolvedBy  string `json:"resolved_by"`
	Silenced    string `json:"silenced_at"`
	Permalinks  struct {
		Slack string `json:"slack"`
	} `json:"permalinks"`
	Labels []struct {
		Key   struct{ Name string } `json:"key"`
		Value struct{ Name string } `json:"value"`
	} `json:"labels"`
	Last struct {
		Payload struct {
			Common map[string]string `json:"commonLabels"`
			Text   string            `json:"message"`
		} `json:"payload"`
	} `json:"last_alert"`

	raw json.RawMessage
}

// The states of an alert group.
var states = []string{"new", "firing", "acknowledged", "resolved", "silenced"}

// labels returns the labels of the alarm behind a group: those that the integration sent with it, those of the group, and what
// paths say. Without a name, its title is the name.
func (g group) labels(paths map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range g.Last.Payload.Common {
		out[name] = value
	}
	for _, l := range g.Labels {
		if l.Key.Name != "" {
			out[l.Key.Name] = l.Value.Name
		}
	}
	for name, value := range page.Labels(g.raw, paths, g.Last.Payload.Text) {
		out[name] = value
	}
	if out["alertname"] == "" {
		out["alertname"] = g.Title
	}
	return out
}

const mostPages = 200

// list asks for a list, page by page to the last, and hands each member to take.
func (s *Source) list(ctx context.Context, path string, query url.Values, take func(json.RawMessage) error) (web.Reply, error) {
	reply, err := s.api.Get(ctx, path, query)
	for range mostPages {
		if err != nil {
			return reply, err
		}
		var answer struct {
			Results *[]json.RawMessage `json:"results"`
			Next    string             `json:"next"`
		}
		if err := json.Unmarshal(reply.Body, &answer); err != nil {
			return reply, fmt.Errorf("GET %s: the answer is not the JSON expected: %w", path, err)
		}
		if answer.Results == nil {
			return reply, fmt.Errorf("GET %s: the answer has no results", path)
		}
		for _, one := range *answer.Results {
			if err := take(one); err != nil {
				return reply, fmt.Errorf("GET %s: %w", path, err)
			}
		}
		if answer.Next == "" {
			return reply, nil
		}
		reply, err = s.api.Follow(ctx, answer.Next)
	}
	return reply, fmt.Errorf("GET %s: there are more than %d pages", path, mostPages)
}

// rangeForm is how a range of time is written in a question.
const rangeForm = "2006-01-02T15:04:05"

// groups returns the alert groups that were opened between two instants of its time.
func (s *Source) groups(ctx context.Context, from, to time.Time) ([]group, web.Reply, error) {
	query := url.Values{"started_at": {from.UTC().Format(rangeForm) + "_" + to.UTC().Add(time.Second).Format(rangeForm)}}
	for name, value := range map[string]string{"integration_id": s.config.Integ, "route_id": s.config.Route, "team_id": s.config.Team} {
		if value != "" {
			query.Set(name, value)
		}
	}
	var out []group
	reply, err := s.list(ctx, "/api/v1/alert_groups/", query, func(raw json.RawMessage) error {
		g := group{raw: raw}
		if err := json.Unmarshal(raw, &g); err != nil {
			return fmt.Errorf("an alert group is not of the form expected: %w", err)
		}
		if g.ID == "" {
			return errors.New("an alert group has no id")
		}
		if _, _, err := stamp(g.Created); err != nil {
			return fmt.Errorf("alert group %s: %w", g.ID, err)
		}
		if !slices.ContainsFunc(out, func(o group) bool { return o.ID == g.ID }) { // a page may begin with what the last one ended with
			out = append(out, g)
		}
		return nil
	})
	return out, reply, err
}

// stamp reads a time, and what it is cut to.
func stamp(text string) (at time.Time, granularity time.Duration, err error) {
	at, err = time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return at, 0, fmt.Errorf("%q is no time", text[:min(len(text), 40)])
	}
	if strings.Contains(text, ".") {
		return at, time.Millisecond, nil
	}
	return at, time.Second, nil
}

// user returns what a user is called; the id, and false, where that may not be read, or cannot be now.
func (s *Source) user(ctx context.Context, id string) (name string, told bool) {
	s.mu.Lock()
	name, known := s.users[id]
	s.mu.Unlock()
	if !known {
		var u struct {
			Name string `json:"username"`
		}
		_, err := s.api.JSON(ctx, "/api/v1/users/"+url.PathEscape(id)+"/", nil, &u)
		var refused *web.StatusError
		if err != nil && (!errors.As(err, &refused) || refused.Code != 404 && refused.Code != 403) {
			return id, false // it may be told the next time
		}
		name = u.Name
		s.mu.Lock()
		s.users[id] = name
		s.mu.Unlock()
	}
	if name == "" {
		return id, false
	}
	return name, true
}

// schedule is who is on call.
type schedule struct {
	Name string   `json:"name"`
	Now  []string `json:"on_call_now"` // users' ids
}

func (s *Source) schedule(ctx context.Context, id string) (schedule, error) {
	var out schedule
	_, err := s.api.JSON(ctx, "/api/v1/schedules/"+url.PathEscape(id)+"/", nil, &out)
	return out, err
}
