package k6

import (
	"compress/gzip"
	"compress/zlib"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/gorilla/websocket"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
)

// bazaar is a place with a bit of everything that scripts visit: HTTP/1.1 and HTTP/2, with and without TLS, cookies, forms,
// passwords, WebSockets, gRPC. It keeps account of what came in.
type bazaar struct {
	env map[string]string // where it is, for scripts
	dir string            // room for whoever visits it

	mu   sync.Mutex
	seen map[string]int // "GET /path", or a method of gRPC
}

func (b *bazaar) saw(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen[what]++
}

// openBazaar opens one on loopback for a test.
func openBazaar(t *testing.T) *bazaar {
	t.Helper()
	b := &bazaar{seen: map[string]int{}, dir: t.TempDir()}
	mux := b.routes()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.saw(r.Method + " " + r.URL.Path)
		mux.ServeHTTP(w, r)
	})
	plain := httptest.NewServer(handler)
	secure, mutual := httptest.NewUnstartedServer(handler), httptest.NewUnstartedServer(handler)
	secure.EnableHTTP2 = true
	mutual.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}
	for _, s := range []*httptest.Server{secure, mutual} {
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
	}
	six := plain
	if l, err := net.Listen("tcp6", "[::1]:0"); err == nil { // elsewhere there is no IPv6
		six = &httptest.Server{Listener: l, Config: &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}}
		six.Start()
		t.Cleanup(six.Close)
	}
	for _, s := range []*httptest.Server{plain, secure, mutual} {
		t.Cleanup(s.Close)
	}
	_, port, err := net.SplitHostPort(plain.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	cert, key := clientCertificate(t)
	b.env = map[string]string{
		"HTTP": plain.URL, "HTTPS": secure.URL, "MTLS": mutual.URL, "SIX": six.URL, "PORT": port,
		"WS": "ws" + strings.TrimPrefix(plain.URL, "http"), "GRPC": b.serveGRPC(t), "GONE": "127.0.0.1:1",
		"CERT": cert, "KEY": key, "TOKEN": "opensesame",
	}
	return b
}

// routes are the shops. Every other path answers 200.
func (b *bazaar) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "welcome") })
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.PathValue("code"))
		w.WriteHeader(code)
	})
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/redirect/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.PathValue("n"))
		to := "/landed"
		if n > 1 {
			to = "/redirect/" + strconv.Itoa(n-1)
		}
		http.Redirect(w, r, to, http.StatusFound)
	})
	mux.HandleFunc("/cookies/set", func(w http.ResponseWriter, r *http.Request) {
		for name, values := range r.URL.Query() {
			http.SetCookie(w, &http.Cookie{Name: name, Value: values[0], Path: "/"})
		}
		http.Redirect(w, r, "/cookies", http.StatusFound)
	})
	mux.HandleFunc("/cookies", func(w http.ResponseWriter, r *http.Request) {
		jar := map[string]string{}
		for _, c := range r.Cookies() {
			jar[c.Name] = c.Value
		}
		answer(w, jar)
	})
	mux.HandleFunc("/basic", func(w http.ResponseWriter, r *http.Request) {
		if name, password, _ := r.BasicAuth(); name != "ali" || password != "baba" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	mux.HandleFunc("/digest", digest)
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<html><head><title>Carpets</title></head><body><a href="/carpets/1">one</a><a href="/carpets/2">two</a>
<form action="/buy" method="post"><input name="what" value="carpet"><input name="size"><input type="submit"></form></body></html>`)
	})
	mux.HandleFunc("/buy", echo)
	mux.HandleFunc("/packed/{how}", packed)
	mux.HandleFunc("/ws", b.converse)
	return mux
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// echo answers with what it was sent: the method, the headers, the form, its files, or the body, unpacked.
func echo(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	switch r.Header.Get("Content-Encoding") {
	case "gzip":
		body, _ = gzip.NewReader(body)
	case "deflate":
		body, _ = zlib.NewReader(body)
	case "br":
		body = brotli.NewReader(body)
	case "zstd":
		if z, err := zstd.NewReader(body); err == nil {
			defer z.Close()
			body = z
		}
	}
	files := map[string]string{}
	if err := r.ParseMultipartForm(1 << 20); err == nil {
		for name, parts := range r.MultipartForm.File {
			files[name] = fmt.Sprintf("%s %s %d", parts[0].Filename, parts[0].Header.Get("Content-Type"), parts[0].Size)
		}
	}
	raw, _ := io.ReadAll(body)
	answer(w, map[string]any{"method": r.Method, "headers": r.Header, "form": r.Form, "files": files, "body": string(raw), "proto": r.Proto})
}

// digest asks for a password by RFC 2617 and checks the answer.
func digest(w http.ResponseWriter, r *http.Request) {
	said := map[string]string{}
	for _, f := range regexp.MustCompile(`(\w+)="?([^",]*)"?`).FindAllStringSubmatch(r.Header.Get("Authorization"), -1) {
		said[f[1]] = f[2]
	}
	hash := func(text string) string { return fmt.Sprintf("%x", md5.Sum([]byte(text))) }
	want := hash(strings.Join([]string{hash("ali:bazaar:baba"), said["nonce"], said["nc"], said["cnonce"], said["qop"],
		hash(r.Method + ":" + said["uri"])}, ":"))
	if said["nonce"] != "cave" || said["response"] != want {
		w.Header().Set("WWW-Authenticate", `Digest realm="bazaar", nonce="cave", qop="auth", algorithm=MD5`)
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// packed answers with a compressed text.
func packed(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Encoding", r.PathValue("how"))
	var out io.WriteCloser
	switch r.PathValue("how") {
	case "gzip":
		out = gzip.NewWriter(w)
	case "deflate":
		out = zlib.NewWriter(w)
	case "br":
		out = brotli.NewWriter(w)
	default:
		out, _ = zstd.NewWriter(w)
	}
	_, _ = io.WriteString(out, strings.Repeat("carpet ", 100))
	_ = out.Close()
}

// converse sends every message back over a WebSocket, and ends the session when it is told "bye".
func (b *bazaar) converse(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{Subprotocols: []string{"haggle"}, EnableCompression: true}
	c, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	for {
		kind, message, err := c.ReadMessage()
		if err != nil {
			return
		}
		b.saw("a message")
		if string(message) == "bye" {
			_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
			return
		}
		_ = c.WriteMessage(kind, message)
	}
}

// serveGRPC serves the test service that comes with gRPC, and reflection, and returns where.
func (b *bazaar) serveGRPC(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, q any, i *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			b.saw(i.FullMethod)
			return next(ctx, q)
		}),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, i *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			b.saw(i.FullMethod)
			return next(srv, ss)
		}))
	grpc_testing.RegisterTestServiceServer(s, &scales{b: b})
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	reflection.Register(s)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

