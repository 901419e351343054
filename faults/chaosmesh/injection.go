package chaosmesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults"
	"gameday/faults/cluster"
)

// Margin is how much longer than its deadline an object lets its fault stand, so that in the ordinary case the guard lifts it and sees
// that it is lifted. Creation and duration are in the cluster's clock, whole seconds each, and a revert may take ten.
const Margin = 20 * time.Second

// oneShotLimit is how long Chaos Mesh may take over a fault that has no undo (a kill): the object is deleted then, whatever it did.
const oneShotLimit = 30 * time.Second

// injection is one object of Chaos Mesh in the life of a guard.
type injection struct {
	make  func(duration time.Duration) (*object, error) // what it consists of, to stand for so long
	place faults.Place
	says  *cluster.ChaosMesh // the manifest that says whom it hits; nil where the place is hit

	c          *client
	undo       undo
	oneShot    bool
	ends       bool              // by itself
	asked      time.Time         // when Chaos Mesh was first asked for it
	stood      atomic.Bool       // it was seen to stand
	containers map[string]string // ids by name when the present state was read
	follower   *follower
	events     *events
	shot       *faults.Effect // of a fault without an undo, once it is known
	unseen     string         // why nobody knows whether another game day came to its pods at the same moment
}

// newInjection returns the injection of a fault of a kind ("network_partition") at a place in a cluster. Nobody is contacted yet.
func newInjection(kind string, config faults.Config, p faults.Place) (faults.Injection, error) {
	if p.Cluster == nil {
		return nil, fmt.Errorf("%s is not in a cluster", p.Name)
	}
	says, _ := config.(*cluster.ChaosMesh)
	return &injection{place: p, says: says, make: func(d time.Duration) (*object, error) { return planFor(kind, config, p, d) }}, nil
}

// plan returns the object, to stand for as long as the guard may hold it and the margin.
func (i *injection) plan(owner faults.Owner) (*object, error) {
	o, err := i.make(owner.Deadline + Margin)
	if err != nil {
		return nil, err
	}
	i.oneShot, i.ends = o.oneShot, o.ends > 0
	return o, nil
}

// Check asks whether the place is still what it was, and whether Chaos Mesh can act on it.
func (i *injection) Check(ctx context.Context) error {
	o, err := i.plan(faults.OwnerOf(ctx))
	if err != nil {
		return err
	}
	if i.c, err = connect(i.place.Cluster.Access); err != nil {
		return err
	}
	for _, namespace := range namespacesOf(o, i.place) {
		if err := i.c.unprotected(ctx, namespace); err != nil {
			return err
		}
	}
	if err := i.readPod(ctx); err != nil {
		return err
	}
	u, err := o.unstructured()
	if err != nil {
		return err
	}
	if pod := i.place.Cluster.Pod; pod != nil && needsDaemon(u) {
		return i.c.daemonOn(ctx, pod.Node)
	}
	return nil
}

// readPod makes sure that the pod is the one that was found, and running, and remembers its containers.
func (i *injection) readPod(ctx context.Context) error {
	want := i.place.Cluster.Pod
	if want == nil {
		return nil
	}
	var pod *corev1.Pod
	err := i.c.steadily(ctx, func(ctx context.Context) (err error) {
		pod, err = i.c.pod(ctx, want.Namespace, want.Name)
		return err
	})
	where := "pod " + want.Namespace + "/" + want.Name
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%s is gone: it was there when targets were looked for; nothing was injected", where)
	case err != nil:
		return fmt.Errorf("looking at %s: %w", where, err)
	case want.UID != "" && string(pod.UID) != want.UID:
		return fmt.Errorf("%s is another one than that which was found: its uid is %s, not %s; nothing was injected", where, pod.UID, want.UID)
	case pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodRunning:
		return fmt.Errorf("%s does not run any more (%s): Chaos Mesh acts on running pods; nothing was injected", where, phaseOf(pod))
	}
	i.containers = containerIDs(pod)
	return nil
}

