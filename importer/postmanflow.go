package importer

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"gameday/loadgen"
	"gameday/scenarios"
)

// request makes a request of an item.
func (p *collector) request(flow string, item pmItem, in inherited, taken names) loadgen.Request {
	r := item.Request
	name := slug(item.Name)
	if name == "" {
		name = "request"
	}
	q := loadgen.Request{Name: taken.unique(name), Method: strings.ToUpper(string(r.Method))}
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	at := scenarios.Place{Flow: flow, Request: q.Name}
	where := in.path + ".request"
	p.out.from(at, where, 0)
	q.URL = p.url(&q, r.URL, where+".url", at)
	p.headers(&q, r.Headers, where+".header", at)
	p.auth(&q, in.auth, where+".auth", at)
	p.body(&q, r.Body, in.behavior, where+".body", at)
	p.behavior(&q, in.behavior, where, at)
	for _, given := range []struct {
		what string
		raw  json.RawMessage
	}{{"client certificate", r.Certificate}, {"proxy", r.Proxy}} {
		if object(given.raw) {
			p.out.add(Loss{Class: Lost, Where: where, What: "the " + given.what, Place: at,
				Why: "it belongs to all traffic here, and not to one request",
				Do:  "write a tls block into the traffic, or let the system's network do it"})
		}
	}
	p.tests(&q, in, at)
	return q
}

func object(raw json.RawMessage) bool { return len(raw) > 2 && raw[0] == '{' }

// pathVariable is a part of a path such as :id.
var pathVariable = regexp.MustCompile(`^:([A-Za-z0-9_.-]+)$`)

// url puts a URL together from its parts, where they are there: the raw text may have the disabled parameters too.
func (p *collector) url(q *loadgen.Request, u pmURL, where string, at scenarios.Place) loadgen.Text {
	raw := strings.TrimSpace(string(u.Raw))
	if len(u.Host) > 0 {
		raw = u.Host.join(".")
		if u.Protocol != "" {
			raw = strings.TrimSuffix(string(u.Protocol), "://") + "://" + raw
		}
		if u.Port != "" {
			raw += ":" + string(u.Port)
		}
		if path := strings.TrimPrefix(u.Path.join("/"), "/"); len(u.Path) > 0 {
			raw += "/" + path
		}
		raw = withQuery(raw, u.Query)
	}
	raw, _, _ = strings.Cut(raw, "#")
	if raw == "" {
		return nil
	}
	raw, user := withoutUser(p.absolute(raw))
	if user == "" {
		user = p.scope.user(raw)
	}
	if user != "" {
		p.basic(q, user, where, at)
	}
	path, query, _ := strings.Cut(raw, "?")
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if m := pathVariable.FindStringSubmatch(part); m != nil && i > 2 || m != nil && !strings.Contains(path, "://") {
			parts[i] = p.pathValue(u, m[1], where, at)
		}
	}
	path = around(strings.Join(parts, "/"), encodeURL)
	out := p.scope.text(path, where, at, true)
	if query == "" {
		return joinTexts(out, nil)
	}
	query = around(query, encodeURL)
	return joinTexts(out, p.secretQuery(query, where, at))
}

// withoutUser takes the user and the password out of a URL.
func withoutUser(raw string) (rest, user string) {
	scheme, after, ok := strings.Cut(raw, "://")
	authority, _, _ := strings.Cut(after, "/")
	at := strings.LastIndexByte(authority, '@')
	if !ok || at < 0 || strings.ContainsAny(authority[:at], "?#") {
		return raw, ""
	}
	return scheme + "://" + after[at+1:], authority[:at]
}

// joinTexts joins a path and a query.
func joinTexts(path, query loadgen.Text) loadgen.Text {
	if len(query) == 0 {
		return path
	}
	return slices.Concat(path, loadgen.Text{{Text: "?"}}, query)
}

// secretQuery makes gaps of the parameters whose names say that they are secret.
func (p *collector) secretQuery(query, where string, at scenarios.Place) loadgen.Text {
	return p.withoutSecrets(query, formFields(query, 0), "query parameter", where, at)
}

// withoutSecrets turns mentions into gaps, and fields whose names say that they are secret, but for the mentions in them.
func (p *collector) withoutSecrets(in string, fields []field, what, where string, at scenarios.Place) loadgen.Text {
	var out loadgen.Text
	from := 0
	slices.SortStableFunc(fields, func(a, b field) int { return a.from - b.from })
	for _, f := range fields {
		if f.from < from || !secretName(f.name) {
			continue
		}
		out = append(out, p.scope.text(in[from:f.from], where, at, false)...)
		out = append(out, p.kept(f.name, in[f.from:f.to], fmt.Sprintf("the %s %q", what, f.name), where, at)...)
		from = f.to
	}
	return append(out, p.scope.text(in[from:], where, at, false)...)
}

