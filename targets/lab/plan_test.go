package lab

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNewPlan(t *testing.T) {
	c := valid()
	c.Nodes[0].Processes = append(c.Nodes[0].Processes, ProcessConfig{Name: "tool", Command: []string{"tool", "-x"},
		Dir: "sub", Env: map[string]string{"PATH": "/only"}})
	got, err := newPlan(c, "/scenario", "/logs", "/bin", "/root")
	if err != nil {
		t.Fatal(err)
	}
	want := plan{Name: "shop", Prefix: 24, Logs: "/logs", Nodes: []nodePlan{
		{Name: "storefront", Address: netip.MustParseAddr("198.18.0.2"), Prefix: 24, Processes: []processPlan{
			{Name: "web", Command: []string{"/scenario/bin/shop"}, Dir: "/scenario", Path: "/bin", Log: "storefront-web.log",
				Env:          []string{"GAMEDAY_NODE=storefront", "HOME=/root", "PATH=/bin"},
				RestartDelay: time.Second, ReadyWithin: 10 * time.Second},
			{Name: "tool", Command: []string{"tool", "-x"}, Dir: "/scenario/sub", Path: "/only", Log: "storefront-tool.log",
				Env:          []string{"GAMEDAY_NODE=storefront", "HOME=/root", "PATH=/only"},
				RestartDelay: time.Second, ReadyWithin: 10 * time.Second},
		}},
		{Name: "ledger", Address: netip.MustParseAddr("198.18.0.3"), Prefix: 24, Processes: []processPlan{
			{Name: "db", Command: []string{"/scenario/bin/db"}, Dir: "/scenario", Path: "/bin", Log: "ledger-db.log",
				Env:     []string{"A=b", "GAMEDAY_NODE=ledger", "HOME=/root", "PATH=/bin"},
				Restart: true, RestartDelay: 250 * time.Millisecond, Listen: 5432, ReadyWithin: 20 * time.Second},
		}},
	}}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if c.Nodes[0].Processes[0].Command[0] != "bin/shop" {
		t.Error("the config was changed")
	}
	const hosts = "127.0.0.1\tlocalhost\n198.18.0.1\tgameday\n198.18.0.2\tstorefront\n198.18.0.3\tledger\n"
	if got.hosts() != hosts {
		t.Errorf("hosts are %q", got.hosts())
	}
	if _, err := newPlan(Config{}, "/", "/", "", ""); err == nil {
		t.Error("a plan was made of an invalid config")
	}
}

func TestAddressesFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := rapid.IntRange(1, maxNodes).Draw(t, "nodes")
		prefix := prefixFor(nodes)
		network := netip.PrefixFrom(core, prefix).Masked()
		size := uint32(1) << (32 - prefix)
		base := network.Addr().As4()
		broadcast := binary.BigEndian.Uint32(base[:]) + size - 1
		seen := map[string]bool{hardwareAddr(core).String(): true}
		for i := range nodes {
			a := nodeAddress(i)
			b := a.As4()
			if !network.Contains(a) || binary.BigEndian.Uint32(b[:]) >= broadcast {
				t.Fatalf("%d nodes: node %d has %s, which is no host in %s", nodes, i, a, network)
			}
			mac := hardwareAddr(a).String()
			if seen[mac] {
				t.Fatalf("two machines have the hardware address %s", mac)
			}
			seen[mac] = true
		}
		if !netip.MustParsePrefix("198.18.0.0/15").Overlaps(network) || prefix < 15 {
			t.Fatalf("%s is outside the range for benchmarks", network)
		}
		if prefix < 24 && nodes+3 <= int(size/2) {
			t.Fatalf("%d nodes would have fit into half of %s", nodes, network)
		}
	})
}

func TestPrefixFor(t *testing.T) {
	for nodes, want := range map[int]int{1: 24, 253: 24, 254: 23, 509: 23, 510: 22, 1000: 22} {
		t.Run(fmt.Sprint(nodes), func(t *testing.T) {
			if got := prefixFor(nodes); got != want {
				t.Errorf("got %d, want %d", got, want)
			}
		})
	}
}