// Undo names the object and makes sure that nobody else's is in the way.
func (i *injection) Undo(ctx context.Context) (json.RawMessage, error) {
	owner := faults.OwnerOf(ctx)
	o, err := i.plan(owner)
	if err != nil {
		return nil, err
	}
	if i.c == nil {
		if i.c, err = connect(i.place.Cluster.Access); err != nil {
			return nil, err
		}
	}
	if i.undo, err = undoFor(ctx, i.c, o, owner); err != nil {
		return nil, err
	}
	there, err := i.get(ctx)
	switch {
	case err != nil && !apierrors.IsNotFound(err):
		return nil, fmt.Errorf("looking for %s: %w", i.undo.title(), err)
	case err == nil && !mine(there, owner.Run, owner.Injection):
		return nil, i.foreign(there)
	}
	if err := i.alone(ctx, owner.Run); err != nil {
		return nil, err
	}
	return json.Marshal(i.undo)
}

func (i *injection) get(ctx context.Context) (there *unstructured.Unstructured, err error) {
	err = i.c.steadily(ctx, func(ctx context.Context) (err error) {
		there, err = i.c.Resource(i.undo.at()).Namespace(i.undo.Namespace).Get(ctx, i.undo.Name, metav1.GetOptions{})
		return err
	})
	return there, err
}

func (i *injection) foreign(there *unstructured.Unstructured) error {
	return fmt.Errorf("%w: %s is there already, and %s; it was left alone", faults.ErrForeign, i.undo.title(), whose(there))
}

// Inject makes the object. The lease is not the one of a kernel: the object stands until the guard's deadline and the margin, and
// whoever dies, Chaos Mesh lifts it then.
func (i *injection) Inject(ctx context.Context, _ time.Duration) error {
	owner := faults.OwnerOf(ctx)
	o, err := i.plan(owner)
	if err != nil {
		return err
	}
	u, err := o.unstructured()
	if err != nil {
		return err
	}
	u.SetName(i.undo.Name)
	u.SetNamespace(i.undo.Namespace)
	label(u, owner, me(), time.Now().Add(owner.Deadline+Margin))
	i.asked = time.Now()
	made, err := i.create(ctx, u, owner)
	if err != nil {
		return err
	}
	i.follower = i.c.follow(ctx, i.undo.at(), made.GetNamespace(), made.GetName(), made.GetUID())
	i.events = &events{c: i.c, of: made}
	faults.Reach(ctx, faults.MidInject)
	if err := i.first(ctx, owner.Run, made); err != nil {
		return err
	}
	if i.oneShot {
		return i.shoot(ctx)
	}
	return nil
}

// create makes the object, or adopts it when an earlier attempt, whose answer was lost, made it.
func (i *injection) create(ctx context.Context, u *unstructured.Unstructured, owner faults.Owner) (made *unstructured.Unstructured, err error) {
	err = i.c.steadily(ctx, func(ctx context.Context) (err error) {
		made, err = i.c.Resource(i.undo.at()).Namespace(u.GetNamespace()).Create(ctx, u, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
		return err
	})
	if err == nil {
		return made, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("creating %s: %w", i.undo.title(), notServed(err, i.undo.Kind))
	}
	there, err := i.get(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking at %s, which was there already: %w", i.undo.title(), err)
	}
	if !mine(there, owner.Run, owner.Injection) {
		return nil, i.foreign(there)
	}
	if there.GetDeletionTimestamp() != nil {
		return nil, fmt.Errorf("%s, of this injection, is being deleted", i.undo.title())
	}
	return there, nil
}

// shoot waits until a fault without an undo is done, and deletes the object: the ledger's entry is closed after Inject, so nothing may
// be left that somebody must remove. What was proven stays for Effect.
func (i *injection) shoot(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, oneShotLimit)
	defer cancel()
	effect, err := i.look(wait)
	if err != nil && wait.Err() == nil {
		return err
	}
	i.shot = &effect
	lift, done := context.WithTimeout(context.WithoutCancel(ctx), revertLimit)
	defer done()
	owner := faults.OwnerOf(ctx)
	if err := (lifting{c: i.c, undo: i.undo, run: owner.Run, injection: owner.Injection}).lift(lift); err != nil {
		return err
	}
	if effect.Proven && !i.events.complete() { // nobody looks later, and what Chaos Mesh said of it is written by now
		effect.Details["events"] = i.events.tell(lift, true)
	}
	return nil
}

