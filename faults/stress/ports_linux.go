package stress

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gameday/faults"
	"gameday/faults/internal/netns"
	"gameday/sizes"
)

// portsLoad is port_exhaustion on this machine.
type portsLoad struct {
	portsPlan
	ports []portRange // to hold
	each  int         // at most, per holder
	found int         // size of the kernel's range
}

func (p portsPlan) bind() (faults.Injection, error) { return newLoad(&portsLoad{portsPlan: p}), nil }

func (p *portsLoad) mark(*undo) {}

// check reads the namespace's range and whether there are descriptors and memory enough to hold it.
func (p *portsLoad) check() error {
	own, err := netns.Own()
	if err != nil {
		return err
	}
	if netns.Same(own, &p.network) && !p.selfCut {
		return errors.New("port_exhaustion: the place is in gameday's own network, so its traffic and its questions to alarm " +
			"sources would get no ports either; use a lab node or a container, or set allow_self_cut = true")
	}
	ns, err := p.seen.Open()
	if err != nil {
		return err
	}
	defer ns.Close()
	return netns.Within(ns, p.measure)
}

// measure is called in the namespace.
func (p *portsLoad) measure() error {
	whole, reserved, err := readRange()
	if err != nil {
		return err
	}
	spared := append(reserved, portRange{0, firstUserPort - 1})
	for _, port := range p.except {
		spared = append(spared, portRange{port, port})
	}
	p.ports, p.found = without(whole, spared), whole.size()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("reading the limit of descriptors: %w", err)
	}
	p.each = int(min(limit.Max, 1<<20)) - spareFDs
	total := count(p.ports)
	if p.each <= 0 || total > maxHolders*p.each {
		return fmt.Errorf("port_exhaustion: %d ports are to be held, and %d holders may have %d descriptors each; raise the guard's "+
			"hard limit (ulimit -Hn)", total, maxHolders, limit.Max)
	}
	m, err := newGauge().read()
	if err != nil {
		return err
	}
	if need := uint64(total) * bytesPerPort; need+defaultFloor(m.total) > m.available {
		return fmt.Errorf("port_exhaustion: %d sockets take up to %s of the kernel's memory; %s are available, and %s must be left",
			total, sizes.Show(need), sizes.Show(m.available), sizes.Show(defaultFloor(m.total)))
	}
	return nil
}

// readRange reads which ports the kernel gives to outgoing connections, in the namespace of this thread.
func readRange() (whole portRange, reserved []portRange, err error) {
	const dir = "/proc/sys/net/ipv4/"
	text, err := os.ReadFile(dir + "ip_local_port_range")
	if err != nil {
		return whole, nil, fmt.Errorf("reading the range of ports: %w", err)
	}
	fields := strings.Fields(string(text))
	if len(fields) == 2 {
		all, err := parsePorts(fields[0] + "-" + fields[1])
		if err == nil && len(all) == 1 {
			whole = all[0]
		}
	}
	if whole.Last == 0 {
		return whole, nil, fmt.Errorf("reading the range of ports: %q is none", text)
	}
	text, err = os.ReadFile(dir + "ip_local_reserved_ports")
	if err != nil {
		return whole, nil, fmt.Errorf("reading the reserved ports: %w", err)
	}
	reserved, err = parsePorts(string(text))
	return whole, reserved, err
}

// begin starts the holders one after the other: each says how many free ports it left, so that the next knows how many
// are still to be left.
func (p *portsLoad) begin(ctx context.Context, l *load, lease time.Duration) error {
	ns, err := p.seen.Open()
	if err != nil {
		return err
	}
	defer ns.Close()
	leave, held := p.leave, 0
	for i, ports := range share(p.ports, p.each) {
		if i > 0 {
			faults.Reach(ctx, faults.MidInject)
		}
		w, err := l.start(ctx, job{Lease: lease, Ports: &portsJob{Ports: ports, Leave: leave}}, ns)
		if err != nil {
			return err
		}
		r, err := w.await(ctx, stepStanding)
		if err != nil {
			return err
		}
		leave, held = leave-r.Left, held+r.Held
	}
	if held == 0 {
		return fmt.Errorf("port_exhaustion: none of the %d ports was free and could be held beyond leave = %d", p.found, p.leave)
	}
	return nil
}

