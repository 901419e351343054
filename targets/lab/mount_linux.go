package lab

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	hostsFile = labRun + "/hosts"
	// hostRun is where the lab keeps the machine's own /run, which the conductor may need for sockets.
	hostRun = "/run/.host"
)

// mountLab makes this mount namespace the lab's: nothing done in it is seen outside, /proc shows the lab's
// processes, and /run is a tmpfs with the lab's files in it, beside links to the machine's own.
func mountLab() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := mountProc(); err != nil {
		return err
	}
	// Without a copy of the machine's /run the lab still works, so that is not worth an error.
	old, oldErr := unix.OpenTree(unix.AT_FDCWD, "/run", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err := mountRun(); err != nil {
		return err
	}
	if oldErr == nil {
		linkHostRun(old)
		unix.Close(old)
	}
	if err := os.Mkdir(labRun, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(hostsFile, []byte(plan{}.hosts()), 0o644); err != nil {
		return err
	}
	if err := bind(hostsFile, "/etc/hosts"); err != nil {
		return fmt.Errorf("%w; a lab needs the file /etc/hosts to put its own in place of it", err)
	}
	return nil
}

// linkHostRun puts the detached tree below our /run and links to what is in it.
func linkHostRun(tree int) {
	if os.Mkdir(hostRun, 0o755) != nil {
		return
	}
	if unix.MoveMount(tree, "", unix.AT_FDCWD, hostRun, unix.MOVE_MOUNT_F_EMPTY_PATH) != nil {
		return
	}
	entries, err := os.ReadDir(hostRun)
	if err != nil {
		return
	}
	for _, e := range entries {
		// A name that is ours by then keeps its meaning.
		_ = os.Symlink(filepath.Join(filepath.Base(hostRun), e.Name()), filepath.Join("/run", e.Name()))
	}
}

// mountNode makes this mount namespace a node's: own /proc with an own boot id, and an empty /run. /etc/hosts is
// the lab's file already.
func mountNode(bootID string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := mountProc(); err != nil {
		return err
	}
	if err := mountRun(); err != nil {
		return err
	}
	if err := os.Mkdir(labRun, 0o755); err != nil {
		return err
	}
	boot := labRun + "/boot_id"
	if err := os.WriteFile(boot, []byte(bootID+"\n"), 0o444); err != nil {
		return err
	}
	if err := bind(boot, "/proc/sys/kernel/random/boot_id"); err != nil {
		return err
	}
	// The machine's name servers cannot be reached from here. Asking ourselves is refused at once, which is better than a
	// time limit at every unknown name.
	if _, err := os.Stat("/etc/resolv.conf"); err != nil {
		return nil
	}
	resolv := labRun + "/resolv.conf"
	if err := os.WriteFile(resolv, []byte("nameserver 127.0.0.1\n"), 0o644); err != nil {
		return err
	}
	return bind(resolv, "/etc/resolv.conf")
}

func mountProc() error {
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	return nil
}

func mountRun() error {
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mounting a tmpfs on /run: %w", err)
	}
	return nil
}

func bind(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("putting %s over %s: %w", from, to, err)
	}
	return nil
}
