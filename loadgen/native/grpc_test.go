package native

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"gameday/internal/portrig"
	"gameday/loadgen"
)

// healthDescriptor writes the descriptor set of grpc.health.v1, as protoc would.
func healthDescriptor(t *testing.T) string {
	t.Helper()
	set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{protodesc.ToFileDescriptorProto(healthpb.File_grpc_health_v1_health_proto)}}
	raw, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "health.binpb")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCall makes unary calls to a real server, right and wrong.
func TestCall(t *testing.T) {
	l, err := net.Listen("tcp", portrig.Address(t)) // at which nobody else is when it is gone
	if err != nil {
		t.Fatal(err)
	}
	watch := func(ctx context.Context, q any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		if got := md.Get("x-slow"); len(got) > 0 {
			<-ctx.Done()
			return nil, status.Error(codes.Canceled, "gone")
		}
		_ = grpc.SetHeader(ctx, metadata.Pairs("x-seen", strings.Join(md.Get("x-who"), "")))
		return next(ctx, q)
	}
	s := grpc.NewServer(grpc.UnaryInterceptor(watch))
	h := health.NewServer()
	h.SetServingStatus("shop", healthpb.HealthCheckResponse_NOT_SERVING)
	healthpb.RegisterHealthServer(s, h)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	descriptor := healthDescriptor(t)
	call := func(message string, change ...func(*loadgen.Request)) loadgen.Request {
		return get("http://"+l.Addr().String(), append([]func(*loadgen.Request){func(r *loadgen.Request) {
			r.Call = &loadgen.Call{Descriptor: descriptor, Method: "grpc.health.v1.Health/Check",
				Message: gaps(message)}
		}}, change...)...)
	}
	serving, not := "SERVING", "NOT_SERVING"
	tests := map[string]struct {
		requests []loadgen.Request
		right    uint64
		says     string
	}{
		"right": {[]loadgen.Request{call("",
			func(r *loadgen.Request) {
				r.Expect.JSON = []loadgen.JSONCheck{{Path: "status",
					Equals: &serving}}
			})}, 1, ""},
		"not as wished": {[]loadgen.Request{call(`{"service": "shop"}`,
			func(r *loadgen.Request) {
				r.Expect.JSON = []loadgen.JSONCheck{{Path: "status",
					Equals: &serving}}
			})}, 0, `status is "\"NOT_SERVING\""`},
		"unknown": {[]loadgen.Request{call(`{"service": "bank"}`)}, 0, "status 5 (unknown service)"},
		"unknown, right": {[]loadgen.Request{call(`{"service": "bank"}`,
			func(r *loadgen.Request) { r.Expect.Status = []int{5} })}, 1, ""},
		"too slow": {[]loadgen.Request{call("", func(r *loadgen.Request) {
			r.Timeout = 50 * time.Millisecond
			r.Headers = []loadgen.Header{{Name: "X-Slow", Value: loadgen.Literal("1")}}
		})}, 0, "no answer within"},
		"used again": {[]loadgen.Request{
			call("", func(r *loadgen.Request) {
				r.Headers = []loadgen.Header{{Name: "X-Who", Value: gaps("shop")}}
				r.Extract = []loadgen.Extract{{Name: "who", Header: "x-seen"}}
			}),
			call(`{"service": "${value.who}"}`, func(r *loadgen.Request) { r.Expect.JSON = []loadgen.JSONCheck{{Path: "status", Equals: &not}} }),
		}, 2, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, loadgen.Spec{Flows: flows(tt.requests...)})
			w := r.times(1)
			if said := strings.Join(r.said, "; "); w.OK.Count != tt.right || !strings.Contains(said, tt.says) || w.OK.Count+w.Failed.Count != w.Requests {
				t.Errorf("%d right, %d failed, said %q", w.OK.Count, w.Failed.Count, said)
			}
		})
	}
	l.Close()
	s.Stop()
	r := newRig(t, loadgen.Spec{Flows: flows(call(""))})
	if w := r.times(1); w.Failed.Count != 1 || !strings.Contains(strings.Join(r.said, ""), "status 14") {
		t.Errorf("a server that is gone: %d failed, said %q", w.Failed.Count, r.said)
	}
}

// TestBadCalls names what is wrong with a call before anything is sent.
func TestBadCalls(t *testing.T) {
	descriptor := healthDescriptor(t)
	text := filepath.Join(t.TempDir(), "x.proto")
	if err := os.WriteFile(text, []byte("syntax = \"proto3\";"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		call loadgen.Call
		says string
	}{
		"no descriptor": {loadgen.Call{Descriptor: "/nowhere.binpb", Method: "a.B/C"}, "no such file"},
		"a .proto":      {loadgen.Call{Descriptor: text, Method: "a.B/C"}, "is not a descriptor set"},
		"no method":     {loadgen.Call{Descriptor: descriptor, Method: "Check"}, "package.Service/Method"},
		"other service": {loadgen.Call{Descriptor: descriptor, Method: "shop.Cart/Add"},
			`no service "shop.Cart", but grpc.health.v1.Health`},
		"other method": {loadgen.Call{Descriptor: descriptor, Method: "grpc.health.v1.Health/Chekc"},
			`no method "Chekc", but Check`},
		"a stream": {loadgen.Call{Descriptor: descriptor, Method: "grpc.health.v1.Health/Watch"}, "is a stream"},
		"other message": {loadgen.Call{Descriptor: descriptor, Method: "grpc.health.v1.Health/Check",
			Message: gaps(`{"servic": "x"}`)}, "unknown field"},
		"not a message": {loadgen.Call{Descriptor: descriptor, Method: "grpc.health.v1.Health/Check",
			Message: gaps(`servic`)}, "is no grpc.health.v1.HealthCheckRequest"},
		"unknown values": {loadgen.Call{Descriptor: descriptor, Method: "grpc.health.v1.Health/Check",
			Message: gaps(`{"service": "${value.x}"}`)}, `extracts "x"`},
	} {
		q := get("http://127.0.0.1:1")
		q.Call = &tt.call
		problems := (&Engine{}).Check(t.Context(), loadgen.Spec{Flows: flows(q)})
		if len(problems) != 1 || !strings.Contains(problems[0].Detail, tt.says) {
			t.Errorf("%s: %+v", name, problems)
		}
	}
}
