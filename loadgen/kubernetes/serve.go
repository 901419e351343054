package kubernetes

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"gameday/loadgen"
	"gameday/loadgen/collector"
)

const (
	// maxOrder bounds the line with the order.
	maxOrder = 4 << 20
	// look is how often the cluster is asked what has become of the runners.
	look = 2 * time.Second
	// making bounds making the objects, and deleting how long it is tried to take them away.
	making   = time.Minute
	deleting = 90 * time.Second
)

// Verb is the word by which gameday-kubernetes is started for this.
const Verb = collector.TrafficVerb

// Main is what it does then: an order on in, news on out, until in ends and everything is gone. It returns the exit code.
func Main(in io.Reader, out io.Writer, errw io.Writer) int {
	// Whoever started this may be dead: then nobody hears the news, and it goes on deleting.
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP, syscall.SIGINT)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := Serve(ctx, in, out); err != nil {
		fmt.Fprintln(errw, "gameday-kubernetes:", err)
		return 1
	}
	return 0
}

// Serve makes the runners of the order on in, says on out what becomes of them, and deletes what it made when in ends or ctx does.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	from := bufio.NewReaderSize(in, maxOrder)
	line, err := from.ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("reading the order: %w", err)
	}
	var o collector.Order
	if err := json.Unmarshal(line, &o); err != nil {
		return fmt.Errorf("reading the order: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &server{news: json.NewEncoder(out)}
	s.words = make(chan collector.Word, 16)
	go func() {
		s.listen(ctx, from)
		cancel()
	}()
	c, err := connect(o.Access)
	if err != nil {
		s.say(collector.News{Error: err.Error()})
		s.say(collector.News{Gone: true}) // nothing was made
		return err
	}
	var nonce [8]byte
	_, _ = rand.Read(nonce[:]) // it never fails
	return s.serve(ctx, c, newOrder(o, nonce[:]))
}

// server is one order on its way.
type server struct {
	mu   sync.Mutex
	news *json.Encoder

	*client
	order *order
	made  []made // in order
	at    time.Time

	state podStates           // of runners that report by their logs
	words chan collector.Word // for them
}

// made is an object that was put into the cluster.
type made struct {
	what schema.GroupVersionResource
	kind string
	name string
	uid  string
}

// say sends one line. One that nobody reads is lost.
func (s *server) say(n collector.News) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.news.Encode(n)
}

func (s *server) said(level, format string, args ...any) {
	s.say(collector.News{Said: &collector.Said{Level: level, Text: fmt.Sprintf(format, args...)}})
}

func (s *server) serve(ctx context.Context, c *client, o *order) error {
	s.client, s.order, s.at = c, o, time.Now()
	err := s.check()
	if err == nil {
		err = s.allowed(ctx)
	}
	if err == nil {
		err = s.make(ctx)
	}
	if err != nil {
		s.say(collector.News{Error: err.Error()})
	} else {
		s.say(collector.News{Made: s.names()})
		if o.RunOn.ByLogs() {
			go s.tell(ctx)
		}
		s.follow(ctx)
	}
	left := s.unmake(context.WithoutCancel(ctx))
	s.say(collector.News{Gone: len(left) == 0, Left: left})
	return err
}

// check refuses an order that cannot be meant.
func (s *server) check() error {
	o := s.order
	switch {
	case o.RunOn.Parallelism < 1 || o.RunOn.Namespace == "" || o.RunOn.Image == "" || o.Collector == "" || o.Token == "" || o.RunOn.ByLogs() != (len(o.Content) > 0):
		return errors.New("the order lacks a number of runners, a namespace, an image, a collector, a token, or what runners without a collector are to send")
	case !o.RunOn.InCluster() || !loadgen.KnownRunOn(o.RunOn.Kind):
		return fmt.Errorf("the order asks for runners on %q, which is not in a cluster", o.RunOn.Kind)
	case o.Lasts <= 0:
		return errors.New("the order does not say how long the runners are to last")
	}
	return nil
}

// make puts everything into the cluster: first what owns the rest.
func (s *server) make(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, making)
	defer cancel()
	o := s.order
	if o.RunOn.Kind == loadgen.K6Operator {
		run, err := s.suited(ctx)
		if err != nil {
			return err
		}
		if err := s.create(ctx, testRuns, run); err != nil {
			return err
		}
		if err := s.create(ctx, configMaps, o.configMap(s.owners(), s.at)); err != nil {
			return err
		}
		return s.create(ctx, secrets, o.secret(s.owners(), s.at))
	}
	for i := range o.RunOn.Parallelism {
		if err := s.create(ctx, jobs, o.job(i, s.at)); err != nil {
			return err
		}
	}
	return s.create(ctx, secrets, o.secret(s.owners(), s.at))
}