// Effect waits until the conditions say AllInjected and every record does. What it returns tells of each target.
func (i *injection) Effect(ctx context.Context) (faults.Effect, error) {
	if i.shot != nil {
		return *i.shot, nil
	}
	if i.follower == nil {
		return faults.Effect{}, errors.New("nothing was injected")
	}
	return i.look(ctx)
}

// look waits for the proof until ctx ends, and says then what there is.
func (i *injection) look(ctx context.Context) (faults.Effect, error) {
	if len(i.undo.Children) > 0 {
		return i.lookAtChildren(ctx)
	}
	var effect faults.Effect
	var lapsed error
	last, err := i.follower.await(ctx, func(s sight) (bool, error) {
		if lapsed = i.over(s); lapsed != nil {
			return true, nil
		}
		var err error
		effect, err = i.effect(s)
		return effect.Proven, err
	})
	switch {
	case lapsed != nil:
		return faults.Effect{Summary: lapsed.Error()}, lapsed
	case err != nil && ctx.Err() == nil:
		return faults.Effect{}, err
	}
	if effect.Details == nil {
		effect.Details = map[string]string{}
	}
	if u := last.unseen(); u != "" {
		effect.Proven = false
		effect.Summary = u + "; before that, " + effect.Summary
	} else if !effect.Proven {
		effect.Summary += last.late()
	}
	told := i.events.tell(context.WithoutCancel(ctx), effect.Proven)
	if told != "" {
		effect.Details["events"] = told
	}
	if effect.Proven && !i.oneShot {
		i.events.catchUp(context.WithoutCancel(ctx))
	}
	if why := i.events.failed(); why != "" && strings.HasPrefix(effect.Summary, notSelected) {
		effect.Summary = why
	}
	i.tell(&effect)
	return effect, nil
}

// tell adds to an effect what object it is of, and what nobody could see of others.
func (i *injection) tell(e *faults.Effect) {
	e.Details["object"] = i.undo.title()
	if i.unseen != "" {
		e.Details["other game days"] = i.unseen
	}
}

// effect says what one sight of the object proves.
func (i *injection) effect(s sight) (faults.Effect, error) {
	if s.object == nil || !s.since.IsZero() {
		return faults.Effect{}, nil
	}
	st, err := stateOf(s.object)
	if err != nil {
		return faults.Effect{}, err
	}
	want := wanted(i.place, s.object)
	e := effectOf(st, want)
	i.saw(st)
	if i.ends && st.passed() && len(missing(st.status.Experiment.Records, want)) == 0 {
		e.Proven = true
		e.Summary = "injected, and over by now, as each record's injectedCount says: " + few(ids(st.status.Experiment.Records), 3) + s.late()
	}
	return e, nil
}

// saw remembers of a state whether the fault stands.
func (i *injection) saw(st state) {
	if st.injected() {
		i.stood.Store(true)
	}
}

// wanted are the ids of the records that an object at a place must have: its pod or the containers that it names there, and for a fault
// of the network the pods of the other side. Chaos Mesh leaves out in silence what is gone when it looks.
func wanted(place faults.Place, o *unstructured.Unstructured) []string {
	if place.Cluster.Pod == nil {
		return nil
	}
	pod := place.Cluster.Pod.Namespace + "/" + place.Cluster.Pod.Name
	want := []string{pod}
	if names, _, _ := unstructured.NestedStringSlice(o.Object, "spec", "containerNames"); len(names) > 0 {
		want = nil
		for _, name := range names {
			want = append(want, pod+"/"+name)
		}
	}
	for _, peer := range place.Peers {
		if c := peer.Cluster; c != nil && c.Pod != nil && o.GetKind() == v1alpha1.KindNetworkChaos {
			want = append(want, c.Pod.Namespace+"/"+c.Pod.Name)
		}
	}
	return want
}

// me names who runs this, for an object's labels: user@host.
func me() string {
	who := "unknown"
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return who
	}
	return who + "@" + host
}
