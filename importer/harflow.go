package importer

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gameday/loadgen"
	"gameday/scenarios"
)

// result makes flows of what was read.
func (rec *recording) result(o Options) (*Result, error) {
	rec.order()
	base := o.Base
	recorded := rec.base()
	if base == "" {
		base = recorded
	}
	if o.BaseOnly {
		rec.onlyBase(recorded)
	}
	r := &Result{Kind: HAR, Losses: rec.losses}
	r.Name, r.Base = o.Name, loadgen.Literal(strings.TrimSuffix(base, "/"))
	s := &sender{rec: rec, out: r, o: o, vault: newVault(), from: recorded, noise: map[string]int{}, elsewhere: map[string][]*visit{},
		strays: map[string]stray{}}
	flowNames := names{}
	for _, group := range rec.groups(o) {
		r.Flows = append(r.Flows, s.flow(flowNames.unique(group.name), group.visits))
	}
	if err := s.vault.trouble(); err != nil {
		return nil, err
	}
	s.sums()
	r.Wire = rec.wire(r)
	r.finish(o, s.vault)
	return r, nil
}

// order sorts the visits by time. One without a time stays behind the one before it.
func (rec *recording) order() {
	var last time.Time
	for _, v := range rec.visits {
		if v.start.IsZero() {
			v.start = last
		}
		last = v.start
	}
	slices.SortStableFunc(rec.visits, func(a, b *visit) int { return a.start.Compare(b.start) })
}

// base returns the origin that most visits go to; of equals the first.
func (rec *recording) base() string {
	counts := map[string]int{}
	best := ""
	for _, v := range rec.visits {
		origin, _ := v.origin()
		counts[origin]++
	}
	for _, v := range rec.visits {
		if origin, _ := v.origin(); counts[origin] > counts[best] {
			best = origin
		}
	}
	return best
}

func (rec *recording) onlyBase(base string) {
	left := &leftOut{}
	rec.visits = slices.DeleteFunc(rec.visits, func(v *visit) bool {
		origin, _ := v.origin()
		if origin != base {
			left.count(reasonElsewhere, v, origin)
		}
		return origin != base
	})
	rec.losses = append(rec.losses, left.losses()...)
}

// group is what becomes a flow.
type group struct {
	name   string
	visits []*visit
}

// groups puts the visits of each page together, in the order of their first ones.
func (rec *recording) groups(o Options) []group {
	var out []group
	at := map[string]int{}
	for _, v := range rec.visits {
		key := v.page
		if o.OneFlow {
			key = ""
		}
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, group{name: rec.flowName(key)})
		}
		out[i].visits = append(out[i].visits, v)
	}
	return out
}

// flowName names a flow after its page's title, which often is a URL.
func (rec *recording) flowName(page string) string {
	p := rec.pages[page]
	if p == nil || page == "" {
		return "session"
	}
	if u, err := url.Parse(strings.TrimSpace(p.Title)); err == nil && u.Host != "" {
		return requestName("GET", u.Path)
	}
	if name := slug(strings.ToLower(p.Title)); name != "" && !shaped.MatchString(p.Title) {
		return name
	}
	return "page"
}

// wire tells the version of HTTP from what most requests used.
func (rec *recording) wire(r *Result) loadgen.Wire {
	var two, three, plain int
	for _, v := range rec.visits {
		switch strings.ToLower(v.version) {
		case "h2", "http/2", "http/2.0", "h2c":
			two++
		case "h3", "http/3", "http/3.0", "h3-29", "quic":
			three++
		default:
			if strings.HasPrefix(v.url, "http://") {
				plain++
			}
		}
	}
	if three > 0 {
		r.add(Loss{Class: Lost, Where: "log.entries",
			What: fmt.Sprintf("HTTP/3, which %d requests used", three),
			Why:  "there is HTTP/1.1 and HTTP/2 here", Do: "keep in mind that the service is reached another way"})
	}
	if two+three <= len(rec.visits)/2 {
		return loadgen.Wire{}
	}
	// Without TLS HTTP/2 would be spoken from the first byte, to servers that may not know it.
	if plain > 0 || strings.HasPrefix(r.BaseURL(), "http://") {
		r.add(Loss{Class: Guess, Where: "log.entries", What: "HTTP/1.1, where most requests used HTTP/2",
			Why: "some go without TLS, and would speak it from the first byte", Do: "write http = \"2\" if the service understands that"})
		return loadgen.Wire{}
	}
	return loadgen.Wire{HTTP: loadgen.HTTP2}
}

