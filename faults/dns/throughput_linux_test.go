package dns_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"gameday/faults/dns"
)

// TestThroughput asks for names that are not hit from many clients at once: all of them are answered.
func TestThroughput(t *testing.T) {
	w := newWorld(t)
	mustInject(t, "many", dns.Outage{Names: []string{"db.example.com"}, Resolvers: []string{w.server.v4.String()}},
		w.client.place(t), time.Minute)
	const clients, each = 32, 200
	began := time.Now()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			c, err := w.client.dial(t.Context(), "udp", netip.AddrPortFrom(w.server.v4, 53))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for range each {
				if rcode, _, err := exchange(c, "www.example.org", patient); err != nil || rcode != 0 {
					t.Errorf("code %d, %v", rcode, err)
					return
				}
			}
		})
	}
	all.Wait()
	t.Logf("%.0f queries a second pass", clients*each/time.Since(began).Seconds())
}
