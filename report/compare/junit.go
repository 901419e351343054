package compare

import (
	"io"
	"strings"

	"gameday/report"
)

// JUnit writes the comparison in the XML that CI systems read: a case for each row that counts, and one for the
// verdict. What is worse is a failure; what is unknown is an error of type "unknown".
func JUnit(w io.Writer, c *Comparison) error {
	return report.WriteJUnit(w, c.Scenario, []report.JUnitSuite{
		{Name: "compared", Cases: Cases(c.Scenario, c.Rows)},
		{Name: "verdict", Cases: []report.JUnitCase{VerdictCase(c.Scenario, c.Verdict, c.Why)}},
	})
}

// Cases returns a case for each row that counts.
func Cases(scenario string, rows []Row) []report.JUnitCase {
	var out []report.JUnitCase
	for i := range rows {
		r := &rows[i]
		if !r.Counts {
			continue
		}
		k := report.JUnitCase{Name: report.CleanText(r.label()), Class: report.CleanText(scenario) + ".compared"}
		text := report.CleanText(strings.Join([]string{"base: " + r.Base.words(*r), "head: " + r.Head.words(*r),
			"difference: " + r.differenceWords(), "tolerated: " + r.yardstick().Words(r.Tolerance), "tested by: " +
				string(r.Method)}, "\n"))
		switch {
		case r.Verdict == Worse:
			k.Failure = &report.JUnitFault{Type: "worse", Message: report.CleanText(r.sentence()), Text: text}
		case r.Verdict == Unknown && !r.NotWorse:
			k.Error = &report.JUnitFault{Type: "unknown", Message: report.CleanText(r.Why), Text: text}
		default:
			k.Out = text
		}
		out = append(out, k)
	}
	return out
}

// VerdictCase returns the case of an overall verdict.
func VerdictCase(scenario string, v Verdict, why []string) report.JUnitCase {
	text := report.CleanText(strings.Join(why, "\n"))
	k := report.JUnitCase{Name: "verdict", Class: report.CleanText(scenario) + ".verdict"}
	switch v {
	case Worse:
		k.Failure = &report.JUnitFault{Type: "worse", Message: text}
	case Unknown:
		k.Error = &report.JUnitFault{Type: "unknown", Message: text}
	default:
		k.Out = v.String() + "\n" + text
	}
	return k
}
