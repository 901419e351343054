package k6

import (
	"net"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"gameday/loadgen"
)

// Calls over gRPC are requests like those over HTTP, and a status other than OK is a failure.
func TestCountsGRPC(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)

	script := write(t, "s.js", `
import grpc from 'k6/net/grpc';
const client = new grpc.Client();
let connected = false;
export default function () {
  if (!connected) {
    client.connect(__ENV.TARGET, { plaintext: true, reflect: true });
    connected = true;
  }
  client.invoke('grpc.health.v1.Health/Check', { service: '' });
  client.invoke('grpc.health.v1.Health/Check', { service: 'nobody knows' });
}
`)
	s := begin(t, script, func(spec *loadgen.Spec) {
		spec.Rate = 20
		spec.Env = map[string]string{"TARGET": l.Addr().String()}
	})
	s.next(3)
	sum, err := s.stop()
	if err != nil {
		t.Fatal(err)
	}
	if sum.Requests == 0 || sum.Requests != sum.OK.Count+sum.Failed.Count || sum.Requests > 2*sum.Started {
		t.Errorf("%d requests in %d iterations, %d good and %d failed", sum.Requests, sum.Started, sum.OK.Count, sum.Failed.Count)
	}
	if sum.OK.Count == 0 || sum.OK.Count != sum.Failed.Count {
		t.Errorf("%d calls were good and %d failed, want half each", sum.OK.Count, sum.Failed.Count)
	}
	if sum.OK.Response.Quantile(0.5) <= 0 {
		t.Error("a call took no time")
	}
}

// k6 makes no sample of a call that runs out of its time; an iteration that got no answer to anything has failed all the same.
func TestCallsWithoutAnswerFail(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs("testdata/scripts/lib/unanswered.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, kept := range []bool{false, true} {
		b := openBazaar(t)
		a, err := runHere(t.Context(), b, script, kept)
		if err != nil {
			t.Fatal(err)
		}
		// One iteration in three is answered, one is not, and one asks nothing.
		if a.iterations < 9 || a.requests*3 < a.iterations*2-3 || a.requests*3 > a.iterations*2+3 || a.failed*2 < a.requests-2 || a.failed*2 > a.requests+2 {
			t.Errorf("of %d iterations come %d requests, %d of them failed (own executors: %v)", a.iterations, a.requests, a.failed, kept)
		}
	}
}
