package collector

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/remote"
)

const version = "test"

// rig is a stream that runners send, in a bubble.
type rig struct {
	t        *testing.T
	wire     *wire
	c        *Collector
	stream   *Stream
	commands chan loadgen.Command
	ready    chan struct{}
	result   chan error

	mu      sync.Mutex
	windows []loadgen.Window
	said    []string
	runners sync.WaitGroup
}

func newRig(t *testing.T, segments int) *rig {
	t.Helper()
	r := &rig{t: t, wire: newWire(), commands: make(chan loadgen.Command, 4), ready: make(chan struct{}), result: make(chan error, 1)}
	var err error
	if r.c, err = serve(r.wire, version, r.log); err != nil {
		t.Fatal(err)
	}
	if r.stream, err = r.c.Stream("shoppers", segments, time.Minute); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) log(level, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, level+": "+text)
}

func (r *rig) words() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.said, "\n")
}

// begin sends the stream, at 30 a second for each runner.
func (r *rig) begin() {
	spec := loadgen.Spec{Stream: "shoppers", Rate: float64(30 * len(r.stream.segments)), Dir: r.t.TempDir(), Commands: r.commands,
		Ready: func() { close(r.ready) }, Log: r.log, RunOn: &loadgen.RunOn{Kind: loadgen.Jobs}}
	f := loadgen.Fleet{Generator: &clockwork{}, Muster: func(context.Context, loadgen.Spec) ([]loadgen.Runner, func(), error) {
		return r.stream.Runners(), r.stream.Close, nil
	}}
	go func() {
		r.result <- f.Run(context.Background(), spec, func(w loadgen.Window) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.windows = append(r.windows, w)
		})
	}()
}

// runner is one at work.
type runner struct {
	*Runner
	engine clockwork
	conn   *hanging
	ended  chan error
	cancel context.CancelFunc
}

func (r *rig) runner(i int) *runner {
	n := &runner{ended: make(chan error, 1)}
	n.Runner = &Runner{Collector: "collector:1", Token: r.stream.Token(), Segment: loadgen.Segment{Index: i, Of: len(r.stream.segments)},
		Who: fmt.Sprintf("pod-%d", i+1), Version: version, Patience: 20 * time.Second}
	n.dialer = func(ctx context.Context) (net.Conn, error) {
		c, err := r.wire.dial(ctx)
		if err == nil {
			n.conn = hang(c)
			return n.conn, nil
		}
		return nil, err
	}
	return n
}

func (n *runner) start(r *rig) *runner {
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	r.runners.Go(func() { n.ended <- n.Run(ctx, &n.engine) })
	return n
}

func (r *rig) close() {
	if err := r.c.Close(); err != nil {
		r.t.Error(err)
	}
	r.runners.Wait()
}

// TestRunnersSendAStream checks that three runners send what one would, and stop when they are told to.
func TestRunnersSendAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 3)
		r.begin()
		var all []*runner
		for i := range 3 {
			all = append(all, r.runner(i).start(r))
			time.Sleep(2 * time.Second) // they need not come together
		}
		<-r.ready
		time.Sleep(5*time.Second + 100*time.Millisecond)
		r.commands <- loadgen.Command{Stop: true}
		if err := <-r.result; err != nil {
			t.Fatal(err)
		}
		for _, n := range all {
			if err := <-n.ended; err != nil || !n.engine.stopped {
				t.Errorf("runner %s ended with %v, told to stop: %t", n.Who, err, n.engine.stopped)
			}
		}
		for i, w := range r.windows[:4] {
			if w.Due != 90 || w.OK.Count != 90 || w.OK.Response.Count() != 90 || w.Missing != nil || len(w.Generators) != 3 {
				t.Errorf("second %d: %+v", i, w)
			}
		}
		if len(r.said) > 0 {
			t.Errorf("it says %q", r.said)
		}
		r.close()
	})
}

// TestRunnerLost checks, of a runner that is killed and of one that is cut off without a word, that the stream goes on without it, that
// every second says so, that the note names it, and that the one which is cut off stops by itself.
func TestRunnerLost(t *testing.T) {
	for _, how := range []string{"killed", "cut off"} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 3)
			r.begin()
			all := []*runner{r.runner(0).start(r), r.runner(1).start(r), r.runner(2).start(r)}
			<-r.ready
			time.Sleep(3500 * time.Millisecond)
			cut := time.Now()
			if how == "killed" {
				all[1].conn.Conn.Close()
			} else {
				close(all[1].conn.hung)
			}
			time.Sleep(20 * time.Second)
			if err := <-all[1].ended; err == nil || all[1].engine.ended.Sub(cut) > remote.Silence+2*time.Second {
				t.Errorf("%s: it went on for %s, and ended with %v", how, all[1].engine.ended.Sub(cut), err)
			}
			r.commands <- loadgen.Command{Stop: true}
			if err := <-r.result; err != nil {
				t.Fatal(err)
			}
			for i, w := range r.windows[:20] {
				if away := len(w.Missing) == 1 && w.Missing[0] == "runner-2" && w.Of == 3; away != (i >= 3) || w.Due != 90 {
					t.Errorf("%s: second %d: missing are %v of %d, due %d", how, i, w.Missing, w.Of, w.Due)
				}
			}
			if s := r.words(); !strings.Contains(s, "generator runner-2: ") || !strings.Contains(s, "(it was pod-2)") || len(r.said) != 1 {
				t.Errorf("%s: it says %q", how, r.said)
			}
			r.close()
		})
	}
}

