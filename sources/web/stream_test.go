package web

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gameday/internal/piperig"
)

// TestStream hands over an answer as it comes, and words every way to fail with the address and without a secret.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		more := make(chan struct{})
		server := piperig.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			question, _ := io.ReadAll(r.Body)
			switch r.URL.Path {
			case "/slow":
				<-r.Context().Done()
			case "/no":
				http.Error(w, "you sent "+r.Header.Get("Authorization"), http.StatusBadRequest)
			default:
				io.WriteString(w, r.Header.Get("Accept")+" "+string(question)+"\n")
				w.(http.Flusher).Flush()
				select {
				case <-more:
					io.WriteString(w, "more\n")
				case <-r.Context().Done():
				}
			}
		}))
		const url = "http://far.example"
		c, err := New(Options{URL: url, Token: "hush-hush", Timeout: 200 * time.Millisecond, Accept: "application/json", Transport: server.Transport()})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		body, err := c.Stream(t.Context(), "/", map[string]int{"a": 1})
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(body)
		first, err := lines.ReadString('\n')
		if err != nil || first != "application/json {\"a\":1}\n" {
			t.Errorf("%q, %v", first, err)
		}
		time.AfterFunc(300*time.Millisecond, func() { close(more) }) // the limit is for the beginning alone
		if second, err := lines.ReadString('\n'); err != nil || second != "more\n" {
			t.Errorf("%q, %v", second, err)
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
		for path, says := range map[string]string{"/slow": "no answer within 200ms", "/no": `400 Bad Request: "you sent Bearer ***"`} {
			if _, err := c.Stream(t.Context(), path, nil); err == nil || !strings.HasPrefix(err.Error(), "POST "+url+path+": "+says) {
				t.Errorf("%s: %v", path, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Stream(ctx, "/", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled question is %v", err)
		}
	})
}
