package kubernetes

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"gameday/loadgen"
	"gameday/loadgen/collector"
	"gameday/loadgen/podlogs"
)

// Runners that report by their logs print every few seconds, in lines with numbers. A log is read again from where it broke off, so that nothing
// comes twice and nothing is left out, as long as the node has it.

const (
	// annotationOrders is where a runner's orders are: its pod has it as a file.
	annotationOrders = "gameday/orders"
	// files is where a pod has what its runner is given.
	files = "/run/gameday"
	// streamKey is where in the Secret that is which the runners send.
	streamKey = "stream"
	// again is between two attempts at reading a log, or at giving orders.
	again = 500 * time.Millisecond
	// idle is after how long without a line a log is asked for anew: a connection may be dead without saying so.
	idle = 15 * time.Second
	// lineBuffer is more than the longest line of a message, with its time.
	lineBuffer = 32 << 10
)

var errIdle = fmt.Errorf("nothing came of it for %s, not even its end", idle)

// logPosition is how far a log was read: up to some lines with a time.
type logPosition struct {
	at   time.Time
	same int // lines with that time
	skip int // of them, that are to come again
	back bool
}

// resume prepares for reading again from the second of the last line.
func (p *logPosition) resume() { p.back, p.skip = !p.at.IsZero(), p.same }

// fresh reports whether a line with a time is one that was not read before.
func (p *logPosition) fresh(at time.Time) bool {
	if p.back {
		switch {
		case at.Before(p.at):
			return false
		case at.Equal(p.at) && p.skip > 0:
			p.skip--
			return false
		}
		p.back = false
	}
	if at.Equal(p.at) {
		p.same++
	} else {
		p.at, p.same = at, 1
	}
	return true
}

// stamped cuts the time off a line of a log.
func stamped(line []byte) (at time.Time, rest []byte, ok bool) {
	word, rest, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return at, nil, false
	}
	at, err := time.Parse(time.RFC3339Nano, string(word))
	return at, rest, err == nil
}

// followed is the log of a runner's pod on its way.
type followed struct {
	s     *server
	i     int
	pod   string
	place logPosition
	plain int  // bytes of what is no message that were passed on
	said  bool // that it cannot be read
}

