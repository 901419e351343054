package cluster

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"gameday/faults"
)

// fieldsOf returns the fields of all mistakes in an error, in order.
func fieldsOf(err error) []string {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		var out []string
		for _, e := range joined.Unwrap() {
			out = append(out, fieldsOf(e)...)
		}
		return out
	}
	var field *faults.FieldError
	if errors.As(err, &field) {
		return []string{field.Field}
	}
	return nil
}

// TestValidate says what is wrong with settings, field by field.
func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		config faults.Config
		want   []string
	}{
		"skew":                   {&TimeSkew{Offset: "2h"}, nil},
		"skew back":              {&TimeSkew{Offset: "-10m", Clocks: []string{"CLOCK_MONOTONIC"}}, nil},
		"skew of nothing":        {&TimeSkew{Offset: "0s"}, []string{"offset"}},
		"skew without unit":      {&TimeSkew{Offset: "2"}, []string{"offset"}},
		"skew of a century":      {&TimeSkew{Offset: "-876000h"}, []string{"offset"}},
		"two minus signs":        {&TimeSkew{Offset: "--5s"}, []string{"offset"}},
		"unknown clock":          {&TimeSkew{Offset: "2h", Clocks: []string{"CLOCK_REALTIM", "CLOCK_BOOTTIME", "CLOCK_BOOTTIME"}}, []string{"clocks", "clocks"}},
		"latency":                {&IOLatency{Volume: "/data"}, nil},
		"latency, all":           {&IOLatency{Volume: "/data/", Path: "/data/*.db", Methods: []string{"read"}, Percent: 1, Delay: "100us"}, nil},
		"no volume":              {&IOLatency{}, []string{"volume"}},
		"the whole container":    {&IOError{Volume: "/"}, []string{"volume"}},
		"a relative volume":      {&IOError{Volume: "data"}, []string{"volume"}},
		"a path elsewhere":       {&IOLatency{Volume: "/data", Path: "/database/x"}, []string{"path"}},
		"a path that leads out":  {&IOLatency{Volume: "/data", Path: "/data/../etc"}, []string{"path"}},
		"percent, methods, wait": {&IOLatency{Volume: "/data", Percent: 101, Methods: []string{"reed"}, Delay: "2h"}, []string{"percent", "methods", "delay"}},
		"error":                  {&IOError{Volume: "/data", Error: "ENOSPC"}, nil},
		"unknown error":          {&IOError{Volume: "/data", Error: "ENOSPACE"}, []string{"error"}},
		"manifest":               {&ChaosMesh{Manifest: "a.yaml"}, nil},
		"no manifest":            {&ChaosMesh{}, []string{"manifest"}},
		"a huge manifest":        {&ChaosMesh{Manifest: "a.yaml", Content: strings.Repeat("#", largestManifest+1)}, []string{"manifest"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fieldsOf(c.config.Validate()); !slices.Equal(got, c.want) {
				t.Errorf("mistakes in %v, want %v: %v", got, c.want, c.config.Validate())
			}
		})
	}
	if err := (&IOError{Volume: "/data", Error: "ENOSPACE"}).Validate(); !strings.Contains(err.Error(), `Did you mean "ENOSPC"?`) {
		t.Errorf("it does not say what was meant: %v", err)
	}
}

// TestDefaults says what settings stand for that are not given.
func TestDefaults(t *testing.T) {
	l := &IOLatency{Volume: "/data"}
	if d, err := l.Length(); d != 100*time.Millisecond || err != nil || l.Share() != 100 {
		t.Errorf("an io_latency of %v (%v), %d %%", d, err, l.Share())
	}
	if e := (&IOError{Volume: "/data"}); e.Number() != 5 || e.Share() != 100 {
		t.Errorf("an io_error of %d, %d %%", e.Number(), e.Share())
	}
	if s := (&TimeSkew{Offset: "-1h"}); !slices.Equal(s.ClockNames(), []string{"CLOCK_REALTIME"}) {
		t.Errorf("a time_skew of %v", s.ClockNames())
	}
	if d, err := (&TimeSkew{Offset: "-1h"}).Shift(); d != -time.Hour || err != nil {
		t.Errorf("a time_skew by %v, %v", d, err)
	}
}

