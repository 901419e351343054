package shopprometheus_test

import (
	"os"
	"os/exec"
	"testing"
)

// The rules fire for their own fault and for no other: Prometheus' own tool plays them through in simulated time.
func TestRules(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("promtool is missing; it comes with Debian's package prometheus")
		}
		t.Skip("promtool is not installed; it comes with Debian's package prometheus")
	}
	for _, args := range [][]string{
		{"check", "config", "prometheus.yml"},
		{"test", "rules", "rules_test.yml"},
	} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}
