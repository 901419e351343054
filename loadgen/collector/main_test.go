package collector

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/k6"
	"gameday/loadgen/k6/program"
	"gameday/loadgen/native"
)

// The test binary is its own runners, and their traffic generators.
func TestMain(m *testing.M) {
	switch {
	case program.IsChild():
		program.RunChild()
	case native.IsChild():
		native.RunChild()
	}
	if len(os.Args) == 6 && os.Args[1] == "runner" { // runner --collector ADDRESS --segment I/N
		r := Runner{Collector: os.Args[3], Token: os.Getenv(TokenVariable), Who: fmt.Sprintf("process %d", os.Getpid()), Version: version, Patience: time.Minute}
		if _, err := fmt.Sscanf(os.Args[5], "%d/%d", &r.Segment.Index, &r.Segment.Of); err != nil {
			panic(err)
		}
		r.Segment.Index--
		if err := r.Run(context.Background(), engines()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func engines() loadgen.Engines {
	return loadgen.Engines{Scripts: &k6.Engine{Program: os.Args[0]}, Flows: &native.Engine{}}
}
