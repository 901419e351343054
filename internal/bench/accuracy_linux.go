package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/native"
)

// The servers whose latency is known: all answer after slowBase; the bimodal one every tenth request after slowRare; and the
// one that freezes answers nothing for freezeLength after it was told to. As timers are late by a millisecond or two now and
// then, each server keeps how long it really took for each answer: that is the truth.
const (
	slowBase      = 100 * time.Millisecond
	slowRare      = 400 * time.Millisecond
	freezeLength  = 2 * time.Second
	accuracyRate  = 200
	accuracyUsers = 600
	accuracyLimit = 1.0 // per cent
)

// accuracy compares response times with the truth, which the server knows: for a constant latency, for two, and for a server that
// freezes for two seconds. The last is shown to a closed loop as well, which hides it.
func (b *bench) accuracy(ctx context.Context) (rows []row, err error) {
	length := b.length(20*time.Second, 10*time.Second)
	freezeAt := length / 3
	for _, kind := range []string{"constant", "bimodal", "freeze"} {
		worst := spread{}
		var p99 spread
		for range b.rounds {
			got, truth, err := b.measured(ctx, kind, length, freezeAt)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", kind, err)
			}
			off, at := farthest(got.OK.Response, truth)
			worst = append(worst, off)
			p99 = append(p99, got.OK.Response.Quantile(0.99).Seconds()*1000)
			b.say("%s: the quantile %g is off by %.2f %%, p99 %.0f ms", kind, at, off, p99[len(p99)-1])
		}
		rows = append(rows, row{kind + ": the quantile that is farthest off, per cent", worst.text(2),
			fmt.Sprintf("≤ %.0f", accuracyLimit), met(worst.median(), accuracyLimit)})
		if kind == "freeze" {
			rows = append(rows, row{what: "freeze: p99 of users who arrive 200 a second, ms", figure: p99.text(0)})
		}
	}
	closed, err := b.closedLoop(ctx, length, freezeAt)
	if err != nil {
		return nil, err
	}
	return append(rows, row{what: "freeze: p99 that a closed loop of 20 connections (wrk) reports",
		figure: closed}), nil
}

// measured sends to a server of a kind, and asks it afterwards how long each answer took, in order of length.
func (b *bench) measured(ctx context.Context, kind string, length, freezeAt time.Duration) (sum loadgen.Window,
	truth []time.Duration, err error) {
	server, err := b.start(roleSlow, kind)
	if err != nil {
		return sum, nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	commands := make(chan loadgen.Command)
	spec := loadgen.Spec{Stream: "bench", Rate: accuracyRate, MaxVUs: accuracyUsers, Dir: b.dir,
		Commands: commands, Grace: 10 * time.Second,
		Flows: []loadgen.Flow{{Name: "get", Weight: 1, Requests: []loadgen.Request{{Name: "get",
			URL: loadgen.Literal("http://" + server.said + "/")}}}},
		Ready: func() {
			time.AfterFunc(freezeAt, func() { freeze(server.said) })
			time.AfterFunc(length, func() {
				commands <- loadgen.Command{To: 0} // what is under way is answered
				time.AfterFunc(2*freezeLength, func() { close(commands) })
			})
		}}
	err = (&native.Engine{}).Run(ctx, spec, func(w loadgen.Window) { sum.Merge(w) })
	if err != nil {
		return sum, nil, err
	}
	if truth, err = asked(server.said); err != nil {
		return sum, nil, err
	}
	if n := uint64(len(truth)); sum.Failed.Count > 0 || sum.Dropped > 0 || sum.OK.Count != n || sum.Due != n {
		err = fmt.Errorf("%d due, %d dropped, %d good, %d failed, and the server answered %d", sum.Due, sum.Dropped,
			sum.OK.Count, sum.Failed.Count, n)
	}
	return sum, truth, err
}

// asked asks a server how long each of its answers took.
func asked(address string) (took []time.Duration, err error) {
	r, err := http.Get("http://" + address + "/took")
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&took); err != nil {
		return nil, fmt.Errorf("reading what the server took: %w", err)
	}
	slices.Sort(took)
	return took, nil
}

// farthest returns by how many per cent the worst of the quantiles is off, and which it is.
func farthest(h *loadgen.Histogram, truth []time.Duration) (off, at float64) {
	for _, q := range []float64{0.1, 0.25, 0.5, 0.75, 0.85, 0.93, 0.95, 0.97, 0.99, 0.995} {
		want := truth[min(max(int(math.Round(q*float64(len(truth))))-1, 0), len(truth)-1)]
		if o := math.Abs(float64(h.Quantile(q)-want)) / float64(want) * 100; o > off {
			off, at = o, q
		}
	}
	return off, at
}

// wrkP99 is where wrk says its 99th percentile.
var wrkP99 = regexp.MustCompile(`99%\s+(\S+)`)

// closedLoop sends to the server that freezes as a tool does whose users wait for their answers.
func (b *bench) closedLoop(ctx context.Context, length, freezeAt time.Duration) (p99 string, err error) {
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		return "", fmt.Errorf("%w; tools/setup installs it", err)
	}
	server, err := b.start(roleSlow, "freeze")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	time.AfterFunc(freezeAt, func() { freeze(server.said) })
	out, err := exec.CommandContext(ctx, wrk, "-t1", "-c20", fmt.Sprintf("-d%ds", int(length.Seconds())),
		"--latency", "http://"+server.said+"/").CombinedOutput()
	found := wrkP99.FindSubmatch(out)
	if err != nil || found == nil {
		return "", fmt.Errorf("wrk: %w: %s", err, out)
	}
	return string(found[1]), nil
}

// freeze tells a server to. One that is of another kind, or gone, does not.
func freeze(address string) {
	if r, err := http.Post("http://"+address+"/freeze", "", nil); err == nil {
		r.Body.Close()
	}
}

// serveSlowly is the role of a server whose latency is known; its kind is the last argument.
func serveSlowly() error {
	kind := os.Args[len(os.Args)-1]
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	var count, thaw atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		begun := time.Now()
		switch {
		case r.Method == http.MethodPost:
			thaw.Store(begun.Add(freezeLength).UnixNano())
			return
		case r.URL.Path == "/took":
			mu.Lock()
			defer mu.Unlock()
			_ = json.NewEncoder(w).Encode(took)
			return
		}
		wait := slowBase
		if count.Add(1)%10 == 0 && kind == "bimodal" {
			wait = slowRare
		}
		time.Sleep(wait)
		if kind == "freeze" {
			time.Sleep(time.Until(time.Unix(0, thaw.Load())))
		}
		mu.Lock()
		took = append(took, time.Since(begun))
		mu.Unlock()
		_, _ = io.WriteString(w, "ok")
	})}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		s.Close()
	}()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
