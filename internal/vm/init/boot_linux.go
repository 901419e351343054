package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gameday/internal/vm/wire"
)

// environment is what every process of the machine starts with.
var environment = []string{"HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"TMPDIR=/tmp", "TERM=dumb", "USER=root"}

// helloPath is where the first process leaves for the agent what it will say first.
const helloPath = "/run/gameday-vm-hello.json"

// first is the life of the first process; it never returns.
func first() {
	os.Clearenv()
	for _, pair := range environment {
		name, value, _ := strings.Cut(pair, "=")
		_ = os.Setenv(name, value)
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, signalReboot)
	var hello wire.Hello
	services := bringUp(&hello)
	go reap(services)
	for range signals {
		goDown()
	}
}

// bringUp makes a Linux system of the bare kernel, and returns what is to be kept running. What fails is kept in the
// hello, so that the test hears of it: a first process that exits would end the machine without a word.
func bringUp(hello *wire.Hello) [][]string {
	var plan wire.Boot
	phase := func(name string, f func() error) {
		began := time.Now()
		if err := f(); err != nil {
			hello.Faults = append(hello.Faults, fmt.Sprintf("%s: %v", name, err))
			fmt.Fprintf(os.Stderr, "init: %s: %v\n", name, err)
		}
		hello.Phases = append(hello.Phases, wire.PhaseLength{Name: name, Seconds: time.Since(began).Seconds()})
	}
	phase("file systems", mountAll)
	phase("plan", func() error {
		data, err := os.ReadFile(wire.BootPath)
		if err != nil {
			return err
		}
		return json.Unmarshal(data, &plan)
	})
	phase("modules", func() error { return loadModules(plan.Modules, &hello.Modules) })
	phase("name", func() error { return unix.Sethostname([]byte(plan.Name)) })
	phase("network", func() error { return bringNetworkUp(plan.Address) })
	if plan.Disk {
		phase("disk", func() error { return mount("/dev/vda", "/disk", "ext4", "") })
	}
	services := [][]string{{"agent"}}
	if plan.SSH {
		hello.SSH = true
		services = append(services, []string{"/usr/sbin/sshd", "-D", "-e"})
	}
	if id, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		hello.BootID = strings.TrimSpace(string(id))
	}
	if data, err := json.Marshal(hello); err == nil {
		_ = os.WriteFile(helloPath, data, 0o600)
	}
	return services
}

func mount(source, path, kind, options string) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(source, path, kind, 0, options); err != nil {
		return fmt.Errorf("mounting %s at %s: %w", kind, path, err)
	}
	return nil
}

// mountAll mounts the file systems that a Linux program expects.
func mountAll() error {
	return errors.Join(
		mount("proc", "/proc", "proc", ""),
		mount("sysfs", "/sys", "sysfs", ""),
		mount("devtmpfs", "/dev", "devtmpfs", "mode=755"),
		mount("devpts", "/dev/pts", "devpts", "mode=620,ptmxmode=666"),
		mount("tmpfs", "/dev/shm", "tmpfs", "mode=1777"),
		mount("tmpfs", "/run", "tmpfs", "mode=755"),
		mount("tmpfs", "/tmp", "tmpfs", "mode=1777"),
		mount("cgroup2", "/sys/fs/cgroup", "cgroup2", "nsdelegate"),
		os.MkdirAll("/run/sshd", 0o755),
		os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+cpu +memory +io +pids"), 0),
	)
}

// parameters keep modules from making devices that nobody asked for.
var parameters = map[string]string{"dummy.ko": "numdummies=0", "ifb.ko": "numifbs=0"}

// loadModules loads kernel modules in the order given, and counts them.
func loadModules(files []string, count *int) error {
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), parameters[filepath.Base(path)], 0)
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("loading %s: %w", path, err)
		}
		*count++
	}
	return nil
}

// bringNetworkUp gives the machine its loopback, and the first card its address. There is no route beyond the card's
// own network: the machine is to reach nobody.
func bringNetworkUp(address string) error {
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"addr", "add", address, "dev", "eth0"},
		{"link", "set", "eth0", "up"},
	} {
		if out, err := exec.Command("/bin/busybox", append([]string{"ip"}, args...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// reap collects every process that ends, its own children and orphans alike, and starts services again that ended.
// Nothing in this process may use os/exec once it runs, for it takes all exits.
func reap(services [][]string) {
	running := map[int][]string{}
	start := func(service []string) {
		if pid, err := spawn(service); err != nil {
			fmt.Fprintf(os.Stderr, "init: starting %s: %v\n", service[0], err)
		} else {
			running[pid] = service
		}
	}
	for _, service := range services {
		start(service)
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if err != nil { // nobody left, or interrupted
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if service, ok := running[pid]; ok && !down.Load() {
			delete(running, pid)
			fmt.Fprintf(os.Stderr, "init: %s ended (%#x)\n", service[0], uint32(status))
			time.Sleep(200 * time.Millisecond)
			start(service)
		}
	}
}

// spawn starts a service in a session of its own. A name without a path is a role of this program.
func spawn(args []string) (int, error) {
	path := args[0]
	if !filepath.IsAbs(path) {
		path = "/init"
	}
	pid, err := syscall.ForkExec(path, args, &syscall.ProcAttr{Dir: "/", Env: environment,
		Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true}})
	return pid, err
}

// down is set when services are not to be started again.
var down atomic.Bool

// goDown ends every process, by asking and then by force, writes out the disk, and restarts the machine.
func goDown() {
	down.Store(true)
	_ = unix.Kill(-1, unix.SIGTERM)
	_ = unix.Kill(-1, unix.SIGCONT)
	time.Sleep(300 * time.Millisecond)
	_ = unix.Kill(-1, unix.SIGKILL)
	unix.Sync()
	if err := unix.Unmount("/disk", 0); err != nil {
		_ = unix.Mount("", "/disk", "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART); err != nil {
		fmt.Fprintf(os.Stderr, "init: going down: %v\n", err)
	}
}
