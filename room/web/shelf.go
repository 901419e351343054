package web

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"gameday/report"
)

// Limits of what is attached to a run.
const (
	fileLimit   = 8 << 20  // bytes of a file
	shelfLimit  = 64 << 20 // bytes of all of them
	mostFiles   = 50
	mostComing  = 2 // files that come in at once
	uploadLimit = 2 * time.Minute
	nameLimit   = 100       // bytes of what a file is called
	abandoned   = time.Hour // after that a part of a file is nobody's any more
	partPrefix  = ".part-"  // no copy or bundle of a record takes what begins with a dot
)

// Errors of files that are not taken, in words for whoever brought them.
var (
	errTooLarge = fmt.Errorf("the file has more than %d MiB", fileLimit>>20)
	errEmpty    = errors.New("the file is empty")
	errFull     = fmt.Errorf("so much was attached already: there is place for %d files and %d MiB", mostFiles, shelfLimit>>20)
	errChanged  = errors.New("the file is not as it was attached")
)

// shelf keeps files in a record's folder, each by the SHA-256 of what is in it: what is there is never written over, and the same file
// is kept once. It is safe for concurrent use.
type shelf struct {
	dir    string        // of the record
	coming chan struct{} // a place for each that comes in

	mu    sync.Mutex // what is there is counted, and added to, by one at a time
	uses  map[string]int
	added map[string]bool // by this shelf
}

func newShelf(dir string) *shelf {
	return &shelf{dir: dir, coming: make(chan struct{}, mostComing), uses: map[string]int{}, added: map[string]bool{}}
}

// kept is how the shelf names files. What a record says is asked for by no other name.
var kept = regexp.MustCompile(`^[0-9a-f]{64}(\.[a-z0-9]{1,5})?$`)

// ending returns the end of a file's name, as far as it tells people what is in it.
func ending(name string) string {
	e := strings.ToLower(path.Ext(name))
	if !kept.MatchString(strings.Repeat("0", 64) + e) {
		return ""
	}
	return e
}

// take keeps a file that somebody calls by a name. With forget it is taken away again, unless it was there before, or others have brought
// the same.
func (s *shelf) take(in io.Reader, name string) (a *report.Attachment, forget func(), err error) {
	dir := filepath.Join(s.dir, report.EvidenceFolder)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, nil, fmt.Errorf("keeping evidence: %w", err)
	}
	if n, sum, err := s.holds(dir); err != nil || n >= mostFiles || sum >= shelfLimit {
		return nil, nil, cmp.Or(err, errFull)
	}
	part, err := os.CreateTemp(dir, partPrefix+"*") // 0600
	if err != nil {
		return nil, nil, fmt.Errorf("keeping evidence: %w", err)
	}
	defer os.Remove(part.Name()) // when it has its own name, there is none of this one
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(part, hash), io.LimitReader(in, fileLimit+1))
	if n <= fileLimit {
		err = errors.Join(err, part.Sync())
	}
	err = errors.Join(err, part.Close())
	switch {
	case n > fileLimit:
		return nil, nil, errTooLarge
	case err != nil:
		return nil, nil, fmt.Errorf("keeping evidence: %w", err)
	case n == 0:
		return nil, nil, errEmpty
	}
	a = &report.Attachment{Name: called(name), Size: n, SHA256: hex.EncodeToString(hash.Sum(nil))}
	file := a.SHA256 + ending(name)
	a.Path = path.Join(report.EvidenceFolder, file)
	if err := s.place(dir, part.Name(), file, n); err != nil {
		return nil, nil, err
	}
	return a, func() { s.forget(filepath.Join(dir, file)) }, nil
}

func (s *shelf) forget(file string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := filepath.Base(file)
	if s.uses[name]--; s.uses[name] == 0 && s.added[name] {
		delete(s.added, name)
		_ = os.Remove(file)
	}
}

// called returns a name as it is shown.
func called(name string) string {
	name = strings.TrimSpace(report.PlainText(path.Base(strings.ReplaceAll(name, `\`, "/"))))
	if len(name) > nameLimit {
		name = strings.ToValidUTF8(name[:nameLimit], "")
	}
	if name == "" || name == "." || name == "/" {
		return "a file"
	}
	return name
}

// place gives a part its own name, if there is place and no such file.
func (s *shelf) place(dir, part, file string, size int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := os.Lstat(filepath.Join(dir, file)); err == nil {
		s.uses[file]++
		return nil
	}
	n, sum, err := s.holds(dir)
	if err != nil {
		return err
	}
	if n >= mostFiles || sum+size > shelfLimit {
		return errFull
	}
	if err := os.Rename(part, filepath.Join(dir, file)); err != nil {
		return fmt.Errorf("keeping evidence: %w", err)
	}
	s.uses[file]++
	s.added[file] = true
	return syncDir(dir)
}

// holds returns how many files there are, and of how many bytes. It takes away what a room has left that was killed.
func (s *shelf) holds(dir string) (n int, sum int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, 0, fmt.Errorf("keeping evidence: %w", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil: // it is gone
		case !strings.HasPrefix(e.Name(), partPrefix):
			n, sum = n+1, sum+info.Size()
		case time.Since(info.ModTime()) > abandoned:
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	return n, sum, nil
}

// syncDir has a folder's names on disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return fmt.Errorf("keeping evidence: %w", err)
	}
	return nil
}

// open opens a file that is what was attached, from its beginning. No link leads out of the record's folder.
func (s *shelf) open(a report.Attachment) (*os.File, error) {
	if path.Dir(a.Path) != report.EvidenceFolder || !kept.MatchString(path.Base(a.Path)) {
		return nil, fs.ErrNotExist
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(filepath.FromSlash(a.Path))
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	n, err := io.Copy(hash, io.LimitReader(f, fileLimit+1))
	if err == nil && (n != a.Size || hex.EncodeToString(hash.Sum(nil)) != a.SHA256) {
		err = errChanged
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
