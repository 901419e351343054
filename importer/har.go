package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// What is read of an entry, by the HTTP Archive format 1.2 (http://www.softwareishard.com/blog/har-12-spec/) and what browsers
// add to it. All else is passed over, so that a mistake in a field that nobody needs costs nothing.
type (
	harEntry struct {
		PageRef  string       `json:"pageref"`
		Started  string       `json:"startedDateTime"`
		Time     loose        `json:"time"` // milliseconds
		Request  *harRequest  `json:"request"`
		Response *harResponse `json:"response"`
		// Type is Chrome's: document, xhr, fetch, script, image, …
		Type      string `json:"_resourceType"`
		FromCache string `json:"_fromCache"` // Chrome: memory, disk, …
		FetchType string `json:"_fetchType"` // Safari: "Network Load", "Memory Cache", …
	}
	harRequest struct {
		Method   string     `json:"method"`
		URL      string     `json:"url"`
		Version  string     `json:"httpVersion"`
		Headers  []*harPair `json:"headers"`
		Cookies  []*harPair `json:"cookies"`
		Post     *harPost   `json:"postData"`
		BodySize loose      `json:"bodySize"`
		// Content is what HTTP Toolkit has instead for a body that is no text.
		Content *harContent `json:"_content"`
	}
	// harPost is a body. The format has an encoding for answers only; some programs use one here too.
	harPost struct {
		MIME       string     `json:"mimeType"`
		Text       string     `json:"text"`
		Params     []*harPair `json:"params"`
		Encoding   string     `json:"encoding"`
		Underlined string     `json:"_encoding"`
	}
	harResponse struct {
		Status  loose       `json:"status"`
		Headers []*harPair  `json:"headers"`
		Cookies []*harPair  `json:"cookies"`
		Content *harContent `json:"content"`
	}
	harContent struct {
		MIME     string `json:"mimeType"`
		Text     string `json:"text"`
		Encoding string `json:"encoding"`
	}
	// harPair is a header, a cookie, or a field of a form; a file has the last two.
	harPair struct {
		Name        string `json:"name"`
		Value       string `json:"value"`
		FileName    string `json:"fileName"`
		ContentType string `json:"contentType"`
	}
	harPage struct {
		ID    string `json:"id"`
		Title string `json:"title"`
	}
)

// loose is a number that may be written as a text, or be missing.
type loose float64

// UnmarshalJSON takes what it can for a number, and the rest for 0.
func (l *loose) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0
	}
	*l = loose(f)
	return nil
}

// visit is what is kept of an entry: a recording is many times larger, mostly by its answers.
type visit struct {
	at      int // its number in log.entries
	line    int
	page    string
	start   time.Time // zero when it is not told
	took    time.Duration
	method  string
	url     string
	version string
	headers []*harPair
	post    *harPost
	sent    int64 // bytes of the body, as far as they were told; -1 unknown
	status  int
	sets    []string // names of the cookies that the answer sets
	found   []found
}

func (v *visit) where() string { return fmt.Sprintf("log.entries[%d]", v.at) }

// origin returns the scheme and host of the visit's URL, and the rest.
func (v *visit) origin() (origin, rest string) {
	scheme, after, ok := strings.Cut(v.url, "://")
	if !ok {
		return "", v.url
	}
	host, _, _ := strings.Cut(after, "#")
	end := strings.IndexAny(host, "/?")
	if end < 0 {
		end = len(host)
	}
	host, rest = host[:end], host[end:]
	host = host[strings.LastIndexByte(host, '@')+1:]
	if !strings.HasPrefix(rest, "/") {
		rest = "/" + rest
	}
	return strings.ToLower(scheme) + "://" + strings.ToLower(host), rest
}

// user returns the user and password that stand in the visit's URL, or "".
func (v *visit) user() string {
	_, rest, _ := strings.Cut(v.url, "://")
	user, _, ok := strings.Cut(rest, "@")
	if !ok || strings.ContainsAny(user, "/?#") {
		return ""
	}
	return user
}