// create makes one object, and remembers it also when nobody knows whether it was made.
func (s *server) create(ctx context.Context, what schema.GroupVersionResource, typed any) error {
	u, err := object(typed)
	if err != nil {
		return err
	}
	m := made{what: what, kind: strings.ToLower(u.GetKind()), name: u.GetName()}
	got, err := s.Resource(what).Namespace(s.order.RunOn.Namespace).Create(ctx, u, metav1.CreateOptions{})
	if err != nil {
		if !refused(err) {
			s.made = append(s.made, m)
		}
		return fmt.Errorf("making %s %s in namespace %s: %w", m.kind, m.name, s.order.RunOn.Namespace, explained(err))
	}
	m.uid = string(got.GetUID())
	s.made = append(s.made, m)
	return nil
}

// refused reports whether the API server has said no, so that nothing was made.
func refused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) ||
		apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err)
}

// owners are the objects that own what is made after them.
func (s *server) owners() (out []metav1.OwnerReference) {
	for _, m := range s.made {
		switch m.what {
		case jobs:
			out = append(out, metav1.OwnerReference{APIVersion: "batch/v1", Kind: "Job", Name: m.name, UID: typesUID(m.uid)})
		case testRuns:
			out = append(out, metav1.OwnerReference{APIVersion: "k6.io/v1alpha1", Kind: "TestRun", Name: m.name, UID: typesUID(m.uid)})
		}
	}
	return out
}

func (s *server) names() (out []string) {
	for _, m := range s.made {
		out = append(out, fmt.Sprintf("%s %s/%s", m.kind, s.order.RunOn.Namespace, m.name))
	}
	return out
}

// unmake deletes everything, and returns what is still there, or may be. Pods are waited for: they are what sends.
func (s *server) unmake(ctx context.Context) (left []string) {
	if len(s.made) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, deleting)
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var last error
	for {
		// Each try has its own time, so that what is said in the end is what stood in the way, and not that the time was over.
		one, done := context.WithTimeout(context.WithoutCancel(ctx), requestLimit)
		left, last = s.unmakeOnce(one)
		done()
		if len(left) == 0 && last == nil {
			return nil
		}
		select {
		case <-tick.C:
			continue
		case <-ctx.Done():
		}
		if last != nil {
			s.said("warning", "%s", strings.ReplaceAll(last.Error(), "\n", "; "))
		}
		if len(left) == 0 {
			left = append(s.names(), "perhaps")
		}
		return left
	}
}

// unmakeOnce asks for everything to be deleted, and returns what is there.
func (s *server) unmakeOnce(ctx context.Context) (left []string, err error) {
	in := s.order.RunOn.Namespace
	below := metav1.DeletePropagationBackground
	var errs []error
	for _, m := range slices.Backward(s.made) {
		o := metav1.DeleteOptions{PropagationPolicy: &below}
		if m.uid != "" {
			uid := typesUID(m.uid)
			o.Preconditions = &metav1.Preconditions{UID: &uid}
		}
		switch e := s.Resource(m.what).Namespace(in).Delete(ctx, m.name, o); {
		case e == nil:
			left = append(left, fmt.Sprintf("%s %s/%s", m.kind, in, m.name))
		case apierrors.IsNotFound(e) || apierrors.IsConflict(e): // gone, or another of that name by now
		default:
			left = append(left, fmt.Sprintf("%s %s/%s", m.kind, in, m.name))
			errs = append(errs, fmt.Errorf("deleting %s %s: %w", m.kind, m.name, explained(e)))
		}
	}
	list, e := s.runners(ctx)
	if e != nil {
		return left, errors.Join(append(errs, e)...)
	}
	for i := range list {
		left = append(left, fmt.Sprintf("pod %s/%s", in, list[i].GetName()))
	}
	return left, errors.Join(errs...)
}

// runners lists the runners' pods.
func (s *server) runners(ctx context.Context) ([]unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	list, err := s.Resource(pods).Namespace(s.order.RunOn.Namespace).List(ctx, metav1.ListOptions{LabelSelector: s.order.selector()})
	if err != nil {
		return nil, fmt.Errorf("looking at the runners' pods: %w", explained(err))
	}
	return list.Items, nil
}
