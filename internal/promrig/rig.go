// Package promrig runs a real Prometheus and a real Alertmanager for tests: plain processes on 127.0.0.1 with ports
// of their own, in the test's own folder, ended with the test.
package promrig

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/clock"
	"gameday/internal/bound"
	"gameday/internal/portrig"
)

// ready is how long a program may take until it answers.
const ready = 20 * time.Second

// look finds a program under one of its names. Without it the test is skipped, and fails where CI is set.
func look(t testing.TB, names ...string) string {
	t.Helper()
	for _, n := range names {
		if path, err := exec.LookPath(n); err == nil {
			return path
		}
	}
	why := fmt.Sprintf("needs the program %s (Debian packages prometheus and prometheus-alertmanager)", names[0])
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
	return ""
}

// Program is one of the Prometheus programs that tests run. The zero value is Packaged.
type Program int

// The programs.
const (
	Packaged Program = iota // the one that is installed, from a package of the system
	Current                 // the newest one that is known to work, built by tools/setup
)

// String names a program for a subtest.
func (p Program) String() string { return [...]string{"packaged", "current"}[p] }

// Each runs a test with every program, all of them at the same time.
func Each(t *testing.T, test func(t *testing.T, p Program)) {
	for _, p := range []Program{Packaged, Current} {
		t.Run(p.String(), func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

// find returns where a program is. Without it the test is skipped, and fails where CI is set.
func (p Program) find(t testing.TB) string {
	t.Helper()
	if p == Packaged {
		return look(t, "prometheus")
	}
	cache := os.Getenv("GAMEDAY_PROMETHEUS")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(dir, "gameday", "prometheus")
	}
	path := filepath.Join(cache, currentVersion(t), "prometheus")
	if _, err := os.Stat(path); err != nil {
		why := "needs " + path + ": run tools/setup, which builds it"
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	return path
}

// currentVersion returns the version of Prometheus that tools/prometheus/go.mod asks for.
func currentVersion(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "tools", "prometheus", "go.mod"))
		if err == nil {
			for line := range strings.Lines(string(text)) {
				f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
				if len(f) >= 2 && f[0] == "github.com/prometheus/prometheus" {
					return f[1]
				}
			}
			t.Fatalf("%s asks for no Prometheus", filepath.Join(dir, "tools", "prometheus", "go.mod"))
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("tools/prometheus/go.mod is in no folder above this one")
		}
		dir = filepath.Dir(dir)
	}
}

// process is a program that can be stopped, started again and frozen.
type process struct {
	t    testing.TB
	path string
	args []string
	log  string
	url  string
	cmd  *exec.Cmd
}

