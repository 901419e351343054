package importer

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime"
	"mime/multipart"
	"net/textproto"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"gameday/loadgen"
	"gameday/scenarios"
)

// Bounds on bodies, in bytes.
const (
	longBody   = 4 << 10  // from here on a body goes beside the block, when it may
	inlineBody = 64 << 10 // more does not go into the block
	fileBody   = 1 << 20  // more is not read by the language's file()
)

// part is one field of a multipart body.
type part struct {
	name, value, fileName, contentType string
}

// boundary separates the parts of bodies that are made here. It is fixed, so that the same file gives the same block.
const boundary = "gameday-7f3b1c9e5d"

// multipartBody makes a body of parts, and its media type. The parts must not hold the boundary.
func multipartBody(parts []part) (body, contentType string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if err := w.SetBoundary(boundary); err != nil {
		return "", "", err
	}
	for _, p := range parts {
		h := textproto.MIMEHeader{}
		disposition := fmt.Sprintf(`form-data; name="%s"`, quoteless(p.name))
		if p.fileName != "" {
			disposition += fmt.Sprintf(`; filename="%s"`, quoteless(p.fileName))
		}
		h.Set("Content-Disposition", disposition)
		if p.contentType != "" {
			h.Set("Content-Type", quoteless(p.contentType))
		}
		pw, err := w.CreatePart(h)
		if err != nil {
			return "", "", err
		}
		if _, err := pw.Write([]byte(p.value)); err != nil {
			return "", "", err
		}
	}
	if err := w.Close(); err != nil {
		return "", "", err
	}
	return b.String(), w.FormDataContentType(), nil
}

// quoteless keeps a name from ending the quotes or the line that it stands in, as browsers do.
func quoteless(text string) string {
	return strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A").Replace(text)
}

// recordedBody is what a HAR entry tells of a body.
type recordedBody struct {
	text        string
	data        []byte // instead of text: bytes that are none
	contentType string // of a body that was put together anew
	trouble     *Loss
}

// body returns what was sent.
func (v *visit) body() recordedBody {
	p := v.post
	lost := func(what, why string) recordedBody {
		return recordedBody{trouble: &Loss{Class: Lost, Where: v.where() + ".request.postData", Line: v.line,
			What: what, Why: why,
			Do: "write the body into the block, or send this request by a k6 script"}}
	}
	if p == nil {
		if v.sent > 0 && !safe(v.method) {
			return lost(fmt.Sprintf("a body of %d bytes", v.sent), "it was sent, and not recorded")
		}
		return recordedBody{}
	}
	if strings.EqualFold(p.Encoding, "base64") || strings.EqualFold(p.Underlined, "base64") {
		b, err := base64.StdEncoding.DecodeString(p.Text)
		if err != nil {
			return lost("the body", "it should be in base64, and is not")
		}
		return bodyOf(b)
	}
	switch {
	case p.Text == "" && len(p.Params) > 0:
		return v.bodyOfParams(lost)
	case p.Text == "" && v.sent > 0:
		return lost(fmt.Sprintf("a body of %d bytes", v.sent), "it was sent, and not recorded")
	case strings.ContainsRune(p.Text, utf8.RuneError):
		return lost("the body", "it held bytes that were recorded as text, and are gone")
	}
	// Some browsers write each byte as one character.
	if b, ok := latin1(p.Text); ok && int64(len(b)) == v.sent && int64(len(p.Text)) != v.sent {
		return bodyOf(b)
	}
	return recordedBody{text: p.Text}
}

func bodyOf(b []byte) recordedBody {
	if utf8.Valid(b) && !bytes.ContainsRune(b, 0) {
		return recordedBody{text: string(b)}
	}
	return recordedBody{data: b}
}

// latin1 turns characters below 256 back into bytes; ok is false when there are others, or none above 127.
func latin1(text string) (b []byte, ok bool) {
	for _, c := range text {
		if c > 255 {
			return nil, false
		}
		ok = ok || c > 127
		b = append(b, byte(c))
	}
	return b, ok
}

