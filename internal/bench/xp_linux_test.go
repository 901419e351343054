package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/native"
)

func TestXP(t *testing.T) {
	if native.IsChild() {
		native.RunChild()
	}
	rate, _ := strconv.ParseFloat(os.Getenv("XRATE"), 64)
	users, _ := strconv.Atoi(os.Getenv("XUSERS"))
	cmds := make(chan loadgen.Command)
	spec := loadgen.Spec{Stream: "x", Rate: rate, MaxVUs: users, Dir: t.TempDir(), Commands: cmds,
		Flows: []loadgen.Flow{{Name: "get", Weight: 1, Requests: []loadgen.Request{{Name: "get", URL: loadgen.Literal(os.Getenv("XURL"))}}}},
		Ready: func() { time.AfterFunc(6*time.Second, func() { close(cmds) }) },
		Log: func(l, m string) { fmt.Println(l, m) },
	}
	var sum loadgen.Window
	if err := (&native.Engine{}).Run(t.Context(), spec, func(w loadgen.Window) { sum.Merge(w) }); err != nil {
		t.Fatal(err)
	}
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_CHILDREN, &r)
	cpu := time.Duration(r.Utime.Nano() + r.Stime.Nano())
	fmt.Printf("native: %d requests, %.0f/s, cpu %.2f s (user %.2f sys %.2f), %.2f ms/1k, failed %d dropped %d p50 %v p99 %v service p50 %v\n", sum.Requests, float64(sum.Requests)/6, cpu.Seconds(),
		time.Duration(r.Utime.Nano()).Seconds(), time.Duration(r.Stime.Nano()).Seconds(), cpu.Seconds()*1e6/float64(sum.Requests), sum.Failed.Count, sum.Dropped, sum.OK.Response.Quantile(.5), sum.OK.Response.Quantile(.99), sum.OK.Service.Quantile(.5))
}
