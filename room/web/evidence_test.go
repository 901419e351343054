package web

import (
	"bytes"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gameday/audit"
	"gameday/report"
	"gameday/room"
	"gameday/room/door"
)

// bring attaches a file, with a text, as somebody of a role.
func (k *rig) bring(role room.Role, name, text string, content []byte) *httptest.ResponseRecorder {
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	_ = form.WriteField("text", text)
	if name != "" {
		part, _ := form.CreateFormFile("file", name)
		_, _ = part.Write(content)
	}
	_ = form.Close()
	r := httptest.NewRequest(http.MethodPost, "http://localhost/evidence", &b)
	r.Header.Set("Content-Type", form.FormDataContentType())
	if c, ok := k.cookies[role]; ok {
		r.AddCookie(&http.Cookie{Name: k.cookie(), Value: c})
	}
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	return w
}

// evidenceRig is a room over a run in which what the run is asked to mark is in its record.
func evidenceRig(t *testing.T, blind bool) (*rig, *grow) {
	t.Helper()
	g := &grow{t: t, dir: t.TempDir()}
	g.plan(small(blind))
	g.add(0, report.RunStarted, report.Started{Run: "r1"})
	k := newRig(t, g.dir)
	k.Asker = askerFunc(func(r room.Request) (string, error) {
		g.add(time.Second, report.Marked, report.Mark{Name: r.Name, By: r.By, Text: r.Text, File: r.File})
		return "marked", nil
	})
	return k, g
}

func (k *rig) reread() {
	k.hub.read()
	k.hub.publish(time.Now(), true)
}

// files returns what lies in a record's folder of evidence.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, report.EvidenceFolder))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// TestEvidence: a file is kept by its sum, told of in the record and the audit log, and sent back as something to save, to those who may
// see it: what a facilitator attaches to a blind run nobody else can fetch, or tell from what is not there, until the run is over.
func TestEvidence(t *testing.T) {
	k, g := evidenceRig(t, true)
	var lines []string
	k.Audit = func(l audit.Line) error { lines = append(lines, l.Why); return nil }
	secret, shown := []byte("<script>the plan</script>"), []byte("what ann saw")
	if w := k.bring(room.Facilitator, `C:\tmp\the plan.HTML`, "for the review", secret); w.Code != http.StatusOK {
		t.Fatalf("a facilitator's file: %d %s", w.Code, w.Body)
	}
	if w := k.bring(room.Responder, "shot\u202e.png", "", shown); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Attached.") {
		t.Fatalf("a responder's file: %d %s", w.Code, w.Body)
	}
	k.reread()
	all := k.hub.frames[room.Facilitator].view.Told.Evidence
	if len(all) != 2 || all[0].File.Name != "the plan.HTML" || all[1].File.Name != "shot .png" || all[0].File.Size != int64(len(secret)) || !strings.HasSuffix(all[0].File.Path, all[0].File.SHA256+".html") {
		t.Fatalf("the record has %+v and %+v", all[0].File, all[1].File)
	}
	at := func(r room.Remark) string { return "/evidence/" + path.Base(r.File.Path) }
	for _, tt := range []struct {
		role room.Role
		path string
		want int
	}{{room.Facilitator, at(all[0]), 200}, {room.Facilitator, at(all[1]), 200}, {room.Responder, at(all[0]), 404}, {room.Responder, at(all[1]), 200},
		{room.Observer, at(all[0]), 404}, {room.Observer, at(all[1]), 200}, {"nobody", at(all[1]), 401}, {room.Facilitator, "/evidence/..%2Fplan.json", 404},
		{room.Facilitator, "/evidence/" + strings.Repeat("0", 64), 404}} {
		w := k.ask(tt.role, http.MethodGet, tt.path, nil)
		if w.Code != tt.want {
			t.Errorf("%s fetching %s: %d, want %d", tt.role, tt.path, w.Code, tt.want)
		}
		if h := w.Header(); w.Code == 200 && (h.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") ||
			!strings.Contains(h.Get("Content-Security-Policy"), "sandbox") || h.Get("X-Content-Type-Options") != "nosniff") {
			t.Errorf("%s is sent as %v", tt.path, h)
		}
	}
	hidden, none := k.ask(room.Responder, http.MethodGet, at(all[0]), nil), k.ask(room.Responder, http.MethodGet, "/evidence/"+strings.Repeat("0", 64), nil)
	if hidden.Body.String() != none.Body.String() || fmt.Sprint(hidden.Header()) != fmt.Sprint(none.Header()) {
		t.Error("what is hidden is told from what is not there")
	}
	if page := k.ask(room.Responder, http.MethodGet, "/", nil).Body.String(); strings.Contains(page, "the plan") || !strings.Contains(page, "shot .png") {
		t.Errorf("the responder's page is\n%s", page)
	}
	if w := k.ask(room.Facilitator, http.MethodGet, at(all[0]), nil); w.Body.String() != string(secret) {
		t.Errorf("a file comes back as %q", w.Body)
	}
	for _, want := range []string{`evidence "evidence" "for the review" "the plan.HTML" "evidence/`, `responder some responder from 192.0.2.1: evidence "evidence" "shot .png"`} {
		if !strings.Contains(strings.Join(lines, "\n"), want) {
			t.Errorf("the audit log lacks %q: %q", want, lines)
		}
	}
	g.add(2*time.Second, report.RunEnded, report.Ended{Reason: report.EndComplete})
	k.reread()
	if w := k.ask(room.Responder, http.MethodGet, at(all[0]), nil); w.Code != 200 {
		t.Errorf("when the run is over a responder fetching what was hidden: %d", w.Code)
	}
	if w := k.bring(room.Facilitator, "after.txt", "", []byte("seen afterwards")); w.Code != 200 {
		t.Errorf("attaching when the run is over: %d %s", w.Code, w.Body)
	}
}