// sender makes requests of visits.
type sender struct {
	rec       *recording
	out       *Result
	o         Options
	vault     *vault
	from      string         // the origin that the base stands for
	noise     map[string]int // headers that were dropped
	elsewhere map[string][]*visit
	strays    map[string]stray
	jar       map[string][]string // names of the cookies that the flow's answers have set, by origin
	cut       int                 // pauses that were longer than the bound
	together  int                 // requests that the browser sent while another was under way
}

// flow makes the flow of one page.
func (s *sender) flow(name string, visits []*visit) loadgen.Flow {
	f := loadgen.Flow{Name: name, Weight: 1}
	bodies := make([]recordedBody, len(visits))
	texts := make([]string, len(visits))
	for i, v := range visits {
		bodies[i] = v.body()
		if texts[i] = bodies[i].text; len(texts[i]) > fileBody {
			texts[i] = ""
		}
		if bodies[i].trouble != nil || bodies[i].data != nil {
			s.stray(v, "the request of that answer is left out", "put one there that works")
			v.found = nil
		}
	}
	threads := newThreads(visits, texts, s.strays)
	taken := names{}
	s.jar = map[string][]string{}
	for i, v := range visits {
		origin, rest := v.origin()
		path, _, _ := strings.Cut(rest, "?")
		q := loadgen.Request{Name: taken.unique(requestName(v.method, path)), Method: v.method, Redirects: 0}
		at := scenarios.Place{Flow: name, Request: q.Name}
		s.out.from(at, v.where()+".request", v.line)
		threads.losses = nil
		s.url(&q, v, threads, i, at)
		s.headers(&q, v, threads, i, at)
		s.body(&q, v, bodies[i], threads, i, at)
		s.expect(&q, v, at)
		if i+1 < len(visits) {
			q.Think = s.pause(v, visits[i+1])
		}
		if surelySent(bodies[i]) {
			s.jar[origin] = append(s.jar[origin], v.sets...)
		}
		s.lose(at, threads.losses...)
		f.Requests = append(f.Requests, q)
	}
	s.long(f, visits[0])
	for i, v := range visits {
		f.Requests[i].Extract = threads.extract[i]
		s.stray(v, "that answer is in another flow", "import with --one-flow, if it must be a new one each time")
	}
	return f
}

// long says how long a run of a flow takes by its pauses alone, when that is longer than phases of a run often are.
func (s *sender) long(f loadgen.Flow, first *visit) {
	pauses := time.Duration(0)
	for _, q := range f.Requests {
		pauses += q.Think.Max
	}
	if pauses >= time.Minute {
		s.lose(scenarios.Place{Flow: f.Name}, Loss{Class: Guess, Where: first.where(), Line: first.line,
			What: "pauses of " + pauses.Round(time.Second).String() + " in each run of the flow",
			Why:  "they were recorded, so a phase that is shorter never sees its end, and that many seconds times the rate is how many users are at it at once",
			Do:   "make the phases longer, or the pauses shorter with --max-think"})
	}
}

// stray remembers the values of an answer that later requests cannot have.
func (s *sender) stray(v *visit, why, do string) {
	for _, f := range v.found {
		s.strays[f.value] = stray{v, why, do}
	}
}

// lose adds losses of a place in the block.
func (s *sender) lose(at scenarios.Place, losses ...Loss) {
	for _, l := range losses {
		l.Place = at
		s.out.add(l)
	}
}

func (s *sender) url(q *loadgen.Request, v *visit, t *threads, i int, at scenarios.Place) {
	origin, rest := v.origin()
	rest, _, _ = strings.Cut(rest, "#")
	path, query, _ := strings.Cut(rest, "?")
	fields := append(matrixFields(path), formFields(query, len(path)+1)...)
	gaps := t.gaps(i, rest, "URL", secretSpans(fields))
	s.secretFields(&gaps, fields, rest, v, at, "parameter", "one that works (encoded for URLs)")
	if origin == s.from {
		q.URL = fill(rest, gaps)
	} else {
		s.elsewhere[origin] = append(s.elsewhere[origin], v)
		q.URL = append(loadgen.Literal(origin), fill(rest, gaps)...)
	}
	if user := v.user(); user != "" && v.header("Authorization") == "" {
		ref, name := s.vault.ref("basic_auth", user)
		q.Headers = append(q.Headers, loadgen.Header{Name: "Authorization", Value: loadgen.Text{{Text: "Basic "}, {Ref: ref}}})
		s.secret(v, at, "the user and password in the URL", "the base64 of user:password", name)
	}
}

