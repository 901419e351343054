package near

import "testing"

func TestName(t *testing.T) {
	names := []string{"PaymentsDown", "LedgerDown", "HighLatency"}
	for want, guess := range map[string]string{"PaymentDown": "PaymentsDown", "paymentsdown": "PaymentsDown",
		"LegderDown": "LedgerDown",
		"Disk":       "", "": "", "HighLatencies": "HighLatency"} {
		if got := Name(want, names); got != guess {
			t.Errorf("%q: %q, want %q", want, got, guess)
		}
	}
}
