package hosts

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// GuardsVariable is the environment variable that names another folder with guards to copy.
const GuardsVariable = "GAMEDAY_GUARDS"

// guardName begins the names of guards, here and on hosts.
const guardName = "gameday-guard"

// machines are the architectures that a guard can be built for: as uname -m names them, as Go does, and as a program's
// header does.
var machines = []struct {
	uname, goarch string
	elf           elf.Machine
}{
	{"x86_64", "amd64", elf.EM_X86_64},
	{"aarch64", "arm64", elf.EM_AARCH64},
	{"armv7l", "arm", elf.EM_ARM},
	{"armv6l", "arm", elf.EM_ARM},
	{"i686", "386", elf.EM_386},
	{"riscv64", "riscv64", elf.EM_RISCV},
	{"ppc64le", "ppc64le", elf.EM_PPC64},
	{"s390x", "s390x", elf.EM_S390},
}

// Programs finds the guards that can be copied to hosts. The zero value looks in $GAMEDAY_GUARDS, and else beside the
// program that runs.
type Programs struct {
	Folder string

	mu    sync.Mutex
	known map[string]Program // by uname's machine
}

// Program is a guard to copy.
type Program struct {
	Path   string
	Digest string // SHA-256 in hexadecimal
}

// Name returns the name under which the program stands on hosts.
func (p Program) Name() string { return guardName + "-" + p.Digest[:16] }

// For returns the guard for a machine as uname -m names it.
func (p *Programs) For(uname string) (Program, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.known[uname]; ok {
		return known, nil
	}
	found, err := p.find(uname)
	if err != nil {
		return Program{}, err
	}
	if p.known == nil {
		p.known = map[string]Program{}
	}
	p.known[uname] = found
	return found, nil
}

func (p *Programs) find(uname string) (Program, error) {
	folder, err := p.folder()
	if err != nil {
		return Program{}, err
	}
	for _, m := range machines {
		if m.uname != uname {
			continue
		}
		names := []string{guardName + "-linux-" + m.goarch, guardName}
		for _, name := range names {
			path := filepath.Join(folder, name)
			if machine, err := machineOf(path); err == nil && machine == m.elf {
				digest, err := digestOf(path)
				return Program{Path: path, Digest: digest}, err
			}
		}
		return Program{}, fmt.Errorf("there is no guard for linux/%s in %s (looked for %s); build it from gameday's source: "+
			"CGO_ENABLED=0 GOOS=linux GOARCH=%s go build -ldflags '-s -w' -o %s ./cmd/gameday-guard",
			m.goarch, folder, strings.Join(names, " and "), m.goarch, filepath.Join(folder, names[0]))
	}
	return Program{}, fmt.Errorf("no guard can be built for a machine of type %q", uname)
}

func (p *Programs) folder() (string, error) {
	if p.Folder != "" {
		return p.Folder, nil
	}
	if dir := os.Getenv(GuardsVariable); dir != "" {
		return dir, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding the guard to copy: %w", err)
	}
	return filepath.Dir(self), nil
}

// machineOf reads for which machine a program was built.
func machineOf(path string) (elf.Machine, error) {
	f, err := elf.Open(path)
	if err != nil {
		return 0, err
	}
	return f.Machine, f.Close()
}

// digestOf returns a file's SHA-256.
func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading the guard to copy: %w", err)
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("reading the guard to copy: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
