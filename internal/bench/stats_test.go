package main

import (
	"math"
	"testing"
)

func TestSpread(t *testing.T) {
	tests := []struct {
		name          string
		of            spread
		median, p99   float64
		text, verdict string // verdict of the median against 2
	}{
		{name: "one", of: spread{1.5}, median: 1.5, p99: 1.5, text: "1.50", verdict: "met"},
		{name: "odd", of: spread{3, 1, 2}, median: 2, p99: 3, text: "2.00 [1.00–3.00]", verdict: "met"},
		{name: "even", of: spread{4, 1, 2, 3}, median: 2.5, p99: 4, text: "2.50 [1.00–4.00]", verdict: "MISSED"},
		{name: "none", of: nil, median: math.NaN(), p99: math.NaN(), text: "–", verdict: "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.of.median(); got != tt.median && !(math.IsNaN(got) && math.IsNaN(tt.median)) {
				t.Errorf("median %v, want %v", got, tt.median)
			}
			if got := tt.of.quantile(0.99); got != tt.p99 && !(math.IsNaN(got) && math.IsNaN(tt.p99)) {
				t.Errorf("p99 %v, want %v", got, tt.p99)
			}
			if got := tt.of.text(2); got != tt.text {
				t.Errorf("text %q, want %q", got, tt.text)
			}
			if got := met(tt.of.median(), 2); got != tt.verdict {
				t.Errorf("verdict %q, want %q", got, tt.verdict)
			}
		})
	}
}

func TestQuantileOfMany(t *testing.T) {
	var s spread
	for i := 200; i > 0; i-- {
		s = append(s, float64(i))
	}
	if got := s.quantile(0.99); got != 198 {
		t.Errorf("the 99th percentile of 1 to 200 is %v, want 198", got)
	}
	if s[0] != 200 {
		t.Error("the series was sorted in place: rounds no longer match")
	}
}

func TestRatiosPairRounds(t *testing.T) {
	got := ratios(spread{2, 30, 5}, spread{1, 10})
	if len(got) != 2 || got[0] != 2 || got[1] != 3 {
		t.Errorf("ratios %v, want 2 and 3", got)
	}
}

func TestAtLeast(t *testing.T) {
	for value, want := range map[float64]string{4.99: "MISSED", 5: "met", 6: "met"} {
		if got := atLeast(value, 5); got != want {
			t.Errorf("%v: %s, want %s", value, got, want)
		}
	}
	if got := atLeast(math.NaN(), 5); got != "unknown" {
		t.Errorf("no value: %s", got)
	}
}
