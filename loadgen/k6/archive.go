package k6

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
)

// traits are what is known of a script from its archive.
type traits struct {
	// What any of its files speaks of.
	grpc, webSockets, browser, summary bool
	// How long the script gives its setup and its teardown; 0 when it does not say.
	setup, teardown time.Duration
	// remarks are for people: what the script asks for and does not get.
	remarks []string
}

// patchArchive copies the archive that k6 made of a script to another file, with its options changed to what the spec
// asks for and without its environment, which may hold secrets and is given to the child anew.
func patchArchive(from, to string, spec loadgen.Spec) (*traits, error) {
	raw, err := os.ReadFile(from)
	if err != nil {
		return nil, fmt.Errorf("reading the script's archive: %w", err)
	}
	t, err := traitsOf(raw)
	if err != nil {
		return nil, fmt.Errorf("reading the script's archive: %w", err)
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("writing the script's archive: %w", err)
	}
	w := tar.NewWriter(out)
	err = eachFile(raw, func(h *tar.Header, data []byte) error {
		if h.Name == "metadata.json" {
			if data, err = patchMetadata(data, spec, t); err != nil {
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
		return nil, fmt.Errorf("changing the script's archive: %w", err)
	}
	return t, nil
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

// traitsOf looks for words in all files of an archive: what is costly, and needed by few, is left out for the others.
func traitsOf(raw []byte) (*traits, error) {
	t := &traits{}
	err := eachFile(raw, func(h *tar.Header, data []byte) error {
		if h.Name == "metadata.json" { // k6's own
			return nil
		}
		has := func(words ...string) bool {
			return slices.ContainsFunc(words, func(w string) bool { return bytes.Contains(data, []byte(w)) })
		}
		t.grpc = t.grpc || has("k6/net/grpc", "k6/x/grpc")
		t.webSockets = t.webSockets || has("k6/ws", "k6/websockets", "k6/experimental/websockets")
		t.browser = t.browser || has("k6/browser")
		t.summary = t.summary || has("handleSummary")
		return nil
	})
	return t, err
}

func patchMetadata(data []byte, spec loadgen.Spec, t *traits) ([]byte, error) {
	var metadata object
	if err := json.Unmarshal(data, &metadata); err != nil {
		return nil, fmt.Errorf("reading the archive's metadata: %w", err)
	}
	options, err := patchOptions(metadata["options"], spec, t)
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

// lastError finds in the end of k6's log what it died of: the last line of level error, or where the process itself says it.
func lastError(tail string) string {
	found := ""
	for line := range strings.Lines(tail) {
		if word := child.Died(line); word != "" {
			return word
		}
		var l logLine
		switch {
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
