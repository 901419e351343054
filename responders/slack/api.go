package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gameday/sources/web"
)

const (
	mostPages    = 60  // of one list
	pageSize     = 200 // messages, as Slack recommends
	listSize     = 999 // channels
	mostChannels = 30  // that are read
	mostThreads  = 100 // of one channel
)

// apiError is an answer that says no.
type apiError struct {
	method, code, needed string
}

func (e *apiError) Error() string {
	next := ""
	switch e.code {
	case "missing_scope":
		return fmt.Sprintf("%s: the token lacks the scope %s: add it under OAuth & Permissions, and install the app again", e.method, e.needed)
	case "not_in_channel", "channel_not_found":
		next = ": invite the bot to the channel with /invite"
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "no_permission":
		next = ": is it a bot's token (xoxb-…), and is the app still installed?"
	case "ratelimited":
		next = ": it is asked too often; set requests_per_minute lower"
	}
	return e.method + ": " + e.code + next
}

// isCode reports whether an error is an answer of that code.
func isCode(err error, codes ...string) bool {
	var e *apiError
	return errors.As(err, &e) && slices.Contains(codes, e.code)
}

// head is what every answer begins with.
type head struct {
	OK     bool   `json:"ok"`
	Error  string `json:"error"`
	Needed string `json:"needed"`
	Meta   struct {
		Cursor string `json:"next_cursor"`
	} `json:"response_metadata"`
	More bool `json:"has_more"`
}

// call asks a method of the Web API and decodes the answer, when it is a yes.
func (s *Source) call(ctx context.Context, method string, query url.Values, into any) (head, web.Reply, error) {
	reply, err := s.api.Get(ctx, "/"+method, query)
	if err != nil {
		return head{}, reply, err
	}
	var h head
	if err := json.Unmarshal(reply.Body, &h); err != nil {
		return h, reply, fmt.Errorf("%s: the answer is not whole: %w", method, err)
	}
	if !h.OK {
		return h, reply, &apiError{method: method, code: h.Error, needed: h.Needed}
	}
	if into != nil {
		if err := json.Unmarshal(reply.Body, into); err != nil {
			return h, reply, fmt.Errorf("%s: the answer is not as expected: %w", method, err)
		}
	}
	return h, reply, nil
}

// pages asks for every page of a list. take decodes one, and says whether the list is in it at all.
func (s *Source) pages(ctx context.Context, method string, query url.Values, take func(body []byte) (bool, error)) error {
	seen := map[string]bool{}
	for range mostPages {
		h, reply, err := s.call(ctx, method, query, nil)
		if err != nil {
			return err
		}
		ok, err := take(reply.Body)
		switch {
		case err != nil:
			return fmt.Errorf("%s: the answer is not as expected: %w", method, err)
		case !ok:
			return fmt.Errorf("%s: the answer has no list", method)
		case h.Meta.Cursor == "" && h.More:
			return fmt.Errorf("%s: there is more, and the answer does not say where", method)
		case h.Meta.Cursor == "":
			return nil
		case seen[h.Meta.Cursor]:
			return fmt.Errorf("%s: its pages go round", method)
		}
		seen[h.Meta.Cursor] = true
		query.Set("cursor", h.Meta.Cursor)
	}
	return fmt.Errorf("%s: there are more than %d pages: name fewer channels, or set lookback shorter", method, mostPages)
}

// channel is a place to write in.
type channel struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Created  int64  `json:"created"`
	Creator  string `json:"creator"`
	Member   bool   `json:"is_member"` // the bot is in it
	Archived bool   `json:"is_archived"`
}

// list returns all channels that the token can see.
func (s *Source) list(ctx context.Context) ([]channel, error) {
	types := "public_channel"
	if s.private {
		types += ",private_channel"
	}
	var out []channel
	err := s.pages(ctx, "conversations.list", url.Values{"types": {types}, "limit": {strconv.Itoa(listSize)}}, func(body []byte) (bool, error) {
		var a struct {
			Channels *[]channel `json:"channels"`
		}
		err := json.Unmarshal(body, &a)
		if err != nil || a.Channels == nil {
			return false, err
		}
		out = append(out, *a.Channels...)
		return true, nil
	})
	return out, err
}

