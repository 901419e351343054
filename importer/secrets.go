package importer

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"gameday/loadgen"
	"gameday/scenarios"
)

// vault names secrets, so that none is written into the block. It holds their values, and must not outlive the import.
type vault struct {
	names   names
	byValue map[string]string
	untold  map[string]bool // names of those that nobody has been asked for
	finder  *strings.Replacer
	over    bool // there are more than are kept
}

func newVault() *vault {
	return &vault{names: names{}, byValue: map[string]string{}, untold: map[string]bool{}}
}

// ref returns the expression that stands for a secret, and the name of its environment variable. The hint is the name of the
// field that held it.
func (v *vault) ref(hint, value string) (ref, name string) {
	name, known := v.byValue[value]
	switch {
	case !known && len(v.byValue) >= maxSecrets:
		v.over, name = true, "SECRET"
	case !known:
		name = v.names.identifier(variableName(hint))
		v.byValue[value], v.finder = name, nil
	}
	delete(v.untold, name)
	return secretRef(name), name
}

// maxSecrets is how many different secrets a file may have. Nobody gives as many, and the search for each takes its time.
const maxSecrets = 20_000

// trouble is an error when there were too many secrets.
func (v *vault) trouble() error {
	if !v.over {
		return nil
	}
	return &Error{What: fmt.Sprintf("it has more than %d different secrets", maxSecrets), Do: "record less at once, or split it"}
}

// know remembers a secret that is not written anywhere for itself. Whoever needs it is told where else it stands.
func (v *vault) know(hint, value string) {
	if _, known := v.byValue[value]; known || !spreads(value) {
		return
	}
	_, name := v.ref(hint, value)
	v.untold[name] = true
}

// secretRef is how the language reads a secret.
func secretRef(name string) string { return fmt.Sprintf("secret(%q)", name) }

// minSpread is the length from which a secret is taken out wherever it stands: shorter ones occur by chance, as do words
// without a digit.
const minSpread = 8

func spreads(value string) bool {
	return len(value) >= 2*minSpread || len(value) >= minSpread && strings.ContainsFunc(value, unicode.IsDigit)
}

// nameMark stands around the name of a secret in the place of its value, while texts are searched. It is no character.
const nameMark = "\U0010ffff"

