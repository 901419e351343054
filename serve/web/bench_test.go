package web_test

import (
	"testing"
	"time"

	"gameday/internal/siterig"
	"gameday/room"
)

// BenchmarkPages asks for pages of a server that has 5000 runs of its team's autumn.
func BenchmarkPages(b *testing.B) {
	d := siterig.Autumn(b.TempDir())
	for n := len(d.R.All); len(d.R.All) < 5000; {
		r := d.R.All[len(d.R.All)%n]
		r.Started = r.Started.Add(-time.Duration(len(d.R.All)) * time.Hour)
		r.Folder, r.Going = r.Started.Format("20060102-150405")+"-"+r.Scenario, false
		d.R.All = append(d.R.All, r)
	}
	k := rigged(b, d)
	for _, path := range []string{"/", "/calendar", "/runs", "/trends", "/fresh", "/rehearsals", "/badge/dns-gone.svg"} {
		b.Run(path[1:], func(b *testing.B) {
			for b.Loop() {
				k.get(b, room.Observer, path)
			}
		})
	}
}
