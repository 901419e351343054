// Package archive copies the record of a run that is over to where files can be written once and no more: a bucket that is mounted as
// files, as s3fs, mountpoint-s3 and gcsfuse do. It makes folders, creates files under their final names, writes each from its beginning
// to its end, closes it, and reads it back. It never appends, renames, locks, removes, nor changes modes or times there.
//
// The file that is written last marks the copy as whole. Package report, which reads records, knows both marks.
package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gameday/report"
)

// skipped are folders in a record that are of use only where it was made: the ledger of a lab.
var skipped = []string{"ledger"}

// Patience is how long copying a record may take once somebody has told gameday to stop: who tells it does not wait for ever.
const Patience = time.Minute

// chunk is how much is written at a time, in bytes.
const chunk = 1 << 20

// Copy is a copy that was begun. It is not for concurrent use.
type Copy struct {
	Dir   string // its folder
	begun report.Begun
}

// Begin makes a folder for the copy of a run that is about to begin, below a folder that is there and with the name of the record's own, and
// marks it as begun: who can do that can write there. A folder of that name in which anything else is already is an error.
func Begin(to, from, run string, now time.Time) (*Copy, error) {
	return begun(to, from, run, now, true)
}

// Again is Begin for a record that is there: a copy of it that was begun before is gone on with, another's is an error.
func Again(to, from, run string, now time.Time) (*Copy, error) {
	return begun(to, from, run, now, false)
}

func begun(to, from, run string, now time.Time, empty bool) (*Copy, error) {
	if info, err := os.Stat(to); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("there is no folder %s to copy the record to; is it mounted?", to)
	}
	from, err := filepath.Abs(from)
	if err != nil {
		return nil, fmt.Errorf("finding the record: %w", err)
	}
	host, _ := os.Hostname()
	c := &Copy{Dir: filepath.Join(to, filepath.Base(from)), begun: report.Begun{Run: run, From: from, Host: host, At: now.UTC().Round(0)}}
	err = os.Mkdir(c.Dir, 0o777)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("making a folder for the record's copy: %w", err)
	}
	if err != nil {
		return c, c.resume(empty)
	}
	if _, err := c.write(report.BegunMark, marked(c.begun)); err != nil {
		return nil, fmt.Errorf("beginning to copy the record: %w", err)
	}
	return c, nil
}

// resume takes over a copy that was begun, or only one of which there is nothing but its mark.
func (c *Copy) resume(empty bool) error {
	var begun report.Begun
	err := report.ReadMark(filepath.Join(c.Dir, report.BegunMark), &begun)
	mine := begun.Run != "" && begun.Run == c.begun.Run
	if begun.Run == "" { // a lab's run had no id when it was begun
		mine = begun.From == c.begun.From && begun.Host == c.begun.Host
	}
	entries, listed := os.ReadDir(c.Dir)
	if err != nil || !mine || empty && (listed != nil || len(entries) > 1) {
		what := "this run"
		if c.begun.Run != "" {
			what = "run " + c.begun.Run
		}
		return fmt.Errorf("%s is there already, and is no copy of %s that was begun; nothing was written. Copy to another folder, or look what it is", c.Dir, what)
	}
	c.begun.At = begun.At
	return nil
}

// ErrChanged says that a copy is whole, and that its record has changed since it was made.
var ErrChanged = errors.New("the record has changed since")

// Finish copies the record's files, reads each back, and marks the copy as whole. A file that is there already must be the same. When it
// fails, or ctx ends, what was written stays, and is no whole copy. In one that is whole already nothing is written: it is compared, and
// an error that wraps ErrChanged says where the record differs.
func (c *Copy) Finish(ctx context.Context, from string, now time.Time) error {
	if _, err := os.Lstat(filepath.Join(c.Dir, report.WholeMark)); err == nil {
		return c.compare(ctx, from)
	}
	whole := report.Whole{Run: c.begun.Run, From: c.begun.From, Host: c.begun.Host, At: now.UTC().Round(0), Files: []report.CopiedFile{}}
	err := Each(from, func(name string, folder bool) error {
		if folder {
			if err := os.Mkdir(filepath.Join(c.Dir, name), 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			return nil
		}
		f, err := c.file(ctx, filepath.Join(from, name), name)
		whole.Files = append(whole.Files, f)
		return err
	})
	if err != nil {
		return fmt.Errorf("copying the record to %s: %w", c.Dir, err)
	}
	for _, f := range whole.Files {
		if err := c.same(ctx, f); err != nil {
			return fmt.Errorf("reading back the record's copy in %s: %w", c.Dir, err)
		}
	}
	mark, err := c.write(report.WholeMark, marked(whole))
	if err == nil {
		err = c.same(ctx, mark)
	}
	if err != nil {
		return fmt.Errorf("marking the copy in %s as whole: %w", c.Dir, err)
	}
	return nil
}

// Each calls visit with the name of everything in a record that is copied, folders before what is in them.
func Each(from string, visit func(name string, folder bool) error) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		switch {
		case err != nil || name == ".":
			return err
		case e.IsDir() && (strings.HasPrefix(e.Name(), ".") || slices.Contains(skipped, name)):
			return fs.SkipDir
		case strings.HasPrefix(e.Name(), "."), !e.IsDir() && !e.Type().IsRegular(), name == report.BegunMark, name == report.WholeMark:
			return nil
		}
		return visit(name, e.IsDir())
	})
}

