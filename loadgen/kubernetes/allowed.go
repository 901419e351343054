package kubernetes

import (
	"context"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"gameday/loadgen"
)

// right is something that must be allowed.
type right struct {
	group, resource, sub string
	verbs                []string
}

// rightsOf returns what an order's runners need to be allowed in their namespace.
func rightsOf(on loadgen.RunOn) []right {
	out := rights(on.Kind)
	if on.ByLogs() {
		out = append(out, right{resource: "pods", verbs: []string{"patch"}})
	}
	return out
}

// rights returns what runners of a kind need to be allowed in their namespace.
func rights(kind string) []right {
	out := []right{
		{resource: "secrets", verbs: []string{"create", "delete"}},
		{resource: "pods", verbs: []string{"list"}},
		{resource: "pods", sub: "log", verbs: []string{"get"}},
	}
	if kind == loadgen.K6Operator {
		return append(out, right{group: "k6.io", resource: "testruns", verbs: []string{"create", "list", "watch", "delete"}},
			right{resource: "configmaps", verbs: []string{"create", "delete"}})
	}
	return append(out, right{group: "batch", resource: "jobs", verbs: []string{"create", "list", "delete"}})
}

// allowed asks the cluster whether everything that is to be done may be done, before anything is.
func (s *server) allowed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, making)
	defer cancel()
	var missing []right
	for _, r := range rightsOf(s.order.RunOn) {
		no := right{group: r.group, resource: r.resource, sub: r.sub}
		for _, verb := range r.verbs {
			ok, err := s.may(ctx, r, verb)
			if err != nil {
				return fmt.Errorf("asking what is allowed in namespace %s: %w", s.order.RunOn.Namespace, explained(err))
			}
			if !ok {
				no.verbs = append(no.verbs, verb)
			}
		}
		if len(no.verbs) > 0 {
			missing = append(missing, no)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	var words, rules []string
	for _, m := range missing {
		words = append(words, strings.Join(m.verbs, ", ")+" "+m.name())
		rules = append(rules, m.rule())
	}
	return fmt.Errorf("not allowed in namespace %s: %s. A Role needs the rules: %s", s.order.RunOn.Namespace, strings.Join(words, "; "), strings.Join(rules, ", "))
}

func (r right) name() string {
	if r.sub == "" {
		return r.resource
	}
	return r.resource + "/" + r.sub
}

func (r right) rule() string {
	return fmt.Sprintf("{apiGroups: [%q], resources: [%s], verbs: [%s]}", r.group, r.name(), strings.Join(r.verbs, ", "))
}

func (s *server) may(ctx context.Context, r right, verb string) (bool, error) {
	review, err := object(&authorizationv1.SelfSubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"},
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: s.order.RunOn.Namespace,
			Group: r.group, Resource: r.resource, Subresource: r.sub, Verb: verb}}})
	if err != nil {
		return false, err
	}
	got, err := s.Resource(reviews).Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	answer, err := typed[authorizationv1.SelfSubjectAccessReview](got)
	if err != nil {
		return false, err
	}
	return answer.Status.Allowed, nil
}
