package power

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/faults"
)

// serve answers each request with what respond returns, on a socket in a folder whose name has the given length more.
func serve(t *testing.T, longer int, respond func(Request) string) *Client {
	t.Helper()
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", longer))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir) // binding has the same limit of 107 bytes
	l, err := net.Listen("unix", "control")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				line, err := bufio.NewReader(conn).ReadBytes('\n')
				var r Request
				if err != nil || json.Unmarshal(line, &r) != nil {
					return
				}
				if text := respond(r); text != "" {
					conn.Write([]byte(text))
				}
			}()
		}
	}()
	c, err := Dial(filepath.Join(dir, "control"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClientAsks(t *testing.T) {
	for _, longer := range []int{1, 200} { // the second is longer than a socket's address
		var got []Request
		c := serve(t, longer, func(r Request) string {
			got = append(got, r)
			return `{"nodes":[{"name":"a","address":"198.18.0.2","on":true}]}` + "\n"
		})
		if err := c.PowerOff(t.Context(), "a", 3*time.Second); err != nil {
			t.Fatal(err)
		}
		if err := c.PowerOn(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		s, err := c.Node(t.Context(), "a")
		if err != nil || !s.On {
			t.Fatalf("node %+v, %v", s, err)
		}
		if _, err := c.Node(t.Context(), "b"); !errors.Is(err, ErrUnknownNode) {
			t.Errorf("a node that is not there: %v", err)
		}
		want := []Request{{Do: DoPowerOff, Node: "a", Down: 3 * time.Second}, {Do: DoPowerOn, Node: "a"},
			{Do: DoNodes}, {Do: DoNodes}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestClientErrors(t *testing.T) {
	tests := []struct{ name, answer, want string }{
		{"refused", `{"error":"no such node","unknown_node":true}` + "\n", "no such node"},
		{"nothing", "", "the lab hung up without an answer"},
		{"nonsense", "{]\n", "reading the answer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := serve(t, 1, func(Request) string { return test.answer })
			err := c.PowerOn(t.Context(), "a")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if errors.Is(err, ErrUnknownNode) != (test.name == "refused") {
				t.Errorf("%v: unknown node or not?", err)
			}
		})
	}
	if _, err := Dial(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a socket that is not there was reached")
	}
}

func TestClientStopsWaiting(t *testing.T) {
	asked, over := make(chan struct{}), make(chan struct{})
	c := serve(t, 1, func(Request) string { close(asked); <-over; return "" })
	defer close(over)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if err := c.PowerOn(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestRequestCheck(t *testing.T) {
	tests := []struct {
		request Request
		ok      bool
	}{
		{Request{Do: DoNodes}, true},
		{Request{Do: DoStop}, true},
		{Request{Do: DoStart, Body: json.RawMessage("{}")}, true},
		{Request{Do: DoStart}, false},
		{Request{Do: DoPowerOn, Node: "a"}, true},
		{Request{Do: DoPowerOn}, false},
		{Request{Do: DoPowerOff, Node: "a", Down: -1}, false},
		{Request{Do: "explode", Node: "a"}, false},
		{Request{}, false},
	}
	for _, test := range tests {
		if err := test.request.Check(); (err == nil) != test.ok {
			t.Errorf("%+v: %v", test.request, err)
		}
	}
}

func TestStatePlaces(t *testing.T) {
	s := State{Name: "ledger", Address: netip.MustParseAddr("198.18.0.3"), On: true, BootID: "b",
		Init: faults.Process{PID: 9, Start: 90}, Network: faults.Namespace{Inode: 7, PID: 9},
		Processes: []Process{{Name: "db", Process: faults.Process{PID: 12, Start: 120}}, {Name: "idle"}}}
	p := s.Place("/control")
	if p.Name != "ledger" || *p.Node != (faults.Node{Name: "ledger", Control: "/control", BootID: "b", Init: s.Init}) ||
		*p.Network != s.Network || p.Addresses[0] != s.Address {
		t.Errorf("place %+v", p)
	}
	db, ok := s.ProcessPlace("db")
	if !ok || db.Process.PID != 12 || db.Name != "ledger/db" || *db.Network != s.Network {
		t.Errorf("process place %+v, %v", db, ok)
	}
	for _, name := range []string{"idle", "none"} {
		if p, ok := s.ProcessPlace(name); ok {
			t.Errorf("%s is at %+v", name, p)
		}
	}
	s.On = false
	if p := s.Place("/control"); p.Network != nil {
		t.Errorf("a node without power is at %+v", p)
	}
	if _, ok := s.ProcessPlace("db"); ok {
		t.Error("a process runs on a node without power")
	}
}
