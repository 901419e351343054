package netns

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"

	"gameday/faults"
)

// NFT returns the table, of family inet, for requests about it.
func (u Undo) NFT() *nftables.Table {
	return &nftables.Table{Name: u.Table, Family: nftables.TableFamilyINet}
}

// Comment is what each rule of the table carries.
func (u Undo) Comment() []byte { return userdata.AppendString(nil, userdata.TypeComment, u.Mark) }

// Stands reports whether there is a table of that name.
func (u Undo) Stands(c *nftables.Conn) (bool, error) {
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return false, fmt.Errorf("listing tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == u.Table {
			return true, nil
		}
	}
	return false, nil
}

// Refuse returns an ErrForeign that says that somebody's table of that name is in the way, if there is one.
func (u Undo) Refuse(c *nftables.Conn) error {
	stands, err := u.Stands(c)
	if err == nil && stands {
		err = u.InTheWay()
	}
	return err
}

// InTheWay is an ErrForeign that says that there is a table of that name already.
func (u Undo) InTheWay() error {
	return fmt.Errorf("%w: there is a table inet %s already; if no run is under way, `gameday revert` removes what is ours",
		faults.ErrForeign, u.Table)
}

// Packets sums the counters of a chain's rules.
func (u Undo) Packets(c *nftables.Conn, chain string) (uint64, error) {
	rules, err := c.GetRules(u.NFT(), &nftables.Chain{Name: chain, Table: u.NFT()})
	if err != nil {
		return 0, fmt.Errorf("reading chain %s: %w", chain, err)
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

// Remove removes the table from a place's network, if it is there and ours, and makes sure that it is gone. One that does not carry the mark is
// left alone, and is an ErrForeign. With its namespace the table is gone too: that is ErrGone.
func (u Undo) Remove(ctx context.Context, p faults.Place) error {
	return NFT(ctx, Wide(p), func(c *nftables.Conn, _ *os.File) error {
		stands, err := u.Stands(c)
		if err != nil || !stands {
			return err
		}
		if err := u.checkMark(c); err != nil {
			return err
		}
		c.DelTable(u.NFT())
		if err := c.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("deleting table inet %s: %w", u.Table, err)
		}
		if stands, err = u.Stands(c); err == nil && stands {
			err = fmt.Errorf("table inet %s is still there after it was deleted", u.Table)
		}
		return err
	})
}

// checkMark refuses a table of our name that our run did not make. Every rule of ours carries the mark as its comment.
func (u Undo) checkMark(c *nftables.Conn) error {
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return fmt.Errorf("reading table inet %s: %w", u.Table, err)
	}
	marked := false
	for _, chain := range chains {
		if chain.Table.Name != u.Table {
			continue
		}
		rules, err := c.GetRules(u.NFT(), chain)
		if err != nil {
			return fmt.Errorf("reading table inet %s: %w", u.Table, err)
		}
		for _, r := range rules {
			if comment, _ := userdata.GetString(r.UserData, userdata.TypeComment); comment != u.Mark {
				return u.unmarked()
			}
			marked = true
		}
	}
	if !marked {
		return u.unmarked()
	}
	return nil
}

func (u Undo) unmarked() error {
	return fmt.Errorf("%w: table inet %s does not carry the mark %q; look at it with `nft list table inet %s`",
		faults.ErrForeign, u.Table, u.Mark, u.Table)
}
