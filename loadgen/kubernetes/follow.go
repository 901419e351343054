package kubernetes

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"gameday/faults/cluster"
	"gameday/loadgen"
	"gameday/loadgen/collector"
)

const (
	// maxLog bounds how much of a runner's log is passed on, and maxLine one piece of it.
	maxLog  = 4 << 20
	maxLine = 16 << 10
	// unheeded is after how long a TestRun that no operator has touched is said to be that.
	unheeded = 30 * time.Second
	// jobName is the label by which the Job controller says of which Job a pod is.
	jobName = "batch.kubernetes.io/job-name"
)

func typesUID(s string) types.UID { return types.UID(s) }

func (o *order) selector() string { return cluster.LabelRunners + "=" + o.name }

// sight is what was seen of the runners last, so that only what is new is said.
type sight struct {
	phases  map[string]string // by pod: what was said of it
	lost    map[int]bool
	logs    map[string]bool // by pod: it is followed
	stage   string
	run     types.UID // the TestRun that was in it
	far     int       // and in which stage at the furthest; see placeOf
	heeded  bool      // an operator has touched the TestRun, or nobody was said to
	absent  bool      // the TestRun was not there at the last look
	gone    bool      // it is gone
	silent  bool      // the API server does not answer
	reading sync.WaitGroup
}

// follow says what becomes of the runners, until ctx ends.
func (s *server) follow(ctx context.Context) {
	seen := &sight{phases: map[string]string{}, lost: map[int]bool{}, logs: map[string]bool{}}
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer seen.reading.Wait()
	defer stop()
	changes := make(chan change)
	if s.order.RunOn.Kind == loadgen.K6Operator {
		seen.reading.Go(func() { s.watch(ctx, changes) })
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.look(reading, seen)
		case c := <-changes:
			s.changed(reading, c, seen)
		case <-ctx.Done():
			s.look(reading, seen) // what they said last may be why
			return
		}
	}
}

// look asks once.
func (s *server) look(ctx context.Context, seen *sight) {
	list, err := s.runners(ctx)
	if err == nil {
		err = s.owner(ctx, seen)
	}
	if silent := err != nil; silent != seen.silent {
		seen.silent = silent
		if silent {
			s.said("warning", "what becomes of the runners' pods is not known for now: %s", err)
		} else {
			s.said("info", "the cluster answers again")
		}
	}
	var all []corev1.Pod
	for i := range list {
		if p, err := typed[corev1.Pod](&list[i]); err == nil {
			all = append(all, *p)
		}
	}
	if err == nil {
		s.state.look(s.order, all)
	}
	for i := range all {
		s.pod(ctx, &all[i], seen)
	}
}

// index returns which runner's pod it is, from 0: Jobs of ours and of the operator end in their number.
func (o *order) index(p *corev1.Pod) (int, bool) {
	job := p.Labels[jobName]
	if job == "" {
		job = p.Labels["job-name"]
	}
	number, ok := strings.CutPrefix(job, o.name+"-")
	n, err := strconv.Atoi(number)
	return n - 1, ok && err == nil && n >= 1 && n <= o.RunOn.Parallelism
}

// pod says what is new of a pod.
func (s *server) pod(ctx context.Context, p *corev1.Pod, seen *sight) {
	i, ok := s.order.index(p)
	if !ok {
		s.helper(p, seen)
		return
	}
	if s.order.began(p) && !seen.logs[p.Name] && (!s.order.RunOn.ByLogs() || s.state.runner(i).name == p.Name) {
		seen.logs[p.Name] = true
		read := s.log
		if s.order.RunOn.ByLogs() {
			read = s.readToEnd
		}
		seen.reading.Go(func() { read(ctx, i, p.Name) })
	}
	state, over := s.order.state(p)
	if state == "" || seen.phases[p.Name] == state {
		return
	}
	seen.phases[p.Name] = state
	if over && !seen.lost[i] {
		seen.lost[i] = true
		s.lose(i, fmt.Sprintf("its pod %s %s", p.Name, state))
	}
	if over && s.order.RunOn.Kind == loadgen.K6Operator && !hasBegun(seen.stage) {
		s.loseAll(seen, fmt.Sprintf("the k6 operator lets nobody begin before all runners' pods run, and that of %s has ended", loadgen.RunnerName(i)))
	}
	if !over || p.Status.Phase != corev1.PodSucceeded {
		s.said("warning", "%s: pod %s %s", loadgen.RunnerName(i), p.Name, state)
	}
}

