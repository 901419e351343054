package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

const hybridMounts = `25 30 0:23 / /sys/fs/cgroup rw shared:8 - tmpfs tmpfs rw
31 25 0:28 / /sys/fs/cgroup/freezer rw,nosuid shared:12 - cgroup cgroup rw,freezer
32 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 25 0:30 / /sys/fs/cgroup/unified rw shared:9 master:2 - cgroup2 cgroup2 rw
34 25 0:31 /docker/3f /mnt/odd\040name ro - cgroup2 cgroup2 rw
torn line
`

func TestParseMounts(t *testing.T) {
	want := []hierarchy{{2, "/sys/fs/cgroup/unified", "/"}, {2, "/mnt/odd name", "/docker/3f"}, {1, "/sys/fs/cgroup/freezer", "/"}}
	if got := parseMounts(hybridMounts); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestFolder(t *testing.T) {
	const groups = "6:freezer:/kube/pod1\n3:cpu,cpuacct:/\n1:name=systemd:/init.scope\n0::/system.slice/a b.service\n"
	for _, c := range []struct {
		h      hierarchy
		groups string
		want   string // or what the error says
	}{
		{hierarchy{2, "/c", "/"}, groups, "/c/system.slice/a b.service"},
		{hierarchy{1, "/f", "/"}, groups, "/f/kube/pod1"},
		{hierarchy{1, "/f", "/kube"}, groups, "/f/pod1"},
		{hierarchy{1, "/f", "/kube/pod1"}, groups, "/f"},
		{hierarchy{1, "/f", "/kube/pod2"}, groups, "does not show"},
		{hierarchy{1, "/f", "/kub"}, groups, "does not show"},
		{hierarchy{2, "/c", "/"}, "0::/../other\n", "does not show"},
		{hierarchy{2, "/c", "/"}, "0::/gone (deleted)\n", "does not show"},
		{hierarchy{2, "/c", "/"}, "1:cpu:/\n", "in no cgroup"},
		{hierarchy{1, "/c", "/"}, "garbage", "in no cgroup"},
	} {
		got, err := c.h.folder(c.groups)
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%+v in %q: %q, want %q", c.h, c.groups, got, c.want)
		}
	}
}

// FuzzFolder never leads out of the mount.
func FuzzFolder(f *testing.F) {
	f.Add(hybridMounts, "6:freezer:/kube/pod1\n0::/../../x\n")
	f.Add("1 2 0:3 /a/../.. /m rw - cgroup2 c rw\n", "0::/b\n")
	f.Fuzz(func(t *testing.T, mounts, groups string) {
		for _, h := range parseMounts(mounts) {
			folder, err := h.folder(groups)
			if err == nil && folder != filepath.Clean(h.mount) && !strings.HasPrefix(folder, strings.TrimSuffix(filepath.Clean(h.mount), "/")+"/") {
				t.Errorf("%+v: %q lies outside", h, folder)
			}
		}
	})
}

// TestGroupsThatVanish reads who is in a folder of which a part is removed when that is half done: the first of the cgroups below
// gives its processes only then.
func TestGroupsThatVanish(t *testing.T) {
	for _, test := range []struct {
		gone string
		want []int
	}{
		{"b", []int{1, 2, 5}},    // it is listed, and its processes were not read
		{"a", []int{1, 2, 3, 5}}, // its processes are read, and what is below was not listed
	} {
		t.Run(test.gone, func(t *testing.T) {
			folder := t.TempDir()
			for at, text := range map[string]string{".": "1\n", "b": "3\n", "b/below": "", "c": "5\n"} {
				fakeCgroup(t, filepath.Join(folder, at))
				if err := os.WriteFile(filepath.Join(folder, at, "cgroup.procs"), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			fakeCgroup(t, filepath.Join(folder, "a"))
			first := filepath.Join(folder, "a", "cgroup.procs")
			if err := unix.Mkfifo(first, 0o644); err != nil {
				t.Fatal(err)
			}
			var removing sync.WaitGroup
			removing.Go(func() {
				w, err := os.OpenFile(first, os.O_WRONLY, 0) // when somebody reads it
				if err != nil {
					t.Error(err)
					return
				}
				_, err = w.WriteString("2\n")
				if err := errors.Join(err, os.RemoveAll(filepath.Join(folder, test.gone)), w.Close()); err != nil {
					t.Error(err)
				}
			})
			pids, err := pidsBelow(folder)
			removing.Wait()
			if err != nil || !slices.Equal(pids, test.want) {
				t.Errorf("%v, %v, want %v", pids, err, test.want)
			}
		})
	}
}

// TestGroupThatVanishesOpen reads the list of a cgroup that was removed after the list was opened. It counts as nobody's, but for
// the cgroup that was asked for.
func TestGroupThatVanishesOpen(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			_, dead := freezer(t, version)
			list, err := os.Open(filepath.Join(dead, "cgroup.procs"))
			if err != nil {
				t.Fatal(err)
			}
			defer list.Close()
			if err := os.Remove(dead); err != nil {
				t.Fatal(err)
			}
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, "cgroup.procs"), []byte("1\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			below := filepath.Join(folder, "below")
			fakeCgroup(t, below)
			if err := os.Symlink(fmt.Sprintf("/proc/self/fd/%d", list.Fd()), filepath.Join(below, "cgroup.procs")); err != nil {
				t.Fatal(err)
			}
			if pids, err := pidsBelow(folder); err != nil || !slices.Equal(pids, []int{1}) {
				t.Errorf("%v, %v, want only 1", pids, err)
			}
			if pids, err := pidsBelow(below); !errors.Is(err, unix.ENODEV) {
				t.Errorf("asked for itself: %v, %v", pids, err)
			}
			if pids, err := pidsBelow(dead); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("asked for by name: %v, %v", pids, err)
			}
		})
	}
}

