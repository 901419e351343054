package main

import (
	"os"
	"testing"

	"gameday/alarms/alertmanager"
	"gameday/alarms/prometheus"
	"gameday/scenarios"
)

func TestKeepSources(t *testing.T) {
	source := func(url string) scenarios.AlarmSource {
		return scenarios.AlarmSource{Config: &prometheus.Config{URL: url}}
	}
	for _, c := range []struct {
		name, have string
		sources    []scenarios.AlarmSource
		want       string
	}{
		{"none", "", nil, ""},
		{"what was asked for stays", "192.0.2.1", nil, "192.0.2.1"},
		{"port", "", []scenarios.AlarmSource{source("http://127.0.0.1:9090")}, "127.0.0.1:9090"},
		{"scheme's port", "10.0.0.0/8", []scenarios.AlarmSource{source("https://192.0.2.7/prom")}, "10.0.0.0/8,192.0.2.7:443"},
		{"two kinds", "", []scenarios.AlarmSource{source("http://[2001:db8::1]:9090"),
			{Config: &alertmanager.Config{URL: "http://127.0.0.1:9093"}}}, "[2001:db8::1]:9090,127.0.0.1:9093"},
		{"no such name", "", []scenarios.AlarmSource{source("http://nobody.invalid:9090")}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(keepVariable, c.have)
			if err := keepSources(t.Context(), c.sources); err != nil {
				t.Fatal(err)
			}
			if got := os.Getenv(keepVariable); got != c.want {
				t.Errorf("%s is %q, want %q", keepVariable, got, c.want)
			}
		})
	}
}
