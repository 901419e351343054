package mountrig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// variable names the folder of the small disk in the process that tries it.
const variable = "GAMEDAY_MOUNT_TEST"

// Main is for a TestMain: in a process that Run started it tries a disk of 64 KiB and ends, and else it runs the tests.
func Main(m *testing.M, try func(dir string) error) { Sized(m, "64k", try) }

// Sized is Main with a disk of another size, as mount writes it: "1m".
func Sized(m *testing.M, size string, try func(dir string) error) {
	dir := os.Getenv(variable)
	if dir == "" {
		os.Exit(m.Run())
	}
	err := mount(dir, size)
	if err == nil {
		err = try(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// mount puts a disk on the folder, for this mount namespace alone.
func mount(dir, size string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		return fmt.Errorf("mounting: %w", err)
	}
	return nil
}

// Run has Main try the disk, and fails the test with what it says. It skips the test where no mount namespace can be made, and
// fails it there if CI is set.
func Run(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), variable+"="+t.TempDir())
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
