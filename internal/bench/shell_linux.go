package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// shellTable is the same cut that a network_partition makes, as nft reads it.
const shellTable = `create table inet cut
add set inet cut v4 { type ipv4_addr; flags timeout; }
add element inet cut v4 { %[1]s timeout 60s }
add chain inet cut input { type filter hook input priority -10; policy accept; }
add rule inet cut input iif lo accept
add rule inet cut input ip saddr @v4 counter drop
add chain inet cut forward { type filter hook forward priority -10; policy accept; }
add rule inet cut forward ip saddr @v4 counter drop
add rule inet cut forward ip daddr @v4 counter drop
add chain inet cut output { type filter hook output priority -10; policy accept; }
add rule inet cut output oif lo accept
add rule inet cut output ip daddr @v4 counter drop
`

// shellWay cuts nodes as the peers do: by a process in the node's namespace for each thing to do. So many nodes are worked
// on at once.
type shellWay struct {
	atOnce       int
	nsenter, nft string
}

func newShellWay(atOnce int) (*shellWay, error) {
	w := &shellWay{atOnce: atOnce}
	var err error
	if w.nsenter, err = exec.LookPath("nsenter"); err != nil {
		return nil, err
	}
	w.nft, err = exec.LookPath("nft")
	return w, err
}

// run runs nft in the node's namespace.
func (w *shellWay) run(n *benchNode, input string, args ...string) ([]byte, error) {
	c := exec.Command(w.nsenter, append([]string{"--net=" + n.path(), w.nft}, args...)...)
	c.Stdin = strings.NewReader(input)
	var out, errw bytes.Buffer
	c.Stdout, c.Stderr = &out, &errw
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("nft %s on %s: %w: %s", strings.Join(args, " "), n.name, err, errw.String())
	}
	return out.Bytes(), nil
}

// inject cuts all nodes and proves each cut as the guard does: with a datagram that the kernel refuses and has counted. The
// datagram costs no process, which favours this way: peers run ping.
func (w *shellWay) inject(nodes []*benchNode) ([]time.Duration, error) {
	rules := fmt.Sprintf(shellTable, hubAddress)
	return w.each(nodes, func(n *benchNode) error {
		if _, err := w.run(n, rules, "-f", "-"); err != nil {
			return err
		}
		if cut, err := n.cut(); err != nil || !cut {
			return fmt.Errorf("%s is not cut: %w", n.name, err)
		}
		out, err := w.run(n, "", "-j", "list", "table", "inet", "cut")
		if err != nil {
			return err
		}
		if packets, err := countPackets(out); err != nil || packets == 0 {
			return fmt.Errorf("%s: %d packets were counted: %w", n.name, packets, err)
		}
		return nil
	})
}

// revert heals all nodes and looks that no table is left.
func (w *shellWay) revert(nodes []*benchNode) ([]time.Duration, error) {
	return w.each(nodes, func(n *benchNode) error {
		if _, err := w.run(n, "", "delete", "table", "inet", "cut"); err != nil {
			return err
		}
		out, err := w.run(n, "", "list", "tables")
		if err == nil && len(bytes.TrimSpace(out)) > 0 {
			err = fmt.Errorf("left on %s: %s", n.name, out)
		}
		return err
	})
}

// each does a thing to all nodes, and returns when each was done, from the beginning of all.
func (w *shellWay) each(nodes []*benchNode, do func(*benchNode) error) ([]time.Duration, error) {
	began, done := time.Now(), make([]time.Duration, len(nodes))
	failed := make(chan error, len(nodes))
	next := make(chan int)
	var workers sync.WaitGroup
	for range w.atOnce {
		workers.Go(func() {
			for i := range next {
				if err := do(nodes[i]); err != nil {
					failed <- err
				}
				done[i] = time.Since(began)
			}
		})
	}
	for i := range nodes {
		next <- i
	}
	close(next)
	workers.Wait()
	close(failed)
	return done, <-failed
}

// countPackets sums the counters in what nft -j prints of a table.
func countPackets(out []byte) (uint64, error) {
	var all struct {
		Nftables []struct {
			Rule struct {
				Expr []struct {
					Counter struct {
						Packets uint64 `json:"packets"`
					} `json:"counter"`
				} `json:"expr"`
			} `json:"rule"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal(out, &all); err != nil {
		return 0, err
	}
	var sum uint64
	for _, item := range all.Nftables {
		for _, e := range item.Rule.Expr {
			sum += e.Counter.Packets
		}
	}
	return sum, nil
}
