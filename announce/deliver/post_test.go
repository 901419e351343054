package deliver

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gameday/announce"
)

// token is the secret in the addresses of the tests. No text may have it, or a part of it, in it.
const token = "T012345678/B0123456789/s3cr3t-0f-the-channel"

// waits counts waits, which take no time.
type waits struct{ all []time.Duration }

func (w *waits) wait(ctx context.Context, d time.Duration) error {
	w.all = append(w.all, d)
	return ctx.Err()
}

// told returns the message that the tests send.
func toldMessage() *announce.Message {
	return &announce.Message{ID: "0123456789abcdef01234567", Event: announce.Ended, Title: "Game day weekly passed", Lines: []string{"checkout: PASSED, 97 of 100"}}
}

// answer is a way in which chats, and what stands in front of them, answer, and what becomes of a message then.
type answer struct {
	name   string
	kind   announce.Kind
	answer func(w http.ResponseWriter, r *http.Request, n int)
	err    string // empty: it is taken
	text   string
	tries  int
	final  bool
	waits  []time.Duration
	after  time.Duration
}

// answers are all ways.
func answers() []answer {
	const ok = "ok"
	return []answer{
		{name: "slack says ok", kind: announce.Slack, answer: func(w http.ResponseWriter, _ *http.Request, _ int) { fmt.Fprint(w, ok) }, text: "200 OK", tries: 1},
		{name: "mattermost says ok", kind: announce.Mattermost, answer: func(w http.ResponseWriter, _ *http.Request, _ int) { fmt.Fprint(w, ok+"\n") }, text: "200 OK", tries: 1},
		{name: "a workflow accepts", kind: announce.Teams, answer: func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusAccepted) }, text: "202 Accepted", tries: 1},
		{name: "a webhook says nothing", kind: announce.Webhook, answer: func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(http.StatusNoContent) }, text: "204 No Content", tries: 1},
		{name: "a login page says 200", kind: announce.Slack, answer: func(w http.ResponseWriter, _ *http.Request, _ int) { fmt.Fprint(w, "<html>Please log in") },
			err: `200 OK, but not "ok" as a webhook of slack says: "<html>Please log in"`, tries: 1, final: true},
		{name: "busy, then ok", kind: announce.Slack, answer: func(w http.ResponseWriter, _ *http.Request, n int) {
			if n < 3 {
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			fmt.Fprint(w, ok)
		}, text: "200 OK", tries: 3, waits: []time.Duration{7 * time.Second, 7 * time.Second}},
		{name: "busy for longer than anybody waits", kind: announce.Slack, answer: func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		}, err: "429 Too Many Requests, it asks to wait 1h", tries: 1, after: time.Hour},
		{name: "broken", kind: announce.Mattermost, answer: func(w http.ResponseWriter, r *http.Request, _ int) {
			http.Error(w, "panic at "+r.URL.String()+" in "+r.URL.Path[10:], http.StatusInternalServerError)
		}, err: `500 Internal Server Error: "panic at ***`, tries: 5, waits: []time.Duration{1e9, 2e9, 4e9, 8e9}},
		{name: "broken once", kind: announce.Webhook, answer: func(w http.ResponseWriter, _ *http.Request, n int) {
			if n == 1 {
				w.WriteHeader(http.StatusBadGateway)
			}
		}, text: "200 OK", tries: 2, waits: []time.Duration{1e9}},
		{name: "gone", kind: announce.Slack, answer: func(w http.ResponseWriter, _ *http.Request, _ int) { http.Error(w, "no_service", http.StatusNotFound) },
			err: `404 Not Found: "no_service"; is the webhook still there?`, tries: 1, final: true},
		{name: "refused", kind: announce.Slack, answer: func(w http.ResponseWriter, _ *http.Request, _ int) {
			http.Error(w, "invalid_blocks", http.StatusBadRequest)
		},
			err: `400 Bad Request: "invalid_blocks"`, tries: 1, final: true},
		{name: "elsewhere", kind: announce.Teams, answer: func(w http.ResponseWriter, r *http.Request, _ int) {
			http.Redirect(w, r, "https://login.example.com/"+token+"?next="+r.URL.Path, http.StatusTemporaryRedirect)
		}, err: "307 Temporary Redirect to login.example.com, where nothing is sent", tries: 1, final: true},
		{name: "cut off", kind: announce.Slack, answer: func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "o")
		}, text: "200 OK, and its answer broke off", tries: 1},
		{name: "cut off before it answers", kind: announce.Slack, answer: func(http.ResponseWriter, *http.Request, int) { panic(http.ErrAbortHandler) }, err: "EOF", tries: 5,
			waits: []time.Duration{1e9, 2e9, 4e9, 8e9}},
		{name: "huge", kind: announce.Webhook, answer: func(w http.ResponseWriter, _ *http.Request, _ int) {
			for range 4096 {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 64<<10)); err != nil {
					return // it stops reading
				}
			}
		}, text: "200 OK", tries: 1},
		{name: "huge and broken", kind: announce.Webhook, answer: func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.WriteHeader(http.StatusForbidden)
			for range 4096 {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 64<<10)); err != nil {
					return
				}
			}
		}, err: `403 Forbidden: "xxxx`, tries: 1, final: true},
	}
}

