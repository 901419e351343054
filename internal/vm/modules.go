package vm

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// hardware are the modules without which the machine has no serial line, network card or disk.
var hardware = []string{"virtio_pci", "virtio_console", "virtio_net", "virtio_blk"}

// Modules are what every machine loads beside its hardware: what faults on networks, disks and processes stand on, and
// what is needed to look at them. A module that is built into the kernel counts as loaded.
var Modules = []string{
	"veth", "dummy", "ifb", "tun", "bridge", "loop", "overlay", "ext4", "dm_mod", "dm_delay", "dm_flakey",
	"sch_netem", "sch_prio", "sch_htb", "sch_tbf", "sch_ingress", "sch_fq_codel", "sch_fq", "sch_sfq",
	"cls_u32", "cls_fw", "cls_basic", "cls_flower", "cls_matchall", "cls_bpf", "act_mirred", "act_police", "act_gact",
	"nf_tables", "nf_conntrack", "nf_conntrack_netlink", "nft_ct", "nft_limit", "nft_reject", "nft_reject_inet",
	"nft_reject_ipv4", "nft_reject_ipv6", "nft_numgen", "nft_hash", "nft_nat", "nft_chain_nat", "nft_redir", "nft_masq",
	"nft_log", "nft_queue", "nft_fib_inet", "nft_dup_ipv4", "nft_dup_ipv6", "nft_tproxy", "nft_quota", "nft_connlimit",
	"inet_diag", "tcp_diag", "udp_diag", "xfrm_user",
}

// moduleSet is the modules of one kernel.
type moduleSet struct {
	files   map[string]string // by name, with underscores
	builtin map[string]bool
}

// moduleName is a module's name as the kernel has it: files write a hyphen where it has an underscore.
func moduleName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// readModules reads which modules there are under lib/modules/<version>.
func readModules(dir string) (moduleSet, error) {
	set := moduleSet{files: map[string]string{}, builtin: map[string]bool{}}
	err := filepath.WalkDir(filepath.Join(dir, "kernel"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.Contains(d.Name(), ".ko") {
			set.files[moduleName(path)] = path
		}
		return err
	})
	if err != nil {
		return set, fmt.Errorf("reading kernel modules: %w", err)
	}
	builtin, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return set, fmt.Errorf("reading kernel modules: %w", err)
	}
	for line := range strings.Lines(string(builtin)) {
		set.builtin[moduleName(strings.TrimSpace(line))] = true
	}
	return set, nil
}

// order returns the files of the modules named and of those they depend on, each after what it depends on.
func (s moduleSet) order(names []string) ([]string, error) {
	var files []string
	seen := map[string]bool{}
	var add func(name string, asker string) error
	add = func(name, asker string) error {
		if seen[name] || s.builtin[name] {
			return nil
		}
		seen[name] = true // before its dependencies: a circle ends here
		path, ok := s.files[name]
		if !ok {
			return fmt.Errorf("this kernel has no module %s, which %s wants", name, asker)
		}
		depends, err := dependencies(path)
		if err != nil {
			return err
		}
		for _, d := range depends {
			if err := add(d, name); err != nil {
				return err
			}
		}
		files = append(files, path)
		return nil
	}
	for _, name := range names {
		if err := add(strings.ReplaceAll(name, "-", "_"), "the machine"); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// dependencies reads from a module which others it depends on. A package of a kernel has no list of that: one is made
// when it is installed, and this one never is.
func dependencies(path string) ([]string, error) {
	if filepath.Ext(path) != ".ko" {
		return nil, fmt.Errorf("kernel module %s is compressed: unpack it beside itself, with xz -d or zstd -d", path)
	}
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading kernel module %s: %w", path, err)
	}
	defer f.Close()
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("reading kernel module %s: it has no .modinfo", path)
	}
	data, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("reading kernel module %s: %w", path, err)
	}
	for field := range bytes.SplitSeq(data, []byte{0}) {
		if list, ok := strings.CutPrefix(string(field), "depends="); ok && list != "" {
			return strings.Split(strings.ReplaceAll(list, "-", "_"), ","), nil
		}
	}
	return nil, nil
}
