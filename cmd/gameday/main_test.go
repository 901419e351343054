package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"gopkg.in/yaml.v3"

	"gameday/faults/stress"
	"gameday/internal/promrig"
	"gameday/internal/runrig"
	"gameday/loadgen/native"
	"gameday/targets/lab"
)

var update = flag.Bool("update", false, "rewrite what the scripts compare with")

// TestMain makes the test binary the program: it takes the same roles, and the scripts call it as gameday.
func TestMain(m *testing.M) {
	if stress.IsWorker() {
		stress.RunWorker()
	}
	if native.IsChild() {
		native.RunChild()
	}
	lab.RunRole()
	machineHalt = os.Getenv("TEST_MACHINE_HALT") // never that of the machine the tests run on
	version = os.Getenv("TEST_VERSION")
	if d, err := time.ParseDuration(os.Getenv("TEST_STOP_LIMIT")); err == nil {
		stopLimit = d
	}
	if d, err := time.ParseDuration(os.Getenv("TEST_TELL_PATIENCE")); err == nil {
		tellPatience = d
	}
	if len(os.Args) > 1 && slices.Contains([]string{"guard", "generator", "runner", "--version"}, os.Args[1]) {
		os.Exit(run(os.Args[1:])) // under whatever name: on a host the program has another one
	}
	// Most tests wait for the game days that they run: less than half a processor does for one. With more of them generators are late, beside other
	// packages. Those that measure how swift something is are not parallel, and run before; by make test with no other
	// package beside them. -parallel still counts, for it is read later.
	if err := flag.Set("test.parallel", strconv.Itoa(5*runtime.GOMAXPROCS(0)/2)); err != nil {
		panic(err)
	}
	testscript.Main(withPrograms{m}, map[string]func(){
		"gameday": func() {
			machinePolicy = os.Getenv("TEST_MACHINE_POLICY") // never that of the machine the tests run on
			os.Exit(run(os.Args[1:]))
		},
		"k6":    func() { k6Role(os.Args[1:]) },
		"world": world,
	})
}

// withPrograms runs the tests with gameday-k6 as it is built, in $PATH.
type withPrograms struct{ m *testing.M }

