package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"gameday/audit"
	"gameday/conductor"
	"gameday/faults"
	"gameday/report"
	"gameday/room"
	"gameday/room/door"
	"gameday/room/web"
)

// roomFlags are the flags of `gameday room`.
type roomFlags struct {
	listen, certificate, key, address string
	audit                             string
	plain, attends                    bool
	invite                            []string
	proxyFrom, proxyRole              []string
	proxyUser, proxyGroups            string
}

func (a *app) roomCmd() *cobra.Command {
	f := &roomFlags{}
	c := &cobra.Command{
		Use:   "room [RECORD]",
		Short: "Show a run in the browser, to those who lead it, respond in it, or look on",
		Long: `Serves the room of a run: a live page for facilitators, responders and observers, each with a link of their own. RECORD is the folder
of its record; without it, the newest run in progress in runs/. It goes on until Ctrl-C, also when the run is over.

When the scenario is blind, responders and observers see nothing of what is broken until the run is over. Facilitators see all, and can
hold, skip, inject and abort.

Each --invite prints a link, which lets one person in once; without any there is one for you, as facilitator. More are made in the room.
Links and sessions are void when this ends. docs/room.md has more.

  gameday room runs/20261129-100000-checkout --invite fay=facilitator --invite ann=responder`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.room(f, args) },
	}
	f.flags(c, "127.0.0.1:8470")
	c.Flags().BoolVar(&f.attends, "attends", false, "serve a run that is about to begin, until the input ends")
	_ = c.Flags().MarkHidden("attends") // the flag is there
	return c
}

// flags are those of everything that is served to people.
func (f *roomFlags) flags(c *cobra.Command, listen string) {
	c.Flags().StringVar(&f.listen, "listen", listen, "where to serve it; beyond this machine only with TLS, or with --plain-http")
	c.Flags().StringVar(&f.certificate, "certificate", "", "a file with the certificate for TLS, in PEM; with --key")
	c.Flags().StringVar(&f.key, "key", "", "a file with its private key, in PEM")
	c.Flags().StringVar(&f.address, "address", "", "how people reach it, if not by --listen: https://room.example.com")
	c.Flags().StringVar(&f.audit, "audit", "", "file of the audit log (default: audit.jsonl beside the ledger)")
	c.Flags().BoolVar(&f.plain, "plain-http", false, "serve others without TLS: whoever is on the way can read it, take links, and do what their owners may")
	c.Flags().StringArrayVar(&f.invite, "invite", nil, "print a link for a person, as in ann=responder (may be given several times)")
	c.Flags().StringArrayVar(&f.proxyFrom, "proxy-from", nil, "believe a proxy at this address or network who people are, as in 10.1.2.3/32 (may be given several times)")
	c.Flags().StringVar(&f.proxyUser, "proxy-user", "", "the header in which it says a person's name: X-Auth-Request-User")
	c.Flags().StringVar(&f.proxyGroups, "proxy-groups", "", "the header in which it says their groups: X-Auth-Request-Groups")
	c.Flags().StringArrayVar(&f.proxyRole, "proxy-role", nil, "what people of a group are, as in sre=responder (may be given several times)")
}

// proxy reads what is said of a proxy; nil when nothing is.
func (f *roomFlags) proxy() (*web.Proxy, error) {
	if len(f.proxyFrom)+len(f.proxyRole) == 0 && f.proxyUser+f.proxyGroups == "" {
		return nil, nil
	}
	if len(f.proxyFrom) == 0 || len(f.proxyRole) == 0 || f.proxyUser == "" || f.proxyGroups == "" {
		return nil, usage("--proxy-from, --proxy-user, --proxy-groups and --proxy-role belong together; give all of them")
	}
	p := &web.Proxy{User: f.proxyUser, Groups: f.proxyGroups, Roles: map[string]room.Role{}}
	for _, text := range f.proxyFrom {
		from, err := netip.ParsePrefix(text)
		if one, bad := netip.ParseAddr(text); bad == nil {
			from, err = one.Prefix(one.BitLen())
		}
		if err != nil {
			return nil, usage("--proxy-from %q is not an address or a network, such as 10.1.2.3 or 10.1.0.0/16", text)
		}
		p.From = append(p.From, from.Masked())
	}
	for _, text := range f.proxyRole {
		group, as, ok := strings.Cut(text, "=")
		role, err := room.ParseRole(as)
		if !ok || group == "" || err != nil {
			return nil, usage("--proxy-role %q is not a group and a role, as in sre=responder; roles are facilitator, responder and observer", text)
		}
		p.Roles[group] = role
	}
	return p, nil
}

// guests reads the people that --invite names.
func (f *roomFlags) guests() ([]door.Guest, error) {
	if len(f.invite) == 0 {
		return []door.Guest{{Name: whoami(), Role: room.Facilitator}}, nil
	}
	var out []door.Guest
	for _, text := range f.invite {
		name, as, ok := strings.Cut(text, "=")
		if !ok {
			return nil, usage("--invite %q is not a name and a role, as in ann=responder", text)
		}
		role, err := room.ParseRole(as)
		if err == nil {
			err = door.CheckName(name)
		}
		if err != nil {
			return nil, usage("--invite %q: %w", text, err)
		}
		out = append(out, door.Guest{Name: name, Role: role})
	}
	return out, nil
}

