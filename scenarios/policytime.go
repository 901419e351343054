package scenarios

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"gameday/policy"
)

// dayNames are the days of the week as policies write them, in the order of time.Weekday.
var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// location reads a time zone, and reports one that is not in the tz database.
func (d *policyDecoding) location(name *string, body hcl.Body, at hcl.Range) (string, *time.Location) {
	zone := d.zone
	if name != nil {
		zone = *name
	}
	l := d.timeZone(&zone, body, at)
	return l.String(), l
}

func (d *policyDecoding) hours(b *policyBlocks) {
	for _, h := range b.Hours {
		out := policy.Hours{}
		out.Zone, _ = d.location(h.TimeZone, h.Body, h.DefRange)
		out.Days = d.days(h)
		from, ok := d.clock(h.From, h, "from")
		to, too := d.clock(h.To, h, "to")
		out.From, out.To = from, to
		switch {
		case !ok || !too:
		case from == 24*time.Hour:
			d.errorf(attrRange(h.Body, "from", h.DefRange), "Invalid time of day", "A day begins at \"00:00\"; \"24:00\" is its end.")
		case from == to:
			d.errorf(h.DefRange, "Empty hours", "From and to are the same time. A whole day is from = \"00:00\", to = \"24:00\".")
		}
		d.out.Hours = append(d.out.Hours, out)
	}
}

// days reads days of the week: single ones, and spans such as "mon-fri".
func (d *policyDecoding) days(h hoursBlock) []time.Weekday {
	var out []time.Weekday
	at := attrRange(h.Body, "days", h.DefRange)
	for _, text := range h.Days {
		first, last, isSpan := strings.Cut(strings.ToLower(text), "-")
		if !isSpan {
			last = first
		}
		i, j := slices.Index(dayNames, strings.TrimSpace(first)), slices.Index(dayNames, strings.TrimSpace(last))
		if i < 0 || j < 0 {
			d.errorf(at, "Unknown day", "%q is not a day.%s Days are mon, tue, wed, thu, fri, sat and sun; \"mon-fri\" is all from one to another.",
				text, suggest(strings.ToLower(text), dayNames))
			continue
		}
		for n := i; ; n = (n + 1) % 7 {
			if day := time.Weekday(n); !slices.Contains(out, day) {
				out = append(out, day)
			}
			if n == j {
				break
			}
		}
	}
	if present(h.Body, "days") && len(h.Days) == 0 && !d.diags.HasErrors() {
		d.errorf(at, "No days", "Leave days out for every day, or name some: days = [\"mon-fri\"].")
	}
	return out
}

var clockTime = regexp.MustCompile(`^([01][0-9]|2[0-4]):([0-5][0-9])$`)

// clock reads a time of the day: "09:00".
func (d *policyDecoding) clock(text string, h hoursBlock, field string) (time.Duration, bool) {
	m := clockTime.FindStringSubmatch(text)
	if m == nil || m[1] == "24" && m[2] != "00" {
		if present(h.Body, field) {
			d.errorf(attrRange(h.Body, field, h.DefRange), "Invalid time of day", "%s = %q is not a time of the day. Write hours and minutes: \"09:00\", \"17:30\".", field, text)
		}
		return 0, false
	}
	hour, _ := strconv.Atoi(m[1]) // two digits, as matched
	minute, _ := strconv.Atoi(m[2])
	return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute, true
}

func (d *policyDecoding) freezes(b *policyBlocks) {
	seen := map[string]hcl.Range{}
	for _, f := range b.Freezes {
		if !d.unique(seen, "freeze", f.Name, f.DefRange) {
			continue
		}
		d.title("freeze", f.Name, f.DefRange)
		_, zone := d.location(f.TimeZone, f.Body, f.DefRange)
		out := policy.Freeze{Name: f.Name, Why: f.Why}
		from, _, ok := d.instant(f.From, zone, f, "from")
		to, isDate, too := d.instant(f.To, zone, f, "to")
		if isDate {
			to = to.AddDate(0, 0, 1) // the last day is frozen too
		}
		out.From, out.To = from, to
		if ok && too && !from.Before(to) {
			d.errorf(attrRange(f.Body, "to", f.DefRange), "Freeze ends before it begins", "The freeze is from %s to %s. Are they the wrong way round?", f.From, f.To)
		}
		d.out.Freezes = append(d.out.Freezes, out)
	}
}

// instant reads a date, or a date with a time of the day.
func (d *policyDecoding) instant(text string, zone *time.Location, f freezeBlock, field string) (at time.Time, isDate, ok bool) {
	if t, err := time.ParseInLocation("2006-01-02", text, zone); err == nil {
		return t, true, true
	}
	for _, layout := range []string{"2006-01-02 15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, false, true
		}
	}
	if present(f.Body, field) {
		d.errorf(attrRange(f.Body, field, f.DefRange), "Invalid date", "%s = %q is not a date. Write \"2026-12-20\", or with a time of the day \"2026-12-20 18:00\".", field, text)
	}
	return time.Time{}, false, false
}
