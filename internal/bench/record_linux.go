package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"gameday/loadgen"
	"gameday/report"
)

// seen is what the bench takes from the record of one run.
type seen struct {
	iterations uint64
	requests   uint64
	failed     uint64
	generator  spread // processors used, per second
	late       spread // milliseconds from planned to sent, per injection
	injected   int
	refused    []string // injections that failed
	end        report.Ended
}

// readRecord reads the events of a record's folder.
func readRecord(dir string) (*seen, error) {
	f, err := os.Open(filepath.Join(dir, report.EventsFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := &seen{}
	in := bufio.NewReader(f)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return nil, err
		}
		var e report.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("reading the record: %w", err)
		}
		if err := s.take(e); err != nil {
			return nil, fmt.Errorf("reading event %d (%s) of the record: %w", e.Seq, e.Kind, err)
		}
	}
}

func (s *seen) take(e report.Event) error {
	switch e.Kind {
	case report.WindowClosed:
		var w loadgen.Window
		if err := json.Unmarshal(e.Data, &w); err != nil {
			return err
		}
		s.iterations += w.Completed
		s.requests += w.OK.Count + w.Failed.Count
		s.failed += w.Failed.Count
		s.generator = append(s.generator, w.Generator.CPU.Seconds())
	case report.Injecting, report.Injected, report.InjectFailed:
		var in report.Injection
		if err := json.Unmarshal(e.Data, &in); err != nil {
			return err
		}
		switch e.Kind {
		case report.Injecting:
			s.late = append(s.late, float64(e.T-in.Planned)/float64(time.Millisecond))
		case report.Injected:
			s.injected++
		default:
			s.refused = append(s.refused, in.Fault+": "+in.Error)
		}
	case report.RunEnded:
		return json.Unmarshal(e.Data, &s.end)
	}
	return nil
}

// command returns a call of gameday that knows nothing of this machine's ledger.
func (b *bench) command(args ...string) *exec.Cmd {
	c := exec.Command(b.gameday, args...)
	c.Dir = b.dir
	c.Env = append(plainEnvironment(), "GAMEDAY_LEDGER="+filepath.Join(b.dir, "ledger"))
	return c
}

// plainEnvironment is what every program measured here gets.
func plainEnvironment() []string {
	env := []string{"NO_COLOR=1"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// gameDay runs a scenario and returns what it cost and what its record says. The verdict is not looked at, only that the
// run went through all its phases.
func (b *bench) gameDay(ctx context.Context, name, text string) (cost, *seen, error) {
	dir := filepath.Join(b.dir, "record-"+name)
	if err := os.RemoveAll(dir); err != nil {
		return cost{}, nil, err
	}
	file := filepath.Join(b.dir, name+".hcl")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return cost{}, nil, err
	}
	k, err := b.measure(ctx, b.command("run", "--record", dir, file))
	if err != nil {
		return cost{}, nil, err
	}
	return b.judge(k, dir)
}

// judge reads the record of a run that has ended.
func (b *bench) judge(k cost, dir string) (cost, *seen, error) {
	s, err := readRecord(dir)
	if err != nil {
		return cost{}, nil, fmt.Errorf("%w; it said: %s", err, k.output)
	}
	if s.end.Reason != report.EndComplete || s.iterations == 0 {
		return cost{}, nil, fmt.Errorf("the run ended early (%q, %s) after %d iterations; it said: %s",
			s.end.Reason, s.end.Error, s.iterations, k.output)
	}
	return k, s, nil
}
