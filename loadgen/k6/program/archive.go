package program

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.k6.io/k6/v2/lib"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
	"gameday/loadgen/k6/internal/wire"
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

// prepare does a Job, and tells the parent what it needs to know of the script.
func prepare(in io.Reader, v *child.Voice) error {
	var job wire.Job
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return fmt.Errorf("reading what is to be sent: %w", err)
	}
	t, err := patchArchive(job.From, job.To, job.Spec)
	if err != nil {
		return err
	}
	v.Send(child.Event{Script: &child.Script{
		SetupWithin: setupWithin(job.Spec, t),
		EndWithin:   graceOf(job.Spec) + max(defaultTeardown, t.teardown) + teardownSlack,
		// In archives k6 hides the names of home folders.
		Folder: lib.NormalizeAndAnonymizePath(filepath.Dir(job.Spec.Script)),
	}})
	for _, text := range t.remarks {
		v.Log("warning", text)
	}
	return nil
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
