// Package page is what the sources of responses share: which alarm a page is about, and whether pages reach real people.
package page

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/tidwall/gjson"

	"gameday/faults"
)

// The two answers to whether a system's pages reach people. One of them must be given, in so many words, for a system that
// can wake somebody.
const (
	RealPages = "real" // people are paged
	DryPages  = "dry"  // the service, team or schedule is one for drills, which pages nobody outside of them
)

// CheckPages checks a block's pages attribute. system is what pages: "PagerDuty".
func CheckPages(system, pages string) error {
	switch pages {
	case RealPages, DryPages:
		return nil
	case "":
		return &faults.FieldError{Field: "pages", Summary: "Real pages, or not",
			Detail: fmt.Sprintf("%s wakes people. Say pages = \"real\" if this game day is to, or pages = \"dry\" if what is named here is for drills alone.", system)}
	}
	return &faults.FieldError{Field: "pages", Summary: "Real pages, or not", Detail: fmt.Sprintf("%q is neither \"real\" nor \"dry\".", pages)}
}

// Labels reads the labels of the alarm behind a page. paths, as of github.com/tidwall/gjson, are looked up in the page's
// JSON first; then texts are searched for the lists of labels that Alertmanager's templates write. A label that only some
// of several alarms in one page have is left out; so is one with several values.
func Labels(json []byte, paths map[string]string, texts ...string) map[string]string {
	out := map[string]string{}
	for _, text := range texts {
		for name, value := range listed(text) {
			out[name] = value
		}
	}
	for name, path := range paths {
		if v := gjson.GetBytes(json, path); v.Exists() && !v.IsObject() && !v.IsArray() && v.Type != gjson.Null {
			out[name] = v.String()
		}
	}
	return out
}

// CheckPaths checks a block's labels attribute.
func CheckPaths(paths map[string]string) error {
	for name, path := range paths {
		if name == "" || path == "" {
			return &faults.FieldError{Field: "labels", Summary: "Empty path",
				Detail: "labels names for each label of the alarm where it is in the page's JSON: labels = { alertname = \"title\" }."}
		}
	}
	return nil
}

// label is a line such as " - alertname = PaymentsDown".
var label = regexp.MustCompile(`^\s*[-*]\s*([a-zA-Z_][a-zA-Z0-9_]*) = (.*?)\s*$`)

// listed reads the labels that every alarm in a text has with one value. Alertmanager's default templates write for each alarm
// "Labels:", a line for each label, "Annotations:", a line for each annotation, and "Source: …".
func listed(text string) map[string]string {
	var all []map[string]string
	var now map[string]string
	for line := range strings.Lines(text) {
		switch word := strings.TrimSpace(line); {
		case word == "Labels:":
			now = map[string]string{}
			all = append(all, now)
		case word == "Annotations:" || strings.HasPrefix(word, "Source:"):
			now = nil
		case now != nil:
			if m := label.FindStringSubmatch(line); m != nil {
				now[m[1]] = m[2]
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	common := all[0]
	for _, other := range all[1:] {
		for name, value := range common {
			if got, ok := other[name]; !ok || got != value {
				delete(common, name)
			}
		}
	}
	return common
}

// About says whether a page with these labels is about one of the alarms that are expected, each by the labels it must have, and
// whether they tell. Without any expected every page with labels is; one without the labels that are looked for may be. An empty
// match wants every page, and makes none of them clearer.
func About(labels map[string]string, expected []map[string]string) (wanted, clear bool) {
	if len(expected) == 0 {
		return true, len(labels) > 0
	}
	clear = true
	for _, match := range expected {
		if len(match) == 0 {
			wanted = true
			continue
		}
		same, all := true, true
		for name, value := range match {
			got, has := labels[name]
			same, all = same && (got == value || !has), all && has
		}
		if same && all {
			return true, true
		}
		clear = clear && !same // what it has is right, and not all of it is there
	}
	return wanted, clear
}
