package k6

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/loadgen"
)

// account is what came of a script, by what ran it and by what the bazaar saw.
type account struct {
	seen       map[string]int
	iterations int
	requests   int // of HTTP and gRPC, and WebSockets opened
	failed     int // of these
	passed     int // checks that held
	unmet      int // checks that did not
	thrown     int
	said       string
}

// runPlainly runs a script under k6 with nothing of ours, and adds up its samples.
func runPlainly(ctx context.Context, b *bazaar, script string) (*account, error) {
	points := filepath.Join(b.dir, "points.json")
	args := []string{"run", "--quiet", "--log-format=json", "--include-system-env-vars=false", "--summary-mode=disabled", "--out", "json=" + points,
		"--secret-source=mock=TOKEN=" + b.env["TOKEN"]}
	for name, value := range b.env {
		args = append(args, "-e", name+"="+value)
	}
	c := exec.CommandContext(ctx, os.Args[0], append(args, script)...)
	c.Env = append(os.Environ(), plainVariable+"=1", "K6_NO_USAGE_REPORT=true", "K6_AUTO_EXTENSION_RESOLUTION=false")
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 99) { // thresholds that did not hold
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	a := &account{seen: b.seen, said: string(out)}
	for line := range bytes.Lines(out) {
		var l struct{ Level, Source, Msg string }
		if json.Unmarshal(line, &l) == nil && l.Level == "error" && (l.Source == "stacktrace" || strings.HasPrefix(l.Msg, "Uncaught")) {
			a.thrown++
		}
	}
	return a, a.add(points)
}

// add adds up k6's samples, but for those of setup and teardown.
func (a *account) add(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var p struct {
			Type, Metric string
			Data         struct {
				Value float64
				Tags  map[string]string
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			return err
		}
		if p.Type != "Point" || strings.HasPrefix(p.Data.Tags["group"], "::setup") || strings.HasPrefix(p.Data.Tags["group"], "::teardown") {
			continue
		}
		count := func(good bool) {
			a.requests++
			if !good {
				a.failed++
			}
		}
		switch p.Metric {
		case "iterations":
			a.iterations++
		case "http_reqs":
			a.requests++
		case "http_req_failed":
			a.failed += int(p.Data.Value)
		case "grpc_req_duration":
			count(p.Data.Tags["status"] == "0")
		case "ws_sessions":
			count(p.Data.Tags["status"] == "101")
		case "checks":
			a.passed += int(p.Data.Value)
			a.unmet += 1 - int(p.Data.Value)
		}
	}
	return lines.Err()
}

// runHere runs a script as traffic: its own executors as they are, or arrivals for a second and a bit.
func runHere(ctx context.Context, b *bazaar, script string, kept bool) (*account, error) {
	commands := make(chan loadgen.Command)
	a := &account{seen: b.seen}
	spec := loadgen.Spec{Stream: "visitors", Script: script, Rate: 20, Grace: 20 * time.Second, Dir: b.dir, Env: b.env, Commands: commands,
		Log: func(level, message string) { a.said += level + ": " + message + "\n" }}
	if kept {
		spec.Rate, spec.KeepExecutors, spec.Factor = 0, true, 1
	} else {
		spec.Ready = func() { time.AfterFunc(1200*time.Millisecond, func() { close(commands) }) }
	}
	var sum loadgen.Window
	err := engine().Run(ctx, spec, func(w loadgen.Window) { sum.Merge(w) })
	if err != nil && !(kept && errors.Is(err, loadgen.ErrEnded)) {
		return nil, fmt.Errorf("%w\n%s", err, a.said)
	}
	a.iterations, a.requests = int(sum.Completed), int(sum.Requests)
	if sum.Requests > 0 {
		a.failed = int(sum.Requests) - int(sum.OK.Count)
	}
	a.passed, a.unmet, a.thrown = int(sum.ChecksPassed), int(sum.ChecksFailed), int(sum.Thrown)
	if sum.Interrupted > 0 {
		return nil, fmt.Errorf("%d iterations were interrupted", sum.Interrupted)
	}
	return a, nil
}

// row returns the account as numbers by name.
func (a *account) row() map[string]int {
	out := map[string]int{"iterations": a.iterations, "requests": a.requests, "failed requests": a.failed,
		"checks that held": a.passed, "checks that did not": a.unmet, "iterations that threw": a.thrown}
	for what, n := range a.seen {
		out["seen "+what] = n
	}
	return out
}

