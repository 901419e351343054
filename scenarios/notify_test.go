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
	"github.com/hashicorp/hcl/v2"

	"gameday/announce"
)

// TestBadChannels loads every calendar whose channels must not load, and compares what is said with the golden file.
func TestBadChannels(t *testing.T) {
	files, err := filepath.Glob("testdata/notify/bad/*.hcl")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d bad calendars: %v", len(files), err)
	}
	for _, path := range files {
		c, got := calendarComplaints(t, path)
		if c != nil {
			t.Fatalf("%s loads", path)
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
			t.Errorf("what is said of %s changed (-want +got):\n%s", path, diff)
		}
	}
}

// TestChannels loads good ones, and compares all of them.
func TestChannels(t *testing.T) {
	c, said := calendarComplaints(t, "testdata/notify/good/calendar.hcl")
	if c == nil || said != "" {
		t.Fatalf("it does not load: %s", said)
	}
	but := func(not ...announce.Event) []announce.Event {
		var out []announce.Event
		for _, e := range announce.Events {
			keep := true
			for _, n := range not {
				keep = keep && e != n
			}
			if keep {
				out = append(out, e)
			}
		}
		return out
	}
	day := 24 * time.Hour
	want := []*announce.Channel{
		{Kind: announce.Slack, Name: "sre", On: announce.Events, To: announce.Everyone, Ahead: day, StaleAfter: 28 * day, Address: announce.Secret{Env: "GAMEDAY_SRE_URL"}},
		{Kind: announce.Slack, Name: "leads", On: []announce.Event{announce.Coming, announce.Begun, announce.Residue}, To: announce.Facilitators, Ahead: 2 * time.Hour,
			Address: announce.Secret{File: "testdata/notify/good/secrets/leads"}},
		{Kind: announce.Teams, Name: "shop", On: []announce.Event{announce.Coming, announce.Ended}, To: announce.Everyone, Ahead: day, Link: "https://gameday.example.com",
			Address: announce.Secret{Env: "GAMEDAY_SHOP_URL"}},
		{Kind: announce.Webhook, Name: "board", On: but(announce.Stale), To: announce.Everyone, Ahead: day, Address: announce.Secret{Text: "https://board.example.com/hooks/gameday"},
			Secret: announce.Secret{Env: "GAMEDAY_BOARD_KEY"}, CAFile: "testdata/notify/good/ca.pem"},
		{Kind: announce.Email, Name: "team", On: []announce.Event{announce.Ended}, To: announce.Everyone, Ahead: day, Secret: announce.Secret{File: "/run/secrets/mail"},
			Mail: announce.Mail{Server: "smtp.example.com:587", From: "Game days <gameday@example.com>", Recipients: []string{"sre@example.com"}, Username: "gameday", TLS: announce.StartTLS}},
		{Kind: announce.Mattermost, Name: "sre", Scope: "weekly", On: but(announce.Rehearsal, announce.Stale), To: announce.Everyone, Ahead: 7 * day, Address: announce.Secret{Env: "GAMEDAY_MATTERMOST_URL"}},
		{Kind: announce.Email, Name: "launch", Scope: "rehearsal.launch", On: []announce.Event{announce.Residue, announce.Rehearsal}, To: announce.Everyone, Ahead: day,
			Mail: announce.Mail{Server: "[::1]:2525", From: "gameday@example.com", Recipients: []string{"launch@example.com", "sre@example.com"}, TLS: announce.NoTLS}},
	}
	if diff := cmp.Diff(want, c.Notify); diff != "" {
		t.Errorf("its channels: %s", diff)
	}
	ids := func(all []*announce.Channel) string {
		var out []string
		for _, x := range all {
			out = append(out, x.ID())
		}
		return strings.Join(out, " ")
	}
	own := "slack.sre slack.leads teams.shop webhook.board email.team"
	for got, want := range map[string]string{ids(c.Channels("")): own, ids(c.Channels("weekly")): own + " weekly.mattermost.sre", ids(c.Channels("launch")): own,
		ids(c.RehearsalChannels("launch")): own + " rehearsal.launch.email.launch"} {
		if got != want {
			t.Errorf("channels %q, want %q", got, want)
		}
	}
}