// recording is a HAR file, read.
type recording struct {
	visits []*visit
	pages  map[string]*harPage
	total  int
	values int // in answers
	losses []Loss
	left   *leftOut
}

// ReadHAR reads a HAR file. It goes through the file once and holds one entry at a time, and of those that are kept what
// is needed to send them.
func ReadHAR(r io.Reader, o Options) (*Result, error) {
	in, err := withoutBOM(r)
	if err != nil {
		return nil, err
	}
	lines := &lineReader{r: in}
	rec := &recording{pages: map[string]*harPage{}, left: &leftOut{}}
	d := json.NewDecoder(lines)
	if err := rec.read(d, lines, o); err != nil {
		return nil, err
	}
	if rec.total == 0 {
		return nil, &Error{What: "there are no requests in it: log.entries is empty or missing",
			Do: "record again, with the network tab open before the page loads"}
	}
	rec.losses = append(rec.losses, rec.left.losses()...)
	if len(rec.visits) == 0 {
		return nil, &Error{What: fmt.Sprintf("none of its %d requests is left: %s", rec.total, rec.left),
			Do: "keep static files with --assets, or record again"}
	}
	return rec.result(o)
}

// read goes through the top of the file.
func (rec *recording) read(d *json.Decoder, lines *lineReader, o Options) error {
	broken := func(err error) error {
		return jsonError(err, func(offset int64) int { return lines.at(offset) }, lines.read)
	}
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		if err == nil {
			err = &Error{Line: 1, What: "a HAR file is one JSON object, and this is not", Do: "export it again, as HAR"}
		}
		return broken(err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return broken(err)
		}
		if key != "log" {
			err = skip(d)
		} else {
			err = rec.log(d, lines, o)
		}
		if err != nil {
			return broken(err)
		}
	}
	if _, err := d.Token(); err != nil {
		return broken(err)
	}
	return nil
}

