package dockerrig

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ImportRoot makes an image of a folder that holds its whole root file system, owners and modes included. Settings are lines of a
// Containerfile, as those that Settings returns, which the engine itself reads.
func (e *Engine) ImportRoot(ctx context.Context, image, root string, settings ...string) error {
	query := url.Values{"fromSrc": {"-"}, "repo": {image}, "tag": {"latest"}, "changes": settings}
	r, w := io.Pipe()
	go func() { w.CloseWithError(archive(w, root)) }()
	if err := e.Call(ctx, "POST", "/images/create?"+query.Encode(), r, nil); err != nil {
		return fmt.Errorf("making image %s: %w", image, err)
	}
	return nil
}

// archive writes a folder as a tar archive.
func archive(w io.Writer, root string) error {
	out := tar.NewWriter(w)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		return add(out, root, path, d)
	})
	if err != nil {
		return err
	}
	return out.Close()
}

// add writes one file, folder or link.
func add(out *tar.Writer, root, path string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	link := ""
	if d.Type() == fs.ModeSymlink {
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	if h.Name, err = filepath.Rel(root, path); err != nil {
		return err
	}
	if err := out.WriteHeader(h); err != nil || !d.Type().IsRegular() {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(out, f)
	return err
}

// Settings returns the lines of a Containerfile's last stage that say how its image is run. Each instruction has a line of its own.
func Settings(containerfile string) ([]string, error) {
	text, err := os.ReadFile(containerfile)
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch word, _, _ := strings.Cut(line, " "); {
		case word == "FROM":
			out = nil
		case slices.Contains([]string{"ENV", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}, word):
			out = append(out, line)
		}
	}
	return out, nil
}

// LogOf returns what a container has printed on both outputs, in order.
func (e *Engine) LogOf(ctx context.Context, container string) (string, error) {
	var framed []byte
	if err := e.Call(ctx, "GET", "/containers/"+url.PathEscape(container)+"/logs?stdout=1&stderr=1", nil, &framed); err != nil {
		return "", err
	}
	var out strings.Builder
	for len(framed) >= 8 { // frames with a header of eight bytes, of which the last four are the length
		n := int(uint32(framed[4])<<24 | uint32(framed[5])<<16 | uint32(framed[6])<<8 | uint32(framed[7]))
		n = min(n, len(framed)-8)
		out.Write(framed[8 : 8+n])
		framed = framed[8+n:]
	}
	return out.String(), nil
}
