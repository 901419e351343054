package desk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"gameday/responders"
)

const (
	actionLimit  = 64 << 10 // bytes of an action's body
	webhookLimit = 4 << 20  // bytes of a webhook's body
)

// Handler returns the desk's HTTP interface:
//
//	POST /webhook                 an Alertmanager webhook, version 4
//	GET  /pages                   all pages
//	GET  /pages/{id}              one page
//	GET  /pages/{id}/events       its events
//	GET  /pages/{id}/runbook      to the alarm's runbook; ?by=ann says who opens it
//	POST /pages/{id}/{action}     {"by": "ann", "text": "…", "kind": "human"}; id "newest" is the newest open page
//
// Everything is JSON; a refusal is {"error": "…"}. Bodies must be declared as application/json, which no foreign web
// page can make a browser send without asking.
func (s *Source) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /webhook", s.postWebhook)
	mux.HandleFunc("GET /pages", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, s.Pages()) })
	mux.HandleFunc("GET /pages/{id}", s.getPage)
	mux.HandleFunc("GET /pages/{id}/events", s.getPage)
	mux.HandleFunc("GET /pages/{id}/runbook", s.getRunbook)
	mux.HandleFunc("POST /pages/{id}/{action}", s.postAction)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		complain(w, http.StatusNotFound, fmt.Sprintf(
			"%s %s is nothing here; there are POST /webhook, GET /pages, GET /pages/{id}, POST /pages/{id}/{%s}",
			r.Method, r.URL.Path, words()))
	})
	return mux
}

// postWebhook takes a webhook.
func (s *Source) postWebhook(w http.ResponseWriter, r *http.Request) {
	body, ok := receiveBody(w, r, webhookLimit)
	if !ok {
		return
	}
	hook, err := decode(body)
	if err != nil {
		complain(w, http.StatusBadRequest, err.Error())
		return
	}
	if err := s.receive(hook); err != nil {
		complain(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

// getPage shows a page, or its events.
func (s *Source) getPage(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	p, err := s.find(name(r))
	var shown Page
	if err == nil {
		shown = p.snapshot()
	}
	s.mu.Unlock()
	switch {
	case err != nil:
		complainOf(w, err)
	case r.Pattern == "GET /pages/{id}/events":
		answer(w, http.StatusOK, shown.Events)
	default:
		answer(w, http.StatusOK, shown)
	}
}

// getRunbook sends somebody on to the runbook that the page's alarm names, and books that it was opened. Who it was is what
// the address says; without it somebody did.
func (s *Source) getRunbook(w http.ResponseWriter, r *http.Request) {
	looked := r.Method == http.MethodHead || strings.Contains(r.Header.Get("Sec-Purpose")+r.Header.Get("Purpose"), "prefetch")
	s.mu.Lock()
	p, err := s.find(name(r))
	to := ""
	if err == nil {
		to = p.Notes[runbookNote]
		at, bad := url.Parse(to)
		if bad != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
			err = refuse(http.StatusNotFound, "the alarm of page %s has no runbook: its annotation %s is %q", p.ID, runbookNote, to)
		}
	}
	by := strings.TrimSpace(r.URL.Query().Get("by"))
	switch {
	case err != nil:
	case looked: // whether the link leads somewhere, and nobody reads it
	case len(by) > longestName || !printable(by):
		err = refuse(http.StatusBadRequest, "by may have %d bytes, without control characters", longestName)
	default:
		who := responders.Actor{Kind: responders.UnknownKind}
		if by != "" {
			who = s.actor(Action{By: by})
		}
		s.record(p, responders.Event{Kind: responders.RunbookOpened, Actor: who, Level: p.Level, Text: to, Grade: gradeDeclared})
	}
	s.mu.Unlock()
	if err != nil {
		complainOf(w, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store") // so that it is asked for each time
	http.Redirect(w, r, to, http.StatusFound)
}

// runbookNote is the annotation in which alerting rules name a runbook, by convention.
const runbookNote = "runbook_url"

// postAction does what somebody asks.
func (s *Source) postAction(w http.ResponseWriter, r *http.Request) {
	body, ok := receiveBody(w, r, actionLimit)
	if !ok {
		return
	}
	var asked struct {
		By      string `json:"by"`
		Text    string `json:"text"`
		Kind    string `json:"kind"`
		Channel string `json:"channel"`
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&asked); err != nil {
		complain(w, http.StatusBadRequest, fmt.Sprintf(`the body must be JSON such as {"by": "ann", "text": "on it"}: %v`,
			err))
		return
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		complain(w, http.StatusBadRequest, "there is something after the JSON object")
		return
	}
	if asked.Kind != "" && asked.Kind != "human" && asked.Kind != "bot" {
		complain(w, http.StatusBadRequest, fmt.Sprintf(`kind is "human" or "bot", not %q`, asked.Kind))
		return
	}
	action := Action{Page: name(r), Verb: Verb(r.PathValue("action")), By: asked.By, Text: asked.Text, Channel: asked.Channel,
		Bot: asked.Kind == "bot"}
	page, err := s.act(action)
	if err != nil {
		complainOf(w, err)
		return
	}
	answer(w, http.StatusOK, page)
}

// newest is the id that stands for the newest open page in an address.
const newest = "newest"

// name returns the page's id from the address, empty for the newest.
func name(r *http.Request) string {
	if id := r.PathValue("id"); id != newest {
		return id
	}
	return ""
}

// receiveBody reads a JSON body of bounded size; when it cannot, it has answered already.
func receiveBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, bool) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		complain(w, http.StatusUnsupportedMediaType, "send JSON, with the header Content-Type: application/json")
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		complain(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d KB", limit>>10))
		return nil, false
	case err != nil:
		complain(w, http.StatusBadRequest, fmt.Sprintf("reading the body: %v", err))
		return nil, false
	}
	return body, true
}

// complainOf answers with a refusal's own status.
func complainOf(w http.ResponseWriter, err error) {
	var refused *ActionError
	if errors.As(err, &refused) {
		complain(w, refused.Status, refused.Message)
		return
	}
	complain(w, http.StatusInternalServerError, err.Error())
}

// complain answers with an error.
func complain(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]string{"error": message})
}

// answer writes JSON.
func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// The status is sent; a client that went away cannot be told.
	_ = json.NewEncoder(w).Encode(value)
}
