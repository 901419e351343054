package vm

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// entry is one file of an archive.
type entry struct {
	mode   uint32 // type and permissions, as stat(2) has them
	data   []byte // contents, or where a symbolic link points
	device [2]uint32
}

// File types in an entry's mode.
const (
	typeDir  = 0o040000
	typeFile = 0o100000
	typeLink = 0o120000
	typeChar = 0o020000
)

// tree is a file system to be: paths without a leading slash.
type tree map[string]entry

// file puts a file, in place of what was there.
func (t tree) file(name string, mode uint32, data []byte) {
	t[clean(name)] = entry{mode: typeFile | mode, data: data}
}

// link puts a symbolic link, in place of what was there.
func (t tree) link(name, to string) { t[clean(name)] = entry{mode: typeLink | 0o777, data: []byte(to)} }

// dir puts an empty folder.
func (t tree) dir(name string, mode uint32) { t[clean(name)] = entry{mode: typeDir | mode} }

// has reports whether something stands at the path.
func (t tree) has(name string) bool {
	_, ok := t[clean(name)]
	return ok
}

// hostFile copies a file of this machine.
func (t tree) hostFile(name, from string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	t.file(name, uint32(info.Mode().Perm()), data)
	return nil
}

// merged are the folders of programs and libraries that stand under /usr, with links at the root.
var merged = []string{"bin", "sbin", "lib", "lib64"}

// clean gives a path the form of the tree's keys: under /usr where the root has only a link to it.
func clean(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	first, _, _ := strings.Cut(name, "/")
	if first != name && slices.Contains(merged, first) {
		return "usr/" + name
	}
	return name
}

// write writes the tree as the kernel reads it: a "newc" cpio archive, folders before what is in them. The layout is
// in the kernel's documentation of the initramfs buffer format.
func (t tree) write(w io.Writer) error {
	full := tree{}
	for name, e := range t {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, ok := full[dir]; !ok {
				full[dir] = entry{mode: typeDir | 0o755}
			}
		}
		full[name] = e
	}
	out := &padded{w: w}
	for i, name := range slices.Sorted(maps.Keys(full)) {
		out.member(i+1, name, full[name])
	}
	out.member(0, "TRAILER!!!", entry{})
	return out.err
}

// padded writes members, each part padded to four bytes, and keeps the first error.
type padded struct {
	w   io.Writer
	err error
}

func (p *padded) member(inode int, name string, e entry) {
	links := 1
	if e.mode&typeDir == typeDir && e.mode&typeChar == 0 {
		links = 2
	}
	// inode, mode, uid, gid, links, mtime, size, device of the file (2), device it is (2), length of the name, checksum
	head := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", inode, e.mode, 0, 0, links, 0,
		len(e.data), 0, 0, e.device[0], e.device[1], len(name)+1, 0)
	p.put(append([]byte(head+name), 0))
	p.put(e.data)
}

func (p *padded) put(data []byte) {
	if p.err != nil {
		return
	}
	if _, p.err = p.w.Write(data); p.err == nil {
		_, p.err = p.w.Write(make([]byte, -len(data)&3))
	}
}
