package webhook

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"gameday/faults"
	"gameday/responders"
	"gameday/sources/hook"
)

// Config holds the settings of a source. Durations are written as in "30s".
type Config struct {
	Listen     string      `hcl:"listen"`                  // host:port; port 0 takes a free one
	Token      string      `hcl:"token,optional" json:"-"` // that senders must give
	Signatures []Signature `hcl:"signature,block" json:"signature,omitempty"`
	Beat       string      `hcl:"heartbeat,optional" json:"heartbeat,omitempty"`     // something is posted at least so often
	Error      string      `hcl:"clock_error,optional" json:"clock_error,omitempty"` // of the sender's clock, at the most; 2s
	Delay      string      `hcl:"delay,optional" json:"delay,omitempty"`             // from an event to its posting, at the most; 10s
	Grade      string      `hcl:"grade,optional" json:"grade,omitempty"`             // of evidence that gives none; B
	// Automation are the actors who never count as human, whatever is posted.
	Automation []string  `hcl:"automation,optional" json:"automation,omitempty"`
	Map        []Mapping `hcl:"mapping,block" json:"mapping,omitempty"`
}

// Signature says how a sender proves who it is: the HMAC-SHA256 of the body, in hexadecimal.
type Signature struct {
	Header string `hcl:"header"` // that holds it; several are separated by commas
	Secret string `hcl:"secret" json:"-"`
	Prefix string `hcl:"prefix,optional" json:"prefix,omitempty"` // before each, such as "sha256="
}

// Mapping says where in a posted JSON value an event is. Values are paths as of github.com/tidwall/gjson: "incident.id",
// "events.0.type".
type Mapping struct {
	Each string `hcl:"each,optional" json:"each,omitempty"` // of the list of events; without it the value is one
	ID   string `hcl:"id,optional" json:"id,omitempty"`     // unique; without it a posting that is the same to the letter is the same
	Kind string `hcl:"kind" json:"kind"`
	// Kinds says what the words at Kind mean: a kind of event, or Ignore.
	Kinds map[string]string `hcl:"kinds" json:"kinds"`
	Page  string            `hcl:"page,optional" json:"page,omitempty"`
	At    string            `hcl:"at,optional" json:"at,omitempty"` // RFC 3339, or Unix seconds or milliseconds
	Actor string            `hcl:"actor,optional" json:"actor,omitempty"`
	// ActorKind is the path of what the actor is, and Actors what the words there mean. A word that has no meaning is an actor of
	// whom nobody knows what it is, who does not count as human.
	ActorKind string            `hcl:"actor_kind,optional" json:"actor_kind,omitempty"`
	Actors    map[string]string `hcl:"actors,optional" json:"actors,omitempty"`
	Level     string            `hcl:"level,optional" json:"level,omitempty"`
	Targets   string            `hcl:"targets,optional" json:"targets,omitempty"` // of a name, or a list of them
	Delivered string            `hcl:"delivered,optional" json:"delivered,omitempty"`
	// Deliveries says what the words at Delivered mean: yes, no or unknown. true and false need none.
	Deliveries map[string]string `hcl:"deliveries,optional" json:"deliveries,omitempty"`
	Text       string            `hcl:"text,optional" json:"text,omitempty"`
	Channel    string            `hcl:"channel,optional" json:"channel,omitempty"`
	Team       string            `hcl:"team,optional" json:"team,omitempty"`
	Grade      string            `hcl:"grade,optional" json:"grade,omitempty"`
	Labels     map[string]string `hcl:"labels,optional" json:"labels,omitempty"`           // of the page's alarm: label → path
	From       string            `hcl:"labels_from,optional" json:"labels_from,omitempty"` // of an object whose members are labels
}

