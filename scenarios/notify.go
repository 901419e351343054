package scenarios

import (
	"maps"
	"net"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"gameday/announce"
)

type notifyBlock struct {
	Kind         string    `hcl:"kind,label"`
	Name         string    `hcl:"name,label"`
	On           []string  `hcl:"on,optional"`
	To           *string   `hcl:"to,optional"`
	Ahead        *string   `hcl:"ahead,optional"`
	StaleAfter   *string   `hcl:"stale_after,optional"`
	Link         *string   `hcl:"link,optional"`
	URL          *string   `hcl:"url,optional"`
	URLEnv       *string   `hcl:"url_env,optional"`
	URLFile      *string   `hcl:"url_file,optional"`
	SecretEnv    *string   `hcl:"secret_env,optional"`
	SecretFile   *string   `hcl:"secret_file,optional"`
	Server       *string   `hcl:"server,optional"`
	From         *string   `hcl:"from,optional"`
	Recipients   []string  `hcl:"recipients,optional"`
	Username     *string   `hcl:"username,optional"`
	PasswordEnv  *string   `hcl:"password_env,optional"`
	PasswordFile *string   `hcl:"password_file,optional"`
	TLS          *string   `hcl:"tls,optional"`
	CAFile       *string   `hcl:"ca_file,optional"`
	DefRange     hcl.Range `hcl:",def_range"`
	Body         hcl.Body  `hcl:",body"`
}

// notifyFor says which arguments are for which kinds; those that are not in it are for all.
var notifyFor = map[string][]announce.Kind{
	"url":           {announce.Webhook},
	"url_env":       {announce.Slack, announce.Mattermost, announce.Teams, announce.Webhook},
	"url_file":      {announce.Slack, announce.Mattermost, announce.Teams, announce.Webhook},
	"secret_env":    {announce.Webhook},
	"secret_file":   {announce.Webhook},
	"server":        {announce.Email},
	"from":          {announce.Email},
	"recipients":    {announce.Email},
	"username":      {announce.Email},
	"password_env":  {announce.Email},
	"password_file": {announce.Email},
	"tls":           {announce.Email},
}

// Channels returns where people are told of a schedule: those that it has for itself, and those of the whole calendar. No name
// returns those of the calendar alone.
func (c *Calendar) Channels(schedule string) []*announce.Channel { return c.channels(schedule) }

// RehearsalChannels returns where people are told of a rehearsal.
func (c *Calendar) RehearsalChannels(rehearsal string) []*announce.Channel {
	return c.channels(RehearsalScope(rehearsal))
}

// RehearsalScope returns the scope of the channels that a rehearsal has for itself.
func RehearsalScope(rehearsal string) string { return rehearsalScope + rehearsal }

func (c *Calendar) channels(scope string) []*announce.Channel {
	var out []*announce.Channel
	for _, x := range c.Notify {
		if x.Scope == "" || x.Scope == scope {
			out = append(out, x)
		}
	}
	return out
}

// rehearsalScope keeps the channels of a rehearsal from those of a schedule of the same name.
const rehearsalScope = "rehearsal."

