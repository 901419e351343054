package slack

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"gameday/faults"
	"gameday/responders"
	"gameday/responders/internal/page"
	"gameday/sources/web"
)

// Config holds the settings of a source. Durations are written as in "30s".
type Config struct {
	URL   string `hcl:"url,optional" json:"url,omitempty"` // https://slack.com/api
	Token string `hcl:"token" json:"-"`                    // of a bot: xoxb-…
	// Channels are read: names, or patterns such as "oncall-*".
	Channels []string `hcl:"channels,optional" json:"channels,omitempty"`
	// Rooms are the names of channels that are opened for one incident, or patterns. Those made during the run are read.
	Rooms   []string `hcl:"rooms,optional" json:"rooms,omitempty"`
	Private *bool    `hcl:"private,optional" json:"private,omitempty"` // private channels too; true
	Pins    bool     `hcl:"pins,optional" json:"pins,omitempty"`       // what is pinned, too
	// KeepText keeps what people wrote, without addresses, telephone numbers and what looks like a secret.
	KeepText bool    `hcl:"keep_text,optional" json:"keep_text,omitempty"`
	Marks    []Mark  `hcl:"mark,block" json:"marks,omitempty"`
	Alarm    []Alarm `hcl:"alarm,block" json:"alarm,omitempty"`
	// Reactions says what a reaction to an alarm's message means: acknowledged or resolved. eyes is acknowledged by default.
	Reactions map[string]string `hcl:"reactions,optional" json:"reactions,omitempty"`
	// Automation are the ids of users who never count as human.
	Automation []string `hcl:"automation,optional" json:"automation,omitempty"`

	Poll     string `hcl:"poll,optional" json:"poll,omitempty"`         // between two looks; 15s
	Settle   string `hcl:"settle,optional" json:"settle,omitempty"`     // after what time Slack tells of everything; 1m
	Lookback string `hcl:"lookback,optional" json:"lookback,omitempty"` // how old a thread or an alarm's message may be that something happens to; 6h
	Timeout  string `hcl:"timeout,optional" json:"timeout,omitempty"`   // of one try; 5s
	Patience string `hcl:"patience,optional" json:"patience,omitempty"` // with a busy Slack; 1m
	// PerMinute bounds how often Slack is asked; 90.
	PerMinute int `hcl:"requests_per_minute,optional" json:"requests_per_minute,omitempty"`
}

// Tells returns what is seen whenever it happens: public rooms that are opened, and who comes into them. A private room is not seen
// until the bot is invited to it, and a bridge, or a word to customers, may leave no trace in a chat.
func (c *Config) Tells() []responders.Kind {
	if len(c.Rooms) == 0 || c.Private == nil || *c.Private {
		return nil
	}
	return []responders.Kind{responders.Joined, responders.RoomOpened}
}

// Mark is a mark that is set by what somebody writes.
type Mark struct {
	Name    string `hcl:"name,label" json:"name"`
	Matches string `hcl:"matches" json:"matches"` // a regular expression
	// Kind is what it shows besides: bridge_opened, told, diagnosed, runbook_opened or filed.
	Kind string `hcl:"kind,optional" json:"kind,omitempty"`
}

// Alarm says which messages are pages about alarms: those of bots that have the label alertname.
type Alarm struct {
	Bots    []string          `hcl:"bots,optional" json:"bots,omitempty"`       // ids of bots (B…); any bot without
	Labels  map[string]string `hcl:"labels,optional" json:"labels,omitempty"`   // label → path in the message's JSON, as of gjson
	Matches map[string]string `hcl:"matches,optional" json:"matches,omitempty"` // label → a regular expression with one group, over its text
	// Resolved is a regular expression that the message of an alarm's end matches; "(?i)\[resolved" by default.
	Resolved string `hcl:"resolved,optional" json:"resolved,omitempty"`
}

// What is assumed where nothing is said.
const (
	defaultURL       = "https://slack.com/api"
	defaultPoll      = 15 * time.Second
	defaultSettle    = time.Minute
	defaultLookback  = 6 * time.Hour
	defaultPatience  = time.Minute
	defaultPerMinute = 90
	defaultResolved  = `(?i)\[resolved`
)

// kindsOfMarks are what a mark may show besides.
var kindsOfMarks = []responders.Kind{responders.BridgeOpened, responders.Told, responders.Diagnosed, responders.RunbookOpened, responders.Filed}

// settings are a config's, read.
type settings struct {
	options                web.Options
	poll, settle, lookback time.Duration
	channels, rooms        []string
	private, pins, keep    bool
	marks                  []mark
	alarm                  *alarm // nil when no message is a page
	reactions              map[string]responders.Kind
	automation             []string
}

type mark struct {
	name string
	what *regexp.Regexp
	kind responders.Kind // besides; empty for none
}

type alarm struct {
	bots     []string
	paths    map[string]string
	matches  map[string]*regexp.Regexp
	resolved *regexp.Regexp
}

// Address returns the source's URL, so that a fault on this machine can be kept off the way to it.
func (c Config) Address() string {
	if c.URL == "" {
		return defaultURL
	}
	return c.URL
}

// String prints the configuration without its secret.
func (c Config) String() string { return fmt.Sprintf("slack at %s", c.Address()) }

// GoString prints the same: %#v must not show a secret either.
func (c Config) GoString() string { return c.String() }

