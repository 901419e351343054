package importer

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"gameday/loadgen"
)

// The collection format 2.1, as far as it is read (https://schema.postman.com/collection/json/v2.1.0/draft-07/docs/index.html).
// Much of it may be written in several ways, and exports and generators use them all.
type (
	pmCollection struct {
		Info struct {
			Name string `json:"name"`
		} `json:"info"`
		Items     []pmItem     `json:"item"`
		Variables []pmVariable `json:"variable"`
		Auth      *pmAuth      `json:"auth"`
		Events    []pmEvent    `json:"event"`
		Behavior  pmBehavior   `json:"protocolProfileBehavior"`
	}
	// pmItem is a folder, if it has items, or a request.
	pmItem struct {
		Name      string       `json:"name"`
		Items     *[]pmItem    `json:"item"`
		Request   *pmRequest   `json:"request"`
		Variables []pmVariable `json:"variable"`
		Auth      *pmAuth      `json:"auth"`
		Events    []pmEvent    `json:"event"`
		Behavior  pmBehavior   `json:"protocolProfileBehavior"`
		Disabled  bool         `json:"disabled"`
	}
	pmRequest struct {
		Method      text            `json:"method"`
		URL         pmURL           `json:"url"`
		Auth        *pmAuth         `json:"auth"`
		Headers     pmHeaders       `json:"header"`
		Body        *pmBody         `json:"body"`
		Certificate json.RawMessage `json:"certificate"`
		Proxy       json.RawMessage `json:"proxy"`
	}
	pmURL struct {
		Raw       text         `json:"raw"`
		Protocol  text         `json:"protocol"`
		Host      segments     `json:"host"`
		Port      text         `json:"port"`
		Path      segments     `json:"path"`
		Query     []pmPair     `json:"query"`
		Variables []pmVariable `json:"variable"`
	}
	// pmPair is a query parameter, a header, or a field of a form.
	pmPair struct {
		Key         text     `json:"key"`
		Value       *text    `json:"value"`
		Disabled    bool     `json:"disabled"`
		Type        string   `json:"type"`
		Src         segments `json:"src"`
		ContentType text     `json:"contentType"`
	}
	pmVariable struct {
		Key      text `json:"key"`
		ID       text `json:"id"` // of version 2.0
		Value    text `json:"value"`
		Type     text `json:"type"`
		Disabled bool `json:"disabled"`
	}
	pmBody struct {
		Mode       string   `json:"mode"`
		Raw        text     `json:"raw"`
		URLEncoded []pmPair `json:"urlencoded"`
		FormData   []pmPair `json:"formdata"`
		File       struct {
			Src     text `json:"src"`
			Content text `json:"content"`
		} `json:"file"`
		GraphQL struct {
			Query         text `json:"query"`
			Variables     text `json:"variables"`
			OperationName text `json:"operationName"`
		} `json:"graphql"`
		Options struct {
			Raw struct {
				Language string `json:"language"`
			} `json:"raw"`
		} `json:"options"`
		Disabled bool `json:"disabled"`
	}
	pmEvent struct {
		Listen   string `json:"listen"`
		Disabled bool   `json:"disabled"`
		Script   struct {
			Exec segments `json:"exec"`
		} `json:"script"`
	}
	// pmBehavior are settings of a request. Nil is the program's default.
	pmBehavior struct {
		FollowRedirects    *bool `json:"followRedirects"`
		MaxRedirects       *int  `json:"maxRedirects"`
		StrictSSL          *bool `json:"strictSSL"`
		DisableBodyPruning *bool `json:"disableBodyPruning"`
	}
	pmEnvironment struct {
		Values []struct {
			pmVariable
			Enabled *bool `json:"enabled"`
		} `json:"values"`
	}
)

// text is a string that may be written as a number, a truth value or nothing. An object stands for its "raw" or "value", or
// for itself.
type text string

