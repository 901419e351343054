package network

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"gameday/faults"
	"gameday/faults/internal/netns"
)

func TestSelfCut(t *testing.T) {
	ssh := map[string]string{netns.SSHVariable: "203.0.113.5 51234 198.18.0.1 22"}
	keep := map[string]string{netns.KeepVariable: "192.0.2.0/24, 198.51.100.7:9093 ,[fd00::1]:9090"}
	tests := map[string]struct {
		env   map[string]string
		to    []string
		ports []int
		allow bool
		want  string // in the error; "" for none
	}{
		"none":              {nil, []string{"0.0.0.0/0"}, nil, false, ""},
		"ssh":               {ssh, []string{"203.0.113.0/24"}, nil, false, "the SSH connection from 203.0.113.5"},
		"ssh allowed":       {ssh, []string{"203.0.113.0/24"}, nil, true, ""},
		"ssh elsewhere":     {ssh, []string{"203.0.114.0/24"}, nil, false, ""},
		"ssh port":          {ssh, []string{"203.0.113.5"}, []int{22}, false, "allow_self_cut = true"},
		"ssh client's port": {ssh, []string{"203.0.113.5"}, []int{51234}, false, "SSH"},
		"another port":      {ssh, []string{"203.0.113.5"}, []int{443}, false, ""},
		"ssh mapped": {map[string]string{netns.SSHVariable: "::ffff:203.0.113.5 1 ::ffff:198.18.0.1 22"},
			[]string{"203.0.113.5"}, nil, false, "SSH"},
		"ssh zone": {map[string]string{netns.SSHVariable: "fe80::1%eth0 1 fe80::2%eth0 22"}, []string{"fe80::/10"}, nil, false,
			"SSH"},
		"ssh garbage": {map[string]string{netns.SSHVariable: "a b c d"}, []string{"192.0.2.1"}, nil, false,
			"reading SSH_CONNECTION"},
		"ssh loopback": {map[string]string{netns.SSHVariable: "127.0.0.1 1 127.0.0.1 22"},
			[]string{"0.0.0.0/0"}, nil, false, ""},
		"ssh over loopback": {map[string]string{netns.SSHVariable: "127.0.0.1 1 127.0.0.1 22"},
			[]string{"127.0.0.1"}, []int{22}, false, "SSH"},
		"keep block":        {keep, []string{"192.0.2.200"}, nil, false, "192.0.2.0/24 of GAMEDAY_KEEP"},
		"keep any port":     {keep, []string{"192.0.2.200"}, []int{5432}, false, "GAMEDAY_KEEP"},
		"keep port":         {keep, []string{"198.51.100.7"}, []int{9093}, false, "198.51.100.7:9093"},
		"keep another port": {keep, []string{"198.51.100.7"}, []int{5432}, false, ""},
		"keep v6":           {keep, []string{"fd00::/8"}, nil, false, "[fd00::1]:9090"},
		"keep names": {map[string]string{netns.KeepVariable: "prometheus.example.com:9090,prometheus, 192.0.2.1"},
			[]string{"192.0.2.1"}, nil, false, "192.0.2.1 of GAMEDAY_KEEP"},
		"keep garbage": {map[string]string{netns.KeepVariable: "198.51.100.300"}, []string{"192.0.2.1"}, nil, false,
			"reading GAMEDAY_KEEP"},
	}
	own, err := netns.Own()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	for name, tt := range tests {
		c := selector{kind: "network_partition", to: tt.to, ports: tt.ports, allowSelfCut: tt.allow}
		getenv := func(key string) string { return tt.env[key] }
		s, err := c.bind(faults.Place{Name: "payments", Network: own})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := s.refuseSelfCut(getenv); (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(),
			tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		// In a network of its own, a place has no path of gameday's.
		s.place.Network = &faults.Namespace{Inode: own.Inode + 1, Device: own.Device}
		if err := s.refuseSelfCut(getenv); err != nil && name != "keep garbage" {
			t.Errorf("%s in another namespace: %v", name, err)
		}
	}
}

// TestCutOfTheSource selects addresses at a place where an alarm source answers: what gameday hears of it is spared.
func TestCutOfTheSource(t *testing.T) {
	gameday := []netip.Addr{netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("fd00::1")}
	here := faults.Place{Name: "monitoring", Network: &faults.Namespace{Inode: 1},
		Addresses: []netip.Addr{netip.MustParseAddr("198.18.0.4"), netip.MustParseAddr("fd00::4")}}
	for name, tt := range map[string]struct {
		keep  string
		to    []string
		peers []netip.Addr
		ports []int
		want  bool
	}{
		"gameday":            {"198.18.0.4:9090", []string{"198.18.0.1"}, nil, nil, true},
		"its block":          {"198.18.0.4:9090", []string{"198.18.0.0/24"}, nil, nil, true},
		"v6":                 {"[fd00::4]:9090", []string{"fd00::/64"}, nil, nil, true},
		"a kept block":       {"198.18.0.0/30,198.18.0.4/30", []string{"198.18.0.1"}, nil, nil, true},
		"as a peer":          {"198.18.0.4:9090", nil, gameday, nil, true},
		"its port":           {"198.18.0.4:9090", []string{"198.18.0.1"}, nil, []int{9090}, true},
		"another port":       {"198.18.0.4:9090", []string{"198.18.0.1"}, nil, []int{5432}, false},
		"another node":       {"198.18.0.4:9090", []string{"198.18.0.2"}, nil, nil, false},
		"a peer":             {"198.18.0.4:9090", nil, []netip.Addr{netip.MustParseAddr("198.18.0.2")}, nil, false},
		"source elsewhere":   {"198.18.0.5:9090", []string{"198.18.0.0/24"}, nil, nil, false},
		"source on loopback": {"127.0.0.1:9090", []string{"198.18.0.1"}, nil, nil, false},
		"a name":             {"monitoring:9090", []string{"198.18.0.1"}, nil, nil, false},
	} {
		place := here
		if tt.peers != nil {
			place.Peers = []faults.Peer{{Name: "other", Addresses: tt.peers}}
		}
		s, err := selector{kind: "network_partition", to: tt.to, ports: tt.ports}.bind(place)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		kept, err := netns.KeptWords(func(string) string { return tt.keep })
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		answers := func(k netns.Kept) bool { return s.hitsAnswers(k, gameday) }
		if got := s.refuse(kept, answers, "there") != nil; got != tt.want {
			t.Errorf("%s: refused %v, want %v", name, got, tt.want)
		}
	}
}