// helper says what is wrong with a pod that is no runner's: the operator's initializer or starter, without which no traffic begins.
func (s *server) helper(p *corev1.Pod, seen *sight) {
	state, over := podState(p)
	if state == "" || seen.phases[p.Name] == state || over && p.Status.Phase == corev1.PodSucceeded || p.DeletionTimestamp != nil {
		return
	}
	for _, c := range p.Status.ContainerStatuses {
		if t := c.State.Terminated; t != nil && t.ExitCode == 0 {
			return // it has done what it was there for
		}
	}
	seen.phases[p.Name] = state
	s.said("warning", "pod %s, which the k6 operator has made so that the runners begin, %s", p.Name, state)
}

func (s *server) lose(i int, why string) {
	s.say(collector.News{Lost: &collector.Lost{Runner: i, Why: why}})
}

// began reports whether the runner's container has run, so that there is a log.
func (o *order) began(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
		return c.Name == o.container() && (c.State.Running != nil || c.State.Terminated != nil)
	})
}

// state says of a runner's pod what people need to know, and whether the runner has come to its end. What others have put beside it, as
// meshes do, is no runner, whatever becomes of it.
func (o *order) state(p *corev1.Pod) (state string, over bool) {
	own := *p
	own.Status.ContainerStatuses = nil
	var others []corev1.ContainerStatus
	for _, c := range p.Status.ContainerStatuses {
		if c.Name == o.container() {
			own.Status.ContainerStatuses = append(own.Status.ContainerStatuses, c)
		} else if t := c.State.Terminated; t == nil || t.ExitCode != 0 {
			others = append(others, c)
		}
	}
	if state, over = podState(&own); state != "" {
		return state, over
	}
	for _, c := range others {
		if state, _ := podState(&corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{c}}}); state != "" {
			return fmt.Sprintf("has a container %s, not gameday's, which %s", c.Name, state), false
		}
	}
	return "", false
}

// podState says of a pod what people need to know, and whether its runner has come to its end; "" while all is well.
func podState(p *corev1.Pod) (state string, over bool) {
	for _, c := range p.Status.ContainerStatuses {
		if t := c.State.Terminated; t != nil {
			return "ended: " + ended(t), true
		}
		if w := c.State.Waiting; w != nil && w.Reason != "" && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" {
			return strings.TrimSuffix("waits: "+w.Reason+": "+w.Message, ": "), false
		}
	}
	switch p.Status.Phase {
	case corev1.PodSucceeded:
		return "ended", true
	case corev1.PodFailed:
		return strings.TrimSuffix("failed: "+p.Status.Reason+": "+p.Status.Message, ": "), true
	}
	if p.DeletionTimestamp != nil {
		return "is being deleted by somebody", false
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return strings.TrimSuffix("has no node: "+c.Reason+": "+c.Message, ": "), false
		}
	}
	return "", false
}

// ended says what a container ended of.
func ended(t *corev1.ContainerStateTerminated) string {
	text := fmt.Sprintf("exit code %d", t.ExitCode)
	if t.Signal != 0 {
		text = fmt.Sprintf("signal %d", t.Signal)
	}
	if t.Reason != "" && t.Reason != "Error" && t.Reason != "Completed" {
		text = t.Reason + ", " + text
	}
	return text
}

