package audit

import (
	"os"
	"os/user"
	"strconv"
	"strings"
)

// Who says for whom a process works.
type Who struct {
	User string `json:"user"`
	UID  int    `json:"uid"` // outside of any user namespace that the process made itself
	// SudoUser is who became that user by sudo, by its own word.
	SudoUser string `json:"sudo_user,omitempty"`
	// Login is the user who once logged in, as the kernel remembers it; empty when it does not.
	Login string `json:"login,omitempty"`
	Host  string `json:"host"`
}

// noLogin is what the kernel says of a process that no login led to.
const noLogin = "4294967295"

// Me returns for whom this process works.
func Me() Who {
	uids, _ := os.ReadFile("/proc/self/uid_map")
	login, _ := os.ReadFile("/proc/self/loginuid")
	w := Who{UID: outside(string(uids), os.Getuid()), SudoUser: os.Getenv("SUDO_USER")}
	w.User = userName(strconv.Itoa(w.UID))
	if id := strings.TrimSpace(string(login)); id != "" && id != noLogin {
		w.Login = userName(id)
	}
	w.Host, _ = os.Hostname()
	return w
}

// userName returns a user's name, or the number of one who has none.
func userName(uid string) string {
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return uid
}

// outside translates a user id through the text of /proc/self/uid_map: lines of "inside outside length".
func outside(uidMap string, uid int) int {
	for line := range strings.Lines(uidMap) {
		var n [3]int
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		ok := true
		for i, f := range fields {
			v, err := strconv.ParseInt(f, 10, 64)
			n[i], ok = int(v), ok && err == nil
		}
		if ok && uid >= n[0] && uid-n[0] < n[2] {
			return n[1] + uid - n[0]
		}
	}
	return uid
}

// String returns "ann", or "root (ann)" for somebody who became another user.
func (w Who) String() string {
	name := w.User
	for _, before := range []string{w.SudoUser, w.Login} {
		if before != "" && before != w.User {
			return name + " (" + before + ")"
		}
	}
	return name
}
