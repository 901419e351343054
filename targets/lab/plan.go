package lab

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// core is the lab's own address, in the range that RFC 2544 sets aside for benchmarks, so that it cannot be anybody's.
var core = netip.AddrFrom4([4]byte{198, 18, 0, 1})

// plan is a Config with nothing left to work out: what the conductor sends to the lab's first process.
type plan struct {
	Name   string     `json:"name"`
	Prefix int        `json:"prefix"` // length of the lab's network prefix, in bits
	Logs   string     `json:"logs"`   // absolute folder for log files
	Nodes  []nodePlan `json:"nodes"`
}

// nodePlan is what a node's first process is told at each boot.
type nodePlan struct {
	Name      string        `json:"name"`
	Address   netip.Addr    `json:"address"`
	Prefix    int           `json:"prefix"`
	BootID    string        `json:"boot_id,omitempty"` // set at each boot
	Processes []processPlan `json:"processes"`
}

// processPlan is one process with paths, times and environment worked out.
type processPlan struct {
	Name         string        `json:"name"`
	Command      []string      `json:"command"`
	Dir          string        `json:"dir"`
	Env          []string      `json:"env"`
	Path         string        `json:"path"` // where bare names are looked up
	Restart      bool          `json:"restart"`
	RestartDelay time.Duration `json:"restart_delay"`
	Listen       uint16        `json:"listen"`
	ReadyWithin  time.Duration `json:"ready_within"`
	Log          string        `json:"log"` // file name in the logs folder
}

// newPlan works the config out. folder is the scenario's, absolute; path and home are the conductor's PATH and HOME.
func newPlan(c Config, folder, logs, path, home string) (plan, error) {
	if err := c.Validate(); err != nil {
		return plan{}, err
	}
	p := plan{Name: c.Name, Prefix: prefixFor(len(c.Nodes)), Logs: logs}
	for i, n := range c.Nodes {
		np := nodePlan{Name: n.Name, Address: nodeAddress(i), Prefix: p.Prefix}
		for _, pc := range n.Processes {
			np.Processes = append(np.Processes, newProcessPlan(n.Name, pc, folder, path, home))
		}
		p.Nodes = append(p.Nodes, np)
	}
	return p, nil
}

// newProcessPlan works one process out; its config is valid.
func newProcessPlan(node string, c ProcessConfig, folder, path, home string) processPlan {
	p := processPlan{
		Name:    c.Name,
		Command: slices.Clone(c.Command),
		Dir:     within(folder, c.Dir),
		Path:    path,
		Restart: c.Restart == RestartAlways,
		Listen:  c.Listen,
		Log:     logName(node, c.Name),
	}
	if strings.Contains(p.Command[0], "/") {
		p.Command[0] = within(folder, p.Command[0])
	}
	p.RestartDelay, _ = duration(c.RestartDelay, defaultRestartDelay, 0)
	p.ReadyWithin, _ = duration(c.ReadyWithin, defaultReadyWithin, 0)

	env := map[string]string{"PATH": path, "HOME": home}
	for k, v := range c.Env {
		env[k] = v
	}
	p.Path = env["PATH"]
	env[nodeVariable] = node
	for k, v := range env {
		p.Env = append(p.Env, k+"="+v)
	}
	slices.Sort(p.Env)
	return p
}

// within resolves path against folder unless it is absolute.
func within(folder, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(folder, path)
}

// nodeAddress returns the address of the i-th node, counted from 0.
func nodeAddress(i int) netip.Addr {
	base := core.As4()
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(base[:])+1+uint32(i))
	return netip.AddrFrom4(b)
}

// prefixFor returns the longest prefix, at most 24 bits, whose network has room for the core and so many nodes.
func prefixFor(nodes int) int {
	prefix := 24
	for 1<<(32-prefix)-2 < nodes+1 {
		prefix--
	}
	return prefix
}

// hardwareAddr returns the MAC address of a node, the same after each boot as on a real machine, so that its peers'
// neighbour tables stay right.
func hardwareAddr(a netip.Addr) net.HardwareAddr {
	b := a.As4()
	return net.HardwareAddr{0x02, 0x67, b[0], b[1], b[2], b[3]}
}

// hosts returns the /etc/hosts that all nodes and the conductor share.
func (p plan) hosts() string {
	var b strings.Builder
	fmt.Fprintf(&b, "127.0.0.1\tlocalhost\n%s\t%s\n", core, coreName)
	for _, n := range p.Nodes {
		fmt.Fprintf(&b, "%s\t%s\n", n.Address, n.Name)
	}
	return b.String()
}
