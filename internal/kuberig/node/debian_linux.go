package node

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ImportPrograms makes an image of this machine's own programs, found in PATH, with the libraries that they are linked with, each where it
// is here. links are further names: "/bin/sh" for "dash". root, if it is not empty, is a folder whose files are in the image as well.
func (n *Node) ImportPrograms(ctx context.Context, image, root string, programs []string, links map[string]string, settings ...string) error {
	dir, err := os.MkdirTemp(n.dir, "image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if root != "" {
		if err := os.CopyFS(dir, os.DirFS(root)); err != nil {
			return fmt.Errorf("making image %s: %w", image, err)
		}
	}
	for _, name := range programs {
		if err := layProgram(ctx, dir, name); err != nil {
			return fmt.Errorf("making image %s: %w", image, err)
		}
	}
	for name, program := range links {
		at := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(program, at)); err != nil {
			return fmt.Errorf("making image %s: %w", image, err)
		}
	}
	return n.importRoot(ctx, image, dir, settings...)
}

// importRoot makes an image of a folder. Its name may have a tag.
func (n *Node) importRoot(ctx context.Context, image, dir string, settings ...string) error {
	if err := n.Engine.ImportRoot(ctx, "rig/made", dir, settings...); err != nil {
		return err
	}
	repo, tag, _ := strings.Cut(image, ":")
	query := url.Values{"repo": {repo}, "tag": {tag}}
	if err := n.Engine.Call(ctx, "POST", "/images/"+url.PathEscape("rig/made")+"/tag?"+query.Encode(), nil, nil); err != nil {
		return fmt.Errorf("naming image %s: %w", image, err)
	}
	return nil
}

// layProgram puts a program and its libraries into a folder.
func layProgram(ctx context.Context, dir, name string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("%w: run tools/setup-kubernetes", err)
	}
	files := []string{path}
	said, err := exec.CommandContext(ctx, "ldd", path).Output()
	if err != nil {
		return fmt.Errorf("finding the libraries of %s: %w", path, err)
	}
	for line := range strings.Lines(string(said)) { // "	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)", or the loader's path alone
		for _, word := range strings.Fields(line) {
			if strings.HasPrefix(word, "/") {
				files = append(files, word)
			}
		}
	}
	for _, from := range files {
		to := filepath.Join(dir, from)
		if _, err := os.Stat(to); err == nil {
			continue
		}
		data, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, data, 0o755)); err != nil {
			return err
		}
	}
	return nil
}