// TestEvidenceIsRefused: what is too large, empty, nobody's or too much is not taken, and leaves nothing behind.
func TestEvidenceIsRefused(t *testing.T) {
	k, g := evidenceRig(t, false)
	k.people.Burst = 1e6
	large := bytes.Repeat([]byte("x"), fileLimit+1)
	for _, tt := range []struct {
		role    room.Role
		name    string
		text    string
		content []byte
		want    int
	}{{room.Facilitator, "large", "", large, http.StatusRequestEntityTooLarge}, {room.Facilitator, "larger", "", append(large, large...), http.StatusRequestEntityTooLarge},
		{room.Responder, "empty", "", nil, http.StatusBadRequest}, {room.Responder, "", "", nil, http.StatusBadRequest}, {room.Observer, "a", "", []byte("a"), http.StatusForbidden},
		{"nobody", "a", "", []byte("a"), http.StatusUnauthorized}, {room.Responder, "a", strings.Repeat("x", textLimit+1), []byte("a"), http.StatusBadRequest}} {
		if w := k.bring(tt.role, tt.name, tt.text, tt.content); w.Code != tt.want {
			t.Errorf("%q of %d bytes by %s: %d, want %d", tt.name, len(tt.content), tt.role, w.Code, tt.want)
		}
	}
	taken := k.Asker
	k.Asker = askerFunc(func(room.Request) (string, error) { return "", errors.New("the run is over") })
	if w := k.bring(room.Facilitator, "a.txt", "", []byte("refused")); w.Code != http.StatusConflict {
		t.Errorf("a mark that the run refuses: %d", w.Code)
	}
	if left := files(t, g.dir); len(left) != 0 {
		t.Errorf("what was refused has left %v", left)
	}
	k.Asker = askerFunc(func(room.Request) (string, error) { return "", room.ErrUnanswered })
	if w := k.bring(room.Facilitator, "a.txt", "", []byte("unanswered")); w.Code != http.StatusGatewayTimeout || len(files(t, g.dir)) != 1 {
		t.Errorf("when nobody knows whether it was marked: %d, kept %v", w.Code, files(t, g.dir))
	}
	k.Asker = taken
	for range 2 {
		if w := k.bring(room.Responder, "twice", "", []byte("the same")); w.Code != http.StatusOK {
			t.Errorf("the same file: %d", w.Code)
		}
	}
	if left := files(t, g.dir); len(left) != 2 {
		t.Errorf("the same file twice is kept as %v", left)
	}
	for n := range 12 {
		k.bring(room.Responder, fmt.Sprint(n), "", append(bytes.Repeat([]byte("x"), fileLimit-10), fmt.Sprint(n)...))
	}
	if w := k.bring(room.Responder, "one more", "", bytes.Repeat([]byte("y"), fileLimit)); w.Code != http.StatusInsufficientStorage {
		t.Errorf("beyond all that there is place for: %d", w.Code)
	}
	k, g = evidenceRig(t, false)
	k.people.Burst = 1e6
	for n := range mostFiles + 5 {
		k.bring(room.Responder, fmt.Sprint(n), "", fmt.Appendf(nil, "small %d", n))
	}
	if left := files(t, g.dir); len(left) != mostFiles {
		t.Errorf("%d files are kept, want %d", len(left), mostFiles)
	}
}

