package network

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"gameday/faults"
)

// know puts names into the process's book for one test, and makes all others unknown.
func know(t *testing.T, names map[string][]netip.Addr) (asked *[]string) {
	t.Helper()
	asked = new([]string)
	look, known := hostNames.look, hostNames.known
	t.Cleanup(func() { hostNames.look, hostNames.known = look, known })
	hostNames.known = nil
	hostNames.look = func(_ context.Context, _, name string) ([]netip.Addr, error) {
		*asked = append(*asked, name)
		list, ok := names[name]
		if !ok {
			return nil, errors.New("no such host")
		}
		return list, nil
	}
	return asked
}

// TestHostNames puts names into to: they are looked up once, and what was found is what is hit, shown and judged.
func TestHostNames(t *testing.T) {
	names := map[string][]netip.Addr{
		"db.example.com": addrs("198.18.0.9", "::ffff:198.18.0.4", "fd00::4", "198.18.0.9"),
		"empty.example":  addrs("fe80::1%eth0", "0.0.0.0"),
	}
	asked := know(t, names)
	p := Partition{To: []string{"DB.example.com.", "10.0.0.0/8"}}
	place := faults.Place{Name: "shop", Network: &faults.Namespace{Inode: 1}}
	want := []addrRange{}
	for _, text := range []string{"10.0.0.0/8", "198.18.0.4/32", "198.18.0.9/32", "fd00::4/128"} {
		b := netip.MustParsePrefix(text)
		want = append(want, addrRange{b.Addr(), lastOf(b)})
	}
	for range 2 {
		s, err := p.selector().bind(place)
		if err != nil || !slices.Equal(s.ranges, want) {
			t.Errorf("bound to %v, %v; want %v", s.ranges, err, want)
		}
		if got := strings.Join(s.hosts, "; "); got != "DB.example.com. (198.18.0.4 198.18.0.9 fd00::4)" {
			t.Errorf("hosts %q", got)
		}
		names["db.example.com"] = addrs("203.0.113.1") // the name server has changed its mind
	}
	if got, want := p.Preview(place), "DB.example.com. (198.18.0.4 198.18.0.9 fd00::4), 10.0.0.0/8, drop both ways"; got != want {
		t.Errorf("preview %q, want %q", got, want)
	}
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	touched, err := faults.TouchedBy(PartitionKind(), raw, place)
	if err != nil || !slices.Contains(touched.Networks, netip.MustParsePrefix("198.18.0.9/32")) || len(touched.Networks) != 4 {
		t.Errorf("a policy is asked about %v, %v", touched.Networks, err)
	}
	if len(*asked) != 1 {
		t.Errorf("looked up %v", *asked)
	}
	for name, says := range map[string]string{"nobody.example": "no such host", "empty.example": "no address that can be hit"} {
		r := Rate{To: []string{"10.0.0.1", name}}
		var field *faults.FieldError
		if _, err := r.Bind(place); !errors.As(err, &field) || field.Field != "to" || !strings.Contains(err.Error(), says) ||
			!strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if got := r.Preview(place); !strings.HasPrefix(got, name+" (no address known here), 10.0.0.1, ") {
			t.Errorf("preview %q", got)
		}
		if _, err := r.Touches(place); err == nil {
			t.Errorf("a policy is asked about a part of it only")
		}
	}
	names["nobody.example"] = addrs("203.0.113.1")
	if _, err := (&Rate{To: []string{"nobody.example"}}).selector().bind(place); err != nil {
		t.Errorf("what was not found is not asked for again: %v", err)
	}
}

// TestHostOfItsOwn refuses a name of the place's own, as it does its address.
func TestHostOfItsOwn(t *testing.T) {
	know(t, map[string][]netip.Addr{"shop": addrs("198.18.0.1")})
	place := faults.Place{Name: "shop", Network: &faults.Namespace{Inode: 1}, Addresses: addrs("198.18.0.1")}
	if _, err := (&Partition{To: []string{"shop"}}).Bind(place); err == nil || !strings.Contains(err.Error(), "its own address") {
		t.Errorf("%v", err)
	}
}

// TestLookUp looks up beforehand what Touches and Bind will ask for, and keeps nobody waiting who asks for what is known.
func TestLookUp(t *testing.T) {
	know(t, map[string][]netip.Addr{"db.example.com": addrs("198.18.0.9"), "slow.example": addrs("198.18.0.10")})
	if look := (&Delay{To: []string{"10.0.0.0/8", "198.18.0.4"}}).LookUp(); look != nil {
		t.Error("addresses are to be looked up")
	}
	p := Partition{To: []string{"10.0.0.0/8", "DB.example.com."}}
	look := p.LookUp()
	if look == nil {
		t.Fatal("there is nothing to look up")
	}
	if err := look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.LookUp() != nil {
		t.Error("what is known is looked up again")
	}
	if err := (&Loss{To: []string{"nobody.example"}}).LookUp()(t.Context()); err == nil || !strings.Contains(err.Error(), "nobody.example") {
		t.Errorf("an unknown name: %v", err)
	}

	answers, asked := make(chan struct{}), make(chan struct{})
	plain := hostNames.look
	hostNames.look = func(ctx context.Context, network, name string) ([]netip.Addr, error) {
		close(asked)
		<-answers
		return plain(ctx, network, name)
	}
	done := make(chan error)
	go func() { done <- (&Rate{To: []string{"slow.example"}}).LookUp()(t.Context()) }()
	<-asked
	if _, err := p.Touches(faults.Place{}); err != nil {
		t.Error(err)
	}
	close(answers)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