// Run runs the tests.
func (w withPrograms) Run() int {
	dir, err := os.MkdirTemp("", "gameday-programs-")
	if err == nil {
		defer os.RemoveAll(dir)
		programFolder = dir
		if err = build(filepath.Join(dir, "gameday-k6"), "../gameday-k6"); err == nil {
			err = os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return w.m.Run()
}

// programFolder is where gameday-k6 is.
var programFolder string

// builtVersion is that of what build builds.
const builtVersion = "v0.0.0-tests"

// build builds a program as the Makefile does.
func build(path, pkg string) error {
	c := exec.Command("go", "build", "-ldflags", "-s -w -X main.version="+builtVersion, "-o", path, pkg)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// world is the service that the scripts' game days disturb.
func world() {
	listen := flag.String("listen", ":8080", "address, unix:PATH, or fd:N for a socket that whoever started it listens on")
	latency := flag.Duration("latency", 0, "how long an answer takes")
	broken := flag.Bool("broken", false, "answer 500")
	workers := flag.Int("workers", 10_000, "how many requests are answered at once; the others wait")
	flag.Parse()
	busy := make(chan struct{}, *workers)
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		busy <- struct{}{}
		defer func() { <-busy }()
		select {
		case <-time.After(*latency):
		case <-r.Context().Done():
		}
		if *broken {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})}
	network, address := "tcp", *listen
	if path, is := strings.CutPrefix(*listen, "unix:"); is {
		network, address = "unix", path
	}
	l, err := net.Listener(nil), error(nil)
	if fd, is := strings.CutPrefix(*listen, "fd:"); is {
		var n int
		if n, err = strconv.Atoi(fd); err == nil {
			l, err = net.FileListener(os.NewFile(uintptr(n), "listener"))
		}
	} else {
		l, err = net.Listen(network, address)
	}
	if err == nil {
		err = server.Serve(l)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// TestScripts runs every promise of the command line.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, scriptParams(t, testscript.Params{Dir: "testdata"}))
}

// TestMeasuredScripts runs those that measure how much a service takes, one after the other: whatever runs beside them would change it.
func TestMeasuredScripts(t *testing.T) {
	all, err := filepath.Glob("testdata/measured/*.txtar")
	if err != nil || len(all) == 0 {
		t.Fatalf("%d scripts, %v", len(all), err)
	}
	for _, file := range all {
		t.Run("alone", func(t *testing.T) { testscript.Run(t, scriptParams(t, testscript.Params{Files: []string{file}})) })
	}
}

// scriptParams adds to what scripts are run with.
func scriptParams(t *testing.T, p testscript.Params) testscript.Params {
	common, err := filepath.Abs("testdata/common")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	p.UpdateScripts, p.RequireExplicitExec, p.RequireUniqueNames = *update, true, true
	p.Setup = func(e *testscript.Env) error {
		e.Setenv("HOME", e.WorkDir)
		e.Setenv("EXAMPLES", examples)
		e.Setenv("GAMEDAY_LEDGER", filepath.Join(e.WorkDir, "ledger"))
		e.Setenv("CI", os.Getenv("CI"))
		for name, value := range noonAt(time.Now()).variables() {
			e.Setenv(name, value)
		}
		e.Setenv("TEST_MACHINE_POLICY", filepath.Join(e.WorkDir, "machine", "policy.hcl"))
		return os.CopyFS(e.WorkDir, os.DirFS(common))
	}
	p.Condition = func(cond string) (bool, error) {
		switch cond {
		case "lab":
			return canLab(t), nil
		case "systemd":
			_, err := exec.LookPath("systemd-analyze") // the rest of that script holds without
			return err == nil, nil
		case "prometheus":
			return installed(t, "prometheus"), nil
		}
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	p.Cmds = map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "until": until, "accesslog": accessLog, "noon": noonCommand, "records": records, "drills": drills, "receiver": receiverCommand, "step": step,
		"channel": func(ts *testscript.TestScript, _ bool, args []string) { channel(t, ts, args) },
		"kubernetes": func(ts *testscript.TestScript, _ bool, _ []string) {
			ts.Setenv("PATH", clusterProgram(t)+string(os.PathListSeparator)+ts.Getenv("PATH"))
		},
		"scriptless": func(ts *testscript.TestScript, _ bool, _ []string) {
			ts.Setenv("TEST_VERSION", "v9.9.9")
			ts.Setenv("PATH", strings.ReplaceAll(ts.Getenv("PATH"), programFolder+string(os.PathListSeparator), ""))
		},
		"silent":  func(ts *testscript.TestScript, _ bool, args []string) { silent(t, ts, args) },
		"history": func(ts *testscript.TestScript, _ bool, _ []string) { history(t, ts) },
	}
	return p
}

// accessLog writes the log of the hour that ends now, at four requests a second: accesslog access.log.
func accessLog(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: accesslog FILE")
	}
	var b strings.Builder
	for i := range 4 * 3600 {
		request, status := fmt.Sprintf("GET /items/%d HTTP/1.1", i), 200
		if i%4 == 0 {
			request, status = "POST /cart/17/pay?token=abc HTTP/1.1", 503
		}
		at := time.Now().Add(time.Duration(i-4*3600) * time.Second / 4)
		fmt.Fprintf(&b, "10.0.0.7 - - [%s] %q %d 512 \"-\" \"-\"\n", at.Format("02/Jan/2006:15:04:05 -0700"), request, status)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o644))
}

// history starts a Prometheus that remembers ten requests a second for two hours, and puts its address into $PROMETHEUS.
func history(t *testing.T, ts *testscript.TestScript) {
	var b strings.Builder
	b.WriteString("# TYPE http_requests counter\n")
	for i := range 120 {
		fmt.Fprintf(&b, "http_requests_total %d %d\n", 600*i, time.Now().Add(time.Duration(i-119)*time.Minute).Unix())
	}
	b.WriteString("# EOF\n")
	ts.Setenv("PROMETHEUS", promrig.StartPrometheus(t, promrig.Options{History: b.String(), Targets: []string{"127.0.0.1:1"}}).URL)
}