// TestPreviews says what plan prints.
func TestPreviews(t *testing.T) {
	for want, c := range map[string]faults.Previewer{
		"CLOCK_REALTIME 1h30m0s behind":                &TimeSkew{Offset: "-90m"},
		"CLOCK_MONOTONIC 24h0m0s ahead":                &TimeSkew{Offset: "24h", Clocks: []string{"CLOCK_MONOTONIC"}},
		"all operations below /data, 100ms longer":     &IOLatency{Volume: "/data"},
		"50 % of read, fsync on /data/*.db, 2s longer": &IOLatency{Volume: "/data", Path: "/data/*.db", Methods: []string{"read", "fsync"}, Percent: 50, Delay: "2s"},
		"write below /data fail with ENOSPC":           &IOError{Volume: "/data", Methods: []string{"write"}, Error: "ENOSPC"},
		"the object in drill.yaml":                     &ChaosMesh{Manifest: "drill.yaml"},
	} {
		if got := c.Preview(faults.Place{}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestElsewhere holds the kinds to saying where they can be injected, and by whom.
func TestElsewhere(t *testing.T) {
	pod := faults.Place{Name: "web", Cluster: &faults.Cluster{Pod: &faults.Pod{Namespace: "shop", Name: "web"}}}
	for _, k := range Kinds() {
		if _, err := k.New().Bind(faults.Place{Name: "box"}); err == nil || !strings.Contains(err.Error(), "Kubernetes cluster") {
			t.Errorf("%s on a machine: %v", k.Name, err)
		}
		if _, err := k.New().Bind(pod); err == nil || !strings.Contains(err.Error(), Program) {
			t.Errorf("%s on a pod, here: %v", k.Name, err)
		}
		if err := k.Revert(t.Context(), faults.Entry{Kind: k.Name}); err == nil || !strings.Contains(err.Error(), Program) {
			t.Errorf("%s reverted here: %v", k.Name, err)
		}
	}
}

// TestManifestTravels reads a manifest's file and carries it in the settings' JSON.
func TestManifestTravels(t *testing.T) {
	m := &ChaosMesh{Manifest: "drill.yaml", CannotRevert: true}
	if err := m.ReadFiles(func(path string) ([]byte, error) { return []byte("kind: of " + path), nil }); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back ChaosMesh
	if err := json.Unmarshal(text, &back); err != nil || back != *m || back.Content != "kind: of drill.yaml" {
		t.Errorf("%s became %+v, %v", text, back, err)
	}
	if k := ChaosMeshKind().For(m); k.Reversible {
		t.Error("a fault that cannot be reverted is Reversible")
	}
	if k := ChaosMeshKind().For(&ChaosMesh{Manifest: "drill.yaml"}); !k.Reversible {
		t.Error("a fault that can be reverted is not Reversible")
	}
	err = (&ChaosMesh{Manifest: "gone.yaml"}).ReadFiles(func(string) ([]byte, error) { return nil, errors.New("no such file") })
	if got := fieldsOf(err); !slices.Equal(got, []string{"manifest"}) || !strings.Contains(err.Error(), "No such file.") {
		t.Errorf("a manifest that cannot be read: %v", err)
	}
}

// TestLabelValue makes labels of what is none.
func TestLabelValue(t *testing.T) {
	for text, want := range map[string]string{"": "", "checkout": "checkout", "ann@laptop": "ann-laptop", "_x.": "x", "Ünder way": "nder-way", "--": "",
		strings.Repeat("a", 62) + "-b": strings.Repeat("a", 62)} {
		if got := LabelValue(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}
