package main

import (
	"context"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

const (
	helpLimit      = 100.0 // ms, of `gameday --help`
	programLimit   = 60.0  // MB of a million bytes, of gameday
	startsInARound = 10
)

// programs measures how long each program takes to start and to say what it is, and how large it is as `make build` leaves it.
func (b *bench) programs(ctx context.Context) (rows []row, err error) {
	for _, p := range []struct {
		path      string
		slow, fat float64 // limits; 0 for none
	}{
		{b.gameday, helpLimit, programLimit},
		{path: b.beside("gameday-k6")},
		{path: b.beside("gameday-kubernetes")},
		{path: b.guard},
	} {
		const arg = "--help"
		name := filepath.Base(p.path)
		size, err := stripped(p.path)
		if err != nil {
			return nil, err
		}
		wall, err := b.starts(ctx, p.path, arg)
		if err != nil {
			return nil, err
		}
		started := row{what: name + " " + arg + ", ms", figure: wall.text(0)}
		sized := row{what: name + ", MB", figure: fmt.Sprintf("%.1f", size)}
		if p.slow > 0 {
			started.target, sized.target = fmt.Sprintf("< %g", p.slow), fmt.Sprintf("< %g", p.fat)
			started.met, sized.met = met(wall.median(), p.slow), met(size, p.fat)
		}
		rows = append(rows, started, sized)
	}
	return rows, nil
}

// beside returns the path of another program that lies beside gameday.
func (b *bench) beside(name string) string { return filepath.Join(filepath.Dir(b.gameday), name) }

// starts returns the wall times of a program's starts, in milliseconds. The first start of all, which reads the file from the disk, is
// not counted.
func (b *bench) starts(ctx context.Context, path, arg string) (wall spread, err error) {
	for i := range b.rounds*startsInARound + 1 {
		k, err := b.measure(ctx, exec.Command(path, arg))
		if err != nil {
			return nil, err
		}
		if k.code != 0 {
			return nil, fmt.Errorf("%s %s: exit code %d: %s", path, arg, k.code, k.output)
		}
		if i > 0 {
			wall = append(wall, k.wall.Seconds()*1000)
		}
	}
	return wall, nil
}

// stripped returns the size of a program in MB, and an error when it has the symbols that only debuggers read.
func stripped(path string) (float64, error) {
	f, err := elf.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if slices.ContainsFunc(f.Sections, func(s *elf.Section) bool { return s.Name == ".symtab" || s.Name == ".debug_info" }) {
		return 0, fmt.Errorf("%s is not stripped; build it with make build", path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return float64(info.Size()) / 1e6, nil
}