// notify decodes the channels of a calendar, a schedule or a rehearsal. Its scope says which.
func (d *calendarDecoding) notify(blocks []notifyBlock, scope string) {
	for i := range blocks {
		b := &blocks[i]
		kinds := make([]string, 0, len(announce.Kinds))
		for _, k := range announce.Kinds {
			kinds = append(kinds, string(k))
		}
		if !shownLabel.MatchString(b.Kind) || !shownLabel.MatchString(b.Name) { // it may be an address: it is not shown
			d.errorf(b.DefRange, "Invalid channel name", "Behind notify stand the kind of channel and a name for it, such as \"slack\" \"sre\". A name has small letters, digits and dashes, at most 48; an address does not belong there.")
			continue
		}
		if !slices.Contains(kinds, b.Kind) {
			d.errorf(b.DefRange, "Unknown kind of channel", "Nobody can be told by %q.%s There are %s.", cutName(b.Kind), suggest(b.Kind, kinds), list(kinds))
			continue
		}
		c := &announce.Channel{Kind: announce.Kind(b.Kind), Name: b.Name, Scope: scope, To: announce.Everyone, Ahead: announce.DefaultAhead}
		if d.channelNames == nil {
			d.channelNames = map[string]hcl.Range{}
		}
		if !d.unique(d.channelNames, "notify", c.ID(), b.DefRange) {
			continue
		}
		if !scheduleName.MatchString(b.Name) {
			d.errorf(b.DefRange, "Invalid channel name", "%q also names files. It has small letters, digits and dashes, at most 48.", cutName(b.Name))
		}
		d.channel(c, b)
		d.out.Notify = append(d.out.Notify, c)
	}
}

// channel decodes one channel.
func (d *calendarDecoding) channel(c *announce.Channel, b *notifyBlock) {
	for _, field := range slices.Sorted(maps.Keys(notifyFor)) {
		if present(b.Body, field) && !slices.Contains(notifyFor[field], c.Kind) {
			at := attrRange(b.Body, field, b.DefRange)
			if field == "url" && c.Kind != announce.Email { // the line itself is not shown
				d.errorf(b.DefRange, "A secret in the file", "Whoever knows the address of a webhook of %s can write there, so that it is a secret. Put it into a variable of the environment, "+
					"url_env = \"GAMEDAY_%s_URL\", or into a file, url_file.", b.Kind, strings.ToUpper(strings.ReplaceAll(b.Name, "-", "_")))
				continue
			}
			d.errorf(at, "Unsupported argument", "An argument named %q is not expected in notify %q.", field, b.Kind)
		}
	}
	c.To = choice(d.loader, b.To, b.Body, "to", b.DefRange, map[string]announce.Audience{"everyone": announce.Everyone, "facilitators": announce.Facilitators}, announce.Everyone)
	d.events(c, b)
	if b.Ahead != nil {
		c.Ahead = d.span(*b.Ahead, "ahead", b, 4*7*24*time.Hour)
	}
	if b.Link != nil {
		c.Link = d.link(*b.Link, b)
	}
	if b.CAFile != nil {
		c.CAFile = d.path(*b.CAFile)
	}
	if c.Kind == announce.Email {
		d.mailChannel(c, b)
		return
	}
	text := ""
	if c.Kind == announce.Webhook {
		text = "url"
	}
	c.Address = d.secretAt(b, secretFields{text, b.URL, "url_env", b.URLEnv, "url_file", b.URLFile})
	c.Secret = d.secretAt(b, secretFields{"", nil, "secret_env", b.SecretEnv, "secret_file", b.SecretFile})
	switch {
	case c.Kind == announce.Webhook && c.Address.Text != "":
		if err := announce.CheckAddress(c.Address.Text); err != nil {
			d.errorf(b.DefRange, "Invalid address", "Its url %s.", err)
		} else if u, err := url.Parse(c.Address.Text); err == nil && u.RawQuery != "" {
			d.errorf(b.DefRange, "A secret in the file", "What stands behind the question mark of an address mostly is a secret. Put the address into a variable of the environment, url_env, or into a file, url_file.")
		}
	case !c.Address.Given() && !present(b.Body, "url", "url_env", "url_file"):
		d.errorf(b.DefRange, "No address", "Where to? Write url_env, the name of a variable of the environment that holds the webhook's address, or url_file, the path of a file that does.")
	}
}

