package program

import (
	"errors"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"go.k6.io/k6/v2/errext"
	"go.k6.io/k6/v2/errext/exitcodes"
	"go.k6.io/k6/v2/lib/netext/httpext"
	"go.k6.io/k6/v2/metrics"
	k6output "go.k6.io/k6/v2/output"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
	"gameday/loadgen/k6/internal/wire"
)

// vuKey is where samples carry the number of the virtual user that made them. Those of setup and teardown carry none,
// and do not count as traffic.
const vuKey = "vu"

// sums is the output: it counts samples as they come and writes one window a second. It keeps no samples.
type sums struct {
	child   *generator
	builtin *metrics.BuiltinMetrics
	calls   bool // the script speaks of gRPC

	due         uint64 // what was due before the oldest open second
	interrupted uint64 // and interrupted, under k6's own executors
	windows     *child.Windows
}

func (c *generator) newOutput(p k6output.Params) (k6output.Output, error) {
	if l, ok := p.Logger.(*logrus.Logger); ok {
		l.AddHook(listener{c})
	}
	o := &sums{child: c, windows: child.NewWindows(c.tally)}
	o.windows.Fill = o.fill
	o.windows.Send = func(w *loadgen.Window) { c.Send(child.Event{Window: w}) }
	return o, nil
}

// Description names the output.
func (o *sums) Description() string { return wire.OutputName }

// SetBuiltinMetrics is called by k6 before Start.
func (o *sums) SetBuiltinMetrics(m *metrics.BuiltinMetrics) { o.builtin = m }

// SetTestRunStopCallback is called by k6 before Start.
func (o *sums) SetTestRunStopCallback(abort func(error)) {
	o.child.mu.Lock()
	o.child.abort = abort
	reason := o.child.reason
	o.child.mu.Unlock()
	if reason != "" { // told to stop before k6 could be
		abort(errStopped)
	}
}

// Start begins to write windows.
func (o *sums) Start() error {
	o.child.mu.Lock()
	o.calls = o.child.calls
	o.child.mu.Unlock()
	o.windows.Start()
	return nil
}

// Stop is not used by k6, which calls StopWithTestError.
func (o *sums) Stop() error { return o.StopWithTestError(nil) }

// StopWithTestError writes what is left, and why the test came to its end.
func (o *sums) StopWithTestError(err error) error {
	o.windows.Stop()
	o.child.mu.Lock()
	reason := o.child.reason
	o.child.mu.Unlock()
	e := child.Ending{Reason: reason}
	switch {
	case err == nil && reason == "":
		e.Reason = child.EndEnded
	case err == nil || errors.Is(err, errStopped) || errors.Is(err, errOrphan):
	case markedFailed(err):
		o.child.Log("warning", "the script has marked the test as failed (exec.test.fail): say with expect blocks what must hold")
		if reason == "" {
			e.Reason = child.EndEnded
		}
	case errext.IsInterruptError(err):
		e.Reason, e.Error = child.EndAborted, err.Error()
	default:
		text, _ := errext.Format(err)
		e.Reason, e.Error = child.EndFailed, text
	}
	o.child.Send(child.Event{End: &e})
	return nil
}

// markedFailed reports whether a test ended well but for the script's word.
func markedFailed(err error) bool {
	var coded errext.HasExitCode
	return errors.As(err, &coded) && coded.ExitCode() == exitcodes.MarkedAsFailed
}

// fill adds to a second what the tally does not count.
func (o *sums) fill(w *loadgen.Window, over time.Time) {
	c := o.child
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept {
		cut := c.state.GetPartialIterationCount()
		w.Interrupted, o.interrupted = cut-o.interrupted, cut
		w.Started = w.Completed + w.Interrupted
		w.Due = w.Started + w.Dropped
	} else {
		due := uint64(0)
		for _, s := range c.helm.Schedules() {
			due += s.Due(over)
			w.Multiple = s.Multiple(over.Add(-1))
		}
		w.Due, o.due = due-min(due, o.due), max(due, o.due)
	}
	w.Generator.MaxVUs = int(c.maxVUs)
	if c.state != nil {
		w.Generator.VUs = int(c.state.GetCurrentlyActiveVUsCount())
		w.Generator.MaxVUs = max(w.Generator.MaxVUs, int(c.state.GetInitializedVUsCount()))
	}
}

