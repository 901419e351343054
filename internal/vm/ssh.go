package vm

import (
	"fmt"
	"os"
)

// sshPort is where sshd listens in the machine.
const sshPort = 22

// SSHConfig returns the path of a configuration for ssh -F under which the machine's name leads into it as root. Host
// key, address and the test's own key are in it; they stay the same over reboots and power cuts.
func (m *Machine) SSHConfig() string {
	if !m.options.SSH {
		m.t.Fatal("the machine was started without SSH")
	}
	return m.path("ssh_config")
}

// Name returns the machine's host name, which is also what ssh knows it by.
func (m *Machine) Name() string { return m.options.Name }

func (m *Machine) writeSSHConfig() error {
	text := fmt.Sprintf(`Host %s
  HostName 127.0.0.1
  Port %d
  User root
  HostKeyAlias %s
  IdentityFile %s
  IdentitiesOnly yes
  UserKnownHostsFile %s
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
  ConnectTimeout 10
  LogLevel ERROR
`, m.options.Name, m.ports[sshPort], m.options.Name, m.path("key"), m.path("known_hosts"))
	if err := os.WriteFile(m.path("ssh_config"), []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing a configuration for ssh: %w", err)
	}
	return nil
}
