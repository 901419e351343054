package native

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"gameday/loadgen"
)

// call is a unary call of a request.
type call struct {
	path    string // "/shop.v1.Cart/Add"
	in, out protoreflect.MessageDescriptor
	types   *dynamicpb.Types
	message text
	// ready is the message, when it has no gaps. It is not written to.
	ready *dynamicpb.Message
}

// compileCall finds the method in its descriptor and reads the message.
func (p *program) compileCall(f *flow, r loadgen.Request) (*call, error) {
	files, err := descriptors(r.Call.Descriptor)
	if err != nil {
		return nil, err
	}
	method, err := findMethod(files, r.Call.Method)
	if err != nil {
		return nil, fmt.Errorf("in %s: %w", r.Call.Descriptor, err)
	}
	c := &call{path: fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name()), in: method.Input(),
		out:   method.Output(),
		types: dynamicpb.NewTypes(files)}
	if c.message, err = p.text(f, r.Call.Message); err != nil {
		return nil, fmt.Errorf("its message: %w", err)
	}
	if known, ok := c.message.known(); ok {
		c.ready, err = c.parse([]byte(known))
	}
	return c, err
}

// parse reads a message from JSON; an empty text is an empty message.
func (c *call) parse(text []byte) (*dynamicpb.Message, error) {
	m := dynamicpb.NewMessage(c.in)
	if len(text) == 0 {
		return m, nil
	}
	if err := (protojson.UnmarshalOptions{Resolver: c.types}).Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("the message is no %s: %w", c.in.FullName(), err)
	}
	return m, nil
}

// descriptors reads a file that protoc --descriptor_set_out wrote.
func descriptors(path string) (*protoregistry.Files, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the descriptor: %w", err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(raw, set); err != nil {
		return nil, fmt.Errorf("%s is not a descriptor set, as `protoc --include_imports --descriptor_set_out` "+
			"writes it: %w", path, err)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("%s is not complete: was it written with --include_imports? %w", path, err)
	}
	return files, nil
}

func findMethod(files *protoregistry.Files, name string) (protoreflect.MethodDescriptor, error) {
	service, method, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if !ok {
		return nil, fmt.Errorf("%q is not a method: write \"package.Service/Method\"", name)
	}
	found, err := files.FindDescriptorByName(protoreflect.FullName(service))
	s, isService := found.(protoreflect.ServiceDescriptor)
	if err != nil || !isService {
		return nil, fmt.Errorf("there is no service %q, but %s", service, strings.Join(services(files), ", "))
	}
	m := s.Methods().ByName(protoreflect.Name(method))
	if m == nil {
		var names []string
		for i := range s.Methods().Len() {
			names = append(names, string(s.Methods().Get(i).Name()))
		}
		return nil, fmt.Errorf("the service %s has no method %q, but %s", service, method, strings.Join(names, ", "))
	}
	if m.IsStreamingClient() || m.IsStreamingServer() {
		return nil, fmt.Errorf("%s is a stream: only unary calls can be made without a script", name)
	}
	return m, nil
}

// services lists what a descriptor set has.
func services(files *protoregistry.Files) []string {
	var names []string
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			names = append(names, string(f.Services().Get(i).FullName()))
		}
		return true
	})
	if names == nil {
		names = []string{"none at all"}
	}
	return names
}

// calls holds the connections of calls: one for each server, of all users. Its methods may be called from any goroutine.
type calls struct {
	wire   *wire
	mu     sync.Mutex
	open   map[origin]*grpc.ClientConn
	silent map[*grpc.ClientConn]int // calls in a row without an answer in time
}

// mostSilent is how many calls in a row may go without an answer until their connection is left: else one that a partition
// swallowed would be waited for long after it.
const mostSilent = 3

func (c *calls) heard(on *grpc.ClientConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.silent, on)
}

func (c *calls) unheard(o origin, on *grpc.ClientConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.silent[on]++; c.silent[on] >= mostSilent && c.open[o] == on {
		delete(c.open, o)
		delete(c.silent, on)
		go on.Close() // what others have under way on it ends as it would
	}
}

func newCalls(p *program, w *wire) (*calls, error) {
	c := &calls{wire: w, open: map[origin]*grpc.ClientConn{}, silent: map[*grpc.ClientConn]int{}}
	if !w.Fresh {
		return c, nil
	}
	for _, f := range p.flows {
		for _, r := range f.requests {
			if r.call != nil {
				return c, fmt.Errorf("request %s: a new connection for each iteration does not go with gRPC, "+
					"where all users share one", r.name)
			}
		}
	}
	return c, nil
}

// to returns the connection to a server.
func (c *calls) to(o origin) (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if open := c.open[o]; open != nil {
		return open, nil
	}
	how := insecure.NewCredentials()
	if o.secure {
		how = credentials.NewTLS(c.wire.tlsFor(o.addr))
	}
	open, err := grpc.NewClient("passthrough:///"+o.addr, grpc.WithTransportCredentials(how),
		grpc.WithAuthority(o.host),
		grpc.WithUserAgent(agent), grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 2 * time.Second,
			Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}}),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn,
			error) {
			return c.wire.connect(ctx, "tcp", addr)
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(keptBody), grpc.WaitForReady(false)))
	if err != nil {
		return nil, fmt.Errorf("preparing calls to %s: %w", o.addr, err)
	}
	c.open[o] = open
	return open, nil
}

func (c *calls) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, open := range c.open {
		open.Close()
	}
}

// invoke makes one call. What the server answers, with whatever code, is an answer.
func (c *calls) invoke(u *user, r *request, deadline time.Time) (*answer, error) {
	t, err := u.targetOf(r)
	if err != nil {
		return nil, err
	}
	message := r.call.ready
	if message == nil {
		u.text = u.append(u.text[:0], r.call.message)
		if message, err = r.call.parse(u.text); err != nil {
			return nil, err
		}
	}
	if err := u.lines(r); err != nil {
		return nil, err
	}
	to, err := c.to(t.origin)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithDeadline(u.c.ctx, deadline)
	defer cancel()
	for _, h := range r.headers {
		ctx = metadata.AppendToOutgoingContext(ctx, strings.ToLower(h.name), string(u.append(nil, h.value)))
	}
	out := dynamicpb.NewMessage(r.call.out)
	var head metadata.MD
	err = to.Invoke(ctx, r.call.path, message, out, grpc.Header(&head))
	if ctx.Err() != nil {
		c.unheard(t.origin, to)
		return nil, context.Cause(ctx)
	}
	// The server knows the deadline too, and may give the call up before our own timer has run.
	if err != nil && !time.Now().Before(deadline) {
		c.unheard(t.origin, to)
		return nil, context.DeadlineExceeded
	}
	c.heard(to)
	st := status.Convert(err)
	a := &answer{status: int(st.Code()), header: func(name string) string {
		return strings.Join(head.Get(name),
			", ")
	}, note: st.Message()}
	if err == nil && u.keeps(r) {
		if a.body, err = (protojson.MarshalOptions{Resolver: r.call.types, EmitUnpopulated: true}).Marshal(out); err != nil {
			return nil, errors.Join(errors.New("the answer cannot be written as JSON"), err)
		}
	}
	return a, nil
}
