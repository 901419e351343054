package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func TestWanted(t *testing.T) {
	for _, tt := range []struct {
		now  int
		load float64
		most int
		want int
	}{
		{2, 0, 12, 2},
		{2, 1, 12, 2},
		{4, 0.5, 12, 4},  // never fewer
		{2, 1.2, 12, 3},  // rounded up
		{2, 40, 12, 4},   // at most twice as many at a time
		{8, 3, 12, 12},   // and no more than the most
		{14, 3, 12, 14},  // what is there stays
		{5, 1.01, 12, 6}, // a little above the target is above it
	} {
		if got := wanted(tt.now, tt.load, tt.most); got != tt.want {
			t.Errorf("wanted(%d, %v, %d) is %d, want %d", tt.now, tt.load, tt.most, got, tt.want)
		}
	}
}

// Cashiers who wait use no processor: by that measure nothing is ever wrong. By how long payments wait it is.
func TestScalers(t *testing.T) {
	for _, tt := range []struct {
		by   string
		want int
	}{{byCPU, 2}, {byQueue, 12}} {
		t.Run(tt.by, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				var log bytes.Buffer
				s := &scaler{by: tt.by, least: 2, most: 12, log: &log, start: func() (int, error) { return idlePID, nil },
					queueTime: func() time.Duration { return time.Second }}
				ended := make(chan struct{})
				go func() { s.run(ctx); close(ended) }()
				time.Sleep(10 * time.Second)
				stop()
				<-ended
				if len(s.pids) != tt.want {
					t.Errorf("there are %d cashiers, want %d: %s", len(s.pids), tt.want, log.String())
				}
			})
		})
	}
}

// idlePID is no process at all, which uses no processor time either.
const idlePID = -1

func TestTill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := newTill("http://bank.invalid", time.Now)
		h := till.routes()
		paid := make(chan int, tillBound)
		for range tillBound {
			go func() { paid <- answered(t, h, "POST", "/payments", nil) }()
		}
		synctest.Wait()
		if got := answered(t, h, "POST", "/payments", nil); got != http.StatusServiceUnavailable {
			t.Errorf("one too many is answered %d", got)
		}
		time.Sleep(300 * time.Millisecond)
		if q := till.queueTime(); q != 300*time.Millisecond {
			t.Errorf("payments have waited %s, want 300ms", q)
		}
		for want := uint64(1); want <= 2; want++ {
			var work struct{ ID uint64 }
			if answered(t, h, "GET", "/work", &work); work.ID != want {
				t.Errorf("payment %d is handed out, want %d", work.ID, want)
			}
			agreed := map[uint64]string{1: "yes", 2: "no"}[want]
			if got := answered(t, h, "POST", "/work/"+strconv.FormatUint(want, 10)+"?agreed="+agreed, nil); got != http.StatusNoContent {
				t.Errorf("finishing is answered %d", got)
			}
			if got, expected := <-paid, map[string]int{"yes": http.StatusCreated, "no": http.StatusBadGateway}[agreed]; got != expected {
				t.Errorf("a payment is answered %d, want %d", got, expected)
			}
		}
		if got := answered(t, h, "POST", "/work/1?agreed=yes", nil); got != http.StatusNotFound {
			t.Errorf("finishing twice is answered %d", got)
		}
		for range tillBound - 2 { // nobody takes the others
			if got := <-paid; got != http.StatusGatewayTimeout {
				t.Errorf("a payment that nobody takes is answered %d", got)
			}
		}
	})
}

// A whole till with cashiers of its own and a bank, by HTTP.
func TestCashiers(t *testing.T) {
	dir := t.TempDir()
	b := httptest.NewServer((&bank{slow: filepath.Join(dir, "slow"), log: os.Stderr}).routes())
	defer b.Close()
	till := newTill(b.URL, time.Now)
	s := httptest.NewServer(till.routes())
	t.Cleanup(s.Close)
	play(t, cashierRole, "-till", s.URL, "-bank", b.URL, "-slots", "2")
	for range 5 {
		if got := answered(t, till.routes(), "POST", "/payments", nil); got != http.StatusCreated {
			t.Errorf("a payment is answered %d", got)
		}
	}
	if got := answered(t, till.routes(), "GET", "/bank", nil); got != http.StatusOK {
		t.Errorf("with a bank it is told %d", got)
	}
	b.Close()
	if got := answered(t, till.routes(), "POST", "/payments", nil); got != http.StatusBadGateway {
		t.Errorf("without a bank a payment is answered %d", got)
	}
	if got := answered(t, till.routes(), "GET", "/bank", nil); got != http.StatusBadGateway {
		t.Errorf("without a bank it is told %d", got)
	}
}

// A bank is slow whose answer took longer than it may, by the till's own clock.
func TestBankIsSlow(t *testing.T) {
	b := httptest.NewServer((&bank{slow: filepath.Join(t.TempDir(), "slow"), log: os.Stderr}).routes())
	defer b.Close()
	for took, slow := range map[time.Duration]bool{0: false, bankSlow: false, bankSlow + time.Millisecond: true} {
		var at time.Time
		till := newTill(b.URL, func() time.Time { at = at.Add(took); return at })
		var state struct {
			Slow bool
			MS   int64
		}
		if got := answered(t, till.routes(), "GET", "/bank", &state); got != http.StatusOK || state.Slow != slow || state.MS != took.Milliseconds() {
			t.Errorf("an answer after %s is told as %+v, %d; want slow %v", took, state, got, slow)
		}
	}
}

// A file makes the bank slow, and the bank says when somebody has felt it.
func TestBankIsMadeSlow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "thinks")
	var log bytes.Buffer
	b := &bank{thinks: time.Millisecond, slow: path, log: &log}
	if d, slow, err := b.delay(); d != time.Millisecond || slow || err != nil {
		t.Errorf("usually it thinks for %s, %v, %v", d, slow, err)
	}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("2ms\n")
	if got := answered(t, b.routes(), "POST", "/charges", nil); got != http.StatusOK {
		t.Errorf("a charge is answered %d", got)
	}
	if text, err := os.ReadFile(path + feltSuffix); err != nil || string(text) != "2ms\n" {
		t.Errorf("it was felt: %q, %v", text, err)
	}
	write("an hour")
	if got := answered(t, b.routes(), "POST", "/charges", nil); got != http.StatusInternalServerError {
		t.Errorf("with nonsense in the file a charge is answered %d", got)
	}
	write("1000h")
	if d, _, err := b.delay(); d != bankSlowest || err != nil {
		t.Errorf("at most it thinks for %s, %v", d, err)
	}
	if log.Len() > 0 {
		t.Errorf("it complains: %s", log.String())
	}
}

func TestCPUOf(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		cannot(t, "no /proc here: %v", err)
	}
	for began, block := time.Now(), make([]byte, 4<<10); cpuOf(os.Getpid()) == 0 && time.Since(began) < patience; {
		burn(block)
	}
	if cpuOf(os.Getpid()) == 0 {
		t.Error("this process has used no processor time")
	}
	if got := cpuOf(idlePID); got != 0 {
		t.Errorf("no process has used %s", got)
	}
}

func TestLoopback(t *testing.T) {
	for listen, want := range map[string]string{":9141": "127.0.0.1:9141", "127.0.0.1:1": "127.0.0.1:1"} {
		if got := loopback(listen); got != want {
			t.Errorf("loopback(%q) is %q, want %q", listen, got, want)
		}
	}
}
