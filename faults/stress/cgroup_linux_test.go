package stress

import (
	"errors"
	"testing"
	"time"
)

func TestFindGroup(t *testing.T) {
	const (
		v1 = "4:memory:/a/b\n1:cpu,cpuacct:/\n0::/user.slice/x\n"
		v2 = "0::/user.slice/x\n"

		mountsV1 = "30 1 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
			"31 1 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n" +
			"32 1 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
		mountsV2   = "29 1 0:25 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
		mountsBind = "30 1 0:26 /a /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	)
	for _, row := range []struct {
		name, own, mounts, controller string
		want                          group
		err                           error
	}{
		{"its own hierarchy", v1, mountsV1, "memory", group{"/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/memory", false}, nil},
		{"a shared hierarchy", v1, mountsV1, "cpu", group{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu", false}, nil},
		{"a part of it is mounted", v1, mountsBind, "memory", group{"/sys/fs/cgroup/memory/b", "/sys/fs/cgroup/memory", false}, nil},
		{"another part is mounted", "4:memory:/ab\n", mountsBind, "memory", group{}, errNoGroup},
		{"the unified one", v2, mountsV2, "memory", group{"/sys/fs/cgroup/user.slice/x", "/sys/fs/cgroup", true}, nil},
		{"no controller of that name", v1, mountsV1, "hugetlb",
			group{"/sys/fs/cgroup/unified/user.slice/x", "/sys/fs/cgroup/unified", true}, nil},
		{"outside of the namespace", "0::/../x\n", mountsV2, "cpu", group{}, errNoGroup},
		{"nothing mounted", v2, "", "cpu", group{}, errNoGroup},
		{"nothing at all", "", "", "cpu", group{}, errNoGroup},
	} {
		got, err := findGroup(row.own, row.mounts, row.controller)
		if got != row.want || !errors.Is(err, row.err) {
			t.Errorf("%s: %+v, %v, want %+v, %v", row.name, got, err, row.want, row.err)
		}
	}
}

func TestParseMeminfo(t *testing.T) {
	m, err := parseMeminfo("MemTotal:  1000 kB\nMemFree: 5 kB\nMemAvailable:   600 kB\n")
	if err != nil || m != (memory{total: 1000 << 10, available: 600 << 10}) {
		t.Errorf("%+v, %v", m, err)
	}
	for _, text := range []string{"", "MemTotal: 5 kB\n", "MemTotal: x kB\nMemAvailable: 5 kB\n"} {
		if m, err := parseMeminfo(text); err == nil {
			t.Errorf("%q is %+v: no data must not look like memory", text, m)
		}
	}
}

func TestStat(t *testing.T) {
	stat := []byte("12 (a) Z b) S 1 2 3 4 5 6 7 8 9 10 150 50 13 14 15 16 17 18 4711 20")
	if used, err := statCPU(stat); err != nil || used != 2*time.Second {
		t.Errorf("%v, %v", used, err)
	}
	if state, start, err := statIdentity(stat); err != nil || state != 'S' || start != 4711 {
		t.Errorf("%c %d, %v", state, start, err)
	}
	for _, odd := range []string{"", ")", "1 (a) S 1 2"} {
		if _, err := statCPU([]byte(odd)); err == nil {
			t.Errorf("%q has a processor time", odd)
		}
		if _, _, err := statIdentity([]byte(odd)); err == nil {
			t.Errorf("%q has an identity", odd)
		}
	}
	if got := parsePressure("some avg10=0.00 avg60=0.00 avg300=0.00 total=1500\nfull total=9\n"); got != 1500*time.Microsecond {
		t.Error(got)
	}
	if got := parsePressure(""); got != 0 {
		t.Error(got)
	}
}
