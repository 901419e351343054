package k6

import (
	"errors"
	"testing"
	"time"

	"gameday/loadgen"
)

// TestKeptExecutorsInSegments runs a script's own executors by two processes: k6 takes them apart, and one that has nothing to
// do leaves the stream to the other.
func TestKeptExecutorsInSegments(t *testing.T) {
	for name, test := range map[string]struct {
		options string
		want    uint64
	}{
		"rate":          {`{ executor: 'constant-arrival-rate', rate: 30, duration: '2s', preAllocatedVUs: 10 }`, 60},
		"nothing to do": {`{ executor: 'shared-iterations', vus: 1, iterations: 7 }`, 7},
	} {
		t.Run(name, func(t *testing.T) {
			target := newTarget(t)
			path := write(t, "s.js", `import http from 'k6/http';
export const options = { scenarios: { a: `+test.options+` } };
export default function () { http.get('`+target.URL+`'); }`)
			ready := make(chan struct{})
			completed := uint64(0)
			err := loadgen.Fleet{Generator: engine()}.Run(t.Context(), loadgen.Spec{
				Stream: "s", Script: path, KeepExecutors: true, Factor: 1, Dir: t.TempDir(), SetupWithin: 60 * time.Second,
				Commands: make(chan loadgen.Command), Ready: func() { close(ready) },
				Generators: []loadgen.Node{{SSH: loadgen.Here}, {SSH: loadgen.Here}},
			}, func(w loadgen.Window) { completed += w.Completed })
			if !errors.Is(err, loadgen.ErrEnded) {
				t.Errorf("it ended with %v", err)
			}
			select {
			case <-ready:
			default:
				t.Error("it was never ready")
			}
			if completed+1 < test.want || completed > test.want+1 || completed != uint64(target.hits.Load()) {
				t.Errorf("%d iterations and %d requests, want %d", completed, target.hits.Load(), test.want)
			}
		})
	}
}