// AddMetricSamples counts samples. Those of one virtual user come in the order they were made.
func (o *sums) AddMetricSamples(containers []metrics.SampleContainer) {
	for _, container := range containers {
		switch s := container.(type) {
		case *httpext.Trail:
			o.trail(s)
		case *ended:
			o.ended(s)
		case metrics.Sample:
			o.sample(&s)
		case metrics.Samples:
			for i := range s {
				o.sample(&s[i])
			}
		default:
			for _, one := range container.GetSamples() {
				o.sample(&one)
			}
		}
	}
}

// trail counts one HTTP request. Its service time includes getting a connection, which http_req_duration of k6 leaves
// out: a user waits for it, and a partition shows there.
func (o *sums) trail(t *httpext.Trail) {
	it := o.iteration(t.Metadata, t.EndTime)
	if it == nil {
		return
	}
	service := t.Duration + t.Blocked
	if t.ConnRemoteAddr == nil && timedOut(t.Tags) && !it.began.IsZero() {
		service = max(service, it.unconnected(t.EndTime))
	}
	it.last, it.took = t.EndTime, service
	o.request(it, t.EndTime, service, t.Failed.Valid && t.Failed.Bool)
}

// unconnected returns how long a request took that ran out of time before there was a connection, so that its trail knows
// no times: since the iteration's last request, or its start. One that ends in the moment after a longer one was made beside
// it, in a batch, and is taken to have begun with it.
func (it *iteration) unconnected(end time.Time) time.Duration {
	since := end.Sub(later(it.began, it.last))
	if since < it.took/10 {
		since += it.took
	}
	return since
}