// kept makes a gap of a value that is secret. Of one with mentions it is what stands beside them, unless that is too short to
// be one.
func (p *collector) kept(hint, value, what, where string, at scenarios.Place) loadgen.Text {
	out := loadgen.Literal(value)
	if mention.MatchString(value) {
		out = p.scope.text(value, where, at, false)
	}
	for i, part := range out {
		if part.Ref != "" || len(out) > 1 && !spreads(part.Text) {
			continue
		}
		ref, name := p.vault.ref(hint, part.Text)
		p.out.add(keptOut(spot{where: where}, at, what, "its value", name))
		out[i] = loadgen.Part{Ref: ref}
	}
	return out
}

// masked returns a text with the mentions in it replaced by as many digits, so that JSON stays JSON.
func masked(text string) string {
	return mention.ReplaceAllStringFunc(text, func(m string) string { return strings.Repeat("1", len(m)) })
}

// ampersands are what would end the value of a parameter.
var ampersands = strings.NewReplacer("&", "%26", "#", "%23")

// withQuery adds the parameters that are not disabled.
func withQuery(raw string, query []pmPair) string {
	var pairs []string
	for _, q := range query {
		switch {
		case q.Disabled:
		case q.Value == nil:
			pairs = append(pairs, string(q.Key))
		default:
			pairs = append(pairs, string(q.Key)+"="+around(string(*q.Value), ampersands.Replace))
		}
	}
	if len(pairs) == 0 {
		return raw
	}
	return raw + "?" + strings.Join(pairs, "&")
}

// absolute puts http:// before a URL that has no scheme, as Postman does. One that begins with a variable has it there.
func (p *collector) absolute(raw string) string {
	if m := mention.FindStringSubmatchIndex(raw); m != nil && m[0] == 0 {
		value := string(p.scope.given[strings.TrimSpace(raw[m[2]:m[3]])].Value)
		if value == "" || strings.Contains(value, "://") || strings.HasPrefix(value, "{{") || strings.HasPrefix(raw[m[1]:], "://") {
			return raw
		}
		return "http://" + raw
	}
	if scheme, rest, ok := strings.Cut(raw, "://"); ok && !strings.Contains(scheme, "?") {
		return strings.ToLower(scheme) + "://" + rest
	}
	return "http://" + raw
}

// pathValue returns what stands for :name, with mentions.
func (p *collector) pathValue(u pmURL, name, where string, at scenarios.Place) string {
	for _, v := range u.Variables {
		if v.name() == name && v.Value != "" && secretName(name) && !mention.MatchString(string(v.Value)) {
			ref, variable := p.vault.ref(name, url.PathEscape(string(v.Value)))
			p.out.add(keptOut(spot{where: where}, at, "the path variable :"+name, "its value (encoded for URLs)", variable))
			return p.scope.keep(ref)
		}
		if v.name() == name && v.Value != "" {
			return around(string(v.Value), url.PathEscape)
		}
	}
	if _, ok := p.scope.given[name]; !ok {
		p.out.add(Loss{Class: Lost, Where: where, What: "the path variable :" + name, Place: at,
			Why: "the request has no value for it",
			Do:  "give the variable of that name a value"})
	}
	return "{{" + name + "}}"
}

