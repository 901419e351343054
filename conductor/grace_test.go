package conductor

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"gameday/report/archive"
)

// TestGrace holds the time that Kubernetes gives a game day between SIGTERM and SIGKILL (deploy/kubernetes) to what gameday allows
// itself: to revert every fault in as many tries as it makes, to stop traffic and send runners home, to ask sources for their account of the run, to
// lift what has its label in the cluster, and to copy the record. Less would leave faults to their leases, or a run without its verdict.
func TestGrace(t *testing.T) {
	text, err := os.ReadFile("../deploy/kubernetes/base/cronjob.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var job struct {
		Spec struct {
			JobTemplate struct {
				Spec struct {
					Template struct {
						Spec struct {
							Grace int `yaml:"terminationGracePeriodSeconds"`
						}
					}
				}
			} `yaml:"jobTemplate"`
		}
	}
	if err := yaml.Unmarshal(text, &job); err != nil {
		t.Fatal(err)
	}
	grace := time.Duration(job.Spec.JobTemplate.Spec.Template.Spec.Grace) * time.Second
	// An injection that is under way is given up first; the guard's own end, the score and the Event take what is left.
	needed := revertTries*(revertLimit+clusterRevert) + stopPatience + dismissPatience + tellLimit + clusterLift + archive.Patience
	if grace < needed+time.Minute {
		t.Errorf("the pod is given %s; gameday may take %s, and needs some time to judge the run and to tell of it", grace, needed)
	}
	if grace > 2*needed {
		t.Errorf("the pod is given %s, and gameday never takes more than %s", grace, needed)
	}
	for file, said := range map[string]string{"cronjob": "terminationGracePeriodSeconds: ", "systemd": "TimeoutStopSec="} { // of `schedule export`
		text, err := os.ReadFile("../schedules/export/testdata/" + file + ".golden")
		if err != nil {
			t.Fatal(err)
		}
		if all, same := strings.Count(string(text), said), strings.Count(string(text), fmt.Sprint(said, grace.Seconds())); all == 0 || same != all {
			t.Errorf("%s: %d of %d give it %s", file, same, all, grace)
		}
	}
}
