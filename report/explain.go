package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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

// Explain writes all there is to know about one item, found as by Find; with an empty query, about every item.
func Explain(w io.Writer, c *Scorecard, query string, o TextOptions) error {
	items := c.Items()
	if query != "" {
		it, err := c.Find(query)
		if err != nil {
			return err
		}
		items = []*Item{it}
	}
	if len(items) == 0 {
		return errors.New("the plan promises nothing that is judged")
	}
	var b strings.Builder
	for i, it := range items {
		if i > 0 {
			b.WriteByte('\n')
		}
		c.explain(&b, it, o)
		if o.Raw {
			if err := raw(&b, c.rec.Dir, it); err != nil {
				return err
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// todo says what to do about an item that is not met: its hint, or what helps against its sort of reason. Hints that are about one
// item alone are in the scorecard; these would only repeat each other there.
func (c *Scorecard) todo(it *Item) string {
	short := slices.ContainsFunc(c.untested, func(u shortfall) bool { return it.cause != "" && strings.HasPrefix(u.brief, it.cause+" ") })
	blurred := it.Latency != nil && it.Within > 0 && it.Latency.Within(it.Within) == clock.Unknown
	switch {
	case it.Hint != "" || it.Outcome == clock.Met:
		return it.Hint
	case short:
		return "Find out why " + it.cause + " did not stand as planned, then repeat the run."
	case it.Outcome == clock.Missed && it.Part == Response:
		return "See the items on the alarm first: nobody answers a page that does not come."
	case it.Outcome == clock.Missed:
		return "Mend what the reason names, then repeat the run."
	case blurred || strings.Contains(it.Why, "too close to"):
		return "Have its source looked at more often and its clock compared more closely, or set a limit that is not so near to what it takes."
	case strings.Contains(it.Why, "watched for only") || strings.Contains(it.Why, "the record has nothing from"):
		return "Mend the way to the source, then run `gameday finalize`: one with a history may tell what was not seen. Otherwise repeat the run."
	case it.Class == ClassPreexisting || it.Class == ClassPrimed || strings.Contains(it.Why, "open from before"):
		return "Have it quiet, and its pages closed, before the run: what is there already cannot come."
	}
	return "Mend what the reason names, then repeat the run."
}

// explain writes about one item.
func (c *Scorecard) explain(b *strings.Builder, it *Item, o TextOptions) {
	p := paint(o.Color)
	right := it.Outcome.String() + ", " + earned(it)
	if note := noteWords(it); note != "" {
		right += ", " + note
	}
	title := PlainText(it.Title)
	gap := max(3, textWidth-1-utf8.RuneCountInString(title)-utf8.RuneCountInString(right))
	code := map[clock.Outcome]string{clock.Met: "32", clock.Missed: "31", clock.Unknown: "33"}[it.Outcome]
	fmt.Fprintf(b, " %s%s%s\n\n", title, strings.Repeat(" ", gap), p.color(code, right))
	field(b, "Expected", it.Expected)
	field(b, "Measured", measuredOf(it))
	if o := it.Override; o == nil {
		field(b, "Why", it.Why)
	} else {
		field(b, "Override", fmt.Sprintf("%s by %s: %s", it.Outcome, o.By, o.Reason))
		field(b, "Gameday", o.words())
	}
	if it.Attribution != nil {
		field(b, "Cause", it.Attribution.Words())
	}
	head := "Saw"
	if len(it.Evidence) == 0 {
		field(b, head, "nothing in the record is about it")
	}
	for _, e := range it.Evidence {
		text := e.Source + ": " + e.Text
		if e.Grade != "" && !strings.HasSuffix(text, "grade "+e.Grade) {
			text += ", grade " + e.Grade
		}
		field(b, head, text)
		head = ""
	}
	field(b, "Raw", rawLines(it))
	if it.Override == nil { // it is for what gameday made of it
		field(b, "Hint", c.todo(it))
	}
	field(b, "Id", it.ID)
}

// measuredOf prints what was measured beside its limit, where there is one.
func measuredOf(it *Item) string {
	if it.Limit == "" || it.Limit == "–" {
		return it.Measured
	}
	return it.Measured + ", limit " + it.Limit
}

// mostRaw bounds how many lines of the record are printed of one item, and rawWidth how much of each.
const mostRaw, rawWidth = 12, 2000

// raw writes the lines of the record that an item's evidence comes from, as they are there.
func raw(b *strings.Builder, dir string, it *Item) error {
	lines := it.lines()
	if len(lines) == 0 {
		return nil
	}
	f, err := os.Open(filepath.Join(dir, EventsFile))
	if err != nil {
		return fmt.Errorf("opening the record: %w", err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<18)
	for n, shown := 1, 0; len(lines) > 0 && shown < mostRaw; n++ {
		line, err := in.ReadString('\n')
		if n == lines[0] {
			text := []rune(PlainText(strings.TrimSuffix(line, "\n")))
			if len(text) > rawWidth {
				text = append(text[:rawWidth], '…')
			}
			fmt.Fprintf(b, " %s:%d  %s\n", EventsFile, n, string(text))
			lines, shown = lines[1:], shown+1
		}
		if err != nil {
			break
		}
	}
	return nil
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

// lines returns the lines of the record that an item's evidence comes from, in order.
func (i *Item) lines() []int {
	var lines []int
	for _, e := range i.Evidence {
		lines = append(lines, e.Lines...)
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// rawLines names the lines of the record that an item's evidence comes from.
func rawLines(it *Item) string {
	lines := it.lines()
	if len(lines) == 0 {
		return ""
	}
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
