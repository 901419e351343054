package cluster

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"gameday/faults"
)

const defaultIOError = "EIO"

// ioErrors are the errors that io_error knows, with their numbers on Linux.
var ioErrors = map[string]uint32{"EPERM": 1, "ENOENT": 2, "EINTR": 4, "EIO": 5, "ENXIO": 6, "EBADF": 9, "EAGAIN": 11, "ENOMEM": 12,
	"EACCES": 13, "EBUSY": 16, "EEXIST": 17, "ENODEV": 19, "ENOTDIR": 20, "EINVAL": 22, "ENFILE": 23, "EMFILE": 24, "EFBIG": 27,
	"ENOSPC": 28, "EROFS": 30, "ETIMEDOUT": 110, "ESTALE": 116, "EDQUOT": 122}

// IOErrorKind returns io_error: operations on the files of a pod's volume fail.
func IOErrorKind() faults.Kind {
	return podKind(faults.Kind{
		Name:    "io_error",
		Summary: "let operations on the files of a pod's volume fail; on Kubernetes only",
		New:     func() faults.Config { return &IOError{} },
	})
}

// IOError holds the parameters of io_error.
type IOError struct {
	// Volume is where the volume is mounted in the container.
	Volume string `hcl:"volume" json:"volume"`
	// Path narrows the fault to files, as a whole path in which * stands for anything; all of the volume when empty.
	Path string `hcl:"path,optional" json:"path,omitempty"`
	// Methods narrows the fault to operations, such as "read" and "fsync"; all when empty.
	Methods []string `hcl:"methods,optional" json:"methods,omitempty"`
	// Percent is how many of the operations fail, each by chance; 100 when 0.
	Percent int `hcl:"percent,optional" json:"percent,omitempty"`
	// Error is the error that they fail with, by its name in errno(3): "EIO" when empty.
	Error string `hcl:"error,optional" json:"error,omitempty"`
}

// Validate checks the files and the error.
func (e *IOError) Validate() error {
	return errors.Join(e.files().validate(),
		oneOf("error", "error", cmp.Or(e.Error, defaultIOError), slices.Sorted(maps.Keys(ioErrors))))
}

func (e *IOError) files() files { return files{e.Volume, e.Path, e.Methods, e.Percent} }

// Number returns the error's number on Linux; 0 for an unknown one.
func (e *IOError) Number() uint32 { return ioErrors[cmp.Or(e.Error, defaultIOError)] }

// Share returns the percentage of operations that are hit.
func (e *IOError) Share() int { return share(e.Percent) }

// Bind says that only pods know the fault.
func (e *IOError) Bind(p faults.Place) (faults.Injection, error) {
	return nil, bindElsewhere("io_error", p)
}

// Preview returns "80 % of write below /data fail with ENOSPC".
func (e *IOError) Preview(faults.Place) string {
	return e.files().words() + " fail with " + cmp.Or(e.Error, defaultIOError)
}
