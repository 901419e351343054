package conductor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"gameday/report"
)

// mostWords bounds the name and the reason of an override.
const mostWords = 1000

// Override appends to the record in dir what somebody decided about an item, in place of what the record shows, and returns the item
// as it was judged before. The item is named as for `gameday explain`. Nothing that is in the record is changed, and no run that is
// still going on can be decided about. An error means that the record is as it was.
func Override(dir string, o report.Override) (*report.Item, error) {
	o.By, o.Reason = strings.TrimSpace(o.By), strings.TrimSpace(o.Reason)
	switch {
	case o.By == "":
		return nil, errors.New("an override carries the name of who decided it: give one")
	case o.Reason == "":
		return nil, errors.New("an override carries its reason: give one")
	case utf8.RuneCountInString(o.By) > mostWords || utf8.RuneCountInString(o.Reason) > mostWords:
		return nil, fmt.Errorf("the name and the reason of an override have at most %d characters", mostWords)
	}
	f, err := openRecord(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := lockRecord(context.Background(), f); err != nil {
		return nil, fmt.Errorf("locking the record: %w: its run is still writing it, or somebody else is adding to it", err)
	}
	rec, err := report.Read(dir)
	if err != nil {
		return nil, err
	}
	if rec.Plan.Search != nil {
		return nil, errors.New("the record is that of a search for the capacity, of which nothing is scored")
	}
	card := report.Score(rec)
	it, err := card.Find(o.Item)
	if err != nil {
		if q := strings.ToLower(strings.TrimSpace(o.Item)); q == "safety" || q == "residue" {
			return nil, errors.New("the safety gate cannot be overridden: what was injected is proven to be gone, or it is not. " +
				"`gameday revert` takes away what still stands")
		}
		return nil, err
	}
	if o.Withdrawn && it.Override == nil {
		return nil, fmt.Errorf("%s is not overridden: there is nothing to withdraw", it.ID)
	}
	o.Item = it.ID
	return it, extend(f, rec, []answer{{report.Overrode, o}}, func(s string) string { return s })
}
