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

	"gameday/programs"
)

// GuardsVariable is the environment variable that names another folder with programs to copy.
const GuardsVariable = "GAMEDAY_GUARDS"

// role is what a copied program does on a host.
type role struct {
	word  string // what people call it
	there string // begins its name on hosts, before its digest
	here  string // begins its file's name, before the system's and the machine's
	self  bool   // this program is one
	byRun bool   // nothing but a run copies it
	build string // its package
	given string // what the setting is called that names one which is there already
}

var (
	guards = role{word: "guard", there: "gameday-guard", here: "gameday-guard", build: "./cmd/gameday-guard",
		given: "guard"}
	generators = role{word: "generator", there: "gameday-generator", here: "gameday", self: true, byRun: true,
		build: "./cmd/gameday", given: "program"}
	scripts = role{word: "program for k6 scripts", there: "gameday-k6", here: "gameday-k6", byRun: true,
		build: "./cmd/gameday-k6", given: "program"}
)

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

// copier says who copies the program to a folder.
func (r role) copier(folder string) string {
	if r.byRun {
		return "a run copies it to " + folder
	}
	return "`gameday hosts install` copies it to " + folder + ", and so does a run"
}

// Programs finds the programs that can be copied to hosts. The zero value finds guards: in $GAMEDAY_GUARDS, and else beside
// the program that runs.
type Programs struct {
	Folder string
	// Version is what a program must be of that is built for hosts; empty for any.
	Version string

	role role // guards, when it has no name

	mu    sync.Mutex
	known map[string]Program // by uname's machine
}

// Generators finds what generates traffic on other machines: this program itself, or one for their kind of machine.
func Generators() *Programs { return &Programs{role: generators} }

// Scripts finds what runs k6 scripts on other machines: gameday-k6 in the folder or in $PATH, or one for their kind of machine.
func Scripts() *Programs { return &Programs{role: scripts} }

func (p *Programs) of() role {
	if p.role.word == "" {
		return guards
	}
	return p.role
}

// Program is a program to copy.
type Program struct {
	Path   string
	Digest string // SHA-256 in hexadecimal

	role role
}

// Name returns the name under which the program stands on hosts.
func (p Program) Name() string { return p.role.there + "-" + p.Digest[:16] }

// For returns the program for a machine as uname -m names it.
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
	r := p.of()
	folder, err := p.folder()
	if err != nil {
		return Program{}, err
	}
	for _, m := range machines {
		if m.uname != uname {
			continue
		}
		names := []string{r.here + "-linux-" + m.goarch, r.here}
		paths := []string{filepath.Join(folder, names[0]), filepath.Join(folder, names[1])}
		if self, err := os.Executable(); r.self && err == nil {
			paths = append(paths, self)
		}
		if found, err := programs.Find(r.here); r == scripts && err == nil {
			paths = append(paths, found)
		}
		for _, path := range paths {
			if machine, err := machineOf(path); err == nil && machine == m.elf {
				digest, err := digestOf(path)
				return Program{Path: path, Digest: digest, role: r}, err
			}
		}
		return Program{}, fmt.Errorf("there is no %s for linux/%s in %s (looked for %s); build it from gameday's source: "+
			"CGO_ENABLED=0 GOOS=linux GOARCH=%s go build -ldflags '%s' -o %s %s",
			r.word, m.goarch, folder, strings.Join(names, " and "), m.goarch, p.linked(), paths[0], r.build)
	}
	return Program{}, fmt.Errorf("no %s can be built for a machine of type %q", r.word, uname)
}

// linked are the linker's flags for a program that is not refused for its version.
func (p *Programs) linked() string {
	if p.Version == "" {
		return "-s -w"
	}
	return fmt.Sprintf(`-s -w -X "main.version=%s"`, p.Version)
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
		return "", fmt.Errorf("finding the program to copy: %w", err)
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
		return "", fmt.Errorf("reading the program to copy: %w", err)
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("reading the program to copy: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
