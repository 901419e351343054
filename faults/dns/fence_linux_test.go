package dns

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gameday/faults"
	"gameday/faults/internal/netns"
)

// TestSelfCut places outages on the guard's own network and elsewhere.
func TestSelfCut(t *testing.T) {
	own, err := netns.Own()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	const keep = "prometheus.example.com:9090, 192.0.2.1:443,bastion.example.net, web1"
	for name, tt := range map[string]struct {
		keep   string
		outage Outage
		want   string // in the error; "" for none
	}{
		"all names":          {"", Outage{}, "every name that gameday itself looks up"},
		"all names, late":    {"", Outage{Delay: "3s"}, "every name"},
		"all names, allowed": {keep, Outage{AllowSelfCut: true}, ""},
		"nothing kept":       {"", Outage{Names: []string{"*.example.com"}}, ""},
		"the source":         {keep, Outage{Names: []string{"a.example", "Prometheus.example.com"}}, "prometheus.example.com"},
		"its domain":         {keep, Outage{Names: []string{"*.example.com"}}, "prometheus.example.com:9090 of GAMEDAY_KEEP"},
		"a host":             {keep, Outage{Names: []string{"*.net"}}, "bastion.example.net"},
		"a short name":       {keep, Outage{Names: []string{"web1"}}, "web1"},
		"allowed":            {keep, Outage{Names: []string{"*.example.com"}, AllowSelfCut: true}, ""},
		"spared":             {keep, Outage{Names: []string{"db.example.com", "*.prometheus.example.com"}}, ""},
		"garbage":            {"a b", Outage{Names: []string{"db.example.com"}}, "reading GAMEDAY_KEEP"},
	} {
		i, err := tt.outage.Bind(faults.Place{Name: "here", Network: own})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Setenv(netns.KeepVariable, tt.keep)
		p := &i.(*outage).plan
		if err := p.refuseSelfCut(os.Getenv); (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		if tt.want != "" {
			if _, err := i.Undo(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s can be injected unchecked: %v", name, err)
			}
			if err := i.(faults.Checker).Check(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s passes the check: %v", name, err)
			}
		}
		p.place.Network = &faults.Namespace{Inode: own.Inode + 1, Device: own.Device}
		if err := p.refuseSelfCut(os.Getenv); err != nil {
			t.Errorf("%s in another namespace: %v", name, err)
		}
	}
}

// TestQuestions appends the machine's domains to names of one part.
func TestQuestions(t *testing.T) {
	domains := searchDomains("search old.example\nnameserver 192.0.2.1\nsearch a.example b.example\n")
	for name, want := range map[string][]string{
		"": nil, "web1": {"web1", "web1.a.example", "web1.b.example"}, "web1.example": {"web1.example"},
	} {
		if diff := cmp.Diff(want, questions(name, domains)); diff != "" {
			t.Errorf("%q: %s", name, diff)
		}
	}
}
