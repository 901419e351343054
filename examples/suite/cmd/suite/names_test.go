package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// here answers for every host.
func here(_ context.Context, host string) (netip.Addr, error) {
	if host == "unknown" {
		return netip.Addr{}, errors.New("no such host")
	}
	return netip.MustParseAddr("198.18.0.7"), nil
}

// question returns a query as a client sends it.
func question(t *testing.T, name string, kind dnsmessage.Type) []byte {
	t.Helper()
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, RecursionDesired: true}, Questions: []dnsmessage.Question{
		{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}}}
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func TestZoneAnswers(t *testing.T) {
	z := zone{"prices.shop.test.": "prices", "lost.shop.test.": "unknown"}
	for _, tt := range []struct {
		name    string
		kind    dnsmessage.Type
		code    dnsmessage.RCode
		answers int
	}{
		{"prices.shop.test.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, 1},
		{"PRICES.Shop.test.", dnsmessage.TypeA, dnsmessage.RCodeSuccess, 1},
		{"prices.shop.test.", dnsmessage.TypeAAAA, dnsmessage.RCodeSuccess, 0},
		{"lost.shop.test.", dnsmessage.TypeA, dnsmessage.RCodeServerFailure, 0},
		{"other.shop.test.", dnsmessage.TypeA, dnsmessage.RCodeNameError, 0},
	} {
		var got dnsmessage.Message
		if err := got.Unpack(z.answer(t.Context(), question(t, tt.name, tt.kind), here)); err != nil {
			t.Fatal(err)
		}
		if got.ID != 7 || !got.Response || got.RCode != tt.code || len(got.Answers) != tt.answers {
			t.Errorf("%s %s: %v with %d answers, want %v with %d", tt.kind, tt.name, got.RCode, len(got.Answers), tt.code, tt.answers)
		}
	}
	for name, bytes := range map[string][]byte{"nothing": nil, "noise": []byte("what?"), "an answer": z.answer(t.Context(), question(t, "prices.shop.test.", dnsmessage.TypeA), here)} {
		if reply := z.answer(t.Context(), bytes, here); reply != nil {
			t.Errorf("%s was answered: %v", name, reply)
		}
	}
}

// The resolver that Go programs use gets along with it.
func TestNamesServeGo(t *testing.T) {
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- zone{"prices.shop.test.": "prices"}.serve(ctx, conn, here) }()
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	found, err := r.LookupNetIP(t.Context(), "ip", "prices.shop.test.")
	if err != nil || len(found) != 1 || found[0].Unmap().String() != "198.18.0.7" {
		t.Errorf("found %v, %v", found, err)
	}
	var no *net.DNSError
	if _, err := r.LookupNetIP(t.Context(), "ip", "other.shop.test."); !errors.As(err, &no) || !no.IsNotFound {
		t.Errorf("a name that is not there: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestZoneNames(t *testing.T) {
	for _, text := range []string{"", "prices.shop.test", "=prices", "prices.shop.example=prices", "prices.shop.test=", strings.Repeat("x", 300) + ".test=x"} {
		if err := (zone{}).add(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	z := zone{}
	if err := z.add("Prices.Shop.test.=prices"); err != nil || z["prices.shop.test."] != "prices" {
		t.Errorf("got %v, %v", z, err)
	}
	if code := run(t.Context(), []string{"names"}, io.Discard, io.Discard); code != 2 {
		t.Errorf("without a name: exit code %d, want 2", code)
	}
}
