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

// diskRig is a database on a disk that fills up, and what it says.
type diskRig struct {
	dir       string
	store     *Store
	said      []string
	few, many Source // what fits, and more than fits
}

// tryFullDisk fills the disk under a database, opens it with a full disk, and makes room again.
func tryFullDisk(dir string) error {
	ctx := context.Background()
	d := &diskRig{dir: dir, few: Source{Runs: filepath.Join(dir, "runs"), Occasions: map[string][]claims.Kept{"days": occasions(10)}}}
	d.many = Source{Runs: d.few.Runs, Occasions: map[string][]claims.Kept{"days": occasions(900)}}
	if err := d.open(ctx); err != nil {
		return err
	}
	if err := d.store.Sync(ctx, d.few); err != nil {
		return err
	}
	ballast := filepath.Join(dir, "ballast")
	if err := fill(ballast); err != nil {
		return err
	}
	if err := d.full(ctx); err != nil {
		return err
	}
	if err := d.beginsFull(ctx); err != nil {
		return err
	}
	if err := os.Remove(ballast); err != nil {
		return err
	}
	return d.room(ctx)
}

// open opens the database.
func (d *diskRig) open(ctx context.Context) (err error) {
	d.store, err = Open(ctx, Options{Path: filepath.Join(d.dir, "serve.db"), Version: "1", Say: func(text string) { d.said = append(d.said, text) }})
	return err
}

// whole compares what the database tells with what another one derives anew.
func (d *diskRig) whole(ctx context.Context, when string) error {
	got, err := d.store.Dump(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", when, err)
	}
	anew, err := Open(ctx, Options{Path: filepath.Join(os.TempDir(), fmt.Sprintf("gameday-store-%d.db", os.Getpid())), Version: "1", Anew: true})
	if err != nil {
		return err
	}
	defer func() { _ = remove(anew.Path) }()
	defer anew.Close()
	if err := anew.Sync(ctx, d.many); err != nil {
		return err
	}
	want, err := anew.Dump(ctx)
	if err != nil {
		return err
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		return fmt.Errorf("%s it is not what is derived anew:\n%s", when, diff[:min(len(diff), 2000)])
	}
	return d.store.Sound(ctx)
}

// full has more come than fits: nobody is told of an error, and whoever reads sees all of it.
func (d *diskRig) full(ctx context.Context) error {
	if err := d.store.Sync(ctx, d.many); err != nil {
		return fmt.Errorf("with a full disk: %w", err)
	}
	if d.store.Trouble() == "" || len(d.said) != 1 || !strings.Contains(d.said[0], "cannot be written") {
		return fmt.Errorf("with a full disk its trouble is %q, and it says %q", d.store.Trouble(), d.said)
	}
	for range 3 {
		if err := d.store.Sync(ctx, d.many); err != nil {
			return err
		}
	}
	if len(d.said) != 1 {
		return fmt.Errorf("it says it again and again: %q", d.said)
	}
	return d.whole(ctx, "with a full disk")
}

// beginsFull opens the database with a full disk.
func (d *diskRig) beginsFull(ctx context.Context) error {
	if err := d.store.Close(); err != nil {
		return err
	}
	d.said = nil
	if err := d.open(ctx); err != nil {
		return fmt.Errorf("opened with a full disk: %w", err)
	}
	if err := d.store.Sync(ctx, d.many); err != nil {
		return err
	}
	if d.store.Trouble() == "" {
		return errors.New("opened with a full disk it has no trouble")
	}
	return d.whole(ctx, "opened with a full disk")
}

// room goes on when there is room again, and opens the database once more.
func (d *diskRig) room(ctx context.Context) error {
	if err := d.store.Sync(ctx, d.many); err != nil {
		return err
	}
	if d.store.Trouble() != "" || !strings.Contains(d.said[len(d.said)-1], "can be written again") {
		return fmt.Errorf("with room again its trouble is %q, and it says %q", d.store.Trouble(), d.said)
	}
	if err := d.whole(ctx, "with room again"); err != nil {
		return err
	}
	if err := d.store.Close(); err != nil {
		return err
	}
	if err := d.open(ctx); err != nil {
		return err
	}
	defer d.store.Close()
	return d.whole(ctx, "opened with room again")
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