// Start starts the program and waits until it answers. The test ends it.
func (p *process) Start() {
	p.t.Helper()
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	p.cmd = exec.Command(p.path, p.args...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Dir = filepath.Dir(p.log)
	// A test that is killed must not leave a server behind.
	if err := bound.Start(p.cmd, syscall.SIGKILL); err != nil {
		p.t.Fatal(err)
	}
	Eventually(p.t, ready, p.path+" answers", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/-/ready", nil)
		if err != nil {
			return false
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// Stop ends the program, by asking and then by force, and waits for it.
func (p *process) Stop() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	force := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer force.Stop()
	_ = p.cmd.Wait()
	p.cmd = nil
}

// Freeze stops the program's work without ending it: connections are accepted, nothing is answered.
func (p *process) Freeze() { p.signal(syscall.SIGSTOP) }

// Thaw lets a frozen program go on.
func (p *process) Thaw() { p.signal(syscall.SIGCONT) }

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// Prometheus is a running Prometheus that scrapes and evaluates once a second.
type Prometheus struct {
	process
	URL string
}

// interval is that of its scrapes, and that of its evaluations.
const interval = time.Second

// Options of a Prometheus.
type Options struct {
	Program      Program
	Rules        string   // the rules of one group, as YAML, from "- alert:" on
	Targets      []string // addresses to scrape, host:port
	Alertmanager string   // URL; empty for none
	History      string   // samples of the past, as OpenMetrics; empty for none
	Receiver     bool     // it takes what is sent by remote write, and the current one by OTLP as well
}

// historyKept is how far back a Prometheus that is given a history remembers.
const historyKept = "400d"

// StartPrometheus starts a Prometheus.
func StartPrometheus(t testing.TB, o Options) *Prometheus {
	t.Helper()
	path, dir := o.Program.find(t), t.TempDir()
	config := "global:\n  scrape_interval: 1s\n  scrape_timeout: 900ms\n  evaluation_interval: 1s\n" +
		"rule_files: [rules.yml]\n"
	if o.Alertmanager != "" {
		config += fmt.Sprintf("alerting:\n  alertmanagers:\n  - static_configs:\n    - targets: [%q]\n",
			strings.TrimPrefix(o.Alertmanager, "http://"))
	}
	config += "scrape_configs:\n- job_name: app\n  static_configs:\n  - targets: [\"" + strings.Join(o.Targets, `", "`) +
		"\"]\n"
	write(t, filepath.Join(dir, "prometheus.yml"), config)
	write(t, filepath.Join(dir, "rules.yml"), "groups:\n- name: rig\n  interval: 1s\n  rules:\n"+indent(o.Rules))
	address := portrig.Address(t)
	p := &Prometheus{URL: "http://" + address, process: process{t: t, path: path, log: filepath.Join(dir, "log"),
		url: "http://" + address,
		args: []string{"--config.file=" + filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path=" + filepath.Join(dir,
			"data"),
			"--web.listen-address=" + address, "--log.level=warn"}}}
	if o.History != "" {
		backfill(t, dir, o.History)
		p.args = append(p.args, "--storage.tsdb.retention.time="+historyKept)
	}
	if o.Receiver {
		p.args = append(p.args, "--web.enable-remote-write-receiver")
		if o.Program == Current { // the package's knows no OTLP
			p.args = append(p.args, "--web.enable-otlp-receiver")
		}
	}
	t.Cleanup(p.Stop)
	p.Start()
	return p
}

// Late counts the evaluations of its rules that a Prometheus leaves out from now on, because it is late. It returns what tells how much later than
// due an alarm may have come by then for their sake: one that is due in such an evaluation comes a whole interval later.
func (p *Prometheus) Late() func() time.Duration {
	p.t.Helper()
	before := p.missed()
	return func() time.Duration {
		p.t.Helper()
		return time.Duration(p.missed()-before) * interval
	}
}

// Proven reports whether a Prometheus that was late by so much has said with that why nothing is known of it in these stretches: it stood still. It
// did so from at most an interval after each of them began, and of the evaluations that fell into the rest it made up for two at most.
func Proven(holes []clock.Span, late time.Duration) bool {
	for _, h := range holes {
		late -= max(interval, h.Length()-3*interval)
	}
	return late >= 0
}

// missed returns how many evaluations of its rules it has left out since it was started, because it was late.
func (p *Prometheus) missed() int {
	p.t.Helper()
	response, err := http.Get(p.URL + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "prometheus_rule_group_iterations_missed_total{"); ok {
			_, value, _ := strings.Cut(rest, "} ")
			n, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil {
				p.t.Fatalf("%s: %v", line, err)
			}
			return n // there is one group
		}
	}
	p.t.Fatal("it does not say how many evaluations it missed")
	return 0
}

// backfill writes samples of the past where a Prometheus that is not running yet finds them.
func backfill(t testing.TB, dir, samples string) {
	t.Helper()
	path := filepath.Join(dir, "history.om")
	write(t, path, samples)
	tool := exec.Command(look(t, "promtool"), "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=400h", "--quiet", path, filepath.Join(dir, "data"))
	if out, err := tool.CombinedOutput(); err != nil {
		t.Fatalf("promtool: %v\n%s", err, out)
	}
}

// Alertmanager is a running Alertmanager with one receiver that waits next to nothing.
type Alertmanager struct {
	process
	URL string
}

// StartAlertmanager starts an Alertmanager that posts to a webhook. more are further parts of its configuration, such as
// inhibit_rules, as YAML.
func StartAlertmanager(t testing.TB, webhook string, more ...string) *Alertmanager {
	t.Helper()
	path, dir := look(t, "prometheus-alertmanager", "alertmanager"), t.TempDir()
	write(t, filepath.Join(dir, "alertmanager.yml"), fmt.Sprintf("route:\n  receiver: desk\n  group_by: [alertname]\n"+
		"  group_wait: 1s\n  group_interval: 1s\n  repeat_interval: 1h\nreceivers:\n- name: desk\n  webhook_configs:\n"+
		"  - url: %q\n    send_resolved: true\n", webhook)+strings.Join(more, ""))
	address := portrig.Address(t)
	a := &Alertmanager{URL: "http://" + address, process: process{t: t, path: path, log: filepath.Join(dir, "log"),
		url: "http://" + address,
		args: []string{"--config.file=" + filepath.Join(dir, "alertmanager.yml"), "--storage.path=" + filepath.Join(dir,
			"data"),
			"--web.listen-address=" + address, "--cluster.listen-address=", "--log.level=warn"}}}
	t.Cleanup(a.Stop)
	a.Start()
	return a
}

// Eventually asks until the answer is yes, at most for the limit.
func Eventually(t testing.TB, limit time.Duration, what string, yes func() bool) {
	t.Helper()
	ticker, timer := time.NewTicker(50*time.Millisecond), time.NewTimer(limit)
	defer ticker.Stop()
	defer timer.Stop()
	for {
		if yes() {
			return
		}
		select {
		case <-ticker.C:
		case <-timer.C:
			t.Fatalf("waited %s in vain until %s", limit, what)
		}
	}
}

// write writes a file.
func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// indent puts rules where a group's rules stand.
func indent(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return "  " + strings.Join(lines, "\n  ") + "\n"
}
