package dns

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"gameday/faults"
)

// standing reports whether every element is still in its map. The kernel leaves lapsed ones out of its answer.
func standing(c *nftables.Conn, u undo, list []redirection) (bool, error) {
	if found, err := u.Stands(c); err != nil || !found {
		return false, err
	}
	table := u.NFT()
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
