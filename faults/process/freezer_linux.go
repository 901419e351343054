package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

// releaseLimit is how long the last processes may take to leave a cgroup of ours.
const releaseLimit = 3 * time.Second

// freezing is one pause by a cgroup's freezer.
type freezing struct {
	root        faults.Process
	tree        bool
	hierarchies func() ([]hierarchy, error)
	undo        pauseUndo // as it stands in the ledger; but for the processes, which only inform
}

// Undo chooses the cgroup to freeze, after making sure that nobody else has paused any of the processes.
func (f *freezing) Undo(ctx context.Context) (json.RawMessage, error) {
	all, err := family(f.root, f.tree)
	if err != nil {
		return nil, err
	}
	if all, err = allUntouched(all); err != nil {
		return nil, err
	}
	group, err := f.choose(all, ownCgroup(faults.OwnerOf(ctx)))
	if err != nil {
		return nil, err
	}
	f.undo = pauseUndo{Method: byFreezer, Processes: all, Cgroup: group}
	return json.Marshal(f.undo)
}

// choose returns the first way to freeze the processes and nobody else.
func (f *freezing) choose(all []faults.Process, name string) (*frozen, error) {
	hs, err := f.hierarchies()
	if err != nil {
		return nil, err
	}
	var why []string
	for _, h := range hs {
		group, err := h.choose(all, name)
		if err == nil || errors.Is(err, faults.ErrForeign) {
			return group, err
		}
		why = append(why, fmt.Sprintf("cgroup v%d: %v", h.version, err))
	}
	if len(why) == 0 {
		why = []string{"no cgroup hierarchy with a freezer is mounted"}
	}
	return nil, fmt.Errorf("pid %d cannot be frozen without others: %s; use method = \"signal\"",
		f.root.PID, strings.Join(why, "; "))
}

// choose returns the cgroup that holds the processes alone, or else one that can be made for them below the one that
// they are in.
func (h hierarchy) choose(all []faults.Process, name string) (*frozen, error) {
	folder, err := h.folderOf(all[0].PID)
	if err != nil {
		return nil, err
	}
	for _, p := range all[1:] {
		at, err := h.folderOf(p.PID)
		if err != nil && !Alive(p) {
			continue
		}
		if err != nil || !strings.HasPrefix(at+"/", folder+"/") {
			return nil, fmt.Errorf("pid %d, a descendant, is in another cgroup than pid %d", p.PID, all[0].PID)
		}
	}
	pids, err := pidsBelow(folder)
	if err != nil {
		return nil, fmt.Errorf("reading who is in %s: %w", folder, err)
	}
	alone := !slices.ContainsFunc(pids, func(pid int) bool { return !isOf(all, pid) })
	inode, err := inodeOf(folder)
	if err != nil {
		return nil, err
	}
	if alone && unix.Access(freezerFile(h.version, folder), unix.W_OK) == nil {
		return &frozen{Version: h.version, Path: folder, Inode: inode}, nil
	}
	if err := h.roomBelow(folder, all); err != nil {
		return nil, err
	}
	path := filepath.Join(folder, name)
	if _, err := os.Lstat(path); err == nil {
		return nil, foreignError("there is a cgroup %s already; if nothing of an earlier run needs it, remove it with rmdir", path)
	}
	return &frozen{Version: h.version, Path: path, Own: true, Previous: folder, Inode: inode}, nil
}

// roomBelow returns why no cgroup can be made below one, or its processes not moved there and back.
func (h hierarchy) roomBelow(folder string, all []faults.Process) error {
	for _, p := range all {
		if at, err := h.folderOf(p.PID); err == nil && at != folder {
			return fmt.Errorf("pid %d is in another cgroup than pid %d, so they cannot be moved together", p.PID, all[0].PID)
		}
	}
	if kind, err := os.ReadFile(filepath.Join(folder, "cgroup.type")); err == nil && strings.TrimSpace(string(kind)) != "domain" {
		return fmt.Errorf("%s is threaded, and whole processes cannot be moved below it", folder)
	}
	for _, need := range []string{folder, filepath.Join(folder, "cgroup.procs")} {
		if err := unix.Access(need, unix.W_OK); err != nil {
			return fmt.Errorf("others are in %s, and a cgroup cannot be made below it: %s: %w", folder, need, err)
		}
	}
	return nil
}

func isOf(all []faults.Process, pid int) bool {
	return slices.ContainsFunc(all, func(p faults.Process) bool { return p.PID == pid })
}

// Inject freezes the cgroup, after making and filling it where it is our own.
func (f *freezing) Inject(ctx context.Context, _ time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !Alive(f.root) {
		return vanished(f.root)
	}
	g := f.undo.Cgroup
	if g.Own {
		if err := os.Mkdir(g.Path, 0o755); err != nil {
			return fmt.Errorf("making a cgroup: %w", err)
		}
		if err := f.fill(); err != nil {
			return err
		}
	} else if err := f.strangers(); err != nil {
		return err
	}
	faults.Reach(ctx, faults.MidInject)
	if err := setFrozen(g.Version, g.Path, true); err != nil {
		return fmt.Errorf("freezing %s: %w", g.Path, err)
	}
	return f.strangers() // nobody can come any more unless somebody else moves him
}