// themes are the scripts of testdata/scripts, each on one of the things that k6's own examples show, and what comes of one
// iteration.
var themes = []struct {
	script                  string
	requests, failed, unmet int
	says                    []string // what is to be said of it, but not under plain k6
	// mixed scripts have several functions: of arrivals each gets its share, to an iteration or two.
	mixed bool
}{
	{script: "auth.js", requests: 5, failed: 1},
	{script: "batch.js", requests: 9, failed: 2},
	{script: "bodies.js", requests: 4},
	{script: "checks.js", requests: 2, unmet: 2},
	{script: "compression.js", requests: 8},
	{script: "cookies.js", requests: 6},
	{script: "crypto.js", requests: 1},
	{script: "execution.js", requests: 1},
	{script: "expected.js", requests: 5, failed: 2},
	{script: "failures.js", requests: 6, failed: 5, says: []string{"Request Failed", "connection refused"}},
	{script: "files.js", requests: 1},
	{script: "forms.js", requests: 8},
	{script: "grpc.js", requests: 5, failed: 1},
	{script: "grpc_streams.js", requests: 4, failed: 1},
	{script: "html.js", requests: 3},
	{script: "http2.js", requests: 2},
	{script: "json.js", requests: 2},
	{script: "kept_cookies.js", requests: 1},
	{script: "logging.js", requests: 1, says: []string{"warning: carpets are low", "error: the door is stuck"}},
	{script: "metrics.js", requests: 1, says: []string{"thresholds (bought, http_req_duration{kind:stall}, waited) are not judged"}},
	{script: "modules.js", requests: 1},
	{script: "network.js", requests: 6, failed: 2},
	{script: "nothing.js", says: []string{"every fourth"}},
	{script: "redirects.js", requests: 8},
	{script: "rps.js", requests: 1, says: []string{"at most 50 requests a second"}},
	{script: "scenarios.js", requests: 1, mixed: true},
	{script: "secrets.js", requests: 2, failed: 1, says: []string{"the word is ***SECRET_REDACTED***", "/?key=***SECRET_REDACTED***", "connection refused"}},
	{script: "setup.js", requests: 1},
	{script: "streams.js", requests: 1},
	{script: "throws.js", mixed: true, says: []string{"Uncaught (in promise)", "it should be closed"}},
	{script: "timers.js", requests: 1},
	{script: "tls.js", requests: 1},
	{script: "typescript.ts", requests: 1},
	{script: "websockets.js", requests: 3, failed: 2},
	{script: "ws.js", requests: 3, failed: 2},
}

// atOnce is how many scripts run at a time: they wait most of it.
const atOnce = 6

// TestScriptsDoAsUnderPlainK6 runs every script three times, plainly, with its own executors and by arrivals, and compares what
// was seen and what was counted: the same numbers for the same iterations.
func TestScriptsDoAsUnderPlainK6(t *testing.T) {
	slots := make(chan struct{}, atOnce)
	ways := []func(context.Context, *bazaar, string) (*account, error){
		runPlainly,
		func(ctx context.Context, b *bazaar, s string) (*account, error) { return runHere(ctx, b, s, true) },
		func(ctx context.Context, b *bazaar, s string) (*account, error) { return runHere(ctx, b, s, false) },
	}
	accounts, errs := make([][3]*account, len(themes)), make([][3]error, len(themes))
	var all sync.WaitGroup
	for i, theme := range themes {
		script, err := filepath.Abs(filepath.Join("testdata", "scripts", theme.script))
		if err != nil {
			t.Fatal(err)
		}
		for n, run := range ways {
			b := openBazaar(t)
			all.Go(func() {
				slots <- struct{}{}
				accounts[i][n], errs[i][n] = run(t.Context(), b, script)
				<-slots
			})
		}
	}
	all.Wait()
	for i, theme := range themes {
		t.Run(theme.script, func(t *testing.T) {
			if err := errors.Join(errs[i][:]...); err != nil {
				t.Fatal(err)
			}
			plain, kept, arrivals := accounts[i][0], accounts[i][1], accounts[i][2]
			if n := plain.iterations; !theme.mixed && (plain.requests != n*theme.requests || plain.failed != n*theme.failed || plain.unmet != n*theme.unmet) {
				t.Errorf("of %d iterations under plain k6 come %d requests, %d failed, and %d checks that did not hold:\n%s",
					n, plain.requests, plain.failed, plain.unmet, plain.said)
			}
			if d := cmp.Diff(plain.row(), kept.row()); d != "" {
				t.Errorf("with its own executors other than under plain k6:\n%s%s", d, kept.said)
			}
			compareArrivals(t, plain, arrivals, theme.mixed)
			for _, want := range theme.says {
				if !strings.Contains(kept.said, want) || !strings.Contains(arrivals.said, want) {
					t.Errorf("nobody says %q:\n%s%s", want, kept.said, arrivals.said)
				}
			}
		})
	}
}

// compareArrivals compares other numbers of iterations: what comes of each must be the same, and what comes once comes once.
func compareArrivals(t *testing.T, plain, arrivals *account, mixed bool) {
	t.Helper()
	p, a := plain.row(), arrivals.row()
	if len(p) != len(a) || arrivals.iterations < 10 {
		t.Errorf("by arrivals %v come of %d iterations", a, arrivals.iterations)
	}
	for what, n := range p {
		want := float64(n) * float64(arrivals.iterations) / float64(plain.iterations)
		if strings.Contains(what, "/setup") || strings.Contains(what, "/teardown") {
			want = float64(n)
		}
		off := 0.0
		if mixed || what == "iterations that threw" {
			off = 2
		}
		if got := float64(a[what]); math.Abs(got-want) > off {
			t.Errorf("%s by arrivals: %g, and as under plain k6 would be %g\n%s", what, got, want, arrivals.said)
		}
	}
}

// TestEveryScriptHasATheme holds the table to the folder, and the scripts to what validate finds in them.
func TestEveryScriptHasATheme(t *testing.T) {
	scripts, err := filepath.Glob("testdata/scripts/*.[jt]s")
	if err != nil || len(scripts) != len(themes) {
		t.Errorf("%d scripts and %d themes: %v", len(scripts), len(themes), err)
	}
	for _, script := range scripts {
		path, err := filepath.Abs(script)
		if err != nil {
			t.Fatal(err)
		}
		if p := (&Engine{}).Check(t.Context(), loadgen.Spec{Script: path}); len(p) > 0 {
			t.Errorf("%s: %+v", script, p)
		}
	}
}