// timedOut reports whether a request failed by running out of time, by k6's error codes for requests and dialling.
func timedOut(tags *metrics.TagSet) bool {
	code, _ := tags.Get("error_code")
	return code == "1050" || code == "1211"
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// user returns who made a sample; nil for setup and teardown.
func (o *sums) user(metadata map[string]string) *user {
	vu, ok := metadata[vuKey]
	if !ok {
		return nil
	}
	if u, ok := o.child.users.Load(vu); ok {
		return u.(*user)
	}
	if o.child.isKept() {
		return o.child.user(vu)
	}
	return nil
}

// iteration returns what a sample was made in; nil for setup and teardown.
func (o *sums) iteration(metadata map[string]string, at time.Time) *iteration {
	u := o.user(metadata)
	switch {
	case u == nil:
		return nil
	case o.child.isKept():
		return u.current()
	}
	return u.at(at)
}

func (o *sums) request(it *iteration, at time.Time, service time.Duration, failed bool) {
	if !o.child.requests.Load() {
		o.child.requests.Store(true)
	}
	it.failed, it.asked = it.failed || failed, true
	o.child.tally.At(at, func(w *loadgen.Window) { w.Requests++ })
	o.outcome(at, it.delay+service, service, failed)
}

func (o *sums) outcome(at time.Time, response, service time.Duration, failed bool) {
	o.child.tally.At(at, func(w *loadgen.Window) {
		if failed {
			w.Failed.Record(response, service)
		} else {
			w.OK.Record(response, service)
		}
	})
}

func (o *sums) sample(s *metrics.Sample) {
	switch s.Metric {
	case o.builtin.Checks:
		if o.user(s.Metadata) == nil {
			return
		}
		o.child.tally.At(s.Time, func(w *loadgen.Window) {
			if s.Value != 0 {
				w.ChecksPassed++
			} else {
				w.ChecksFailed++
			}
		})
	case o.builtin.GRPCReqDuration:
		if it := o.iteration(s.Metadata, s.Time); it != nil {
			status, known := s.Tags.Get("status")
			o.request(it, s.Time, milliseconds(s.Value), known && status != "0")
		}
	case o.builtin.WSConnecting: // made with a session's beginning, whether there was one or not
		if it := o.iteration(s.Metadata, s.Time); it != nil {
			status, _ := s.Tags.Get("status")
			took := milliseconds(s.Value)
			o.request(it, s.Time.Add(took), took, status != switched)
		}
	case o.builtin.DataSent: // made at an iteration's end
		if !o.calls || s.Value == 0 {
			return
		}
		if it := o.iteration(s.Metadata, s.Time); it != nil {
			it.sent = true
		}
	case o.builtin.DroppedIterations: // ours are counted where they are dropped
		o.child.tally.At(s.Time, func(w *loadgen.Window) { w.Dropped += uint64(s.Value) })
	case o.builtin.IterationDuration:
		if u := o.user(s.Metadata); u != nil && o.child.isKept() {
			o.child.tally.At(s.Time, func(w *loadgen.Window) { w.Completed++ })
			o.over(u.finish(), s.Time, milliseconds(s.Value), o.child.charge())
		}
	}
}

// switched is the status with which a server agrees to speak WebSocket.
const switched = "101"

func milliseconds(v float64) time.Duration { return time.Duration(v * float64(time.Millisecond)) }

// charge reports whether an iteration that ends under k6's own executors is to be charged with an exception. They are told in the
// log, and not of whom; they are told with the end of the iteration, so that the next to end is the right one or one beside it.
func (c *generator) charge() bool {
	for n := c.exceptions.Load(); n > 0; n = c.exceptions.Load() {
		if c.exceptions.CompareAndSwap(n, n-1) {
			return true
		}
	}
	return false
}

// ended counts an iteration of our executor.
func (o *sums) ended(e *ended) {
	if it := e.user.at(e.at); !e.interrupted {
		o.over(it, e.at, e.at.Sub(it.began), e.thrown)
	}
}

// over counts an iteration that is over. One that threw and made no failed request counts as a failed request. So does one of
// gRPC that has sent something and of which nothing was counted: k6 makes no sample of a call that runs out of its time. And as
// long as the script has never made a request, iterations stand for requests.
func (o *sums) over(it *iteration, at time.Time, service time.Duration, thrown bool) {
	switch {
	case thrown && !it.failed:
		o.outcome(at, it.delay+service, service, true)
	case o.calls && it.sent && !it.asked && !thrown:
		o.request(it, at, service, true)
	case !o.child.requests.Load():
		o.outcome(at, it.delay+service, service, false)
	}
}

// rejected begins what k6 says of an exception in a promise that nobody waits for.
const rejected = "Uncaught (in promise)"

// listener passes warnings and errors of k6 on to the parent.
type listener struct{ child *generator }

// Levels says which messages are passed on.
func (listener) Levels() []logrus.Level {
	return []logrus.Level{logrus.PanicLevel, logrus.FatalLevel, logrus.ErrorLevel, logrus.WarnLevel}
}

// Fire passes one message on. Under k6's own executors, which tell nobody else, it counts exceptions.
func (l listener) Fire(e *logrus.Entry) error {
	if l.child.isKept() && (e.Data["source"] == "stacktrace" || strings.HasPrefix(e.Message, rejected)) {
		l.child.exceptions.Add(1)
		l.child.tally.At(e.Time, func(w *loadgen.Window) { w.Thrown++ })
	}
	text := e.Message
	if cause, ok := e.Data[logrus.ErrorKey].(string); ok { // see textErrors
		text += ": " + cause
	}
	l.child.Log(e.Level.String(), text)
	return nil
}

var (
	_ k6output.WithTestRunStop       = (*sums)(nil)
	_ k6output.WithStopWithTestError = (*sums)(nil)
	_ k6output.WithBuiltinMetrics    = (*sums)(nil)
)
