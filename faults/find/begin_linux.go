package find

import (
	"fmt"
	"slices"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// forkedFlag is PF_FORKNOEXEC of the kernel's include/linux/sched.h: since it was forked a process has become no other program.
const forkedFlag = 0x00000040

// prepares reports whether a container's first process is still its runtime's own, which is to become the container's program:
// it was forked from the runtime, and what it executes comes from outside of the container. The first alone is also so of a program
// that was restored from a checkpoint, and is there.
func prepares(p procfs.Proc) bool {
	stat, err := p.Stat()
	if err != nil || stat.State == "Z" || stat.Flags&forkedFlag == 0 {
		return false
	}
	var exe unix.Statx_t
	err = unix.Statx(unix.AT_FDCWD, fmt.Sprintf("/proc/%d/exe", p.PID), 0, unix.STATX_MNT_ID, &exe)
	if err != nil || exe.Mask&unix.STATX_MNT_ID == 0 {
		return true
	}
	mounts, err := p.MountInfo()
	return err != nil || !slices.ContainsFunc(mounts, func(m *procfs.MountInfo) bool { return uint64(m.MountID) == exe.Mnt_id })
}
