package node

import (
	"io"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"time"
)

// service is what the node reads of a Service (v1).
type service struct {
	Metadata struct{ Namespace, UID string }
	Spec     struct {
		ClusterIP string
		Selector  map[string]string
		Ports     []struct {
			Port       int
			Protocol   string
			TargetPort any
		}
	}
}

// proxy carries connections to the addresses of Services to pods that they select, as kube-proxy did before it had iptables: it has the
// addresses itself.
type proxy struct {
	n    *Node
	mu   sync.Mutex
	pods []*pod
	open map[string][]net.Listener // by the Service's uid
}

// sync makes the proxy answer for the Services that there are, and for no others.
func (x *proxy) sync(pods []*pod) {
	var list struct{ Items []*service }
	if err := x.n.c.Get("/api/v1/services", &list); err != nil {
		return // asked again
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pods = pods
	there := map[string]bool{}
	for _, s := range list.Items {
		there[s.Metadata.UID] = true
		if x.open[s.Metadata.UID] == nil && len(s.Spec.Selector) > 0 && net.ParseIP(s.Spec.ClusterIP) != nil {
			x.serve(s)
		}
	}
	for uid, open := range x.open {
		if !there[uid] {
			for _, l := range open {
				_ = l.Close()
			}
			delete(x.open, uid)
		}
	}
}

// serve listens at a Service's address. What fails is tried again at the next look.
func (x *proxy) serve(s *service) {
	address := exec.Command("ip", "address", "replace", s.Spec.ClusterIP+"/32", "dev", "lo")
	if x.n.c.Within(address.Run) != nil {
		return
	}
	var open []net.Listener
	for _, p := range s.Spec.Ports {
		target := p.Port
		if number, ok := p.TargetPort.(float64); ok && number > 0 {
			target = int(number)
		}
		l, err := x.n.c.Listen(net.JoinHostPort(s.Spec.ClusterIP, strconv.Itoa(p.Port)))
		if err != nil {
			continue
		}
		open = append(open, l)
		x.n.wait.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				x.n.wait.Go(func() { x.carry(conn, s, target) })
			}
		})
	}
	if len(open) > 0 {
		x.open[s.Metadata.UID] = open
	}
}

// carry joins a connection with one to a pod of the Service that runs and is ready. Without any it is closed.
func (x *proxy) carry(from net.Conn, s *service, port int) {
	defer from.Close()
	address := x.pick(s)
	if address == "" {
		return
	}
	to, err := x.n.c.Dial(net.JoinHostPort(address, strconv.Itoa(port)))
	if err != nil {
		return
	}
	defer to.Close()
	limit := time.Now().Add(stopLimit)
	_, _ = from.SetDeadline(limit), to.SetDeadline(limit)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(to, from)
		_ = to.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(from, to)
	_ = from.(*net.TCPConn).CloseWrite()
	<-done
}

// pick returns the address of a pod that the Service selects.
func (x *proxy) pick(s *service) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, p := range x.pods {
		if p.Metadata.Namespace == s.Metadata.Namespace && p.Status.PodIP != "" && p.ready() && within(s.Spec.Selector, p.Metadata.Labels) {
			return p.Status.PodIP
		}
	}
	return ""
}

// within reports whether all of some pairs are among others.
func within(some, others map[string]string) bool {
	for k, v := range some {
		if got, ok := others[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// close gives all addresses up.
func (x *proxy) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, open := range x.open {
		for _, l := range open {
			_ = l.Close()
		}
	}
}

// ready reports whether the pod says that it is.
func (p *pod) ready() bool {
	return slices.Contains(p.Status.Conditions, condition{"Ready", "True"})
}

// condition is one of a pod's.
type condition struct{ Type, Status string }