// bodyOfParams puts a form together when only its fields were recorded.
func (v *visit) bodyOfParams(lost func(what, why string) recordedBody) recordedBody {
	media, _, _ := mime.ParseMediaType(v.post.MIME)
	if media != "multipart/form-data" {
		var fields []string
		for _, f := range v.post.Params {
			if f != nil {
				fields = append(fields, formField(f.Name)+"="+formField(f.Value))
			}
		}
		return recordedBody{text: strings.Join(fields, "&")}
	}
	var parts []part
	for _, f := range v.post.Params {
		if f == nil {
			continue
		}
		if f.FileName != "" && f.Value == "" {
			return lost(fmt.Sprintf("the file %q of the form", f.FileName), "its content was not recorded")
		}
		parts = append(parts, part{f.Name, f.Value, f.FileName, f.ContentType})
	}
	text, contentType, err := multipartBody(parts)
	if err != nil {
		return lost("the form", "it cannot be put together again")
	}
	b := bodyOf([]byte(text))
	b.contentType = contentType
	return b
}

// formField encodes a field of a form, unless it is encoded already, as some programs record it.
func formField(text string) string {
	if decoded, err := url.QueryUnescape(text); err == nil && decoded != text {
		return text
	}
	return url.QueryEscape(text)
}

// fields are the values in a body by the names that they have there.
type field struct {
	name     string
	from, to int // of the value
}

// fieldsOf finds the named values in a body of a known form: JSON, XML, a form, multipart. The media type may be empty.
func fieldsOf(body, contentType string) []field {
	trimmed := strings.TrimSpace(body)
	form := strings.Contains(strings.ToLower(contentType), "x-www-form-urlencoded")
	switch {
	case strings.HasPrefix(trimmed, "{"), strings.HasPrefix(trimmed, "[") && !form:
		return jsonFields(body)
	case strings.HasPrefix(trimmed, "<") && !form:
		return xmlFields(body)
	case strings.HasPrefix(trimmed, "--") && strings.Contains(trimmed, "form-data"):
		return partFields(body)
	case form, strings.Contains(body, "=") && !strings.ContainsAny(body, " \n<{"):
		return formFields(body, 0)
	}
	return nil
}

var (
	xmlElement   = regexp.MustCompile(`<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)(?:\s[^<>]*)?>\s*(?:<!\[CDATA\[)?([^<\]]+)`)
	xmlAttribute = regexp.MustCompile(`\s(?:[\w.-]+:)?([A-Za-z_][\w.-]*)\s*=\s*(?:"([^"<]*)"|\x27([^\x27<]*)\x27)`)
	matrixField  = regexp.MustCompile(`;([A-Za-z_][\w.-]*)=([^;/]+)`)
)

// xmlFields finds the texts of elements and attributes.
func xmlFields(body string) []field {
	return append(matched(xmlElement, body), matched(xmlAttribute, body)...)
}

// matrixFields finds the parameters in the segments of a path: "/x;jsessionid=1".
func matrixFields(path string) []field { return matched(matrixField, path) }

// matched finds fields by an expression whose first group is their name, and one of whose others is their value.
func matched(p *regexp.Regexp, text string) []field {
	var out []field
	for _, m := range p.FindAllStringSubmatchIndex(text, -1) {
		for i := 4; i < len(m); i += 2 {
			if m[i] >= 0 && strings.TrimSpace(text[m[i]:m[i+1]]) != "" {
				out = append(out, field{text[m[2]:m[3]], m[i], m[i+1]})
			}
		}
	}
	return out
}

// formFields finds the values of "a=1&b=2". base is added to the places.
func formFields(text string, base int) []field {
	var out []field
	at := 0
	for pair := range strings.SplitSeq(text, "&") {
		if name, value, ok := strings.Cut(pair, "="); ok && value != "" {
			if n, err := url.QueryUnescape(name); err == nil {
				name = n
			}
			from := base + at + len(pair) - len(value)
			out = append(out, field{name, from, from + len(value)})
		}
		at += len(pair) + 1
	}
	return out
}

