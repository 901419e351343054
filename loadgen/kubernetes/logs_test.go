package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"gameday/faults"
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

// brokenLog is a log of which every connection but the last breaks, after its first line.
type brokenLog struct {
	keptLog
	breaks int
	by     error
}

func (n *brokenLog) since(ctx context.Context, a, b, c string, since time.Time) (io.ReadCloser, error) {
	from, err := n.keptLog.since(ctx, a, b, c, since)
	if err != nil || n.asked > n.breaks {
		return from, err
	}
	text, _ := io.ReadAll(from)
	first, _, _ := strings.Cut(string(text), "\n")
	return io.NopCloser(io.MultiReader(strings.NewReader(first+"\n"), iotest.ErrReader(n.by))), nil
}

// TestLastReadBreaks has connections break while the rest of the log of a pod is read that has ended: it is not taken for read to its end.
func TestLastReadBreaks(t *testing.T) {
	for _, by := range []error{io.ErrUnexpectedEOF, errors.New("connection reset by peer")} {
		synctest.Test(t, func(t *testing.T) {
			at := time.Date(2026, 11, 29, 6, 30, 0, 0, time.UTC)
			n := &brokenLog{breaks: 2, by: by, keptLog: keptLog{lines: []logged{{at, "one\n"}, {at.Add(time.Millisecond), "two\n"}, {at.Add(time.Minute), "the end"}}}}
			s, out := news(loadgen.Jobs)
			s.client = &client{logsSince: n.since}
			s.order.RunOn.Collector = loadgen.Logs
			pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{jobName: s.order.name + "-1"}}, Status: corev1.PodStatus{Phase: corev1.PodSucceeded}}
			s.state.look(s.order, []corev1.Pod{pod})
			s.readToEnd(t.Context(), 0, "a")
			got := out.String()
			for _, want := range []string{`"one\n"`, `"two\n"`, `"the end"`, `"ended":1`, "cannot be read for now", by.Error(), "can be read again"} {
				if strings.Count(got, want) < 1 {
					t.Errorf("%s: %s is not in\n%s", by, want, got)
				}
			}
			if strings.Count(got, `"one\n"`) > 1 {
				t.Errorf("a line came twice:\n%s", got)
			}
		})
	}
}

// TestManyAreTold checks that as many runners as there may be are told three things, one after the other, within what a change may take: so it
// is when they are asked for their clocks, and then told of the begin.
func TestManyAreTold(t *testing.T) {
	const runners, rounds = 256, 3
	came := make(chan struct{}, runners)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if _, err := io.WriteString(w, `{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}}`); err != nil || q.Method != http.MethodPatch {
			t.Errorf("%s, %v", q.Method, err)
		}
		came <- struct{}{}
	}))
	defer api.Close()
	c, err := connect(faults.Access{Kubeconfig: kubeconfigOf(t, api.URL)})
	if err != nil {
		t.Fatal(err)
	}
	s, _ := news(loadgen.Jobs)
	s.client, s.order.RunOn.Parallelism = c, runners
	var all []corev1.Pod
	for i := range runners {
		all = append(all, corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("pod-", i), UID: "u", Labels: map[string]string{jobName: fmt.Sprintf("%s-%d", s.order.name, i+1)}}})
	}
	s.state.look(s.order, all)
	ctx, cancel := context.WithTimeout(t.Context(), loadgen.LogsLead)
	defer cancel()
	o := &orders{s: s, by: map[int]*ordered{}}
	for round := range rounds {
		for i := range runners {
			o.put(ctx, collector.Word{Runner: i, Orders: fmt.Sprint(round)})
		}
		for i := range runners {
			select {
			case <-came:
			case <-ctx.Done():
				t.Fatalf("in round %d only %d were told within %s", round, i, loadgen.LogsLead)
			}
		}
	}
}

// TestOrdersInConflict has the API server refuse orders because somebody else changed the pod in the same moment: they are sent again, and not
// left until they are renewed.
func TestOrdersInConflict(t *testing.T) {
	var mu sync.Mutex
	asked, done := 0, make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if asked++; asked == 1 {
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Conflict", "code": 409}`)
			return
		}
		fmt.Fprint(w, `{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}}`)
		close(done)
	}))
	defer api.Close()
	c, err := connect(faults.Access{Kubeconfig: kubeconfigOf(t, api.URL)})
	if err != nil {
		t.Fatal(err)
	}
	s, _ := news(loadgen.Jobs)
	s.client = c
	s.state.look(s.order, []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "u", Labels: map[string]string{jobName: s.order.name + "-1"}}}})
	ctx, cancel := context.WithTimeout(t.Context(), loadgen.LogsLead)
	defer cancel()
	(&orders{s: s, by: map[int]*ordered{}}).put(ctx, collector.Word{Orders: "stop"})
	select {
	case <-done:
	case <-ctx.Done():
		t.Error("the runner was not told")
	}
}
