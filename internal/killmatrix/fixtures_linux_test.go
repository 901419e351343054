package killmatrix

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/process"
	"gameday/targets/lab/power"
)

// fixtures has at least one for every kind. A name may go on behind the kind's, for other parameters.
func fixtures() map[string]fixture {
	all := map[string]fixture{
		"node_restart":          {build: restartWorld},
		"process_kill":          {build: killWorld},
		"process_pause":         {build: pauseWorld(`{}`)},
		"process_pause freezer": {build: pauseWorld(`{"method":"freezer"}`), needs: freezerMissing},
		"process_pause tree":    {build: familyWorld},
		"command":               {build: commandWorld},
		"fd_exhaustion":         {build: limitWorld},
		"cpu_stress":            {build: loadWorld(`{"cores":0.2}`, nil)},
		"memory_stress":         {build: loadWorld(`{"size":"24MB","floor":"64MB"}`, lockedMemory)},
		"disk_fill":             {build: loadWorld(`{"path":"WORLD","size":"20MB","reserve":"1MB"}`, diskSpace)},
		"io_stress":             {build: diskWorld, needs: diskMissing},
	}
	maps.Copy(all, networkFixtures())
	maps.Copy(all, leakyFixtures())
	return all
}

// idleTarget is a process that answers when it is asked, the place of the fault.
func idleTarget(w *world) (*proc, error) {
	p, err := w.start("target", as(roleTarget), 0, "ready")
	if err != nil {
		return nil, err
	}
	w.place.Process = &p.id
	w.kill = p.kill
	return p, nil
}

func killWorld(w *world) error {
	p, err := idleTarget(w)
	w.touched = func() (bool, string) { return !p.alive(), fmt.Sprintf("pid %d lives: %v", p.id.PID, p.alive()) }
	return err
}

// pauseWorld is a process that stands still when it does not answer although it is alive.
func pauseWorld(config string) func(*world) error {
	return func(w *world) error {
		p, err := idleTarget(w)
		w.config = config
		w.touched = func() (bool, string) {
			if !p.alive() {
				return false, "the process is gone"
			}
			err := p.answers(echoLimit)
			return err != nil && p.alive(), fmt.Sprintf("an answer of the process: %v", err)
		}
		return err
	}
}

// familyWorld is a process with a child, paused one after the other.
func familyWorld(w *world) error {
	p, err := w.start("target", as(roleFamily), 0, "ready")
	if err != nil {
		return err
	}
	child, err := childOf(p.id.PID)
	if err != nil {
		return err
	}
	w.place.Process, w.kill = &p.id, p.kill
	w.config = `{"tree":true}`
	w.touched = func() (bool, string) {
		states := string([]byte{max(' ', stateOf(p.id)), max(' ', stateOf(child))})
		return strings.Contains(states, "T"), fmt.Sprintf("states of parent and child: %q", states)
	}
	return nil
}

// childOf returns the only child of a process.
func childOf(pid int) (faults.Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return faults.Process{}, err
	}
	for _, e := range entries {
		status, err := os.ReadFile(filepath.Join("/proc", e.Name(), "status"))
		child, notPID := strconv.Atoi(e.Name())
		if err == nil && notPID == nil && strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", pid)) {
			return process.Identify(child)
		}
	}
	return faults.Process{}, fmt.Errorf("pid %d has no child", pid)
}

// freezerMissing says whether no control group can be made that can be frozen.
func freezerMissing() string {
	for _, dir := range ownGroups() {
		for _, file := range []string{"freezer.state", "cgroup.freeze"} {
			if unix.Access(filepath.Join(dir, file), unix.W_OK) == nil {
				return ""
			}
		}
	}
	return "no control group with a freezer can be made"
}

// commandWorld is a folder in which a shell makes two files, one some time after the other.
func commandWorld(w *world) error {
	first, second := filepath.Join(w.folder(), "first"), filepath.Join(w.folder(), "second")
	config, err := json.Marshal(map[string]any{
		"inject": []string{"sh", "-c", "touch " + first + "; sleep 0.3; touch " + second},
		"effect": []string{"test", "-e", second},
		"revert": []string{"rm", "-f", first, second},
	})
	if err != nil {
		return err
	}
	w.config, w.stands = string(config), true
	w.touched = func() (bool, string) {
		_, err := os.Lstat(first)
		return err == nil, fmt.Sprint("the first file: ", err)
	}
	_, err = idleTarget(w)
	w.place.Process = nil // the command runs beside it
	return err
}

