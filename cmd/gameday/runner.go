package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gameday/loadgen"
	"gameday/loadgen/collector"
	"gameday/loadgen/k6"
	near "gameday/targets/cluster"
)

// collectorPatience is how long a runner tries to reach its collector.
const collectorPatience = 2 * time.Minute

// The exit codes of a runner, which are k6's: whoever started it may be the k6 operator.
const (
	runnerConfig    = 104 // what it was told makes no sense, or the collector does not want it
	runnerStopped   = 103 // by k6's REST interface
	runnerAbandoned = 105 // by a signal, or the game day was gone
	runnerFailed    = 107 // the engine, or the script
	runnerScript    = 108 // the script ended by itself
)

func (a *app) runnerCmd() *cobra.Command {
	var address, segment, file string
	r := &collector.Runner{}
	c := &cobra.Command{
		Use: "runner", Hidden: true, Args: cobra.NoArgs,
		Short: "Send a segment of a game day's traffic, from wherever this is started",
		Long: "Sends one of several segments of a stream: it dials the collector of a game day, which says what to send and takes the windows.\n" +
			"The token is read from " + collector.TokenVariable + " or a file. It ends when the game day says so, is gone, or falls silent.\n" +
			"Exit codes are k6's: 0 told to stop, 104 refused or wrongly called, 105 the game day or the collector was gone, 107 failed.",
		RunE: func(*cobra.Command, []string) error {
			var err error
			if r.Collector, err = collector.Address(address); err != nil {
				return runnerError(runnerConfig, err)
			}
			if r.Segment, err = segmentOf(segment); err != nil {
				return runnerError(runnerConfig, err)
			}
			if r.Token, err = runnerToken(file); err != nil {
				return runnerError(runnerConfig, err)
			}
			return sendSegment(r, nil)
		},
	}
	c.Flags().StringVar(&address, "collector", "", "where the game day's collector is: host:port")
	c.Flags().StringVar(&segment, "segment", "1/1", "which segment to send: 2/3 is the second of three")
	c.Flags().StringVar(&file, "token-file", "", "file with the token (default: the environment variable "+collector.TokenVariable+")")
	c.Flags().DurationVar(&r.Patience, "patience", collectorPatience, "how long the collector may not be reached")
	return c
}

func runnerError(code int, err error) error { return &codeError{code: code, err: err} }

// segmentOf reads "2/3".
func segmentOf(s string) (loadgen.Segment, error) {
	index, of, ok := strings.Cut(s, "/")
	i, err1 := strconv.Atoi(index)
	n, err2 := strconv.Atoi(of)
	if !ok || err1 != nil || err2 != nil || i < 1 || i > n {
		return loadgen.Segment{}, fmt.Errorf("--segment %q is not one of several, such as 2/3", s)
	}
	return loadgen.Segment{Index: i - 1, Of: n}, nil
}

// runnerToken reads the token, and takes it out of the environment: what the runner starts has no use for it.
func runnerToken(file string) (string, error) {
	token := os.Getenv(collector.TokenVariable)
	if err := os.Unsetenv(collector.TokenVariable); err != nil {
		return "", err
	}
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("reading the token: %w", err)
		}
		return strings.TrimSpace(string(b)), nil
	}
	if token == "" {
		return "", fmt.Errorf("there is no token: set %s, or name a file with --token-file", collector.TokenVariable)
	}
	return token, nil
}