// TestAFullShelfReadsNothing: what there is no place for is not written to the disk first.
func TestAFullShelfReadsNothing(t *testing.T) {
	s := newShelf(t.TempDir())
	for n := range mostFiles {
		if _, _, err := s.take(strings.NewReader(fmt.Sprint("file ", n)), "a.txt"); err != nil {
			t.Fatal(err)
		}
	}
	more := strings.NewReader("one more")
	if _, _, err := s.take(more, "a.txt"); !errors.Is(err, errFull) || more.Len() != len("one more") {
		t.Errorf("beyond all that there is place for: %v, and %d bytes were read", err, len("one more")-more.Len())
	}
}

// TestFetchingWithoutEnd: a file is held to its sum each time, which nobody may have done as often as they like.
func TestFetchingWithoutEnd(t *testing.T) {
	k, _ := evidenceRig(t, false)
	k.bring(room.Facilitator, "a.txt", "", []byte("what fay saw"))
	k.reread()
	*k.people = door.Rate{Burst: 5}
	codes := map[int]int{}
	for range 100 {
		codes[k.ask(room.Observer, http.MethodGet, "/evidence/"+path.Base(k.hub.frames[room.Observer].view.Told.Evidence[0].File.Path), nil).Code]++
	}
	if codes[http.StatusOK] != 5 || codes[http.StatusTooManyRequests] != 95 {
		t.Errorf("a hundred times the same file is answered %v", codes)
	}
}

// TestEvidenceThatChanged is not sent for what was attached; nor is anything that a record names elsewhere, nor what a link leads to.
func TestEvidenceThatChanged(t *testing.T) {
	k, g := evidenceRig(t, false)
	k.bring(room.Facilitator, "a.txt", "", []byte("as it was"))
	outside := filepath.Join(t.TempDir(), strings.Repeat("a", 64))
	if err := os.WriteFile(outside, []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(g.dir, report.EvidenceFolder, strings.Repeat("a", 64))); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"plan.json", "evidence/../plan.json", outside, "evidence/" + strings.Repeat("a", 64)} {
		g.add(time.Second, report.Marked, report.Mark{Name: report.EvidenceMark, By: "fay (facilitator)", File: &report.Attachment{Name: "x", Path: p, Size: 7}})
	}
	k.reread()
	all := k.hub.frames[room.Facilitator].view.Told.Evidence
	first := filepath.Join(g.dir, filepath.FromSlash(all[0].File.Path))
	if err := os.WriteFile(first, []byte("as it is!"), 0o600); err != nil {
		t.Fatal(err)
	}
	for n, want := range []int{http.StatusConflict, 404, 404, 404, 404} {
		if w := k.ask(room.Facilitator, http.MethodGet, "/evidence/"+path.Base(all[n].File.Path), nil); w.Code != want || strings.Contains(w.Body.String(), "outside") {
			t.Errorf("%s: %d, want %d: %s", all[n].File.Path, w.Code, want, w.Body)
		}
	}
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	if w := k.ask(room.Facilitator, http.MethodGet, "/evidence/"+path.Base(all[0].File.Path), nil); w.Code != 404 || !strings.Contains(w.Body.String(), "not in the record any more") {
		t.Errorf("a file that is gone: %d", w.Code)
	}
}

// FuzzCalled: whatever a file is called, its name is short and on one line, and it is kept under a name that every copy of a record takes.
func FuzzCalled(f *testing.F) {
	for _, name := range []string{"a.png", `..\..\x`, "", ".", "/", "a\x00b", strings.Repeat("ö", 80), "x.tar.gz", "x.a/b", "x. ", "\u202egnp.exe"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		n := called(name)
		if n == "" || len(n) > nameLimit || strings.ContainsAny(n, "/\\\n\r\x00\u202e") {
			t.Errorf("%q is called %q", name, n)
		}
		if file := strings.Repeat("0", 64) + ending(name); !kept.MatchString(file) {
			t.Errorf("%q is kept as %q", name, file)
		}
		if d := disposition(n); !strings.HasPrefix(d, "attachment") || strings.ContainsAny(d, "\r\n") {
			t.Errorf("%q is sent as %q", name, d)
		}
	})
}
