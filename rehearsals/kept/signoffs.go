package kept

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"gameday/rehearsals"
)

// SignOffsFile is the name of the file of sign-offs in a folder of records: one JSON object a line, in the order in which they were made.
const SignOffsFile = "sign-offs.jsonl"

// maxSignOffs bounds what is read of sign-offs, in bytes.
const maxSignOffs = 16 << 20

// Sign adds a sign-off, on disk before it returns. Nothing that is there is changed.
func Sign(runs string, s rehearsals.SignOff) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("signing off: %w", err)
	}
	if err := os.MkdirAll(runs, 0o755); err != nil {
		return fmt.Errorf("signing off: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(runs, SignOffsFile), os.O_RDWR|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return fmt.Errorf("signing off: %w", err)
	}
	line := append(b, '\n')
	if torn(f) {
		line = append([]byte{'\n'}, line...)
	}
	_, err = f.Write(line)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("signing off: %w", err)
	}
	return nil
}

// torn reports whether the last line lacks its end: whoever wrote it was killed, or the disk was full.
func torn(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	var last [1]byte
	_, err = f.ReadAt(last[:], info.Size()-1)
	return err != nil || last[0] != '\n'
}

// SignOffs returns the sign-offs in a folder of records, in their order, and how many lines of the file cannot be read.
func SignOffs(runs string) (all []rehearsals.SignOff, broken int, err error) {
	f, err := os.Open(filepath.Join(runs, SignOffsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading the sign-offs: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSignOffs+1))
	if err == nil && len(b) > maxSignOffs {
		err = fmt.Errorf("%s is longer than %d MB", f.Name(), maxSignOffs>>20)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading the sign-offs: %w", err)
	}
	all, broken = ParseSignOffs(b)
	return all, broken, nil
}

// ParseSignOffs reads lines of sign-offs, and counts those that are none.
func ParseSignOffs(b []byte) (all []rehearsals.SignOff, broken int) {
	for line := range bytes.Lines(b) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var s rehearsals.SignOff
		if json.Unmarshal(line, &s) != nil || s.Rehearsal == "" || s.Role == "" || s.Saw == "" {
			broken++
			continue
		}
		all = append(all, s)
	}
	return all, broken
}
