package faults_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"gameday/faults"
)

// diskVariable names the folder on which the test binary, in a mount namespace of its own, tries full and
// read-only disks.
const diskVariable = "GAMEDAY_DISK_TEST"

func TestMain(m *testing.M) {
	if dir := os.Getenv(diskVariable); dir != "" {
		if err := tryDisks(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestDiskTrouble fills a disk and makes it read-only: no entry is opened then, and nothing is left behind.
func TestDiskTrouble(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), diskVariable+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		if os.Getenv("CI") != "" {
			t.Fatalf("no mount namespace can be made here: %v", err)
		}
		t.Skipf("no mount namespace can be made here: %v", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func tryDisks(dir string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		return fmt.Errorf("mounting: %w", err)
	}
	l, err := faults.OpenLedger(filepath.Join(dir, "ledger"))
	if err != nil {
		return err
	}
	h, err := l.Open(entry("before"))
	if err != nil {
		return err
	}
	fill, err := os.Create(filepath.Join(dir, "fill"))
	if err != nil {
		return err
	}
	for err == nil {
		_, err = fill.Write(make([]byte, 4096))
	}
	if _, err := l.Open(entry("full")); !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("on a full disk: %v", err)
	}
	if s, err := l.Standing(); err != nil || len(s) != 1 || s[0].Err != nil {
		return fmt.Errorf("on a full disk the ledger has %+v, %v", s, err)
	}
	files, err := os.ReadDir(l.Dir())
	if err != nil || len(files) != 1 {
		return fmt.Errorf("the full disk has %v, %v", files, err)
	}
	if err := h.Close(); err != nil { // what stands can be closed although the disk is full
		return err
	}
	fill.Close()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("remounting: %w", err)
	}
	if _, err := l.Open(entry("readonly")); !errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("on a read-only disk: %v", err)
	}
	if _, err := faults.OpenLedger(filepath.Join(dir, "other")); !errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("making a ledger on a read-only disk: %v", err)
	}
	return nil
}
