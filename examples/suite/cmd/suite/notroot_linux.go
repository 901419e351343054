package main

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// nobody is the number of the user who is nobody on every Linux, where there is no user postgres.
const nobody = 65534

// notRoot lets a program run as somebody who is not root, which PostgreSQL insists on and which nobody on a node of a lab is. In a
// user namespace of its own the same user has another number, so that its files stay those of whoever started it.
func notRoot() *syscall.SysProcAttr {
	if os.Geteuid() != 0 {
		return nil
	}
	id := nobody
	if u, err := user.Lookup("postgres"); err == nil {
		if n, err := strconv.Atoi(u.Uid); err == nil && n > 0 {
			id = n
		}
	}
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Getegid(), Size: 1}},
	}
}
