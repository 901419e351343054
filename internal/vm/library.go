package vm

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// libraryDirs is where the system's loader looks.
var libraryDirs = []string{"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib",
	"/usr/lib"}

// lookPath finds a program of this machine, also among an administrator's, which are not in everybody's path.
func lookPath(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no program %s in the path", name)
}

// program copies a program of this machine and every shared library that it names, and those that they name.
func (t tree) program(name, from string) error {
	if err := t.hostFile(name, from); err != nil {
		return err
	}
	wanted, loader, err := needs(from)
	if err != nil {
		return err
	}
	if loader != "" {
		if err := t.hostFile(loader, loader); err != nil {
			return fmt.Errorf("the loader of %s: %w", from, err)
		}
	}
	for len(wanted) > 0 {
		library := wanted[0]
		wanted = wanted[1:]
		path, err := findLibrary(library)
		if err != nil {
			return fmt.Errorf("what %s needs: %w", from, err)
		}
		if t.has(path) {
			continue
		}
		if err := t.hostFile(path, path); err != nil {
			return err
		}
		more, _, err := needs(path)
		if err != nil {
			return err
		}
		wanted = append(wanted, more...)
	}
	return nil
}

// needs reads from a program or library which libraries it names, and which loader.
func needs(path string) (libraries []string, loader string, err error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("reading %s: %w", path, err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		text := make([]byte, p.Filesz)
		if _, err := p.ReadAt(text, 0); err != nil {
			return nil, "", fmt.Errorf("reading %s: %w", path, err)
		}
		loader = string(bytes.TrimRight(text, "\x00"))
	}
	libraries, err = f.ImportedLibraries()
	if err != nil {
		return nil, "", fmt.Errorf("reading %s: %w", path, err)
	}
	return libraries, loader, nil
}

func findLibrary(name string) (string, error) {
	for _, dir := range libraryDirs {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no library %s in %s", name, strings.Join(libraryDirs, ", "))
}
