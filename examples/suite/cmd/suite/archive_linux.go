package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// mountMemory mounts a file system of so many MiB on a folder: a node of a lab has mounts of its own, which go with it.
func mountMemory(dir string, mib int) error {
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("size=%dm,mode=0755", mib)); err != nil {
		return fmt.Errorf("mounting a file system on %s: %w; only on a node of a lab, or as root, may one", dir, err)
	}
	return nil
}

// freeShare is how much of a folder's file system is free to users other than root, from 0 to 1.
func freeShare(dir string) (float64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return float64(st.Bavail) / float64(max(1, st.Blocks)), nil
}