// TestConductorGone checks that all runners stop their traffic within seconds when nothing is heard of the conductor.
func TestConductorGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		r.begin()
		all := []*runner{r.runner(0).start(r), r.runner(1).start(r)}
		<-r.ready
		time.Sleep(3500 * time.Millisecond)
		cut := time.Now()
		for _, n := range all {
			close(n.conn.hung) // the machine is gone, and says nothing
		}
		for _, n := range all {
			err := <-n.ended
			if took := n.engine.ended.Sub(cut); err == nil || took > remote.Silence+time.Second {
				t.Errorf("it went on for %s, and ended with %v", took, err)
			}
		}
		if err := <-r.result; err == nil || !strings.Contains(err.Error(), "nothing was heard of it") {
			t.Errorf("a stream without runners ended with %v", err)
		}
		r.close()
	})
}

// TestSegmentsAreGivenOutOnce checks that a pod that was started again is refused, while the first one lives and when it is dead, before
// and after the stream began.
func TestSegmentsAreGivenOutOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		r.begin()
		first := r.runner(0).start(r)
		synctest.Wait()
		again := r.runner(0)
		again.Who = "pod-1b"
		err := again.Run(t.Context(), &again.engine)
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "pod-1b claims segment 1/2 of shoppers, which pod-1 has claimed before") {
			t.Errorf("a second claim: %v", err)
		}
		other := r.runner(1).start(r)
		<-r.ready
		time.Sleep(3500 * time.Millisecond)
		first.cancel()
		if err := <-first.ended; err == nil {
			t.Error("a runner that was told to end by its system ended well")
		}
		time.Sleep(time.Second)
		if err := again.Run(t.Context(), &again.engine); !errors.Is(err, ErrRefused) {
			t.Errorf("a claim of a dead runner's segment: %v", err)
		}
		r.commands <- loadgen.Command{Stop: true}
		if err := <-r.result; err != nil {
			t.Error(err)
		}
		if err := <-other.ended; err != nil {
			t.Error(err)
		}
		r.close()
	})
}

// TestRunnersThatDoNotCome checks that a stream does not begin without all of its runners, and says why: because one has failed, or because
// nobody waits for ever.
func TestRunnersThatDoNotCome(t *testing.T) {
	for _, failed := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, 2)
			r.begin()
			n := r.runner(0).start(r)
			began := time.Now()
			want := "generator runner-2: it has not come within 1m0s"
			if failed {
				time.AfterFunc(5*time.Second, func() { r.stream.Lost(1, errors.New("its image cannot be pulled")) })
				want = "generator runner-2: it never came: its image cannot be pulled"
			}
			if err := <-r.result; err == nil || err.Error() != want {
				t.Errorf("it ended with %v, want %s", err, want)
			}
			if took := time.Since(began); failed == (took > 10*time.Second) {
				t.Errorf("it ended after %s", took)
			}
			if err := <-n.ended; err != nil || n.engine.began {
				t.Errorf("the other one sent: %t, and ended with %v", n.engine.began, err)
			}
			late := r.runner(1)
			if err := late.Run(t.Context(), &late.engine); !errors.Is(err, ErrRefused) {
				t.Errorf("one that comes too late: %v", err)
			}
			r.close()
		})
	}
}

// TestRunnersThatAreTaken checks that of a runner that ends after it was said to be lost, that is told as well: its connection does not know why.
func TestRunnersThatAreTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		r.begin()
		n := r.runner(0).start(r)
		<-r.ready
		time.Sleep(3500 * time.Millisecond)
		r.stream.Lost(0, errors.New("its pod was evicted"))
		n.cancel()
		if err := <-r.result; err == nil || !strings.HasPrefix(err.Error(), "generator runner-1: ") || !strings.HasSuffix(err.Error(), "): its pod was evicted") {
			t.Errorf("it ended with %v", err)
		}
		<-n.ended
		r.close()
	})
}

// TestHeldRunner checks that a stream does not begin before a runner's hold is over.
func TestHeldRunner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		r.begin()
		n := r.runner(0)
		hold := make(chan struct{})
		n.Hold = hold
		n.start(r)
		time.Sleep(30 * time.Second)
		if n.engine.began {
			t.Error("it began")
		}
		close(hold)
		<-r.ready
		r.commands <- loadgen.Command{Stop: true}
		if err := <-r.result; err != nil {
			t.Error(err)
		}
		if err := <-n.ended; err != nil {
			t.Error(err)
		}
		r.close()
	})
}

