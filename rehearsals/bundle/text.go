package bundle

import (
	"fmt"
	"io"
	"strings"

	"gameday/report"
)

// mostFindings bounds how many findings are printed for people; the JSON form has all.
const mostFindings = 40

// Text writes a result for a terminal.
func Text(w io.Writer, name string, r *Result) error {
	var b strings.Builder
	head := map[int]string{0: "WHOLE", 1: "CHANGED", 3: "NOT CERTAIN"}[r.Exit]
	switch {
	case r.Exit != 1 || len(r.Changed)+len(r.Differs) > 0:
	case r.Signature.Trust == Broken:
		head = "SIGNATURE BROKEN"
	default:
		head = "NOT SIGNED AS ASKED"
	}
	fmt.Fprintf(&b, " %s   %s   rehearsal %s, packed %s by %s on %s\n\n", head, report.PlainText(name), report.PlainText(r.Rehearsal), r.Made.UTC().Format("2006-01-02 15:04:05 UTC"),
		report.PlainText(r.By), report.PlainText(r.Host))
	row := func(head, text string) { report.Paragraph(&b, fmt.Sprintf(" %-11s", head), report.PlainText(text)) }
	if len(r.Changed) == 0 {
		row("files", fmt.Sprintf("all %d are as they were packed, byte for byte.", r.Files))
	} else {
		row("files", fmt.Sprintf("of %d, not all are as they were packed:", r.Files))
		list(&b, r.Changed)
	}
	switch {
	case len(r.Differs) == 0:
		row("reports", fmt.Sprintf("those of %d records were derived again, and are the same.", r.Derived))
	case len(r.Changed) > 0 || !r.OtherVersion():
		row("reports", "what is packed is not what follows from the records:")
	case r.SameJudged:
		row("reports", fmt.Sprintf("every judgement, over all and of %d records, follows from the records, to the byte. Pages are drawn otherwise: %s. Whether that is all that is behind it, "+
			"only the gameday that packed them can tell. What differs:", r.Derived, r.versions()))
	default:
		row("reports", r.versions()+": they may differ for that alone, and whether they do only the gameday that packed them can tell. What differs:")
	}
	list(&b, r.Differs)
	row("signature", r.Signature.Text+".")
	says := r.State.String() + ", by its records, when it was packed."
	if r.Packed != nil && *r.Packed != r.State {
		says = fmt.Sprintf("%s, by the scorecard in it; %s, as this gameday judges its records, when it was packed.", r.Packed, r.State)
	}
	row("says", says)
	for _, why := range r.Why {
		report.Paragraph(&b, "    –  ", report.PlainText(why))
	}
	for i, m := range r.Missing {
		if i == 0 {
			row("not in it", "")
		}
		report.Paragraph(&b, "    –  ", report.PlainText(m))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// versions says by which versions reports were derived.
func (r *Result) versions() string {
	if r.Version == r.Verifier {
		return fmt.Sprintf("this is gameday %s, and one that calls itself so packed them, which need not be the same", r.Verifier)
	}
	return fmt.Sprintf("this is gameday %s, and %s packed them", r.Verifier, r.Version)
}

func list(b *strings.Builder, all []Finding) {
	for i, f := range all {
		if i == mostFindings {
			report.Paragraph(b, "    –  ", fmt.Sprintf("and %d more; --json has them.", len(all)-i))
			return
		}
		report.Paragraph(b, "    –  ", report.PlainText(f.String()+"."))
	}
}