// compare holds a record to a copy that is whole.
func (c *Copy) compare(ctx context.Context, from string) error {
	if err := report.CheckCopy(c.Dir); err != nil {
		return err
	}
	var whole report.Whole
	if err := report.ReadMark(filepath.Join(c.Dir, report.WholeMark), &whole); err != nil {
		return err
	}
	err := Each(from, func(name string, folder bool) error {
		if folder {
			return nil
		}
		in, err := os.Open(filepath.Join(from, name))
		if err != nil {
			return err
		}
		defer in.Close()
		f, err := digest(ctx, in)
		if f.Path = filepath.ToSlash(name); err == nil && !slices.Contains(whole.Files, f) {
			err = fmt.Errorf("%w, in %s: copy it to another folder", ErrChanged, name)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("the copy in %s is whole: %w", c.Dir, err)
	}
	return nil
}

// file copies one file, unless it is there.
func (c *Copy) file(ctx context.Context, path, name string) (report.CopiedFile, error) {
	in, err := os.Open(path)
	if err != nil {
		return report.CopiedFile{}, err
	}
	defer in.Close()
	f, err := c.write(name, reader{ctx, in})
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	if f, err = digest(ctx, in); err != nil { // nothing was read of it yet
		return f, err
	}
	f.Path = filepath.ToSlash(name)
	if err := c.same(ctx, f); err != nil {
		return f, fmt.Errorf("%w. Nothing is written over what is there: remove %s first, which may be a part", err, filepath.Join(c.Dir, name))
	}
	return f, nil
}

// write creates a file and writes it once, from its beginning to its end.
func (c *Copy) write(name string, in io.Reader) (report.CopiedFile, error) {
	out, err := os.OpenFile(filepath.Join(c.Dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return report.CopiedFile{}, err
	}
	hash := sha256.New()
	// Plain writes: what else the system knows for copying from file to file, such a file system need not.
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(hash, out)}, struct{ io.Reader }{in}, make([]byte, chunk))
	if err = errors.Join(err, out.Close()); err != nil { // many upload a file when it is closed
		return report.CopiedFile{}, fmt.Errorf("writing %s: %w", name, err)
	}
	return report.CopiedFile{Path: filepath.ToSlash(name), Size: n, SHA256: hex.EncodeToString(hash.Sum(nil))}, nil
}

// same reads a file of the copy back.
func (c *Copy) same(ctx context.Context, f report.CopiedFile) error {
	in, err := os.Open(filepath.Join(c.Dir, filepath.FromSlash(f.Path)))
	if err != nil {
		return err
	}
	defer in.Close()
	got, err := digest(ctx, in)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	if got.Size != f.Size || got.SHA256 != f.SHA256 {
		return fmt.Errorf("%s: %d bytes are there with digest %s, and not the %d bytes with digest %s of the record", f.Path, got.Size, got.SHA256, f.Size, f.SHA256)
	}
	return nil
}

func digest(ctx context.Context, in io.Reader) (report.CopiedFile, error) {
	hash := sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{hash}, reader{ctx, in}, make([]byte, chunk))
	return report.CopiedFile{Size: n, SHA256: hex.EncodeToString(hash.Sum(nil))}, err
}

// reader ends when its context does.
type reader struct {
	ctx context.Context
	in  io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.in.Read(p)
}

func marked(v any) io.Reader {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil { // plain values of ours
		panic(fmt.Sprintf("encoding the mark of a copy: %v", err))
	}
	return bytes.NewReader(append(text, '\n'))
}