// secret says that a secret was kept out. A recording has many that are not needed.
func (s *sender) secret(v *visit, at scenarios.Place, what, content, variable string) {
	l := keptOut(spot{v.where() + ".request", v.line}, at, what, content, variable)
	l.Do += ", or take it out where none is needed"
	s.lose(at, l)
}

// secretSpans are where the fields stand whose names say that they are secret.
func secretSpans(fields []field) spans {
	var out spans
	for _, f := range fields {
		if secretName(f.name) {
			out.add(gap{from: f.from, to: f.to})
		}
	}
	return out
}

// secretFields makes gaps of the fields whose names say that they are secret. Those that are filled already stay so.
func (s *sender) secretFields(gaps *spans, fields []field, text string, v *visit, at scenarios.Place, what, content string) {
	for _, f := range fields {
		if gaps.hit(f.from, f.to) || !secretName(f.name) {
			continue
		}
		ref, name := s.vault.ref(f.name, text[f.from:f.to])
		gaps.add(gap{f.from, f.to, ref})
		s.secret(v, at, fmt.Sprintf("the %s %q", what, f.name), content, name)
	}
}

// noisy are headers that the client sends by itself, that are about one connection or the browser's cache, or that only
// browsers send.
var noisy = map[string]bool{"connection": true, "keep-alive": true, "proxy-connection": true, "proxy-authorization": true, "te": true, "trailer": true,
	"transfer-encoding": true, "upgrade": true, "content-length": true, "if-none-match": true,
	"if-modified-since": true, "if-range": true, "cache-control": true, "pragma": true, "dnt": true, "priority": true,
	"upgrade-insecure-requests": true, "expect": true, "http2-settings": true, "alt-used": true, "purpose": true, "x-client-data": true,
	"device-memory": true, "downlink": true, "ect": true, "rtt": true, "save-data": true, "viewport-width": true, "dpr": true}

func isNoise(name string) bool {
	name = strings.ToLower(name)
	return noisy[name] || strings.HasPrefix(name, "sec-")
}

func (s *sender) headers(q *loadgen.Request, v *visit, t *threads, i int, at scenarios.Place) {
	origin, _ := v.origin()
	for _, h := range v.headers {
		name := strings.TrimSpace(h.Name)
		switch {
		case name == "" || strings.HasPrefix(name, ":"): // HTTP/2 has the method and the URL among its headers
		case isNoise(name):
			s.noise[strings.ToLower(name)]++
		case !headerName(name):
			s.lose(at, Loss{Class: Lost, Where: v.where() + ".request.headers", Line: v.line,
				What: fmt.Sprintf("the header %q", name),
				Why:  "no header can have that name", Do: "leave it so"})
		case strings.EqualFold(name, "Cookie"):
			s.cookie(q, v, h.Value, at)
		case strings.EqualFold(name, "Host") && strings.HasSuffix(origin, "://"+strings.ToLower(h.Value)): // it follows from the URL
		default:
			addHeader(q, name, s.moved(name, fill(h.Value, s.headerGaps(name, h.Value, v, t, i, at))))
		}
	}
}

// moved puts the base in the place of the recorded one in the headers that say where a request comes from: services compare
// them with their own name.
func (s *sender) moved(name string, value loadgen.Text) loadgen.Text {
	if !strings.EqualFold(name, "Origin") && !strings.EqualFold(name, "Referer") || len(value) == 0 {
		return value
	}
	rest, ok := strings.CutPrefix(value[0].Text, s.from)
	if !ok || rest != "" && rest[0] != '/' {
		return value
	}
	return slices.Concat(s.out.Base, loadgen.Text{{Text: rest}}, value[1:])
}

