package chaosmesh

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
)

// Limits of reading events.
const (
	eventsPause = 2 * time.Second // between two reads, unless the effect is proven
	eventsLimit = 3 * time.Second
	mostEvents  = 8 // that are told of, the newest
)

// events are Kubernetes' events about one object. Safe for concurrent use.
type events struct {
	c  *client
	of *unstructured.Unstructured

	mu    sync.Mutex
	read  time.Time
	text  string
	why   string // what Chaos Mesh failed to do last
	said  bool   // that the fault was injected, or nobody may read what is said
	again sync.Once
}

// tell returns the newest events, each with its time, or why they cannot be read. They are evidence beside the status, so that not to
// have them is no error.
func (e *events) tell(ctx context.Context, now bool) string {
	e.mu.Lock()
	text, fresh := e.text, time.Since(e.read) < eventsPause
	e.mu.Unlock()
	if !now && fresh {
		return text
	}
	ctx, cancel := context.WithTimeout(ctx, eventsLimit)
	defer cancel()
	list, err := e.c.eventsOf(ctx, e.of)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.read = time.Now()
	switch {
	case err != nil && e.said || err == nil && e.said && !applied(list): // what was read is more
	case apierrors.IsForbidden(err):
		e.text, e.said = "not readable: nothing allows to list events in "+e.of.GetNamespace(), true
	case err != nil:
		e.text = "not readable: " + oneLine(e.c.plain(err).Error())
	default:
		e.text, e.why, e.said = eventLines(list), failure(list), applied(list)
	}
	return e.text
}

// catchUp reads once more, a moment after a proof of which no event tells yet: Chaos Mesh writes each beside its work, and sometimes late.
// Nobody waits for that. What is found is in told.
func (e *events) catchUp(ctx context.Context) {
	if e.complete() {
		return
	}
	e.again.Do(func() {
		go func() {
			if sleep(ctx, eventsPause) {
				e.tell(ctx, true)
			}
		}()
	})
}

// complete reports whether nothing is to be gained by reading once more.
func (e *events) complete() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.said
}

// told returns what was last read, without waiting for anything; nothing of a nil one.
func (e *events) told() string {
	if e == nil {
		return ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text
}

// applied reports whether Chaos Mesh says of some target that the fault was injected there.
func applied(list []corev1.Event) bool {
	return slices.ContainsFunc(list, func(e corev1.Event) bool { return e.Reason == "Applied" })
}

// failed returns what Chaos Mesh last failed to do, for an object of whose targets it says nothing; empty when it did not.
func (e *events) failed() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.why
}

// failure says what the newest event of a failure says. A webhook of Chaos Mesh's own that lets its controllers change nothing is what
// comes of definitions that are older than they are: the field that they set by default is not kept.
func failure(list []corev1.Event) string {
	for _, v := range slices.Backward(list) {
		if v.Reason != "Failed" {
			continue
		}
		text := "not selected: Chaos Mesh says: " + oneLine(v.Message)
		if strings.Contains(v.Message, "Cannot update chaos spec") {
			text += "; its definitions (CRDs) are older than its controllers, and Helm does not raise them with a release: apply those of its version"
		}
		return text
	}
	return ""
}

// eventsOf lists the events about an object, the oldest first.
func (c *client) eventsOf(ctx context.Context, u *unstructured.Unstructured) ([]corev1.Event, error) {
	list, err := c.Resource(corev1.SchemeGroupVersion.WithResource("events")).Namespace(u.GetNamespace()).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("involvedObject.uid", string(u.GetUID())).String(), Limit: 200})
	if err != nil {
		return nil, err
	}
	var out corev1.EventList
	for _, item := range list.Items {
		var ev corev1.Event
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &ev); err != nil {
			return nil, fmt.Errorf("reading an event: %w", err)
		}
		out.Items = append(out.Items, ev)
	}
	slices.SortStableFunc(out.Items, func(a, b corev1.Event) int { return eventTime(a).Compare(eventTime(b)) })
	return out.Items, nil
}

func eventTime(e corev1.Event) time.Time {
	switch {
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}

func eventLines(list []corev1.Event) string {
	var lines []string
	for _, e := range list[max(0, len(list)-mostEvents):] {
		line := fmt.Sprintf("%s %s: %s", eventTime(e).UTC().Format("15:04:05"), e.Reason, oneLine(e.Message))
		if e.Count > 1 {
			line += fmt.Sprintf(" (%d times)", e.Count)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}
