package importer

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gameday/loadgen"
	"gameday/scenarios"
)

// scope knows what {{name}} stands for: what the flow has extracted, the environment, the collection.
type scope struct {
	p        *collector
	given    map[string]pmVariable
	known    map[string]string // HCL names of the variables that are used, by theirs
	taken    names
	used     []scenarios.DraftVariable
	open     []string          // variables whose values are being read
	values   map[string]string // names of extracts of this flow so far, by the variables that scripts set
	extracts names
	set      map[string]scenarios.Place // variables that scripts of any flow set, and where
	uses     []use
	kept     map[string]string // references by mentions that were made here
	unfolded int               // variables that were taken to where one is used
}

// use is a mention of a variable that the flow has not set.
type use struct {
	name, where string
	at          scenarios.Place
}

func newScope(p *collector, c pmCollection, e pmEnvironment) *scope {
	s := &scope{p: p, given: map[string]pmVariable{}, known: map[string]string{}, taken: names{}, set: map[string]scenarios.Place{},
		kept: map[string]string{}}
	s.add(c.Variables)
	var inFolders func([]pmItem)
	inFolders = func(items []pmItem) {
		for _, item := range items {
			s.add(item.Variables)
			if item.Items != nil {
				inFolders(*item.Items)
			}
		}
	}
	inFolders(c.Items)
	for _, v := range e.Values {
		if v.Enabled == nil || *v.Enabled {
			s.add([]pmVariable{v.pmVariable})
		}
	}
	return s
}

func (s *scope) add(list []pmVariable) {
	for _, v := range list {
		if !v.Disabled && v.name() != "" {
			s.given[v.name()] = v
		}
	}
}

// begin forgets the values of the flow before.
func (s *scope) begin() { s.values, s.extracts = map[string]string{}, names{} }

// keep returns a mention that stands for a reference.
func (s *scope) keep(ref string) string {
	name := fmt.Sprintf("$kept %d", len(s.kept)+1)
	s.kept[name] = ref
	return "{{" + name + "}}"
}

// user returns the user and the password in the value of the variable that a URL begins with, or of the one that this begins with.
func (s *scope) user(raw string) string {
	for range maxUnfolded {
		m := mention.FindStringSubmatchIndex(raw)
		if m == nil || m[0] != 0 {
			break
		}
		raw = string(s.given[strings.TrimSpace(raw[m[2]:m[3]])].Value)
	}
	_, user := withoutUser(raw)
	return user
}

// maxUnfolded bounds how many variables the value of one is made of.
const maxUnfolded = 100

// mention is a variable in a text.
var mention = regexp.MustCompile(`\{\{([^{}]*)\}\}`)

// text turns the mentions in a text into gaps. where is the text's place in the file; host says that the text is a URL, whose
// first mention is a host if it begins with it.
func (s *scope) text(in, where string, at scenarios.Place, host bool) loadgen.Text {
	var out loadgen.Text
	from := 0
	for _, m := range mention.FindAllStringSubmatchIndex(in, -1) {
		if m[0] > from {
			out = append(out, loadgen.Part{Text: in[from:m[0]]})
		}
		name := strings.TrimSpace(in[m[2]:m[3]])
		out = append(out, s.parts(name, where, at, host && m[0] == 0)...)
		from = m[1]
	}
	if from < len(in) {
		out = append(out, loadgen.Part{Text: in[from:]})
	}
	return out
}

// parts returns what a mention stands for.
func (s *scope) parts(name, where string, at scenarios.Place, host bool) loadgen.Text {
	if extract, ok := s.values[name]; ok {
		return loadgen.Text{{Ref: "value." + extract}}
	}
	if ref, ok := s.kept[name]; ok {
		return loadgen.Text{{Ref: ref}}
	}
	if strings.HasPrefix(name, "$") {
		return s.dynamic(name, where, at)
	}
	s.uses = append(s.uses, use{name, where, at})
	v, given := s.given[name]
	if v.Type == "secret" || secretName(name) && !address(name, string(v.Value)) || shaped.MatchString(string(v.Value)) {
		value := string(v.Value)
		if value == "" {
			value = "variable " + name // no text that could be swept
		}
		ref, variable := s.p.vault.ref(name, value)
		s.p.out.add(keptOut(spot{where: where}, at, fmt.Sprintf("the variable %q", name), "its value", variable))
		return loadgen.Text{{Ref: ref}}
	}
	if given && !slices.Contains(s.open, name) && s.live(name, map[string]bool{}) { // no local can hold it
		if len(s.open) == 0 {
			s.unfolded = 0
		}
		if s.unfolded++; s.unfolded > maxUnfolded {
			s.p.out.add(Loss{Class: Lost, Where: where, What: fmt.Sprintf("the value of the variable %q", name), Place: at,
				Why: fmt.Sprintf("more than %d others are in it", maxUnfolded), Do: "write the text that it stands for"})
			return nil
		}
		s.open = append(s.open, name)
		defer func() { s.open = s.open[:len(s.open)-1] }()
		return s.text(string(v.Value), where, at, host)
	}
	return loadgen.Text{{Ref: s.variable(name, v, given && v.Value != "", host, where)}}
}

// address reports whether a variable is where something is and no secret itself: "auth_url".
func address(name, value string) bool {
	words := wordsOf(name)
	return strings.Contains(value, "://") && slices.Contains([]string{"url", "uri", "host", "endpoint", "base", "server"}, words[len(words)-1])
}

