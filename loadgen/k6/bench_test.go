package k6

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"go.k6.io/k6/v2/cmd"

	"gameday/loadgen"
)

const plainVariable = "GAMEDAY_TEST_PLAIN_K6"

// actAsPlain makes this process k6 with nothing of ours.
func actAsPlain() { cmd.Execute() }

// BenchmarkOverhead compares the processor time of whole processes, for 1,000 iterations of the same script at the same
// rate: ours, archiving included, and plain k6 with constant-arrival-rate and its defaults. Rounds are interleaved, so
// that other work on the machine meets both. It reports the medians and the median of the rounds' ratios; run it with
// -benchtime=1x.
func BenchmarkOverhead(b *testing.B) {
	const rate, length, users, rounds = 1000, 6 * time.Second, 100, 7
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok")
	}))
	defer server.Close()
	script := func(options string) string {
		path := b.TempDir() + "/s.js"
		text := fmt.Sprintf(`import http from 'k6/http';
import { check } from 'k6';
%s
export default function () { check(http.get('%s/'), { ok: (r) => r.status === 200 }); }
`, options, server.URL)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		return path
	}
	ours := script("")
	plain := script(fmt.Sprintf(`export const options = { scenarios: { s: { executor: 'constant-arrival-rate', rate: %d,
  duration: '%s', preAllocatedVUs: %d } } };`, rate, length, users))
	for b.Loop() {
		var a, c, ratios []float64
		for range rounds {
			x, y := runOurs(b, ours, rate, users, length), runPlain(b, plain, rate, length)
			a, c, ratios = append(a, x), append(c, y), append(ratios, x/y)
			b.Logf("ours %.1f ms, plain k6 %.1f ms of processor time for 1,000 iterations: %.3f", x, y, x/y)
		}
		b.ReportMetric(median(a), "ours-ms/1k")
		b.ReportMetric(median(c), "k6-ms/1k")
		b.ReportMetric(median(ratios), "ratio")
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// childrenTime returns the processor time of all children that have ended.
func childrenTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func runOurs(b *testing.B, script string, rate float64, users int, length time.Duration) float64 {
	before := childrenTime(b)
	commands := make(chan loadgen.Command)
	var started uint64
	spec := loadgen.Spec{
		Script: script, Rate: rate, MaxVUs: users, Dir: b.TempDir(), Commands: commands,
		Ready: func() { time.AfterFunc(length, func() { close(commands) }) },
	}
	err := engine().Run(b.Context(), spec, func(w loadgen.Window) { started += w.Completed })
	if err != nil {
		b.Fatal(err)
	}
	if want := rate * length.Seconds(); float64(started) < 0.97*want {
		b.Fatalf("only %d of %.0f iterations", started, want)
	}
	return (childrenTime(b) - before).Seconds() * 1000 / (float64(started) / 1000)
}

func runPlain(b *testing.B, script string, rate float64, length time.Duration) float64 {
	before := childrenTime(b)
	c := exec.CommandContext(b.Context(), os.Args[0], "run", "--quiet", script)
	c.Env = append(os.Environ(), plainVariable+"=1", "K6_NO_USAGE_REPORT=true", "K6_AUTO_EXTENSION_RESOLUTION=false")
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return (childrenTime(b) - before).Seconds() * 1000 / (rate * length.Seconds() / 1000)
}
