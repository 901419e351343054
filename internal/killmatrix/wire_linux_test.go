package killmatrix

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"gameday/faults"
)

// wireVariable is the folder of the keys and the configuration with which a conductor reaches its guard by ssh. Without
// it the guard is the conductor's child.
const wireVariable = "GAMEDAY_KILLMATRIX_WIRE"

// roleRelay is what stands between ssh and sshd: a cable that can be held still. What the cable takes then goes nowhere,
// and neither end is told, as when a network in between drops everything.
const roleRelay = "relay"

// sshPrograms are what a wire needs.
var sshPrograms = []string{"ssh", "sshd", "ssh-keygen"}

// findSSH returns where a program of OpenSSH's is.
func findSSH(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	path := "/usr/sbin/" + name // not in the path of everybody
	_, err := os.Stat(path)
	return path, err
}

// lacksWire says why a cell cannot cut a connection here.
func lacksWire() string {
	for _, name := range sshPrograms {
		if _, err := findSSH(name); err != nil {
			return name + " is not installed"
		}
	}
	if os.Geteuid() != 0 {
		return "sshd needs root"
	}
	if text, err := os.ReadFile("/proc/self/uid_map"); err != nil || len(strings.Fields(string(text))) != 3 ||
		strings.Fields(string(text))[2] == "1" {
		return "sshd needs users to change to"
	}
	return ""
}

// layWire makes keys and configurations of the cell's own.
func (w *world) layWire() (dir string, err error) {
	dir = filepath.Join(w.dir, "wire")
	keygen, err := findSSH("ssh-keygen")
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.Mkdir(dir, 0o700), os.MkdirAll("/run/sshd", 0o755)); err != nil { // where sshd shuts a part of itself in
		return "", err
	}
	for _, name := range []string{"host", "user"} {
		out, err := exec.Command(keygen, "-q", "-t", "ed25519", "-N", "", "-C", "killmatrix", "-f", filepath.Join(dir, name)).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("making a key: %w: %s", err, out)
		}
	}
	host, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		return "", err
	}
	return dir, errors.Join(
		os.WriteFile(filepath.Join(dir, "known"), append([]byte("guarded "), host...), 0o600),
		os.WriteFile(filepath.Join(dir, "sshd_config"), fmt.Appendf(nil, "HostKey %[1]s/host\nAuthorizedKeysFile %[1]s/user.pub\n"+
			"PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"+
			"PermitRootLogin yes\nPermitUserRC no\nLogLevel ERROR\n", dir), 0o600))
}

// sshGuard is the command that starts a guard at the other end of the wire.
func sshGuard(dir string) (*exec.Cmd, error) {
	ssh, err := findSSH("ssh")
	if err != nil {
		return nil, err
	}
	relay := as(roleRelay)
	guard := as(roleGuard)
	cmd := exec.Command(ssh, "-F", "none", "-T", "-i", filepath.Join(dir, "user"), "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
		"-o", "UserKnownHostsFile="+filepath.Join(dir, "known"), "-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=yes",
		"-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "ProxyCommand="+remote(relay), "root@guarded", "exec "+remote(guard))
	cmd.Env = os.Environ()
	return cmd, nil
}

// remote words a command for a shell that knows nothing of this process's environment. An injection's parameters stay
// here: the guard gets them over the wire.
func remote(c *exec.Cmd) string {
	words := []string{"env", "-i"}
	for _, v := range append(c.Env, c.Args[0]) {
		if !strings.HasPrefix(v, requestVariable+"=") {
			words = append(words, "'"+strings.ReplaceAll(v, "'", `'\''`)+"'")
		}
	}
	return strings.ReplaceAll(strings.Join(words, " "), "%", "%%") // which ssh would replace
}

// playRelay joins its standard input and output with an sshd that serves nobody else.
func playRelay() error {
	path, err := findSSH("sshd")
	if err != nil {
		return err
	}
	sshd := exec.Command(path, "-i", "-e", "-f", filepath.Join(os.Getenv(wireVariable), "sshd_config"))
	var said bytes.Buffer
	sshd.Stderr = &said
	in, err := sshd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := sshd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := sshd.Start(); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(in, os.Stdin)
		in.Close()
	}()
	_, _ = io.Copy(os.Stdout, out)
	if err := sshd.Wait(); err != nil {
		return fmt.Errorf("sshd: %w: %s", err, said.String())
	}
	return nil
}

// learnWire notes which processes the wire is made of: all that the conductor started, but the guard.
func (s *stage) learnWire() error {
	all, err := everyProcessOf(s.pids.conductor.PID)
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.PID != s.pids.conductor.PID && p.PID != s.pids.guard.PID {
			s.wire = append(s.wire, p)
		}
	}
	return nil
}

// cut holds the wire still.
func (s *stage) cut() error {
	for _, p := range s.wire {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID))
		if err != nil {
			return err
		}
		if !bytes.Contains(environ, []byte(roleVariable+"="+roleRelay+"\x00")) {
			continue
		}
		return halt(p)
	}
	return errors.New("the wire has no relay")
}

// halt stops a process, and waits until it has.
func halt(p faults.Process) error {
	if err := unix.Kill(p.PID, unix.SIGSTOP); err != nil {
		return err
	}
	if !until(patience, func() bool { return stateOf(p) == 'T' }) {
		return fmt.Errorf("pid %d does not stop", p.PID)
	}
	return nil
}