// headerGaps are what a header's value must not hold, or takes from earlier answers.
func (s *sender) headerGaps(name, value string, v *visit, t *threads, i int, at scenarios.Place) spans {
	var fields []field
	scheme := ""
	if secretName(name) && value != "" {
		scheme, _ = credentials(value)
		fields = []field{{name, len(scheme), len(value)}}
	} else if _, query, ok := strings.Cut(value, "?"); ok { // a Referer may hold the secrets of another URL
		fields = formFields(query, len(value)-len(query))
	}
	gaps := t.gaps(i, value, "header "+name, secretSpans(fields))
	switch {
	case len(fields) == 0:
	case secretName(name):
		if !gaps.hit(len(scheme), len(value)) {
			ref, variable := s.vault.ref(name, value[len(scheme):])
			s.secret(v, at, "the header "+name, whatFollows(scheme), variable)
			gaps.add(gap{len(scheme), len(value), ref})
		}
	default:
		s.secretFields(&gaps, fields, value, v, at, "query parameter", "one that works (encoded for URLs)")
	}
	return gaps
}

// surelySent reports whether a request will be sent as far as its body goes: one that is a comment is answered with no cookies.
func surelySent(b recordedBody) bool {
	return b.trouble == nil && b.data == nil && len(b.text) <= inlineBody
}

// cookie gives a request the cookies of its origin, which are one secret, unless answers of the flow have set all of them. Those
// that an answer has set the engine keeps, and they count where both have a name.
func (s *sender) cookie(q *loadgen.Request, v *visit, value string, at scenarios.Place) {
	origin, _ := v.origin()
	older := false
	for pair := range strings.SplitSeq(value, ";") {
		name, content, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if name == "" {
			continue
		}
		older = older || !slices.Contains(s.jar[origin], name)
		if secretName(name) {
			s.vault.know("cookie_"+name, content)
		}
	}
	if header(q, "Cookie") != nil || !older {
		return
	}
	hint := "cookie"
	if origin != s.from {
		hint += "_" + origin[strings.Index(origin, "://"):]
	}
	ref, name := s.vault.ref(hint, "cookies of "+origin)
	q.Headers = append(q.Headers, loadgen.Header{Name: "Cookie", Value: loadgen.Text{{Ref: ref}}})
	s.secret(v, at, "the cookies for "+origin, "a Cookie header's value", name)
}

func (s *sender) body(q *loadgen.Request, v *visit, b recordedBody, t *threads, i int, at scenarios.Place) {
	contentType := b.contentType
	if contentType == "" && v.post != nil && (b.text != "" || b.data != nil) && header(q, "Content-Type") == nil {
		contentType = v.post.MIME
	}
	if contentType != "" {
		q.Headers = slices.DeleteFunc(q.Headers, func(h loadgen.Header) bool { return strings.EqualFold(h.Name, "Content-Type") })
		q.Headers = append(q.Headers, loadgen.Header{Name: "Content-Type", Value: loadgen.Literal(contentType)})
	}
	contentType, _ = header(q, "Content-Type").Known()
	switch {
	case b.trouble != nil:
		s.lose(at, *b.trouble)
		s.out.off(at)
	case b.data != nil:
		s.binary(q, v, b.data, at)
	case len(b.text) > fileBody: // it goes nowhere
		s.out.tooLong(at, len(b.text), true, s.o)
	case b.text != "":
		s.whole(q, v, b, at)
		fields := fieldsOf(b.text, contentType)
		gaps := t.gaps(i, b.text, "body", secretSpans(fields))
		content := "one that works"
		if strings.Contains(strings.ToLower(contentType), "x-www-form-urlencoded") {
			content += " (encoded for URLs)"
		}
		s.secretFields(&gaps, fields, b.text, v, at, "field", content)
		q.Body = fill(b.text, gaps)
	}
}

// whole says what of a body that is text was not recorded as it was sent.
func (s *sender) whole(q *loadgen.Request, v *visit, b recordedBody, at scenarios.Place) {
	where := v.where() + ".request.postData"
	// Line breaks may have been two bytes each, and some count the one at the end.
	if n := int64(len(v.post.Text)); n > 0 && v.sent > n+int64(strings.Count(v.post.Text, "\n"))+2 {
		s.lose(at, Loss{Class: Lost, Where: where, Line: v.line, What: fmt.Sprintf("a part of the body: %d of %d bytes were recorded", n, v.sent),
			Why: "the recording has no more of it", Do: "look whether the rest is needed, such as the content of a file"})
	}
	// What is compressed is no text.
	if encoding, known := header(q, "Content-Encoding").Known(); known && encoding != "" && !strings.EqualFold(encoding, "identity") {
		q.Headers = slices.DeleteFunc(q.Headers, func(h loadgen.Header) bool { return strings.EqualFold(h.Name, "Content-Encoding") })
		s.lose(at, Loss{Class: Lost, Where: where, Line: v.line, What: "the header Content-Encoding: " + encoding,
			Why: "the body was recorded as it was before it was compressed, and is sent so", Do: "leave it so"})
	}
}