// TestAnswers sends to servers that answer in every way.
func TestAnswers(t *testing.T) {
	for _, tt := range answers() {
		t.Run(tt.name, func(t *testing.T) {
			var n atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					t.Error(err)
				}
				tt.answer(w, r, int(n.Add(1)))
			}))
			defer server.Close()
			w := &waits{}
			s := &Sender{Getenv: func(string) string { return server.URL + "/services/" + token }, Patience: time.Minute, Wait: w.wait}
			out := s.Send(t.Context(), &announce.Channel{Kind: tt.kind, Name: "sre", Address: announce.Secret{Env: "URL"}}, toldMessage())
			if tt.err == "" && out.Err != nil || tt.err != "" && (out.Err == nil || !strings.Contains(out.Err.Error(), tt.err)) {
				t.Errorf("it says %v, want %q", out.Err, tt.err)
			}
			if out.Text != tt.text || out.Tries != tt.tries || int(n.Load()) != tt.tries || out.Final != tt.final || out.After != tt.after {
				t.Errorf("it is %+v after %d requests; want %q after %d, final %v, after %s", out, n.Load(), tt.text, tt.tries, tt.final, tt.after)
			}
			if fmt.Sprint(w.all) != fmt.Sprint(tt.waits) {
				t.Errorf("it waited %v, want %v", w.all, tt.waits)
			}
			for _, part := range append(strings.Split(token, "/"), token) {
				if text := fmt.Sprint(out.Err, out.Text); strings.Contains(text, part) {
					t.Errorf("%q has %q in it", text, part)
				}
			}
		})
	}
}

// TestSilence waits for a server that never answers for no longer than it may.
func TestSilence(t *testing.T) {
	hold := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer server.Close()
	defer close(hold)
	s := &Sender{Getenv: func(string) string { return server.URL + "/" + token }, Timeout: 50 * time.Millisecond}
	c := &announce.Channel{Kind: announce.Slack, Name: "sre", Address: announce.Secret{Env: "URL"}}
	out := s.Send(t.Context(), c, toldMessage())
	if out.Err == nil || out.Err.Error() != "no answer within 50ms" || out.Tries != 1 || out.Final {
		t.Errorf("it is %+v", out)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if out := s.Send(ctx, c, toldMessage()); out.Err == nil || out.Err.Error() != errBroken.Error() {
		t.Errorf("broken off it is %+v", out)
	}
}

// TestSigned posts to a webhook by TLS with a certificate of its own, and verifies the signature as a receiver does.
func TestSigned(t *testing.T) {
	const key = "a-key-of-sixteen-characters-at-least"
	var problem atomic.Value
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		unix, err := strconv.ParseInt(r.Header.Get("X-Gameday-Timestamp"), 10, 64)
		if err != nil {
			t.Errorf("the timestamp is %q: %v", r.Header.Get("X-Gameday-Timestamp"), err)
		}
		at := time.Unix(unix, 0)
		if age := time.Since(at); age < 0 || age > time.Minute {
			t.Errorf("it was signed %s ago", age)
		}
		if got := r.Header.Get("X-Gameday-Signature"); got != Sign(key, at, body) || got == Sign(key+"x", at, body) || got == Sign(key, at.Add(time.Second), body) {
			t.Errorf("the signature is %q", got)
		}
		var m struct {
			Format int       `json:"format"`
			ID     string    `json:"id"`
			Sent   time.Time `json:"sent_at"`
			Event  string    `json:"event"`
		}
		if err := json.Unmarshal(body, &m); err != nil || m.Format != 1 || m.ID != r.Header.Get("X-Gameday-Id") || m.Event != "ended" || time.Since(m.Sent) > time.Minute {
			t.Errorf("the body is %s: %v", body, err)
		}
		problem.Store("")
	}))
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Sender{Getenv: func(string) string { return key }}
	c := &announce.Channel{Kind: announce.Webhook, Name: "board", Address: announce.Secret{Text: server.URL + "/hooks"}, Secret: announce.Secret{Env: "KEY"}}
	if out := s.Send(t.Context(), c, toldMessage()); out.Err == nil || !strings.Contains(out.Err.Error(), "certificate") {
		t.Errorf("without its certificate it is %+v", out)
	}
	c.CAFile = ca
	if out := s.Send(t.Context(), c, toldMessage()); out.Err != nil || problem.Load() == nil {
		t.Errorf("it is %+v", out)
	}
}

