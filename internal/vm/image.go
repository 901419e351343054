package vm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"gameday/internal/vm/wire"
)

// address is the machine's own on qemu's user-mode network, whose other end forwards ports from this machine.
const address = "10.0.2.15/24"

// accounts are the files that say who is who. Root has no password: it logs in by key.
var accounts = map[string]string{
	"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n" +
		"nobody:x:65534:65534::/:/bin/false\n",
	"etc/shadow":        "root:*:19000:0:99999:7:::\nsshd:!:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n",
	"etc/group":         "root:x:0:\nnogroup:x:65534:\n",
	"etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
	"etc/os-release":    "ID=gameday-vm\nNAME=\"a machine of gameday's tests\"\n",
	"etc/shells":        "/bin/sh\n",
}

// sshdConfig lets root in by key and nobody by anything else.
const sshdConfig = `Port 22
HostKey /etc/ssh/host_key
AuthorizedKeysFile /root/.ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
StrictModes no
PrintMotd no
MaxStartups 100
MaxSessions 100
SetEnv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
Subsystem sftp internal-sftp
`

// initial makes the machine's initial file system.
func (p parts) initial(o Options, dir string) (tree, error) {
	t := tree{}
	for _, name := range merged {
		t.link(name, "usr/"+name)
		t.dir("usr/"+name, 0o755)
	}
	for _, name := range []string{"proc", "sys", "run", "disk", "etc", "var/log", "var/empty", "mnt"} {
		t.dir(name, 0o755)
	}
	t.dir("tmp", 0o1777)
	t.dir("root", 0o700)
	t["dev/console"] = entry{mode: typeChar | 0o600, device: [2]uint32{5, 1}}
	t.link("var/run", "../run")
	t.link("etc/mtab", "../proc/self/mounts")
	for name, text := range accounts {
		t.file(name, 0o644, []byte(text))
	}
	t.file("etc/shadow", 0o600, t["etc/shadow"].data)
	t.file("etc/hostname", 0o644, []byte(o.Name+"\n"))
	t.file("etc/hosts", 0o644, []byte("127.0.0.1 localhost "+o.Name+"\n::1 localhost\n"))
	boot := wire.Boot{Name: o.Name, Disk: o.Disk > 0, SSH: o.SSH, Address: address}
	for _, step := range []func() error{
		func() error { return p.addInit(t, dir) },
		func() error { return p.addPrograms(t, o.Programs) },
		func() error { return p.addModules(t, o.Modules, &boot) },
		func() error { return p.addSSH(t, o, dir) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	for name, from := range o.Files {
		if err := t.hostFile(name, from); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(boot)
	if err != nil {
		return nil, err
	}
	t.file(wire.BootPath, 0o644, data)
	return t, nil
}

// addInit builds the first process, and puts it under all its names.
func (p parts) addInit(t tree, dir string) error {
	path := filepath.Join(dir, "init")
	if err := build("build", "-ldflags=-s -w", "-o", path, "gameday/internal/vm/init"); err != nil {
		return err
	}
	if err := t.hostFile("init", path); err != nil {
		return err
	}
	for _, name := range []string{"sbin/reboot", "sbin/shift-clock"} {
		t.link(name, "/init")
	}
	return nil
}

// build runs the go command for programs that need no library of the machine they run on.
func build(args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// addPrograms puts busybox under the names of all its programs, and real programs over some of them.
func (p parts) addPrograms(t tree, more []string) error {
	if err := t.program("bin/busybox", p.busybox); err != nil {
		return err
	}
	list, err := exec.Command(p.busybox, "--list-full").Output()
	if err != nil {
		return fmt.Errorf("asking busybox what it is: %w", err)
	}
	for name := range strings.FieldsSeq(string(list)) {
		if !t.has(name) {
			t.link(name, "/bin/busybox")
		}
	}
	// Busybox as a shell takes its own programs for others of their names: the shell is another.
	if err := t.program("bin/dash", p.dash); err != nil {
		return err
	}
	t.link("bin/sh", "dash")
	for _, path := range []string{p.ip, p.tc, p.nft} {
		// Where busybox has one too, and either stands first in the path, the real one is meant.
		for _, folder := range []string{"bin", "sbin", "usr/bin", "usr/sbin"} {
			delete(t, clean(folder+"/"+filepath.Base(path)))
		}
		if err := t.program("sbin/"+filepath.Base(path), path); err != nil {
			return err
		}
	}
	// What tc knows of distributions of delay stands beside the libraries.
	for _, dir := range libraryDirs {
		tables, _ := filepath.Glob(filepath.Join(dir, "tc", "*.dist"))
		for _, path := range tables {
			if err := t.hostFile(path, path); err != nil {
				return err
			}
		}
	}
	for _, name := range more {
		path, err := lookPath(name)
		if err != nil {
			return err
		}
		if err := t.program("usr/local/bin/"+filepath.Base(path), path); err != nil {
			return err
		}
	}
	return nil
}

// addModules puts kernel modules, in the order in which to load them.
func (p parts) addModules(t tree, more []string, boot *wire.Boot) error {
	set, err := readModules(p.modules)
	if err != nil {
		return err
	}
	files, err := set.order(append(append(append([]string{}, hardware...), Modules...), more...))
	if err != nil {
		return err
	}
	for _, path := range files {
		name := filepath.Join("/lib/modules", p.kernelVersion, filepath.Base(path))
		if err := t.hostFile(name, path); err != nil {
			return err
		}
		boot.Modules = append(boot.Modules, name)
	}
	return nil
}

// addSSH makes keys and puts sshd, which lets the test's key in.
func (p parts) addSSH(t tree, o Options, dir string) error {
	if !o.SSH {
		return nil
	}
	for _, name := range []string{"host_key", "key"} {
		cmd := exec.Command(p.sshKeygen, "-q", "-t", "ed25519", "-N", "", "-C", "gameday-vm", "-f", filepath.Join(dir, name))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("making an SSH key: %w: %s", err, out)
		}
	}
	public, err := os.ReadFile(filepath.Join(dir, "host_key.pub"))
	if err != nil {
		return err
	}
	known := append([]byte(o.Name+" "), public...)
	if err := os.WriteFile(filepath.Join(dir, "known_hosts"), known, 0o600); err != nil {
		return err
	}
	t.file("etc/ssh/sshd_config", 0o644, []byte(sshdConfig))
	if err := t.hostFile("etc/ssh/host_key", filepath.Join(dir, "host_key")); err != nil {
		return err
	}
	if err := t.hostFile("root/.ssh/authorized_keys", filepath.Join(dir, "key.pub")); err != nil {
		return err
	}
	return t.program("usr/sbin/sshd", p.sshd)
}

// writeImage writes the tree into a file.
func (t tree) writeImage(path string) error {
	var image bytes.Buffer
	if err := t.write(&image); err != nil {
		return err
	}
	return os.WriteFile(path, image.Bytes(), 0o600)
}
