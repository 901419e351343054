package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"gameday/loadgen"
)

// leftOut is the field by which an operator is told to leave its initializer out. 0.0.19 does not have it.
const leftOut = "spec.initializer.disabled"

// suited returns a TestRun of which the operator that is installed knows every field. The API server drops unknown ones in silence, so
// it is asked by a trial, which makes nothing.
func (s *server) suited(ctx context.Context) (*testRun, error) {
	for _, optional := range []bool{true, false} {
		run := s.order.testRun(s.at, optional)
		unknown, err := s.unknown(ctx, run)
		if err != nil {
			if apierrors.IsNotFound(err) {
				err = fmt.Errorf("%w: the cluster has no TestRuns; install the k6 operator, or choose run_on %q", err, loadgen.Jobs)
			}
			return nil, fmt.Errorf("making testrun %s in namespace %s: %w", run.Name, s.order.RunOn.Namespace, explained(err))
		}
		switch {
		case len(unknown) == 0 && !optional:
			image := s.order.RunOn.InitializerImage
			if image == "" {
				image = "ghcr.io/grafana/k6-operator:latest-runner"
			}
			s.said("info", "this k6 operator cannot leave its initializer out: before the runners it starts a pod of the image %s, which the cluster must be able to pull", image)
			return run, nil
		case len(unknown) == 0:
			return run, nil
		case !optional || !slices.Contains(unknown, leftOut):
			return nil, fmt.Errorf("the k6 operator in the cluster is too old or too new: its TestRuns do not know %s. 0.0.19 does; or choose run_on %q",
				strings.Join(unknown, ", "), loadgen.Jobs)
		}
	}
	return nil, errors.New("the k6 operator takes no TestRun") // which does not come to pass
}

// unknown returns the fields of a TestRun that the cluster does not keep.
func (s *server) unknown(ctx context.Context, run *testRun) ([]string, error) {
	u, err := object(run)
	if err != nil {
		return nil, err
	}
	sent := runtime.DeepCopyJSON(u.Object)
	kept, err := s.Resource(testRuns).Namespace(s.order.RunOn.Namespace).Create(ctx, u, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return nil, err
	}
	out := dropped("spec", sent["spec"], kept.Object["spec"])
	slices.Sort(out)
	return out, nil
}

// dropped returns the paths of what is in sent and not in kept.
func dropped(path string, sent, kept any) (out []string) {
	switch s := sent.(type) {
	case map[string]any:
		k, _ := kept.(map[string]any)
		for name, value := range s {
			there, ok := k[name]
			if !ok && !empty(value) {
				out = append(out, path+"."+name)
			} else if ok {
				out = append(out, dropped(path+"."+name, value, there)...)
			}
		}
	case []any:
		k, _ := kept.([]any)
		for i, value := range s {
			if i >= len(k) {
				return append(out, fmt.Sprintf("%s[%d]", path, i))
			}
			out = append(out, dropped(fmt.Sprintf("%s[%d]", path, i), value, k[i])...)
		}
	}
	return out
}

// empty reports whether a value says nothing, so that it may be left away.
func empty(v any) bool {
	return v == nil || reflect.ValueOf(v).IsZero() || reflect.ValueOf(v).Kind() == reflect.Map && reflect.ValueOf(v).Len() == 0
}
