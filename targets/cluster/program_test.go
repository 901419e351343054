package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/faults"
	"gameday/faults/cluster"
	"gameday/faults/find"
	"gameday/faults/guard"
	"gameday/programs"
)

// programVariable makes the test binary the program that speaks to clusters: the protocol is the real one, and the cluster is none.
const programVariable = "TEST_CLUSTER_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programVariable) == "" {
		os.Exit(m.Run())
	}
	args := os.Args[1:]
	if len(args) > 0 && args[0] == cluster.RevertVerb {
		os.Exit(cluster.RevertMain(toys(), args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	p := guard.Program{Kinds: toys(), Find: answer}
	os.Exit(p.Main(args, os.Stdin, os.Stdout, os.Stderr))
}

// answer answers as gameday-kubernetes would of a cluster with one pod, and with context "slow" not at all.
func answer(ctx context.Context, query json.RawMessage) (json.RawMessage, error) {
	var q cluster.Query
	if err := json.Unmarshal(query, &q); err != nil {
		return nil, err
	}
	switch {
	case q.Access.Context == "slow":
		<-ctx.Done()
		return nil, ctx.Err()
	case q.Access.Context == "wrong":
		return nil, fmt.Errorf("there is no such context in %s", q.Access.Kubeconfig)
	case q.Access.Context == "garbled":
		return json.RawMessage(`"?"`), nil
	}
	return json.Marshal(find.Result{Found: []find.Found{{Text: q.Pods.Namespace + "/web", Place: faults.Place{Cluster: &faults.Cluster{Access: q.Access}}}}})
}

// toys are kinds whose reverts do as their entries' configs say.
func toys() []faults.Kind {
	return []faults.Kind{{Name: "toy", RevertInCluster: func(ctx context.Context, e faults.Entry) error {
		var how string
		if err := json.Unmarshal(e.Config, &how); err != nil {
			return err
		}
		switch how {
		case "stuck":
			return errors.New("finalizer chaos-mesh/records stays")
		case "noted":
			faults.Note(ctx, "one pod is gone")
		case "patient":
			end, limited := ctx.Deadline()
			if !limited || time.Until(end) > 20*time.Second {
				return fmt.Errorf("the limit is not told: %v %v", end, limited)
			}
		case "panics":
			panic("toy")
		}
		return nil
	}}, {Name: "elsewhere"}}
}

func open(t *testing.T) *Program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(programVariable, "1")
	p := &Program{Path: self}
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

// TestFind asks, and asks again of a program that was killed meanwhile.
func TestFind(t *testing.T) {
	p := open(t)
	q := cluster.Query{Access: faults.Access{Context: "stage"}, Pods: &cluster.Pods{Namespace: "shop"}}
	for range 2 {
		r, err := p.Find(t.Context(), q)
		if err != nil || len(r.Found) != 1 || r.Found[0].Text != "shop/web" || r.Found[0].Place.Cluster.Context != "stage" {
			t.Fatalf("%+v, %v", r, err)
		}
		c, err := p.Guard(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(c.PID(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-c.Ended()
	}
}

func TestAnswers(t *testing.T) {
	p := open(t)
	if _, err := p.Guard(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx := ends{t.Context(), time.Now().Add(2 * time.Second)} // of which the program leaves us a part to hear it in, too short a one on a busy machine
	for _, row := range []struct {
		ctx           context.Context
		context, want string
	}{
		{t.Context(), "wrong", "context wrong: there is no such context in k"},
		{ctx, "slow", "context slow: context deadline exceeded"}, // the program's own words: it gives up before we do
		{t.Context(), "garbled", "reading what gameday-kubernetes answers"},
	} {
		_, err := p.Find(row.ctx, cluster.Query{Access: faults.Access{Kubeconfig: "k", Context: row.context}, Pods: &cluster.Pods{}})
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.context, err, row.want)
		}
	}
}

// ends is a context that says when it ends, and does not end before an answer has come; but whoever asks then hears that it is over.
type ends struct {
	context.Context
	at time.Time
}

func (c ends) Deadline() (time.Time, bool) { return c.at, true }

func (c ends) Err() error { return context.DeadlineExceeded }

// TestScratch looks at what somebody who only looks leaves: nothing.
func TestScratch(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	p := open(t)
	c, err := p.Guard(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	welcome, err := c.Hello(t.Context())
	if err != nil || filepath.Dir(welcome.Ledger) != tmp {
		t.Fatalf("the ledger is %q, %v", welcome.Ledger, err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) > 0 {
		t.Fatalf("left: %v, %v", left, err)
	}
}

// TestScratchLeft: what somebody left who was killed goes when the next one looks, and what a living process holds stays.
func TestScratchLeft(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	left := filepath.Join(tmp, scratchPrefix+"left")
	if err := os.MkdirAll(filepath.Join(left, "ledger"), 0o700); err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	link := filepath.Join(tmp, scratchPrefix+"link")
	if err := os.Symlink(elsewhere, link); err != nil {
		t.Fatal(err)
	}
	held, err := newScratch()
	if err != nil {
		t.Fatal(err)
	}
	watched := 0
	p := open(t)
	p.Watch = func() func() { watched++; return func() { watched-- } }
	if _, err := p.Guard(t.Context()); err != nil || watched != 1 {
		t.Fatalf("%v, watched %d", err, watched)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("what nobody holds is there")
	}
	for _, dir := range []string{held.dir, link, elsewhere} {
		if _, err := os.Lstat(dir); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if err := p.Close(t.Context()); err != nil || watched != 0 {
		t.Fatalf("%v, watched %d", err, watched)
	}
	if err := held.remove(); err != nil {
		t.Fatal(err)
	}
	if rest, err := filepath.Glob(filepath.Join(tmp, scratchPrefix+"*")); err != nil || len(rest) != 1 {
		t.Errorf("left: %v, %v", rest, err)
	}
}

func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := (&Program{}).Guard(t.Context())
	if !errors.Is(err, programs.ErrMissing) || !strings.Contains(err.Error(), "make build") {
		t.Fatal(err)
	}
	err = Kinds([]faults.Kind{{Name: "toy"}})[0].RevertInCluster(t.Context(), faults.Entry{})
	if !errors.Is(err, programs.ErrMissing) {
		t.Fatal(err)
	}
}

func TestSameVersion(t *testing.T) {
	for _, row := range []struct {
		theirs, ours string
		same         bool
	}{
		{"v1.2.0", "v1.2.0", true}, {"v1.2.1", "v1.2.0", false}, {"(devel)", "v1.2.0", true}, {"v1.2.0", "unknown", true}, {"", "v1.2.0", true},
	} {
		err := sameVersion("/bin/x", row.theirs, row.ours)
		if (err == nil) != row.same {
			t.Errorf("%s beside %s: %v", row.theirs, row.ours, err)
		}
		if err != nil && (!strings.Contains(err.Error(), row.theirs) || !strings.Contains(err.Error(), row.ours)) {
			t.Errorf("the versions are not named: %v", err)
		}
	}
}

func TestRevertEntry(t *testing.T) {
	self := open(t).Path
	in := faults.Place{Name: "web", Cluster: &faults.Cluster{}}
	for _, row := range []struct {
		kind, how string
		place     faults.Place
		note      string
		want      string
	}{
		{"toy", "fine", in, "", ""},
		{"toy", "noted", in, "one pod is gone", ""},
		{"toy", "patient", in, "", ""},
		{"toy", "stuck", in, "", "finalizer chaos-mesh/records stays"},
		{"toy", "panics", in, "", "toy"},
		{"toy", "fine", faults.Place{Name: "web"}, "", "web is in no cluster"},
		{"elsewhere", "fine", in, "", "cannot revert elsewhere"},
		{"nothing", "fine", in, "", `has no fault kind "nothing"`},
	} {
		note := ""
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		ctx = faults.WithNote(ctx, func(text string) { note = text })
		config, err := json.Marshal(row.how)
		if err != nil {
			t.Fatal(err)
		}
		err = RevertEntry(ctx, self, faults.Entry{ID: "1", Kind: row.kind, Config: config, Place: row.place})
		cancel()
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) || note != row.note {
			t.Errorf("%s %s: %v, note %q; want %q, note %q", row.kind, row.how, err, note, row.want, row.note)
		}
	}
	if err := RevertEntry(t.Context(), "/bin/true", faults.Entry{}); err == nil {
		t.Error("a program that says nothing reverted it")
	}
}
