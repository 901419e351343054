package history

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"gameday/report"
)

// CacheFile is what is remembered of a record, in its folder. It may be deleted at any time, and need not be kept: it
// is made again from the record.
const CacheFile = "summary.json"

// cacheFormat changes when an Entry does.
const cacheFormat = 4

// maxCache bounds what is read of a cache file, in bytes.
const maxCache = 1 << 20

// cached is the form of the cache file.
type cached struct {
	Key   string `json:"key"`
	Entry Entry  `json:"entry"`
}

// keyOf returns what an entry depends on and nothing else: the record's content, byte for byte, and the program's
// version, for another one may judge otherwise. It is empty when nothing shall be remembered.
func keyOf(folder, version string) (string, error) {
	if version == "" {
		return "", nil
	}
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %s", cacheFormat, len(version), version)
	for _, name := range []string{report.PlanFile, report.EventsFile} {
		if err := add(h, filepath.Join(folder, name)); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// add hashes a file's content with its length. One that is missing has none.
func add(h io.Writer, path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(h, f)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return binary.Write(h, binary.BigEndian, n)
}

// remembered returns the entry beside a record if it is of this very content; nil otherwise, whatever the file holds.
func remembered(folder, key string) *Entry {
	if key == "" || report.CheckCopy(folder) != nil {
		return nil
	}
	f, err := os.Open(filepath.Join(folder, CacheFile))
	if err != nil {
		return nil
	}
	defer f.Close()
	var c cached
	if err := json.NewDecoder(io.LimitReader(f, maxCache)).Decode(&c); err != nil || c.Key != key {
		return nil
	}
	return &c.Entry
}

// remember writes the entry beside the record, whole or not at all. Where that cannot be done, as in an archive that is
// read-only, it is made anew each time.
func remember(folder, key string, e *Entry) {
	if key == "" || report.IsCopy(folder) {
		return
	}
	f, err := os.CreateTemp(folder, ".summary-*")
	if err != nil {
		return
	}
	defer os.Remove(f.Name())
	if err := errors.Join(json.NewEncoder(f).Encode(cached{key, *e}), f.Chmod(0o644), f.Close()); err != nil {
		return
	}
	_ = os.Rename(f.Name(), filepath.Join(folder, CacheFile)) // a cache that is not there is no mistake
}