// TestSecretsAreNotShown holds that a secret which stands in a calendar by mistake is not printed with what is said of it.
func TestSecretsAreNotShown(t *testing.T) {
	for _, line := range []string{`"slack" "a" {
  url = "https://hooks.example.com/canary"
}`, `"webhook" "a" {
  url = "https://ann:canary@example.com/"
}`, `"webhook" "a" {
  url = "https://example.com/?token=canary"
}`, `"webhook" "a" {
  url = "http://example.com/canary"
}`, `"teams" "a" {
  url_env = "https://example.com/canary"
}`, `"email" "a" {
  server       = "smtp.example.com"
  from         = "gameday@example.com"
  recipients   = ["sre@example.com"]
  username     = "gameday"
  password_env = "canary!"
}`, `"slack" "a" {
  url_env = "A"
  link    = "https://ann:canary@example.com/"
}`, `"slack" "a" {
  url_file = "https://hooks.example.com/canary"
}`, `"email" "a" {
  server        = "smtp.example.com"
  from          = "gameday@example.com"
  recipients    = ["sre@example.com"]
  username      = "gameday"
  password_file = "smtp://canary"
}`, `"slack" "a" { url = "https://hooks.example.com/canary" }`, `"slack" "a" { url_file = "https://hooks.example.com/canary" }`, `"slack" "a" {
  adress = "https://hooks.example.com/canary"
}`, `"email" "a" { password = "canary" }`, `"slack" "a" {
  url_env = https://hooks.example.com/canary
}`, `"slack" "a" {
  url_env = canary
}`, `"slack" "a" {
  url "https://hooks.example.com/canary"
}`, `"slack" "a" {
  url_env = "https://hooks.example.com/canary
  on      = ["ended"]
}`, `"slack" "a" { url_env = "https://hooks.example.com/canary`, `"slack" "a" {
  on = ["endet"] # canary
  url_env = "A"
}`, `"slack" "a" {
  url_file = "canary"
  url_env  = "A"
}`, `"slack" "a" {
  secret {
    url = "https://hooks.example.com/canary"
  }
}`, `"slack" "a" url = "https://hooks.example.com/canary"`, `"slack" "a"
{
  url = "https://hooks.example.com/canary"
}`, `"slack" "a"
  url_env = "A"
  url_env = "https://hooks.example.com/canary"
}`, `"slack" "https://hooks.example.com/canary" {
  url_env = "A"
}`, `"slack" "https://x.example/canary" {
  url = "https://hooks.example.com/canary"
}`, `"https://x.example/canary" "a" {
  url_env = "A"
}`, `"https://x.example/canary" {
  url_env = "A"
}`, `= { url = "https://hooks.example.com/canary" }`, `= "https://hooks.example.com/canary"`, `= [
  "https://hooks.example.com/canary",
]`, `"slack" "https://x.example/canary" {
  url_env = "A"
}
notify "slack" "https://x.example/canary" {
  url_env = "A"
}`} {
		path := filepath.Join(t.TempDir(), "calendar.hcl")
		if err := os.WriteFile(path, []byte("notify "+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, said := calendarComplaints(t, path); c != nil || strings.Contains(said, "canary") {
			t.Errorf("of %s it says %s", line, said)
		}
	}
}

// TestBrokenQuotes takes out every character of a calendar in turn, and puts in what opens or closes something: an address that stands in it by mistake is never shown, although a
// quote that is missing before it makes of the rest what it is not.
func TestBrokenQuotes(t *testing.T) {
	text := `time_zone = "UTC"
notify "slack" "sre" {
  url_env = "https://hooks.example.com/canary"
  on = ["ended"]
}
schedule "w" {
  scenarios = ["a.hcl"]
  notify "teams" "x" {
    url = "https://hooks.example.com/canary?sig=canary"
  }
}
`
	path := filepath.Join(t.TempDir(), "calendar.hcl")
	for i := range text {
		for _, put := range []string{"", `"`, "}", "\n", "${", "<<E\n"} {
			broken := text[:i] + put + text[i:]
			if put == "" {
				broken = text[:i] + text[i+1:]
			}
			if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
				t.Fatal(err)
			}
			if c, said := calendarComplaints(t, path); c != nil || strings.Contains(said, "canary") {
				t.Errorf("with %q at %d it says %s", put, i, said)
			}
		}
	}
}

// TestMaskKeepsPlaces holds that what is masked is a notify block's, that all else stays, and where it is.
func TestMaskKeepsPlaces(t *testing.T) {
	text := "notify \"slack\" \"a\" {\n  on = [\n    \"endet\",\n    \"begun\"\n  ]\n  url_env = \"CÄNARY\" # why\n  to = \"x\"\n}\nschedule \"weekly\" { # notify\n  every = \"1w\"\n}\n"
	want := "notify \"slack\" \"a\" {\n  on = [\n    \"endet\",\n    \"begun\"\n  ]\n  url_env = \"*******\" *****\n  to = \"x\"\n}\nschedule \"weekly\" { # notify\n  every = \"1w\"\n}\n"
	if got := string(maskNotify(&hcl.File{Bytes: []byte(text)}, "x.hcl").Bytes); got != want {
		t.Errorf("it shows\n%s\nwant\n%s", got, want)
	}
}

// TestAnnouncementsPage holds docs/announcements.md to every argument, event and kind of a notify block.
func TestAnnouncementsPage(t *testing.T) {
	page, err := os.ReadFile("../docs/announcements.md")
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	typ := reflect.TypeOf(notifyBlock{})
	for i := range typ.NumField() {
		if name, kind, _ := strings.Cut(typ.Field(i).Tag.Get("hcl"), ","); name != "" && kind != "label" {
			words = append(words, name)
		}
	}
	for _, e := range announce.Events {
		words = append(words, string(e))
	}
	for _, k := range announce.Kinds {
		words = append(words, string(k))
		if !bytes.Contains(page, []byte("notify \""+string(k)+"\"")) {
			t.Errorf("docs/announcements.md has no configuration of %s", k)
		}
	}
	for _, w := range words {
		if !bytes.Contains(page, []byte("`"+w+"`")) {
			t.Errorf("docs/announcements.md does not mention `%s`", w)
		}
	}
}

// TestExamplesOfAnnouncements loads every example of docs/announcements.md.
func TestExamplesOfAnnouncements(t *testing.T) {
	page, err := os.ReadFile("../docs/announcements.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, part := range strings.Split(string(page), "```hcl\n")[1:] {
		text, _, _ := strings.Cut(part, "```")
		dir := t.TempDir()
		drill, err := os.ReadFile("testdata/calendar/good/drill.hcl")
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "checkout.hcl"), drill, 0o600)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "t.js"), nil, 0o600)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "calendar.hcl"), []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if c, said := calendarComplaints(t, filepath.Join(dir, "calendar.hcl")); c == nil || len(c.Notify) == 0 {
			t.Errorf("an example does not load: %s\n%s", said, text)
		}
		n++
	}
	if n < 2 {
		t.Errorf("%d examples", n)
	}
}

// FuzzChannels reads calendars of channels: whatever is in them, there is a complaint, or each channel has what it needs.
func FuzzChannels(f *testing.F) {
	files, err := filepath.Glob("testdata/notify/*/*.hcl")
	if err != nil || len(files) < 3 {
		f.Fatalf("%d calendars: %v", len(files), err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("notify \"slack\" \"a\" {\n  url = \"https://hooks.example.com/canary\"\n}\n")
	f.Add("notify \"webhook\" \"a\" {\n  url = \"https://ann:canary@example.com/\"\n}\n")
	f.Add("notify \"teams\" \"a\" {\n  url_env = \"https://example.com/canary\"\n}\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "calendar.hcl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Skip()
		}
		c, file := LoadCalendar(path, testOptions())
		if (c == nil) != file.Diags.HasErrors() {
			t.Fatalf("a calendar %v with %v", c, file.Diags)
		}
		if c == nil {
			return
		}
		for _, x := range c.Notify {
			if len(x.On) == 0 || x.Kind != announce.Email && !x.Address.Given() || x.Kind != announce.Webhook && x.Address.Text != "" {
				t.Errorf("a channel without what it needs: %+v", x)
			}
		}
	})
}
