package report

import (
	"slices"
	"strings"
	"testing"
)

// TestAttached: what people attached is in the scorecard and in every form of the report, with the sum of a file, and by no person's name.
func TestAttached(t *testing.T) {
	sum := strings.Repeat("5e", 32)
	b := passedRun(t).
		add(90, Marked, Mark{Name: EvidenceMark, By: "fay", Text: "the graph that ann saw"}).
		add(91, Marked, Mark{Name: EvidenceMark, By: "fay", File: &Attachment{Name: "shot of fay.png", Path: "evidence/" + sum + ".png", Size: 34112, SHA256: sum}})
	c := Score(reread(t, b))
	if len(c.Attached) != 2 || c.Attached[0].File != nil || !c.Attached[1].At.Equal(at(91)) || c.Attached[1].File.Size != 34112 || c.Attached[1].Line == 0 {
		t.Fatalf("%+v", c.Attached)
	}
	who := c.Attached[0].By
	for _, want := range []string{
		"At 1:30 " + who + " attached evidence: the graph that responder A saw.",
		"At 1:31 " + who + " attached evidence; the file shot of " + who + ".png of 34112 bytes, in the record as evidence/" + sum + ".png, SHA-256 " + sum + "."} {
		if !slices.Contains(c.Remarks, want) {
			t.Errorf("the notes %q lack %q", c.Remarks, want)
		}
	}
	if out := everything(t, c); strings.Contains(out, "fay") || strings.Count(out, sum) < 3 {
		t.Error("a person is named, or the file's sum is not in every form of the report")
	}
}

// TestSignedInARoom: who does something in a room, signed with a role, is the same person as elsewhere, and has a pseudonym as everywhere,
// also who does nothing but stop the run.
func TestSignedInARoom(t *testing.T) {
	b := passedRun(t).
		add(90, Marked, Mark{Name: "note", By: "ann (responder)", Text: "gus looks at it"}).
		add(91, Marked, Mark{Name: EvidenceMark, By: "ann (responder)", Text: "a graph"}).
		add(92, StopAsked, Stop{By: "gus (facilitator)", Why: "enough"})
	c := Score(reread(t, b))
	ann := c.people.name("ann")
	if got := c.Attached[0].By; got != ann+" (responder)" || ann != "responder A" {
		t.Errorf("ann is %q, and in a room %q", ann, got)
	}
	if out := everything(t, c); strings.Contains(out, "gus") || strings.Contains(out, "ann (") {
		t.Error("a person is named")
	}
}
