package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"gameday/loadgen"
	"gameday/loadgen/collector"
)

// logged is a line of a log with its time.
type logged struct {
	at   time.Time
	text string
}

// keptLog serves a log as a kubelet does, from whole seconds on, and breaks off wherever it is told to.
type keptLog struct {
	lines []logged
	cuts  []int // bytes after which a connection breaks, one after the other
	asked int
}

func (n *keptLog) since(_ context.Context, _, _, _ string, since time.Time) (io.ReadCloser, error) {
	var out strings.Builder
	for _, l := range n.lines {
		if !l.at.Before(since.Truncate(time.Second)) {
			out.WriteString(l.at.Format(time.RFC3339Nano) + " " + l.text)
		}
	}
	text := out.String()
	if n.asked < len(n.cuts) {
		text = text[:min(len(text), n.cuts[n.asked])]
	}
	n.asked++
	return io.NopCloser(strings.NewReader(text)), nil
}

// TestLogReadAgain breaks off reading a log again and again: each line comes once and in order, also where several have one time, and
// where a line is longer than what is read at once.
func TestLogReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Date(2026, 11, 29, 6, 30, 0, 0, time.UTC)
		n := &keptLog{}
		want := ""
		for i := range rapid.IntRange(1, 30).Draw(t, "lines") {
			at = at.Add(rapid.SampledFrom([]time.Duration{0, 0, 1, 300 * time.Millisecond, time.Second, 10 * time.Second}).Draw(t, "later"))
			l := fmt.Sprintf("line %d%s\n", i, strings.Repeat("x", rapid.SampledFrom([]int{0, 10, 3 * lineBuffer}).Draw(t, "length")))
			n.lines = append(n.lines, logged{at, l})
			want += l
		}
		if !strings.Contains(want, strings.Repeat("x", lineBuffer)) {
			n.cuts = rapid.SliceOfN(rapid.IntRange(0, 3000), 0, 6).Draw(t, "cuts")
		}
		s, out := news(loadgen.Jobs)
		s.client = &client{logsSince: n.since}
		s.order.RunOn.Collector = loadgen.Logs
		f := &followed{s: s, pod: "p"}
		for range len(n.cuts) + 1 {
			if err := f.once(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
		got := ""
		for d := json.NewDecoder(out); ; {
			var one collector.News
			if err := d.Decode(&one); err != nil {
				break
			}
			if one.Log != nil {
				got += one.Log.Text
			}
		}
		if got != want {
			t.Fatalf("%d bytes came of %d", len(got), len(want))
		}
	})
}

// TestRunnersPod checks that a runner has one pod, the first: what is said to it is for that one, and another's log is not its.
func TestRunnersPod(t *testing.T) {
	s, _ := news(loadgen.Jobs)
	pod := func(name, uid string, n int) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: typesUID(uid), Labels: map[string]string{jobName: fmt.Sprintf("%s-%d", s.order.name, n)}}}
	}
	ended := pod("b", "2", 2)
	ended.Status.Phase = corev1.PodFailed
	s.state.look(s.order, []corev1.Pod{pod("a", "1", 1), pod("b", "2", 2)})
	s.state.look(s.order, []corev1.Pod{pod("a2", "3", 1), ended})
	if r := s.state.runner(0); r != (podOf{"a", "1"}) || s.state.runner(2).name != "" {
		t.Errorf("the first runner's pod is %v", r)
	}
	if !s.state.gone("a") || s.state.gone("b") || !s.state.ended("b") || s.state.ended("a2") {
		t.Error("who is there and who has ended is not known")
	}
}
