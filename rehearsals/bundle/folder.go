package bundle

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// maxStrays bounds how many files are told of that lie in a folder and belong to no bundle.
const maxStrays = 100

// ReadFolder reads the folder that a bundle was unpacked into, and holds every byte of its files to its manifest, as Read does with an archive.
// Only plain files count, and what links lead to is not looked at. Files that are not in the manifest are found as well. It writes nothing.
// Close ends the use of the folder.
func ReadFolder(dir string) (*Archive, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	a := &Archive{root: root}
	if err := a.readFolder(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return a, nil
}

// Close closes the folder. Of an archive it does nothing: that is closed by whoever opened it.
func (a *Archive) Close() error {
	if a.root == nil {
		return nil
	}
	return a.root.Close()
}

func (a *Archive) readFolder() error {
	manifest, err := a.small(ManifestFile, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("it has no %s, and is no folder that a bundle was unpacked into", ManifestFile)
	}
	if err != nil {
		return err
	}
	b, _ := a.small(SealFile, maxSmall) // checkContent tells of one that is not there or cannot be read
	sealed := parseSeal(b)
	if err := a.takeManifest(manifest, -1, sealed); err != nil {
		return err
	}
	if a.signature, err = a.small(SignatureFile, maxSmall); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lost := a.signature == nil && sealed != nil && sealed.Signature != nil
	if lost {
		a.found(SignatureFile, "", -1, "it is not there, and the bundle was signed")
	}
	a.entries = layout(a.Manifest, a.manifest, a.originalSignature(sealed))
	for _, e := range a.entries {
		if e.name != SealFile || !lost { // without the signature nobody can make the seal again
			a.checkContent(e)
		}
	}
	return a.strays()
}

// plain opens a file of the folder, which must not be a link or anything else.
func (a *Archive) plain(name string) (*os.File, error) {
	info, err := a.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no plain file")
	}
	return a.root.Open(name)
}

// small reads a file that is not longer than so much.
func (a *Archive) small(name string, most int64) ([]byte, error) {
	f, err := a.plain(name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("it has more than %d bytes", most)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return b, nil
}

// strays finds what lies in the folder and is not in the manifest.
func (a *Archive) strays() error {
	known := map[string]bool{}
	for _, e := range a.entries {
		known[e.name] = true
	}
	told := 0
	err := fs.WalkDir(a.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() || known[name]:
			return nil
		}
		if told++; told > maxStrays {
			a.found(name, "", -1, "it is not in the bundle, and there are more such files")
			return fs.SkipAll
		}
		a.found(name, "", -1, "it is not in the bundle, and lies in its folder")
		return nil
	})
	if err != nil {
		return fmt.Errorf("looking through the folder: %w", err)
	}
	return nil
}

// closing closes a file when it was read.
type closing struct {
	io.Reader
	file *os.File
}

// Read reads, and closes at the end or at an error.
func (c *closing) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err != nil {
		c.file.Close()
	}
	return n, err
}