// UnmarshalJSON takes what there is.
func (t *text) UnmarshalJSON(b []byte) error {
	var v any
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		*t = ""
	case string:
		*t = text(v)
	case map[string]any:
		*t = text(b)
		for _, key := range []string{"value", "raw"} {
			if s, ok := v[key].(string); ok {
				*t = text(s)
			}
		}
	case []any:
		*t = text(b)
	default:
		*t = text(fmt.Sprint(v))
	}
	return nil
}

// segments are a list of strings, or one.
type segments []text

// UnmarshalJSON takes both.
func (s *segments) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		return json.Unmarshal(b, (*[]text)(s))
	}
	var one text
	err := json.Unmarshal(b, &one)
	if *s = nil; one != "" {
		*s = segments{one}
	}
	return err
}

func (s segments) join(sep string) string {
	var parts []string
	for _, t := range s {
		parts = append(parts, string(t))
	}
	return strings.Join(parts, sep)
}

// UnmarshalJSON takes a URL, for a request that is nothing else.
func (r *pmRequest) UnmarshalJSON(b []byte) error {
	type plain pmRequest
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &r.URL.Raw)
	}
	return json.Unmarshal(b, (*plain)(r))
}

// UnmarshalJSON takes a text too.
func (u *pmURL) UnmarshalJSON(b []byte) error {
	type plain pmURL
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &u.Raw)
	}
	return json.Unmarshal(b, (*plain)(u))
}

// pmHeaders are a list, or lines of text.
type pmHeaders []pmPair

// UnmarshalJSON takes both.
func (h *pmHeaders) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '"' {
		return json.Unmarshal(b, (*[]pmPair)(h))
	}
	var lines string
	err := json.Unmarshal(b, &lines)
	for line := range strings.Lines(lines) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			v := text(strings.TrimSpace(value))
			*h = append(*h, pmPair{Key: text(strings.TrimSpace(name)), Value: &v})
		}
	}
	return err
}

// pmAuth is how a request proves who sends it: its kind, and the kind's fields.
type pmAuth struct {
	kind   string
	fields map[string]string
}

// UnmarshalJSON takes the fields as a list of pairs (2.1) or as an object (2.0).
func (a *pmAuth) UnmarshalJSON(b []byte) error {
	var kinds map[string]json.RawMessage
	if err := json.Unmarshal(b, &kinds); err != nil {
		return err
	}
	var kind text
	if raw, ok := kinds["type"]; ok {
		if err := json.Unmarshal(raw, &kind); err != nil {
			return err
		}
	}
	a.kind, a.fields = string(kind), map[string]string{}
	raw := kinds[a.kind]
	if len(raw) > 0 && raw[0] == '[' {
		var pairs []pmPair
		if err := json.Unmarshal(raw, &pairs); err != nil {
			return err
		}
		for _, p := range pairs {
			a.fields[string(p.Key)] = p.text()
		}
		return nil
	}
	var object map[string]text
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &object); err != nil {
			return err
		}
	}
	for k, v := range object {
		a.fields[k] = string(v)
	}
	return nil
}

func (p pmPair) text() string {
	if p.Value == nil {
		return ""
	}
	return string(*p.Value)
}

func (v pmVariable) name() string {
	if v.Key != "" {
		return string(v.Key)
	}
	return string(v.ID)
}

