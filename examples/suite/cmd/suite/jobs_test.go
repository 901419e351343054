package main

import (
	"net/http"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"gameday/internal/portrig"
)

// startRedis starts a real Redis with so much memory, as the scenario does, and returns its address.
func startRedis(t *testing.T, memory string) string {
	t.Helper()
	port := portrig.Keep(t)
	cmd := exec.CommandContext(t.Context(), program(t, "redis-server"), "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "",
		"--appendonly", "no", "--dir", t.TempDir(), "--maxmemory", memory, "--maxmemory-policy", "noeviction")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	until(t, "Redis listens", func() bool { return listens(port) })
	return "127.0.0.1:" + strconv.Itoa(port)
}

// A queue without a bound takes the memory that logins need; with one it does not, and says when it is full.
func TestJobsFillTheMemory(t *testing.T) {
	const (
		size, more = 12_000, 400 // nearly 5 MB, of 2.6
		logins     = 100
	)
	for _, tt := range []struct {
		name   string
		bound  int
		full   int // what a job is answered when no more are taken
		logins int // what a login is answered in the end
	}{
		{"without a bound", 0, http.StatusServiceUnavailable, http.StatusServiceUnavailable},
		{"with a bound", 40, http.StatusTooManyRequests, http.StatusCreated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := startRedis(t, "2600kb")
			pool := redisPool(address)
			defer pool.Close()
			api := (&jobsAPI{pool: pool, bound: tt.bound, size: size, now: time.Now}).routes()
			taken, last := 0, 0
			for range more {
				if last = answered(t, api, "POST", "/jobs", nil); last == http.StatusAccepted {
					taken++
				}
			}
			if last != tt.full || tt.bound > 0 && taken != tt.bound {
				t.Errorf("%d jobs were taken, and the last one was answered %d, want %d", taken, last, tt.full)
			}
			got := 0
			for range logins { // where no job fits any more, some logins do
				got = answered(t, api, "POST", "/logins", nil)
			}
			if got != tt.logins {
				t.Errorf("a login is answered %d, want %d", got, tt.logins)
			}
			var q queueState
			if answered(t, api, "GET", "/queue", &q); q.Waiting != taken {
				t.Errorf("%d jobs wait, want %d", q.Waiting, taken)
			}
			play(t, workerRole, "-listen", "127.0.0.1:0", "-redis", address, "-each", "1ms")
			until(t, "the queue is empty again", func() bool {
				answered(t, api, "GET", "/queue", &q)
				return q == queueState{}
			})
			if got := answered(t, api, "POST", "/logins", nil); got != http.StatusCreated {
				t.Errorf("afterwards a login is answered %d", got)
			}
		})
	}
}

// A queue is late by its first job, not by how many there are.
func TestQueueIsLate(t *testing.T) {
	pool := redisPool(startRedis(t, "5mb"))
	defer pool.Close()
	now := time.Now()
	a := &jobsAPI{pool: pool, size: 100, now: func() time.Time { return now }}
	api := a.routes()
	var q queueState
	for _, step := range []struct {
		pass time.Duration
		want queueState
	}{
		{0, queueState{Waiting: 1}},
		{time.Second, queueState{Waiting: 2, OldestMS: 1000}},
		{time.Second, queueState{Waiting: 3, OldestMS: 2000, Late: true}},
	} {
		now = now.Add(step.pass)
		answered(t, api, "POST", "/jobs", nil)
		if answered(t, api, "GET", "/queue", &q); q != step.want {
			t.Errorf("the queue is %+v, want %+v", q, step.want)
		}
	}
	conn := pool.Get()
	defer conn.Close()
	if _, err := conn.Do("DEL", jobsKey); err != nil {
		t.Fatal(err)
	}
	if answered(t, api, "GET", "/queue", &q); q.Late || q.Waiting != 0 {
		t.Errorf("an empty queue is %+v", q)
	}
}

func TestRedisIsAway(t *testing.T) {
	pool := redisPool(portrig.Address(t))
	defer pool.Close()
	api := (&jobsAPI{pool: pool, size: 100, now: time.Now}).routes()
	for path, method := range map[string]string{"/jobs": "POST", "/logins": "POST", "/queue": "GET"} {
		if got := answered(t, api, method, path, nil); got != http.StatusServiceUnavailable {
			t.Errorf("%s is answered %d", path, got)
		}
	}
}
