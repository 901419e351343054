package loadgen

import (
	"strings"
	"time"
)

// Flow is what one iteration of a stream without a script does: its requests, one after the other. The first request that
// fails ends it.
type Flow struct {
	Name string `json:"name"`
	// Weight is the flow's share of the iterations, against those of the stream's other flows.
	Weight   float64   `json:"weight"`
	Requests []Request `json:"requests"`
}

// Request is one request of a flow, over HTTP, or over gRPC when Call is set.
type Request struct {
	Name    string   `json:"name"`
	Method  string   `json:"method,omitempty"` // empty is GET
	URL     Text     `json:"url,omitempty"`    // absolute, or with a Base a path
	Base    string   `json:"base,omitempty"`   // put before a URL that begins with "/"; without a slash at its end
	Headers []Header `json:"headers,omitempty"`
	Body    Text     `json:"body,omitempty"`
	// Timeout bounds the request, from the send to the last byte of the answer; 0 is DefaultTimeout.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Redirects is how many redirects are followed. What is measured then reaches to the last answer.
	Redirects int       `json:"redirects,omitempty"`
	Call      *Call     `json:"call,omitempty"`
	Expect    Expect    `json:"expect,omitzero"`
	Extract   []Extract `json:"extract,omitempty"`
	// Think is how long the user waits afterwards before the flow's next request.
	Think Pause `json:"think,omitzero"`
}

// DefaultTimeout is how long a request may take that has no timeout of its own.
const DefaultTimeout = 30 * time.Second

// Header is one header line of a request. Names may repeat.
type Header struct {
	Name  string `json:"name"`
	Value Text   `json:"value"`
}

// Call is a unary call over gRPC. Its request's URL is that of the server: "http://shop:9000", or https with TLS.
type Call struct {
	// Descriptor is the absolute path of a file that `protoc --descriptor_set_out --include_imports` writes.
	Descriptor string `json:"descriptor"`
	Method     string `json:"method"` // "shop.v1.Cart/Add"
	Message    Text   `json:"message,omitempty"`
}

// Text is a text with gaps that are filled when a request is made. One that is known beforehand has one part.
type Text []Part

// Part is a literal piece of a Text, or with Ref set a gap:
//
//	value.NAME        what an earlier request of the flow has extracted
//	data.SET.COLUMN   the column of the row that the iteration was dealt
//	iteration.number  the iteration's number in its stream, from 1
//	iteration.id      a random UUID, the same throughout the iteration
type Part struct {
	Text string `json:"text,omitempty"`
	Ref  string `json:"ref,omitempty"`
	// Place says where a gap stands, so that what fills it is escaped as it must be there.
	Place Place `json:"place,omitempty"`
}

// Place is where a gap stands in a text. The zero value is where nothing is escaped.
type Place string

// The places.
const (
	InQuery Place = "query" // of a URL, or in a form
	InPath  Place = "path"  // a segment of a URL's path
	InJSON  Place = "json"  // inside a text in JSON
)

// Literal returns a text without gaps.
func Literal(text string) Text { return Text{{Text: text}} }

// Known returns the text, if it has no gaps.
func (t Text) Known() (text string, ok bool) {
	var b strings.Builder
	for _, p := range t {
		if p.Ref != "" {
			return "", false
		}
		b.WriteString(p.Text)
	}
	return b.String(), true
}

// String returns the text with its gaps as they are written in a scenario: "/cart/${value.cart}".
func (t Text) String() string {
	var b strings.Builder
	for _, p := range t {
		if p.Ref != "" {
			b.WriteString("${" + p.Ref + "}")
			continue
		}
		b.WriteString(p.Text)
	}
	return b.String()
}

// Expect is what an answer must be like. Each condition is a check, and an answer that fails one is a failed request.
type Expect struct {
	// Status are the statuses that are right; without any, all below 400 are. For gRPC it is the code, and without any only 0.
	Status []int `json:"status,omitempty"`
	// Body are conditions on the body, decompressed; for gRPC on the answer as JSON.
	Body    []BodyCheck   `json:"body,omitempty"`
	JSON    []JSONCheck   `json:"json,omitempty"`
	Headers []HeaderCheck `json:"headers,omitempty"`
}

// BodyCheck is one condition on a body: exactly one field is set.
type BodyCheck struct {
	Contains string `json:"contains,omitempty"`
	Matches  string `json:"matches,omitempty"` // a regular expression as package regexp has them
}

// JSONCheck compares one place of a JSON body. Path is as in gjson: "items.0.sku", "items.#".
type JSONCheck struct {
	Path string `json:"path"`
	// Equals is the text of the value: of a text without quotes, of anything else as JSON. Nil asks only that it is there.
	Equals *string `json:"equals,omitempty"`
}

// HeaderCheck is a condition on a header of the answer.
type HeaderCheck struct {
	Name    string `json:"name"`
	Matches string `json:"matches"` // a regular expression
}

// Extract takes a value out of an answer for later requests of the flow. Exactly one of JSON, Header, Regexp is set. An
// answer without it is a failed request.
type Extract struct {
	Name   string `json:"name"`
	JSON   string `json:"json,omitempty"`   // a path as in gjson
	Header string `json:"header,omitempty"` // the header's name
	Regexp string `json:"regexp,omitempty"` // on the body; its first group, or all of it when it has none
}

// Pause is a time between Min and Max, evenly spread.
type Pause struct {
	Min time.Duration `json:"min"`
	Max time.Duration `json:"max"`
}

// Versions of HTTP.
const (
	HTTP1 = "1.1"
	HTTP2 = "2" // over TLS by negotiation, and without TLS from the first byte
)

// Wire is how a stream's requests travel.
type Wire struct {
	HTTP string `json:"http,omitempty"` // HTTP1, which is what empty means, or HTTP2
	// Unix is the path of a socket that all requests go to, whatever their host; empty is none.
	Unix string `json:"unix,omitempty"`
	// Fresh opens a new connection for each iteration, instead of one for each virtual user.
	Fresh bool `json:"fresh,omitempty"`
	TLS   TLS  `json:"tls,omitzero"`
}

// TLS holds what https needs besides the system's own roots. Files are absolute paths of PEM.
type TLS struct {
	CA         string `json:"ca,omitempty"` // instead of the system's roots
	Cert       string `json:"cert,omitempty"`
	Key        string `json:"key,omitempty"`
	ServerName string `json:"server_name,omitempty"`
	Insecure   bool   `json:"insecure,omitempty"` // accept any certificate
}

// DataSet is a table that iterations are dealt rows of, in turn and from the beginning again.
type DataSet struct {
	Name string `json:"name"`
	// Columns name the fields of each row.
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
	// Shuffle deals the rows in an order of the stream's seed, another one each time around.
	Shuffle bool `json:"shuffle,omitempty"`
}