// ReadPostman reads a collection, and an environment whose values win over the collection's; env may be nil.
func ReadPostman(r io.Reader, env []byte, o Options) (*Result, error) {
	b, err := whole(r, maxDocument)
	if err != nil {
		return nil, err
	}
	if crowded(b) {
		return nil, &Error{What: fmt.Sprintf("it has more than %d values", maxValuesRead), Do: "split it, or export it without its saved answers"}
	}
	var wrapped struct {
		Collection *json.RawMessage `json:"collection"`
	}
	root := ""
	document := b
	if json.Unmarshal(b, &wrapped) == nil && wrapped.Collection != nil { // as Postman's API answers
		root, document = "collection.", *wrapped.Collection
	}
	var c pmCollection
	if err := decodeJSON(document, &c); err != nil {
		return nil, err
	}
	var e pmEnvironment
	if env != nil {
		if err := decodeJSON(env, &e); err != nil {
			return nil, fmt.Errorf("its environment: %w", err)
		}
		if e.Values == nil {
			return nil, &Error{What: "what --env names is no Postman environment: it has no list of values",
				Do: "export the environment from Postman again"}
		}
	}
	p := &collector{out: &Result{Kind: Postman}, o: o, vault: newVault(), flowNames: names{}, root: root, scripts: map[string]*script{}}
	if p.out.Name = o.Name; o.Name == "" && slug(c.Info.Name) != "" {
		p.out.Name = trafficName(c.Info.Name)
	}
	p.scope = newScope(p, c, e)
	top := inherited{path: root + "item", auth: c.Auth, events: events(root, c.Events, nil), behavior: c.Behavior}
	p.folder(c.Items, top, trafficName(c.Info.Name))
	switch {
	case len(p.out.Flows) == 0:
		return nil, &Error{What: "there are no requests in it", Do: "export the collection again, with its folders"}
	case p.requests > maxRequests:
		return nil, &Error{What: fmt.Sprintf("it has %d requests, and %d are read", p.requests, maxRequests), Do: "split it"}
	}
	if err := p.vault.trouble(); err != nil {
		return nil, err
	}
	p.scope.declare()
	p.base()
	p.out.finish(o, p.vault)
	place(string(b), p.out.Losses)
	return p.out, nil
}

// inherited is what a request inherits from the folders around it.
type inherited struct {
	path     string // of the list of items, in the file
	names    []string
	auth     *pmAuth
	events   []located
	behavior pmBehavior
}

// located is an event with its place.
type located struct {
	pmEvent
	where string
}

func events(path string, list []pmEvent, outer []located) []located {
	out := outer[:len(outer):len(outer)]
	for i, e := range list {
		out = append(out, located{e, path + "event[" + strconv.Itoa(i) + "]"})
	}
	return out
}

// collector makes flows of a collection.
type collector struct {
	out       *Result
	o         Options
	vault     *vault
	scope     *scope
	flowNames names
	root      string
	scripts   map[string]*script
	requests  int // in the collection
}

// folder makes a flow of the requests that stand in a folder itself, and then those of the folders in it.
func (p *collector) folder(items []pmItem, c inherited, fallback string) {
	name := slug(strings.Join(c.names, "-"))
	if name == "" {
		name = fallback
	}
	f := loadgen.Flow{Weight: 1}
	taken := names{}
	for i, item := range items {
		if item.Items != nil || item.Request == nil || item.Disabled {
			continue
		}
		if p.requests++; p.requests > maxRequests {
			continue
		}
		if f.Name == "" {
			f.Name = p.flowNames.unique(name)
			p.scope.begin()
		}
		in := c.of(item, i)
		f.Requests = append(f.Requests, p.request(f.Name, item, in, taken))
	}
	if f.Name != "" {
		p.out.Flows = append(p.out.Flows, f)
	}
	for i, item := range items {
		if item.Items != nil && !item.Disabled {
			in := c.of(item, i)
			in.path += ".item"
			in.names = append(c.names[:len(c.names):len(c.names)], item.Name)
			p.folder(*item.Items, in, "folder")
		}
	}
}

// of returns what holds within an item.
func (c inherited) of(item pmItem, i int) inherited {
	c.path = c.path + "[" + strconv.Itoa(i) + "]"
	c.events = events(c.path+".", item.Events, c.events)
	if item.Auth != nil {
		c.auth = item.Auth
	}
	if item.Request != nil && item.Request.Auth != nil {
		c.auth = item.Request.Auth
	}
	for _, b := range []struct{ inner, outer **bool }{
		{&item.Behavior.FollowRedirects, &c.behavior.FollowRedirects}, {&item.Behavior.StrictSSL, &c.behavior.StrictSSL},
		{&item.Behavior.DisableBodyPruning, &c.behavior.DisableBodyPruning},
	} {
		if *b.inner != nil {
			*b.outer = *b.inner
		}
	}
	if item.Behavior.MaxRedirects != nil {
		c.behavior.MaxRedirects = item.Behavior.MaxRedirects
	}
	return c
}
