package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// TestRemedies looks in everything that people read for what would have let a run begin, as it is to be copied.
func TestRemedies(t *testing.T) {
	const role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nrules:\n- apiGroups: [\"chaos-mesh.org\"]\n  verbs: [create, delete]"
	b := newBuilder(t, checkoutPlan())
	for _, f := range []Found{
		{What: "kubernetes: permissions", Blocks: true, Summary: "not allowed: create podchaos in shop", Detail: "The least that is missing, for kubectl apply:\n" + role + "\n"},
		{What: "kubernetes: permissions", Summary: "not allowed, and done without: list events in shop", Detail: "With these, more can be seen:\nkind: ClusterRole\n"},
		{What: "target web", Blocks: true, Summary: "selects nothing", Detail: untouched},
		{What: "kubernetes: namespace", Blocks: true, Summary: "it has not opted in", Detail: "kubectl annotate \x1b[31mnamespace shop <inject>=enabled"},
	} {
		b.add(0.5, PreflightFound, f)
	}
	c := Score(b.end(1, EndPreflight).record())
	if len(c.Remedies) != 2 || c.Remedies[0].Words() != "The least that is missing, for kubectl apply:" || strings.Join(c.Remedies[0].Lines(), "\n") != role {
		t.Fatalf("%+v", c.Remedies)
	}
	var text, page, junit, data bytes.Buffer
	for name, err := range map[string]error{"text": Text(&text, c, TextOptions{}), "page": HTML(&page, c), "junit": JUnit(&junit, c), "json": JSON(&data, c)} {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	indented := "       " + strings.ReplaceAll(role, "\n", "\n       ")
	for what, in := range map[string][2]string{
		"text": {text.String(), "\n What to do\n  –  Kubernetes: permissions: The least that is missing, for kubectl apply:\n\n" + indented + "\n"},
		"page": {page.String(), `<pre class="copy">` + strings.ReplaceAll(role, `"`, "&#34;") + "\n</pre>"},
	} {
		if !strings.Contains(in[0], in[1]) {
			t.Errorf("the %s lacks %q:\n%s", what, in[1], in[0])
		}
	}
	for what, in := range map[string]string{"text": text.String(), "page": page.String(), "junit": junit.String()} {
		if strings.Contains(in, "\x1b") || strings.Contains(in, "kind: ClusterRole") || !strings.Contains(in, "kubectl annotate") || !strings.Contains(in, "kind: Role") {
			t.Errorf("%s:\n%s", what, in)
		}
	}
	var back Scorecard
	if err := json.Unmarshal(data.Bytes(), &back); err != nil || len(back.Remedies) != 2 || back.Remedies[0].Detail != c.Remedies[0].Detail {
		t.Errorf("as JSON: %+v, %v", back.Remedies, err)
	}
	if c := Score(newBuilder(t, checkoutPlan()).add(0.5, PreflightFound, Found{What: "x", Blocks: true, Detail: "y"}).end(1, EndComplete).record()); c.Remedies != nil {
		t.Errorf("of a run that took place: %+v", c.Remedies)
	}
}
