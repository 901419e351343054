package chaosmesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
)

// lapsed is a faults.ErrLapsed with the reason that a cluster has.
type lapsed string

// Error returns the reason.
func (l lapsed) Error() string { return "the fault is gone before its time: " + string(l) }

// Is says that it is a faults.ErrLapsed.
func (l lapsed) Is(target error) bool { return target == faults.ErrLapsed }

// over returns why a fault does not stand any more although it should, or nil when it does or nothing is known.
func (i *injection) over(s sight) error {
	what := i.undo.title()
	switch {
	case s.gone:
		return lapsed("somebody deleted " + what + s.late())
	case s.object == nil || !s.since.IsZero():
		return nil
	}
	st, err := stateOf(s.object)
	if err != nil {
		return err
	}
	switch {
	case st.deleting:
		return lapsed("somebody is deleting " + what + s.late())
	case st.paused:
		return lapsed(fmt.Sprintf("somebody paused %s by its annotation %s%s", what, v1alpha1.PauseAnnotationKey, s.late()))
	case st.recovered() && !i.ends:
		return lapsed(fmt.Sprintf("Chaos Mesh lifted %s: its records say Not Injected, and its desired phase is Stop%s", what, s.late()))
	}
	return nil
}

// Watch ends when the fault is gone before its time: the object deleted or paused, its targets recovered, the pod or the container that
// bore it gone. A fault that ends by itself ends well once its targets are recovered and the pod is Ready again; one that was done at once,
// such as the restart of an instance, has ended when Watch is called.
func (i *injection) Watch(ctx context.Context) (faults.Effect, error) {
	if i.shot != nil {
		return faults.Effect{Proven: i.shot.Proven, Summary: "done at once: " + i.shot.Summary, Details: i.shot.Details}, nil
	}
	if i.follower == nil {
		<-ctx.Done()
		return faults.Effect{}, ctx.Err()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var pod *follower
	podChanged := make(<-chan struct{}) // never, without a pod
	if p := i.place.Cluster.Pod; p != nil && p.UID != "" {
		pod = i.c.follow(ctx, corev1.SchemeGroupVersion.WithResource("pods"), p.Namespace, p.Name, types.UID(p.UID))
	}
	for {
		s, ready, changed := i.follower.see()
		var bearer sight
		if pod != nil {
			bearer, _, podChanged = pod.see()
		}
		if ready {
			if effect, ended, err := i.judge(s, bearer); ended || err != nil {
				return effect, err
			}
		}
		select {
		case <-ctx.Done():
			return faults.Effect{}, ctx.Err()
		case <-changed:
		case <-podChanged:
		}
	}
}

// judge says whether a fault has come to its end, by what is seen of the object and of the pod.
func (i *injection) judge(s, bearer sight) (faults.Effect, bool, error) {
	if err := i.over(s); err != nil {
		return faults.Effect{}, false, err
	}
	if s.object == nil || !s.since.IsZero() {
		return faults.Effect{}, false, nil
	}
	st, err := stateOf(s.object)
	if err != nil {
		return faults.Effect{}, false, err
	}
	i.saw(st)
	pod, err := podOf(bearer)
	if err != nil {
		return faults.Effect{}, false, err
	}
	if i.ends && st.recovered() {
		return i.ended(st, s, bearer, pod)
	}
	if err := i.borne(st, bearer, pod); err != nil {
		return faults.Effect{}, false, err
	}
	if i.undo.Kind == v1alpha1.KindWorkflow && workflowDone(s.object) {
		return faults.Effect{Proven: true, Summary: i.undo.title() + " is accomplished"}, true, nil
	}
	return faults.Effect{}, false, nil
}

// errPassed is why nobody knows when a fault was over that nobody saw stand.
var errPassed = errors.New("it was over before anybody saw it stand")

// ended says of a fault that ends by itself what shows that it has.
func (i *injection) ended(st state, s, bearer sight, pod *corev1.Pod) (faults.Effect, bool, error) {
	e := faults.Effect{Proven: true, Summary: "AllRecovered: " + few(ids(st.status.Experiment.Records), 3),
		Details: map[string]string{"conditions": conditionLine(st), "object": i.undo.title()}}
	if told := i.events.told(); told != "" {
		e.Details["events"] = told
	}
	d, why := blind(s, bearer)
	if !i.stood.Load() && !i.asked.IsZero() { // it may have been over, and the pod Ready, at any time since it was asked for
		d = max(d, time.Since(i.asked))
		why = cmp.Or(why, errPassed)
	}
	if d > 0 {
		e.Details[faults.UnseenDetail] = d.Round(time.Millisecond).String()
		if why != nil {
			e.Details["unseen because"] = why.Error()
		}
	}
	switch p := i.place.Cluster.Pod; {
	case p == nil:
	case bearer.gone:
		e.Details["pod"] = "gone: another one may have taken its place"
	case pod == nil || !bearer.since.IsZero() || !readyPod(pod):
		return faults.Effect{}, false, nil // not yet
	default:
		e.Summary += ", and Ready again"
		e.Details["ready"] = time.Now().UTC().Format(time.RFC3339)
	}
	return e, true, nil
}

// borne returns an error when what bore the fault is gone: the pod with its network, or a container with its processes, clock and
// mounts. Chaos Mesh does not inject into what comes after it.
func (i *injection) borne(st state, bearer sight, pod *corev1.Pod) error {
	p := i.place.Cluster.Pod
	if p == nil || bearer.object == nil && !bearer.gone {
		return nil
	}
	where := p.Namespace + "/" + p.Name
	if bearer.gone {
		return lapsed("pod " + where + " is gone, and the fault with it" + bearer.late())
	}
	if i.undo.Kind == v1alpha1.KindPodChaos || pod == nil {
		return nil // its containers are meant to come to harm
	}
	now := containerIDs(pod)
	for _, r := range st.status.Experiment.Records {
		name := containerOf(r.Id)
		if before := i.containers[name]; name != "" && before != "" && now[name] != "" && now[name] != before {
			return lapsed(fmt.Sprintf("container %s of pod %s was restarted, and the fault went with the old one%s", name, where, bearer.late()))
		}
	}
	return nil
}

func podOf(s sight) (*corev1.Pod, error) {
	if s.object == nil {
		return nil, nil
	}
	var pod corev1.Pod
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(s.object.Object, &pod); err != nil {
		return nil, fmt.Errorf("reading %s: %w", titleOf(s.object), err)
	}
	return &pod, nil
}
