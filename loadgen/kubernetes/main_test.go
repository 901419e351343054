package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/collector"
	"gameday/loadgen/native"
)

const version = "test"

// The test binary is gameday-kubernetes, and what is in the runners' image: gameday, also under k6's name.
func TestMain(m *testing.M) {
	if native.IsChild() {
		native.RunChild()
	}
	args := os.Args[1:]
	switch {
	case len(args) == 1 && args[0] == "traffic":
		os.Exit(Main(os.Stdin, os.Stdout, os.Stderr))
	case len(args) > 1 && args[0] == "as-gameday":
		os.Exit(asRunner(args[1:]))
	case len(args) > 1 && args[0] == "as-k6":
		os.Exit(asK6(args[1:]))
	}
	os.Exit(m.Run())
}

func engine() loadgen.Generator { return loadgen.Engines{Flows: &native.Engine{}} }

// asRunner is `gameday runner --collector ADDRESS --segment I/N`.
func asRunner(args []string) int {
	r := collector.Runner{Collector: args[2]}
	if _, err := fmt.Sscanf(args[4], "%d/%d", &r.Segment.Index, &r.Segment.Of); err != nil {
		panic(err)
	}
	r.Segment.Index--
	return send(r)
}

// asK6 is what the operator starts.
func asK6(args []string) int {
	run, err := collector.ReadK6Run(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 104
	}
	control := collector.NewControl(run.Paused)
	stop, err := control.Serve(run.Address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 104
	}
	defer stop()
	return send(collector.Runner{Collector: os.Getenv(collector.CollectorVariable), Segment: run.Segment, Hold: control.Begun()})
}

func send(r collector.Runner) int {
	r.Token, r.Who, r.Version, r.Patience = os.Getenv(collector.TokenVariable), os.Getenv(collector.WhoVariable), version, 20*time.Second
	fmt.Printf("runner %s sends segment %d of %d\n", r.Who, r.Segment.Index+1, r.Segment.Of)
	err := r.Run(context.Background(), engine())
	switch {
	case err == nil:
		return 0
	case errors.Is(err, collector.ErrRefused):
		fmt.Fprintln(os.Stderr, err)
		return 104
	}
	fmt.Fprintln(os.Stderr, strings.TrimSpace(err.Error()))
	return 105
}
