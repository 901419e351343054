package slack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gameday/internal/callrig"
)

// fake answers as Slack's Web API does, as far as it is asked here: pages of two, newest first, of what is told of by now.
type fake struct {
	t        testing.TB
	scopes   string
	lacks    string // the scope of conversations.history that is missing
	channels []channel
	messages map[string][]said // channel, or channel/thread
	members  map[string][]string
	pins     string
	bots     []string
	short    bool // reactions name one user only
}

// said is a message, from when on it is told of, and until when.
type said struct {
	at, told, gone time.Time
	json           string // with TS for its stamp
}

// ahead is how far the fake's clock is.
const ahead = 90 * time.Second

func theirs(at time.Time) string { return stamp(at.Add(ahead)) }

// say adds a message.
func (f *fake) say(place string, at time.Time, format string, args ...any) *said {
	if f.messages == nil {
		f.messages = map[string][]said{}
	}
	f.messages[place] = append(f.messages[place], said{at: at, told: at, json: strings.ReplaceAll(fmt.Sprintf(format, args...), "TS", theirs(at))})
	return &f.messages[place][len(f.messages[place])-1]
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer xoxb-secret-token" {
		fmt.Fprint(w, `{"ok":false,"error":"invalid_auth"}`)
		return
	}
	w.Header().Set("X-OAuth-Scopes", f.scopes)
	q := r.URL.Query()
	id := q.Get("channel")
	method := strings.TrimPrefix(r.URL.Path, "/api/")
	i := slices.IndexFunc(f.channels, func(c channel) bool { return c.ID == id })
	if id != "" && (i < 0 || !f.channels[i].Member) {
		fmt.Fprint(w, `{"ok":false,"error":"not_in_channel"}`)
		return
	}
	switch method {
	case "auth.test":
		fmt.Fprint(w, `{"ok":true,"user_id":"UGAMEDAY","bot_id":"BGAMEDAY"}`)
	case "users.info":
		fmt.Fprintf(w, `{"ok":true,"user":{"id":%q,"is_bot":%v}}`, q.Get("user"), slices.Contains(f.bots, q.Get("user")))
	case "conversations.list":
		var list []string
		for _, c := range f.channels {
			if c.Created <= time.Now().Add(ahead).Unix() {
				b, _ := json.Marshal(c)
				list = append(list, string(b))
			}
		}
		f.page(w, q.Get("cursor"), "channels", list)
	case "conversations.members":
		var list []string
		for _, m := range f.members[id] {
			list = append(list, strconv.Quote(m))
		}
		f.page(w, q.Get("cursor"), "members", list)
	case "conversations.history", "conversations.replies":
		if f.lacks != "" {
			fmt.Fprintf(w, `{"ok":false,"error":"missing_scope","needed":%q,"provided":"users:read"}`, f.lacks)
			return
		}
		if ts := q.Get("ts"); ts != "" {
			id += "/" + ts
		}
		f.page(w, q.Get("cursor"), "messages", f.told(id, q.Get("oldest"), q.Get("latest")))
	case "reactions.get":
		fmt.Fprint(w, `{"ok":true,"type":"message","message":`+f.reactions(id, q.Get("timestamp"))+`}`)
	case "pins.list":
		fmt.Fprint(w, `{"ok":true,"items":[`+f.pins+`]}`)
	default:
		f.t.Errorf("%s is not asked for", method)
	}
}

// told returns the messages of a place, newest first.
func (f *fake) told(place, oldest, latest string) (list []string) {
	now := time.Now()
	for _, m := range f.messages[place] {
		ts := theirs(m.at)
		if now.Before(m.told) || !m.gone.IsZero() && !now.Before(m.gone) || oldest != "" && ts < oldest || latest != "" && ts > latest {
			continue
		}
		text := m.json
		if f.short {
			text = strings.ReplaceAll(text, `["UANN","UBOB"]`, `["UANN"]`)
		}
		list = append(list, text)
	}
	slices.Reverse(list)
	return list
}

func (f *fake) reactions(id, ts string) string {
	for _, m := range f.messages[id] {
		if theirs(m.at) == ts && !time.Now().Before(m.told) && (m.gone.IsZero() || time.Now().Before(m.gone)) {
			return m.json
		}
	}
	return `null`
}

// page answers with two of a list.
func (f *fake) page(w http.ResponseWriter, cursor, name string, list []string) {
	from, _ := strconv.Atoi(strings.TrimPrefix(cursor, "c"))
	to := min(len(list), from+2)
	next := ""
	if to < len(list) {
		next = fmt.Sprintf("c%d", to)
	}
	fmt.Fprintf(w, `{"ok":true,%q:[%s],"has_more":%v,"response_metadata":{"next_cursor":%q}}`, name, strings.Join(list[from:to], ","), next != "", next)
}

// everything is the scopes of a token that may read all.
const everything = "channels:read,channels:history,groups:read,groups:history,users:read,reactions:read,pins:read"

// asked returns a source that asks a fake.
func asked(t testing.TB, f *fake, change ...func(*Config)) (*Source, *callrig.Server) {
	t.Helper()
	f.t = t
	if f.scopes == "" {
		f.scopes = everything
	}
	server := &callrig.Server{Handler: f, Ahead: ahead}
	c := Config{URL: "https://slack.example/api", Token: "xoxb-secret-token", Channels: []string{"oncall"}, Rooms: []string{"inc-*"}, PerMinute: 6000,
		Automation: []string{"UROBOT"}, Pins: true,
		Marks: []Mark{{Name: "bridge opened", Matches: `(?i)bridge|zoom\.us`, Kind: "bridge_opened"}, {Name: "customers told", Matches: "(?i)status ?page"}},
		Alarm: []Alarm{{Bots: []string{"BALERT"}, Matches: map[string]string{"alertname": `^\[(?:FIRING:\d+|RESOLVED)\] (\S+)`}}}}
	for _, f := range change {
		f(&c)
	}
	s, err := New("slack.ops", c)
	if err != nil {
		t.Fatal(err)
	}
	s.options.Transport = server
	if s.api, err = newClient(s.options); err != nil {
		t.Fatal(err)
	}
	return s, server
}