// limitWorld is a process whose limit of descriptors the kernel tells.
func limitWorld(w *world) error {
	p, err := idleTarget(w)
	if err != nil {
		return err
	}
	limit := func() (uint64, error) {
		var now unix.Rlimit
		err := unix.Prlimit(p.id.PID, unix.RLIMIT_NOFILE, nil, &now)
		return now.Cur, err
	}
	before, err := limit()
	w.touched = func() (bool, string) {
		now, err := limit()
		return p.alive() && err == nil && now != before, fmt.Sprintf("the limit is %d, it was %d: %v", now, before, err)
	}
	return err
}

// loadWorld is a machine that is under load while a worker of ours is alive, or while measure says that something is
// taken.
func loadWorld(config string, measure func(w *world) (bool, string)) func(*world) error {
	return func(w *world) error {
		w.config = strings.ReplaceAll(config, "WORLD", w.folder())
		var st unix.Statfs_t
		if err := unix.Statfs(w.folder(), &st); err != nil {
			return err
		}
		w.used = int64(st.Blocks-st.Bfree) * int64(st.Bsize)
		w.touched = func() (bool, string) {
			workers := stressWorkers()
			yes, how := len(workers) > 0, fmt.Sprintf("workers: %v", workers)
			if measure != nil {
				more, detail := measure(w)
				yes, how = yes || more, how+", "+detail
			}
			return yes, how
		}
		_, err := idleTarget(w)
		w.place.Process = nil // the load is the machine's
		return err
	}
}

// diskWorld is a folder on the disk that temporary files are on: a load on one that lives in memory is refused.
func diskWorld(w *world) error {
	path := filepath.Join(w.temp(), "data")
	config := fmt.Sprintf(`{"path":%q,"size":"4MiB","rate":"1MB","workers":1,"reserve":"1MB"}`, path)
	if err := loadWorld(config, nil)(w); err != nil {
		return err
	}
	return os.Mkdir(path, 0o755)
}

// diskMissing says whether temporary files live in memory.
func diskMissing() string {
	var st unix.Statfs_t
	if err := unix.Statfs(os.TempDir(), &st); err == nil && (st.Type == unix.TMPFS_MAGIC || st.Type == unix.RAMFS_MAGIC) {
		return "temporary files live in memory, so there is no disk to keep busy (set TMPDIR)"
	}
	return ""
}

// stressWorkers returns the pids of all processes that run under the name of a load's worker.
func stressWorkers() []int {
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err == nil && bytes.HasPrefix(line, []byte("gameday-stress")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// lockedMemory reports whether any worker holds more memory than a program that does nothing.
func lockedMemory(*world) (bool, string) {
	for _, pid := range stressWorkers() {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		for l := range strings.Lines(string(status)) {
			if value, ok := strings.CutPrefix(l, "VmLck:"); ok && strings.Fields(value)[0] != "0" {
				return true, "locked memory: " + strings.TrimSpace(value)
			}
		}
	}
	return false, "no locked memory"
}

// diskSpace reports whether the world's disk holds more than at first, with a name or without.
func diskSpace(w *world) (bool, string) {
	var st unix.Statfs_t
	if err := unix.Statfs(w.folder(), &st); err != nil {
		return false, err.Error()
	}
	// A disk that others write to as well has a little more on it from one look to the next.
	used := int64(st.Blocks-st.Bfree)*int64(st.Bsize) - w.used
	return used > 4<<20, fmt.Sprintf("%d bytes more of the disk are used", used)
}

// restartWorld is a lab of one node.
func restartWorld(w *world) error {
	control := filepath.Join(w.dir, "lab")
	if _, err := w.start("lab", as(roleLab, control), 0, "ready"); err != nil {
		return err
	}
	c, err := power.Dial(control)
	if err != nil {
		return err
	}
	state := func() power.State {
		s, _ := c.Node(context.Background(), labNode) // off, if it cannot be asked
		return s
	}
	s := state()
	w.place.Node = &faults.Node{Name: labNode, Control: control, BootID: s.BootID, Init: s.Init}
	w.config = `{"down_for":"1s"}`
	w.touched = func() (bool, string) { s := state(); return !s.On, fmt.Sprintf("the node is on: %v", s.On) }
	w.kill = func() error { return killStranger(state().Init) }
	return nil
}
