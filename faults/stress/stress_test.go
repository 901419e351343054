package stress

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gameday/faults"
)

// fields lists the fields that an error complains about.
func fields(err error) []string {
	var out []string
	var one *faults.FieldError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, fields(e)...)
		}
	} else if errors.As(err, &one) {
		out = append(out, one.Field)
	}
	return out
}

// TestBadParameters has a row for every mistake that can be seen without a place.
func TestBadParameters(t *testing.T) {
	const dir = "/tmp"
	for _, row := range []struct {
		name   string
		config faults.Config
		want   string // fields that are complained about
		say    string
	}{
		{"cpu defaults", &CPU{}, "", ""},
		{"negative cores", &CPU{Cores: -1}, "cores", "not -1"},
		{"too many cores", &CPU{Cores: 1e9}, "cores", "at most 4096"},
		{"two amounts of cpu", &CPU{Cores: 1, Percent: 50}, "percent", "Give one of cores, percent"},
		{"percent too high", &CPU{Percent: 101}, "percent", "at most 100"},
		{"better than nice", &CPU{Nice: -5}, "nice", "from 0 to 19"},
		{"all wrong at once", &CPU{Cores: -1, Percent: -1, Nice: 20}, "cores percent nice percent", ""},
		{"memory defaults", &Memory{}, "", ""},
		{"memory without a unit", &Memory{Size: "512"}, "size", "write a number and a unit"},
		{"memory in an unknown unit", &Memory{Size: "5 bananas"}, "size", "is not a size"},
		{"negative memory", &Memory{Size: "-5MB"}, "size", "is not a size"},
		{"no memory", &Memory{Size: "0MB"}, "size", "is not a size"},
		{"not a number of memory", &Memory{Size: "NaNMB"}, "size", "is not a size"},
		{"infinite memory", &Memory{Size: "InfMB"}, "size", "larger than any machine"},
		{"hardly any memory", &Memory{Size: "1KB"}, "size", "less than 1.05 MB"},
		{"two amounts of memory", &Memory{Size: "1GB", Percent: 5}, "percent", ""},
		{"no floor", &Memory{Floor: "1MB"}, "floor", "less than 64.0 MB"},
		{"floor of nothing", &Memory{Floor: "0%"}, "floor", "not a percentage"},
		{"floor above all", &Memory{Floor: "101%"}, "floor", "not a percentage"},
		{"disk", &Disk{Path: dir}, "", ""},
		{"no path", &Disk{}, "path", "The path is missing"},
		{"relative path", &Disk{Path: "tmp"}, "path", "not an absolute path"},
		{"three amounts of disk", &Disk{Path: dir, Size: "1GB", Percent: 5, Leave: "1GB"}, "percent leave", ""},
		{"no reserve", &Disk{Path: dir, Reserve: "1KB"}, "reserve", "less than 1.00 MB"},
		{"leave nothing", &Disk{Path: dir, Leave: "1B"}, "leave", "less than"},
		{"io", &IO{Path: dir}, "", ""},
		{"unknown mode", &IO{Path: dir, Mode: "wriet"}, "mode", `Did you mean "write"?`},
		{"too many workers", &IO{Path: dir, Workers: 65}, "workers", "from 0 to 64"},
		{"a block that does not fit", &IO{Path: dir, Size: "1MiB", Block: "512KiB"}, "block", "each worker needs room"},
		{"a huge block", &IO{Path: dir, Size: "1GiB", Block: "17MiB"}, "block", "at most 16.8 MB"},
		{"no io rate", &IO{Path: dir, Rate: "1B"}, "rate", "less than 512 B"},
		{"the same text thrice", &IO{Path: dir, Rate: "4MiB", Size: "4MiB", Block: "4MiB", Workers: 1}, "", ""},
		{"fd", &FD{}, "", ""},
		{"negative descriptors", &FD{Leave: -1}, "leave", "from 0"},
		{"ports", &Ports{}, "", ""},
		{"more ports than there are", &Ports{Leave: 70000}, "leave", ""},
		{"no port", &Ports{Except: []int{0, 80, 65536}}, "except except", "not 0"},
	} {
		err := row.config.Validate()
		if got := strings.Join(fields(err), " "); got != row.want {
			t.Errorf("%s: complains about %q, want %q: %v", row.name, got, row.want, err)
		}
		if err != nil && !strings.Contains(err.Error(), row.say) {
			t.Errorf("%s: %v, want %q", row.name, err, row.say)
		}
		if _, bound := row.config.Bind(faults.Place{Name: "x", Process: &faults.Process{PID: 5, Start: 1},
			Network: &faults.Namespace{Inode: 1}}); err != nil && bound == nil {
			t.Errorf("%s: an invalid fault can be bound", row.name)
		}
	}
}