// encodeURL encodes what cannot stand in a URL, and nothing that is encoded already.
func encodeURL(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		encoded := c == '%' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2])
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 || c == '%' && !encoded {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' }

func (p *collector) headers(q *loadgen.Request, list pmHeaders, where string, at scenarios.Place) {
	for _, h := range list {
		name, value := strings.TrimSpace(string(h.Key)), h.text()
		switch {
		case h.Disabled || name == "":
		case !headerName(name):
			p.out.add(Loss{Class: Lost, Where: where, What: fmt.Sprintf("the header %q", name), Place: at,
				Why: "no header can have that name", Do: "leave it so"})
		case ownHeader(name):
			p.out.add(Loss{Class: Lost, Where: where, What: "the header " + name, Place: at,
				Why: "the client sends its own", Do: "leave it so"})
		case secretName(name) && mention.MatchString(value):
			addHeader(q, name, p.kept(name, value, "a part of the header "+name, where, at))
		case secretName(name) && value != "":
			scheme, credential := credentials(value)
			ref, variable := p.vault.ref(name, credential)
			p.out.add(keptOut(spot{where: where}, at, "the header "+name, whatFollows(scheme), variable))
			addHeader(q, name, fill(value, spans{{len(scheme), len(value), ref}}))
		default:
			addHeader(q, name, p.scope.text(value, where, at, false))
		}
	}
}

// ownHeader reports whether a header is about the connection, or made by the client from what it sends.
func ownHeader(name string) bool {
	switch strings.ToLower(name) {
	case "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect", "keep-alive":
		return true
	}
	return false
}

func whatFollows(scheme string) string {
	if scheme == "" {
		return "its value"
	}
	return "what follows " + strings.TrimSpace(scheme)
}

// auth adds what proves who sends the request.
func (p *collector) auth(q *loadgen.Request, a *pmAuth, where string, at scenarios.Place) {
	if a == nil || a.kind == "" || a.kind == "noauth" || header(q, "Authorization") != nil {
		return
	}
	secret := func(name, hint, value, what string) loadgen.Text {
		if mention.MatchString(value) {
			return p.kept(hint, value, "a part of the "+name, where, at)
		}
		ref, variable := p.vault.ref(hint, orElse(value, a.kind+hint))
		p.out.add(keptOut(spot{where: where}, at, "the "+name, what, variable))
		return loadgen.Text{{Ref: ref}}
	}
	switch a.kind {
	case "bearer":
		token := secret("bearer token", "token", a.fields["token"], "one that works")
		setHeader(q, "Authorization", slices.Concat(loadgen.Literal("Bearer "), token))
	case "basic":
		p.basic(q, a.fields["username"]+":"+a.fields["password"], where, at)
	case "apikey":
		key := orElse(a.fields["key"], "X-API-Key")
		value := secret("API key", key, a.fields["value"], "one that works")
		if a.fields["in"] != "query" {
			setHeader(q, key, value)
			break
		}
		sep := "?"
		if strings.Contains(q.URL.String(), "?") {
			sep = "&"
		}
		q.URL = slices.Concat(q.URL, loadgen.Literal(sep+encodeURL(key)+"="), value)
	case "oauth2":
		prefix := orElse(strings.TrimSpace(a.fields["headerPrefix"]), "Bearer")
		token := secret("access token", "token", a.fields["accessToken"], "one that works")
		setHeader(q, "Authorization", slices.Concat(loadgen.Literal(prefix+" "), token))
	default:
		p.out.add(Loss{Class: Lost, Where: where, What: "authorization by " + a.kind, Place: at,
			Why: "each request would have to be signed anew",
			Do:  "send these requests by a k6 script"})
		p.out.off(at)
	}
}

// basic adds a user and password. What base64encode() makes of a secret would not be redacted, so the secret is what comes out
// of it.
func (p *collector) basic(q *loadgen.Request, pair, where string, at scenarios.Place) {
	ref, variable := p.vault.ref("basic_auth", pair)
	p.out.add(keptOut(spot{where: where}, at, "the user and password", "the base64 of user:password", variable))
	setHeader(q, "Authorization", loadgen.Text{{Text: "Basic "}, {Ref: ref}})
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// behavior takes over the settings of a request. Postman follows redirects, and cares for certificates by default.
func (p *collector) behavior(q *loadgen.Request, b pmBehavior, where string, at scenarios.Place) {
	q.Redirects = 10
	if b.MaxRedirects != nil {
		q.Redirects = min(max(*b.MaxRedirects, 0), 20)
	}
	if b.FollowRedirects != nil && !*b.FollowRedirects {
		q.Redirects = 0
	}
	if b.StrictSSL != nil && !*b.StrictSSL {
		p.out.Wire.TLS.Insecure = true
		p.out.add(Loss{Class: Guess, Where: where, What: "the setting insecure of tls",
			Why: "a request has strictSSL switched off, and here it is one setting for all",
			Do:  "name the service's own roots with ca instead"})
	}
}

// languages are the media types that Postman sends for a raw body's language.
var languages = map[string]string{"json": "application/json", "xml": "application/xml", "html": "text/html",
	"javascript": "application/javascript", "text": "text/plain"}

func (p *collector) body(q *loadgen.Request, b *pmBody, behavior pmBehavior, where string, at scenarios.Place) {
	if b == nil || b.Disabled || b.Mode == "" {
		return
	}
	if unpruned := behavior.DisableBodyPruning; (q.Method == http.MethodGet || q.Method == http.MethodHead) && (unpruned == nil || !*unpruned) {
		return // Postman does not send it either
	}
	var raw, contentType string
	switch b.Mode {
	case "raw":
		raw, contentType = string(b.Raw), languages[b.Options.Raw.Language]
		if contentType == "" {
			contentType = "text/plain"
		}
	case "urlencoded":
		raw, contentType = urlEncoded(b.URLEncoded), "application/x-www-form-urlencoded"
	case "graphql":
		raw, contentType = graphQL(b), "application/json"
	case "formdata":
		if raw, contentType = p.form(b.FormData, where, at); contentType == "" {
			return
		}
	default:
		src := string(b.File.Src)
		if b.File.Content != "" && src == "" {
			raw = string(b.File.Content)
			break
		}
		p.out.add(Loss{Class: Lost, Where: where, What: fmt.Sprintf("the body, which is the file %q", src), Place: at,
			Why: "collections name files, and do not hold them",
			Do:  "put the file beside the scenario, write body = file(\"…\"), and take the marks of the comment away"})
		p.out.off(at)
		return
	}
	if raw == "" {
		return
	}
	if contentType != "" {
		setHeader(q, "Content-Type", loadgen.Literal(contentType))
	}
	contentType, _ = header(q, "Content-Type").Known()
	q.Body = p.withoutSecrets(raw, fieldsOf(masked(raw), contentType), "field", where, at)
	if b.Mode == "urlencoded" {
		for i, part := range q.Body { // Postman encodes what it puts there
			if strings.HasPrefix(part.Ref, "var.") {
				q.Body[i].Ref = "urlencode(" + part.Ref + ")"
			}
		}
	}
}

func urlEncoded(list []pmPair) string {
	var pairs []string
	for _, f := range list {
		if !f.Disabled {
			pairs = append(pairs, around(string(f.Key), url.QueryEscape)+"="+around(f.text(), url.QueryEscape))
		}
	}
	return strings.Join(pairs, "&")
}

// graphQL is a query as it is posted. Its variables are JSON already, with mentions in it.
func graphQL(b *pmBody) string {
	out := `{"query":` + jsonText(string(b.GraphQL.Query))
	if name := string(b.GraphQL.OperationName); name != "" {
		out += `,"operationName":` + jsonText(name)
	}
	return out + `,"variables":` + orElse(strings.TrimSpace(string(b.GraphQL.Variables)), "{}") + "}"
}

// jsonText writes a text as JSON has it, without the escapes that HTML needs.
func jsonText(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// form puts a multipart body together. With a file among its fields it cannot be, and the request is switched off.
func (p *collector) form(list []pmPair, where string, at scenarios.Place) (raw, contentType string) {
	var parts []part
	for _, f := range list {
		switch {
		case f.Disabled:
		case f.Type == "file":
			p.out.add(Loss{Class: Lost, Where: where,
				What: fmt.Sprintf("the file %q in the field %q of a form", f.Src.join(", "), f.Key), Place: at,
				Why: "collections name files, and do not hold them",
				Do:  "write the form's body into the block, or send this request by a k6 script"})
			p.out.off(at)
		default:
			parts = append(parts, part{name: string(f.Key), value: f.text(), contentType: string(f.ContentType)})
		}
	}
	raw, contentType, err := multipartBody(parts)
	if err != nil || len(parts) == 0 {
		return "", ""
	}
	return raw, contentType
}

// base finds what most URLs begin with.
func (p *collector) base() {
	counts, first := map[string]int{}, map[string]loadgen.Text{}
	best := ""
	for _, f := range p.out.Flows {
		for _, q := range f.Requests {
			origin, _ := splitOrigin(q.URL)
			if len(origin) == 0 || p.out.unfit(origin) != "" || !known(origin) {
				continue
			}
			key := origin.String()
			if first[key] == nil {
				first[key] = origin
			}
			if counts[key]++; counts[key] > counts[best] {
				best = key
			}
		}
	}
	p.out.Base = first[best]
	if p.o.Base != "" {
		p.out.Base = loadgen.Literal(strings.TrimSuffix(p.o.Base, "/"))
	}
	for i := range p.out.Flows {
		for j := range p.out.Flows[i].Requests {
			q := &p.out.Flows[i].Requests[j]
			if origin, rest := splitOrigin(q.URL); best != "" && origin.String() == best && strings.HasPrefix(rest.String(), "/") {
				q.URL = rest
			}
		}
	}
}

// known reports whether a text is known before a request is made: then it can be the base of all.
func known(t loadgen.Text) bool {
	return !slices.ContainsFunc(t, func(p loadgen.Part) bool {
		return p.Ref != "" && !strings.HasPrefix(p.Ref, "var.") && !strings.HasPrefix(p.Ref, "local.")
	})
}

// splitOrigin cuts a URL before its path: behind "http://${var.host}:8080", or "${var.base}". A text that is no URL has no
// origin.
func splitOrigin(t loadgen.Text) (origin, rest loadgen.Text) {
	for i, p := range t {
		if p.Ref != "" {
			if i == 0 && !known(t[:1]) {
				return nil, t
			}
			origin = append(origin, p)
			continue
		}
		from := 0
		if scheme := strings.Index(p.Text, "://"); i == 0 {
			if scheme < 0 {
				return nil, t
			}
			from = scheme + 3
		}
		if end := strings.IndexAny(p.Text[from:], "/?"); end >= 0 {
			if end += from; end > 0 {
				origin = append(origin, loadgen.Part{Text: p.Text[:end]})
			}
			return origin, slices.Concat(loadgen.Text{{Text: p.Text[end:]}}, t[i+1:])
		}
		origin = append(origin, p)
	}
	return origin, nil
}
