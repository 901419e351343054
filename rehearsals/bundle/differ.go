package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// mostDiffs bounds how many differences are told of one file.
const mostDiffs = 10

// diff is one place in which two documents differ.
type diff struct{ place, text string }

// differ says where a document in the bundle differs from what was derived: by JSON path when both are JSON, else by the first line.
func differ(kept, derived []byte) []diff {
	if bytes.Equal(kept, derived) {
		return nil
	}
	a, aErr := number(kept)
	b, bErr := number(derived)
	if aErr == nil && bErr == nil {
		w := &walker{}
		w.walk("$", a, b)
		if w.more > 0 {
			w.out = append(w.out, diff{"", fmt.Sprintf("and %d more differences", w.more)})
		}
		if len(w.out) > 0 {
			return w.out
		}
	}
	return []diff{byLine(kept, derived)}
}

func number(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return v, nil
}

type walker struct {
	out  []diff
	more int
}

func (w *walker) add(path, text string, args ...any) {
	if len(w.out) == mostDiffs {
		w.more++
		return
	}
	w.out = append(w.out, diff{path, fmt.Sprintf(text, args...)})
}

func (w *walker) walk(path string, kept, derived any) {
	switch k := kept.(type) {
	case map[string]any:
		d, ok := derived.(map[string]any)
		if !ok {
			break
		}
		for _, name := range slices.Sorted(maps.Keys(k)) {
			if v, ok := d[name]; ok {
				w.walk(step(path, name), k[name], v)
			} else {
				w.add(step(path, name), "it is %s in the bundle, and is not there by the record", value(k[name]))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(d)) {
			if _, ok := k[name]; !ok {
				w.add(step(path, name), "it is not in the bundle, and is %s by the record", value(d[name]))
			}
		}
		return
	case []any:
		d, ok := derived.([]any)
		if !ok {
			break
		}
		for i := range min(len(k), len(d)) {
			w.walk(path+"["+strconv.Itoa(i)+"]", k[i], d[i])
		}
		if len(k) != len(d) {
			w.add(path, "it has %d elements in the bundle, and %d by the record", len(k), len(d))
		}
		return
	}
	if !same(kept, derived) {
		w.add(path, "it is %s in the bundle, and %s by the record", value(kept), value(derived))
	}
}

func same(a, b any) bool {
	switch a.(type) {
	case map[string]any, []any:
		return false // of another kind, for else they were walked
	}
	switch b.(type) {
	case map[string]any, []any:
		return false
	}
	return a == b
}

func step(path, name string) string {
	plain := name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
	if plain {
		return path + "." + name
	}
	return path + "[" + strconv.Quote(name) + "]"
}

func value(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "something"
	}
	return shorten(string(b))
}

// byLine returns the first line in which two texts differ.
func byLine(kept, derived []byte) diff {
	n := 0
	for n < min(len(kept), len(derived)) && kept[n] == derived[n] {
		n++
	}
	l := 1 + bytes.Count(kept[:n], []byte("\n"))
	if len(kept) != len(derived) && n == min(len(kept), len(derived)) {
		return diff{fmt.Sprintf("line %d", l), fmt.Sprintf("it has %d bytes in the bundle, and %d by the record", len(kept), len(derived))}
	}
	return diff{fmt.Sprintf("line %d", l), fmt.Sprintf("it has %q in the bundle, and %q by the record", lineAt(kept, n), lineAt(derived, n))}
}

// lineAt returns some of the line around a byte.
func lineAt(b []byte, at int) string {
	from := max(bytes.LastIndexByte(b[:at], '\n')+1, at-30)
	to := min(len(b), at+30)
	if end := bytes.IndexByte(b[at:to], '\n'); end >= 0 {
		to = at + end
	}
	return string(b[from:to])
}
