package scenarios

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gameday/schedules"
)

// calendarComplaints loads a calendar and returns what is said of it.
func calendarComplaints(t *testing.T, path string) (*Calendar, string) {
	t.Helper()
	c, f := LoadCalendar(path, testOptions())
	var b bytes.Buffer
	if err := WriteText(&b, []*File{f}, 100, false); err != nil {
		t.Fatal(err)
	}
	if (c == nil) != f.Diags.HasErrors() {
		t.Fatalf("a calendar %v with the complaints %q", c, b.String())
	}
	return c, b.String()
}

// TestBadCalendars loads every calendar that must not load, and compares what is said with the golden file.
func TestBadCalendars(t *testing.T) {
	files, err := filepath.Glob("testdata/calendar/bad/*.hcl")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d bad calendars: %v", len(files), err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			c, got := calendarComplaints(t, path)
			if c != nil {
				t.Fatal("it loads")
			}
			for range 5 {
				if _, again := calendarComplaints(t, path); again != got {
					t.Fatalf("two loads differ:\n%s", cmp.Diff(got, again))
				}
			}
			golden := strings.TrimSuffix(path, ".hcl") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("what is said changed (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCalendar loads a good one, and compares all of it.
func TestCalendar(t *testing.T) {
	c, said := calendarComplaints(t, "testdata/calendar/good/calendar.hcl")
	if c == nil || said != "" {
		t.Fatalf("it does not load: %s", said)
	}
	if c.Name != "calendar" || len(c.Schedules) != 3 {
		t.Fatalf("%q has %d schedules", c.Name, len(c.Schedules))
	}
	weekly, first, nightly := c.Schedule("weekly"), c.Schedule("first-tuesday"), c.Schedule("nightly")
	length := 30 * time.Minute
	want := []schedules.Item{
		{File: "testdata/calendar/good/two.hcl", Scenario: "first", Vars: []string{"multiple=3"}, Length: length, Blind: true, Holds: []string{"scenario first"}},
		{File: "testdata/calendar/good/two.hcl", Scenario: "second", Length: length, Holds: []string{"scenario second"}},
	}
	if diff := cmp.Diff(want, first.Items); diff != "" {
		t.Errorf("the scenarios of first-tuesday: %s", diff)
	}
	if diff := cmp.Diff(&schedules.Window{Days: []time.Weekday{2}, From: 11 * time.Hour, To: 13 * time.Hour}, first.Window); diff != "" {
		t.Errorf("its window: %s", diff)
	}
	if weekly.Every.String() != "1w" || weekly.Moment != schedules.AtRandom || weekly.CatchUp != schedules.CatchUpOnce || weekly.Cron != nil || len(weekly.Freezes) != 1 {
		t.Errorf("weekly is %+v", weekly)
	}
	if nightly.Cron.String() != "30 2 * * *" || nightly.Window != nil || nightly.Zone.String() != "Europe/Berlin" || first.Zone.String() != "America/New_York" {
		t.Errorf("nightly is %+v, and first-tuesday is in %s", nightly, first.Zone)
	}
	for o := range nightly.Upcoming(time.Date(2026, 12, 24, 12, 0, 0, 0, time.UTC), nil) {
		if want := "frozen: Christmas sales (holidays.ics), 2026-12-20 00:00 to 2027-01-02 00:00 CET"; o.Why != want {
			t.Errorf("on Christmas Day it says %q; want %q", o.Why, want)
		}
		break
	}
}

// TestHolidays freezes on the days of a calendar of public holidays, which marks all of them as free.
func TestHolidays(t *testing.T) {
	dir := t.TempDir()
	ics, err := os.ReadFile("testdata/calendar/bad/free.ics")
	if err != nil {
		t.Fatal(err)
	}
	drill, err := os.ReadFile("testdata/calendar/good/drill.hcl")
	if err != nil {
		t.Fatal(err)
	}
	of := func(where, inside string) string {
		return "time_zone = \"Europe/Berlin\"\n" + where + "schedule \"daily\" {\n  scenarios = [\"drill.hcl\"]\n  cron = \"0 10 * * *\"\n" + inside + "}\n"
	}
	for name, text := range map[string]string{"of all": of("holidays = [\"h.ics\"]\n", ""), "of one": of("", "  holidays = [\"h.ics\"]\n")} {
		for file, b := range map[string][]byte{"c.hcl": []byte(text), "h.ics": ics, "drill.hcl": drill, "t.js": []byte("export default function () {}\n")} {
			if err := os.WriteFile(filepath.Join(dir, file), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		c, said := calendarComplaints(t, filepath.Join(dir, "c.hcl"))
		if c == nil {
			t.Fatalf("%s: %s", name, said)
		}
		var got []string
		for _, o := range c.Schedule("daily").Between(time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC), time.Date(2026, 12, 28, 0, 0, 0, 0, time.UTC), nil) {
			got = append(got, o.ID[:10]+" "+o.Why)
		}
		want := []string{"2026-12-24 ", "2026-12-25 frozen: Christmas Day (h.ics), 2026-12-25 00:00 to 2026-12-26 00:00 CET",
			"2026-12-26 frozen: 2nd Day of Christmas (h.ics), 2026-12-26 00:00 to 2026-12-27 00:00 CET", "2026-12-27 "}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestSchedulesPage holds docs/schedules.md to every block and attribute of a calendar.
func TestSchedulesPage(t *testing.T) {
	page, err := os.ReadFile("../docs/schedules.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{calendarBlocks{}, scheduleBlock{}, plannedBlock{}, windowBlock{}, skipIfBlock{}, budgetBlock{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			name, kind, _ := strings.Cut(typ.Field(i).Tag.Get("hcl"), ",")
			if name != "" && kind != "label" && !bytes.Contains(page, []byte("`"+name+"`")) {
				t.Errorf("docs/schedules.md does not mention `%s` of %s", name, typ.Name())
			}
		}
	}
}

// TestMisplaced says of a calendar that is taken for scenarios where its schedules belong.
func TestMisplaced(t *testing.T) {
	f := Load("testdata/calendar/misplaced.hcl", testOptions())
	for _, d := range f.Diags {
		if strings.Contains(d.Detail, "gameday schedule check") {
			return
		}
	}
	t.Errorf("it says %v", f.Diags)
}

// TestGivenText takes a calendar's text from elsewhere, and of it one schedule, whatever is wrong with the scenarios of others.
func TestGivenText(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/calendar/good")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "days.hcl")
	schedule := func(name, scenario string) string {
		return "schedule \"" + name + "\" {\n  scenarios = [\"" + scenario + "\"]\n  cron = \"0 10 * * *\"\n}\n"
	}
	text := "time_zone = \"UTC\"\n" + schedule("fine", "drill.hcl") + schedule("broken", "bad.hcl")
	for name, content := range map[string]string{"bad.hcl": "nonsense", "days.hcl": "more nonsense"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := testOptions()
	if c, _ := LoadCalendar(path, o); c != nil {
		t.Error("what is in the file loads")
	}
	o.Text = []byte(text)
	if c, _ := LoadCalendar(path, o); c != nil {
		t.Error("it loads with a scenario that does not")
	}
	o.Schedule = "fine"
	c, f := LoadCalendar(path, o)
	if c == nil {
		t.Fatal(f.Diags)
	}
	if c.Name != "days" || len(c.Schedules) != 1 || c.Schedule("fine") == nil || c.Schedule("fine").Items[0].File != filepath.Join(dir, "drill.hcl") {
		t.Errorf("it is %+v", c)
	}
	o.Schedule = "broken"
	if c, _ := LoadCalendar(path, o); c != nil {
		t.Error("a schedule loads whose scenario does not")
	}
}
