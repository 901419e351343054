package vm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// cacheVariable names the folder with the kernel's files, if it is not gameday/vm in the user's cache folder.
const cacheVariable = "GAMEDAY_VM"

// parts is what a machine is made of.
type parts struct {
	qemu, busybox, mke2fs  string
	dash, ip, tc, nft      string
	sshd, sshKeygen        string
	kernel                 string // file of the kernel
	modules, kernelVersion string // folder of its modules, and its name
}

// Need skips a test that cannot have a machine here, and fails it where CI is set. It skips short tests.
func Need(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("boots a virtual machine")
	}
	if _, err := findParts(); err != nil {
		why := fmt.Sprintf("no virtual machine here: %v; tools/setup installs what is missing", err)
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
}

// findParts finds everything, or names all that is missing.
func findParts() (parts, error) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return parts{}, errors.New("the rig runs on Linux on amd64 only, whose programs it copies into the machine")
	}
	var p parts
	var missing []error
	for _, want := range []struct {
		name string
		path *string
	}{
		{"qemu-system-x86_64", &p.qemu}, {"busybox", &p.busybox}, {"mke2fs", &p.mke2fs},
		{"dash", &p.dash}, {"ip", &p.ip}, {"tc", &p.tc}, {"nft", &p.nft}, {"sshd", &p.sshd}, {"ssh-keygen", &p.sshKeygen},
	} {
		path, err := lookPath(want.name)
		if err != nil {
			missing = append(missing, err)
		}
		*want.path = path
	}
	return p, errors.Join(append(missing, p.findKernel())...)
}

// findKernel finds the newest kernel in the cache.
func (p *parts) findKernel() error {
	dir := os.Getenv(cacheVariable)
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("finding the kernel: %w", err)
		}
		dir = filepath.Join(cache, "gameday", "vm")
	}
	kernels, err := filepath.Glob(filepath.Join(dir, "*", "boot", "vmlinuz-*"))
	if err != nil || len(kernels) == 0 {
		return fmt.Errorf("no kernel in %s (%s names another folder)", dir, cacheVariable)
	}
	p.kernel = kernels[len(kernels)-1]
	p.kernelVersion = filepath.Base(p.kernel)[len("vmlinuz-"):]
	root := filepath.Dir(filepath.Dir(p.kernel))
	p.modules = filepath.Join(root, "lib", "modules", p.kernelVersion)
	if _, err := os.Stat(p.modules); err != nil {
		p.modules = filepath.Join(root, "usr", "lib", "modules", p.kernelVersion)
	}
	if _, err := os.Stat(p.modules); err != nil {
		return fmt.Errorf("a kernel without its modules: %w", err)
	}
	return nil
}
