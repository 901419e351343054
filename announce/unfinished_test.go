package announce

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestUnfinishedWaits holds that of a blind day whose process died, people hear nothing before its hours have closed, and of one that made up for a missed one, begun after
// them, nothing for a day; facilitators hear it at once.
func TestUnfinishedWaits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := genDay(t)
		all, leads := &Channel{Kind: Slack, Name: "all", On: Events, To: Everyone}, &Channel{Kind: Slack, Name: "leads", On: Events, To: Facilitators}
		in, late := momentIn(t, d, "moment"), d.closes().Add(time.Duration(rapid.IntRange(1, 100).Draw(t, "hours late"))*time.Hour)
		if got, told := all.Unfinished(d, in, "ann", "here"); !told || got.NotBefore.Before(d.closes()) {
			t.Fatalf("people hear it %v at %s, and its hours close at %s", told, got.NotBefore, d.closes())
		}
		if got, told := all.Unfinished(d, late, "ann", "here"); !told || got.NotBefore.Before(late.Add(24*time.Hour)) {
			t.Fatalf("of one that began at %s people hear %v at %s", late, told, got.NotBefore)
		}
		if got, told := leads.Unfinished(d, in, "ann", "here"); !told || !got.NotBefore.IsZero() {
			t.Fatalf("facilitators hear it %v at %s", told, got.NotBefore)
		}
	})
}
