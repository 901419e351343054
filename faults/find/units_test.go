package find

import (
	"slices"
	"testing"

	"github.com/prometheus/procfs"
)

// TestUnits reads the cgroups of processes that were written down, under cgroup v1, v2 and both. The last
// one is a thread of the kernel's own that stands in the unit's cgroup, and is never selected.
func TestUnits(t *testing.T) {
	fs, err := procfs.NewFS("testdata/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		selector Process
		want     []int
	}{
		{Process{Unit: "payments.service"}, []int{101, 102, 104}},
		{Process{Unit: "payments"}, []int{101, 102, 104}},
		{Process{Unit: "shop.service"}, []int{103}},
		{Process{Unit: "user@1000.service"}, nil},
		{Process{Unit: "session-2.scope"}, []int{105}},
		{Process{Unit: "ayments.service"}, nil},
		{Process{Cgroup: "/system.slice"}, []int{101, 102, 104}},
		{Process{Cgroup: "/system.slice/payments.service/"}, []int{101, 102, 104}},
		{Process{Cgroup: "/system.slice/payments.service/worker"}, []int{102}},
		{Process{Cgroup: "/system.sl"}, nil},
		{Process{Cgroup: "/elsewhere"}, []int{105}},
		{Process{Unit: "payments", Cgroup: "/system.slice/payments.service/worker"}, []int{102}},
	} {
		if err := c.selector.Validate(); err != nil {
			t.Errorf("%+v: %v", c.selector, err)
		}
		match, err := c.selector.matcher()
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for pid := 101; pid <= 106; pid++ {
			p, err := fs.Proc(pid)
			if err != nil {
				t.Fatal(err)
			}
			if match(p) {
				got = append(got, pid)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v selects %v, want %v", &c.selector, got, c.want)
		}
	}
}
