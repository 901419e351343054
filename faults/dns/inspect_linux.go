package dns

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"

	"gameday/faults"
)

// standing reports whether every element is still in its map. The kernel leaves lapsed ones out of its answer.
func standing(c *nftables.Conn, u undo, list []redirection) (bool, error) {
	if found, err := findTable(c, u.Table); err != nil || !found {
		return false, err
	}
	table := &nftables.Table{Name: u.Table, Family: nftables.TableFamilyINet}
	for _, f := range families {
		ask, tell := directories(table, f, list, u.Mark, 0)
		for _, d := range []directory{ask, tell} {
			if len(d.elements) == 0 {
				continue
			}
			live, err := c.GetSetElements(d.Set)
			if errors.Is(err, unix.ENOENT) {
				return false, nil
			}
			if err != nil {
				return false, fmt.Errorf("reading map %s: %w", d.Name, err)
			}
			if len(live) < len(d.elements) {
				return false, nil
			}
		}
	}
	return true, nil
}

// packets sums the counters of the rules that lead queries to the forwarder.
func packets(c *nftables.Conn, u undo) (uint64, error) {
	table := &nftables.Table{Name: u.Table, Family: nftables.TableFamilyINet}
	rules, err := c.GetRules(table, &nftables.Chain{Name: askChain, Table: table})
	if err != nil {
		return 0, fmt.Errorf("reading chain %s: %w", askChain, err)
	}
	var sum uint64
	for _, r := range rules {
		for _, x := range r.Exprs {
			if n, ok := x.(*expr.Counter); ok {
				sum += n.Packets
			}
		}
	}
	return sum, nil
}

func findTable(c *nftables.Conn, name string) (bool, error) {
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, fmt.Errorf("listing tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == name {
			return true, nil
		}
	}
	return false, nil
}

// checkAlone refuses another outage in the namespace: each forwarder would hand its queries to the other, for ever. One
// that has lapsed is in nobody's way.
func checkAlone(c *nftables.Conn, own string) error {
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return fmt.Errorf("listing tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == own || !strings.HasPrefix(t.Name, tablePrefix) {
			continue
		}
		stands, err := leads(c, t)
		if err != nil && !errors.Is(err, unix.ENOENT) { // else it went while it was looked at
			return fmt.Errorf("reading table inet %s: %w", t.Name, err)
		}
		if stands {
			return fmt.Errorf("%w: another dns_outage stands here, as table inet %s; put them one after the other, "+
				"or into one fault", faults.ErrForeign, t.Name)
		}
	}
	return nil
}

// leads reports whether a table's maps have elements.
func leads(c *nftables.Conn, t *nftables.Table) (bool, error) {
	sets, err := c.GetSets(t)
	if err != nil {
		return false, err
	}
	for _, s := range sets {
		if live, err := c.GetSetElements(s); err != nil || len(live) > 0 {
			return err == nil, err
		}
	}
	return false, nil
}

// checkMark refuses a table of our name that our run did not make. Every rule of ours carries the mark as its
// comment.
func checkMark(c *nftables.Conn, u undo) error {
	table := &nftables.Table{Name: u.Table, Family: nftables.TableFamilyINet}
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return fmt.Errorf("reading table inet %s: %w", u.Table, err)
	}
	marked := false
	for _, chain := range chains {
		if chain.Table.Name != u.Table {
			continue
		}
		rules, err := c.GetRules(table, chain)
		if err != nil {
			return fmt.Errorf("reading table inet %s: %w", u.Table, err)
		}
		for _, r := range rules {
			if comment, _ := userdata.GetString(r.UserData, userdata.TypeComment); comment != u.Mark {
				return unmarked(u)
			}
			marked = true
		}
	}
	if !marked {
		return unmarked(u)
	}
	return nil
}

func unmarked(u undo) error {
	return fmt.Errorf("%w: table inet %s does not carry the mark %q; look at it with `nft list table inet %s`",
		faults.ErrForeign, u.Table, u.Mark, u.Table)
}

func foreign(table string) error {
	return fmt.Errorf("%w: there is a table inet %s already; if no run is under way, "+
		"`gameday revert` removes what is ours", faults.ErrForeign, table)
}
