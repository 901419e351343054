package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gameday/faults"
)

// Kinds are those that only clusters have, in order of name.
func Kinds() []faults.Kind {
	return []faults.Kind{ChaosMeshKind(), IOErrorKind(), IOLatencyKind(), TimeSkewKind()}
}

// undoing is what plan prints of the kinds of this package.
const undoing = "Chaos Mesh lifts it when its duration is over; the guard deletes its object"

// podKind completes a kind that only pods know: its objects are made and deleted by gameday-kubernetes.
func podKind(k faults.Kind) faults.Kind {
	k.Needs, k.Undoing, k.Reversible, k.Revert = faults.NeedPod, undoing, true, revertElsewhere
	return k
}

// revertElsewhere is the revert of a program that does not speak to clusters. It is never asked: entries of places in clusters are left
// to the program that does.
func revertElsewhere(_ context.Context, e faults.Entry) error {
	return fmt.Errorf("%s is an object in a Kubernetes cluster, which only %s can delete: is it installed beside gameday?", e.Kind, Program)
}

// bindElsewhere says what a kind of this package needs: it does nothing to a machine.
func bindElsewhere(kind string, p faults.Place) error {
	if p.Cluster == nil {
		return fmt.Errorf("%s needs a pod of a Kubernetes cluster, and %s is none: use a target with pods", kind, p.Name)
	}
	return fmt.Errorf("%s on %s is injected by %s, and this program is another", kind, p.Name, Program)
}

// durationField reads a duration that is at least least and at most longest, either way.
func durationField(field, text string, least, longest time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, &faults.FieldError{Field: field, Summary: "Invalid duration",
			Detail: fmt.Sprintf("%q is not a duration. Write a number and a unit, such as \"100ms\" or \"2h\".", text)}
	}
	if d < least || d > longest {
		return 0, &faults.FieldError{Field: field, Summary: "Duration out of range",
			Detail: fmt.Sprintf("%s can be %v to %v, not %v.", field, least, longest, d)}
	}
	return d, nil
}

// oneOf refuses a word that is none of the choices.
func oneOf(field, what, word string, choices []string) error {
	if slices.Contains(choices, word) {
		return nil
	}
	hint := ""
	if near := faults.Nearest(word, choices); near != "" {
		hint = fmt.Sprintf(" Did you mean %q?", near)
	}
	return &faults.FieldError{Field: field, Summary: "Unknown " + what,
		Detail: fmt.Sprintf("%q is no %s.%s There are %s.", word, what, hint, strings.Join(choices, ", "))}
}

// each joins the mistakes of a list's words.
func each(field, what string, words, choices []string) error {
	var errs []error
	for i, w := range words {
		errs = append(errs, oneOf(field, what, w, choices))
		if slices.Contains(words[:i], w) {
			errs = append(errs, &faults.FieldError{Field: field, Summary: "Repeated " + what, Detail: fmt.Sprintf("%q stands there twice.", w)})
		}
	}
	return errors.Join(errs...)
}