// readToEnd passes a runner's log on, over API servers that go away and connections that break, until its pod has ended and all of it was read, or its
// pod is gone.
func (s *server) readToEnd(ctx context.Context, i int, pod string) {
	f := &followed{s: s, i: i, pod: pod}
	defer s.say(collector.News{Ended: i + 1})
	for {
		last := s.state.ended(pod) // before it is asked for: then there is no more than what comes now
		err := f.once(ctx, last)
		switch {
		case ctx.Err() != nil:
			return
		case s.state.gone(pod) || last && err == nil:
			return
		case err != nil && !f.said:
			f.said = true
			s.said("warning", "the log of pod %s cannot be read for now, and is read from there on later: %s", pod, explained(err))
		}
		timer := time.NewTimer(again)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// once reads what is new of the log, as long as the connection lasts. What is longer than a message's line can be, and is cut off, is not
// completed later. The last line of a pod that has ended need not have an end; it fails when the connection is gone before that.
func (f *followed) once(ctx context.Context, last bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(idle, func() { cancel(errIdle) })
	defer timer.Stop()
	from, err := f.s.logsSince(ctx, f.s.order.RunOn.Namespace, f.pod, f.s.order.container(), f.place.at)
	if err != nil {
		return err
	}
	defer from.Close()
	stop := context.AfterFunc(ctx, func() { from.Close() })
	defer stop()
	f.place.resume()
	lines := bufio.NewReaderSize(from, lineBuffer)
	within, pass := false, false // a line that is longer than the buffer comes in pieces
	for {
		piece, err := lines.ReadSlice('\n')
		whole := err == nil
		if err != nil && err != bufio.ErrBufferFull && !(last && err == io.EOF && len(piece) > 0) {
			if last && err != io.EOF {
				return cmp.Or(context.Cause(ctx), err)
			}
			return nil // cut off in the middle, a line comes again
		}
		timer.Reset(idle)
		if f.said {
			f.said = false
			f.s.said("info", "the log of pod %s can be read again", f.pod)
		}
		if !within {
			at, rest, ok := stamped(piece)
			if ok {
				piece = rest
			}
			pass = !ok || f.place.fresh(at)
		}
		if within = !whole; pass {
			f.pass(piece)
		}
	}
}

// pass passes a line on. Of what is no message, not more than a bound.
func (f *followed) pass(line []byte) {
	if !podlogs.Marked(line) {
		if f.plain += len(line); f.plain > maxLog {
			return
		}
	}
	f.s.say(collector.News{Log: &collector.Log{Runner: f.i, Text: string(line)}})
}

// podStates is what was seen last of the pods whose logs are read, for those who read them.
type podStates struct {
	mu   sync.Mutex
	seen map[string]bool // and whether they have ended
	of   map[int]podOf   // by runner
}

type podOf struct{ name, uid string }

// look takes note of the pods that there are, and of whose they are: the first that is seen of a runner stays its pod.
func (p *podStates) look(o *order, list []corev1.Pod) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = map[string]bool{}
	if p.of == nil {
		p.of = map[int]podOf{}
	}
	for i := range list {
		_, over := o.state(&list[i])
		p.seen[list[i].Name] = over
		if n, ok := o.index(&list[i]); ok && p.of[n].name == "" {
			p.of[n] = podOf{list[i].Name, string(list[i].UID)}
		}
	}
}

func (p *podStates) ended(pod string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[pod]
}

func (p *podStates) gone(pod string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, there := p.seen[pod]
	return !there
}

func (p *podStates) runner(i int) podOf {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of[i]
}

// orders are what is to be put into runners' annotations: the newest of each.
type orders struct {
	s  *server
	mu sync.Mutex
	by map[int]*ordered
}

type ordered struct {
	text string
	kick chan struct{}
}

// put has a runner told.
func (o *orders) put(ctx context.Context, w collector.Word) {
	if w.Runner < 0 || w.Runner >= o.s.order.RunOn.Parallelism {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.by[w.Runner]
	if r == nil {
		r = &ordered{kick: make(chan struct{}, 1)}
		o.by[w.Runner] = r
		go o.keep(ctx, w.Runner, r)
	}
	r.text = w.Orders
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// keep puts the newest orders of one runner into its pod's annotation, as often as it takes.
func (o *orders) keep(ctx context.Context, i int, r *ordered) {
	said := false
	for {
		select {
		case <-r.kick:
		case <-ctx.Done():
			return
		}
		for {
			o.mu.Lock()
			text := r.text
			o.mu.Unlock()
			err := o.annotate(ctx, i, text)
			other := apierrors.IsConflict(err) && o.s.state.gone(o.s.state.runner(i).name) // else it was changed in the same moment
			if err == nil || apierrors.IsNotFound(err) || other || ctx.Err() != nil {
				said = false
				break // what is gone is told of elsewhere
			}
			if !said {
				said = true
				o.s.said("warning", "%s cannot be told anything for now, and stops by itself after %s of that: %s", loadgen.RunnerName(i), loadgen.LogsLease, explained(err))
			}
			timer := time.NewTimer(again)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return
			}
		}
	}
}

// annotate sets the orders of a runner, of the pod that it had when it was first seen and no other of that name.
func (o *orders) annotate(ctx context.Context, i int, text string) error {
	pod := o.s.state.runner(i)
	if pod.name == "" {
		return fmt.Errorf("it has no pod yet")
	}
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	patch := fmt.Appendf(nil, `{"metadata":{"uid":%q,"annotations":{%q:%q}}}`, pod.uid, annotationOrders, text)
	_, err := o.s.Resource(pods).Namespace(o.s.order.RunOn.Namespace).Patch(ctx, pod.name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// listen takes what runners are to be told, line by line, to the end.
func (s *server) listen(ctx context.Context, from *bufio.Reader) {
	for {
		line, err := from.ReadSlice('\n')
		if err != nil {
			_, _ = io.Copy(io.Discard, from) // a line that is longer than any: the end is what counts
			return
		}
		var w collector.Word
		if json.Unmarshal(line, &w) != nil {
			continue
		}
		select {
		case s.words <- w:
		case <-ctx.Done():
		}
	}
}

// tell has runners told what is for them, until ctx ends.
func (s *server) tell(ctx context.Context) {
	o := &orders{s: s, by: map[int]*ordered{}}
	for {
		select {
		case w := <-s.words:
			o.put(ctx, w)
		case <-ctx.Done():
			return
		}
	}
}

// given is the volume with what a runner that reaches nobody is given.
func (o *order) given() corev1.Volume {
	return corev1.Volume{Name: "gameday", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: o.name},
			Items: []corev1.KeyToPath{{Key: streamKey, Path: collector.StreamFile}}}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: collector.OrdersFile,
			FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.annotations['" + annotationOrders + "']"}}}}},
	}}}}
}

// volumes, mounts and variables are what the runners' container has of them.
func (o *order) volumes() []corev1.Volume {
	if o.RunOn.ByLogs() {
		return []corev1.Volume{memory(), o.given()}
	}
	return []corev1.Volume{memory()}
}

func (o *order) mounts() []corev1.VolumeMount {
	out := []corev1.VolumeMount{{Name: "shm", MountPath: shm}}
	if o.RunOn.ByLogs() {
		out = append(out, corev1.VolumeMount{Name: "gameday", MountPath: files, ReadOnly: true})
	}
	return out
}

// container is the name of the runner's container in its pod.
func (o *order) container() string {
	if o.RunOn.Kind == loadgen.K6Operator {
		return operators
	}
	return container
}
