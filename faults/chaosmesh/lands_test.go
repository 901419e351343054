package chaosmesh

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
)

// TestMostOf bounds how many a mode hits.
func TestMostOf(t *testing.T) {
	for _, c := range []struct {
		mode  v1alpha1.SelectorMode
		value string
		of    int
		want  int
	}{
		{v1alpha1.OneMode, "", 5, 1}, {v1alpha1.OneMode, "", 0, 0}, {v1alpha1.AllMode, "", 5, 5},
		{v1alpha1.FixedMode, "3", 5, 3}, {v1alpha1.FixedMode, "9", 5, 5}, {v1alpha1.FixedMode, "three", 5, 5},
		{v1alpha1.FixedPercentMode, "50", 5, 3}, {v1alpha1.FixedPercentMode, "1", 5, 1}, {v1alpha1.FixedPercentMode, "100", 5, 5},
		{v1alpha1.RandomMaxPercentMode, "40", 5, 2}, {v1alpha1.RandomMaxPercentMode, "140", 5, 5}, {"", "", 5, 5},
	} {
		if got := mostOf(c.mode, c.value, c.of); got != c.want {
			t.Errorf("%s %s of %d hits %d, want %d", c.mode, c.value, c.of, got, c.want)
		}
	}
}

// TestPhases reads the words by which pods are selected by their phase.
func TestPhases(t *testing.T) {
	all := []corev1.PodPhase{corev1.PodPending, corev1.PodRunning, corev1.PodSucceeded, corev1.PodFailed}
	for _, c := range []struct {
		words []string
		want  string
	}{
		{nil, "Pending Running Succeeded Failed"}, {[]string{"Running"}, "Running"}, {[]string{"Running", "Pending"}, "Pending Running"},
		{[]string{"!Pending"}, "Running Succeeded Failed"}, {[]string{"Running,!Failed"}, "Running"}, {[]string{"a=b"}, "no phase"},
	} {
		in, err := phases(c.words)
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q: %v", c.words, err)
			}
			continue
		}
		var got []string
		for _, p := range all {
			if in(p) {
				got = append(got, string(p))
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q means %q, want %s", c.words, got, c.want)
		}
	}
}

// TestNetworksOf says which networks a NetworkChaos reaches beside pods.
func TestNetworksOf(t *testing.T) {
	block := netip.MustParsePrefix("10.9.0.0/16")
	for _, c := range []struct {
		name string
		spec v1alpha1.NetworkChaosSpec
		want []netip.Prefix
	}{
		{"no other side", v1alpha1.NetworkChaosSpec{}, everywhere},
		{"pods", v1alpha1.NetworkChaosSpec{Target: &v1alpha1.PodSelector{}}, []netip.Prefix{}},
		{"addresses", v1alpha1.NetworkChaosSpec{ExternalTargets: []string{"10.9.3.4/16", "192.0.2.1"}}, []netip.Prefix{block, netip.MustParsePrefix("192.0.2.1/32")}},
		{"a name", v1alpha1.NetworkChaosSpec{ExternalTargets: []string{"10.9.3.4/16", "db.example"}}, everywhere},
	} {
		if got := networksOf(&c.spec); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if got := pathsIn(map[string]any{"volumePath": "/data/", "path": "/data/*.db", "stressngStressors": "--hdd 1 --temp-path /scratch", "n": int64(3),
		"l": []any{"a/b", "/x", "--hdd 1 --temp-path=/spare/", "a=b=/y"}}); !slices.Equal(got, []string{"/data", "/data/*.db", "/scratch", "/spare", "/x", "/y"}) {
		t.Errorf("paths %q", got)
	}
}

// TestNobodyYet calls what is made later unknown where its selector finds nobody now, and what is made at once harmless.
func TestNobodyYet(t *testing.T) {
	c := bad(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(tree{"apiVersion": "v1", "kind": "PodList", "metadata": tree{}, "items": []any{}})
	}))
	kill := tree{"mode": "all", "action": "pod-kill", "selector": tree{"labelSelectors": tree{"app": "tomorrow"}}}
	for kind, row := range map[string]struct {
		spec tree
		want string
	}{
		"PodChaos": {kill, ""},
		"Schedule": {tree{"schedule": "@every 5s", "type": "PodChaos", "concurrencyPolicy": "Forbid", "historyLimit": 1, "podChaos": kill},
			"what spec.podChaos.selector selects will be known when its fault is made: it finds no pod now"},
	} {
		r, err := c.lands(t.Context(), manifestOf(t, tree{"apiVersion": "chaos-mesh.org/v1alpha1", "kind": kind, "metadata": tree{"namespace": "shop"}, "spec": row.spec}, false))
		if err != nil || len(r.Selections) != 1 || strings.Join(r.Unknown, "; ") != row.want {
			t.Errorf("%s: %v, %+v, want %q to be unknown", kind, err, r, row.want)
		}
	}
}