// marked returns a text with the names of secrets between marks in the place of their values: of the longest, where one is part
// of another.
func (v *vault) marked(text string) string {
	if v.finder == nil {
		var values, pairs []string
		for value := range v.byValue {
			if spreads(value) {
				values = append(values, value)
			}
		}
		slices.SortFunc(values, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
		for _, value := range values {
			pairs = append(pairs, value, nameMark+v.byValue[value]+nameMark)
		}
		v.finder = strings.NewReplacer(pairs...)
	}
	return v.finder.Replace(strings.ReplaceAll(text, nameMark, "\ufffd"))
}

// in reports whether there is a secret in a text, a known one or one that its form gives away.
func (v *vault) in(text string) bool {
	return shaped.MatchString(text) || strings.Contains(v.marked(text), nameMark)
}

// sweep takes every known secret out of the texts of flows, wherever it stands.
func (r *Result) sweep(v *vault) {
	r.everyText(func(at scenarios.Place, t *loadgen.Text) {
		var out loadgen.Text
		for _, p := range *t {
			if p.Ref != "" {
				out = append(out, p)
				continue
			}
			for i, piece := range strings.Split(v.marked(p.Text), nameMark) {
				switch {
				case i%2 == 1:
					out = append(out, loadgen.Part{Ref: secretRef(piece)})
					if v.untold[piece] {
						delete(v.untold, piece)
						r.add(keptOut(r.spots[at], at, "a value that a cookie had", "one that works", piece))
					}
				case piece != "":
					out = append(out, loadgen.Part{Text: piece})
				}
			}
		}
		*t = out
	})
}

// everyText calls f for each text of the flows, with the request that has it.
func (r *Result) everyText(f func(at scenarios.Place, t *loadgen.Text)) {
	for i := range r.Flows {
		flow := &r.Flows[i]
		for j := range flow.Requests {
			at := scenarios.Place{Flow: flow.Name, Request: flow.Requests[j].Name}
			everyText([]loadgen.Flow{{Requests: flow.Requests[j : j+1]}}, func(t *loadgen.Text) { f(at, t) })
		}
	}
}

// tokens finds secrets whose form gives them away, whatever field they stand in. They are taken out with the others.
func (r *Result) tokens(v *vault) {
	r.everyText(func(at scenarios.Place, t *loadgen.Text) {
		for _, p := range *t {
			for _, token := range shaped.FindAllString(p.Text, -1) {
				_, name := v.ref("token", token)
				what := "a key"
				if strings.HasPrefix(token, "eyJ") {
					what = "a JSON Web Token"
				}
				r.add(keptOut(r.spots[at], at, what, "one that works", name))
			}
		}
	})
}

// variables takes the values of variables away that hold a secret: in the block they would stand as they are.
func (r *Result) variables(v *vault) {
	for i := range r.Variables {
		d := &r.Variables[i]
		if d.Value != nil && v.in(d.Value.String()) {
			d.Value = nil
			r.add(Loss{Class: Secret, Where: "variable", What: fmt.Sprintf("the value of the variable %q", d.Name), Why: "there is a secret in it",
				Do: fmt.Sprintf("give it with -var %s=…", d.Name)})
		}
	}
}

// expectations takes secrets out of what is expected of answers. A member of JSON is still asked to be there.
func (r *Result) expectations(v *vault) {
	for i := range r.Flows {
		f := &r.Flows[i]
		for j := range f.Requests {
			q := &f.Requests[j]
			at := scenarios.Place{Flow: f.Name, Request: q.Name}
			lose := func(what string) {
				s := r.spots[at]
				r.add(Loss{Class: Secret, Where: s.where, Line: s.line, What: what, Why: "secrets are not written into files",
					Do: "leave it so, or expect something else", Place: at})
			}
			q.Expect.Body = slices.DeleteFunc(q.Expect.Body, func(c loadgen.BodyCheck) bool {
				found := v.in(c.Contains)
				if found {
					lose("a text that is expected in the answer")
				}
				return found
			})
			for k := range q.Expect.JSON {
				c := &q.Expect.JSON[k]
				if c.Equals == nil || !v.in(*c.Equals) && !(secretName(lastStep(c.Path)) && spreads(*c.Equals)) {
					continue
				}
				c.Equals = nil
				lose(fmt.Sprintf("the value that is expected at %q", c.Path))
			}
		}
	}
}

func lastStep(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// keepFiles drops the bodies beside the block that have a secret among their bytes. Those of texts have none left.
func (r *Result) keepFiles(v *vault) {
	r.Files = slices.DeleteFunc(r.Files, func(f File) bool {
		if !v.in(string(f.Data)) {
			return false
		}
		for i := range r.Losses {
			if l := &r.Losses[i]; strings.HasSuffix(l.Do, bytesIn+f.Path) {
				l.Do = strings.TrimSuffix(l.Do, bytesIn+f.Path) + bytesNowhere
			}
		}
		return true
	})
}

// What became of a binary body.
const (
	bytesIn      = "; its bytes are in "
	bytesNowhere = "; its bytes were not kept, as there are secrets among them"
)

// secretWords are words in the names of fields whose values are secret.
var secretWords = []string{"password", "passwd", "pwd", "pass", "passphrase", "passcode", "pin", "secret", "token", "apikey", "jwt", "credential",
	"credentials", "authorization", "auth", "cookie", "session", "sessionid", "sid", "csrf", "xsrf", "csrftoken", "xsrftoken",
	"signature", "sig", "otp", "cvv", "cvc", "bearer", "accesstoken", "refreshtoken", "idtoken", "samlresponse"}

// secretEnds are what names end in that were joined without a mark: "csrfmiddlewaretoken", "jsessionid".
var secretEnds = []string{"password", "passwords", "passwd", "passphrase", "secret", "secrets", "token", "apikey", "accesskey", "secretkey",
	"privatekey", "sessionkey", "sessionid", "sessid", "credentials"}

// secretPairs are the same of two words.
var secretPairs = []string{"api key", "access key", "private key", "secret key", "account key", "card number", "subscription key",
	"session key", "signing key", "master key", "functions key"}

// secretName reports whether a field's name says that its value is secret. A number behind a word says nothing: "password2".
func secretName(name string) bool {
	words := wordsOf(name)
	for i, w := range words {
		w = strings.TrimRight(w, "0123456789")
		if slices.Contains(secretWords, w) || i > 0 && slices.Contains(secretPairs, words[i-1]+" "+w) || strings.HasPrefix(w, "password") ||
			slices.ContainsFunc(secretEnds, func(end string) bool { return strings.HasSuffix(w, end) }) {
			return true
		}
	}
	return false
}

// secretNumber reports whether a field's name says that its value is secret even when it is a number: others count something.
func secretNumber(name string) bool {
	words := wordsOf(name)
	last := ""
	if n := len(words); n > 0 {
		last = words[n-1]
	}
	return slices.Contains([]string{"password", "passcode", "pin", "otp", "cvv", "cvc"}, last) || strings.HasSuffix(strings.Join(words, " "), "card number")
}

// wordsOf splits a name at its capitals and at what is no letter: "X-Api-Key", "apiKey" and "api_key" have the same words.
func wordsOf(name string) []string {
	var out []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			out = append(out, strings.ToLower(string(word)))
			word = nil
		}
	}
	before := ' '
	for _, c := range name {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) || unicode.IsUpper(c) && unicode.IsLower(before) {
			flush()
		}
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			word = append(word, c)
		}
		before = c
	}
	flush()
	return out
}

// shaped are secrets that their form gives away. A JSON Web Token has two parts that begin as JSON does in base64, and a
// signature; the keys of well-known services begin as those want them to, so that they are found.
var shaped = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{6,}\.eyJ[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*|\bAIza[0-9A-Za-z_-]{35}|\bgh[oprsu]_[0-9A-Za-z]{36,}` +
	`|\bgithub_pat_\w{22,}|\bglpat-[\w-]{20,}|\bxox[abeoprs]-[\w-]{10,}|\b[rs]k_(?:live|test)_[0-9A-Za-z]{16,}|\bya29\.[\w-]{20,}` +
	`|\bSG\.[\w-]{16,}\.[\w-]{16,}`)

// credentials splits the value of an Authorization header into its scheme with the space behind it, and the secret.
func credentials(value string) (scheme, secret string) {
	if at := strings.IndexByte(value, ' '); at > 0 && !strings.ContainsAny(value[:at], "=,;:") {
		return value[:at+1], value[at+1:]
	}
	return "", value
}
