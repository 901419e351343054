package k6

import (
	"net"
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