// events decodes what a channel is told of. What it leaves out is all that there is at its place.
func (d *calendarDecoding) events(c *announce.Channel, b *notifyBlock) {
	if b.StaleAfter != nil {
		at := attrRange(b.Body, "stale_after", b.DefRange)
		age, ok := ageOf(*b.StaleAfter)
		if !ok {
			d.errorf(at, "Invalid age", "stale_after = %q is not a number of hours, days or weeks, such as \"36h\", \"14d\" or \"4w\". A day has 24 hours here.", cutName(*b.StaleAfter))
		}
		c.StaleAfter = age
	}
	var here []string
	for _, e := range announce.Events {
		rehearsal := strings.HasPrefix(c.Scope, rehearsalScope)
		switch {
		case rehearsal && e != announce.Rehearsal && e != announce.Residue, !rehearsal && c.Scope != "" && e == announce.Rehearsal:
			continue
		}
		here = append(here, string(e))
	}
	at := attrRange(b.Body, "on", b.DefRange)
	if b.On == nil {
		for _, e := range here {
			if e != string(announce.Stale) || c.StaleAfter > 0 {
				c.On = append(c.On, announce.Event(e))
			}
		}
		return
	}
	if len(b.On) == 0 {
		d.errorf(at, "Told of nothing", "A channel with an empty on is told of nothing. Name what it is told of, or leave on out: then it is told of everything.")
	}
	for _, word := range b.On {
		switch {
		case slices.Contains(here, word):
			c.On = append(c.On, announce.Event(word))
		case slices.Contains(announce.Events, announce.Event(word)):
			d.errorf(at, "Nothing of that kind happens here", "%q does not happen to what this block stands in. Here there are %s.", word, list(here))
		default:
			d.errorf(at, "Unknown event", "Nobody is told of %q.%s There are %s.", cutName(word), suggest(word, here), list(here))
		}
	}
	if slices.Contains(c.On, announce.Stale) && b.StaleAfter == nil {
		d.errorf(at, "Stale after how long", "\"stale\" is told when a scenario last passed too long ago. Say how long: stale_after = \"30d\".")
	}
	if b.StaleAfter != nil && !slices.Contains(c.On, announce.Stale) {
		d.errorf(attrRange(b.Body, "stale_after", b.DefRange), "A limit that nobody is told of", "stale_after says when \"stale\" is told, and on does not name it. Add it, or take stale_after out.")
	}
}

var spanForm = regexp.MustCompile(`^([1-9][0-9]{0,3})([mhdw])$`)

// span reads a time such as "30m", "2h", "1d" or "1w".
func (d *calendarDecoding) span(text, field string, b *notifyBlock, most time.Duration) time.Duration {
	m := spanForm.FindStringSubmatch(text)
	if m != nil {
		n, _ := strconv.Atoi(m[1]) // digits, by the form
		unit := map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}[m[2]]
		if out := time.Duration(n) * unit; out <= most {
			return out
		}
	}
	d.errorf(attrRange(b.Body, field, b.DefRange), "Invalid time", "%s = %q is not a number of minutes, hours, days or weeks up to four weeks, such as \"30m\", \"2h\" or \"1d\".", field, cutName(text))
	return 0
}

// link reads where a browser shows game days. It is told to everybody, so that it has no secret in it.
func (d *calendarDecoding) link(text string, b *notifyBlock) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		d.errorf(b.DefRange, "Invalid link", "It stands in every message: the address of a page, such as \"https://gameday.example.com\", without a user, a password or anything behind a question mark.")
		return ""
	}
	return strings.TrimRight(text, "/")
}

