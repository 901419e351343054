package remote_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/remote"
)

// patient is prepared at once and sends nothing, until its context ends.
type patient struct{}

func (patient) Check(context.Context, loadgen.Spec) []loadgen.Problem { return nil }

func (patient) Run(ctx context.Context, spec loadgen.Spec, _ func(loadgen.Window)) error {
	spec.Prepared()
	<-ctx.Done()
	return context.Cause(ctx)
}

// TestSilence checks that the far end goes on while it is asked, and stops when the near end neither says a word nor leaves.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, near := io.Pipe()
		far, out := io.Pipe()
		began, ended := time.Now(), make(chan error)
		go func() {
			ended <- remote.Serve("test", patient{}, in, out)
			out.Close()
		}()
		answers := make(chan int)
		go func() {
			n := 0
			for lines := bufio.NewScanner(far); lines.Scan(); {
				var l struct{ Answer *struct{ Probe int } }
				if json.Unmarshal(lines.Bytes(), &l) == nil && l.Answer != nil {
					n++
				}
			}
			answers <- n
		}()
		say := func(line string) {
			if _, err := io.WriteString(near, line+"\n"); err != nil {
				t.Error(err)
			}
		}
		say(`{"stream": {"version": "test", "spec": {"stream": "s", "rate": 1}}}`)
		for range 30 {
			time.Sleep(time.Second)
			say(`{"probe": 1}`)
		}
		err := <-ended
		if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "nothing was heard") || took != 30*time.Second+remote.Silence {
			t.Errorf("it ended after %s: %v", took, err)
		}
		if n := <-answers; n != 30 {
			t.Errorf("%d answers", n)
		}
		near.Close()
	})
}

// TestStrangers checks that what is no game day is told so.
func TestStrangers(t *testing.T) {
	for _, in := range []string{"", "hello\n", "{}\n", `{"probe": 1}` + "\n"} {
		if err := remote.Serve("test", patient{}, strings.NewReader(in), io.Discard); err == nil || !strings.Contains(err.Error(), "for gameday itself") {
			t.Errorf("%q: %v", in, err)
		}
	}
}
