package program

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/loadgen"
	"gameday/loadgen/internal/child"
	"gameday/loadgen/k6/internal/wire"
)

// TestPrepare changes an archive, and tells the parent what the script says of itself.
func TestPrepare(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from.tar"), filepath.Join(dir, "to.tar")
	made := archiveOf(t, map[string]string{"s.js": "export default 1;",
		"metadata.json": `{"options": {"setupTimeout": "5m", "teardownTimeout": "2m", "rps": 3}, "env": {"TOKEN": "secret"}}`})
	if err := os.WriteFile(from, made, 0o600); err != nil {
		t.Fatal(err)
	}
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	job, err := json.Marshal(wire.Job{From: from, To: to, Spec: loadgen.Spec{Script: "/home/ann/day/s.js", Rate: 7, Grace: 3 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	err = prepare(strings.NewReader(string(job)), child.NewVoice(out))
	out.Close()
	if err != nil {
		t.Fatal(err)
	}
	var said []child.Event
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var e child.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		said = append(said, e)
	}
	want := child.Script{SetupWithin: 5 * time.Minute, EndWithin: 3*time.Second + 2*time.Minute + teardownSlack, Folder: "/home/nobody/day"}
	if len(said) != 2 || said[0].Script == nil || *said[0].Script != want || said[1].Log == nil || !strings.Contains(said[1].Log.Text, "rps") {
		t.Errorf("it said %+v", said)
	}
	changed, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(changed); !strings.Contains(text, arrivalsType) || strings.Contains(text, "secret") || !strings.Contains(text, "export default 1;") {
		t.Errorf("the archive is %q", text)
	}
	for text, want := range map[string]string{"{": "reading what is to be sent", `{"from": "` + dir + `/none", "to": "x"}`: "reading the script's archive"} {
		if err := prepare(strings.NewReader(text), child.NewVoice(nil)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