// log reads the value of "log".
func (rec *recording) log(d *json.Decoder, lines *lineReader, o Options) error {
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		if err == nil {
			err = &Error{Line: lines.at(d.InputOffset()), What: "log should be an object",
				Do: "export it again, as HAR"}
		}
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		switch key {
		case "entries":
			err = each(d, lines, func(raw json.RawMessage, line int) error { return rec.entry(raw, line, o) })
		case "pages":
			err = each(d, lines, func(raw json.RawMessage, _ int) error {
				var p harPage
				_ = json.Unmarshal(raw, &p) // a page only gives its name to a flow
				if p.ID != "" && len(rec.pages) < maxRequests {
					rec.pages[p.ID] = &p
				}
				return nil
			})
		default:
			err = skip(d)
		}
		if err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// each calls f for each element of an array. A null stands for none.
func each(d *json.Decoder, lines *lineReader, f func(raw json.RawMessage, line int) error) error {
	t, err := d.Token()
	if err != nil || t == nil {
		return err
	}
	if t != json.Delim('[') {
		return &Error{Line: lines.at(d.InputOffset()), What: "a list is missing here", Do: "export it again, as HAR"}
	}
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		if err := f(raw, lines.at(d.InputOffset()-int64(len(raw)))); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// entry keeps one entry, or says why not.
func (rec *recording) entry(raw json.RawMessage, line int, o Options) error {
	v := &visit{at: rec.total, line: line}
	rec.total++
	if crowded(raw) {
		rec.left.count(reasonCrowded, v, "")
		return nil
	}
	var e harEntry
	// A field of the wrong type is left empty, and the rest of the entry is read all the same.
	if err := json.Unmarshal(raw, &e); err != nil {
		typ, ok := errors.AsType[*json.UnmarshalTypeError](err)
		if !ok {
			return err
		}
		if len(rec.losses) < maxRequests {
			rec.losses = append(rec.losses, Loss{Class: Lost, Where: v.where(), Line: line,
				What: fmt.Sprintf("the field %q", typ.Field),
				Why:  "it is not of the type that the format has there", Do: "look whether the request lacks something"})
		}
	}
	if e.Request == nil || e.Request.URL == "" {
		rec.left.count(reasonEmpty, v, "")
		return nil
	}
	v.fill(&e)
	if rec.left.out(v, &e, o) {
		return nil
	}
	if len(rec.visits) == maxRequests {
		rec.left.count(reasonMany, v, "")
		return nil
	}
	if rec.values < maxValues {
		v.found = answers(e.Response)
		rec.values += len(v.found)
	}
	rec.visits = append(rec.visits, v)
	return nil
}

// fill takes out of an entry what is needed to send it again.
func (v *visit) fill(e *harEntry) {
	v.page, v.start = e.PageRef, instant(e.Started)
	if e.Time > 0 && e.Time < 1e9 {
		v.took = time.Duration(float64(e.Time) * float64(time.Millisecond))
	}
	v.method, v.url = strings.ToUpper(strings.TrimSpace(e.Request.Method)), strings.TrimSpace(e.Request.URL)
	v.version = e.Request.Version
	if v.method == "" {
		v.method = "GET"
	}
	for _, h := range e.Request.Headers {
		if h != nil {
			v.headers = append(v.headers, h)
		}
	}
	if v.header("Cookie") == "" && len(e.Request.Cookies) > 0 {
		v.headers = append(v.headers, &harPair{Name: "Cookie", Value: pairs(e.Request.Cookies)})
	}
	v.post, v.sent = e.Request.Post, int64(e.Request.BodySize)
	if n, err := strconv.ParseInt(v.header("Content-Length"), 10, 64); err == nil && v.sent <= 0 {
		v.sent = n
	}
	if c := e.Request.Content; v.post == nil && c != nil {
		v.post = &harPost{Text: c.Text, Encoding: c.Encoding}
	}
	if e.Response == nil {
		return
	}
	v.status = int(e.Response.Status)
	for _, c := range e.Response.Cookies {
		if c != nil {
			v.sets = append(v.sets, c.Name)
		}
	}
	for _, h := range e.Response.Headers {
		if h != nil && strings.EqualFold(h.Name, "Set-Cookie") {
			for line := range strings.Lines(h.Value) { // some programs join several with line breaks
				name, _, _ := strings.Cut(line, "=")
				v.sets = append(v.sets, strings.TrimSpace(name))
			}
		}
	}
}

// pairs writes cookies as a Cookie header does.
func pairs(cookies []*harPair) string {
	var out []string
	for _, c := range cookies {
		if c != nil {
			out = append(out, c.Name+"="+c.Value)
		}
	}
	return strings.Join(out, "; ")
}

// header returns the value of a request's header, or "".
func (v *visit) header(name string) string {
	for _, h := range v.headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// layouts are how instants are written, beside how they should be.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999"}

// instant reads an instant; zero when it cannot.
func instant(text string) time.Time {
	for _, l := range layouts {
		if t, err := time.Parse(l, strings.TrimSpace(text)); err == nil {
			return t
		}
	}
	return time.Time{}
}

// lineReader counts lines. Offsets must be asked for in rising order.
type lineReader struct {
	r      io.Reader
	read   int64
	breaks []int64 // offsets of line breaks that were read and not asked beyond
	line   int     // breaks before them
}

func (l *lineReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	for i, c := range p[:n] {
		if c == '\n' {
			l.breaks = append(l.breaks, l.read+int64(i))
		}
	}
	l.read += int64(n)
	return n, err
}

// at returns the line of an offset, from 1.
func (l *lineReader) at(offset int64) int {
	i := 0
	for i < len(l.breaks) && l.breaks[i] < offset {
		i++
	}
	l.breaks = l.breaks[i:]
	l.line += i
	return l.line + 1
}
