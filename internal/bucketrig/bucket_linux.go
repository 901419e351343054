package bucketrig

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests of the protocol that are known here.
const (
	opLookup      = 1
	opForget      = 2
	opGetattr     = 3
	opMkdir       = 9
	opOpen        = 14
	opRead        = 15
	opWrite       = 16
	opStatfs      = 17
	opRelease     = 18
	opFlush       = 25
	opInit        = 26
	opOpendir     = 27
	opReaddir     = 28
	opReleasedir  = 29
	opCreate      = 35
	opInterrupt   = 36
	opDestroy     = 38
	opBatchForget = 42
)

// refusals are the requests that no driver of a bucket takes, by their names.
var refusals = map[uint32]string{4: "setattr", 6: "symlink", 8: "mknod", 10: "unlink", 11: "rmdir", 12: "rename", 13: "link", 20: "fsync", 21: "setxattr", 24: "removexattr",
	31: "getlk", 32: "setlk", 33: "setlkw", 43: "fallocate", 45: "rename", 46: "lseek", 47: "copy_file_range"}

const (
	maxWrite = 128 << 10
	rootNode = 1
)

// node is a file or a folder.
type node struct {
	id     uint64
	folder bool
	files  map[string]*node
	data   []byte
	open   bool // it is being written
}

// Bucket is a mounted bucket.
type Bucket struct {
	device int
	mu     sync.Mutex
	nodes  map[uint64]*node
	// refused are the requests that were refused, in order.
	refused []string
}

// Mount mounts an empty bucket at a folder. Whoever calls it must be in a mount namespace of its own, and may mount there.
func Mount(at string) (*Bucket, error) {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening /dev/fuse: %w", err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d", fd, os.Getuid(), os.Getgid())
	if err := unix.Mount("bucket", at, "fuse.bucket", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return nil, errors.Join(fmt.Errorf("mounting a bucket at %s: %w", at, err), unix.Close(fd))
	}
	b := &Bucket{device: fd, nodes: map[uint64]*node{rootNode: {id: rootNode, folder: true, files: map[string]*node{}}}}
	go b.serve()
	if err := b.unpolled(at); err != nil {
		return nil, errors.Join(err, unix.Unmount(at, unix.MNT_DETACH))
	}
	return b, nil
}

// unpolled lets the kernel learn that no file here can be polled, by a call that leaves its processor to whoever answers. It would learn it
// else when Go first opens a file, by an epoll_ctl for which the runtime does not: with one processor left nobody would answer it.
func (b *Bucket) unpolled(at string) error {
	const once = "polled"
	fd, err := unix.Open(filepath.Join(at, once), unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("making a file in a bucket at %s: %w", at, err)
	}
	for _, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 0); errors.Is(err, unix.EINTR); {
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 0)
	}
	if err = errors.Join(err, unix.Close(fd)); err != nil {
		return fmt.Errorf("polling a file in a bucket at %s: %w", at, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.nodes[rootNode].files, once)
	return nil
}

// Refused returns the requests that were refused since the last call: "rename", "open to append".
func (b *Bucket) Refused() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.refused
	b.refused = nil
	return out
}

// header is that of a request.
type header struct {
	Len, Opcode   uint32
	Unique, Node  uint64
	UID, GID, PID uint32
	_/* padding */ uint32
}

const headerSize = int(unsafe.Sizeof(header{}))

// serve answers until the bucket is unmounted.
func (b *Bucket) serve() {
	buf := make([]byte, maxWrite+64<<10)
	for {
		n, err := unix.Read(b.device, buf)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EAGAIN):
			continue
		case err != nil || n < headerSize:
			return
		}
		var h header
		if _, err := binary.Decode(buf, binary.NativeEndian, &h); err != nil {
			return
		}
		if h.Opcode == opForget || h.Opcode == opBatchForget || h.Opcode == opInterrupt {
			continue // nobody waits for an answer
		}
		b.mu.Lock()
		body, errno := b.answer(h, buf[headerSize:n])
		b.mu.Unlock()
		out := binary.NativeEndian.AppendUint32(nil, uint32(16+len(body)))
		out = binary.NativeEndian.AppendUint32(out, uint32(-int32(errno)))
		out = binary.NativeEndian.AppendUint64(out, h.Unique)
		_, _ = unix.Write(b.device, append(out, body...)) // one that was interrupted waits no more
	}
}

func (b *Bucket) refuse(what string) ([]byte, syscall.Errno) {
	b.refused = append(b.refused, what)
	return nil, syscall.EPERM
}

