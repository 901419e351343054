package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
)

// yamlKey finds the key that says what a YAML document is.
var yamlKey = regexp.MustCompile(`(?m)^["']?(openapi|swagger|asyncapi)["']?\s*:`)

// Detect tells the kind of a file from its content.
func Detect(r io.Reader) (Kind, error) {
	in, err := withoutBOM(r)
	if err != nil {
		return "", err
	}
	head, err := in.Peek(in.Size())
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	text := bytes.TrimLeft(head, " \t\r\n")
	switch {
	case len(text) == 0:
		return "", &Error{What: "there is nothing in it",
			Do: "name a HAR file, a Postman collection or an OpenAPI document"}
	case text[0] == '{':
		return detectJSON(in)
	}
	if m := yamlKey.FindSubmatch(head); m != nil {
		return named(string(m[1]))
	}
	return "", unknownKind
}

var unknownKind = &Error{What: "it is neither a HAR file, nor a Postman collection, nor an OpenAPI document",
	Do: "if it is one after all, say which: --from har, postman or openapi"}

// detectJSON goes by the names at the top. Values are passed over, however large.
func detectJSON(r io.Reader) (Kind, error) {
	d := json.NewDecoder(r)
	if _, err := d.Token(); err != nil {
		return "", unknownKind
	}
	seen := map[string]bool{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			break
		}
		name, _ := key.(string)
		seen[name] = true
		switch name {
		case "log", "collection", "openapi", "swagger", "asyncapi":
			return named(name)
		}
		if seen["info"] && seen["item"] {
			return Postman, nil
		}
		if skip(d) != nil {
			break
		}
	}
	switch {
	case seen["values"] && seen["_postman_variable_scope"]:
		return "", &Error{What: "it is a Postman environment, not a collection",
			Do: "name the collection, and this with --env"}
	case seen["requests"] && seen["order"]:
		return "", &Error{What: "it is a Postman collection of version 1", Do: "export it from Postman as version 2.1"}
	}
	return "", unknownKind
}

// named returns the kind that a name at the top of a file stands for.
func named(key string) (Kind, error) {
	switch key {
	case "log":
		return HAR, nil
	case "collection":
		return Postman, nil
	case "swagger":
		return "", &Error{What: "it is a Swagger 2.0 document, and OpenAPI begins with 3.0",
			Do: "convert it, for example at editor.swagger.io"}
	case "asyncapi":
		return "", &Error{What: "it is an AsyncAPI document, which describes messages and not requests",
			Do: "name an OpenAPI document"}
	default:
		return OpenAPI, nil
	}
}

// skip passes over the next value without holding it.
func skip(d *json.Decoder) error {
	depth := 0
	for {
		t, err := d.Token()
		if err != nil {
			return err
		}
		if delim, ok := t.(json.Delim); ok {
			if delim == '{' || delim == '[' {
				depth++
			} else {
				depth--
			}
		}
		if depth == 0 {
			return nil
		}
	}
}
