package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gameday/internal/mountrig"
)

func TestMain(m *testing.M) { mountrig.Main(m, tryFullDisk) }

// TestFullDisk fills a disk in the middle of a line. That line is lost, and said to be; the next ones are not, whoever
// writes them.
func TestFullDisk(t *testing.T) { mountrig.Run(t) }

func tryFullDisk(dir string) error {
	path := filepath.Join(dir, "audit.jsonl")
	one, err := Open(path)
	if err != nil {
		return err
	}
	other, err := Open(path)
	if err != nil {
		return err
	}
	long := Line{What: Injected, Why: strings.Repeat("x", 3000)} // two of them do not fit into one page
	if err := one.Write(long); err != nil {
		return err
	}
	writers := []*Log{one, other, one}
	for round, l := range writers {
		if err := fillDisk(filepath.Join(dir, "fill")); err != nil {
			return err
		}
		if err := l.Write(long, long); !errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("round %d: on a full disk: %v", round, err)
		}
		if err := os.Remove(filepath.Join(dir, "fill")); err != nil {
			return err
		}
		if err := writers[(round+1)%len(writers)].Write(Line{What: RunEnded, ID: fmt.Sprint(round)}); err != nil {
			return err
		}
	}
	lines, broken, err := Read(path, time.Time{})
	var ended []string
	for _, l := range lines {
		if l.What == RunEnded {
			ended = append(ended, l.ID)
		}
	}
	if err != nil || fmt.Sprint(ended) != "[0 1 2]" || broken < 1 || broken > 2*len(writers) {
		return fmt.Errorf("after full disks %v are there, of %d lines, %d broken, %v", ended, len(lines), broken, err)
	}
	return nil
}

// fillDisk writes a file until the disk is full.
func fillDisk(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for range 64 {
		if _, err := f.Write(make([]byte, 4096)); errors.Is(err, syscall.ENOSPC) {
			return nil
		}
	}
	return errors.New("the disk does not fill up")
}
