package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	namesTTL     = 2        // seconds that an answer may be kept
	longestQuery = 4 << 10  // bytes of a datagram
	zoneSuffix   = ".test." // top-level domain that RFC 2606 reserves for tests
	zoneExample  = "prices.shop.test=prices"
)

// zone is what a name server knows: names, as on the wire and in lower case, with the host that each stands for.
type zone map[string]string

// add takes "prices.shop.test=prices".
func (z zone) add(text string) error {
	name, host, ok := strings.Cut(text, "=")
	name = strings.ToLower(strings.TrimSuffix(name, ".")) + "."
	if !ok || host == "" || !strings.HasSuffix(name, zoneSuffix) {
		return fmt.Errorf("%q is not a name below .test with the host it stands for, such as %q", text, zoneExample)
	}
	if _, err := dnsmessage.NewName(name); err != nil {
		return fmt.Errorf("the name in %q: %w", text, err)
	}
	z[name] = host
	return nil
}

// namesRole serves a zone over UDP until ctx ends: the small resolver that many machines have on themselves. It speaks DNS as of
// RFC 1035, IPv4 addresses only.
func namesRole(ctx context.Context, args []string, log io.Writer) error {
	z := zone{}
	flags := flag.NewFlagSet("names", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:53", "address to answer on")
	flags.Func("name", "a name and the host that it stands for, such as "+zoneExample+"; may be repeated", z.add)
	if err := parse(flags, args, log); err != nil {
		return err
	}
	if len(z) == 0 {
		return &usageError{"it needs a -name at least"}
	}
	conn, err := new(net.ListenConfig).ListenPacket(ctx, "udp", *listen)
	if err != nil {
		return fmt.Errorf("listening: %w; free the address or choose another with -listen", err)
	}
	fmt.Fprintf(log, "answering for %d names on %s\n", len(z), conn.LocalAddr())
	return z.serve(ctx, conn, lookUpHost)
}

// lookUpHost returns a host's first IPv4 address, by the hosts file that all hosts of a lab share.
func lookUpHost(ctx context.Context, host string) (netip.Addr, error) {
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		return netip.Addr{}, err
	}
	return found[0].Unmap(), nil
}

// serve answers on conn until ctx ends, and closes it.
func (z zone) serve(ctx context.Context, conn net.PacketConn, address func(context.Context, string) (netip.Addr, error)) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	buffer := make([]byte, longestQuery)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("serving names: %w", err)
		}
		if reply := z.answer(ctx, buffer[:n], address); reply != nil {
			_, _ = conn.WriteTo(reply, from) // who asked will ask again
		}
	}
}

// answer returns the reply to one query, nil to what is none.
func (z zone) answer(ctx context.Context, query []byte, address func(context.Context, string) (netip.Addr, error)) []byte {
	var p dnsmessage.Parser
	head, err := p.Start(query)
	if err != nil || head.Response {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	reply := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: head.ID, Response: true, Authoritative: true, RecursionDesired: head.RecursionDesired},
		Questions: []dnsmessage.Question{q},
	}
	host, known := z[strings.ToLower(q.Name.String())]
	switch {
	case !known:
		reply.RCode = dnsmessage.RCodeNameError
	case q.Class == dnsmessage.ClassINET && q.Type == dnsmessage.TypeA:
		a, err := address(ctx, host)
		if err != nil || !a.Is4() {
			reply.RCode = dnsmessage.RCodeServerFailure
			break
		}
		reply.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: namesTTL},
			Body:   &dnsmessage.AResource{A: a.As4()},
		}}
	}
	packed, err := reply.Pack()
	if err != nil {
		return nil
	}
	return packed
}
