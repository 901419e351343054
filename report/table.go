package report

import (
	"strings"

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
