package deploy

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gameday/internal/kuberig"
)

// base is the folder that `kubectl apply -k` takes.
const base = "kubernetes"

// TestApply gives a real API server everything as a user would: for trial, then for good, and then a game day is made of the
// schedule. Nothing may be warned of: the namespace asks for the profile "restricted".
func TestApply(t *testing.T) {
	c := kuberig.Start(t, kuberig.Options{Controllers: kuberig.Workloads})
	want := strings.Count(rendered(t, c), "\nkind: ")
	kubectl := func(args ...string) string {
		t.Helper()
		out, err := c.Kubectl(t.Context(), "", args...)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out, "Warning") {
			t.Errorf("kubectl %s warns:\n%s", strings.Join(args, " "), out)
		}
		return out
	}
	// A namespace that only a trial has made holds nothing, so these are there.
	kubectl("apply", "-f", base+"/base/namespace.yaml")
	kubectl("create", "namespace", "shop")
	trial := kubectl("apply", "--dry-run=server", "--validate=strict", "-k", base)
	t.Log("\n" + trial)
	if n := strings.Count(trial, "(server dry run)"); n != want || n < 12 {
		t.Errorf("%d objects were tried, want %d", n, want)
	}
	kubectl("apply", "--validate=strict", "-k", base)
	if again := kubectl("apply", "-k", base); strings.Count(again, "unchanged") != want {
		t.Errorf("applied once more, something changes:\n%s", again)
	}

	if _, err := c.Kubectl(t.Context(), "", "-n", "gameday", "run", "bare", "--image=gameday"); err == nil || !strings.Contains(err.Error(), "restricted") {
		t.Errorf("a pod without any of it is admitted, so that nothing is shown by the game day's being admitted: %v", err)
	}
	kubectl("apply", "--dry-run=server", "--validate=strict", "-f", base+"/records.yaml")
	kubectl("-n", "gameday", "create", "job", "today", "--from=cronjob/game-day")
	// It is the Job's controller that makes the pod, and the server's own pod security that admits it.
	path := "/api/v1/namespaces/gameday/pods?labelSelector=batch.kubernetes.io/job-name%3Dtoday"
	var pods struct {
		Items []struct{ Spec map[string]any }
	}
	kuberig.Eventually(t, 20*time.Second, "the Job has a pod", func() bool { return c.Get(path, &pods) == nil && len(pods.Items) == 1 })
	if got := pods.Items[0].Spec["terminationGracePeriodSeconds"]; got != float64(660) {
		t.Errorf("the pod's grace is %v", got)
	}
	var config struct{ Data map[string]string }
	name := regexp.MustCompile(`scenario-\w+`).FindString(rendered(t, c))
	if err := c.Get("/api/v1/namespaces/gameday/configmaps/"+name, &config); err != nil || config.Data["game-day.hcl"] == "" {
		t.Errorf("the scenario is not in ConfigMap %s: %v", name, err)
	}
	t.Run("copies", func(t *testing.T) { testCopies(t, kubectl) })
}

// testCopies adds the component that copies records to a bucket.
func testCopies(t *testing.T, kubectl func(...string) string) {
	dir := filepath.Join(t.TempDir(), "kubernetes")
	if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "kustomization.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString("components:\n  - copies\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	kubectl("apply", "--validate=strict", "-k", dir)
	const pod = "{.spec.jobTemplate.spec.template.spec"
	for path, want := range map[string]string{
		pod + ".containers[0].args}":                                            `["run","--copy-to=/var/lib/copies","--heal","--event","/scenario/game-day.hcl"]`,
		pod + `.containers[0].volumeMounts[?(@.name=="copies")].mountPath}`:     "/var/lib/copies",
		pod + `.volumes[?(@.name=="copies")].persistentVolumeClaim.claimName}`:  "copies",
		pod + `.volumes[?(@.name=="records")].persistentVolumeClaim.claimName}`: "records",
	} {
		if got := kubectl("-n", "gameday", "get", "cronjob", "game-day", "-o", "jsonpath="+path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

// rendered returns what kustomize makes of it.
func rendered(t *testing.T, c *kuberig.Cluster) string {
	t.Helper()
	out, err := c.Kubectl(t.Context(), "", "kustomize", base)
	if err != nil {
		t.Fatal(err)
	}
	return "\n" + out
}