// effect asks in the namespace, with a probe of its own, whether there is a free port. The probe takes those that were
// left, if any, for the moment. What connect(2) says is told too, but proves less: the kernel lets connections to
// different addresses share a port.
func (p *portsLoad) effect(ctx context.Context, l *load) (faults.Effect, error) {
	ns, err := netns.Open(p.network)
	if err != nil {
		return faults.Effect{}, err
	}
	defer ns.Close()
	w, err := startWorker(ctx, l.undo.Token, job{Lease: 5 * time.Second, Probe: &probeJob{Leave: p.leave + len(p.except)}}, ns)
	if err != nil {
		return faults.Effect{}, err
	}
	r, err := w.await(ctx, stepStanding)
	w.end()
	if err != nil {
		return faults.Effect{}, err
	}
	held, left, inUse := 0, 0, 0
	for _, w := range l.crew {
		said, _ := w.now()
		held, left, inUse = held+said.Held, left+said.Left, inUse+said.InUse
	}
	e := faults.Effect{Proven: r.Bind == unix.ErrnoName(unix.EADDRINUSE), Details: map[string]string{
		"range": strconv.Itoa(p.found), "held": strconv.Itoa(held), "left": strconv.Itoa(left), "in_use": strconv.Itoa(inUse),
		"holders": strconv.Itoa(len(l.crew)), "bind": r.Bind, "connect": r.Connect, "probe_took": strconv.Itoa(r.Held),
	}}
	e.Summary = fmt.Sprintf("bind() gets %s, connect() %s: %d of %d ports held, %d in use by others, %d left free",
		r.Bind, r.Connect, held, p.found, inUse, left)
	if e.Proven && r.Connect != unix.ErrnoName(unix.EADDRNOTAVAIL) {
		e.Summary += "; a connection to another address can still share the port of one that stands"
	}
	return e, nil
}

// run binds the ports, and holds them.
func (j *portsJob) run(say func(report)) error {
	if err := raiseFDs(); err != nil {
		return err
	}
	r := report{Step: stepStanding}
	err := netns.Within(os.NewFile(networkFD, "network"), func() error {
		for _, span := range j.Ports {
			for port := span.First; port <= span.Last; port++ {
				fd, err := bindPort(port)
				switch {
				case errors.Is(err, unix.EADDRINUSE) || errors.Is(err, unix.EACCES):
					r.InUse++ // a listener's, or a connection's: not ours to touch
				case err != nil:
					return fmt.Errorf("binding port %d: %w", port, err)
				case r.Left < j.Leave:
					unix.Close(fd)
					r.Left++
				default:
					r.Held++
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	say(r)
	g, floor := newGauge(), memoryJob{}
	m, err := g.read()
	if err != nil {
		return err
	}
	floor.Floor = defaultFloor(m.total) / 2
	return stand(func() error { return floor.keep(g, 0) })
}

// raiseFDs allows as many descriptors as may be.
func raiseFDs() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raising the limit of descriptors: %w", err)
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raising the limit of descriptors: %w", err)
	}
	return nil
}

// bindPort binds a TCP socket, which never listens, to a port of all addresses. The kernel gives no outgoing connection
// a port that somebody bound, whatever the addresses. Port 0 is any that is free.
func bindPort(port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	var to unix.Sockaddr = &unix.SockaddrInet6{Port: port}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	}
	if errors.Is(err, unix.EAFNOSUPPORT) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		to = &unix.SockaddrInet4{Port: port}
	}
	if err != nil {
		return -1, err
	}
	err = unix.Bind(fd, to)
	if errors.Is(err, unix.EADDRNOTAVAIL) { // IPv6 is switched off in the namespace
		unix.Close(fd)
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return -1, err
		}
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: port})
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// run takes the ports that were left, asks for one more, and says what the kernel said.
func (j *probeJob) run(say func(report)) error {
	if err := raiseFDs(); err != nil {
		return err
	}
	r := report{Step: stepStanding}
	err := netns.Within(os.NewFile(networkFD, "network"), func() error {
		for r.Held < j.Leave {
			if _, err := bindPort(0); err != nil {
				break
			}
			r.Held++
		}
		_, err := bindPort(0)
		r.Bind = outcome(err)
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("probing: %w", err)
		}
		// To the discard port of the namespace itself: a connection that gets a port goes no further.
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}})
		if errors.Is(err, unix.EINPROGRESS) || errors.Is(err, unix.ECONNREFUSED) {
			err = nil
		}
		r.Connect = outcome(err)
		return nil
	})
	if err != nil {
		return err
	}
	say(r)
	return nil
}

// outcome is the name of a probe's error, such as EADDRNOTAVAIL.
func outcome(err error) string {
	var e unix.Errno
	if !errors.As(err, &e) || e == 0 {
		return "a port"
	}
	return unix.ErrnoName(e)
}