// sendSegment is a runner's life. With a control it is one that the k6 operator has started.
func sendSegment(r *collector.Runner, control *collector.Control) error {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	stopped := false
	if control != nil {
		r.Hold = control.Begun()
		within, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		ctx = within
		done := make(chan struct{})
		defer close(done)
		go func() {
			select {
			case <-control.Stopped():
				cancel(errStoppedByREST)
			case <-done:
			}
		}()
	}
	r.Version = versionText()
	if r.Who == "" {
		r.Who = whoRuns()
	}
	err := r.Run(ctx, engine())
	stopped = errors.Is(context.Cause(ctx), errStoppedByREST)
	switch {
	case err == nil:
		return nil
	case stopped:
		return runnerError(runnerStopped, err)
	case errors.Is(err, collector.ErrRefused), errors.Is(err, collector.ErrToken):
		return runnerError(runnerConfig, err)
	case errors.Is(err, loadgen.ErrEnded):
		return runnerError(runnerScript, err)
	case errors.Is(err, collector.ErrFailed):
		return runnerError(runnerFailed, err)
	}
	return runnerError(runnerAbandoned, err)
}

var errStoppedByREST = errors.New("it was told to stop by k6's REST interface")

// whoRuns names this runner to people: its pod, or its process.
func whoRuns() string {
	if name := os.Getenv(collector.WhoVariable); name != "" {
		return name
	}
	host, err := os.Hostname()
	if err != nil {
		host = "an unnamed host"
	}
	return fmt.Sprintf("process %d on %s", os.Getpid(), host)
}

// asK6 reports whether this program was started under k6's name.
func asK6() bool { return strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe") == "k6" }

// k6Role is what this program does under k6's name, in an image that the k6 operator starts: a run for which there is a collector is that of
// a runner, and all else is left to k6 itself. It never returns.
func k6Role(args []string) {
	address := os.Getenv(collector.CollectorVariable)
	if address == "" || len(args) == 0 || args[0] != "run" {
		fmt.Fprintln(os.Stderr, "gameday:", becomeK6())
		os.Exit(runnerFailed)
	}
	err := k6Runner(address, args)
	code := 0
	if err != nil {
		fmt.Fprintln(os.Stderr, "gameday:", err)
		code = runnerFailed
		var c *codeError
		if errors.As(err, &c) {
			code = c.code
		}
	}
	os.Exit(code)
}

// becomeK6 makes this process gameday-k6, with the arguments of this one and under k6's name, and returns why it could not. Its version does
// not count: nothing of gameday's is asked of it.
func becomeK6() error {
	path, err := k6.Find()
	if err != nil {
		return err
	}
	self, err1 := os.Stat("/proc/self/exe")
	other, err2 := os.Stat(path)
	if err1 == nil && err2 == nil && os.SameFile(self, other) {
		return fmt.Errorf("%s is gameday itself; put %s there", path, k6.Program)
	}
	if err := syscall.Exec(path, append([]string{"k6"}, os.Args[1:]...), os.Environ()); err != nil {
		return fmt.Errorf("starting %s: %w", path, err)
	}
	return nil
}

// k6Runner is a runner whose arguments are those that the k6 operator gives to k6.
func k6Runner(address string, args []string) error {
	run, err := collector.ReadK6Run(args)
	if err != nil {
		return runnerError(runnerConfig, err)
	}
	r := &collector.Runner{Segment: run.Segment, Patience: collectorPatience}
	if r.Collector, err = collector.Address(address); err != nil {
		return runnerError(runnerConfig, err)
	}
	if r.Token, err = runnerToken(""); err != nil {
		return runnerError(runnerConfig, err)
	}
	control := collector.NewControl(run.Paused)
	stop, err := control.Serve(run.Address)
	if err != nil {
		return runnerError(runnerConfig, err)
	}
	defer stop()
	return sendSegment(r, control)
}

// starters are the ways in which runners can be started.
func starters() map[string]collector.Starter {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	there := collector.Cluster{Command: kubernetesTraffic}
	return map[string]collector.Starter{loadgen.Processes: collector.Processes{Self: self, Args: []string{"runner"}}, loadgen.Jobs: there,
		loadgen.K6Operator: there}
}

// kubernetesTraffic returns the program that starts runners in clusters, not started.
func kubernetesTraffic() (*exec.Cmd, error) {
	path, err := near.Find()
	if err != nil {
		return nil, err
	}
	return exec.Command(path, collector.TrafficVerb), nil
}
