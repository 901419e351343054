package k6

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"gameday/loadgen"
)

// patchArchive copies the archive that k6 made of a script to another file, with its options changed to what the spec
// asks for and without its environment, which may hold secrets and is given to the child anew.
func patchArchive(from, to string, spec loadgen.Spec) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("reading the script's archive: %w", err)
	}
	grpc, err := usesGRPC(raw)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("writing the script's archive: %w", err)
	}
	w := tar.NewWriter(out)
	err = eachFile(raw, func(h *tar.Header, data []byte) error {
		if h.Name == "metadata.json" {
			if data, err = patchMetadata(data, spec, grpc); err != nil {
				return err
			}
			h.Size = int64(len(data))
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := w.Write(data)
		return err
	})
	if err := errors.Join(err, w.Close(), out.Close()); err != nil {
		return fmt.Errorf("changing the script's archive: %w", err)
	}
	return nil
}

func eachFile(raw []byte, visit func(*tar.Header, []byte) error) error {
	r := tar.NewReader(bytes.NewReader(raw))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := visit(h, data); err != nil {
			return err
		}
	}
}

// usesGRPC reports whether any file of an archive speaks of k6's gRPC modules: their outcome is in a tag that costs
// time on every request, and is left out otherwise.
func usesGRPC(raw []byte) (found bool, err error) {
	err = eachFile(raw, func(_ *tar.Header, data []byte) error {
		found = found || bytes.Contains(data, []byte("k6/net/grpc")) || bytes.Contains(data, []byte("k6/x/grpc"))
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("reading the script's archive: %w", err)
	}
	return found, nil
}

func patchMetadata(data []byte, spec loadgen.Spec, grpc bool) ([]byte, error) {
	var metadata object
	if err := json.Unmarshal(data, &metadata); err != nil {
		return nil, fmt.Errorf("reading the archive's metadata: %w", err)
	}
	options, err := patchOptions(metadata["options"], spec, grpc)
	if err != nil {
		return nil, err
	}
	metadata["options"] = options
	metadata["env"] = json.RawMessage("{}")
	return json.MarshalIndent(metadata, "", "  ")
}

// logLine is a line of k6's log in JSON.
type logLine struct {
	Level   string `json:"level"`
	Message string `json:"msg"`
	Error   string `json:"error"`
	Hint    string `json:"hint"`
}

// lastError finds in the end of k6's log what it died of: the last line of level error, or where Go reports a crash.
func lastError(tail string) string {
	found := ""
	for line := range strings.Lines(tail) {
		line = strings.TrimSpace(line)
		var l logLine
		switch {
		case strings.HasPrefix(line, "panic:"), strings.HasPrefix(line, "fatal error:"), strings.HasPrefix(line, "runtime:"):
			return line
		case json.Unmarshal([]byte(line), &l) != nil:
		case l.Level == "error" || l.Level == "fatal" || l.Level == "panic":
			found = l.Message
			if l.Error != "" {
				found += ": " + l.Error
			}
		}
	}
	return found
}
