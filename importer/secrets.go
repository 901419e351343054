package importer

import (
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
	longest []string // values, the longest first
}

func newVault() *vault { return &vault{names: names{}, byValue: map[string]string{}} }

// ref returns the expression that stands for a secret, and the name of its environment variable. The hint is the name of the
// field that held it.
func (v *vault) ref(hint, value string) (ref, name string) {
	name, known := v.byValue[value]
	if !known {
		name = v.names.identifier(variableName(hint))
		v.byValue[value] = name
		v.longest = append(v.longest, value)
		slices.SortStableFunc(v.longest, func(a, b string) int { return len(b) - len(a) })
	}
	return secretRef(name), name
}

// secretRef is how the language reads a secret.
func secretRef(name string) string { return fmt.Sprintf("secret(%q)", name) }

// minSpread is the length from which a secret is taken out wherever it stands: shorter ones occur by chance, as do words
// without a digit.
const minSpread = 8

func spreads(value string) bool {
	return len(value) >= 2*minSpread || len(value) >= minSpread && strings.ContainsFunc(value, unicode.IsDigit)
}

// sweep takes every known secret out of the texts of flows, wherever it stands.
func (v *vault) sweep(flows []loadgen.Flow) {
	for _, value := range v.longest {
		if !spreads(value) {
			continue
		}
		ref := secretRef(v.byValue[value])
		everyText(flows, func(t *loadgen.Text) { *t = replaced(*t, value, ref) })
	}
}

// tokens takes JSON Web Tokens out of the texts of flows, whatever field they stand in.
func (r *Result) tokens(v *vault) {
	for i := range r.Flows {
		f := &r.Flows[i]
		for j := range f.Requests {
			at := scenarios.Place{Flow: f.Name, Request: f.Requests[j].Name}
			everyText([]loadgen.Flow{{Requests: f.Requests[j : j+1]}}, func(t *loadgen.Text) {
				for _, p := range *t {
					for _, token := range jwt.FindAllString(p.Text, -1) {
						ref, name := v.ref("token", token)
						*t = replaced(*t, token, ref)
						r.add(keptOut(r.spots[at], at, "a JSON Web Token", "one that works", name))
					}
				}
			})
		}
	}
}

// variables takes the values of variables away that hold a secret: in the block they would stand as they are.
func (r *Result) variables(v *vault) {
	for i := range r.Variables {
		d := &r.Variables[i]
		if slices.ContainsFunc(v.longest, func(s string) bool { return spreads(s) && strings.Contains(d.Value.String(), s) }) {
			d.Value = nil
			r.add(Loss{Class: Secret, Where: "variable", What: fmt.Sprintf("the value of the variable %q", d.Name), Why: "there is a secret in it",
				Do: fmt.Sprintf("give it with -var %s=…", d.Name)})
		}
	}
}

// secretWords are words in the names of fields whose values are secret.
var secretWords = []string{"password", "passwd", "pwd", "passphrase", "passcode", "secret", "token", "apikey", "jwt", "credential",
	"credentials", "authorization", "auth", "cookie", "session", "sessionid", "sid", "csrf", "xsrf", "csrftoken", "xsrftoken",
	"signature", "sig", "otp", "cvv", "cvc", "bearer", "accesstoken", "refreshtoken", "idtoken"}

// secretPairs are the same of two words.
var secretPairs = []string{"api key", "access key", "private key", "secret key", "account key", "card number", "subscription key"}

// secretName reports whether a field's name says that its value is secret.
func secretName(name string) bool {
	words := wordsOf(name)
	for i, w := range words {
		if slices.Contains(secretWords, w) || i > 0 && slices.Contains(secretPairs, words[i-1]+" "+w) {
			return true
		}
	}
	return false
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

// jwt is how a JSON Web Token looks: two parts that begin as JSON does in base64, and a signature.
var jwt = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{6,}\.eyJ[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*`)

// credentials splits the value of an Authorization header into its scheme with the space behind it, and the secret.
func credentials(value string) (scheme, secret string) {
	if at := strings.IndexByte(value, ' '); at > 0 && !strings.ContainsAny(value[:at], "=,;:") {
		return value[:at+1], value[at+1:]
	}
	return "", value
}
