package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gameday/clock"
)

// Find returns the item that a user means: by its id or title, the begin of the id, its last parts ("latency" is
// "steady_state.latency"), the end of the id or the begin of the title, a part of either, or the id's letters in order.
// The first of these ways that leads to one item decides. A query that fits none or several is an error that lists the
// ids.
func (c *Scorecard) Find(query string) (*Item, error) {
	q := strings.ToLower(strings.TrimSpace(query))
	tests := []func(*Item) bool{
		func(i *Item) bool { return strings.ToLower(i.ID) == q || strings.ToLower(i.Title) == q },
		func(i *Item) bool { return strings.HasPrefix(strings.ToLower(i.ID), q) },
		func(i *Item) bool { return strings.HasSuffix(strings.ToLower(i.ID), "."+q) },
		func(i *Item) bool {
			return strings.HasSuffix(strings.ToLower(i.ID), q) || strings.HasPrefix(strings.ToLower(i.Title), q)
		},
		func(i *Item) bool {
			return strings.Contains(strings.ToLower(i.ID), q) || strings.Contains(strings.ToLower(i.Title), q)
		},
		func(i *Item) bool { return subsequence(q, strings.ToLower(i.ID)) },
	}
	items := c.Items()
	var several []*Item // of the first way that led to more than one
	for _, test := range tests {
		if q == "" {
			break
		}
		var fits []*Item
		for _, it := range items {
			if test(it) {
				fits = append(fits, it)
			}
		}
		if len(fits) == 1 {
			return fits[0], nil
		}
		if len(fits) > 1 && several == nil {
			several = fits
		}
	}
	if several != nil {
		return nil, fmt.Errorf("%q fits several items; give more of one of these ids:\n%s", query, idList(several))
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("there is no item %q: the plan promises nothing that is judged", query)
	}
	return nil, fmt.Errorf("there is no item %q; the items are:\n%s", query, idList(items))
}

func idList(items []*Item) string {
	ids := make([]string, len(items))
	for i, it := range items {
		ids[i] = "  " + PlainText(it.ID)
	}
	return strings.Join(ids, "\n")
}

// subsequence reports whether all of q's letters occur in s in their order.
func subsequence(q, s string) bool {
	for _, r := range q {
		i := strings.IndexRune(s, r)
		if i < 0 {
			return false
		}
		s = s[i+utf8.RuneLen(r):]
	}
	return true
}

// Explain writes all there is to know about one item, found as by Find.
func Explain(w io.Writer, c *Scorecard, query string, o TextOptions) error {
	it, err := c.Find(query)
	if err != nil {
		return err
	}
	var b strings.Builder
	p := paint(o.Color)
	right := it.Outcome.String() + ", " + earned(it)
	if note := noteWords(it); note != "" {
		right += ", " + note
	}
	title := PlainText(it.Title)
	gap := max(3, textWidth-1-utf8.RuneCountInString(title)-utf8.RuneCountInString(right))
	code := map[clock.Outcome]string{clock.Met: "32", clock.Missed: "31", clock.Unknown: "33"}[it.Outcome]
	fmt.Fprintf(&b, " %s%s%s\n\n", title, strings.Repeat(" ", gap), p.color(code, right))
	field(&b, "Expected", it.Expected)
	field(&b, "Measured", it.Measured+"   limit "+it.Limit)
	field(&b, "Why", it.Why)
	head := "Saw"
	for _, e := range it.Evidence {
		field(&b, head, e.Source+": "+e.Text)
		head = ""
	}
	field(&b, "Raw", rawLines(it))
	field(&b, "Hint", it.Hint)
	field(&b, "Id", it.ID)
	_, err = io.WriteString(w, b.String())
	return err
}

func earned(i *Item) string {
	switch {
	case i.Points == 0:
		return "no points"
	case i.Outcome == clock.Unknown:
		return "? of " + nearTenth(i.Points)
	case i.Value == 1:
		return nearTenth(i.Points) + " of " + nearTenth(i.Points)
	}
	return tenth(i.Points*i.Value) + " of " + nearTenth(i.Points)
}

func field(b *strings.Builder, name, text string) {
	if text == "" {
		return
	}
	Paragraph(b, fmt.Sprintf(" %-10s ", name), text)
}

// rawLines names the lines of the record that an item's evidence comes from.
func rawLines(it *Item) string {
	var lines []int
	for _, e := range it.Evidence {
		lines = append(lines, e.Lines...)
	}
	if len(lines) == 0 {
		return ""
	}
	slices.Sort(lines)
	lines = slices.Compact(lines)
	const most = 12
	words := make([]string, 0, most)
	for i, n := range lines {
		if i == most {
			words = append(words, fmt.Sprintf("and %d more", len(lines)-most))
			break
		}
		words = append(words, strconv.Itoa(n))
	}
	return EventsFile + ":" + strings.Join(words, ", ")
}
