package page

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// TestTitle leaves a title alone but for addresses and numbers: it is a label that scenarios match.
func TestTitle(t *testing.T) {
	for text, want := range map[string]string{
		"KubePodsOfTheCheckoutDeploymentAreNotReadyForLong": "KubePodsOfTheCheckoutDeploymentAreNotReadyForLong",
		"secret: expired":                "secret: expired",
		"ann@shop.example, 956-821-0372": "[e-mail], [phone]",
	} {
		if got := Title(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestClean(t *testing.T) {
	names := Names{}
	names.Note("P1", "Ann Lee")
	names.Note("P2", "Ann")
	names.Note("P3", "Al") // too short
	names.Note("", "Bob")
	for text, want := range map[string]string{
		"Ann Lee asked Ann":                            "P1 asked P2",
		"Annotations of Ann, and Ann":                  "Annotations of P2, and P2",
		"Also Bob":                                     "Also Bob",
		"mail ann.lee+x@mail.example.org now":          "mail [e-mail] now",
		"call +44 20 7946 0958, or +1234567890":        "call [phone], or [phone]",
		"dial 956-821-0372":                            "dial [phone]",
		"dial (020) 7946 0958":                         "dial [phone]",
		"+1 1234123412,,987654321#":                    "[phone]",
		"at 2026-11-20T14:03:05Z":                      "at 2026-11-20T14:03:05Z",
		"at 14:03, 1200 of 4000 failed, p95 12":        "at 14:03, 1200 of 4000 failed, p95 12",
		"198.18.0.4:8080 is down":                      "198.18.0.4:8080 is down",
		"10.20.30.40 is down since 2026/11/20":         "10.20.30.40 is down since 2026/11/20",
		"build 1a2b3c4d":                               "build 1a2b3c4d",
		"password: hunter22 works":                     "[secret] works",
		"curl -H 'Authorization: Bearer abcd.efgh' it": "curl -H 'Authorization: [secret]' it",
		"join https://x.zoom.us/j/1?pwd=abcd1234":      "join https://x.zoom.us/j/1?…",
		"use AKIAIOSFODNN7EXAMPLE":                     "use [secret]",
	} {
		if got := names.Clean(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := names.Clean(rapid.String().Draw(t, "text") + rapid.StringMatching(`[a-z]{1,5}@[a-z]{1,5}\.org`).Draw(t, "mail") + strings.Repeat("é", rapid.IntRange(0, 2000).Draw(t, "long")))
		if strings.Contains(text, ".org") || len(text) > mostText+3 || !utf8.ValidString(text) && utf8.ValidString(text[:len(text)/2]) {
			t.Errorf("%q", text)
		}
	})
}

func TestLacking(t *testing.T) {
	expected := []map[string]string{{"alertname": "A", "severity": "page"}, {"alertname": "B"}}
	for _, c := range []struct {
		labels map[string]string
		want   string
	}{
		{map[string]string{"alertname": "A", "severity": "page"}, ""},
		{map[string]string{"alertname": "A"}, "severity"},
		{map[string]string{"alertname": "C"}, ""},
		{map[string]string{"alertname": "A", "severity": "chat"}, ""},
		{map[string]string{"severity": "chat"}, "alertname"}, // it may be B
		{map[string]string{"title": "x"}, "alertname"},
	} {
		if got := Lacking(c.labels, expected); got != c.want {
			t.Errorf("%v lacks %q, want %q", c.labels, got, c.want)
		}
	}
	if got := Lacking(nil, nil); got != "" {
		t.Error(got)
	}
}
