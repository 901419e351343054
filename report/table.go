package report

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// Column is one column of a table for the terminal.
type Column struct {
	Head  string
	Right bool // aligned to the right
	Width int  // with the blanks beside it, beyond which cells are wrapped; 0 for as wide as the widest
}

// Table draws a table without lines. Widths are as given, and East Asian ambiguity is off, so that no locale can change
// it. Without rows nothing is drawn.
func Table(b *strings.Builder, columns []Column, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	var heads []any
	var aligns []tw.Align
	widths := tw.NewMapper[int, int]()
	for i, c := range columns {
		heads = append(heads, c.Head)
		align := tw.AlignLeft
		if c.Right {
			align = tw.AlignRight
		}
		aligns = append(aligns, align)
		if c.Width > 0 {
			widths.Set(i, c.Width)
		}
	}
	var raw strings.Builder
	t := tablewriter.NewTable(&raw,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{Borders: tw.BorderNone,
			Settings: tw.Settings{Separators: tw.SeparatorsNone, Lines: tw.LinesNone}})),
		tablewriter.WithEastAsian(tw.Off), tablewriter.WithTrimSpace(tw.Off),
		tablewriter.WithConfig(tablewriter.Config{
			Header: tw.CellConfig{Alignment: tw.CellAlignment{PerColumn: aligns},
				Formatting: tw.CellFormatting{AutoFormat: tw.Off}},
			Row: tw.CellConfig{Alignment: tw.CellAlignment{PerColumn: aligns},
				Formatting: tw.CellFormatting{AutoWrap: tw.WrapNormal}},
			Widths: tw.CellWidth{PerColumn: widths},
		}))
	t.Header(heads...)
	for _, r := range rows {
		r = slices.Clone(r)
		for i, c := range columns {
			if c.Width > 0 && i < len(r) {
				r[i] = fit(r[i], c.Width-2)
			}
		}
		if err := t.Append(r); err != nil {
			return err
		}
	}
	if err := t.Render(); err != nil {
		return err
	}
	for line := range strings.Lines(raw.String()) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return nil
}

// fit breaks the lines of a cell so that none is wider than the column. Further lines begin where the first does; a word
// that is wider than a line is broken too, for the table would cut it off.
func fit(cell string, width int) string {
	var out []string
	for line := range strings.SplitSeq(cell, "\n") {
		if utf8.RuneCountInString(line) <= width {
			out = append(out, line)
			continue
		}
		words := strings.TrimLeft(line, " ")
		indent := line[:len(line)-len(words)]
		room := max(1, width-len(indent))
		now := ""
		flush := func() {
			if now != "" {
				out = append(out, indent+now)
			}
			now = ""
		}
		for _, word := range strings.Fields(words) {
			if now != "" && utf8.RuneCountInString(now)+1+utf8.RuneCountInString(word) > room {
				flush()
			}
			for r := []rune(word); len(r) > room; r = []rune(word) {
				flush()
				now, word = string(r[:room]), string(r[room:])
			}
			switch {
			case utf8.RuneCountInString(now) == room:
				flush()
				now = word
			case now == "":
				now = word
			default:
				now += " " + word
			}
		}
		flush()
	}
	return strings.Join(out, "\n")
}