// TestRetryAfter reads how long servers ask to wait.
func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{"": 0, "30": 30 * time.Second, "0": 0, "-5": 0, "soon": 0, "Tue, 01 Dec 2026 10:02:00 GMT": 2 * time.Minute,
		"Tue, 01 Dec 2026 09:00:00 GMT": 0, "99999999999999999999": mostAfter, "1.5": 1500 * time.Millisecond, "NaN": 0} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

// TestMissing names what is not there, and never what is.
func TestMissing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	if err := os.WriteFile(file, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"GOOD": "https://hooks.example.com/" + token, "CLEAR": "http://hooks.example.com/" + token, "USER": "https://ann:s3cr3t@hooks.example.com/", "JUNK": token}
	s := &Sender{Getenv: func(name string) string { return env[name] }}
	for _, tt := range []struct {
		c    announce.Channel
		want string
	}{
		{announce.Channel{Kind: announce.Slack, Address: announce.Secret{Env: "GOOD"}}, ""},
		{announce.Channel{Kind: announce.Slack, Address: announce.Secret{Env: "NOT"}}, "$NOT is not set"},
		{announce.Channel{Kind: announce.Slack, Address: announce.Secret{Env: "CLEAR"}}, "what $CLEAR holds begins with http://"},
		{announce.Channel{Kind: announce.Slack, Address: announce.Secret{Env: "USER"}}, "has a user name or a password in its address"},
		{announce.Channel{Kind: announce.Slack, Address: announce.Secret{Env: "JUNK"}}, "is not an address"},
		{announce.Channel{Kind: announce.Webhook, Address: announce.Secret{Text: "https://example.com/"}, Secret: announce.Secret{File: file}}, "is empty"},
		{announce.Channel{Kind: announce.Email, Secret: announce.Secret{File: filepath.Join(dir, "none")}}, "no such file"},
		{announce.Channel{Kind: announce.Email, Secret: announce.Secret{File: filepath.Join(dir, "s3cr3t")}}, "reading the file that password_file names: no such file"},
		{announce.Channel{Kind: announce.Webhook, Address: announce.Secret{Text: "https://example.com/"}, Secret: announce.Secret{File: filepath.Join(dir, "s3cr3t")}}, "reading the file that secret_file names: no such file"},
		{announce.Channel{Kind: announce.Slack, Address: announce.Secret{File: filepath.Join(dir, "s3cr3t")}}, "reading the file that url_file names: no such file"},
		{announce.Channel{Kind: announce.Email, CAFile: file}, "has no certificate in PEM"},
	} {
		got := strings.Join(s.Missing(&tt.c), "; ")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) || strings.Contains(got, "s3cr3t") {
			t.Errorf("of %+v it says %q, want %q", tt.c, got, tt.want)
		}
	}
	if out := s.Send(t.Context(), &announce.Channel{Kind: announce.Slack, Address: announce.Secret{Env: "NOT"}}, toldMessage()); out.Err == nil || out.Final || out.Err.Error() != "$NOT is not set" {
		t.Errorf("without its secret it is %+v; whoever comes next may have it", out)
	}
}