// partFields finds the values of a multipart body.
func partFields(body string) []field {
	var out []field
	const mark = `; name="`
	for at := 0; ; {
		i := strings.Index(body[at:], mark)
		if i < 0 {
			return out
		}
		at += i + len(mark)
		name, _, ok := strings.Cut(body[at:], `"`)
		head := strings.Index(body[at:], "\r\n\r\n")
		if !ok || head < 0 {
			return out
		}
		from := at + head + 4
		end := strings.Index(body[from:], "\r\n--")
		if end < 0 {
			return out
		}
		if end > 0 {
			out = append(out, field{name, from, from + end})
		}
		at = from + end
	}
}

// extensions are the ends of names for media types that bodies often have.
var extensions = map[string]string{"application/json": ".json", "application/xml": ".xml", "text/xml": ".xml", "text/plain": ".txt",
	"application/x-www-form-urlencoded": ".txt", "image/png": ".png", "image/jpeg": ".jpg", "application/pdf": ".pdf", "application/zip": ".zip"}

// settle moves long bodies beside the block, when they may go there, and switches requests off whose bodies go nowhere.
func (r *Result) settle(o Options) {
	for i := range r.Flows {
		f := &r.Flows[i]
		for j := range f.Requests {
			q := &f.Requests[j]
			text, known := q.Body.Known()
			size := len(q.Body.String())
			switch {
			case known && size > longBody && size <= fileBody && o.Beside != "":
				file := File{Path: r.bodyPath(o.Beside, f.Name, q), Data: []byte(text)}
				r.Files = append(r.Files, file)
				q.Body = loadgen.Text{{Ref: fmt.Sprintf("file(%q)", file.Path)}}
			case size > inlineBody:
				r.tooLong(scenarios.Place{Flow: f.Name, Request: q.Name}, size, known, o)
				q.Body = nil
			}
		}
	}
}

// tooLong switches a request off whose body goes nowhere.
func (r *Result) tooLong(at scenarios.Place, size int, known bool, o Options) {
	why := fmt.Sprintf("a body in the block has at most %d", inlineBody)
	do := "give -o FILE: then it goes into a file beside the block"
	switch {
	case size > fileBody:
		why, do = fmt.Sprintf("file() reads at most %d", fileBody), "send this request by a k6 script"
	case !known:
		why, do = "it has gaps to fill, and so cannot be a file; "+why, "shorten it"
	}
	r.lose(at, fmt.Sprintf("a body of %d bytes", size), why, do)
	r.off(at)
}

// bodyPath makes the name of a file for a body.
func (r *Result) bodyPath(beside, flow string, q *loadgen.Request) string {
	contentType, _ := header(q, "Content-Type").Known()
	media, _, _ := mime.ParseMediaType(contentType)
	ext := extensions[media]
	if ext == "" {
		ext = ".bin"
	}
	name := q.Name
	if flow != q.Name {
		name = flow + "-" + q.Name
	}
	if r.paths == nil {
		r.paths = names{}
	}
	return path.Join(beside, r.paths.unique(name)+ext)
}

// orphans switches requests off that need a value which a request that is off would have given.
func (r *Result) orphans() {
	for _, f := range r.Flows {
		missing := map[string]bool{}
		for _, q := range f.Requests {
			at := scenarios.Place{Flow: f.Name, Request: q.Name}
			needs := ""
			eachPart(q, func(p loadgen.Part) {
				if missing[p.Ref] {
					needs = p.Ref
				}
			})
			if needs != "" && !slices.Contains(r.Off, at) {
				r.off(at)
				r.lose(at, "${"+needs+"}", "the request that would give it is left out",
					"put a value there, and take the marks of the comment away")
			}
			for _, e := range q.Extract {
				delete(missing, "value."+e.Name)
				if slices.Contains(r.Off, at) {
					missing["value."+e.Name] = true
				}
			}
		}
	}
}

// off switches a flow or a request off.
func (r *Result) off(p scenarios.Place) {
	if !slices.Contains(r.Off, p) {
		r.Off = append(r.Off, p)
	}
}
