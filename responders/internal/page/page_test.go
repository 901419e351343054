package page

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

const two = `Labels:
 - alertname = PaymentsDown
 - instance = a:80
 - severity = page
Annotations:
 - summary = no payments = no money
Source: http://prometheus.example/graph
Labels:
 - alertname = PaymentsDown
 - instance = b:80
 - severity = page
Annotations:
 - runbook_url = https://runbooks.example/payments
Source: http://prometheus.example/graph
`

func TestLabels(t *testing.T) {
	for name, c := range map[string]struct {
		json  string
		paths map[string]string
		texts []string
		want  map[string]string
	}{
		"nothing":           {`{}`, nil, nil, map[string]string{}},
		"a text":            {`{}`, nil, []string{two}, map[string]string{"alertname": "PaymentsDown", "severity": "page"}},
		"no such text":      {`{}`, nil, []string{"- alertname = X", "Labels: none"}, map[string]string{}},
		"a path":            {`{"title":"Down","n":3}`, map[string]string{"alertname": "title", "n": "n"}, nil, map[string]string{"alertname": "Down", "n": "3"}},
		"a path before all": {`{"title":"Down"}`, map[string]string{"alertname": "title"}, []string{two}, map[string]string{"alertname": "Down", "severity": "page"}},
		"no scalar":         {`{"title":["Down"],"x":null}`, map[string]string{"alertname": "title", "x": "x"}, nil, map[string]string{}},
	} {
		if got := Labels([]byte(c.json), c.paths, c.texts...); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestListed never gives a label that is not in the text of every alarm.
func TestListed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z]{1,3}`)
		value := rapid.StringMatching(`[a-z=\- ]{0,4}[a-z]`)
		sets := rapid.SliceOfN(rapid.MapOfN(name, value, 0, 4), 1, 4).Draw(t, "alarms")
		text := ""
		for _, s := range sets {
			text += "Labels:\n"
			for k, v := range s {
				text += " - " + k + " = " + v + "\n"
			}
			text += "Annotations:\n - a = never\nSource: x\n"
		}
		got := listed(text)
		for _, s := range sets {
			for k := range got {
				if _, ok := s[k]; !ok {
					t.Fatalf("%v has %s, which %v lacks", got, k, s)
				}
			}
		}
	})
}

func TestCheckPages(t *testing.T) {
	for pages, good := range map[string]bool{"real": true, "dry": true, "": false, "yes": false} {
		if err := CheckPages("PagerDuty", pages); (err == nil) != good {
			t.Errorf("%q: %v", pages, err)
		}
	}
}

func TestAbout(t *testing.T) {
	down := map[string]string{"alertname": "Down", "severity": "page"}
	expected := []map[string]string{down, {"alertname": "Slow"}}
	every := append(expected, map[string]string{})
	for name, c := range map[string]struct {
		labels        map[string]string
		expected      []map[string]string
		wanted, clear bool
	}{
		"all are expected":   {map[string]string{"x": "y"}, nil, true, true},
		"without labels":     {nil, nil, true, false},
		"expected":           {map[string]string{"alertname": "Down", "severity": "page", "x": "y"}, expected, true, true},
		"the other":          {map[string]string{"alertname": "Slow"}, expected, true, true},
		"not expected":       {map[string]string{"alertname": "Full", "severity": "page"}, expected, false, true},
		"may be":             {map[string]string{"alertname": "Down"}, expected, false, false},
		"of another sort":    {map[string]string{"alertname": "Down", "severity": "chat"}, expected, false, true},
		"says nothing of it": {map[string]string{"team": "web"}, expected, false, false},
		"every page":         {map[string]string{"alertname": "Full", "severity": "page"}, every, true, true},
		"every, and may be":  {map[string]string{"alertname": "Down"}, every, true, false},
		"every, and without": {nil, every, true, false},
	} {
		if wanted, clear := About(c.labels, c.expected); wanted != c.wanted || clear != c.clear {
			t.Errorf("%s: %v, %v", name, wanted, clear)
		}
	}
}
