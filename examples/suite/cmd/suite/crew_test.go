package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// crewDesk is a desk with one page, for ann, and a service that can be helped.
type crewDesk struct {
	done []string // "acknowledge ann", and by which channel; "remedy"
}

func (r *crewDesk) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/pages" {
		_, _ = io.WriteString(w, `[{"id":"1","state":"open","events":[{"kind":"opened"},{"kind":"notified","targets":["ann"]}]},
			{"id":"2","state":"open","events":[{"kind":"notified","targets":["cy"]}]},
			{"id":"3","state":"resolved","events":[{"kind":"notified","targets":["ann"]}]}]`)
		return
	}
	if req.URL.Path == "/later" {
		r.done = append(r.done, "remedy")
		return
	}
	var body struct{ By, Channel string }
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	parts := strings.Split(req.URL.Path, "/")
	r.done = append(r.done, strings.TrimSpace(fmt.Sprint("page ", parts[2], " ", parts[3], " ", body.By, " ", body.Channel)))
}

// With a chat they meet there. Without one they meet in a call, if they have agreed on one, and else when the chat is back.
func TestCrew(t *testing.T) {
	met := func(by, joined string) []string {
		return []string{"page 1 acknowledge ann", "page 1 " + by + " ann " + joined, "page 1 join bob " + map[string]string{"phone": "bridge", "chat": "chat"}[joined], "remedy"}
	}
	tests := []struct {
		name     string
		without  string
		chatFrom int // the round in which the chat comes back
		want     []string
	}{
		{"chat", "wait", 0, met("channel", "chat")},
		{"chat, and a call agreed on", "bridge", 0, met("channel", "chat")},
		{"no chat", "wait", 99, []string{"page 1 acknowledge ann"}},
		{"no chat, and a call agreed on", "bridge", 99, met("bridge", "phone")},
		{"the chat comes back", "wait", 5, met("channel", "chat")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			desk := &crewDesk{}
			service := httptest.NewServer(desk)
			defer service.Close()
			round, talk := 0, newChat().routes()
			chat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if round < tt.chatFrom {
					http.Error(w, "away", http.StatusBadGateway)
					return
				}
				talk.ServeHTTP(w, r)
			}))
			defer chat.Close()
			c, err := parseCrew([]string{"-desk", service.URL, "-chat", chat.URL, "-remedy", service.URL + "/later", "-without-chat", tt.without}, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			for round = range 8 {
				c.look(t.Context())
				c.listen(t.Context())
			}
			if !slices.Equal(desk.done, tt.want) {
				t.Errorf("done %q, want %q", desk.done, tt.want)
			}
		})
	}
}

func TestCrewFlags(t *testing.T) {
	for _, args := range []string{"-desk x", "-chat ftp://x", "-remedy http://", "-lead bob", "-expert=", "-pace 1ms", "-without-chat pray"} {
		if _, err := parseCrew(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%s: no error", args)
		}
	}
}

func TestChat(t *testing.T) {
	c := newChat()
	h := c.routes()
	for body, want := range map[string]int{`{"by":"ann","text":"@bob"}`: http.StatusNoContent, `{"by":"ann"}`: http.StatusBadRequest, `ann`: http.StatusBadRequest} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/channels/incident-1", strings.NewReader(body)))
		if rec.Code != want {
			t.Errorf("saying %s: %d %s, want %d", body, rec.Code, rec.Body, want)
		}
	}
	for path, want := range map[string]string{"/channels": `["incident-1"]`, "/channels/incident-1": `[{"by":"ann","text":"@bob"}]`, "/channels/other": "[]"} {
		if code, body := get(h, http.MethodGet, path); code != http.StatusOK || strings.TrimSpace(body) != want {
			t.Errorf("%s: %d %s, want %s", path, code, body, want)
		}
	}
	for n := range mostMessages {
		c.say("incident-1", said{By: "ann", Text: fmt.Sprint(n)})
	}
	if c.say("incident-1", said{By: "ann", Text: "one more"}) || len(c.messages["incident-1"]) != mostMessages {
		t.Errorf("it holds %d messages, want %d", len(c.messages["incident-1"]), mostMessages)
	}
	for n := range mostChannels {
		c.say(fmt.Sprint(n), said{By: "ann", Text: "hello"})
	}
	if len(c.names) != mostChannels || len(c.messages) != mostChannels {
		t.Errorf("it holds %d channels, want %d", len(c.names), mostChannels)
	}
}
