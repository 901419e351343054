package dns

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gameday/faults"
)

func TestValidate(t *testing.T) {
	tests := map[string]struct {
		config Outage
		field  string // "" for none
		says   string
	}{
		"defaults": {Outage{}, "", ""},
		"everything": {Outage{[]string{"a.example", "*.b.example."}, nxdomain, "1.5s",
			[]string{"127.0.0.53", "fd00::1"}, true}, "", ""},
		"unknown action":     {Outage{Action: "refuse"}, "action", `Did you mean "refused"?`},
		"delayed silence":    {Outage{Action: drop, Delay: "1s"}, "delay", "no answer to delay"},
		"no duration":        {Outage{Delay: "soon"}, "delay", `"soon" is not a delay`},
		"no delay":           {Outage{Delay: "0s"}, "delay", "longer than 0"},
		"an hour":            {Outage{Delay: "1h"}, "delay", "at most 1m0s"},
		"empty name":         {Outage{Names: []string{""}}, "names", "empty part"},
		"star in the middle": {Outage{Names: []string{"a.*.example"}}, "names", "has a *"},
		"star alone":         {Outage{Names: []string{"*"}}, "names", "has a *"},
		"international":      {Outage{Names: []string{"bücher.example"}}, "names", "xn--"},
		"long part":          {Outage{Names: []string{strings.Repeat("a", 64) + ".example"}}, "names", "at most 63"},
		"long name":          {Outage{Names: []string{strings.Repeat("abcdefg.", 32)}}, "names", "longer than a name"},
		"too many names":     {Outage{Names: make([]string, maxNames+1)}, "names", "1001"},
		"name as resolver":   {Outage{Resolvers: []string{"dns.example"}}, "resolvers", "is not the IP address"},
		"link-local":         {Outage{Resolvers: []string{"fe80::1%eth0"}}, "resolvers", "link-local"},
		"unspecified":        {Outage{Resolvers: []string{"0.0.0.0"}}, "resolvers", "is not the IP address"},
		"too many resolvers": {Outage{Resolvers: make([]string, maxResolvers+1)}, "resolvers", "17"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := tt.config.Validate()
			var field *faults.FieldError
			if tt.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.As(err, &field) || field.Field != tt.field || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v; want one about %s that says %q", err, tt.field, tt.says)
			}
		})
	}
}

func TestPreview(t *testing.T) {
	for want, o := range map[string]Outage{
		"all names at the resolvers of resolv.conf: dropped": {},
		"a.example at 127.0.0.53: answered 3s late": {
			Names: []string{"a.example"}, Delay: "3s", Resolvers: []string{"127.0.0.53"},
		},
		"a, b, c and 2 more at 10.0.0.1, fd00::1: answered SERVFAIL, 1s late": {
			[]string{"a", "b", "c", "d", "e"}, servfail, "1s", []string{"10.0.0.1", "fd00::1"}, false,
		},
	} {
		if got := o.Preview(faults.Place{}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestResolvConf(t *testing.T) {
	addrs := func(list ...string) (out []netip.Addr) {
		for _, s := range list {
			out = append(out, netip.MustParseAddr(s))
		}
		return out
	}
	tests := map[string]struct {
		text string
		want []netip.Addr
		odd  []string
	}{
		"usual": {"# made by hand\nsearch example.com\nnameserver 198.18.0.2\nnameserver\tfd00::2 # two\n options edns0",
			addrs("198.18.0.2", "fd00::2"), nil},
		"twice": {"nameserver 10.0.0.1\nnameserver 10.0.0.1\nnameserver ::ffff:10.0.0.1", addrs("10.0.0.1"), nil},
		"none":  {"search example.com\n", addrs("127.0.0.1", "::1"), nil},
		"empty": {"", addrs("127.0.0.1", "::1"), nil},
		"any":   {"nameserver 0.0.0.0", addrs("127.0.0.1"), nil},
		"odd": {"nameserver fe80::1%eth0\nnameserver x\nnameserver\n;nameserver 10.0.0.1",
			nil, []string{"fe80::1%eth0", "x"}},
		"endless": {strings.Repeat("nameserver 10.0.0.1\n", 999), addrs("10.0.0.1"), nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, odd := readResolvConf(tt.text)
			if d := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tt.odd, odd); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestPageSaysWhatIs keeps the page and the parameters together.
func TestPageSaysWhatIs(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "faults", "dns_outage.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"`names`", "`action`", "`delay`", "`resolvers`", "`allow_self_cut`", "0x67640035", tablePrefix} {
		if !strings.Contains(string(page), word) {
			t.Errorf("the page does not say %s", word)
		}
	}
}
