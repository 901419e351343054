package hook

import (
	"testing"
	"time"
	"unicode/utf8"
)

func TestInstant(t *testing.T) {
	want := time.Date(2026, 11, 20, 14, 3, 5, 0, time.UTC)
	for _, text := range []string{"2026-11-20T14:03:05Z", "2026-11-20T15:03:05+01:00", "1795183385", "1795183385000", "1.795183385e9"} {
		if got, err := Instant(text); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "noon", "12", "-1795183385", "1e99", "NaN", "2026-11-20"} {
		if got, err := Instant(text); err == nil {
			t.Errorf("%s is %v", text, got)
		}
	}
}

func TestWhen(t *testing.T) {
	received := time.Date(2026, 11, 20, 14, 3, 5, 0, time.UTC)
	for text, want := range map[string][2]time.Duration{ // from received
		"2026-11-20T14:03:00Z": {-7 * time.Second, -3 * time.Second},
		"2026-11-20T14:03:04Z": {-3 * time.Second, 0},
		"2026-11-20T14:03:07Z": {0, 0},
	} {
		if got, err := When(text, 2*time.Second, received); err != nil || !got.Lo.Equal(received.Add(want[0])) || !got.Hi.Equal(received.Add(want[1])) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	if got, err := When("2026-11-20T14:04:35Z", 2*time.Second, received); err == nil {
		t.Errorf("90 s ahead: %v", got)
	}
}

// FuzzWhen reads any time: what it understands is not to come.
func FuzzWhen(f *testing.F) {
	f.Add("2026-11-20T14:03:00Z", int64(2e9))
	f.Add("1e11", int64(0))
	f.Fuzz(func(t *testing.T, text string, slack int64) {
		received := time.Unix(1_800_000_000, 0)
		if slack < 0 || slack > int64(24*time.Hour) {
			return
		}
		i, err := When(text, time.Duration(slack), received)
		if err == nil && (i.Hi.After(received) || i.Hi.Before(i.Lo)) {
			t.Errorf("%q: %v", text, i)
		}
		if s := Clip(text, 3); len(text) <= 3 && utf8.ValidString(text) && s != text || !utf8.ValidString(s) {
			t.Errorf("%q is cut to %q", text, s)
		}
	})
}