// binary keeps a body that is no text. The language's texts are Unicode, so the request cannot be sent from a block.
func (s *sender) binary(q *loadgen.Request, v *visit, data []byte, at scenarios.Place) {
	l := Loss{Class: Lost, Where: v.where() + ".request.postData", Line: v.line,
		What: fmt.Sprintf("a body of %d bytes that are no text", len(data)),
		Why:  "a body in the language is text", Do: "send this request by a k6 script"}
	switch {
	case s.o.Beside == "":
	case len(secretSpans(fieldsOf(string(data), ""))) > 0:
		l.Do += bytesNowhere
	default:
		f := File{Path: s.out.bodyPath(s.o.Beside, at.Flow, q), Data: data}
		s.out.Files = append(s.out.Files, f)
		l.Do += bytesIn + f.Path
	}
	s.lose(at, l)
	s.out.off(at)
}

// expect takes over the recorded status.
func (s *sender) expect(q *loadgen.Request, v *visit, at scenarios.Place) {
	switch {
	case v.status == 304:
		q.Expect.Status = []int{200}
		s.lose(at, Loss{Class: Guess, Where: v.where() + ".response.status", Line: v.line, What: "status 200",
			Why: "304 was recorded, because the browser had it in its cache", Do: "check it"})
	case v.status >= 100 && v.status <= 599:
		q.Expect.Status = []int{v.status}
		if v.status >= 400 {
			s.lose(at, Loss{Class: Guess, Where: v.where() + ".response.status", Line: v.line,
				What: fmt.Sprintf("status %d", v.status),
				Why:  "it was recorded so, and so it is what counts as right", Do: "check it"})
		}
	default:
		s.lose(at, Loss{Class: Lost, Where: v.where() + ".response.status", Line: v.line, What: "the status",
			Why: "no answer was recorded: the request was blocked or broken off",
			Do:  "take the request out if it belongs to an extension or a blocker"})
	}
}

// pause is how long the user waited between two requests.
func (s *sender) pause(v, next *visit) loadgen.Pause {
	d := next.start.Sub(v.start.Add(v.took)).Round(10 * time.Millisecond)
	if d < 0 {
		s.together++
	}
	if d <= 0 || s.o.MaxThink <= 0 {
		return loadgen.Pause{}
	}
	if d > s.o.MaxThink {
		s.cut++
		d = s.o.MaxThink
	}
	return loadgen.Pause{Min: d, Max: d}
}

// sums adds the losses that are about many requests at once.
func (s *sender) sums() {
	add := s.out.add
	if len(s.noise) > 0 {
		add(Loss{Class: Lost, Where: "log.entries", What: "headers: " + strings.Join(sortedKeys(s.noise), ", "),
			Why: "the client sends its own, or they are about one connection, the browser or its cache",
			Do:  "put one back if the service looks at it"})
	}
	if s.rec.values >= maxValues {
		add(Loss{Class: Lost, Where: "log.entries", What: "values in the answers beyond the first " + strconv.Itoa(maxValues),
			Why: "that is how many are looked for in later requests", Do: "record less at once"})
	}
	if s.cut > 0 {
		add(Loss{Class: Guess, Where: "log.entries",
			What: "pauses longer than " + s.o.MaxThink.String() + ": " + strconv.Itoa(s.cut),
			Why:  "they were cut to that", Do: "check what users do there, or give --max-think"})
	}
	if s.together > 0 {
		add(Loss{Class: Guess, Where: "log.entries",
			What: "requests that were sent while another was under way: " + strconv.Itoa(s.together),
			Why:  "a flow sends one after the other",
			Do:   "keep in mind that an iteration takes longer than the page did"})
	}
	for _, origin := range sortedKeys(s.elsewhere) {
		visits := s.elsewhere[origin]
		add(Loss{Class: Guess, Where: visits[0].where(), Line: visits[0].line,
			What: fmt.Sprintf("requests to %s: %d", origin, len(visits)),
			Why:  "they go to another origin than the base",
			Do:   "check that you may send load there, or leave them out with --base-only"})
	}
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// headerName reports whether a text can be the name of a header (RFC 9110, 5.6.2).
func headerName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}
