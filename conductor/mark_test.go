package conductor

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gameday/report"
)

// TestMarkAfter marks in the record of a run that is over, or was killed, and changes nothing else that it says.
func TestMarkAfter(t *testing.T) {
	for name, killed := range map[string]bool{"over": false, "killed": true} {
		t.Run(name, func(t *testing.T) {
			play(t, "", steadyBlock, nil, func(d *day, rec *report.Record) {
				path := filepath.Join(d.options.Dir, report.EventsFile)
				if killed { // its last line was never written
					text, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, text[:len(text)-20], 0o644); err != nil {
						t.Fatal(err)
					}
					if rec, err = report.Read(d.options.Dir); err != nil {
						t.Fatal(err)
					}
				}
				was := report.NewTimeline(rec)
				time.Sleep(time.Hour)
				if _, err := MarkAfter(d.t.Context(), d.options.Dir, report.Mark{Name: "post-mortem filed", By: "ann"}); err != nil {
					t.Fatal(err)
				}
				rec, err := report.Read(d.options.Dir)
				if err != nil {
					t.Fatal(err)
				}
				now := report.NewTimeline(rec)
				if !now.End.Equal(was.End) || (now.Ended == nil) != killed || len(now.Marks) != 1 || now.Marks[0].V != (report.Mark{Name: "post-mortem filed", By: "ann", After: true}) {
					t.Errorf("ended %s, was %s; marks %+v", now.End, was.End, now.Marks)
				}
			})
		})
	}
	if _, err := MarkAfter(t.Context(), t.TempDir(), report.Mark{Name: " "}); !errors.Is(err, errNameless) {
		t.Errorf("marked with nothing: %v", err)
	}
	if _, err := MarkAfter(t.Context(), t.TempDir(), report.Mark{Name: "x"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("marked nowhere: %v", err)
	}
}
