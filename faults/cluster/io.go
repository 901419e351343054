package cluster

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"gameday/faults"
)

// methods are the operations on files that Chaos Mesh can get in the way of, as FUSE names them.
var methods = []string{"access", "bmap", "create", "flush", "forget", "fsync", "fsyncdir", "getattr", "getlk", "getxattr", "link",
	"listxattr", "lookup", "mkdir", "mknod", "open", "opendir", "read", "readdir", "readlink", "release", "releasedir", "removexattr",
	"rename", "rmdir", "setattr", "setlk", "setxattr", "statfs", "symlink", "unlink", "write"}

// files says which operations on which files a fault hits: what io_latency and io_error share.
type files struct {
	volume, path string
	methods      []string
	percent      int
}

func (f files) validate() error {
	var errs []error
	if !path.IsAbs(f.volume) || path.Clean(f.volume) == "/" {
		errs = append(errs, &faults.FieldError{Field: "volume", Summary: "Invalid path",
			Detail: fmt.Sprintf("%q is not where a volume is mounted in the container, such as \"/var/lib/postgresql/data\".", f.volume)})
	}
	if f.path != "" && !inside(f.path, f.volume) {
		errs = append(errs, &faults.FieldError{Field: "path", Summary: "Invalid path",
			Detail: fmt.Sprintf("%q is not below the volume: write whole paths, with * for what differs, such as %q.", f.path, path.Join("/", f.volume, "*.log"))})
	}
	if f.percent < 0 || f.percent > 100 {
		errs = append(errs, &faults.FieldError{Field: "percent", Summary: "Percentage out of range",
			Detail: fmt.Sprintf("percent is a whole number from 1 to 100, not %d.", f.percent)})
	}
	return errors.Join(append(errs, each("methods", "operation", f.methods, methods))...)
}

func inside(p, volume string) bool {
	return path.IsAbs(p) && strings.HasPrefix(path.Clean(p)+"/", path.Clean(volume)+"/")
}

// share returns a percentage of which 0 means all.
func share(percent int) int {
	if percent == 0 {
		return 100
	}
	return percent
}

// words returns "80 % of read, write below /data".
func (f files) words() string {
	what := "all operations"
	if len(f.methods) > 0 {
		what = strings.Join(f.methods, ", ")
	}
	where := "below " + f.volume
	if f.path != "" {
		where = "on " + f.path
	}
	if p := share(f.percent); p < 100 {
		return fmt.Sprintf("%d %% of %s %s", p, what, where)
	}
	return what + " " + where
}
