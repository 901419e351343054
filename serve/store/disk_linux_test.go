package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"gameday/internal/mountrig"
	"gameday/schedules/claims"
)

func TestMain(m *testing.M) { mountrig.Sized(m, "1m", tryFullDisk) }

// TestFullDisk fills the disk under the database.
func TestFullDisk(t *testing.T) { mountrig.Run(t) }

func tryFullDisk(dir string) error {
	ctx := context.Background()
	var said []string
	open := func() (*Store, error) {
		return Open(ctx, Options{Path: filepath.Join(dir, "serve.db"), Version: "1", Say: func(text string) { said = append(said, text) }})
	}
	s, err := open()
	if err != nil {
		return err
	}
	few := Source{Runs: filepath.Join(dir, "runs"), Occasions: map[string][]claims.Kept{"days": occasions(10)}}
	many := Source{Runs: few.Runs, Occasions: map[string][]claims.Kept{"days": occasions(900)}}
	if err := s.Sync(ctx, few); err != nil {
		return err
	}
	whole := func(when string, from Source) error {
		got, err := s.Dump(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", when, err)
		}
		anew, err := Open(ctx, Options{Path: filepath.Join(os.TempDir(), fmt.Sprintf("gameday-store-%d.db", os.Getpid())), Version: "1", Anew: true})
		if err != nil {
			return err
		}
		defer func() { _ = remove(anew.Path) }()
		defer anew.Close()
		if err := anew.Sync(ctx, from); err != nil {
			return err
		}
		want, err := anew.Dump(ctx)
		if err != nil {
			return err
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			return fmt.Errorf("%s it is not what is derived anew:\n%s", when, diff[:min(len(diff), 2000)])
		}
		return s.Sound(ctx)
	}
	ballast := filepath.Join(dir, "ballast")
	if err := fill(ballast); err != nil {
		return err
	}
	// More than fits: nobody is told of an error, and whoever reads sees all of it.
	if err := s.Sync(ctx, many); err != nil {
		return fmt.Errorf("with a full disk: %w", err)
	}
	if s.Trouble() == "" || len(said) != 1 || !strings.Contains(said[0], "cannot be written") {
		return fmt.Errorf("with a full disk its trouble is %q, and it says %q", s.Trouble(), said)
	}
	for range 3 {
		if err := s.Sync(ctx, many); err != nil {
			return err
		}
	}
	if len(said) != 1 {
		return fmt.Errorf("it says it again and again: %q", said)
	}
	if err := whole("with a full disk", many); err != nil {
		return err
	}
	// One that begins with a full disk.
	if err := s.Close(); err != nil {
		return err
	}
	said = nil
	if s, err = open(); err != nil {
		return fmt.Errorf("opened with a full disk: %w", err)
	}
	if err := s.Sync(ctx, many); err != nil {
		return err
	}
	if s.Trouble() == "" {
		return errors.New("opened with a full disk it has no trouble")
	}
	if err := whole("opened with a full disk", many); err != nil {
		return err
	}
	// There is room again.
	if err := os.Remove(ballast); err != nil {
		return err
	}
	if err := s.Sync(ctx, many); err != nil {
		return err
	}
	if s.Trouble() != "" || !strings.Contains(said[len(said)-1], "can be written again") {
		return fmt.Errorf("with room again its trouble is %q, and it says %q", s.Trouble(), said)
	}
	if err := whole("with room again", many); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	if s, err = open(); err != nil {
		return err
	}
	defer s.Close()
	return whole("opened with room again", many)
}

// fill writes until nothing more can be written.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, n := range []int{4096, 512, 1} {
		block := bytes.Repeat([]byte("x"), n)
		for range 4096 {
			if _, err := f.Write(block); err != nil {
				break
			}
		}
	}
	return nil
}
