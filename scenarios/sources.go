package scenarios

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"gameday/alarms/builtin"
	"gameday/targets/lab"
)

// builtinKind is the kind of alarm source whose rules are expressions of this language.
const builtinKind = "builtin"

// sourceBlocks decodes alarms and responders blocks. Responders come first: a builtin source's notify refers to them.
func (l *loader) sourceBlocks(f *fileBlocks) {
	seen := map[string]hcl.Range{}
	for i := range f.Responders {
		b := &f.Responders[i]
		if l.unique(seen, "responders source", b.Kind+"."+b.Name, b.DefRange) {
			l.identifier("responders source", b.Name, b.DefRange)
			l.responderSource(b)
		}
	}
	seen = map[string]hcl.Range{}
	for i := range f.Alarms {
		b := &f.Alarms[i]
		if l.unique(seen, "alarms source", b.Kind+"."+b.Name, b.DefRange) {
			l.identifier("alarms source", b.Name, b.DefRange)
			l.alarmSource(b)
		}
	}
}

func (l *loader) responderSource(b *sourceBlock) {
	var names []string
	for _, k := range l.opts.Catalogue.Responders {
		names = append(names, k.Name)
		if k.Name != b.Kind {
			continue
		}
		c := k.New()
		diags := decode(b.Body, l.base, c)
		l.add(diags)
		if !diags.HasErrors() {
			l.fields(c.Validate(), b.Body, b.DefRange)
		}
		l.responderSources = append(l.responderSources, ResponderSource{Kind: k, Name: b.Name, Config: c, Range: b.DefRange})
		return
	}
	l.unknownKind(b, "responders", names)
}

func (l *loader) alarmSource(b *sourceBlock) {
	var names []string
	for _, k := range l.opts.Catalogue.Alarms {
		names = append(names, k.Name)
		if k.Name != b.Kind {
			continue
		}
		s := AlarmSource{Kind: k, Name: b.Name, Range: b.DefRange}
		if k.Name == builtinKind {
			s.Notify, s.RealPages = l.notify(b)
		} else {
			s.Config = k.New()
			diags := decode(b.Body, l.base, s.Config)
			l.add(diags)
			if !diags.HasErrors() {
				l.fields(s.Config.Validate(), b.Body, b.DefRange)
			}
		}
		l.alarmSources = append(l.alarmSources, s)
		return
	}
	l.unknownKind(b, "alarms", names)
}

func (l *loader) unknownKind(b *sourceBlock, what string, names []string) {
	slices.Sort(names)
	if l.unknown == nil {
		l.unknown = map[string][]string{}
	}
	l.unknown[what] = append(l.unknown[what], b.Kind+"."+b.Name)
	l.errorf(b.KindRange, "Unknown "+what+" kind", "This build has no %s kind %q.%s It has %s.",
		what, b.Kind, suggest(b.Kind, names), list(names))
}

// notify reads a builtin source's receivers: references to responders, or URLs.
func (l *loader) notify(b *sourceBlock) (to []string, real bool) {
	var block builtinBlock
	l.add(decode(b.Body, l.base, &block))
	if block.Pages != nil {
		if real = *block.Pages == "real"; !real && *block.Pages != "dry" {
			l.errorf(attrRange(b.Body, "pages", b.DefRange), "Real pages, or not", "%q is neither \"real\" nor \"dry\".", *block.Pages)
		}
	}
	if !given(block.Notify) {
		return nil, real
	}
	items, diags := hcl.ExprList(bare(block.Notify))
	if diags.HasErrors() {
		items = []hcl.Expression{block.Notify}
	}
	var out []string
	for _, e := range items {
		e = bare(e)
		if _, diags := hcl.AbsTraversalForExpr(e); !diags.HasErrors() {
			if id := l.sourceReference(e, "responders"); id != "" && l.receives(id, e) {
				out = append(out, id)
			}
			continue
		}
		v, diags := openExpr{e}.Value(l.base)
		l.add(diags)
		if diags.HasErrors() || !v.IsKnown() || v.IsNull() || v.Type().FriendlyName() != "string" {
			continue
		}
		u, err := url.Parse(v.AsString())
		if err != nil || u.Host == "" || !strings.HasPrefix(u.Scheme, "http") {
			l.errorf(e.Range(), "Invalid receiver", "A receiver of pages is a reference such as responders.desk.ops, or an http URL.")
			continue
		}
		if block.Pages == nil && !here(u.Hostname()) {
			l.errorf(e.Range(), "Real pages, or not", "What is sent to %s may wake people. Say pages = \"real\" if this game day is to, or pages = \"dry\" if nobody is paged there.", u.Host)
		}
		out = append(out, v.AsString())
	}
	return out, real
}