func TestBindRefuses(t *testing.T) {
	for name, p := range map[string]*faults.Process{
		"nothing": nil, "init": {PID: 1, Start: 1}, "a group": {PID: -5, Start: 1}, "no start": {PID: 4127},
	} {
		if _, err := (&FD{}).Bind(faults.Place{Name: "x", Process: p}); err == nil {
			t.Errorf("%s can be exhausted", name)
		}
	}
	if _, err := (&Ports{}).Bind(faults.Place{Name: "x"}); err == nil {
		t.Error("no network can be exhausted")
	}
}

func TestPreviews(t *testing.T) {
	p := faults.Place{Process: &faults.Process{PID: 4127}}
	for want, c := range map[string]faults.Previewer{
		"80 % of every processor of the machine":             &CPU{},
		"1.5 processors' worth of the machine's time":        &CPU{Cores: 1.5},
		"80 % of the machine's available memory":             &Memory{},
		"2.00 GB of the machine's memory":                    &Memory{Size: "2GB"},
		"all but the reserve of the space under /srv":        &Disk{Path: "/srv"},
		"all but 3% of the space under /srv":                 &Disk{Path: "/srv", Leave: "3%"},
		"4 workers write up to 20.0 MB/s under /srv":         &IO{Path: "/srv"},
		"1 worker write and read up to 1.00 MB/s under /srv": &IO{Path: "/srv", Workers: 1, Mode: "both", Rate: "1MB"},
		"pid 4127 may open no more descriptors":              &FD{},
		"every free port of its network":                     &Ports{},
		"all but 10 free ports of its network":               &Ports{Leave: 10},
		"50 % of the free space under /srv":                  &Disk{Path: "/srv", Percent: 50},
		"20.0 GB under /srv":                                 &Disk{Path: "/srv", Size: "20GB"},
		"50 % of every processor of the machine":             &CPU{Percent: 50},
	} {
		if got := c.Preview(p); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestJobs computes what is done on machines of known size.
func TestJobs(t *testing.T) {
	const gb = 1e9
	cpu := func(c CPU, cpus ...int) string {
		j, err := c.plan().job(cpus)
		return text(t, j, err)
	}
	memory := func(m Memory, total, available uint64) string {
		j, err := m.plan().job(total, available)
		return text(t, j, err)
	}
	disk := func(d Disk, total, free uint64) string {
		d.Path = "/d"
		j, err := d.plan().job(total, free)
		return text(t, j, err)
	}
	for _, row := range []struct{ name, got, want string }{
		{"two and a half cores", cpu(CPU{Cores: 2.5}, 0, 1, 2), `{"duties":[1,1,0.5]}`},
		{"each by its own", cpu(CPU{Percent: 25, Nice: 3}, 4, 7), `{"duties":[0.25,0.25],"cpus":[4,7],"nice":3}`},
		{"too many", cpu(CPU{Cores: 3}, 0, 1), "cpu_stress: 3 cores are asked for, and the guard may use 2; ask for fewer, or give percent"},
		{"a size", memory(Memory{Size: "2GB"}, 16*gb, 12*gb), `{"bytes":2000000000,"floor":1600000000}`},
		{"a small machine's floor", memory(Memory{Size: "1GB"}, 2*gb, 1.6*gb), `{"bytes":1000000000,"floor":512000000}`},
		{"a share", memory(Memory{Percent: 50}, 16*gb, 12*gb), `{"bytes":6000000000,"floor":1600000000}`},
		{"a share cut at the floor", memory(Memory{Percent: 100}, 16*gb, 12*gb), `{"bytes":10000000000,"floor":1600000000}`},
		{"a floor in percent", memory(Memory{Size: "1GB", Floor: "50%"}, 16*gb, 12*gb), `{"bytes":1000000000,"floor":8000000000}`},
		{"a floor of a tiny machine", memory(Memory{Size: "1MiB", Floor: "1%"}, 1*gb, 0.5*gb), `{"bytes":1048576,"floor":64000000}`},
		{"too much memory", memory(Memory{Size: "11GB"}, 16*gb, 12*gb),
			"memory_stress: 11.0 GB cannot be taken: 12.0 GB are available, and the floor of 1.60 GB must be left; ask for less, or lower the floor"},
		{"nothing to share", memory(Memory{}, 16*gb, 1*gb),
			"memory_stress: 80 % cannot be taken: 1.00 GB are available, and the floor of 1.60 GB must be left; ask for less, or lower the floor"},
		{"disk by size", disk(Disk{Size: "10GB"}, 100*gb, 50*gb), `{"path":"/d","bytes":10000000000,"reserve":5000000000,"file":""}`},
		{"all but the reserve", disk(Disk{}, 100*gb, 50*gb), `{"path":"/d","bytes":43750000000,"reserve":5000000000,"file":""}`},
		{"a share of the disk", disk(Disk{Percent: 10}, 100*gb, 50*gb), `{"path":"/d","bytes":5000000000,"reserve":5000000000,"file":""}`},
		{"leave some", disk(Disk{Leave: "6%"}, 100*gb, 50*gb), `{"path":"/d","bytes":44000000000,"reserve":5000000000,"file":""}`},
		{"leave less than the reserve", disk(Disk{Leave: "2GB"}, 100*gb, 50*gb), "disk_fill: all but 2.00 GB of /d cannot be taken: " +
			"50.0 GB are free, and the reserve of 5.00 GB must be left; ask for less, or lower the reserve"},
		{"a full disk", disk(Disk{}, 100*gb, 1*gb), "disk_fill: everything of /d cannot be taken: " +
			"1.00 GB are free, and the reserve of 5.00 GB must be left; ask for less, or lower the reserve"},
	} {
		if d := cmp.Diff(row.want, row.got); d != "" {
			t.Errorf("%s: %s", row.name, d)
		}
	}
}

func text(t *testing.T, j any, err error) string {
	t.Helper()
	if err != nil {
		return err.Error()
	}
	out, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestJudgeCPU(t *testing.T) {
	second := time.Second
	for _, row := range []struct {
		asked  float64
		u      cpuUse
		proven bool
		say    string
	}{
		{2, cpuUse{over: second / 10, used: second}, false, "not run long enough"},
		{2, cpuUse{over: second, used: 19 * second / 10}, true, "1.90 processors busy, of 2.00 asked for (95 %)"},
		{2, cpuUse{over: second, used: second, waited: second}, true, "the machine had no more"},
		{2, cpuUse{over: second, used: second}, false, "a quota"},
		{2, cpuUse{over: second, waited: 2 * second}, false, "0.00 processors busy"},
		{0, cpuUse{over: second}, false, "not run long enough"},
	} {
		if proven, say := judgeCPU(row.asked, row.u); proven != row.proven || !strings.Contains(say, row.say) {
			t.Errorf("%+v: %v, %s", row, proven, say)
		}
	}
}

func TestJudgeIO(t *testing.T) {
	for _, row := range []struct {
		over   time.Duration
		moved  uint64
		proven bool
		say    string
	}{
		{ioWindow / 2, 5e6, false, "not run long enough"},
		{time.Second, 9e6, true, "9.00 MB/s reach the disk, of 10.0 MB/s asked for"},
		{time.Second, 3e6, false, "3.00 MB/s"},
		{2 * time.Second, 6e6, true, "the disk gave no more"},
		{2 * time.Second, 0, false, "0 B/s"},
	} {
		if proven, say := judgeIO(10e6, row.over, row.moved); proven != row.proven || !strings.Contains(say, row.say) {
			t.Errorf("%+v: %v, %s", row, proven, say)
		}
	}
}

// TestLimitFor compares with a process that is given the lowest free number again and again.
func TestLimitFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		open := rapid.SliceOfN(rapid.IntRange(0, 60), 0, 40).Draw(t, "open")
		leave := rapid.IntRange(0, 30).Draw(t, "leave")
		limit := limitFor(slices.Clone(open), leave)
		if got := freeBelow(slices.Clone(open), limit); got != leave {
			t.Fatalf("under %d, %d of %v can be opened, want %d", limit, got, open, leave)
		}
		opened := 0
		for next := 0; uint64(next) < limit; next++ {
			if !slices.Contains(open, next) {
				opened++
			}
		}
		if opened != leave {
			t.Fatalf("%d were opened under %d, want %d", opened, limit, leave)
		}
	})
}

