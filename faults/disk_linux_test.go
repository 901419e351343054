package faults_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"gameday/faults"
	"gameday/internal/mountrig"
)

func TestMain(m *testing.M) { mountrig.Main(m, tryDisks) }

// TestDiskTrouble fills a disk and makes it read-only: no entry is opened then, and nothing is left behind.
func TestDiskTrouble(t *testing.T) { mountrig.Run(t) }

func tryDisks(dir string) error {
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
