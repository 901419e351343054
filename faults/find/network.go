package find

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/prometheus/procfs"

	"gameday/faults"
	"gameday/faults/listening"
)

// Namespace returns the network namespace of a process.
func Namespace(pid int) (*faults.Namespace, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &st); err != nil {
		return nil, fmt.Errorf("reading the network namespace of pid %d: %w", pid, err)
	}
	return &faults.Namespace{Inode: st.Ino, Device: uint64(st.Dev), PID: pid}, nil
}

// listeners returns the socket inodes that listen on a TCP port, in every network namespace that the processes are in.
// Socket inodes are unique on a machine, whatever the namespace.
func listeners(all procfs.Procs, port uint16) map[uint64]bool {
	out := map[uint64]bool{}
	seen := map[uint64]bool{}
	for _, p := range all {
		ns, err := Namespace(p.PID)
		if err != nil || seen[ns.Inode] {
			continue
		}
		sockets, err := listening.Sockets(p.PID, port)
		if err != nil {
			continue // it has ended, say, and another one there may be asked
		}
		seen[ns.Inode] = true
		for _, inode := range sockets {
			out[inode] = true
		}
	}
	return out
}

// holdsSocket reports whether a process has one of the sockets open.
func holdsSocket(p procfs.Proc, sockets map[uint64]bool) (bool, error) {
	links, err := p.FileDescriptorTargets()
	if err != nil {
		return false, err
	}
	for _, l := range links {
		text, ok := strings.CutPrefix(l, "socket:[")
		if !ok {
			continue
		}
		inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64)
		if err == nil && sockets[inode] {
			return true, nil
		}
	}
	return false, nil
}

// Addresses returns a process's own addresses but for loopback, in the order of the kernel's tables. It reads them from
// /proc, which shows a foreign namespace's without entering it.
func Addresses(pid int) ([]netip.Addr, error) {
	four, err := localV4(fmt.Sprintf("/proc/%d/net/fib_trie", pid))
	if err != nil {
		return nil, err
	}
	six, err := localV6(fmt.Sprintf("/proc/%d/net/if_inet6", pid))
	if err != nil {
		return nil, err
	}
	return append(four, six...), nil
}

// localV4 reads the addresses of routes "/32 host LOCAL" from a fib_trie, once each.
func localV4(path string) ([]netip.Addr, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading addresses: %w", err)
	}
	defer f.Close()
	var out []netip.Addr
	seen := map[netip.Addr]bool{}
	var last netip.Addr
	for s := bufio.NewScanner(f); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		if rest, ok := strings.CutPrefix(line, "|-- "); ok {
			last, _ = netip.ParseAddr(rest)
			continue
		}
		if line == "/32 host LOCAL" && last.IsValid() && !last.IsLoopback() && !seen[last] {
			seen[last] = true
			out = append(out, last)
		}
	}
	return out, nil
}

// localV6 reads if_inet6, whose first column is an address in 32 hexadecimal digits and fourth its scope; it leaves out
// loopback and link-local ones.
func localV6(path string) ([]netip.Addr, error) {
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, nil // a kernel without IPv6
	}
	if err != nil {
		return nil, fmt.Errorf("reading addresses: %w", err)
	}
	var out []netip.Addr
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || len(fields[0]) != 32 || fields[3] != "00" {
			continue
		}
		var groups []string
		for i := 0; i < 32; i += 4 {
			groups = append(groups, fields[0][i:i+4])
		}
		if a, err := netip.ParseAddr(strings.Join(groups, ":")); err == nil && !a.IsLoopback() {
			out = append(out, a)
		}
	}
	return out, nil
}