// secretFields are the arguments that say where one secret is.
type secretFields struct {
	text      string
	textValue *string
	env       string
	envValue  *string
	file      string
	fileValue *string
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// secretAt decodes where a secret is. Nothing is read: check must work where secrets are not at hand. What may be a secret by mistake is not
// shown.
func (d *calendarDecoding) secretAt(b *notifyBlock, f secretFields) announce.Secret {
	var out announce.Secret
	n := 0
	if f.textValue != nil {
		out.Text = *f.textValue
		n++
	}
	if f.envValue != nil {
		out.Env = *f.envValue
		if !variableName.MatchString(out.Env) {
			d.errorf(b.DefRange, "Invalid variable", "%s names a variable of the environment that holds the secret, such as \"GAMEDAY_URL\"; the secret itself does not belong into this file.", f.env)
			out.Env = ""
		}
		n++
	}
	if f.fileValue != nil {
		switch {
		case *f.fileValue == "":
			d.errorf(attrRange(b.Body, f.file, b.DefRange), "No file", "%s is the path of a file that holds the secret.", f.file)
		case strings.Contains(*f.fileValue, "://"):
			d.errorf(b.DefRange, "An address in the place of a path", "%s is the path of a file that holds the secret; the secret itself does not belong into this file.", f.file)
		default:
			out.File = d.path(*f.fileValue)
		}
		n++
	}
	if n > 1 {
		d.errorf(attrRange(b.Body, f.file, attrRange(b.Body, f.env, b.DefRange)), "Two places for one secret", "Which of them counts? Write one of %s.", list(slices.DeleteFunc([]string{f.text, f.env, f.file}, func(s string) bool { return s == "" })))
		return announce.Secret{}
	}
	return out
}

// mailChannel decodes what mail needs.
func (d *calendarDecoding) mailChannel(c *announce.Channel, b *notifyBlock) {
	at := func(field string) hcl.Range { return attrRange(b.Body, field, b.DefRange) }
	c.Mail.TLS = choice(d.loader, b.TLS, b.Body, "tls", b.DefRange, map[string]announce.MailTLS{"starttls": announce.StartTLS, "implicit": announce.Implicit, "none": announce.NoTLS}, announce.StartTLS)
	c.Secret = d.secretAt(b, secretFields{"", nil, "password_env", b.PasswordEnv, "password_file", b.PasswordFile})
	if b.Server == nil || b.From == nil || len(b.Recipients) == 0 {
		d.errorf(b.DefRange, "Half a mail", "Mail needs server = \"smtp.example.com:587\", from = \"gameday@example.com\" and recipients = [\"sre@example.com\"].")
		return
	}
	host, port, err := net.SplitHostPort(*b.Server)
	if err != nil && !strings.Contains(*b.Server, ":") {
		host, port, err = *b.Server, map[announce.MailTLS]string{announce.StartTLS: "587", announce.Implicit: "465", announce.NoTLS: "25"}[c.Mail.TLS], nil
	}
	if n, e := strconv.Atoi(port); err != nil || e != nil || host == "" || n < 1 || n > 65535 {
		d.errorf(at("server"), "Invalid mail server", "%q is not a host and a port such as \"smtp.example.com:587\".", cutName(*b.Server))
	}
	c.Mail.Server = net.JoinHostPort(host, port)
	c.Mail.From, c.Mail.Recipients = *b.From, b.Recipients
	for _, x := range append([]string{*b.From}, b.Recipients...) {
		field := "recipients"
		if x == *b.From {
			field = "from"
		}
		if _, err := mail.ParseAddress(x); err != nil || strings.ContainsAny(x, "\r\n") {
			d.errorf(at(field), "Invalid address", "%q is not a mail address such as \"sre@example.com\".", cutName(x))
		}
	}
	if len(b.Recipients) > 50 {
		d.errorf(at("recipients"), "Too many recipients", "A channel has at most 50; write to a list.")
	}
	if b.Username != nil {
		c.Mail.Username = *b.Username
	}
	if (c.Mail.Username != "") != present(b.Body, "password_env", "password_file") {
		d.errorf(b.DefRange, "Half a login", "username and password_env (or password_file) go together.")
	}
	if c.Mail.TLS == announce.NoTLS && !announce.Loopback(host) {
		d.errorf(at("tls"), "Mail in the clear", "tls = \"none\" is for a mail server on this machine, and %s is not. Write \"starttls\" or \"implicit\".", cutName(host))
	}
}