// answer needs the lock.
func (b *Bucket) answer(h header, in []byte) ([]byte, syscall.Errno) {
	if what, never := refusals[h.Opcode]; never {
		return b.refuse(what)
	}
	n := b.nodes[h.Node]
	if n == nil && h.Opcode != opInit && h.Opcode != opDestroy {
		return nil, syscall.ENOENT
	}
	switch h.Opcode {
	case opInit:
		return initialised(in), 0
	case opDestroy, opRelease, opReleasedir:
		return nil, 0
	case opFlush: // closing uploads it
		n.open = false
		return nil, 0
	case opStatfs:
		return make([]byte, 80), 0
	case opLookup:
		if child := n.files[name(in)]; child != nil {
			return child.entry(), 0
		}
		return nil, syscall.ENOENT
	case opGetattr:
		return append(make([]byte, 16), n.attributes()...), 0
	case opMkdir:
		return b.add(n, name(in[8:]), true).entry(), 0
	case opCreate:
		return append(b.add(n, name(in[16:]), false).entry(), make([]byte, 16)...), 0
	case opOpendir:
		return make([]byte, 16), 0
	case opOpen:
		return b.opened(n, binary.NativeEndian.Uint32(in))
	case opReaddir:
		return n.listed(in), 0
	case opRead:
		offset, size := binary.NativeEndian.Uint64(in[8:]), uint64(binary.NativeEndian.Uint32(in[16:]))
		from := min(offset, uint64(len(n.data)))
		return bytes.Clone(n.data[from:min(from+size, uint64(len(n.data)))]), 0
	case opWrite:
		return b.written(n, binary.NativeEndian.Uint64(in[8:]), in[40:])
	}
	return nil, syscall.ENOSYS // access, poll, extended attributes: the kernel does without
}

// opened lets a file be read that was closed, and no other be opened.
func (b *Bucket) opened(n *node, flags uint32) ([]byte, syscall.Errno) {
	switch {
	case flags&unix.O_APPEND != 0:
		return b.refuse("open to append")
	case flags&unix.O_ACCMODE != unix.O_RDONLY:
		return b.refuse("open to write again")
	case n.open:
		return b.refuse("open before it was closed")
	}
	return make([]byte, 16), 0
}

// written takes what comes next of a file that is being written.
func (b *Bucket) written(n *node, offset uint64, data []byte) ([]byte, syscall.Errno) {
	if !n.open || offset != uint64(len(n.data)) {
		return b.refuse("write elsewhere than at the end")
	}
	n.data = append(n.data, data...)
	return binary.NativeEndian.AppendUint64(nil, uint64(len(data))), 0
}

func (b *Bucket) add(to *node, called string, folder bool) *node {
	n := &node{id: uint64(len(b.nodes) + 1), folder: folder, open: !folder}
	if folder {
		n.files = map[string]*node{}
	}
	b.nodes[n.id], to.files[called] = n, n
	return n
}

// initialised agrees on version 7.31 and on nothing that is not asked for.
func initialised(in []byte) []byte {
	out := binary.NativeEndian.AppendUint32(nil, 7)
	out = binary.NativeEndian.AppendUint32(out, 31)
	out = append(out, in[8:12]...)                        // how much to read ahead
	out = binary.NativeEndian.AppendUint32(out, 0)        // flags
	out = binary.NativeEndian.AppendUint32(out, 12|9<<16) // requests in the background
	out = binary.NativeEndian.AppendUint32(out, maxWrite) // bytes of one write
	out = binary.NativeEndian.AppendUint32(out, 1)        // times are exact to a nanosecond
	return append(out, make([]byte, 64-len(out))...)
}

// name is the text that a request ends with.
func name(in []byte) string { return string(bytes.TrimRight(in, "\x00")) }

// entry is a node as an answer has it, to be asked for anew each time.
func (n *node) entry() []byte {
	out := binary.NativeEndian.AppendUint64(nil, n.id)
	return append(append(out, make([]byte, 32)...), n.attributes()...)
}

func (n *node) attributes() []byte {
	mode := uint32(unix.S_IFREG | 0o644)
	if n.folder {
		mode = unix.S_IFDIR | 0o755
	}
	out := binary.NativeEndian.AppendUint64(nil, n.id)
	out = binary.NativeEndian.AppendUint64(out, uint64(len(n.data)))
	out = append(out, make([]byte, 44)...) // blocks and times
	for _, v := range []uint32{mode, 1, uint32(os.Getuid()), uint32(os.Getgid()), 0, 4096, 0} {
		out = binary.NativeEndian.AppendUint32(out, v)
	}
	return out
}

// listed is a part of a folder, from an offset on.
func (n *node) listed(in []byte) []byte {
	from, size := int(binary.NativeEndian.Uint64(in[8:])), int(binary.NativeEndian.Uint32(in[16:]))
	var out []byte
	for i, called := range slices.Sorted(maps.Keys(n.files)) {
		if i < from {
			continue
		}
		child, kind := n.files[called], uint32(unix.DT_REG)
		if child.folder {
			kind = unix.DT_DIR
		}
		one := binary.NativeEndian.AppendUint64(nil, child.id)
		one = binary.NativeEndian.AppendUint64(one, uint64(i+1))
		one = binary.NativeEndian.AppendUint32(one, uint32(len(called)))
		one = binary.NativeEndian.AppendUint32(one, kind)
		one = append(one, called...)
		one = append(one, make([]byte, (8-len(one)%8)%8)...)
		if len(out)+len(one) > size {
			break
		}
		out = append(out, one...)
	}
	return out
}
