package kubernetes

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gameday/internal/kuberig"
	"gameday/loadgen"
)

// TestLeast takes each verb of what runners need away, which is what the chart's roles allow (TestChart), and sees a stream miss it: it
// is told beforehand that all is allowed, so that what misses it is whatever the verb is for. Each is named in what is said or in what
// the stream ends with; what cannot be undone without is said to be left.
func TestLeast(t *testing.T) {
	c := kuberig.Start(t, kuberig.Options{NoChaosMesh: true, Controllers: kuberig.Workloads})
	for _, name := range []string{"load", "people"} {
		if err := c.Namespace(name); err != nil {
			t.Fatal(err)
		}
	}
	k := startKubelet(t, c)
	startOperator(t, k).mayBegin()
	// Runners of the operator's have the same addresses here, so that only those of one stream can be there.
	turns := map[string]chan struct{}{loadgen.Jobs: make(chan struct{}, 3), loadgen.K6Operator: make(chan struct{}, 1)}
	type outcome struct {
		kind, verb, told string
		err              error // that the stream ended with
		failed           error // it was not tried to the end
	}
	var all []*outcome
	var wait sync.WaitGroup
	for kind, turn := range turns {
		verbs := append([]string{""}, verbsOf(kind)...)
		slices.SortStableFunc(verbs, func(a, b string) int { return cmp.Compare(waits(b), waits(a)) }) // the longest first
		for i, verb := range verbs {
			user := kuberig.User{Name: fmt.Sprintf("least-%s-%d", kind, i), Namespace: "people", In: map[string][]kuberig.Rule{"load": rulesOf(kind, verb)}}
			config := c.SaysYes(t, c.Kubeconfig(t, user))
			o := &outcome{kind: kind, verb: verb}
			all = append(all, o)
			wait.Go(func() { o.told, o.err, o.failed = sendOnce(t, config, kind, turn) })
		}
	}
	wait.Wait()
	for _, o := range all {
		t.Run(o.kind+" without "+cmp.Or(o.verb, "nothing"), func(t *testing.T) {
			t.Logf("it ended with %v, and said:\n%s", o.err, o.told)
			if o.failed != nil {
				t.Fatal(o.failed)
			}
			judgeLeast(t, o.verb, o.told, o.err)
		})
	}
}

// undoes reports whether something is left without a verb. It is tried for a while, and then said.
func undoes(verb string) bool { return strings.HasPrefix(verb, "delete ") || verb == "list pods" }

// waits orders verbs by how long a stream without them takes.
func waits(verb string) int {
	if undoes(verb) {
		return 1
	}
	return 0
}

// sendOnce sends three seconds of traffic when its turn has come, if it comes to that, and returns what was said and how it ended. In any case
// its turn ends: the others wait for it.
func sendOnce(t *testing.T, kubeconfig, kind string, turn chan struct{}) (told string, err, failed error) {
	turn <- struct{}{}
	next := sync.OnceFunc(func() { <-turn })
	defer next()
	r, failed := tryAt(t, kubeconfig, loadgen.RunOn{Kind: kind}, func(int64) {})
	if failed != nil {
		return "", nil, failed
	}
	over := false
	select {
	case err = <-r.result:
		over = true
	case <-r.ready:
		failed = await("three seconds were sent", func() bool { return r.seconds() >= 3 })
		r.commands <- loadgen.Command{Stop: true}
	case <-time.After(time.Minute):
		failed = errors.New("it did not begin")
		r.commands <- loadgen.Command{Stop: true}
	}
	if kind == loadgen.K6Operator {
		failed = cmp.Or(failed, await("its runners answer no more", silent))
	}
	next()
	if !over {
		select {
		case err = <-r.result:
		case <-time.After(2 * time.Minute):
			failed = cmp.Or(failed, errors.New("it does not end"))
		}
	}
	return r.words(), err, failed
}

// await is kuberig.Eventually for any goroutine.
func await(what string, yes func() bool) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for !yes() {
		select {
		case <-tick.C:
		case <-limit:
			return fmt.Errorf("waited for a minute in vain until %s", what)
		}
	}
	return nil
}

// silent reports whether no runner of the operator's is there.
func silent() bool {
	for i := range 3 {
		if conn, err := net.Dial("tcp", port(i)); err == nil {
			_ = conn.Close()
			return false
		}
	}
	return true
}

// judgeLeast holds what a stream said to the verb that it was without; "" is none.
func judgeLeast(t *testing.T, verb, told string, err error) {
	t.Helper()
	all := told
	if err != nil {
		all += "\n" + err.Error()
	}
	if verb == "" {
		if err != nil || strings.Contains(all, "forbidden") || strings.Contains(all, "not everything") {
			t.Error("with all that is allowed it is not well")
		}
		return
	}
	does, what, _ := strings.Cut(verb, " ")
	if named := fmt.Sprintf("cannot %s resource %q", does, what); !strings.Contains(all, named) {
		t.Errorf("nobody says that somebody %s", named)
	}
	if creates := does == "create"; creates != (err != nil) {
		t.Errorf("it ended with %v", err)
	}
	if left := strings.Contains(all, "not everything that was made for the runners is gone"); left != undoes(verb) {
		t.Errorf("that something is left is said: %v", left)
	}
}
