package chaosmesh

import (
	"fmt"
	"slices"
	"strings"
)

// mistake is something wrong in a manifest, at a line and column, both from 1. Field is the setting of the fault that is meant, when
// it is not the manifest.
type mistake struct {
	line, column int
	field        string
	summary      string
	detail       string
}

// mistakes are those of one manifest, as an error.
type mistakes []mistake

// Error lists them, a line each.
func (m *mistakes) Error() string {
	lines := make([]string, len(*m))
	for i, one := range *m {
		lines[i] = fmt.Sprintf("line %d, column %d: %s: %s", one.line, one.column, one.summary, one.detail)
	}
	return strings.Join(lines, "\n")
}

// sorted puts them in order of their places, each once.
func (m mistakes) sorted() mistakes {
	slices.SortStableFunc(m, func(a, b mistake) int {
		if a.line != b.line {
			return a.line - b.line
		}
		return a.column - b.column
	})
	return slices.Compact(m)
}

// within puts what is said of lines that a file does not have at its last one.
func (m mistakes) within(lines int) mistakes {
	for i := range m {
		if m[i].line > lines {
			m[i].line, m[i].column = lines, 1
		}
	}
	return m
}

// asError is nil when there are none.
func (m mistakes) asError() error {
	if len(m) == 0 {
		return nil
	}
	m = m.sorted()
	return &m
}
