package chaosmesh

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"gameday/faults/cluster"
)

// example returns the example manifest of a kind.
func example(t testing.TB, kind string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "manifests", kind+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestExamplesAreComplete holds the folder of examples to the API: one for each kind, and no others.
func TestExamplesAreComplete(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "manifests", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, f := range files {
		have = append(have, strings.TrimSuffix(filepath.Base(f), ".yaml"))
	}
	if !slices.Equal(have, kindNames()) {
		t.Errorf("examples are there of %v,\nkinds are %v", have, kindNames())
	}
	for kind := range v1alpha1.AllKindsIncludeScheduleAndWorkflow() {
		if !slices.Contains(have, kind) {
			t.Errorf("no example of %s", kind)
		}
	}
}

// TestExamples decodes the example of each kind, and checks it as a fault: either nothing is wrong with it, or it is none.
func TestExamples(t *testing.T) {
	for _, kind := range kindNames() {
		t.Run(kind, func(t *testing.T) {
			m, found := decode(example(t, kind))
			if len(found) > 0 {
				t.Fatal(found.asError())
			}
			if m.kind != kind {
				t.Errorf("it is a %s", m.kind)
			}
			found = m.check(m.oneShot(), 0)
			if slices.Contains(faultKinds(), kind) {
				if err := found.asError(); err != nil {
					t.Error(err)
				}
				return
			}
			if len(found) != 1 || found[0].summary != "Not a fault" || found[0].line != lineOf(t, example(t, kind), "kind:") {
				t.Errorf("a %s is no fault, but: %v", kind, found.asError())
			}
		})
	}
}

// lineOf returns the number of the first line that holds a text.
func lineOf(t *testing.T, content, text string) int {
	t.Helper()
	for i, line := range strings.Split(content, "\n") {
		if strings.Contains(line, text) {
			return i + 1
		}
	}
	t.Fatalf("no line has %q", text)
	return 0
}

// keysOf returns every key of the fields in a manifest, not those of maps whose keys are free.
func keysOf(t *testing.T, content string) []*yaml.Node {
	t.Helper()
	m, found := decode(content)
	if len(found) > 0 {
		t.Fatal(found.asError())
	}
	var out []*yaml.Node
	for path, n := range m.at {
		i := strings.LastIndex(path, ".")
		if strings.HasSuffix(path, "]") || path == "" || n.Value != path[i+1:] {
			continue
		}
		free := false
		for _, maps := range []string{"labels", "annotations", "Selectors", "pods", "physicalMachines", "headers", "configOverride", "dashboard", "nodeSelectors"} {
			free = free || i >= 0 && strings.HasSuffix(path[:i], maps)
		}
		if !free && !strings.Contains(path, "Selectors.metadata") && !strings.Contains(path, "annotations.") && !strings.Contains(path, "annotationSelectors.") {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(a, b *yaml.Node) int { return a.Line*1000 + a.Column - b.Line*1000 - b.Column })
	return out
}

// misspell changes the key at a place.
func misspell(content string, key *yaml.Node, to string) string {
	lines := strings.Split(content, "\n")
	line := lines[key.Line-1]
	lines[key.Line-1] = line[:key.Column-1] + to + line[key.Column-1+len(key.Value):]
	return strings.Join(lines, "\n")
}

// TestEveryFieldMisspelt misspells each field of each example in two ways: the manifest is refused at just that line and column, and the
// field that was meant is named.
func TestEveryFieldMisspelt(t *testing.T) {
	total := 0
	for _, kind := range kindNames() {
		content := example(t, kind)
		for _, key := range keysOf(t, content) {
			for _, wrong := range []string{key.Value + "s", strings.ToUpper(key.Value[:1]) + key.Value[1:] + "x"} {
				total++
				_, found := decode(misspell(content, key, wrong))
				found = found.sorted()
				if len(found) != 1 {
					t.Errorf("%s, line %d, %s: %d mistakes: %v", kind, key.Line, wrong, len(found), found.asError())
					continue
				}
				m := found[0]
				if key.Value == "apiVersion" || key.Value == "kind" && key.Column == 1 {
					if !strings.HasPrefix(m.summary, "No ") {
						t.Errorf("%s, %s: %v", kind, wrong, m)
					}
					continue
				}
				if m.line != key.Line || m.column != key.Column || !strings.Contains(m.detail, fmt.Sprintf("%q", wrong)) {
					t.Errorf("%s, line %d, column %d, %s: %+v", kind, key.Line, key.Column, wrong, m)
				}
				if !strings.Contains(m.detail, key.Value) {
					t.Errorf("%s, line %d, %s: nothing says that %s was meant: %s", kind, key.Line, wrong, key.Value, m.detail)
				}
			}
		}
	}
	if total < 600 {
		t.Errorf("only %d fields were misspelt", total)
	}
	t.Logf("%d misspelt fields", total)
}

// Manifests that tests change and add to.
const (
	// podManifest fails pods, and does not say which.
	podManifest = "apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaos\nmetadata: {namespace: shop}\nspec:\n  action: pod-failure\n  mode: all\n"
	// chosenManifest does, and has no mistake.
	chosenManifest = podManifest + "  selector: {labelSelectors: {app: web}}\n"
	// networkManifest delays what these pods send, and does not say by how much.
	networkManifest = "apiVersion: chaos-mesh.org/v1alpha1\nkind: NetworkChaos\nmetadata: {namespace: shop}\nspec:\n  action: delay\n  mode: all\n  selector: {labelSelectors: {app: web}}\n"
)

// manifestCase is a manifest, and the mistakes in it.
type manifestCase struct {
	content string
	final   bool     // it says cannot_revert
	want    []string // "line:column summary: …" each, with … part of the detail
}

// hasMistakes checks a manifest for a fault of a minute: it has the mistakes of the case, and no others.
func (c manifestCase) hasMistakes(t *testing.T) {
	found := manifestMistakes(&cluster.ChaosMesh{Manifest: "m.yaml", CannotRevert: c.final, Content: c.content}, time.Minute)
	if len(found) != len(c.want) {
		t.Errorf("%d mistakes, want %d: %v", len(found), len(c.want), found.asError())
	}
	for _, want := range c.want {
		place, rest, _ := strings.Cut(want, " ")
		summary, detail, _ := strings.Cut(rest, ": ")
		if !slices.ContainsFunc(found, func(m mistake) bool {
			return fmt.Sprintf("%d:%d", m.line, m.column) == place && m.summary == summary && strings.Contains(strings.ToLower(m.detail), strings.ToLower(detail))
		}) {
			t.Errorf("want %s\n got %v", want, found.asError())
		}
	}
}

// badManifests are wrong in how they are written, all but one.
var badManifests = map[string]manifestCase{
	"nothing":         {"# nothing yet\n", false, []string{"1:1 No object: There is nothing in this file"}},
	"a text":          {"hello\n", false, []string{"1:1 No object: This is a text"}},
	"no yaml":         {"kind: [PodChaos\nspec: {}\n", false, []string{"1:1 Invalid YAML: "}},
	"tabs":            {"kind: PodChaos\n\tspec: 1\n", false, []string{"2:1 Invalid YAML: Found a tab character that violates indentation."}},
	"two objects":     {chosenManifest + "---\n" + chosenManifest, false, []string{"9:1 Second object: one object"}},
	"two, one empty":  {"---\n# nothing\n---\n" + chosenManifest + "---\n", false, nil},
	"no kind":         {"apiVersion: chaos-mesh.org/v1alpha1\n", false, []string{"1:1 No kind: kind is one of AWSChaos"}},
	"another API":     {"apiVersion: v1\nkind: Pod\n", false, []string{`1:13 Unknown apiVersion: "v1" is not`}},
	"unknown kind":    {"apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChoas\n", false, []string{`2:7 Unknown kind: Did you mean "PodChaos"?`}},
	"a list":          {"apiVersion: chaos-mesh.org/v1alpha1\nkind: PodChaosList\n", false, []string{`2:7 Unknown kind: "PodChaosList"`}},
	"misspelt":        {chosenManifest + "  containerName: [web]\n", false, []string{`8:3 Unknown field: Did you mean "containerNames"?`}},
	"misplaced":       {podManifest + "  selector: {labelSelectors: {app: web}, mode: all}\n", false, []string{`7:42 Unknown field: Did you mean "nodes"?`}},
	"misplaced, far":  {podManifest + "  labelSelectors: {app: web}\n  selector: {pods: {shop: [a]}}\n", false, []string{"7:3 Misplaced field: it belongs to spec.selector."}},
	"repeated":        {chosenManifest + "  mode: one\n", false, []string{"8:3 Repeated field: spec.mode stands in line 6 already"}},
	"number for text": {chosenManifest + "  value: 5\n", false, []string{`8:10 Wrong type: spec.value is a text, and this is a number. Put it into quotes: "5".`}},
	"text for number": {chosenManifest + "  gracePeriod: \"5\"\n", false, []string{"8:16 Wrong type: spec.gracePeriod is a whole number, and this is a text"}},
	"fraction":        {chosenManifest + "  gracePeriod: 5.5\n", false, []string{"8:16 Wrong type: a whole number"}},
	"too large":       {networkManifest + "  bandwidth: {rate: 1mbps, limit: 5000000000, buffer: 1}\n", false, []string{"8:35 Number out of range: 32 bits"}},
	"list for object": {podManifest + "  selector: [a]\n", false, []string{"7:13 Wrong type: spec.selector is an object, and this is a list"}},
	"object for list": {chosenManifest + "  containerNames: {a: b}\n", false, []string{"8:19 Wrong type: a list"}},
	"text for list":   {podManifest + "  selector: {labelSelectors: {app: web}, namespaces: shop}\n", false, []string{"7:54 Wrong type: a list"}},
	"yes":             {"apiVersion: chaos-mesh.org/v1alpha1\nkind: HTTPChaos\nmetadata: {namespace: shop}\nspec: {mode: all, selector: {labelSelectors: {a: b}}, target: Request, port: 80, abort: yes}\n", false, []string{"4:89 Wrong type: true or false"}},
	"empty":           {chosenManifest + "  value:\n", false, []string{"8:9 Empty field: spec.value has no value"}},
	"alias":           {chosenManifest + "  value: &a \"5\"\n", false, []string{"8:10 Alias: Write out"}},
	"unknown word":    {strings.Replace(chosenManifest, "pod-failure", "pod-failur", 1), false, []string{`5:11 Unknown value: Did you mean "pod-failure"?`}},
	"missing":         {strings.Replace(chosenManifest, "  mode: all\n", "", 1), false, []string{"5:3 Missing field: spec needs mode"}},
}

// refusedManifests are written well, and wrong in what they say, all but one.
var refusedManifests = map[string]manifestCase{
	"no namespace":      {strings.Replace(chosenManifest, "{namespace: shop}", "{name: x}", 1), false, []string{"3:1 No namespace: Say in which namespace"}},
	"no metadata":       {strings.Replace(chosenManifest, "metadata: {namespace: shop}\n", "", 1), false, []string{"1:1 No namespace: Say in which namespace"}},
	"protected":         {strings.Replace(chosenManifest, "shop", "kube-system", 1), false, []string{"3:12 Protected namespace: kube-system"}},
	"reaches protected": {podManifest + "  selector: {namespaces: [shop, kube-public], labelSelectors: {app: web}}\n", false, []string{"7:14 Protected namespace: kube-public"}},
	"pods there":        {podManifest + "  selector: {pods: {kube-system: [coredns-0]}}\n", false, []string{"7:21 Protected namespace: kube-system"}},
	"selects all":       {podManifest + "  selector: {}\n", false, []string{"7:3 Selects everything: Every pod in the namespace shop"}},
	"all of a phase":    {podManifest + "  selector: {namespaces: [a, b], podPhaseSelectors: [Running]}\n", false, []string{"7:3 Selects everything: Every pod in a, b"}},
	"target too":        {networkManifest + "  target: {mode: all, selector: {namespaces: [bank]}}\n  delay: {latency: 1s}\n", false, []string{"8:23 Selects everything: Every pod in bank"}},
	"status":            {chosenManifest + "status: {experiment: {}}\n", false, []string{"8:1 Status given: Remove status"}},
	"paused":            {strings.Replace(chosenManifest, "{namespace: shop}", `{namespace: shop, annotations: {experiment.chaos-mesh.org/pause: "true"}}`, 1), false, []string{"3:43 Paused: Remove the annotation"}},
	"forced":            {strings.Replace(chosenManifest, "{namespace: shop}", `{namespace: shop, annotations: {chaos-mesh.chaos-mesh.org/cleanFinalizer: forced}}`, 1), false, []string{"3:43 Not lifted: leaves its fault where it is"}},
	"aborted":           {strings.Replace(chosenManifest, "{namespace: shop}", `{namespace: shop, annotations: {workflow.chaos-mesh.org/abort: "true"}}`, 1), false, []string{"3:43 Aborted: Remove the annotation"}},
	"ours":              {strings.Replace(chosenManifest, "{namespace: shop}", `{namespace: shop, labels: {gameday/run: mine}}`, 1), false, []string{"3:38 Reserved: gameday/run"}},
	"generated":         {strings.Replace(chosenManifest, "{namespace: shop}", `{namespace: shop, generateName: x}`, 1), false, []string{"3:29 Name generated: "}},
	"finalizers":        {strings.Replace(chosenManifest, "{namespace: shop}", `{namespace: shop, finalizers: [a/b]}`, 1), false, []string{"3:29 Not for an author: metadata.finalizers"}},
	"elsewhere":         {chosenManifest + "  remoteCluster: other\n", false, []string{"8:3 Another cluster: "}},
	"longer":            {chosenManifest + "  duration: 10m\n", false, []string{"8:3 Longer than the fault: the fault stands for 1m0s"}},
	"shorter":           {chosenManifest + "  duration: 10s\n", false, []string{"8:3 Shorter than the fault: "}},
	"as long":           {chosenManifest + "  duration: 60s\n", false, nil},
	"no duration":       {chosenManifest + "  duration: soon\n", false, []string{"8:3 Invalid duration: ", "8:3 Refused by Chaos Mesh: "}},
	"negative":          {chosenManifest + "  duration: -5s\n", false, []string{"8:3 Duration out of range: "}},
	"kill":              {strings.Replace(chosenManifest, "pod-failure", "pod-kill", 1), false, []string{"5:3 No way back: cannot_revert = true"}},
	"kill for a while":  {strings.Replace(chosenManifest, "pod-failure", "pod-kill", 1) + "  duration: 5s\n", true, []string{"8:3 No duration here: "}},
	"no kill":           {chosenManifest, true, []string{"2:1 Can be reverted: Remove cannot_revert"}},
}

// TestManifestMistakes says what bad manifests get: where, and what.
func TestManifestMistakes(t *testing.T) {
	for _, cases := range []map[string]manifestCase{badManifests, refusedManifests} {
		for name, c := range cases {
			t.Run(name, c.hasMistakes)
		}
	}
}

// TestManifestRefusedThere says what manifests get that Chaos Mesh itself would refuse, and those with others inside.
func TestManifestRefusedThere(t *testing.T) {
	for name, c := range map[string]manifestCase{
		"webhook":              {strings.Replace(chosenManifest, "pod-failure", "container-kill", 1), true, []string{"4:1 Refused by Chaos Mesh: the name of container is required"}},
		"webhook, field":       {networkManifest + "  delay: {latency: 1s, correlation: high}\n", false, []string{"8:24 Refused by Chaos Mesh: parse correlation field error"}},
		"webhook, embedded":    {networkManifest + "  value: \"0\"\n  target: {mode: fixed, value: \"0\", selector: {labelSelectors: {a: b}}}\n  delay: {latency: 1s}\n", false, []string{"9:25 Refused by Chaos Mesh: value must be greater than 0"}},
		"schedule":             {strings.Replace(example(t, "Schedule"), "*/2 * * * *", "every now and then", 1), false, []string{"8:3 Refused by Chaos Mesh: parse schedule field error"}},
		"schedule, longer":     {strings.Replace(example(t, "Schedule"), "duration: 30s", "duration: 30m", 1), false, []string{"16:5 Longer than the fault: spec.podChaos.duration is 30m0s"}},
		"workflow":             {strings.Replace(example(t, "Workflow"), "entry: all", "entry: everything", 1), false, []string{"11:7 Longer than the fault: spec.templates[0].deadline is 4m0s", "7:3 Refused by Chaos Mesh: can not find a template with name everything"}},
		"workflow, everything": {strings.Replace(strings.Replace(example(t, "Workflow"), "          labelSelectors: {app: web}\n        delay", "          podPhaseSelectors: [Running]\n        delay", 1), "4m", "1m", 1), false, []string{"20:9 Selects everything: "}},
	} {
		t.Run(name, c.hasMistakes)
	}
}

// TestPage reads the manifest on the page of chaos_mesh.
func TestPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "faults", "chaos_mesh.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	content, _, closed := strings.Cut(rest, "```")
	if !closed {
		t.Fatal("the page shows no manifest")
	}
	if err := manifestMistakes(&cluster.ChaosMesh{Manifest: "cart.yaml", Content: content}, time.Minute).asError(); err != nil {
		t.Error(err)
	}
}