// scales is the bazaar's service over gRPC.
type scales struct {
	grpc_testing.UnimplementedTestServiceServer
	b *bazaar
}

// UnaryCall answers with a payload as long as asked for, with the status asked for, or not before the call is given up.
func (s *scales) UnaryCall(ctx context.Context, q *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	if e := q.GetResponseStatus(); e != nil {
		return nil, status.Error(codes.Code(e.Code), e.Message)
	}
	if q.ResponseSize < 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &grpc_testing.SimpleResponse{Payload: &grpc_testing.Payload{Body: make([]byte, q.ResponseSize)}, Username: "ali"}, nil
}

// StreamingInputCall weighs all that comes.
func (s *scales) StreamingInputCall(in grpc.ClientStreamingServer[grpc_testing.StreamingInputCallRequest, grpc_testing.StreamingInputCallResponse]) error {
	sum := int32(0)
	for {
		q, err := in.Recv()
		if err == io.EOF {
			return in.SendAndClose(&grpc_testing.StreamingInputCallResponse{AggregatedPayloadSize: sum})
		}
		if err != nil {
			return err
		}
		s.b.saw("a message")
		sum += int32(len(q.GetPayload().GetBody()))
	}
}

// StreamingOutputCall sends a payload for each size asked for.
func (s *scales) StreamingOutputCall(q *grpc_testing.StreamingOutputCallRequest, out grpc.ServerStreamingServer[grpc_testing.StreamingOutputCallResponse]) error {
	if e := q.GetResponseStatus(); e != nil {
		return status.Error(codes.Code(e.Code), e.Message)
	}
	for _, p := range q.ResponseParameters {
		if err := out.Send(&grpc_testing.StreamingOutputCallResponse{Payload: &grpc_testing.Payload{Body: make([]byte, p.Size)}}); err != nil {
			return err
		}
	}
	return nil
}

// FullDuplexCall sends a payload for each one that comes.
func (s *scales) FullDuplexCall(both grpc.BidiStreamingServer[grpc_testing.StreamingOutputCallRequest, grpc_testing.StreamingOutputCallResponse]) error {
	for {
		q, err := both.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		s.b.saw("a message")
		if err := both.Send(&grpc_testing.StreamingOutputCallResponse{Payload: q.GetPayload()}); err != nil {
			return err
		}
	}
}

// clientCertificate makes one that signs itself, as PEM.
func clientCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	raw, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