// owner says what is new of the TestRun, or of Jobs that make no pods.
func (s *server) owner(ctx context.Context, seen *sight) error {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	in := s.order.RunOn.Namespace
	if s.order.RunOn.Kind == loadgen.K6Operator {
		list, err := s.Resource(testRuns).Namespace(in).List(ctx, metav1.ListOptions{LabelSelector: s.order.selector()})
		if err != nil {
			return fmt.Errorf("looking at the TestRun: %w", explained(err))
		}
		for i := range list.Items {
			s.stage(&list.Items[i], seen)
		}
		if len(list.Items) == 0 && seen.absent { // twice: how it was last may be on its way
			s.missing(seen)
		}
		seen.absent = len(list.Items) == 0
		return nil
	}
	list, err := s.Resource(jobs).Namespace(in).List(ctx, metav1.ListOptions{LabelSelector: s.order.selector()})
	if err != nil {
		return fmt.Errorf("looking at the runners' jobs: %w", explained(err))
	}
	for i := range list.Items {
		s.job(&list.Items[i], seen)
	}
	for i := range s.order.RunOn.Parallelism {
		if name := fmt.Sprintf("%s-%d", s.order.name, i+1); !seen.lost[i] && !has(list.Items, name) {
			seen.lost[i] = true
			s.lose(i, "its job is gone, and somebody else has deleted it")
		}
	}
	return nil
}

func has(list []unstructured.Unstructured, name string) bool {
	for i := range list {
		if list[i].GetName() == name {
			return true
		}
	}
	return false
}

// job says of one that has failed, if its pod has not been said to.
func (s *server) job(job *unstructured.Unstructured, seen *sight) {
	number, ok := strings.CutPrefix(job.GetName(), s.order.name+"-")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 1 || n > s.order.RunOn.Parallelism || seen.lost[n-1] {
		return
	}
	conditions, _, _ := unstructured.NestedSlice(job.Object, "status", "conditions")
	for _, c := range conditions {
		m, ok := c.(map[string]any)
		if !ok || m["type"] != "Failed" || m["status"] != "True" {
			continue
		}
		seen.lost[n-1] = true
		s.lose(n-1, fmt.Sprintf("its job failed: %v: %v", m["reason"], m["message"]))
	}
}

// stage says how far the operator is.
func (s *server) stage(run *unstructured.Unstructured, seen *sight) {
	stage, _, err := unstructured.NestedString(run.Object, "status", "stage")
	if err != nil {
		stage = fmt.Sprintf("of another form: %v", err)
	}
	if stage == "" {
		if !seen.heeded && time.Since(s.at) > unheeded {
			seen.heeded = true
			s.said("warning", "no k6 operator has taken up the TestRun %s yet: is one running, and does it look after namespace %s?", s.order.name, s.order.RunOn.Namespace)
		}
		return
	}
	if stage == seen.stage || seen.past(run.GetUID(), stage) {
		return
	}
	seen.stage, seen.heeded = stage, true
	switch {
	case !knownStage(stage):
		s.said("warning", "the k6 operator says that the TestRun is in a stage that gameday does not know: %q", stage)
	case stage == stageError:
		s.said("error", "the k6 operator has given the TestRun up; its log says why")
		s.loseAll(seen, "the k6 operator has given the TestRun up")
	default:
		s.said("info", "the k6 operator's TestRun %s: %s", s.order.name, stage)
	}
}

// past reports whether a TestRun was in a stage before the one that it was seen in last: what is watched and what is listed come by two ways,
// so that a change may be told of when the one after it was seen already. No operator lets a TestRun go back.
func (g *sight) past(run types.UID, stage string) bool {
	place := placeOf(stage)
	if run == g.run && place > 0 && place <= g.far {
		return true
	}
	if run != g.run {
		g.run, g.far = run, 0
	}
	g.far = max(g.far, place)
	return false
}

func (s *server) loseAll(seen *sight, why string) {
	for i := range s.order.RunOn.Parallelism {
		if !seen.lost[i] {
			seen.lost[i] = true
			s.lose(i, why)
		}
	}
}

// log passes on what a runner prints, to the end of its pod, or of ctx.
func (s *server) log(ctx context.Context, i int, pod string) {
	from, err := s.logs(ctx, s.order.RunOn.Namespace, pod, s.order.container())
	if err != nil {
		if ctx.Err() == nil {
			s.said("warning", "the log of pod %s cannot be read: %s", pod, explained(err))
		}
		return
	}
	defer from.Close()
	stop := context.AfterFunc(ctx, func() { from.Close() })
	defer stop()
	lines := bufio.NewReaderSize(io.LimitReader(from, maxLog), maxLine)
	for {
		line, err := lines.ReadSlice('\n') // a longer one comes in pieces
		if len(line) > 0 {
			s.say(collector.News{Log: &collector.Log{Runner: i, Text: string(line)}})
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}
