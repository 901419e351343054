package native

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
)

// BenchmarkRequest is one iteration with one request against a server in the same process, by sixteen users at once.
func BenchmarkRequest(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_,
			_ = io.WriteString(w, "ok")
	}))
	defer s.Close()
	for name, wire := range map[string]loadgen.Wire{"HTTP1": {}} {
		b.Run(name, func(b *testing.B) {
			spec := loadgen.Spec{Flows: flows(get(s.URL)), Wire: wire}
			p, err := compile(spec)
			if err != nil {
				b.Fatal(err)
			}
			w, err := newWire(wire)
			if err != nil {
				b.Fatal(err)
			}
			tally := child.NewTally()
			tally.Open(time.Now())
			c, err := newCrew(p, w, sizeOf(spec), tally)
			if err != nil {
				b.Fatal(err)
			}
			b.SetParallelism(16)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				u := &user{c: c}
				defer u.hangUp()
				for pb.Next() {
					u.iterate(time.Now())
				}
			})
		})
	}
}
