package chaosmesh

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"gameday/faults/cluster"
)

// maxMessage is how long Kubernetes lets an Event's message be, in bytes.
const maxMessage = 1024

// post makes an Event. It needs the permission to create events in the Event's namespace, and no other.
func (c *client) post(ctx context.Context, e cluster.Event) error {
	event := eventOf(e, time.Now())
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&event)
	if err != nil {
		return fmt.Errorf("encoding an Event: %w", err)
	}
	at := c.Resource(corev1.SchemeGroupVersion.WithResource("events")).Namespace(e.Namespace)
	err = c.steadily(ctx, func(ctx context.Context) error {
		_, err := at.Create(ctx, &unstructured.Unstructured{Object: content}, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
		if apierrors.IsAlreadyExists(err) { // an earlier attempt whose answer was lost
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("creating an Event in namespace %s: %w", e.Namespace, err)
	}
	return nil
}

// eventOf returns the object.
func eventOf(e cluster.Event, now time.Time) corev1.Event {
	version := "v1"
	if e.Kind == "Job" {
		version = "batch/v1"
	}
	kind := corev1.EventTypeNormal
	if e.Warning {
		kind = corev1.EventTypeWarning
	}
	at := metav1.NewTime(now.UTC().Truncate(time.Second))
	return corev1.Event{
		TypeMeta:       metav1.TypeMeta{APIVersion: "v1", Kind: "Event"},
		ObjectMeta:     metav1.ObjectMeta{Name: fmt.Sprintf("%s.%x", e.Name, now.UnixNano()), Namespace: e.Namespace, Labels: map[string]string{cluster.LabelManaged: cluster.Manager}},
		InvolvedObject: corev1.ObjectReference{APIVersion: version, Kind: e.Kind, Namespace: e.Namespace, Name: e.Name, UID: types.UID(e.UID)},
		Reason:         e.Reason,
		Message:        clipMessage(strings.Join(strings.Fields(e.Message), " "), maxMessage),
		Type:           kind,
		Source:         corev1.EventSource{Component: cluster.Manager},
		FirstTimestamp: at, LastTimestamp: at, Count: 1,
		ReportingController: cluster.Manager, ReportingInstance: e.Instance,
	}
}

// clipMessage cuts a text to so many bytes, between runes, and marks that it was cut.
func clipMessage(text string, most int) string {
	const mark = "…"
	if len(text) <= most {
		return text
	}
	cut := 0
	for i := range text {
		if i > most-len(mark) {
			break
		}
		cut = i
	}
	return text[:cut] + mark
}