// fakeCgroup makes a folder that stands for a cgroup.
func fakeCgroup(t *testing.T, folder string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestFreezeAlone freezes the cgroup that a process has for itself in place, and only then.
func TestFreezeAlone(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) { freezeAlone(t, version) })
	}
}

func freezeAlone(t *testing.T, version int) {
	h, folder := freezer(t, version)
	home, err := h.folderOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	p, q := newPatient(t), newPatient(t)
	moveTo(t, folder, p.Process)
	x, err := prescribe(t, Pause{Method: "freezer"}, p.Process, h)
	if err != nil {
		t.Fatal(err)
	}
	if g := x.injection.(*freezing).undo.Cgroup; g.Own || g.Path != folder {
		t.Errorf("v%d: it would freeze %+v", version, g)
	}
	moveTo(t, folder, q.Process) // meanwhile a stranger came
	if err := x.injection.Inject(x.ctx, 0); err == nil || !strings.Contains(err.Error(), "somebody else's pid") {
		t.Errorf("v%d: %v", version, err)
	}
	if frozen, _ := isFrozen(version, folder); frozen {
		t.Errorf("v%d: frozen although a stranger was there", version)
	}
	moveTo(t, home, q.Process)
	x.inject()
	x.proven()
	rests(t, p.Process)
	runs(t, q.Process)
	x.revert()
	runs(t, p.Process)
	if at, err := h.folderOf(p.PID); err != nil || at != folder {
		t.Errorf("v%d: it is in %s now, %v", version, at, err)
	}
	moveTo(t, home, p.Process)
}

// TestFreezeRefuses says why nothing can be frozen without others.
func TestFreezeRefuses(t *testing.T) {
	h, folder := freezer(t, 2)
	ctx := faults.WithOwner(t.Context(), faults.Owner{Run: fmt.Sprintf("run-%d", os.Getpid())})
	p := newPatient(t)
	child := p.forks("")
	home, err := h.folderOf(p.PID)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(want string, only ...hierarchy) {
		t.Helper()
		i := &freezing{root: p.Process, tree: true, hierarchies: func() ([]hierarchy, error) { return only, nil }}
		if _, err := i.Undo(t.Context()); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `method = "signal"`) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	refused("no cgroup hierarchy")
	refused("does not show", hierarchy{2, h.mount, "/elsewhere"})
	moveTo(t, folder, child)
	if home != h.mount { // at the top of the hierarchy, which cannot be frozen, every other cgroup lies below
		refused("in another cgroup", h)
	} else {
		refused("cannot be moved together", h)
	}
	moveTo(t, home, child)

	name := ownCgroup(faults.OwnerOf(ctx))
	if err := os.Mkdir(filepath.Join(home, name), 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(filepath.Join(home, name))
	i := &freezing{root: p.Process, hierarchies: func() ([]hierarchy, error) { return []hierarchy{h}, nil }}
	if _, err := i.Undo(ctx); err == nil || !strings.Contains(err.Error(), faults.ErrForeign.Error()) {
		t.Errorf("a cgroup of that name: %v", err)
	}
}

// TestReleaseRefuses leaves a cgroup alone that is not the one of the entry.
func TestReleaseRefuses(t *testing.T) {
	_, folder := freezer(t, 2)
	inode, err := inodeOf(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := setFrozen(2, folder, true); err != nil {
		t.Fatal(err)
	}
	defer setFrozen(2, folder, false)
	other := frozen{Version: 2, Path: folder, Inode: inode + 1}
	if err := other.release(t.Context(), faults.Owner{Injection: "x"}); err != nil {
		t.Error(err)
	}
	own := frozen{Version: 2, Path: folder, Own: true, Previous: filepath.Dir(folder)}
	if err := own.release(t.Context(), faults.Owner{Injection: "x"}); err == nil || !strings.Contains(err.Error(), "by hand") {
		t.Errorf("released somebody else's: %v", err)
	}
	if _, self := isFrozen(2, folder); !self {
		t.Error("thawed somebody else's cgroup")
	}
}