// TestStoppedWhileRunnersAreAwaited checks that nobody waits for runners of a stream that is over.
func TestStoppedWhileRunnersAreAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		r.begin()
		r.commands <- loadgen.Command{Stop: true}
		began := time.Now()
		if err := <-r.result; err != nil || time.Since(began) > time.Second {
			t.Errorf("it ended after %s with %v", time.Since(began), err)
		}
		r.close()
	})
}

// TestStrangers checks that nobody gets in without the token, that those who have it hear what is wrong, and that the log has neither the
// token nor more than one line of each.
func TestStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 2)
		other, err := r.c.Stream("other", 2, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		right := r.runner(0)
		own, err := readToken(right.Token)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name   string
			change func(*hello)
			want   string
		}{
			{"another secret", func(h *hello) { h.Secret = token{}.word() }, errStranger.Error()},
			{"no secret", func(h *hello) { h.Secret = "" }, errStranger.Error()},
			{"half a secret", func(h *hello) { h.Secret = h.Secret[:20] }, errStranger.Error()},
			{"another protocol", func(h *hello) { h.Protocol = 2 }, "version 2 of the runners' protocol"},
			{"another gameday", func(h *hello) { h.Version = "older" }, "is gameday older, and the game day is of test"},
			{"another stream's number", func(h *hello) { h.Segment.Of = 3 }, "claims a segment of 3, and the stream has 2"},
			{"a segment that cannot be", func(h *hello) { h.Segment.Index = -1 }, errGarbage.Error()},
			{"the whole", func(h *hello) { h.Segment = loadgen.Segment{} }, errGarbage.Error()},
		} {
			h := hello{Protocol: Protocol, Version: version, Secret: own.word(), Segment: loadgen.Segment{Of: 2}, Who: "w\x1b[31m"}
			c.change(&h)
			line, err := json.Marshal(h)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if got := r.says(append(line, '\n')); !strings.Contains(got.Refused, c.want) {
					t.Errorf("%s: refused for %q, want %q", c.name, got.Refused, c.want)
				}
			}
		}
		for _, line := range [][]byte{[]byte("GET / HTTP/1.1\r\n"), bytes.Repeat([]byte("x"), 2*maxHello), []byte("null\n"), []byte("{}\n"), []byte("[]\n")} {
			if got := r.says(line); got.Refused != errGarbage.Error() {
				t.Errorf("%.20q: refused for %q", line, got.Refused)
			}
		}
		if s := r.words(); len(r.said) != 5 || strings.Contains(s, own.word()) || strings.Contains(s, other.token.word()) || strings.Contains(s, "\x1b") {
			t.Errorf("it says:\n%s", s)
		}
		r.close()
	})
}

// says sends a first line, and returns the answer.
func (r *rig) says(line []byte) (got welcome) {
	r.t.Helper()
	raw, err := r.wire.dial(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	defer raw.Close()
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	if err := conn.Handshake(); err != nil {
		r.t.Fatal(err)
	}
	go conn.Write(line)
	if err := json.NewDecoder(conn).Decode(&got); err != nil {
		r.t.Errorf("%.20q: %v", line, err)
	}
	_, _ = io.Copy(io.Discard, conn)
	return got
}

// TestOtherCollector checks that a runner tells its secret to nobody but the collector that it is of.
func TestOtherCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own, foreign := newRig(t, 1), newRig(t, 1)
		n := own.runner(0)
		n.dialer = foreign.wire.dial
		err := n.Run(t.Context(), &n.engine)
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "not the collector that the token is of") {
			t.Errorf("it ended with %v", err)
		}
		if len(foreign.said) > 0 {
			t.Errorf("the other one heard of it: %q", foreign.said)
		}
		own.close()
		foreign.close()
	})
}

// TestUnreached checks that a runner keeps on trying for as long as it is to, and says where.
func TestUnreached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		n := r.runner(0)
		tries := 0
		n.dialer = func(context.Context) (net.Conn, error) { tries++; return nil, errors.New("connection refused") }
		began := time.Now()
		err := n.Run(t.Context(), &n.engine)
		if took := time.Since(began); !errors.Is(err, ErrUnreached) || took > n.Patience || took < n.Patience-lastPause || tries < 6 {
			t.Errorf("it ended after %s and %d tries with %v", took, tries, err)
		}
		if !strings.Contains(err.Error(), "at collector:1 within 20s: connection refused") {
			t.Error(err)
		}
		r.close()
	})
}

// TestSlowReader checks that a runner that takes nothing is found dead, and holds nothing up.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		r.begin()
		own, _ := readToken(r.stream.Token())
		raw, err := r.wire.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
		if err := json.NewEncoder(conn).Encode(hello{Protocol: Protocol, Version: version, Secret: own.word(), Segment: loadgen.Segment{Of: 1}}); err != nil {
			t.Fatal(err)
		}
		one := make([]byte, 10)
		if _, err := conn.Read(one); err != nil { // and no more
			t.Fatal(err)
		}
		began := time.Now()
		err = <-r.result
		if took := time.Since(began); err == nil || took > 2*time.Minute {
			t.Errorf("after %s: %v", took, err)
		}
		r.close()
	})
}