// Validate reports every mistake, joined, each a *faults.FieldError.
func (c *Config) Validate() error {
	_, err := c.parse()
	return err
}

// complain adds a mistake.
type complain func(field, summary, format string, args ...any)

// parse reads the settings.
func (c *Config) parse() (s settings, err error) {
	var errs []error
	var wrong complain = func(field, summary, format string, args ...any) {
		errs = append(errs, &faults.FieldError{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	s = settings{channels: c.Channels, rooms: c.Rooms, private: c.Private == nil || *c.Private, pins: c.Pins, keep: c.KeepText,
		automation: slices.Clone(c.Automation)}
	s.options = web.Options{URL: c.Address(), Token: c.Token, PerMinute: c.PerMinute}
	if c.PerMinute == 0 {
		s.options.PerMinute = defaultPerMinute
	}
	if c.PerMinute < 0 {
		wrong("requests_per_minute", "Invalid number", "It must be more than nothing, such as 90.")
	}
	for _, d := range []struct {
		field, text string
		to          *time.Duration
		otherwise   time.Duration
	}{{"poll", c.Poll, &s.poll, defaultPoll}, {"settle", c.Settle, &s.settle, defaultSettle}, {"lookback", c.Lookback, &s.lookback, defaultLookback},
		{"timeout", c.Timeout, &s.options.Timeout, web.DefaultTimeout}, {"patience", c.Patience, &s.options.Patience, defaultPatience}} {
		var err error
		if *d.to, err = web.Duration(d.field, d.text, d.otherwise); err != nil {
			errs = append(errs, err)
		}
	}
	if err := s.options.Validate(); err != nil {
		errs = append(errs, err)
	}
	if len(c.Channels)+len(c.Rooms) == 0 {
		wrong("channels", "No channel", "Say which channels to read: channels = [\"oncall\"], or rooms = [\"inc-*\"] for those that are opened for an incident.")
	}
	for field, list := range map[string][]string{"channels": c.Channels, "rooms": c.Rooms} {
		for _, name := range list {
			if _, err := path.Match(name, "x"); err != nil || name == "" || strings.HasPrefix(name, "#") {
				wrong(field, "Invalid name", "%q is no name of a channel, or a pattern with * and ?; write it without #.", name)
			}
		}
	}
	s.readMarks(c, wrong)
	s.readAlarm(c, wrong)
	return s, errors.Join(errs...)
}

// readMarks reads the marks.
func (s *settings) readMarks(c *Config, wrong complain) {
	for _, m := range c.Marks {
		what, err := regexp.Compile(m.Matches)
		switch {
		case m.Name == "" || err != nil || m.Matches == "":
			wrong("mark", "Invalid pattern", "A mark has a name and matches, a regular expression; %q is none.", m.Matches)
			continue
		case m.Kind != "" && !slices.Contains(kindsOfMarks, responders.Kind(m.Kind)):
			wrong("mark", "Unknown kind", "What somebody writes may show bridge_opened, told, diagnosed, runbook_opened or filed; not %q.", m.Kind)
		case m.Kind == string(responders.Diagnosed) && !c.KeepText:
			wrong("mark", "No text", "A diagnosis is what somebody wrote: set keep_text = true.")
		}
		s.marks = append(s.marks, mark{m.Name, what, responders.Kind(m.Kind)})
	}
}

// readAlarm reads which messages are pages, and what reactions to them mean.
func (s *settings) readAlarm(c *Config, wrong complain) {
	s.reactions = map[string]responders.Kind{"eyes": responders.Acknowledged}
	if c.Reactions != nil {
		s.reactions = map[string]responders.Kind{}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Reactions)) {
		k := responders.Kind(c.Reactions[name])
		if k != responders.Acknowledged && k != responders.Resolved || name == "" || strings.Contains(name, ":") {
			wrong("reactions", "Invalid reaction", "A reaction is written without colons and means \"acknowledged\" or \"resolved\": reactions = { eyes = \"acknowledged\" }.")
		}
		s.reactions[name] = k
	}
	if len(c.Alarm) == 0 {
		return
	}
	if len(c.Alarm) > 1 {
		wrong("alarm", "Two alarm blocks", "Give one.")
	}
	a := c.Alarm[0]
	s.alarm = &alarm{bots: a.Bots, paths: a.Labels, matches: map[string]*regexp.Regexp{}}
	if err := page.CheckPaths(a.Labels); err != nil {
		wrong("alarm", "Empty path", "labels names for each label of the alarm where it is in the message's JSON: labels = { alertname = \"attachments.0.title\" }.")
	}
	for _, name := range slices.Sorted(maps.Keys(a.Matches)) {
		what, err := regexp.Compile(a.Matches[name])
		if err != nil || what.NumSubexp() != 1 || name == "" {
			wrong("alarm", "Invalid pattern", "matches gives for each label a regular expression with one group, such as \"^\\\\[FIRING:\\\\d+\\\\] (\\\\S+)\"; %q is none.", a.Matches[name])
			continue
		}
		s.alarm.matches[name] = what
	}
	pattern := a.Resolved
	if pattern == "" {
		pattern = defaultResolved
	}
	resolved, err := regexp.Compile(pattern)
	if err != nil {
		wrong("alarm", "Invalid pattern", "resolved is a regular expression; %q is none.", pattern)
		resolved = regexp.MustCompile(defaultResolved)
	}
	s.alarm.resolved = resolved
}