// message is what somebody wrote, or what Slack says that happened.
type message struct {
	Subtype   string `json:"subtype"`
	User      string `json:"user"`
	Bot       string `json:"bot_id"`
	Text      string `json:"text"`
	TS        string `json:"ts"`
	Thread    string `json:"thread_ts"`
	Replies   int    `json:"reply_count"`
	LastReply string `json:"latest_reply"`
	Edited    *struct {
		TS string `json:"ts"`
	} `json:"edited"`
	Reactions []reaction `json:"reactions"`
	Parts     []struct {
		Title    string `json:"title"`
		Pretext  string `json:"pretext"`
		Text     string `json:"text"`
		Fallback string `json:"fallback"`
	} `json:"attachments"`

	raw []byte
	at  time.Time // of TS
}

type reaction struct {
	Name  string   `json:"name"`
	Users []string `json:"users"` // some of them, where there are many
	Count int      `json:"count"`
}

// texts are all that can be read in a message.
func (m *message) texts() []string {
	out := []string{m.Text}
	for _, p := range m.Parts {
		out = append(out, p.Pretext, p.Title, p.Text, p.Fallback)
	}
	return out
}

// history returns the messages of a channel, or of a thread of it, in a span of Slack's time, in order.
func (s *Source) history(ctx context.Context, id, thread string, from, to time.Time) ([]message, error) {
	method, query := "conversations.history", url.Values{"channel": {id}, "oldest": {stamp(from)}, "latest": {stamp(to)}, "inclusive": {"true"},
		"limit": {strconv.Itoa(pageSize)}}
	if thread != "" {
		method = "conversations.replies"
		query.Set("ts", thread)
	}
	var out []message
	err := s.pages(ctx, method, query, func(body []byte) (bool, error) {
		var a struct {
			Messages *[]json.RawMessage `json:"messages"`
		}
		if err := json.Unmarshal(body, &a); err != nil || a.Messages == nil {
			return false, err
		}
		for _, raw := range *a.Messages {
			m := message{raw: raw}
			if err := json.Unmarshal(raw, &m); err != nil {
				return true, err
			}
			var err error
			if m.at, err = parseStamp(m.TS); err != nil {
				return true, err
			}
			out = append(out, m)
		}
		return true, nil
	})
	slices.SortStableFunc(out, func(a, b message) int { return a.at.Compare(b.at) })
	return slices.CompactFunc(out, func(a, b message) bool { return a.TS == b.TS }), err
}

// members returns the ids of who is in a channel.
func (s *Source) members(ctx context.Context, id string) ([]string, error) {
	var out []string
	err := s.pages(ctx, "conversations.members", url.Values{"channel": {id}, "limit": {strconv.Itoa(listSize)}}, func(body []byte) (bool, error) {
		var a struct {
			Members *[]string `json:"members"`
		}
		err := json.Unmarshal(body, &a)
		if err != nil || a.Members == nil {
			return false, err
		}
		out = append(out, *a.Members...)
		return true, nil
	})
	return out, err
}

// everyReaction returns the reactions to a message with all who reacted.
func (s *Source) everyReaction(ctx context.Context, id, ts string) ([]reaction, error) {
	var a struct {
		Message *message `json:"message"`
	}
	_, _, err := s.call(ctx, "reactions.get", url.Values{"channel": {id}, "timestamp": {ts}, "full": {"true"}}, &a)
	if err == nil && a.Message == nil {
		err = errors.New("reactions.get: the answer has no message")
	}
	if err != nil {
		return nil, err
	}
	return a.Message.Reactions, nil
}

// pin is something that somebody pinned.
type pin struct {
	Created int64  `json:"created"`
	By      string `json:"created_by"`
	Message struct {
		TS string `json:"ts"`
	} `json:"message"`
}

// pinned returns what is pinned in a channel.
func (s *Source) pinned(ctx context.Context, id string) ([]pin, error) {
	var a struct {
		Items *[]pin `json:"items"`
	}
	_, _, err := s.call(ctx, "pins.list", url.Values{"channel": {id}}, &a)
	if err == nil && a.Items == nil {
		err = errors.New("pins.list: the answer has no list")
	}
	if err != nil {
		return nil, err
	}
	return *a.Items, nil
}

// stamp writes a time as Slack does: seconds and microseconds.
func stamp(t time.Time) string { return fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/1000) }

// parseStamp reads such a time. Its digits are exact, and a floating-point number would not be.
func parseStamp(text string) (time.Time, error) {
	whole, part, ok := strings.Cut(text, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	micro, err2 := strconv.ParseInt(part, 10, 64)
	if !ok || err != nil || err2 != nil || len(part) != 6 || micro < 0 || sec < 0 || sec > 1e11 {
		return time.Time{}, fmt.Errorf("%.40q is no time of a message", text)
	}
	return time.Unix(sec, micro*1000), nil
}
