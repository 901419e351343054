// Package sshrig runs a real sshd on a loopback port for tests, with keys, folders and configuration of the test's own: a
// machine that is reached by SSH, as far as gameday can tell.
package sshrig

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gameday/internal/bound"
	"gameday/internal/portrig"
)

// Host is the name by which Config knows the machine.
const Host = "web1"

// Server is an sshd.
type Server struct {
	// Config is a file for ssh -F under which Host, and Host with any digits in the place of its own, leads here.
	Config string
	// Home is the home folder of whoever comes in, and Ledger that of the guard.
	Home, Ledger string

	t    testing.TB
	dir  string
	port int
	cmd  *exec.Cmd
	log  logged
}

// logged is what sshd says.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write keeps it.
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// Options of a Server.
type Options struct {
	Environment []string // more of what sessions get, as NAME=value
	NotKnown    bool     // leave the host's key out of what Config knows
	NoEntry     bool     // let nobody in
}

// Start runs an sshd until the end of the test. It skips the test where there is none, and fails it there if CI is set.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	programs := map[string]string{}
	for _, name := range []string{"sshd", "ssh", "ssh-keygen"} {
		path, err := exec.LookPath(name)
		if err != nil {
			path = "/usr/sbin/" + name // not in the path of everybody
			_, err = os.Stat(path)
		}
		if err != nil {
			need(t, "no "+name+" here; tools/setup installs it")
		}
		programs[name] = path
	}
	if os.Geteuid() == 0 { // where sshd shuts its processes in
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			need(t, err.Error())
		}
	}
	dir := t.TempDir()
	s := &Server{t: t, dir: dir, Config: filepath.Join(dir, "ssh_config"), Home: filepath.Join(dir, "home"),
		Ledger: filepath.Join(dir, "home", "ledger")}
	if err := os.Mkdir(s.Home, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"host_key", "key"} {
		out, err := exec.Command(programs["ssh-keygen"], "-q", "-t", "ed25519", "-N", "", "-C", "gameday-test", "-f", s.path(name)).CombinedOutput()
		if err != nil {
			t.Fatalf("making a key: %v: %s", err, out)
		}
	}
	s.port = portrig.Keep(t)
	s.write(o)
	s.cmd = exec.Command(programs["sshd"], "-D", "-e", "-f", s.path("sshd_config"))
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := bound.Start(s.cmd, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("sshd:\n%s", s.Log())
		}
	})
	s.awaitUp()
	return s
}

func need(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// Log returns what sshd has said so far.
func (s *Server) Log() string {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.text.String()
}

// Stop ends sshd: nobody new comes in. Connections that stand go on.
func (s *Server) Stop() {
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}

func (s *Server) write(o Options) {
	s.t.Helper()
	me, err := user.Current()
	if err != nil {
		s.t.Fatal(err)
	}
	read := func(name string) string {
		b, err := os.ReadFile(s.path(name))
		if err != nil {
			s.t.Fatal(err)
		}
		return string(b)
	}
	authorized, known := read("key.pub"), "web "+read("host_key.pub")
	if o.NoEntry {
		authorized = ""
	}
	if o.NotKnown {
		known = ""
	}
	environment := append([]string{"HOME=" + s.Home, "GAMEDAY_LEDGER=" + s.Ledger}, o.Environment...)
	for name, text := range map[string]string{
		"authorized_keys": authorized,
		"known_hosts":     known,
		"sshd_config": fmt.Sprintf("ListenAddress 127.0.0.1\nPort %d\nHostKey %s\nPidFile none\nUsePAM no\nPasswordAuthentication no\n"+
			"PermitRootLogin yes\nPermitUserRC no\nKbdInteractiveAuthentication no\nAuthorizedKeysFile %s\nStrictModes no\nLogLevel ERROR\n"+
			"MaxStartups 100\nSetEnv %s\n", s.port, s.path("host_key"), s.path("authorized_keys"), strings.Join(environment, " ")),
		"ssh_config": fmt.Sprintf("Host web*\n  HostName 127.0.0.1\n  Port %d\n  User %s\n  HostKeyAlias web\n  IdentityFile %s\n  IdentitiesOnly yes\n"+
			"  IdentityAgent none\n  UserKnownHostsFile %s\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n",
			s.port, me.Username, s.path("key"), s.path("known_hosts")),
	} {
		if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// awaitUp waits until sshd answers.
func (s *Server) awaitUp() {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		if err == nil {
			conn.Close()
			return
		}
		<-tick.C
	}
	s.t.Fatalf("sshd does not answer:\n%s", s.Log())
}