// live reports whether a variable's value mentions what is known only when a request is made, itself or by others.
func (s *scope) live(name string, seen map[string]bool) bool {
	if _, extracted := s.values[name]; extracted || strings.HasPrefix(name, "$") {
		return true
	}
	if seen[name] || len(seen) > 10*maxUnfolded {
		return false
	}
	seen[name] = true
	for _, m := range mention.FindAllStringSubmatch(string(s.given[name].Value), -1) {
		if s.live(strings.TrimSpace(m[1]), seen) {
			return true
		}
	}
	return false
}

// variable returns the reference to a variable, and declares it the first time.
func (s *scope) variable(name string, v pmVariable, given, host bool, where string) string {
	if ref, ok := s.known[name]; ok {
		return ref
	}
	d := scenarios.DraftVariable{Name: s.taken.identifier(identifier(name, "variable"))}
	ref := "var." + d.Name
	value, _ := withoutUser(string(v.Value)) // who uses it is given the user
	switch {
	case given && len(secretSpans(matchedQuery(value))) > 0:
		s.p.out.add(Loss{Class: Secret, Where: where, What: fmt.Sprintf("the value of the variable %q", d.Name), Why: "there is a secret in it",
			Do: fmt.Sprintf("give it with -var %s=…", d.Name)})
	case given && mention.MatchString(value):
		if slices.Contains(s.open, name) || len(s.open) > maxUnfolded {
			s.p.out.add(Loss{Class: Lost, Where: where, What: fmt.Sprintf("the value of the variable %q", d.Name),
				Why: "it refers to itself, or by too many others to what it is", Do: "give the variable a value"})
			break
		}
		s.open = append(s.open, name)
		d.Local, ref = true, "local."+d.Name
		d.Value = s.text(value, where, scenarios.Place{}, host)
		s.open = s.open[:len(s.open)-1]
		if other, ok := s.known[name]; ok { // it was declared within its own value
			return other
		}
	case given:
		d.Value = loadgen.Literal(value)
	case host:
		d.Value = loadgen.Literal(nowhere)
		s.p.out.add(Loss{Class: Guess, Where: where, What: fmt.Sprintf("the variable %q, which is %s", d.Name, nowhere),
			Why: "neither the collection nor an environment has a value for it",
			Do:  "set it to the host under test, or import with --env or --base"})
	default:
		s.p.out.add(Loss{Class: Lost, Where: where, What: fmt.Sprintf("the value of the variable %q", d.Name),
			Why: "neither the collection nor an environment has one",
			Do:  fmt.Sprintf("give it with -var %s=…, or write a default", d.Name)})
	}
	s.known[name] = ref
	s.used = append(s.used, d)
	return ref
}

// matchedQuery finds the parameters in a text that is a URL, but for those that are mentions.
func matchedQuery(text string) []field {
	_, query, _ := strings.Cut(text, "?")
	return slices.DeleteFunc(formFields(query, 0), func(f field) bool { return mention.MatchString(query[f.from:f.to]) })
}

// nowhere is the base of traffic whose host is not known: whoever runs it unread hits only the own machine.
const nowhere = "http://127.0.0.1:8080"

// dynamic returns what stands for Postman's own variables.
func (s *scope) dynamic(name, where string, at scenarios.Place) loadgen.Text {
	lower := strings.ToLower(strings.TrimPrefix(name, "$"))
	out := loadgen.Text{{Ref: "iteration.id"}}
	what := "${iteration.id}"
	switch {
	case lower == "guid" || lower == "randomuuid":
	case lower == "timestamp" || strings.HasPrefix(lower, "randomint") || strings.HasPrefix(lower, "randomprice"):
		out, what = loadgen.Text{{Ref: "iteration.number"}}, "${iteration.number}"
	case strings.Contains(lower, "email"):
		out, what = loadgen.Text{{Text: "user-"}, {Ref: "iteration.number"}, {Text: "@example.com"}}, "an address with ${iteration.number}"
	default:
		word := slug(strings.TrimPrefix(lower, "random"))
		out, what = loadgen.Text{{Text: word + "-"}, {Ref: "iteration.number"}}, "a text with ${iteration.number}"
	}
	s.p.out.add(Loss{Class: Guess, Where: where, What: fmt.Sprintf("%s for {{%s}}", what, name), Place: at,
		Why: "there are no random values here, and this one is another in each iteration",
		Do:  "look whether that will do"})
	return out
}

// extract makes a value of the flow out of a variable that a script sets.
func (s *scope) extract(name string) string {
	if have, ok := s.values[name]; ok {
		return have
	}
	out := s.extracts.identifier(identifier(name, "value"))
	s.values[name] = out
	return out
}

// declare hands the variables that are used to the block, and says which of them a script of another flow was to set.
func (s *scope) declare() {
	s.p.out.Variables = s.used
	for _, u := range s.uses {
		if setter, ok := s.set[u.name]; ok {
			s.p.out.add(Loss{Class: Lost, Where: u.where,
				What: fmt.Sprintf("the value that a script puts into {{%s}}", u.name), Place: u.at,
				Why: fmt.Sprintf("request %q of flow %q has that script, and values stay within a flow and go forward", setter.Request, setter.Flow),
				Do:  "put that request before this one, or give the value"})
		}
	}
}

// around applies a function to what stands between the mentions of a text.
func around(in string, f func(string) string) string {
	var b strings.Builder
	from := 0
	for _, m := range mention.FindAllStringIndex(in, -1) {
		b.WriteString(f(in[from:m[0]]) + in[m[0]:m[1]])
		from = m[1]
	}
	return b.String() + f(in[from:])
}
