package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"gameday/clock"
)

type junitDoc struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Suites   []JUnitSuite `xml:"testsuite"`
}

// JUnitSuite is a group of cases. WriteJUnit counts them.
type JUnitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Cases    []JUnitCase `xml:"testcase"`
}

// JUnitCase is one case: it went well when it has neither a failure nor an error.
type JUnitCase struct {
	Name    string      `xml:"name,attr"`
	Class   string      `xml:"classname,attr"`
	Time    string      `xml:"time,attr,omitempty"` // seconds
	Failure *JUnitFault `xml:"failure,omitempty"`
	Error   *JUnitFault `xml:"error,omitempty"`
	Out     string      `xml:"system-out,omitempty"`
}

// JUnitFault says why a case did not go well.
type JUnitFault struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit writes the scorecard in the XML that CI systems read: a test suite for each part with a test case for each
// item, and two more for the safety gate and the verdict. What was missed is a failure. What is unknown is an error of
// type "unknown" rather than a skipped test, because CI systems pass over skipped tests in silence.
func JUnit(w io.Writer, c *Scorecard) error {
	var suites []JUnitSuite
	for i := range c.Parts {
		p := &c.Parts[i]
		s := JUnitSuite{Name: string(p.Part)}
		for n := range p.Items {
			s.Cases = append(s.Cases, itemCase(c, &p.Items[n]))
		}
		suites = append(suites, s)
	}
	safety := JUnitCase{Name: "nothing is left on any target", Class: CleanText(c.Scenario) + ".safety",
		Out: CleanText(c.Safety.Text)}
	switch {
	case c.Residue:
		safety.Failure = &JUnitFault{"residue", CleanText(c.Safety.Text), ""}
	case !c.Safety.Clean:
		safety.Error = &JUnitFault{"unknown", CleanText(c.Safety.Text), ""}
	}
	verdict := JUnitCase{Name: "verdict", Class: CleanText(c.Scenario) + ".verdict",
		Out: CleanText(verdictWords(c) + ", " + scoreWords(c) + ", coverage " + share(c.Coverage))}
	why := CleanText(strings.Join(c.Why, " "))
	switch c.Verdict {
	case Failed:
		verdict.Failure = &JUnitFault{"failed", why, ""}
	case Aborted, Inconclusive:
		var b strings.Builder
		remedies(&b, c)
		verdict.Error = &JUnitFault{c.Verdict.String(), why, b.String()}
	}
	suites = append(suites, JUnitSuite{Name: "safety", Cases: []JUnitCase{safety}},
		JUnitSuite{Name: "verdict", Cases: []JUnitCase{verdict}})
	return WriteJUnit(w, c.Scenario, suites)
}

// WriteJUnit writes suites in the XML that CI systems read. Texts in them must have gone through CleanText.
func WriteJUnit(w io.Writer, name string, suites []JUnitSuite) error {
	doc := junitDoc{Name: CleanText(name), Suites: suites}
	doc.count()
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(doc); err != nil {
		return fmt.Errorf("writing JUnit XML: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (d *junitDoc) count() {
	for i := range d.Suites {
		s := &d.Suites[i]
		s.Tests = len(s.Cases)
		for _, c := range s.Cases {
			if c.Failure != nil {
				s.Failures++
			}
			if c.Error != nil {
				s.Errors++
			}
		}
		d.Tests += s.Tests
		d.Failures += s.Failures
		d.Errors += s.Errors
	}
}

func itemCase(c *Scorecard, it *Item) JUnitCase {
	k := JUnitCase{Name: CleanText(it.Title), Class: CleanText(c.Scenario) + "." + string(it.Part)}
	if it.Latency != nil {
		k.Time = fmt.Sprintf("%.3f", max(0, it.Latency.Mid().Seconds()))
	}
	lines := []string{"expected: " + it.Expected, "measured: " + it.Measured + " (limit " + it.Limit + ")",
		"points: " + pointWords(it)}
	if o := it.Override; o != nil {
		lines = append(lines, fmt.Sprintf("override: %s by %s: %s", it.Outcome, o.By, o.Reason), "gameday: "+o.words())
	}
	for _, e := range it.Evidence {
		lines = append(lines, "saw: "+e.Source+": "+e.Text)
	}
	if it.Hint != "" {
		lines = append(lines, "hint: "+it.Hint)
	}
	text := CleanText(strings.Join(lines, "\n"))
	switch it.Outcome {
	case clock.Missed:
		k.Failure = &JUnitFault{"missed", CleanText(it.Why), text}
	case clock.Unknown:
		k.Error = &JUnitFault{"unknown", CleanText(it.Why), text}
	default:
		k.Out = text
	}
	return k
}

// CleanText makes a text that others wrote fit for XML and for the logs of CI systems, which may be terminals.
func CleanText(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = PlainText(lines[i])
	}
	return strings.Join(lines, "\n")
}
