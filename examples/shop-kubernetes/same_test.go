package shopkubernetes

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"gopkg.in/yaml.v3"
)

// TestSame holds the game day on Kubernetes to the text of the one in the lab, but for what must differ: the lab itself, what the
// targets' selectors are, and where traffic runs.
func TestSame(t *testing.T) {
	var rest []string
	for file, want := range map[string]map[string]int{
		"../shop/game-day.hcl": {"lab": 1, "process": 1, "node": 1},
		"game-day.hcl":         {"pods": 2, "run_on": 3},
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f, diags := hclwrite.ParseConfig(text, file, hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		taken := map[string]int{}
		take := func(body *hclwrite.Body, kinds ...string) {
			for _, b := range body.Blocks() {
				if len(kinds) == 0 || slices.Contains(kinds, b.Type()) {
					body.RemoveBlock(b)
					taken[b.Type()]++
				}
			}
		}
		take(f.Body(), "lab")
		for _, scenario := range f.Body().Blocks() {
			if scenario.Type() != "scenario" {
				continue
			}
			take(scenario.Body(), "kubernetes")
			for _, b := range scenario.Body().Blocks() {
				switch b.Type() {
				case "target":
					take(b.Body())
				case "traffic":
					take(b.Body(), "run_on")
				}
			}
		}
		for _, kind := range []string{"lab", "process", "node", "pods", "kubernetes", "run_on"} {
			if taken[kind] != want[kind] {
				t.Errorf("%s has %d of its own: %s, want %d", file, taken[kind], kind, want[kind])
			}
		}
		rest = append(rest, words(string(f.Bytes())))
	}
	if rest[0] != rest[1] {
		t.Errorf("they differ in more than that:\n%s\n---\n%s", rest[0], rest[1])
	}
	if len(rest[0]) < 3000 {
		t.Error("hardly anything was compared")
	}
}

// words returns a text without comments that take a line, and with one space between words.
func words(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			out = append(out, strings.Fields(line)...)
		}
	}
	return strings.Join(out, " ")
}

// TestRunners holds the runners to the image that the manifests have for gameday, and to the namespace in which it may start them.
func TestRunners(t *testing.T) {
	var k struct {
		Resources []string
		Images    []struct {
			Name    string
			NewName string `yaml:"newName"`
			NewTag  string `yaml:"newTag"`
		}
	}
	text, err := os.ReadFile("kustomization.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &k)
	}
	if err != nil || !slices.Contains(k.Resources, "../../deploy/kubernetes/load") {
		t.Fatalf("nothing allows to send traffic from the cluster: %q, %v", k.Resources, err)
	}
	image := ""
	for _, i := range k.Images {
		if i.Name == "gameday" {
			image = i.NewName + ":" + i.NewTag
		}
	}
	text, err = os.ReadFile("game-day.hcl")
	if err != nil {
		t.Fatal(err)
	}
	f, diags := hclwrite.ParseConfig(text, "game-day.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	for _, traffic := range f.Body().FirstMatchingBlock("scenario", []string{"shop-game-day"}).Body().Blocks() {
		if traffic.Type() != "traffic" {
			continue
		}
		on := traffic.Body().FirstMatchingBlock("run_on", []string{"jobs"})
		if on == nil {
			t.Errorf("traffic %q is not sent by Jobs", traffic.Labels())
			continue
		}
		for name, want := range map[string]string{"image": image, "namespace": "gameday"} {
			a := on.Body().GetAttribute(name)
			if a == nil || strings.TrimSpace(string(a.Expr().BuildTokens(nil).Bytes())) != strconv.Quote(want) {
				t.Errorf("traffic %q does not have %s = %q", traffic.Labels(), name, want)
			}
		}
	}
}

// TestScripts holds the links to the shop's scripts to being links, for whoever runs the scenario from here.
func TestScripts(t *testing.T) {
	for _, name := range []string{"browse.js", "buy.js", "lib.js", "receipts.js"} {
		if to, err := os.Readlink(name); err != nil || to != "../shop/"+name {
			t.Errorf("%s leads to %q: %v", name, to, err)
		}
	}
}
