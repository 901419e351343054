package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// deepest is how many folders below the one that was named records are looked for: a folder of runs may hold folders of
// runs that belong together.
const deepest = 3

// Folders returns the records at a path, sorted: the folder itself when it is one, else those in the folders below it.
// What is inside of a record is not looked at. foreign are the folders right below that hold no record at all. Links
// are followed, and hidden folders left out.
func Folders(path string) (records, foreign []string, err error) {
	if isRecord(path) {
		return []string{path}, nil, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, nil, fmt.Errorf("looking for records: %w", err)
	}
	for _, e := range entries {
		below := filepath.Join(path, e.Name())
		if info, err := os.Stat(below); err != nil || !info.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if found := recordsBelow(below, deepest-1); len(found) > 0 {
			records = append(records, found...)
		} else {
			foreign = append(foreign, below)
		}
	}
	slices.Sort(records)
	return records, foreign, nil
}

// recordsBelow returns the records at a folder and so many levels below. What cannot be read holds none.
func recordsBelow(path string, levels int) []string {
	if isRecord(path) {
		return []string{path}
	}
	if levels == 0 {
		return nil
	}
	entries, _ := os.ReadDir(path)
	var out []string
	for _, e := range entries {
		below := filepath.Join(path, e.Name())
		if info, err := os.Stat(below); err == nil && info.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, recordsBelow(below, levels-1)...)
		}
	}
	return out
}

// isRecord reports whether a folder looks like the record of a run.
func isRecord(path string) bool {
	for _, name := range []string{PlanFile, EventsFile, BegunMark, WholeMark} {
		if _, err := os.Stat(filepath.Join(path, name)); err == nil {
			return true
		}
	}
	return false
}

// Find returns the records that are meant by what people write: folders of one record or of several, lists of them with
// commas, and patterns such as "runs/2026-11-*". Each is there once, in the order of first mention.
func Find(args ...string) ([]string, error) {
	var out []string
	for _, arg := range args {
		found, err := find(arg)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if f = filepath.Clean(f); !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out, nil
}

func find(arg string) ([]string, error) {
	if _, err := os.Stat(arg); err == nil {
		records, _, err := Folders(arg)
		if err == nil && len(records) == 0 {
			err = fmt.Errorf("looking for records: %s holds none", arg)
		}
		return records, err
	}
	if strings.Contains(arg, ",") {
		var parts []string
		for part := range strings.SplitSeq(arg, ",") {
			if part = strings.TrimSpace(part); part != "" {
				parts = append(parts, part)
			}
		}
		return Find(parts...)
	}
	matches, err := filepath.Glob(arg)
	if !strings.HasPrefix(filepath.Base(arg), ".") { // as in a shell
		matches = slices.DeleteFunc(matches, func(m string) bool { return strings.HasPrefix(filepath.Base(m), ".") })
	}
	switch {
	case errors.Is(err, filepath.ErrBadPattern):
		return nil, fmt.Errorf("looking for records: %q is not a pattern that can be matched", arg)
	case len(matches) == 0:
		return nil, fmt.Errorf("looking for records: there is no %s", arg)
	}
	slices.Sort(matches)
	var out []string
	for _, m := range matches {
		records, _, err := Folders(m)
		if err == nil {
			out = append(out, records...)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("looking for records: %s holds none", arg)
	}
	return out, nil
}
