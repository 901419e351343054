package serve

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/schedules"
)

// TestEmptied loses what ran while a server has it, as when the disk of the state folder is not mounted any more: what ran today is not run again,
// and that is said once. When it is there again, it goes on.
func TestEmptied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.children.Wait()
		r.calendar("one", &schedules.Schedule{Name: "daily", Items: item(time.Minute), Every: every(t, "1d"), Zone: time.UTC, Window: &schedules.Window{From: 0, To: clock(2, 0)}},
			minutely(t, "beside", time.Second))
		e, end := r.serve(r.config(r.file("days.hcl", "one")))
		defer end()
		time.Sleep(10*time.Minute + 30*time.Second)
		days := filepath.Join(r.dir, "state", "days")
		if begun, _ := r.counted(); begun["daily"] != 1 || begun["beside"] != 11 {
			t.Fatalf("begun %v", begun)
		}
		if err := errors.Join(os.Rename(days, days+"-away"), os.Mkdir(days, 0o700)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if all := r.kept(); len(all) != 0 {
			t.Errorf("without what ran, %d occasions are settled: %+v", len(all), all)
		}
		text := r.says()
		if all := e.Troubles(); strings.Count(text, "\n") != 0 || !strings.Contains(text, "nothing of the calendar days is begun: "+days+": it had what ran, and is empty now") || len(all) != 1 || !strings.Contains(text, all[0].Detail) {
			t.Errorf("it says %q, troubles %+v", text, all)
		}
		if err := errors.Join(os.Remove(days), os.Rename(days+"-away", days)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if begun, _ := r.counted(); begun["daily"] != 1 || begun["beside"] < 15 || !strings.Contains(r.says(), "can be read again") || len(e.Troubles()) != 0 {
			t.Errorf("when it is there again, begun %v, troubles %+v", begun, e.Troubles())
		}
	})
}