// fill moves the processes into the cgroup, parents first: the children of those who are there are born there.
func (f *freezing) fill() error {
	all, moved := f.undo.Processes, 0
	for range maxPasses {
		for _, p := range all[moved:] {
			if !Alive(p) {
				continue
			}
			if err := writeTo(filepath.Join(f.undo.Cgroup.Path, "cgroup.procs"), strconv.Itoa(p.PID)); err != nil && Alive(p) {
				return fmt.Errorf("moving pid %d to %s: %w", p.PID, f.undo.Cgroup.Path, err)
			}
		}
		moved = len(all)
		if !f.tree {
			return nil
		}
		more, err := grow(all)
		if err != nil {
			return err
		}
		if all = more; len(all) == moved {
			f.undo.Processes = all
			return nil
		}
	}
	return fmt.Errorf("the descendants of pid %d are still multiplying after %d passes", f.root.PID, maxPasses)
}

// strangers returns an error when somebody is in the cgroup who neither was chosen nor descends from the chosen.
func (f *freezing) strangers() error {
	pids, err := pidsBelow(f.undo.Cgroup.Path)
	if err != nil {
		return fmt.Errorf("reading who is in %s: %w", f.undo.Cgroup.Path, err)
	}
	all, err := grow(slices.Clone(f.undo.Processes))
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if s, err := readStat(pid); err == nil && s.state != 'Z' && !isOf(all, pid) {
			return foreignError("somebody else's pid %d is in %s by now", pid, f.undo.Cgroup.Path)
		}
	}
	return nil
}

// Effect waits until the kernel says that the cgroup is frozen, with the processes in it, and none of them runs.
func (f *freezing) Effect(ctx context.Context) (faults.Effect, error) {
	g := f.undo.Cgroup
	in, err := f.hierarchies()
	if err != nil {
		return faults.Effect{}, err
	}
	e, err := standstill(ctx, byFreezer, f.undo.Processes, func(p faults.Process, _ look) (bool, string) {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p.PID))
		if !within(string(data), in, g) {
			return false, "not in " + g.Path
		}
		return settledFrozen(g.Version, g.Path), "in " + g.Path + ", which is not frozen yet"
	})
	e.Details["cgroup"] = g.Path
	return e, err
}

// within reports whether a process's cgroups have the frozen one, or one below it, among them.
func within(groups string, in []hierarchy, g *frozen) bool {
	return slices.ContainsFunc(in, func(h hierarchy) bool {
		at, err := h.folder(groups)
		return err == nil && h.version == g.Version && strings.HasPrefix(at+"/", g.Path+"/")
	})
}

// Watch reports that the chosen process is gone or about to be, or was thawed by somebody else. Under version 1 a
// frozen process that is killed does not end before it is thawed.
func (f *freezing) Watch(ctx context.Context) (faults.Effect, error) {
	g := f.undo.Cgroup
	return watch(ctx, f.root, func() string {
		if l := lookAt(f.root); l.killed {
			return killedWhilePaused(f.root)
		}
		if _, self := isFrozen(g.Version, g.Path); !self {
			return fmt.Sprintf("somebody else thawed %s", g.Path)
		}
		return ""
	})
}

// release thaws the cgroup. One of our own is emptied first, everybody going back to where he was, and removed.
func (f *frozen) release(ctx context.Context, by faults.Owner) error {
	inode, err := inodeOf(f.Path)
	if err != nil {
		return fmt.Errorf("looking for %s: %w", f.Path, err)
	}
	if inode == 0 || !f.Own && inode != f.Inode {
		return nil // it is gone, and what stands there now is not ours
	}
	if !f.Own {
		return f.thaw()
	}
	if filepath.Base(f.Path) != ownCgroup(by) || filepath.Dir(f.Path) != f.Previous {
		return fmt.Errorf("the ledger's cgroup %s is not one that this injection makes; look at it by hand", f.Path)
	}
	moveErr := f.empty(ctx)
	thawErr := f.thaw() // whoever could not be moved shall run at least, and may be moved then
	if moveErr != nil {
		moveErr = f.empty(ctx)
	}
	if err := f.remove(ctx); err != nil {
		return errors.Join(err, moveErr, thawErr)
	}
	return nil
}

// thaw takes back what was told to the freezer, and reads whether it was understood.
func (f *frozen) thaw() error {
	if _, self := isFrozen(f.Version, f.Path); !self {
		return nil
	}
	if err := setFrozen(f.Version, f.Path, false); err != nil {
		return fmt.Errorf("thawing %s: %w", f.Path, err)
	}
	if _, self := isFrozen(f.Version, f.Path); self {
		return fmt.Errorf("thawing %s: it stays frozen", f.Path)
	}
	return nil
}

// empty moves everybody in the cgroup to the one above, the last to come first. The kernel thaws who leaves a frozen
// cgroup; until then none of them can end and give his pid to another.
func (f *frozen) empty(ctx context.Context) error {
	pids, err := pidsIn(f.Path)
	if err != nil {
		return fmt.Errorf("reading who is in %s: %w", f.Path, err)
	}
	slices.Reverse(pids)
	for i, pid := range pids {
		if i > 0 {
			faults.Reach(ctx, faults.MidRevert)
		}
		err := writeTo(filepath.Join(f.Previous, "cgroup.procs"), strconv.Itoa(pid))
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("moving pid %d back to %s: %w", pid, f.Previous, err)
		}
	}
	return nil
}

// remove removes our cgroup; who was killed in it may take a moment to leave.
func (f *frozen) remove(ctx context.Context) error {
	for end := time.Now().Add(releaseLimit); ; {
		err := os.Remove(f.Path)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(end) || !sleep(ctx, 5*time.Millisecond) {
			return fmt.Errorf("removing our cgroup: %w", err)
		}
		if err := f.empty(ctx); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
}