// clusterProgram builds gameday-kubernetes and returns its folder.
func clusterProgram(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir+"/", "../gameday-kubernetes").CombinedOutput(); err != nil {
		t.Fatalf("building gameday-kubernetes: %v\n%s", err, out)
	}
	return dir
}

// silent writes a kubeconfig of a server that takes connections and never says a word: silent FILE.
func silent(t *testing.T, ts *testscript.TestScript, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: silent FILE")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	t.Cleanup(func() { l.Close() })
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: stage\nclusters: [{name: c, cluster: {server: \"http://%s\"}}]\n"+
		"users: [{name: u, user: {token: token-of-nobody}}]\ncontexts: [{name: stage, context: {cluster: c, user: u}}]\n", l.Addr())
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// canLab reports whether labs work here. In CI they must.
func canLab(t *testing.T) bool {
	err := lab.Possible()
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("CI needs labs: %v", err)
	}
	return err == nil
}

// installed reports whether a program is here. In CI it must be.
func installed(t *testing.T, program string) bool {
	_, err := exec.LookPath(program)
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("CI needs %s: %v", program, err)
	}
	return err == nil
}

// exits runs a command and compares its exit code: exits 3 gameday run day.hcl.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// records makes records of runs that never took place: records DIR N SLOW [SEED]. They are called DIR/1 to DIR/N, and their
// requests take SLOW times as long as usual.
func records(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: records DIR N SLOW [SEED]")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	slow, err := strconv.ParseFloat(args[2], 64)
	ts.Check(err)
	seed := uint64(1)
	if len(args) == 4 {
		seed, err = strconv.ParseUint(args[3], 10, 64)
		ts.Check(err)
	}
	w := runrig.New(seed)
	w.Baseline, w.Load, w.Recovery, w.Outliers = 2, 20, 2, 0
	for i := range n {
		name := strconv.Itoa(i + 1)
		began := time.Date(2026, 11, 20, 9+i, int(seed), 0, 0, time.UTC)
		rec := w.Run(fmt.Sprintf("%s-%s-%d", filepath.Base(args[0]), name, seed), began, w.Chance(0)*slow)
		ts.Check(runrig.Write(filepath.Join(ts.MkAbs(args[0]), name), rec))
	}
}

// step takes a shell step out of a CI file, as that system would run it: step FILE NAME SCRIPT. NAME is a step's name at GitHub,
// and script or before_script at GitLab, whose lines are one script. A step that is no shell, or does not parse, is a failure.
func step(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: step FILE NAME SCRIPT")
	}
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	var file map[string]yaml.Node
	ts.Check(yaml.Unmarshal(b, &file))
	text := ""
	if jobs, ok := file["jobs"]; ok {
		var all map[string]struct {
			Steps []struct{ Name, Run, Uses string }
		}
		ts.Check(jobs.Decode(&all))
		for _, job := range all {
			for _, s := range job.Steps {
				if s.Name == args[1] {
					text = "set -eo pipefail\n" + s.Run
				}
				if s.Run == "" && s.Uses == "" {
					ts.Fatalf("step %q does nothing", s.Name)
				}
			}
		}
	} else {
		for _, node := range file {
			var job map[string]any
			if node.Decode(&job) == nil {
				if lines, ok := job[args[1]].([]any); ok {
					for _, l := range lines {
						text += fmt.Sprintln(l)
					}
				}
			}
		}
	}
	if text == "" {
		ts.Fatalf("%s has no step %q", args[0], args[1])
	}
	script := ts.MkAbs(args[2])
	ts.Check(os.WriteFile(script, []byte(text), 0o644))
	ts.Check(ts.Exec("bash", "-n", script))
}

// until waits for a file to hold a pattern, or for one of those that a pattern of files matches: until runs/x/record.jsonl '"injected"'.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: until FILE PATTERN")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	deadline := time.After(60 * time.Second)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		files, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		for _, file := range files {
			if b, err := os.ReadFile(file); err == nil && pattern.Match(b) {
				return
			}
		}
		select {
		case <-poll.C:
		case <-deadline:
			ts.Fatalf("%s does not hold %s after a minute", args[0], args[1])
		}
	}
}
