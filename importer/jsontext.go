package importer

import (
	"encoding/json"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// jsonFields finds the texts in a JSON document by the name of the member that holds them, and the numbers whose names say that
// they are secret. What stands behind a break in the document is searched for what looks like a member.
func jsonFields(body string) []field {
	var out []field
	end := walkJSON(body, func(path []string, t json.Token, from, to int) {
		s, isText := t.(string)
		_, isNumber := t.(json.Number)
		if len(path) == 0 || !isNumber && s == "" {
			return
		}
		name := path[len(path)-1]
		for i := len(path) - 1; i > 0 && strings.HasPrefix(name, "["); i-- {
			name = path[i-1]
		}
		switch {
		case isText:
			out = append(out, field{name, from + 1, to - 1})
		case secretNumber(name):
			out = append(out, field{name, from, to})
		}
	})
	for _, f := range matched(looseField, body[end:]) {
		out = append(out, field{f.name, f.from + end, f.to + end})
	}
	return out
}

// looseField is a member of JSON whose value is a text, for documents that are broken: those with comments or variables in them.
var looseField = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"\s*:\s*"((?:[^"\\]|\\.)*)(?:"|$)`)

// maxLevels bounds how deep JSON is followed.
const maxLevels = 1000

// walkJSON calls f for each value of a document, in order: with the names that lead to it ("[3]" in lists), its token, and
// where it stands. For an object or a list that is its opening bracket. It returns how far it came: behind the last whole member.
func walkJSON(text string, f func(path []string, t json.Token, from, to int)) int {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	type level struct {
		list bool
		at   int
		name string
		key  bool // the next token is a name
	}
	var levels []level
	var path []string
	done := 0
	for {
		before := int(d.InputOffset())
		t, err := d.Token()
		if err == io.EOF && len(levels) == 0 {
			return len(text)
		}
		if err != nil || len(levels) > maxLevels {
			return done
		}
		to := int(d.InputOffset())
		from := before + len(text[before:to]) - len(strings.TrimLeft(text[before:to], " \t\r\n,:"))
		if t == json.Delim('}') || t == json.Delim(']') {
			levels = levels[:len(levels)-1]
			if len(path) > 0 {
				path = path[:len(path)-1]
			}
			continue
		}
		if n := len(levels); n > 0 {
			l := &levels[n-1]
			if !l.list && l.key {
				l.name, _ = t.(string)
				l.key = false
				done = from
				continue
			}
			step := l.name
			if l.list {
				step = "[" + strconv.Itoa(l.at) + "]"
			}
			path = append(path, step)
			l.at++
			l.key = true
		}
		f(path, t, from, to)
		done = to
		switch t {
		case json.Delim('{'):
			levels = append(levels, level{key: true})
		case json.Delim('['):
			levels = append(levels, level{list: true})
		default:
			if len(path) > 0 {
				path = path[:len(path)-1]
			}
		}
	}
}

// lines finds the lines of places in a document.
type lines struct {
	breaks []int
}

func newLines(text string) lines {
	var l lines
	for i := range len(text) {
		if text[i] == '\n' {
			l.breaks = append(l.breaks, i)
		}
	}
	return l
}

// at returns the line of an offset, from 1.
func (l lines) at(offset int64) int { return sort.SearchInts(l.breaks, int(offset)) + 1 }

// place fills in the lines of losses by their paths in a JSON document: that of the place itself, or of what it is in.
func place(text string, losses []Loss) {
	wanted := map[string]int{}
	for _, l := range losses {
		for where := l.Where; where != ""; where = outer(where) {
			wanted[where] = 0
		}
	}
	at := newLines(text)
	walkJSON(text, func(path []string, _ json.Token, from, _ int) {
		where := strings.ReplaceAll(strings.Join(path, "."), ".[", "[")
		if _, ok := wanted[where]; ok {
			wanted[where] = at.at(int64(from))
		}
	})
	for i := range losses {
		for where := losses[i].Where; where != "" && losses[i].Line == 0; where = outer(where) {
			losses[i].Line = wanted[where]
		}
	}
}

// outer returns the path of what a place is in.
func outer(where string) string { return where[:max(0, strings.LastIndexAny(where, ".["))] }

// decodeJSON reads a whole document into v.
func decodeJSON(text []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(text)))
	at := newLines(string(text))
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return nil
		}
		if err == nil {
			return &Error{Line: at.at(d.InputOffset()), What: "something follows the end of its JSON",
				Do: "export it again"}
		}
	}
	return jsonError(err, at.at, int64(len(text)))
}