// secured returns how TLS is spoken; nil without a certificate.
func (f *roomFlags) secured() (*tls.Config, error) {
	if f.certificate == "" && f.key == "" {
		return nil, nil
	}
	if f.certificate == "" || f.key == "" {
		return nil, usage("--certificate and --key belong together; give both")
	}
	pair, err := tls.LoadX509KeyPair(f.certificate, f.key)
	if err != nil {
		return nil, usage("reading the certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}, nil
}

// reached returns what goes before a path in addresses for people, and the name in it.
func (f *roomFlags) reached(l net.Addr, secure bool) (prefix, host string, err error) {
	if at, ok := l.(*net.TCPAddr); ok && f.address == "" && at.IP.IsUnspecified() {
		return "", "", usage("--listen %s is every address of this machine: say with --address by which one people reach it", f.listen)
	}
	if f.address == "" {
		scheme := map[bool]string{true: "https", false: "http"}[secure]
		return scheme + "://" + l.String(), "", nil
	}
	u, err := url.Parse(f.address)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/")+u.RawQuery+u.Fragment != "" || u.User != nil {
		return "", "", usage("--address %q is not an address without a path, such as https://room.example.com", f.address)
	}
	return u.Scheme + "://" + u.Host, strings.ToLower(u.Hostname()), nil
}

func (a *app) room(f *roomFlags, args []string) error {
	guests, err := f.guests()
	if err != nil {
		return err
	}
	secured, err := f.secured()
	if err != nil {
		return err
	}
	proxy, err := f.proxy()
	if err != nil {
		return err
	}
	dir, err := f.dir(args)
	if err != nil {
		return err
	}
	l, err := web.Listen(f.listen, secured, f.plain)
	if err != nil {
		return usage("%w", err)
	}
	defer l.Close()
	prefix, host, err := f.reached(l.Addr(), secured != nil)
	if err != nil {
		return err
	}
	log, err := roomLog(f.audit)
	if err != nil {
		return err
	}
	defer log.Close()
	run := filepath.Base(dir)
	r := web.New(web.Config{Run: run, Dir: dir, Asker: runAsker(dir), Door: door.New(), Proxy: proxy, Hosts: hostsOf(host, f.listen), Secure: strings.HasPrefix(prefix, "https:"),
		Address: func(path string) string { return prefix + path }, Audit: func(line audit.Line) error { return log.Write(line) },
		Say: func(text string) { a.say("%s", text) }})
	for _, g := range guests {
		link, err := r.Invite(g.Name, g.Role)
		if err != nil {
			return usage("%w", err)
		}
		fmt.Fprintf(a.out, "%-11s %-12s %s\n", g.Role, g.Name, link)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if f.attends {
		attend(os.Stdin, stop)
		a.say("%s", roomHint(run))
	} else {
		a.say("the room of %s is open at %s/ until Ctrl-C; each link lets one person in, once", run, prefix)
	}
	return r.Serve(ctx, l)
}

// hostsOf returns the names by which a room may be asked for beside those of loopback.
func hostsOf(host, listen string) []string {
	var out []string
	if host != "" {
		out = append(out, host)
	}
	if at, _, err := net.SplitHostPort(listen); err == nil && at != "" {
		out = append(out, strings.ToLower(at))
	}
	return out
}

// dir returns the folder of the run that is meant.
func (f *roomFlags) dir(args []string) (string, error) {
	if len(args) == 0 {
		dir, err := newest(func(dir string) bool {
			_, err := conductor.Ask(context.Background(), dir, conductor.Request{Do: "status"})
			return err == nil
		})
		if err != nil {
			return "", usage("no run is in progress in %q; name its record's folder", runsDir)
		}
		return filepath.Abs(dir)
	}
	if _, err := os.Stat(filepath.Join(args[0], report.PlanFile)); err != nil && !f.attends {
		return "", usage("%s has no %s, so it is not the record of a run; give the folder that `gameday run` printed", args[0], report.PlanFile)
	}
	return filepath.Abs(args[0])
}

// roomLog opens the audit log, in a file or in the usual one.
func roomLog(file string) (*audit.Log, error) {
	if file == "" {
		dir, err := faults.DefaultLedgerDir()
		if err != nil {
			return nil, usage("%w", err)
		}
		file = audit.DefaultFile(dir)
	}
	log, err := audit.Open(file)
	if err != nil {
		return nil, usage("%w", err)
	}
	return log, nil
}

// runAsker asks the run whose record is in a folder, by its control socket.
type runAsker string

// Ask puts a request to the run. Marks go into the record also when the run is over.
func (dir runAsker) Ask(ctx context.Context, r room.Request) (string, error) {
	req := conductor.Request{Do: r.Do, By: r.By, Name: r.Name, Text: r.Text, Why: r.Why, Fault: r.Fault, Act: r.Act, File: r.File}
	text, err := conductor.Ask(ctx, string(dir), req)
	var broken net.Error
	switch {
	case errors.Is(err, conductor.ErrNoRun) && r.Do == "mark": // much is known only afterwards
		return conductor.MarkAfter(ctx, string(dir), report.Mark{Name: r.Name, By: r.By, Text: r.Text, File: r.File})
	case errors.Is(err, conductor.ErrNoRun):
		return "", room.ErrOver
	case errors.As(err, &broken), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "", fmt.Errorf("%w: %w", room.ErrUnanswered, err)
	}
	return text, err
}
