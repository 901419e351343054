package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"gameday/clock"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string      `xml:"name,attr"`
	Class   string      `xml:"classname,attr"`
	Time    string      `xml:"time,attr,omitempty"` // seconds
	Failure *junitFault `xml:"failure,omitempty"`
	Error   *junitFault `xml:"error,omitempty"`
	Out     string      `xml:"system-out,omitempty"`
}

type junitFault struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit writes the scorecard in the XML that CI systems read: a test suite for each part with a test case for each
// item, and two more for the safety gate and the verdict. What was missed is a failure. What is unknown is an error of
// type "unknown" rather than a skipped test, because CI systems pass over skipped tests in silence.
func JUnit(w io.Writer, c *Scorecard) error {
	doc := junitSuites{Name: clean(c.Scenario)}
	for i := range c.Parts {
		p := &c.Parts[i]
		s := junitSuite{Name: string(p.Part)}
		for n := range p.Items {
			s.Cases = append(s.Cases, itemCase(c, &p.Items[n]))
		}
		doc.Suites = append(doc.Suites, s)
	}
	safety := junitCase{Name: "nothing is left on any target", Class: clean(c.Scenario) + ".safety",
		Out: clean(c.Safety.Text)}
	switch {
	case c.Residue:
		safety.Failure = &junitFault{"residue", clean(c.Safety.Text), ""}
	case !c.Safety.Clean:
		safety.Error = &junitFault{"unknown", clean(c.Safety.Text), ""}
	}
	verdict := junitCase{Name: "verdict", Class: clean(c.Scenario) + ".verdict",
		Out: clean(verdictWords(c) + ", " + scoreWords(c) + ", coverage " + share(c.Coverage))}
	why := clean(strings.Join(c.Why, " "))
	switch c.Verdict {
	case Failed:
		verdict.Failure = &junitFault{"failed", why, ""}
	case Aborted, Inconclusive:
		verdict.Error = &junitFault{c.Verdict.String(), why, ""}
	}
	doc.Suites = append(doc.Suites, junitSuite{Name: "safety", Cases: []junitCase{safety}},
		junitSuite{Name: "verdict", Cases: []junitCase{verdict}})
	doc.count()
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(doc); err != nil {
		return fmt.Errorf("writing the scorecard as JUnit XML: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (d *junitSuites) count() {
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

func itemCase(c *Scorecard, it *Item) junitCase {
	k := junitCase{Name: clean(it.Title), Class: clean(c.Scenario) + "." + string(it.Part)}
	if it.Latency != nil {
		k.Time = fmt.Sprintf("%.3f", max(0, it.Latency.Mid().Seconds()))
	}
	lines := []string{"expected: " + it.Expected, "measured: " + it.Measured + " (limit " + it.Limit + ")",
		"points: " + pointWords(it)}
	for _, e := range it.Evidence {
		lines = append(lines, "saw: "+e.Source+": "+e.Text)
	}
	if it.Hint != "" {
		lines = append(lines, "hint: "+it.Hint)
	}
	text := clean(strings.Join(lines, "\n"))
	switch it.Outcome {
	case clock.Missed:
		k.Failure = &junitFault{"missed", clean(it.Why), text}
	case clock.Unknown:
		k.Error = &junitFault{"unknown", clean(it.Why), text}
	default:
		k.Out = text
	}
	return k
}

// clean makes a text that others wrote fit for XML and for the logs of CI systems, which may be terminals.
func clean(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = plain(lines[i])
	}
	return strings.Join(lines, "\n")
}
