package told

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gameday/announce"
	"gameday/internal/gcrig"
)

var start = time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)

// TestMain lets the test binary be a sender that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("TOLD_HANGS_IN"); dir != "" {
		f, err := Open(dir)
		if err != nil {
			panic(err)
		}
		_, _, _ = f.Flush(context.Background(), func() time.Time { return start }, "the killed one", all, func(ctx context.Context, _ announce.Draft) announce.Outcome {
			fmt.Println("at it")
			<-ctx.Done() // never
			return announce.Outcome{}
		})
		os.Exit(1)
	}
	if dir := os.Getenv("TOLD_SENDS_FROM"); dir != "" {
		f, err := Open(dir)
		if err == nil {
			_, _, err = f.Flush(context.Background(), func() time.Time { return start }, "one of many", all, func(ctx context.Context, d announce.Draft) announce.Outcome {
				response, err := http.Post(os.Getenv("TOLD_SENDS_TO")+"/"+d.Key, "text/plain", nil)
				if err != nil {
					return announce.Outcome{Err: err}
				}
				response.Body.Close()
				return announce.Outcome{Text: response.Status}
			})
		}
		if err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func all(string) bool { return true }

func draft(key string) announce.Draft {
	return announce.Draft{Key: key, Channel: "slack.sre", Message: announce.Message{ID: key, Event: announce.Ended, Title: "Game day passed"}}
}

func open(t *testing.T) *Folder {
	t.Helper()
	f, err := Open(filepath.Join(t.TempDir(), "announcements"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func post(t *testing.T, f *Folder, d announce.Draft, want bool) {
	t.Helper()
	if fresh, err := f.Post(d, start); err != nil || fresh != want {
		t.Fatalf("posting %s: fresh %v, %v", d.Key, fresh, err)
	}
}

// flush sends by a function at an instant, and returns what is said of it.
func flush(t *testing.T, f *Folder, now time.Time, send Send) (string, time.Time) {
	t.Helper()
	done, next, err := f.Flush(t.Context(), func() time.Time { return now }, "ann", all, send)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range done {
		out = append(out, r.Draft.Key+" "+r.Line.What)
	}
	return strings.Join(out, ", "), next
}

func takes(context.Context, announce.Draft) announce.Outcome {
	return announce.Outcome{Text: "200 OK", Tries: 1}
}

func fails(context.Context, announce.Draft) announce.Outcome {
	return announce.Outcome{Err: errors.New("502"), Tries: 5}
}

// TestOnce tells a message once, however often it is posted and flushed, and by however many at once.
func TestOnce(t *testing.T) {
	f := open(t)
	post(t, f, draft("a"), true)
	post(t, f, draft("a"), false)
	var sent atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			other, err := Open(f.dir)
			if err == nil {
				_, _, err = other.Flush(t.Context(), time.Now, "ann", all, func(ctx context.Context, d announce.Draft) announce.Outcome {
					sent.Add(1)
					return takes(ctx, d)
				})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if sent.Load() != 1 {
		t.Errorf("it was sent %d times", sent.Load())
	}
	list, err := f.List()
	if err != nil || len(list) != 1 || list[0].Last().What != Delivered || list[0].Last().Why != "200 OK" || list[0].Lines[0].What != Sending {
		t.Errorf("%+v, %v", list, err)
	}
	post(t, f, draft("a"), false)
	if said, _ := flush(t, f, time.Now(), fails); said != "" {
		t.Errorf("told again: %s", said)
	}
}

// TestNeedless tells nothing of which another message makes that it is of no use, whenever that one comes.
func TestNeedless(t *testing.T) {
	f := open(t)
	late, early := draft("late"), draft("early")
	late.Unless, early.Unless = "ended", "ended"
	post(t, f, early, true)
	post(t, f, draft("ended"), true)
	post(t, f, late, false)
	if said, _ := flush(t, f, start, takes); said != "ended delivered" {
		t.Errorf("it says %q", said)
	}
	if k, err := read(filepath.Join(f.dir, "early.jsonl")); err != nil || k.Last().What != Expired {
		t.Errorf("%+v, %v", k, err)
	}
}

// TestRounds tries again after longer and longer pauses, as long as it is of use, and then says that it has given up.
func TestRounds(t *testing.T) {
	f := open(t)
	post(t, f, draft("a"), true)
	now, rounds := start, 0
	var pauses []time.Duration
	for {
		said, next := flush(t, f, now, fails)
		rounds++
		if said == "a given up" {
			break
		}
		if said != "a failed" || rounds > 20 {
			t.Fatalf("round %d: %q", rounds, said)
		}
		list, err := f.List()
		if err != nil {
			t.Fatal(err)
		}
		at := list[0].Last().Next
		if said, again := flush(t, f, at.Add(-time.Second), takes); said != "" || !again.Equal(at) {
			t.Fatalf("too early: %q, next %s", said, again)
		}
		_ = next
		pauses = append(pauses, at.Sub(now))
		now = at
	}
	if rounds != mostRounds || pauses[0] != time.Minute || pauses[3] != 8*time.Minute || pauses[10] != time.Hour {
		t.Errorf("%d rounds, with the pauses %v", rounds, pauses)
	}
	if said, next := flush(t, f, now.AddDate(1, 0, 0), takes); said != "" || !next.IsZero() {
		t.Errorf("after it was given up: %q, %s", said, next)
	}
}

// TestTimes holds what may not be told yet, and lets go of what is of no use any more.
func TestTimes(t *testing.T) {
	f := open(t)
	d := draft("later")
	d.NotBefore, d.Expires = start.Add(time.Hour), start.Add(2*time.Hour)
	post(t, f, d, true)
	if said, next := flush(t, f, start, takes); said != "" || !next.Equal(d.NotBefore) {
		t.Errorf("before its time: %q, %s", said, next)
	}
	if said, _ := flush(t, f, d.NotBefore, func(context.Context, announce.Draft) announce.Outcome {
		return announce.Outcome{Err: errors.New("busy"), After: 30 * time.Minute}
	}); said != "later failed" {
		t.Error(said)
	}
	if said, next := flush(t, f, d.NotBefore.Add(29*time.Minute), takes); said != "" || !next.Equal(d.NotBefore.Add(30*time.Minute)) {
		t.Errorf("sooner than the server asks: %q, %s", said, next)
	}
	if said, _ := flush(t, f, d.Expires.Add(time.Second), takes); said != "later expired" {
		t.Error(said)
	}
	post(t, f, announce.Draft{Key: "final", Channel: "slack.sre"}, true)
	if said, _ := flush(t, f, start, func(context.Context, announce.Draft) announce.Outcome {
		return announce.Outcome{Err: errors.New("404"), Final: true}
	}); said != "final given up" {
		t.Error(said)
	}
	e := draft("soon of no use")
	e.Key, e.Expires = "useless", start.Add(30*time.Second)
	post(t, f, e, true)
	if said, _ := flush(t, f, start, fails); said != "useless given up" {
		t.Error(said)
	}
}

// TestOrder sends what is for one channel in order, and stops at the first that fails; other channels are told meanwhile.
func TestOrder(t *testing.T) {
	f := open(t)
	for i, key := range []string{"third", "first", "second"} {
		d := draft(key)
		d.NotBefore = start.Add(time.Duration([]int{3, 1, 2}[i]) * time.Minute)
		post(t, f, d, true)
	}
	other := draft("other")
	other.Channel = "teams.sre"
	post(t, f, other, true)
	var mu sync.Mutex
	var order []string
	said, _ := flush(t, f, start.Add(time.Hour), func(ctx context.Context, d announce.Draft) announce.Outcome {
		mu.Lock()
		defer mu.Unlock()
		if order = append(order, d.Key); d.Key == "second" {
			return fails(ctx, d)
		}
		return takes(ctx, d)
	})
	if said != "first delivered, other delivered, second failed" {
		t.Errorf("%s; it was tried: %v", said, order)
	}
	if said, _ := flush(t, f, start.Add(2*time.Hour), takes); said != "second delivered, third delivered" {
		t.Error(said)
	}
	strange := draft("strange")
	strange.Channel = "slack.gone"
	post(t, f, strange, true)
	done, _, err := f.Flush(t.Context(), time.Now, "ann", func(id string) bool { return id == "slack.sre" }, takes)
	if err != nil || len(done) != 0 {
		t.Errorf("a channel that nobody has any more: %v, %v", done, err)
	}
}

// TestKilled kills a sender with SIGKILL in the middle: whoever comes next tells the message, and a line that was torn does not count.
func TestKilled(t *testing.T) {
	f := open(t)
	post(t, f, draft("a"), true)
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "TOLD_HANGS_IN="+f.dir)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "at it\n" {
		t.Fatalf("it says %q: %v", line, err)
	}
	if said, _ := flush(t, f, start, takes); said != "" {
		t.Errorf("while somebody is at it: %s", said)
	}
	if err := c.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err == nil {
		t.Fatal("it was not killed")
	}
	path := filepath.Join(f.dir, "a.jsonl")
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(`{"at":"2026-12-01T10:00:01Z","what":"deliv`); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if said, _ := flush(t, f, start, takes); said != "a delivered" {
		t.Errorf("after its death: %q", said)
	}
	list, err := f.List()
	if err != nil || len(list[0].Lines) != 3 || list[0].Lines[0].By != "the killed one" {
		t.Errorf("%+v, %v", list, err)
	}
}

// TestUnread names a file that has no message, and tells the others.
func TestUnread(t *testing.T) {
	f := open(t)
	post(t, f, draft("good"), true)
	if err := os.WriteFile(filepath.Join(f.dir, "bad.jsonl"), []byte("{\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	done, _, err := f.Flush(t.Context(), time.Now, "ann", all, takes)
	if len(done) != 1 || err == nil || !strings.Contains(err.Error(), "bad.jsonl has no message") {
		t.Errorf("%v, %v", done, err)
	}
	for _, key := range []string{"", "../up", "a/b", ".hidden", strings.Repeat("x", 300), "new\nline"} {
		if _, err := f.Post(draft(key), start); err == nil {
			t.Errorf("%q names a file", key)
		}
	}
	if info, err := os.Stat(f.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others can read the folder: %v, %v", info.Mode(), err)
	}
}

// TestWatch tells a message that watches a run only when that is over, and lets go of it when it is dropped.
func TestWatch(t *testing.T) {
	f := open(t)
	fates := map[string]Fate{}
	f.Fate = func(watch string) Fate { return fates[watch] }
	for _, name := range []string{"unknown", "going", "ended", "died", "dropped"} {
		d := draft(name)
		d.Watch = name
		post(t, f, d, true)
	}
	fates["going"], fates["ended"], fates["died"], fates["dropped"] = FateGoesOn, FateEnded, FateDied, FateDied
	for _, key := range []string{"dropped", "dropped", "never-posted"} {
		if err := f.Drop(key, "it has ended", "ann", start); err != nil {
			t.Error(err)
		}
	}
	if said, _ := flush(t, f, start, takes); said != "died delivered, ended delivered" {
		t.Error(said)
	}
	fates["going"] = FateDied
	if said, _ := flush(t, f, start, takes); said != "going delivered" {
		t.Errorf("when another one has died: %s", said)
	}
	if err := f.Drop("died", "too late", "ann", start); err != nil {
		t.Error(err)
	}
	list, err := f.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list {
		if want := map[string]string{"died": Delivered, "going": Delivered, "ended": Delivered, "dropped": Expired}[k.Draft.Key]; k.Last().What != want {
			t.Errorf("%s is %q, want %q", k.Draft.Key, k.Last().What, want)
		}
	}
	g := open(t)
	d := draft("watches")
	d.Watch = "anything"
	post(t, g, d, true)
	if said, _ := flush(t, g, start, takes); said != "" {
		t.Errorf("where nobody knows of runs: %s", said)
	}
}

// TestNotReady leaves what cannot be told from here as it is, however often somebody looks who cannot, to whoever can. What is of no use any more is let go of.
func TestNotReady(t *testing.T) {
	f := open(t)
	post(t, f, draft("a"), true)
	old := draft("old")
	old.Expires = start.Add(time.Hour)
	post(t, f, old, true)
	f.Ready = func(channel string) bool { return channel != "slack.sre" }
	for i := range 2 * mostRounds {
		if said, _ := flush(t, f, start.Add(time.Duration(i)*time.Minute), fails); said != "" {
			t.Fatalf("it says %q", said)
		}
	}
	if said, _ := flush(t, f, start.Add(2*time.Hour), takes); said != "old expired" {
		t.Errorf("it says %q", said)
	}
	if k, err := read(filepath.Join(f.dir, "a.jsonl")); err != nil || len(k.Lines) != 0 {
		t.Errorf("%+v, %v", k, err)
	}
	f.Ready = nil
	if said, _ := flush(t, f, start.Add(3*time.Hour), takes); said != "a delivered" {
		t.Errorf("whoever can tell it says %q", said)
	}
}

// TestWatching keeps a message from everybody as long as whoever would tell its end lives, whatever became of its run.
func TestWatching(t *testing.T) {
	f := open(t)
	f.Fate = func(string) Fate { return FateEnded }
	watch := func(key string) *Watching {
		t.Helper()
		d := draft(key)
		d.Watch = key
		w, err := f.Watch(d, start)
		if err != nil || w == nil {
			t.Fatalf("watching %s: %v %v", key, w, err)
		}
		return w
	}
	dropped, died := watch("dropped"), watch("died")
	again := draft("died")
	if w, err := f.Watch(again, start); w != nil || err != nil {
		t.Errorf("watched twice: %v, %v", w, err)
	}
	if said, _ := flush(t, f, start, takes); said != "" {
		t.Errorf("while whoever tells it lives, it is told: %s", said)
	}
	if err := errors.Join(dropped.Drop("it has ended", "ann", start), died.file.Close()); err != nil { // as the death of its process does
		t.Fatal(err)
	}
	if said, _ := flush(t, f, start, takes); said != "died delivered" {
		t.Errorf("then it says %q", said)
	}
	if k, err := read(filepath.Join(f.dir, "dropped.jsonl")); err != nil || k.Last().What != Expired || k.Last().By != "ann" {
		t.Errorf("%+v, %v", k, err)
	}
}

// TestForgotten has nobody refer to what is watched: the message is kept from everybody all the same, as long as this process lives.
func TestForgotten(t *testing.T) {
	f := open(t)
	f.Fate = func(string) Fate { return FateEnded }
	d := draft("watched")
	d.Watch = "run"
	if _, err := f.Watch(d, start); err != nil {
		t.Fatal(err)
	}
	gcrig.Collect(t)
	if said, _ := flush(t, f, start, takes); said != "" {
		t.Errorf("while whoever tells it lives, it is told: %s", said)
	}
}

// TestKilledAgainAndAgain kills the sender, with SIGKILL, at every other message: while the server has it and has not answered. One after the other goes on. Each
// message is told; those that were under way when their sender died are told once more, and no other is told twice.
func TestKilledAgainAndAgain(t *testing.T) {
	const messages = 12
	f := open(t)
	for i := range messages {
		post(t, f, draft(fmt.Sprintf("m%02d", i)), true)
	}
	var mu sync.Mutex
	told := map[string]int{}
	var sender *os.Process
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		key := strings.Trim(r.URL.Path, "/")
		if told[key]++; told[key] == 1 && (key[2]-'0')%2 == 0 {
			if err := sender.Kill(); err != nil {
				t.Error(err)
			}
		}
	}))
	defer server.Close()
	deaths := 0
	for {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "TOLD_SENDS_FROM="+f.dir, "TOLD_SENDS_TO="+server.URL)
		mu.Lock()
		err := c.Start()
		sender = c.Process
		mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		if c.Wait() == nil {
			break
		}
		if deaths++; deaths > messages {
			t.Fatal("it dies without being killed")
		}
	}
	list, err := f.List()
	if err != nil || len(list) != messages || deaths != messages/2 {
		t.Fatalf("%d messages after %d deaths: %v", len(list), deaths, err)
	}
	for i, k := range list {
		if want := 2 - i%2; k.Last().What != Delivered || told[k.Draft.Key] != want {
			t.Errorf("%s is %q, told %d times, want %d", k.Draft.Key, k.Last().What, told[k.Draft.Key], want)
		}
	}
}
