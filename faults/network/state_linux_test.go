package network_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
)

func (n *node) nft(t *testing.T) *nftables.Conn {
	t.Helper()
	c, err := nftables.New(nftables.WithNetNSFd(int(n.ns)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ruleset is the node's whole nftables state, as text. Counters and times left are not state.
func (n *node) ruleset(t *testing.T) string {
	t.Helper()
	c := n.nft(t)
	tables, err := c.ListTables()
	if err != nil {
		t.Fatal(err)
	}
	chains, err := c.ListChains()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, table := range tables {
		lines = append(lines, fmt.Sprintf("table %d %s", table.Family, table.Name))
		sets, err := c.GetSets(table)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sets {
			elements, err := c.GetSetElements(s)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range elements {
				lines = append(lines, fmt.Sprintf("table %s set %s element %x end %v", table.Name, s.Name, e.Key, e.IntervalEnd))
			}
			lines = append(lines, fmt.Sprintf("table %s set %s", table.Name, s.Name))
		}
		for _, ch := range chains {
			if ch.Table.Name != table.Name || ch.Table.Family != table.Family {
				continue
			}
			rules, err := c.GetRules(table, ch)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range rules {
				var words []string
				for _, x := range r.Exprs {
					if _, counts := x.(*expr.Counter); counts {
						words = append(words, "counter")
						continue
					}
					words = append(words, fmt.Sprintf("%T%+v", x, x))
				}
				lines = append(lines, fmt.Sprintf("table %s chain %s rule %d %s", table.Name, ch.Name, i, strings.Join(words, " ")))
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// addForeignTable puts a table of somebody else into the node, with a rule and a set.
func (n *node) addForeignTable(t *testing.T, name string) {
	t.Helper()
	c := n.nft(t)
	table := c.AddTable(&nftables.Table{Name: name, Family: nftables.TableFamilyINet})
	set := &nftables.Set{Table: table, Name: "friends", KeyType: nftables.TypeIPAddr, KeyByteOrder: binaryutil.BigEndian}
	if err := c.AddSet(set, []nftables.SetElement{{Key: []byte{203, 0, 113, 9}}}); err != nil {
		t.Fatal(err)
	}
	chain := c.AddChain(&nftables.Chain{Name: "input", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
		&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictAccept}}})
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
}