// TestPortSets compares with sets of single ports.
func TestPortSets(t *testing.T) {
	ranges := rapid.Custom(func(t *rapid.T) portRange {
		first := rapid.IntRange(0, 120).Draw(t, "first")
		return portRange{first, first + rapid.IntRange(0, 20).Draw(t, "more")}
	})
	rapid.Check(t, func(t *rapid.T) {
		whole := ranges.Draw(t, "whole")
		spared := rapid.SliceOfN(ranges, 0, 4).Draw(t, "spared")
		each := rapid.IntRange(1, 10).Draw(t, "each")
		var want, got []int
		for port := whole.First; port <= whole.Last; port++ {
			if !slices.ContainsFunc(spared, func(s portRange) bool { return port >= s.First && port <= s.Last }) {
				want = append(want, port)
			}
		}
		kept := without(whole, spared)
		for _, portion := range share(kept, each) {
			if n := count(portion); n > each || n == 0 {
				t.Fatalf("a portion of %d, at most %d", n, each)
			}
			for _, r := range portion {
				for port := r.First; port <= r.Last; port++ {
					got = append(got, port)
				}
			}
		}
		if !slices.Equal(got, want) || count(kept) != len(want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

func TestParsePorts(t *testing.T) {
	for text, want := range map[string][]portRange{
		"": nil, "\n": nil, "80": {{80, 80}}, "8080,9000-9010\n": {{8080, 8080}, {9000, 9010}},
	} {
		if got, err := parsePorts(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"x", "5-", "9-5", "-1", "65536", "1-2-3"} {
		if got, err := parsePorts(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// FuzzParseAmount reads anything: an amount is a size or a percentage, never neither or both.
func FuzzParseAmount(f *testing.F) {
	for _, seed := range []string{"512MB", "1.5GiB", "10%", "1e3KB", "0x10MB", "NaNB", "1e400TB", "%", "MB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseAmount(text)
		if err == nil && (a.bytes == 0) == (a.percent == 0) {
			t.Errorf("%q is %+v", text, a)
		}
	})
}

// TestUndoRefuses reads ledger entries that would make a revert touch what is not ours.
func TestUndoRefuses(t *testing.T) {
	const token = "0123456789abcdef"
	for _, undo := range []string{
		``, `null`, `{}`, `{"token":"x"}`, `{"token":"0123456789ABCDEF"}`,
		`{"token":"` + token + `","group":"/sys/fs/cgroup/system.slice"}`,
		`{"token":"` + token + `","file":"/etc/passwd"}`,
		`{"token":"` + token + `","file":"gameday-stress-` + token + `"}`,
		`{"token":"` + token + `","group":"/sys/fs/cgroup/gameday-stress-fedcba9876543210"}`,
	} {
		if u, err := readUndo(faults.Entry{Undo: json.RawMessage(undo)}); err == nil {
			t.Errorf("%s is %+v", undo, u)
		}
	}
	good := `{"token":"` + token + `","group":"/sys/fs/cgroup/gameday-stress-` + token + `"}`
	if _, err := readUndo(faults.Entry{Undo: json.RawMessage(good)}); err != nil {
		t.Error(err)
	}
	for _, undo := range []string{`null`, `{"token":"` + token + `"}`, `{"token":"` + token + `","process":{"pid":1,"start":5}}`} {
		if u, err := readLimitUndo(faults.Entry{Undo: json.RawMessage(undo)}); err == nil {
			t.Errorf("%s is %+v", undo, u)
		}
	}
}
