package scenarios

import (
	"path/filepath"
	"time"

	"github.com/hashicorp/hcl/v2"

	"gameday/schedules"
	"gameday/schedules/ical"
)

// freezes reads the files of freezes and holidays: those of the whole calendar, and those of the schedule.
func (d *calendarDecoding) freezes(s *schedules.Schedule, b *scheduleBlock) {
	for _, x := range []struct {
		files []string
		body  hcl.Body
		field string
	}{{d.freeze, d.body, "freeze"}, {d.holiday, d.body, "holidays"}, {b.Freeze, b.Body, "freeze"}, {b.Holidays, b.Body, "holidays"}} {
		for _, file := range x.files {
			if c := d.frozenBy(file, s.Zone, x.field, attrRange(x.body, x.field, b.DefRange)); c != nil {
				s.Freezes = append(s.Freezes, c)
			}
		}
	}
}

// frozenBy reads a file that an attribute names: freeze or holidays.
func (d *calendarDecoding) frozenBy(file string, zone *time.Location, field string, at hcl.Range) *ical.Calendar {
	path := file
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.dir, file)
	}
	key := path + "\x00" + zone.String() + "\x00" + field
	if c, ok := d.frozen[key]; ok {
		return c
	}
	d.frozen[key] = nil
	src, err := readBounded(path)
	if err != nil {
		d.errorf(at, "Cannot read a freeze", "%s. What it freezes is not known, so nothing may be planned around it. Put the file there, or take it out of %s.", err, field)
		return nil
	}
	read := ical.Read
	if field == "holidays" {
		read = ical.ReadHolidays
	}
	c, err := read(src, file, zone)
	if err != nil {
		d.errorf(at, "Cannot understand a freeze", "%s. What it freezes is not known, so nothing may be planned around it. Mend that, or export the file anew from where it came.", err)
		return nil
	}
	if n, alone := c.Free(); alone {
		d.errorf(at, "A freeze that freezes nothing", "Every event of %s, %d in all, is marked as free (TRANSP:TRANSPARENT), as calendars of public holidays mark theirs: none would freeze anything. "+
			"Write holidays = [%q] if they are to.", file, n, file)
		return nil
	}
	d.frozen[key] = c
	return c
}
