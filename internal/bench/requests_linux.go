package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/native"
)

const (
	requestUsers = 16 // connections of each generator
	overK6       = 2.5
	overWrk      = 1.5
	// ahead is by how much more than wrk got the native generator is asked for: enough that it is never idle, and not so much that it
	// mostly counts what it cannot send.
	ahead = 1.3
)

// requestScript does in k6 what the others do: one request an iteration, as fast as it can. It keeps no body.
const requestScript = `import http from 'k6/http';
export const options = { scenarios: { s: { executor: 'constant-vus', vus: %d,
	duration: __ENV.DURATION || '1s' } }, discardResponseBodies: true };
export default function () { http.get('http://%s/'); }
`

// sender is a load generator that sends as fast as sixteen connections carry.
type sender struct {
	name string
	run  func(ctx context.Context, length time.Duration) (cost, uint64, error)
	cpu  spread // milliseconds of processor time for 1,000 requests, by round
	rate spread // requests per second
}

// requests compares generators by the processor time that they take for a request: each on one processor, against one server
// on the other, sixteen connections, as fast as they go.
func (b *bench) requests(ctx context.Context) (rows []row, err error) {
	rivals, server, err := b.senders(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	length := b.length(8*time.Second, 3*time.Second)
	for round := range b.rounds {
		order := slices.Clone(rivals)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, r := range order {
			k, n, err := r.run(ctx, length)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
			if n == 0 {
				return nil, fmt.Errorf("%s made no request: %s", r.name, k.output)
			}
			r.cpu = append(r.cpu, float64(k.cpu)/float64(time.Millisecond)/float64(n)*1000)
			r.rate = append(r.rate, float64(n)/length.Seconds())
			b.say("round %d: %-8s %6.2f ms for 1,000 requests, %.0f/s", round+1, r.name, r.cpu[round], r.rate[round])
		}
	}
	own := rivals[0]
	for _, r := range rivals {
		rows = append(rows, row{what: r.name, figure: r.cpu.text(2) + " ms, " + r.rate.text(0) + "/s"})
	}
	for _, r := range rivals[1:] {
		switch r.name {
		case "wrk":
			ratio := ratios(own.cpu, r.cpu)
			rows = append(rows, row{"native / wrk", ratio.text(2), fmt.Sprintf("≤ %.1f", overWrk),
				met(ratio.median(), overWrk)})
		case "k6":
			ratio := ratios(r.cpu, own.cpu)
			rows = append(rows, row{"requests per processor second, native / k6", ratio.text(2), fmt.Sprintf("≥ "+
				"%.1f", overK6), atLeast(ratio.median(), overK6)})
		default:
			ratio := ratios(r.cpu, own.cpu)
			rows = append(rows, row{"requests per processor second, native / " + r.name, ratio.text(2), "≥ 1",
				atLeast(ratio.median(), 1)})
		}
	}
	return rows, nil
}

// senders starts the server and prepares every generator; the native one comes first.
func (b *bench) senders(ctx context.Context) ([]*sender, *helper, error) {
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		return nil, nil, fmt.Errorf("%w; tools/setup installs it", err)
	}
	k6, err := b.buildK6(ctx)
	if err != nil {
		return nil, nil, err
	}
	tools := map[string]string{"hey": "github.com/rakyll/hey", "vegeta": "github.com/tsenart/vegeta/v12"}
	for name, pkg := range tools {
		tools[name] = filepath.Join(b.dir, name)
		c := exec.CommandContext(ctx, "go", "build", "-modfile=tools/go.mod", "-trimpath", "-ldflags", "-s -w",
			"-o", tools[name], pkg)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			return nil, nil, fmt.Errorf("building %s: %w: %s", name, err, out)
		}
	}
	server, err := b.startOn("1", roleServer)
	if err != nil {
		return nil, nil, err
	}
	script := filepath.Join(b.dir, "requests.js")
	if err := os.WriteFile(script, fmt.Appendf(nil, requestScript, requestUsers, server.said), 0o600); err != nil {
		return nil, nil, errors.Join(err, server.stop())
	}
	url, users := "http://"+server.said+"/", strconv.Itoa(requestUsers)
	last := 50_000.0 // what wrk got, requests per second
	all := []*sender{
		{name: "native", run: func(ctx context.Context, d time.Duration) (cost, uint64, error) {
			return b.native(ctx, url, last*ahead, d)
		}},
		{name: "wrk", run: func(ctx context.Context, d time.Duration) (cost, uint64, error) {
			k, n, err := b.counted(ctx, regexp.MustCompile(`(\d+) requests in`), wrk, "-t1", "-c"+users,
				"-d"+strconv.Itoa(int(d.Seconds()))+"s", url)
			last = float64(n) / d.Seconds()
			return k, n, err
		}},
		{name: "hey", run: func(ctx context.Context, d time.Duration) (cost, uint64, error) {
			return b.counted(ctx, regexp.MustCompile(`\[200\]\s+(\d+) responses`), tools["hey"], "-c", users,
				"-z", d.String(), url)
		}},
		{name: "vegeta", run: func(ctx context.Context, d time.Duration) (cost, uint64, error) {
			return b.vegeta(ctx, tools["vegeta"], url, d)
		}},
		{name: "k6", run: func(ctx context.Context, d time.Duration) (cost, uint64, error) {
			return b.plain(ctx, exec.Command("taskset", "-c", "0", k6), script, d)
		}},
	}
	return all, server, nil
}