// here reports whether a host is this machine, or a node of a lab: nobody is paged there but by the scenario's own world.
func here(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.IsLoopback() || labRange.Contains(ip))
}

// labRange is where the addresses of labs are from (RFC 2544).
var labRange = netip.MustParsePrefix("198.18.0.0/15")

// receives complains of a source of responses that alarms cannot be sent to.
func (l *loader) receives(id string, e hcl.Expression) bool {
	for _, s := range l.responderSources {
		if s.ID() == id && !s.Kind.Receives {
			l.errorf(e.Range(), "Invalid receiver", "Alarms cannot be sent to %s: it only tells what people did. Name a desk, or the URL at which your paging system takes Alertmanager webhooks.", id)
			return false
		}
	}
	return true
}

// rules compiles the rules of the builtin sources for one scenario: their expressions read its traffic streams.
func (l *loader) rules(f *loadedSources, in indicators) []AlarmSource {
	out := slices.Clone(l.alarmSources)
	for i := range out {
		if out[i].Kind.Name != builtinKind {
			continue
		}
		block := f.builtin[out[i].Name]
		out[i].Repeat = l.optional(block.Repeat, block.Body, "repeat", out[i].Range, time.Second, 0)
		seen := map[string]hcl.Range{}
		for _, b := range block.Rules {
			if !l.unique(seen, "rule", b.Name, b.DefRange) {
				continue
			}
			l.title("rule", b.Name, b.DefRange)
			c := l.condition(b.When, in)
			out[i].Rules = append(out[i].Rules, builtin.Rule{
				Name:        b.Name,
				When:        c.Expr,
				Over:        l.over(b.Over, b.Body, b.DefRange),
				Held:        l.optional(b.Held, b.Body, "held", b.DefRange, 0, 0),
				Keep:        l.optional(b.Keep, b.Body, "keep", b.DefRange, 0, 0),
				Labels:      b.Labels,
				Annotations: b.Annotations,
			})
		}
		if len(block.Rules) == 0 {
			l.errorf(out[i].Range, "No rules", "A builtin alarm source raises alarms by its rules, and this has none. "+
				"Add: rule \"HighErrors\" { when = sli.error_ratio > 0.05 }.")
		}
	}
	return out
}

// loadedSources keeps the decoded bodies of builtin sources until a scenario's streams are known.
type loadedSources struct{ builtin map[string]builtinBlock }

func (l *loader) builtinBlocks(f *fileBlocks) *loadedSources {
	out := &loadedSources{builtin: map[string]builtinBlock{}}
	for i := range f.Alarms {
		if f.Alarms[i].Kind == builtinKind {
			var b builtinBlock
			decode(f.Alarms[i].Body, l.base, &b) // what is wrong was reported by notify
			out.builtin[f.Alarms[i].Name] = b
		}
	}
	return out
}

// defaultOver is the sliding window of traffic that conditions look at each second.
const defaultOver = 5 * time.Second

// maxOver bounds the sliding window: what it averages away over a longer time is no longer an answer to a fault.
const maxOver = 15 * time.Minute

func (l *loader) over(text string, body hcl.Body, at hcl.Range) time.Duration {
	if text == "" {
		return defaultOver
	}
	d := l.duration(text, body, "over", at, time.Second)
	if d > maxOver {
		l.errorf(attrRange(body, "over", at), "Window too long", "over is %s; the sliding window that conditions look at is at most %s.",
			short(d), short(maxOver))
		return maxOver
	}
	return d
}

// labs decodes lab blocks.
func (l *loader) labs(f *fileBlocks) map[string]*lab.Config {
	out := map[string]*lab.Config{}
	seen := map[string]hcl.Range{}
	for i := range f.Labs {
		b := &f.Labs[i]
		if !l.unique(seen, "lab", b.Name, b.DefRange) {
			continue
		}
		l.identifier("lab", b.Name, b.DefRange)
		c := &lab.Config{Name: b.Name}
		diags := decode(b.Body, l.base, c)
		l.add(diags)
		c.Name = b.Name
		if !diags.HasErrors() {
			l.fields(c.Validate(), b.Body, b.DefRange)
		}
		out[b.Name] = c
	}
	return out
}

func (l *loader) ownSLIs(blocks []namedBlock) []OwnSLI {
	var out []OwnSLI
	for _, b := range blocks {
		var s sliBlock
		diags := decode(b.Body, l.base, &s)
		l.add(diags)
		o := OwnSLI{Name: b.Name, Query: s.Query, Range: b.DefRange}
		if !diags.HasErrors() {
			o.Source = l.sourceReference(s.Source, "alarms")
		}
		out = append(out, o) // also a faulty one: what reads it is no second mistake
	}
	return out
}