// Tells returns what beside pages its senders post: the kinds that the mapping has words for.
func (c *Config) Tells() []responders.Kind {
	var out []responders.Kind
	for _, m := range c.Map {
		for _, word := range m.Kinds {
			k := responders.Kind(word)
			if slices.Contains(responders.Kinds(), k) && !k.OfPage() && k != responders.Noted {
				out = append(out, k)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Ignore is what a word at Mapping.Kind means that tells of nothing, such as a heartbeat's.
const Ignore = "ignore"

var (
	grades     = []string{"A", "B", "C", "D"}
	deliveries = []string{"yes", "no", "unknown"}
	actors     = []responders.ActorKind{responders.Human, responders.Bot, responders.Integration, responders.Timeout, responders.UnknownKind}
)

// settings are a config's, read.
type settings struct {
	listen, token      string
	signed             func(http.Header, []byte) bool
	mute               bool // nobody can sign, for there is no secret
	beat, slack, delay time.Duration
	grade              string
	automation         []string
	Mapping
}

// String prints where it listens, without its secrets.
func (c Config) String() string { return "webhook at " + c.Listen }

// GoString prints the same: %#v must not show a secret either.
func (c Config) GoString() string { return c.String() }

// String prints where a signature is.
func (g Signature) String() string { return "signature in " + g.Header }

// GoString prints the same.
func (g Signature) GoString() string { return g.String() }

// Validate reports every mistake, joined, each a *faults.FieldError.
func (c *Config) Validate() error {
	_, err := c.parse()
	return err
}

// parse reads the settings.
func (c *Config) parse() (s settings, err error) {
	var errs []error
	wrong := func(field, summary, format string, args ...any) {
		errs = append(errs, &faults.FieldError{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	s = settings{listen: c.Listen, token: c.Token, grade: c.Grade, automation: slices.Clone(c.Automation)}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		wrong("listen", "Invalid address", "%q is not host:port, such as \"127.0.0.1:9099\".", c.Listen)
	}
	for _, d := range []struct {
		field, text string
		to          *time.Duration
		otherwise   time.Duration
	}{{"heartbeat", c.Beat, &s.beat, 0}, {"clock_error", c.Error, &s.slack, 2 * time.Second}, {"delay", c.Delay, &s.delay, 10 * time.Second}} {
		*d.to = d.otherwise
		if d.text == "" {
			continue
		}
		n, err := time.ParseDuration(d.text)
		if err != nil || n < 0 || n > 24*time.Hour {
			wrong(d.field, "Invalid duration", "%q is not a duration up to a day, such as \"30s\".", d.text)
			continue
		}
		*d.to = n
	}
	if s.grade == "" {
		s.grade = "B"
	}
	if !slices.Contains(grades, s.grade) {
		wrong("grade", "Unknown grade", "%q is no grade of evidence; they are A, B, C and D.", c.Grade)
	}
	switch {
	case len(c.Signatures) > 1:
		wrong("signature", "Two signatures", "Senders sign in one way: give one signature block.")
	case len(c.Signatures) == 1 && c.Token != "":
		wrong("token", "Two ways to sign in", "A signature stands in for the token: give one of them.")
	case len(c.Signatures) == 1:
		s.signed = c.Signatures[0].check(wrong)
		s.mute = c.Signatures[0].Secret == "" // as when a scenario is only checked
	}
	if len(c.Map) != 1 {
		wrong("mapping", "No mapping", "Say with one mapping block where in the JSON the events are.")
		return s, errors.Join(errs...)
	}
	s.Mapping = c.Map[0]
	s.Mapping.check(wrong)
	return s, errors.Join(errs...)
}

// check returns what tells a body that is signed.
func (g Signature) check(wrong func(field, summary, format string, args ...any)) func(http.Header, []byte) bool {
	if g.Header == "" {
		wrong("signature", "No header", "Say in which header of a posting its signature is, such as \"X-Signature\".")
	}
	return func(header http.Header, body []byte) bool {
		var given []string
		for _, value := range header.Values(g.Header) {
			for one := range strings.SplitSeq(value, ",") {
				if hex, ok := strings.CutPrefix(strings.TrimSpace(one), g.Prefix); ok {
					given = append(given, hex)
				}
			}
		}
		return hook.HMAC(g.Secret, given, body)
	}
}

// check looks at what a mapping can be wrong in before anything is posted.
func (m *Mapping) check(wrong func(field, summary, format string, args ...any)) {
	if m.Kind == "" || len(m.Kinds) == 0 {
		wrong("mapping", "No kinds", "Say where an event's kind is, and what it means: kind = \"type\", kinds = { \"incident.acknowledged\" = \"acknowledged\" }.")
	}
	kinds := append(responders.Kinds(), Ignore)
	for _, word := range slices.Sorted(maps.Keys(m.Kinds)) {
		k := responders.Kind(m.Kinds[word])
		switch {
		case !slices.Contains(kinds, k):
			wrong("mapping", "Unknown kind", "%q is no kind of event; they are %s.", k, words(kinds))
		case k.OfPage() && m.Page == "":
			wrong("mapping", "No page", "%s is about a page: say where its id is: page = \"incident.id\".", k)
		case k == responders.Marked && m.Text == "":
			wrong("mapping", "No name", "A mark has a name: say where it is: text = \"name\".")
		}
	}
	for _, word := range slices.Sorted(maps.Keys(m.Actors)) {
		if k := responders.ActorKind(m.Actors[word]); !slices.Contains(actors, k) {
			wrong("mapping", "Unknown actor", "%q is no kind of actor; they are %s.", k, words(actors))
		}
	}
	for _, word := range slices.Sorted(maps.Keys(m.Deliveries)) {
		if !slices.Contains(deliveries, m.Deliveries[word]) {
			wrong("mapping", "Unknown delivery", "A page was delivered, yes or no, or that is unknown; %q is none of them.", m.Deliveries[word])
		}
	}
	if m.Page != "" && m.From == "" && len(m.Labels) == 0 {
		wrong("mapping", "No labels", "Say which alarm a page is about: labels = { alertname = \"incident.title\" }. The first event that has them is enough.")
	}
}

// words lists words in a sentence.
func words[T ~string](list []T) string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}
