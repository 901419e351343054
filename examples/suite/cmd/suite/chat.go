package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"slices"
	"sync"
)

const (
	mostChannels = 100
	mostMessages = 1_000 // of a channel
)

// chat is a place to talk in writing, in memory. It is safe for concurrent use.
type chat struct {
	mu       sync.Mutex
	names    []string // of the channels, as they were opened
	messages map[string][]said
}

// said is one message.
type said struct {
	By   string `json:"by"`
	Text string `json:"text"`
}

// chatRole serves a chat until ctx ends.
func chatRole(ctx context.Context, args []string, log io.Writer) error {
	flags := flag.NewFlagSet("chat", flag.ContinueOnError)
	listen := flags.String("listen", ":9404", "address to serve on")
	if err := parse(flags, args, log); err != nil {
		return err
	}
	return serve(ctx, *listen, newChat().routes(), log)
}

func newChat() *chat { return &chat{messages: map[string][]said{}} }

// routes: GET /channels lists them, POST /channels/{name} says something in one and opens it if need be, GET
// /channels/{name} reads it.
func (c *chat) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("GET /channels", func(w http.ResponseWriter, _ *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		answer(w, http.StatusOK, append([]string{}, c.names...))
	})
	mux.HandleFunc("GET /channels/{name}", func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		answer(w, http.StatusOK, append([]said{}, c.messages[r.PathValue("name")]...))
	})
	mux.HandleFunc("POST /channels/{name}", func(w http.ResponseWriter, r *http.Request) {
		var m said
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil || m.By == "" || m.Text == "" {
			fail(w, http.StatusBadRequest, `say who and what: {"by": "ann", "text": "…"}`)
			return
		}
		if !c.say(r.PathValue("name"), m) {
			fail(w, http.StatusInsufficientStorage, "the chat is full")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// say adds a message, unless there is no room.
func (c *chat) say(channel string, m said) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.names, channel) {
		if len(c.names) >= mostChannels {
			return false
		}
		c.names = append(c.names, channel)
	}
	if len(c.messages[channel]) >= mostMessages {
		return false
	}
	c.messages[channel] = append(c.messages[channel], m)
	return true
}
