package main

import (
	"encoding/json"
	"os/exec"
	"testing"
	"time"
)

// TestCountPackets reads what nft prints.
func TestCountPackets(t *testing.T) {
	tests := map[string]struct {
		out  string
		want uint64
		bad  bool
	}{
		"two counters": {`{"nftables":[{"metainfo":{"version":"1.1.3"}},{"rule":{"expr":[{"match":{}},{"counter":{"packets":2,"bytes":56}},
			{"drop":null}]}},{"rule":{"expr":[{"counter":{"packets":1,"bytes":28}}]}}]}`, 3, false},
		"none":    {`{"nftables":[{"table":{"name":"cut"}}]}`, 0, false},
		"no JSON": {`Error: No such file or directory`, 0, true},
	}
	for name, tt := range tests {
		got, err := countPackets([]byte(tt.out))
		if got != tt.want || (err != nil) != tt.bad {
			t.Errorf("%s: %d, %v; want %d", name, got, err, tt.want)
		}
	}
}

// slowWay takes so long for each node, or fails at the second.
type slowWay struct{ fails error }

func (w slowWay) each(nodes []*benchNode) ([]time.Duration, error) {
	return (&shellWay{atOnce: 2}).each(nodes, func(n *benchNode) error {
		if n.name == "2" {
			return w.fails
		}
		return nil
	})
}

// TestShellEach does a thing to every node once, and tells of a failure.
func TestShellEach(t *testing.T) {
	nodes := []*benchNode{{name: "1"}, {name: "2"}, {name: "3"}}
	done, err := slowWay{}.each(nodes)
	if err != nil || len(done) != 3 {
		t.Errorf("%v, %v", done, err)
	}
	for i, d := range done {
		if d <= 0 {
			t.Errorf("node %d was done after %v", i+1, d)
		}
	}
	if _, err := (slowWay{fails: exec.ErrNotFound}).each(nodes); err != exec.ErrNotFound {
		t.Errorf("the failure is lost: %v", err)
	}
}

// TestStrippedSize refuses what is no program.
func TestStrippedSize(t *testing.T) {
	for _, path := range []string{"/no/such/program", "/proc/self/status"} {
		if size, err := strippedSize(path); err == nil {
			t.Errorf("%s has %v MB", path, size)
		}
	}
}

// TestFiguresTravel holds what the hub prints to what its parent reads, and the rows to what was measured.
func TestFiguresTravel(t *testing.T) {
	f := partitionFigures{Nodes: partitionMain, Resident: spread{12},
		Ours:     wayFigures{Inject: spread{40, 60}, Revert: spread{10, 40}, Node: spread{30, 60}, Skew: spread{30, 30}},
		OneByOne: wayFigures{Inject: spread{300, 300}, Revert: spread{300, 300}, Node: spread{1, 2}, Skew: spread{1, 1}},
		Many:     wayFigures{Inject: spread{100, 100}, Revert: spread{100, 100}, Node: spread{1, 2}, Skew: spread{1, 1}}}
	raw, err := json.Marshal([]partitionFigures{f})
	if err != nil {
		t.Fatal(err)
	}
	var back []partitionFigures
	if err := json.Unmarshal(raw, &back); err != nil || len(back) != 1 {
		t.Fatalf("%v, %v", back, err)
	}
	met := ""
	for _, r := range back[0].rows() {
		if r.target != "" {
			met += r.figure + " " + r.target + " " + r.met
		}
	}
	if want := "9.0 [6.0–12.0] ≥ 5 met"; met != want {
		t.Errorf("%q, want %q", met, want)
	}
}