// counted runs a generator on the first processor, and finds in what it prints how many requests it made.
func (b *bench) counted(ctx context.Context, count *regexp.Regexp, args ...string) (cost, uint64, error) {
	c := exec.Command("taskset", append([]string{"-c", "0"}, args...)...)
	c.Env = plainEnvironment()
	k, err := b.measure(ctx, c)
	if err != nil {
		return k, 0, err
	}
	found := count.FindStringSubmatch(k.output)
	if k.code != 0 || found == nil {
		return k, 0, fmt.Errorf("exit code %d and no count of requests: %s", k.code, k.output)
	}
	n, err := strconv.ParseUint(found[1], 10, 64)
	return k, n, err
}

// vegeta writes its results to a file; counting them is not part of what is measured.
func (b *bench) vegeta(ctx context.Context, program, url string, d time.Duration) (cost, uint64, error) {
	results := filepath.Join(b.dir, "vegeta.bin")
	c := exec.Command("taskset", "-c", "0", program, "attack", "-rate", "0", "-max-workers",
		strconv.Itoa(requestUsers), "-duration", d.String(), "-output", results)
	c.Env, c.Stdin = plainEnvironment(), strings.NewReader("GET "+url+"\n")
	k, err := b.measure(ctx, c)
	if err != nil || k.code != 0 {
		return k, 0, errors.Join(err, fmt.Errorf("vegeta: exit code %d: %s", k.code, k.output))
	}
	out, err := exec.CommandContext(ctx, program, "report", "-type", "json", results).Output()
	if err != nil {
		return k, 0, err
	}
	var report struct {
		Requests uint64 `json:"requests"`
	}
	return k, report.Requests, json.Unmarshal(out, &report)
}

// native runs the native engine in a process of this program, which starts its child as gameday does.
func (b *bench) native(ctx context.Context, url string, rate float64, d time.Duration) (cost, uint64, error) {
	self, err := os.Executable()
	if err != nil {
		return cost{}, 0, err
	}
	c := exec.Command("taskset", "-c", "0", self, url, strconv.FormatFloat(rate, 'f', 0, 64), d.String(), b.dir)
	c.Env = append(plainEnvironment(), roleVariable+"="+roleRequests)
	k, err := b.measure(ctx, c)
	if err != nil {
		return k, 0, err
	}
	var sum loadgen.Window
	if err := json.Unmarshal([]byte(k.output), &sum); err != nil || k.code != 0 {
		return k, 0, fmt.Errorf("the native engine: exit code %d: %s", k.code, k.output)
	}
	if sum.Failed.Count > 0 {
		return k, 0, fmt.Errorf("%d of %d requests failed", sum.Failed.Count, sum.Requests)
	}
	return k, sum.Requests, nil
}

// sendRequests is the role of native: it sends to a URL at a rate for a time, and prints what was counted.
func sendRequests() error {
	args := os.Args[len(os.Args)-4:]
	rate, err := strconv.ParseFloat(args[1], 64)
	if err != nil {
		return err
	}
	length, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	commands := make(chan loadgen.Command)
	spec := loadgen.Spec{Stream: "bench", Rate: rate, MaxVUs: requestUsers, Dir: args[3], Commands: commands,
		Flows: []loadgen.Flow{{Name: "get", Weight: 1, Requests: []loadgen.Request{{Name: "get",
			URL: loadgen.Literal(args[0])}}}},
		Ready: func() { time.AfterFunc(length, func() { close(commands) }) }}
	var sum loadgen.Window
	if err := (&native.Engine{}).Run(context.Background(), spec, func(w loadgen.Window) { sum.Merge(w) }); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(sum)
}
